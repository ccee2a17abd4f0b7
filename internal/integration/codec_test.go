package integration

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/proxy"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/protobuf/proto"

	"github.com/atlas-provisioner/atlas-provisioner/codec"
	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/temporaltest"
	"github.com/atlas-provisioner/atlas-provisioner/internal/worker"
	"github.com/atlas-provisioner/atlas-provisioner/provisioner"
)

// keys makes a codec of keys with these ids; the first encrypts.
func keys(t *testing.T, ids ...string) codec.Codec {
	t.Helper()
	var all []codec.Key
	for _, id := range ids {
		all = append(all, codec.Key{ID: id, Secret: [codec.KeySize]byte(bytes.Repeat([]byte(id[:1]), codec.KeySize))})
	}
	c, err := codec.New(all...)
	require.NoError(t, err)
	return c
}

func withCodec(c codec.Codec) option { return func(config *worker.Config) { config.Codec = c } }

// caller is a service with a codec. The stack's own Temporal client has none
// and sees what Temporal stores.
func (s *stack) caller(c codec.Codec) *provisioner.Client {
	s.t.Helper()
	o := client.Options{HostPort: s.address, Namespace: "default", Logger: temporaltest.Quiet()}
	c.Configure(&o)
	temporal, err := client.DialContext(s.ctx(), o)
	require.NoError(s.t, err)
	s.t.Cleanup(temporal.Close)
	return provisioner.New(temporal, provisioner.Options{TaskQueue: s.queue, DataConverter: o.DataConverter})
}

// keysOf counts by their key the payloads in what Temporal answers, search
// attributes aside; those that are not encrypted have the key "".
func keysOf(t *testing.T, messages ...proto.Message) map[string]int {
	t.Helper()
	out := map[string]int{}
	for _, m := range messages {
		require.NoError(t, proxy.VisitPayloads(context.Background(), m, proxy.VisitPayloadsOptions{
			SkipSearchAttributes: true,
			Visitor: func(_ *proxy.VisitPayloadsContext, payloads []*commonpb.Payload) ([]*commonpb.Payload, error) {
				for _, p := range payloads {
					out[string(p.GetMetadata()["encryption-key-id"])]++
				}
				return payloads, nil
			},
		}))
	}
	return out
}

// stored is all that Temporal has of a run.
func (s *stack) stored(run provisioner.Run) []proto.Message {
	s.t.Helper()
	var out []proto.Message
	for _, e := range s.history(run) {
		out = append(out, e)
	}
	return append(out, s.described(run))
}

func (s *stack) described(run provisioner.Run) *workflowservice.DescribeWorkflowExecutionResponse {
	s.t.Helper()
	d, err := s.temporal.DescribeWorkflowExecution(s.ctx(), run.WorkflowID, run.RunID)
	require.NoError(s.t, err)
	return d
}

// waits waits until a run has seen its cluster CREATING.
func (s *stack) waits(c *provisioner.Client, run provisioner.Run) {
	s.t.Helper()
	require.Eventually(s.t, func() bool {
		status, err := c.Status(s.ctx(), run.WorkflowID, run.RunID)
		return err == nil && status.Pending != nil && status.Pending.ClusterState == "CREATING"
	}, patience, 20*time.Millisecond)
}

// hold is a simulator whose clusters stay CREATING until they are let go.
func hold() atlassim.Config { return atlassim.Config{CreateFor: atlassim.Duration(time.Hour)} }

func (s *stack) letGo() {
	s.t.Helper()
	require.NoError(s.t, s.sim.SetState(group, flex(s.t).Name, "IDLE"))
}

// With a codec, Temporal stores nothing readable of the input, the result, the
// progress and the details; whoever has the key notices nothing.
func TestEncrypted(t *testing.T) {
	t.Parallel()
	s := setupWithoutWorker(t, hold())
	s.startWorker(withCodec(keys(t, "one")))
	c := s.caller(keys(t, "one"))
	in := flex(t)
	in.Tags = []contract.Tag{{Key: "owner", Value: "confidential-owner"}}
	run, err := c.Start(s.ctx(), in)
	require.NoError(t, err)
	s.waits(c, run)
	progress := s.described(run)

	again, err := c.Start(s.ctx(), in)
	require.NoError(t, err)
	require.Equal(t, provisioner.Run{WorkflowID: run.WorkflowID, RunID: run.RunID, Joined: true}, again)
	other := flex(t)
	_, err = c.Start(s.ctx(), other)
	require.Equal(t, contract.RequestConflict, failure(t, err).Type)
	require.Len(t, failure(t, err).Details.Differences, 2, "the tags of both")

	s.letGo()
	cluster, err := c.Result(s.ctx(), run.WorkflowID, run.RunID)
	require.NoError(t, err)
	require.Equal(t, contract.Created, cluster.Outcome)
	require.Contains(t, cluster.Tags, in.Tags[0])

	stored := append(s.stored(run), progress)
	count := keysOf(t, stored...)
	require.Zero(t, count[""], "every payload is encrypted: %v", count)
	require.Greater(t, count["one"], 10)
	for _, secret := range []string{"confidential-owner", "mongodb+srv", "US_EAST_1", cluster.ID} {
		for _, m := range stored {
			b, err := proto.Marshal(m)
			require.NoError(t, err)
			require.NotContains(t, string(b), secret)
		}
	}
	require.Len(t, s.history(run), 20)
	require.NotContains(t, s.logs.String(), "confidential-owner")

	// Whoever lacks the key is told which.
	const lacks = `a payload is encrypted with the key "one", which is not configured: add it to TEMPORAL_PAYLOAD_KEYS or the file that TEMPORAL_PAYLOAD_KEYS_FILE names`
	_, err = s.caller(codec.Codec{}).Result(s.ctx(), run.WorkflowID, run.RunID)
	require.EqualError(t, err, lacks)
	_, err = s.caller(keys(t, "two")).Result(s.ctx(), run.WorkflowID, run.RunID)
	require.EqualError(t, err, lacks)
}

func TestEncryptedUpgrade(t *testing.T) {
	t.Parallel()
	s := setupWithoutWorker(t, shared(t, atlassim.Config{}))
	s.sim.AddFault(atlassim.Fault{Kind: atlassim.FaultLost, Method: "POST", Times: 1})
	pace := quick
	pace.SettleFor = 3 * time.Second
	s.startWorker(withCodec(keys(t, "one")), withPace(pace))
	c := s.caller(keys(t, "one"))
	run, err := c.Start(s.ctx(), serverless(t))
	require.NoError(t, err)
	cluster, err := c.Result(s.ctx(), run.WorkflowID, run.RunID)
	require.NoError(t, err)
	require.Equal(t, contract.Upgraded, cluster.Outcome)
	require.Equal(t, 1, s.requests("POST", upgradePath), "the heartbeat was read")
	require.Zero(t, keysOf(t, s.stored(run)...)[""])
}

// Of a failure the type and the message can be read by anybody, the details
// cannot.
func TestEncryptedFailure(t *testing.T) {
	t.Parallel()
	s := setupWithoutWorker(t, atlassim.Config{})
	s.sim.AddFault(atlassim.Fault{Kind: atlassim.FaultStatus, Status: 402, ErrorCode: "NO_PAYMENT_INFORMATION_FOUND", Reason: "Payment Required", Method: "POST"})
	s.startWorker(withCodec(keys(t, "one")))
	c := s.caller(keys(t, "one"))
	run, err := c.Start(s.ctx(), flex(t))
	require.NoError(t, err)
	_, err = c.Result(s.ctx(), run.WorkflowID, run.RunID)
	f := failure(t, err)
	require.Equal(t, "NO_PAYMENT_INFORMATION_FOUND", f.Type)
	require.Equal(t, 402, f.Details.Status)
	require.Zero(t, keysOf(t, s.stored(run)...)[""])
	stored := s.history(run)
	ended := stored[len(stored)-1].GetWorkflowExecutionFailedEventAttributes().GetFailure()
	require.Equal(t, f.Message, ended.GetMessage())
	require.Equal(t, f.Type, ended.GetApplicationFailureInfo().GetType())
}

// A run that began in the clear goes on once there is a key.
func TestCodecTurnedOnUnderWay(t *testing.T) {
	t.Parallel()
	s := setup(t, hold())
	run, err := s.client.Start(s.ctx(), flex(t))
	require.NoError(t, err)
	s.waits(s.client, run)
	s.stop()
	s.startWorker(withCodec(keys(t, "one")))
	c := s.caller(keys(t, "one"))
	joined, err := c.Start(s.ctx(), flex(t))
	require.NoError(t, err)
	require.True(t, joined.Joined)
	s.letGo()
	cluster, err := c.Result(s.ctx(), run.WorkflowID, run.RunID)
	require.NoError(t, err)
	require.Equal(t, contract.Created, cluster.Outcome)
	count := keysOf(t, s.stored(run)...)
	require.Positive(t, count[""], "the input")
	require.Positive(t, count["one"], "the result")
}

// A new key comes second, then first, then alone, while a run is under way.
func TestCodecRotationUnderWay(t *testing.T) {
	t.Parallel()
	s := setupWithoutWorker(t, hold())
	s.startWorker(withCodec(keys(t, "old")))
	run, err := s.caller(keys(t, "old")).Start(s.ctx(), flex(t))
	require.NoError(t, err)
	s.waits(s.caller(keys(t, "old")), run)
	for _, ids := range [][]string{{"old", "new"}, {"new", "old"}} {
		s.stop()
		looks := s.requests("GET", "/"+flex(t).Name)
		s.startWorker(withCodec(keys(t, ids...)))
		require.Eventually(t, func() bool { return s.requests("GET", "/"+flex(t).Name) > looks }, patience, 20*time.Millisecond)
	}
	s.letGo()
	cluster, err := s.caller(keys(t, "new")).Result(s.ctx(), run.WorkflowID, run.RunID)
	require.NoError(t, err, "the result is under the new key")
	require.Equal(t, contract.Created, cluster.Outcome)
	count := keysOf(t, s.stored(run)...)
	require.Zero(t, count[""])
	require.Positive(t, count["old"])
	require.Positive(t, count["new"])
}

// A worker that lacks the key fails no run: it says which key it lacks, and the
// run goes on once a worker has it.
func TestWorkerWithoutTheKey(t *testing.T) {
	t.Parallel()
	for name, lacking := range map[string]codec.Codec{"no key": {}, "another key": keys(t, "two")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := setup(t, atlassim.Config{}, withCodec(lacking))
			c := s.caller(keys(t, "one"))
			run, err := c.Start(s.ctx(), flex(t))
			require.NoError(t, err)
			require.Eventually(t, func() bool {
				for _, e := range s.history(run) {
					if e.GetEventType() == enumspb.EVENT_TYPE_WORKFLOW_TASK_FAILED {
						require.Contains(t, e.GetWorkflowTaskFailedEventAttributes().GetFailure().GetMessage(), `a payload is encrypted with the key "one", which is not configured`)
						return true
					}
				}
				return false
			}, patience, 20*time.Millisecond)
			s.stop()
			require.Empty(t, s.sim.Ledger())
			s.startWorker(withCodec(keys(t, "one")))
			cluster, err := c.Result(s.ctx(), run.WorkflowID, run.RunID)
			require.NoError(t, err)
			require.Equal(t, contract.Created, cluster.Outcome)
		})
	}
}
