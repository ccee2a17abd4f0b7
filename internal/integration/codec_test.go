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
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv/testworker"
	"github.com/atlas-provisioner/atlas-provisioner/internal/worker"
	"github.com/atlas-provisioner/atlas-provisioner/provisioner"
)

// codecWithKeys makes a codec of keys with these ids. It encrypts with the first.
func codecWithKeys(t *testing.T, ids ...string) codec.Codec {
	t.Helper()
	var all []codec.Key
	for _, id := range ids {
		all = append(all, codec.Key{ID: id, Secret: [codec.KeySize]byte(bytes.Repeat([]byte(id[:1]), codec.KeySize))})
	}
	c, err := codec.New(all...)
	require.NoError(t, err)
	return c
}

func withCodec(c codec.Codec) testworker.Option {
	return func(config *worker.Config) { config.Codec = c }
}

// clientWithCodec is the client of a service that encrypts. The stack's own Temporal client does not, so that it sees
// what Temporal stores.
func clientWithCodec(s *testenv.Stack, c codec.Codec) *provisioner.Client {
	s.TB().Helper()
	o := client.Options{HostPort: s.Server.Address(), Namespace: "default", Logger: testenv.Quiet()}
	c.Configure(&o)
	temporal, err := client.DialContext(s.Context(), o)
	require.NoError(s.TB(), err)
	s.TB().Cleanup(temporal.Close)
	return provisioner.New(temporal, provisioner.Options{TaskQueue: s.TaskQueue, DataConverter: o.DataConverter})
}

// countByKey counts the payloads in messages of Temporal, without search attributes, by the id of the key that
// encrypted them. A payload that is not encrypted counts under "".
func countByKey(t *testing.T, messages ...proto.Message) map[string]int {
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

// storedMessages returns everything that Temporal stores of a run.
func storedMessages(s *testenv.Stack, run provisioner.Run) []proto.Message {
	s.TB().Helper()
	var out []proto.Message
	for _, e := range s.History(run) {
		out = append(out, e)
	}
	return append(out, describe(s, run))
}

func describe(s *testenv.Stack, run provisioner.Run) *workflowservice.DescribeWorkflowExecutionResponse {
	s.TB().Helper()
	d, err := s.Temporal.DescribeWorkflowExecution(s.Context(), run.WorkflowID, run.RunID)
	require.NoError(s.TB(), err)
	return d
}

// awaitCreating waits until a run has reported that its cluster is CREATING.
func awaitCreating(s *testenv.Stack, c *provisioner.Client, run provisioner.Run) {
	s.TB().Helper()
	testenv.Eventually(s.TB(), func() bool {
		status, err := c.Status(s.Context(), run.WorkflowID, run.RunID)
		return err == nil && status.Pending != nil && status.Pending.ClusterState == "CREATING"
	})
}

// neverIdle is a simulator whose clusters stay CREATING until makeIdle.
func neverIdle() atlassim.Config { return atlassim.Config{CreateFor: atlassim.Duration(time.Hour)} }

func makeIdle(s *testenv.Stack) {
	s.TB().Helper()
	require.NoError(s.TB(), s.Sim.SetState(project, testenv.ClusterName(s.TB()), "IDLE"))
}

// With a codec, Temporal stores the input, the result, the progress and the details encrypted, and a caller with the
// key works as without a codec.
func TestEncrypted(t *testing.T) {
	t.Parallel()
	s := testenv.New(t, neverIdle())
	w := testworker.Start(s, withCodec(codecWithKeys(t, "one")))
	c := clientWithCodec(s, codecWithKeys(t, "one"))
	in := flex(t)
	in.Tags = []contract.Tag{{Key: "owner", Value: "confidential-owner"}}
	run, err := c.Start(s.Context(), in)
	require.NoError(t, err)
	awaitCreating(s, c, run)
	progress := describe(s, run)

	again, err := c.Start(s.Context(), in)
	require.NoError(t, err)
	require.Equal(t, provisioner.Run{WorkflowID: run.WorkflowID, RunID: run.RunID, Joined: true}, again)
	other := flex(t)
	_, err = c.Start(s.Context(), other)
	require.Equal(t, contract.RequestConflict, testenv.Failure(t, err).Type)
	require.Len(t, testenv.Failure(t, err).Details.Differences, 2, "the tags of both")

	makeIdle(s)
	cluster, err := c.Result(s.Context(), run.WorkflowID, run.RunID)
	require.NoError(t, err)
	require.Equal(t, contract.Created, cluster.Outcome)
	require.Contains(t, cluster.Tags, in.Tags[0])

	stored := append(storedMessages(s, run), progress)
	count := countByKey(t, stored...)
	require.Zero(t, count[""], "every payload is encrypted: %v", count)
	require.Greater(t, count["one"], 10)
	for _, secret := range []string{"confidential-owner", "mongodb+srv", "US_EAST_1", cluster.ID} {
		for _, m := range stored {
			b, err := proto.Marshal(m)
			require.NoError(t, err)
			require.NotContains(t, string(b), secret)
		}
	}
	require.Len(t, s.History(run), maxEvents)
	require.NotContains(t, w.Logs.String(), "confidential-owner")

	// The error of a caller without the key names the key.
	const lacks = `a payload is encrypted with the key "one", which is not configured: add it to ` +
		`TEMPORAL_PAYLOAD_KEYS or the file that TEMPORAL_PAYLOAD_KEYS_FILE names`
	_, err = clientWithCodec(s, codec.Codec{}).Result(s.Context(), run.WorkflowID, run.RunID)
	require.EqualError(t, err, lacks)
	_, err = clientWithCodec(s, codecWithKeys(t, "two")).Result(s.Context(), run.WorkflowID, run.RunID)
	require.EqualError(t, err, lacks)
}

func TestEncryptedUpgrade(t *testing.T) {
	t.Parallel()
	s := testenv.New(t, withShared(t, atlassim.Config{}))
	s.Sim.AddFault(atlassim.Fault{Kind: atlassim.FaultLost, Method: "POST", Times: 1})
	pace := testworker.Quick
	pace.SettleFor = 3 * time.Second
	testworker.Start(s, withCodec(codecWithKeys(t, "one")), testworker.WithPace(pace))
	c := clientWithCodec(s, codecWithKeys(t, "one"))
	run, err := c.Start(s.Context(), serverless(t))
	require.NoError(t, err)
	cluster, err := c.Result(s.Context(), run.WorkflowID, run.RunID)
	require.NoError(t, err)
	require.Equal(t, contract.Upgraded, cluster.Outcome)
	require.Equal(t, 1, s.Requests("POST", upgradePath), "the heartbeat was read")
	require.Zero(t, countByKey(t, storedMessages(s, run)...)[""])
}

// The type and the message of a failure are stored in the clear, its details are encrypted.
func TestEncryptedFailure(t *testing.T) {
	t.Parallel()
	s := testenv.New(t, atlassim.Config{})
	s.Sim.AddFault(
		atlassim.Fault{
			Kind:      atlassim.FaultStatus,
			Status:    402,
			ErrorCode: "NO_PAYMENT_INFORMATION_FOUND",
			Reason:    "Payment Required",
			Method:    "POST",
		},
	)
	testworker.Start(s, withCodec(codecWithKeys(t, "one")))
	c := clientWithCodec(s, codecWithKeys(t, "one"))
	run, err := c.Start(s.Context(), flex(t))
	require.NoError(t, err)
	_, err = c.Result(s.Context(), run.WorkflowID, run.RunID)
	f := testenv.Failure(t, err)
	require.Equal(t, "NO_PAYMENT_INFORMATION_FOUND", f.Type)
	require.Equal(t, 402, f.Details.Status)
	require.Zero(t, countByKey(t, storedMessages(s, run)...)[""])
	stored := s.History(run)
	ended := stored[len(stored)-1].GetWorkflowExecutionFailedEventAttributes().GetFailure()
	require.Equal(t, f.Message, ended.GetMessage())
	require.Equal(t, f.Type, ended.GetApplicationFailureInfo().GetType())
}

// A run that began without encryption goes on when the worker gets a key.
func TestCodecTurnedOnUnderWay(t *testing.T) {
	t.Parallel()
	s := testenv.New(t, neverIdle())
	w := testworker.Start(s)
	run := start(s, flex(t))
	awaitCreating(s, s.Client, run)
	w.Stop()
	testworker.Start(s, withCodec(codecWithKeys(t, "one")))
	c := clientWithCodec(s, codecWithKeys(t, "one"))
	joined, err := c.Start(s.Context(), flex(t))
	require.NoError(t, err)
	require.True(t, joined.Joined)
	makeIdle(s)
	cluster, err := c.Result(s.Context(), run.WorkflowID, run.RunID)
	require.NoError(t, err)
	require.Equal(t, contract.Created, cluster.Outcome)
	count := countByKey(t, storedMessages(s, run)...)
	require.Positive(t, count[""], "the input")
	require.Positive(t, count["one"], "the result")
}

// A key is rotated during a run: the new key is added as the second, then it becomes the first, then it is the only
// one.
func TestCodecRotationUnderWay(t *testing.T) {
	t.Parallel()
	s := testenv.New(t, neverIdle())
	w := testworker.Start(s, withCodec(codecWithKeys(t, "old")))
	run, err := clientWithCodec(s, codecWithKeys(t, "old")).Start(s.Context(), flex(t))
	require.NoError(t, err)
	awaitCreating(s, clientWithCodec(s, codecWithKeys(t, "old")), run)
	for _, ids := range [][]string{{"old", "new"}, {"new", "old"}} {
		w.Stop()
		looks := s.Requests("GET", "/"+flex(t).Name)
		w = testworker.Start(s, withCodec(codecWithKeys(t, ids...)))
		testenv.Eventually(t, func() bool { return s.Requests("GET", "/"+flex(t).Name) > looks })
	}
	makeIdle(s)
	cluster, err := clientWithCodec(s, codecWithKeys(t, "new")).Result(s.Context(), run.WorkflowID, run.RunID)
	require.NoError(t, err, "the result is under the new key")
	require.Equal(t, contract.Created, cluster.Outcome)
	count := countByKey(t, storedMessages(s, run)...)
	require.Zero(t, count[""])
	require.Positive(t, count["old"])
	require.Positive(t, count["new"])
}

// A worker that lacks the key fails no run: the failed workflow task names the key, and the run goes on when a worker
// has it.
func TestWorkerWithoutTheKey(t *testing.T) {
	t.Parallel()
	for name, lacking := range map[string]codec.Codec{"no key": {}, "another key": codecWithKeys(t, "two")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := testenv.New(t, atlassim.Config{})
			w := testworker.Start(s, withCodec(lacking))
			c := clientWithCodec(s, codecWithKeys(t, "one"))
			run, err := c.Start(s.Context(), flex(t))
			require.NoError(t, err)
			testenv.Eventually(t, func() bool {
				for _, e := range s.History(run) {
					if e.GetEventType() == enumspb.EVENT_TYPE_WORKFLOW_TASK_FAILED {
						require.Contains(t,
							e.GetWorkflowTaskFailedEventAttributes().GetFailure().GetMessage(),
							`a payload is encrypted with the key "one", which is not configured`,
						)
						return true
					}
				}
				return false
			})
			w.Stop()
			require.Empty(t, s.Sim.Ledger())
			testworker.Start(s, withCodec(codecWithKeys(t, "one")))
			cluster, err := c.Result(s.Context(), run.WorkflowID, run.RunID)
			require.NoError(t, err)
			require.Equal(t, contract.Created, cluster.Outcome)
		})
	}
}
