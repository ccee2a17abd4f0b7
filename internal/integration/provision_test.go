package integration

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	sdkpb "go.temporal.io/api/sdk/v1"
	"go.temporal.io/sdk/client"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/temporaltest"
	"github.com/atlas-provisioner/atlas-provisioner/provisioner"
)

func TestProvisionCreated(t *testing.T) {
	t.Parallel()
	s := setup(t, atlassim.Config{HiddenFor: atlassim.Duration(100 * time.Millisecond), StandardAfter: atlassim.Duration(200 * time.Millisecond), RepairingFor: atlassim.Duration(50 * time.Millisecond), NoStringsYet: true})
	in := flex(t)
	in.TerminationProtectionEnabled = true
	cluster, err := s.provision(in)
	require.NoError(t, err)
	s.record("provision-created")

	made := s.sim.Clusters()
	require.Len(t, made, 1)
	require.Equal(t, contract.Cluster{
		ID: made[0].ID, GroupID: group, Name: in.Name, ClusterType: "FLEX", StateName: "IDLE",
		MongoDBVersion: cluster.MongoDBVersion, CreateDate: made[0].CreateDate.UTC().Truncate(time.Second),
		ConnectionStrings: cluster.ConnectionStrings,
		ProviderSettings:  contract.ProviderSettings{ProviderName: "FLEX", BackingProviderName: "AWS", RegionName: "US_EAST_1", DiskSizeGB: 5},
		Tags: []contract.Tag{
			{Key: "team", Value: "orders"},
			{Key: "atlas-provisioner-workflow", Value: "atlas-cluster-" + group + "-" + in.Name},
		},
		TerminationProtectionEnabled: true, Outcome: contract.Created, Warnings: []string{},
	}, cluster)
	require.Regexp(t, `^mongodb://`, cluster.ConnectionStrings.Standard)
	require.Regexp(t, `^mongodb\+srv://`, cluster.ConnectionStrings.StandardSrv)
	require.Equal(t, 1, s.requests("POST", "/flexClusters"))
	require.Equal(t, 1, s.sim.DigestChallenges(), "one challenge for the whole process")
}

func TestProvisionWithoutOwnershipTag(t *testing.T) {
	t.Parallel()
	s := setup(t, atlassim.Config{})
	in := flex(t)
	in.OwnershipTag = ptr(false)
	cluster, err := s.provision(in)
	require.NoError(t, err)
	require.Equal(t, in.Tags, cluster.Tags)
}

// The same request again finds what the run before made.
func TestProvisionUnchanged(t *testing.T) {
	t.Parallel()
	s := setup(t, atlassim.Config{})
	first, err := s.provision(flex(t))
	require.NoError(t, err)
	second, err := s.provision(flex(t))
	require.NoError(t, err)
	require.Equal(t, contract.Unchanged, second.Outcome)
	s.record("provision-unchanged")
	require.Equal(t, first.ID, second.ID)
	require.Equal(t, 1, s.sim.Count(atlassim.Created))
}

// A run that takes up a name whose cluster is being deleted waits until it is
// free.
func TestProvisionAfterDelete(t *testing.T) {
	t.Parallel()
	s := setup(t, atlassim.Config{DeleteFor: atlassim.Duration(time.Second), NameHeldFor: atlassim.Duration(time.Second)})
	_, err := s.provision(flex(t))
	require.NoError(t, err)
	require.NoError(t, s.sim.Delete(group, flex(t).Name))
	cluster, err := s.provision(flex(t))
	require.NoError(t, err)
	require.Equal(t, contract.Created, cluster.Outcome)
	require.Equal(t, 2, s.sim.Count(atlassim.Created))
}

// A long wait leaves the same history as a short one, holds no slot, and shows
// the state and the next look.
func TestLongWait(t *testing.T) {
	t.Parallel()
	s := setup(t, atlassim.Config{CreateFor: atlassim.Duration(3 * time.Second)})
	run, err := s.client.Start(s.ctx(), flex(t))
	require.NoError(t, err)
	require.Eventually(t, func() bool { return s.sim.SetState(group, flex(t).Name, "CREATING") == nil }, patience, 10*time.Millisecond)
	require.Eventually(t, func() bool {
		status, err := s.client.Status(s.ctx(), run.WorkflowID, run.RunID)
		return err == nil && status.Pending != nil && status.Pending.Attempt > 5 && !status.Pending.NextAttempt.IsZero() &&
			status.Pending.ClusterState == "CREATING"
	}, patience, 50*time.Millisecond)
	status, err := s.client.Status(s.ctx(), run.WorkflowID, run.RunID)
	require.NoError(t, err)
	require.Regexp(t, `^cluster "`+flex(t).Name+`": CREATING for \d+s; next look in 0s$`, status.Pending.LastFailure)
	require.Regexp(t, `^Atlas is creating Flex cluster "`+flex(t).Name+`"\.`+fmt.Sprintf(waiting, "CREATING"), s.currentDetails(run))
	require.NoError(t, s.sim.SetState(group, flex(t).Name, ""))
	cluster, err := s.result(run)
	require.NoError(t, err)
	require.Equal(t, contract.Created, cluster.Outcome)
	require.Len(t, s.history(run), 20)
}

// Six who ask for the same at once get the same cluster.
func TestSixStartsMakeOneCluster(t *testing.T) {
	t.Parallel()
	s := setup(t, atlassim.Config{CreateFor: atlassim.Duration(time.Second)})
	var wg sync.WaitGroup
	clusters := make([]contract.Cluster, 6)
	joined := make([]bool, 6)
	errs := make([]error, 6)
	for i := range clusters {
		wg.Go(func() {
			run, err := s.client.Start(s.ctx(), flex(t))
			if err == nil {
				joined[i] = run.Joined
				clusters[i], err = s.client.Result(s.ctx(), run.WorkflowID, run.RunID)
			}
			errs[i] = err
		})
	}
	wg.Wait()
	starters := 0
	for i := range clusters {
		require.NoError(t, errs[i])
		require.Equal(t, clusters[0], clusters[i])
		if !joined[i] {
			starters++
		}
	}
	require.Equal(t, 1, starters)
	require.Equal(t, contract.Created, clusters[0].Outcome)
	require.Equal(t, 1, s.requests("POST", "/flexClusters"))
}

func TestRequestConflict(t *testing.T) {
	t.Parallel()
	s := setup(t, atlassim.Config{CreateFor: atlassim.Duration(time.Second)})
	in := flex(t)
	run, err := s.client.Start(s.ctx(), in)
	require.NoError(t, err)

	other := flex(t)
	other.ProviderSettings.RegionName = "EU_WEST_1"
	other.Tags = append(other.Tags, contract.Tag{Key: "stage", Value: "test"})
	_, err = s.client.Start(s.ctx(), other)
	f := failure(t, err)
	require.Equal(t, contract.RequestConflict, f.Type)
	require.Equal(t, fmt.Sprintf(`a different request runs under workflow id %q (ProvisionFlexCluster): providerSettings.regionName is "US_EAST_1", requested "EU_WEST_1"; `+
		`tags.stage is none, requested "test". It was left alone: wait for its end, cancel it, or ask for the same`, run.WorkflowID), f.Message)
	require.Equal(t, []contract.Difference{
		{Field: "providerSettings.regionName", Requested: `"EU_WEST_1"`, Existing: `"US_EAST_1"`},
		{Field: "tags.stage", Requested: `"test"`, Existing: "none"},
	}, f.Details.Differences)

	// A default that is spelled out is the same request.
	same := flex(t)
	same.TimeoutSeconds, same.OwnershipTag = ptr(1800), ptr(true)
	joined, err := s.client.Start(s.ctx(), same)
	require.NoError(t, err)
	require.Equal(t, provisioner.Run{WorkflowID: run.WorkflowID, RunID: run.RunID, Joined: true}, joined)

	cluster, err := s.result(run)
	require.NoError(t, err)
	require.Equal(t, contract.Created, cluster.Outcome)
	require.Equal(t, "US_EAST_1", cluster.ProviderSettings.RegionName)
}

func TestStatusQuery(t *testing.T) {
	t.Parallel()
	s := setup(t, atlassim.Config{CreateFor: atlassim.Duration(2 * time.Second)})
	before := time.Now().Add(-time.Minute)
	run, err := s.client.Start(s.ctx(), flex(t))
	require.NoError(t, err)
	query := func() (status contract.Status) {
		answer, err := s.temporal.QueryWorkflow(s.ctx(), run.WorkflowID, run.RunID, contract.StatusQuery)
		require.NoError(t, err)
		require.NoError(t, answer.Get(&status))
		return status
	}
	require.Eventually(t, func() bool { return query().Phase == contract.PhaseWaiting }, patience, 20*time.Millisecond)
	status := query()
	require.Equal(t, "CREATING", status.StateName)
	require.True(t, status.Since.After(before))
	_, err = s.result(run)
	require.NoError(t, err)
	status = query()
	require.Equal(t, contract.PhaseDone, status.Phase)
	require.Equal(t, "IDLE", status.StateName)
}

// What the Web UI shows reads as sentences, and the search attributes find it.
func TestWebUITexts(t *testing.T) {
	t.Parallel()
	s := setup(t, atlassim.Config{})
	in := flex(t)
	run, err := s.client.Start(s.ctx(), in)
	require.NoError(t, err)
	_, err = s.result(run)
	require.NoError(t, err)

	described, err := s.temporal.DescribeWorkflow(s.ctx(), run.WorkflowID, run.RunID)
	require.NoError(t, err)
	summary, err := described.GetStaticSummary()
	require.NoError(t, err)
	require.Equal(t, "Provision Flex cluster "+in.Name+" in AWS US_EAST_1", summary)
	details, err := described.GetStaticDetails()
	require.NoError(t, err)
	require.Equal(t, "- Project: `"+group+"`\n- Cluster: `"+in.Name+"`\n- Where: AWS US_EAST_1\n- Time limit: 30m0s", details)

	require.Equal(t, fmt.Sprintf("Cluster %q is IDLE (CREATED).", in.Name), s.currentDetails(run))

	var summaries []string
	for _, e := range s.history(run) {
		if e.GetEventType() == enumspb.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED {
			summaries = append(summaries, string(e.GetUserMetadata().GetSummary().GetData()))
		}
	}
	require.Equal(t, []string{`"Create Flex cluster ` + in.Name + ` in AWS US_EAST_1"`, `"Wait until cluster ` + in.Name + ` is IDLE"`}, summaries)

	require.Eventually(t, func() bool {
		found, err := s.client.List(s.ctx(), fmt.Sprintf(`AtlasProjectId = '%s' AND AtlasClusterName = '%s' AND AtlasClusterState = 'IDLE'`, group, in.Name), 10)
		return err == nil && len(found) == 1 && found[0].RunID == run.RunID
	}, patience, 50*time.Millisecond)
}

// currentDetails are what the Web UI shows of the run.
func (s *stack) currentDetails(run provisioner.Run) string {
	s.t.Helper()
	answer, err := s.temporal.QueryWorkflow(s.ctx(), run.WorkflowID, run.RunID, "__temporal_workflow_metadata")
	require.NoError(s.t, err)
	var metadata sdkpb.WorkflowMetadata
	require.NoError(s.t, answer.Get(&metadata))
	return metadata.GetCurrentDetails()
}

// waiting is the end of the current details of a run that waits.
const waiting = ` The last answer was %s, at \d\d:\d\d:\d\d UTC on \d{4}-\d\d-\d\d\. Waiting until it is IDLE: newer answers, since when, and the next look stand under Pending Activities\.$`

// Any language can start it: the input is JSON and the names are the contract's.
func TestStartedByHand(t *testing.T) {
	t.Parallel()
	s := setup(t, atlassim.Config{})
	name := flex(t).Name
	run, err := s.temporal.ExecuteWorkflow(s.ctx(), client.StartWorkflowOptions{ID: "by-hand-" + name, TaskQueue: s.queue}, "ProvisionFlexCluster",
		map[string]any{
			"groupId": group, "name": name,
			"providerSettings": map[string]any{"backingProviderName": "GCP", "regionName": "WESTERN_EUROPE"},
			"tags":             []any{}, "terminationProtectionEnabled": false, "timeoutSeconds": 1800, "ownershipTag": true,
		})
	require.NoError(t, err)
	var result map[string]any
	require.NoError(t, run.Get(s.ctx(), &result))
	require.Equal(t, "CREATED", result["outcome"])
	require.Equal(t, "FLEX", result["clusterType"])
	require.Equal(t, []any{}, result["warnings"])
	require.Equal(t, []any{map[string]any{"key": "atlas-provisioner-workflow", "value": "by-hand-" + name}}, result["tags"])
}

// A worker that stops lets go of its waits, which another takes up at once.
func TestStopLetsWaitsGoOn(t *testing.T) {
	t.Parallel()
	pace := quick
	pace.Fast, pace.FastEvery = time.Hour, 500*time.Millisecond
	s := setup(t, atlassim.Config{CreateFor: atlassim.Duration(time.Hour)}, withPace(pace))
	run, err := s.client.Start(s.ctx(), flex(t))
	require.NoError(t, err)
	require.Eventually(t, func() bool { return s.requests("GET", "/"+flex(t).Name) > 1 }, patience, 20*time.Millisecond)
	s.stop()
	status, err := s.client.Status(s.ctx(), run.WorkflowID, run.RunID)
	require.NoError(t, err)
	require.Equal(t, fmt.Sprintf(`cluster %q: the worker is stopping; another one goes on`, flex(t).Name), status.Pending.LastFailure)
	require.Equal(t, 2, status.Pending.Attempt)

	s.startWorker(withPace(pace))
	require.NoError(t, s.sim.SetState(group, flex(t).Name, "IDLE"))
	cluster, err := s.result(run)
	require.NoError(t, err)
	require.Equal(t, contract.Created, cluster.Outcome)
}

func TestCancel(t *testing.T) {
	t.Parallel()
	t.Run("while waiting", func(t *testing.T) {
		t.Parallel()
		s := setup(t, atlassim.Config{CreateFor: atlassim.Duration(time.Hour)})
		run, err := s.client.Start(s.ctx(), flex(t))
		require.NoError(t, err)
		require.Eventually(t, func() bool { return s.requests("GET", "/"+flex(t).Name) > 1 }, patience, 20*time.Millisecond)
		require.NoError(t, s.client.Cancel(s.ctx(), run.WorkflowID, run.RunID))
		_, err = s.result(run)
		require.Equal(t, &provisioner.Failure{State: provisioner.Canceled, Type: "CANCELED", Message: "the run was cancelled; what it made is left as it is"}, failure(t, err))
		require.Len(t, s.sim.Clusters(), 1, "what it made is left")
		s.record("provision-canceled-while-waiting")
	})
	t.Run("while Atlas is asked", func(t *testing.T) {
		t.Parallel()
		arrived, release := make(chan struct{}), make(chan struct{})
		s := setup(t, atlassim.Config{Hook: func(stage atlassim.Stage, e atlassim.Entry) {
			if stage == atlassim.Arrived && e.Method == "POST" && e.Authenticated {
				close(arrived)
				<-release
			}
		}})
		run, err := s.client.Start(s.ctx(), flex(t))
		require.NoError(t, err)
		<-arrived
		require.NoError(t, s.client.Cancel(s.ctx(), run.WorkflowID, run.RunID))
		close(release)
		_, err = s.result(run)
		require.Equal(t, provisioner.Canceled, failure(t, err).State)
		require.Len(t, s.sim.Clusters(), 1, "a request under way takes its course")
		s.record("provision-canceled-while-asking")
	})
	t.Run("before a worker has it", func(t *testing.T) {
		t.Parallel()
		s := setupWithoutWorker(t, atlassim.Config{})
		run, err := s.client.Start(s.ctx(), flex(t))
		require.NoError(t, err)
		require.NoError(t, s.client.Cancel(s.ctx(), run.WorkflowID, run.RunID))
		s.startWorker()
		_, err = s.result(run)
		require.Equal(t, provisioner.Canceled, failure(t, err).State)
		require.Empty(t, s.sim.Ledger())
	})
}

// Without the search attributes nothing is set and nothing fails.
func TestServerWithoutSearchAttributes(t *testing.T) {
	t.Parallel()
	bare, err := temporaltest.Start(false)
	require.NoError(t, err)
	t.Cleanup(func() { _ = bare.Stop() })
	s := setupWithoutWorker(t, atlassim.Config{})
	s.temporal, s.address = bare.Client(), bare.FrontendHostPort()
	s.client = provisioner.New(s.temporal, provisioner.Options{TaskQueue: s.queue})
	s.startWorker()
	cluster, err := s.provision(flex(t))
	require.NoError(t, err)
	require.Equal(t, contract.Created, cluster.Outcome)
	s.record("provision-without-search-attributes")
	for _, e := range s.history(s.last) {
		require.NotEqual(t, enumspb.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES, e.GetEventType())
	}
	require.Contains(t, s.logs.String(), "temporal operator search-attribute create --type Keyword --name AtlasProjectId")
}
