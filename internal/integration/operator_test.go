package integration

import (
	"crypto/rand"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv/testworker"
	"github.com/atlas-provisioner/atlas-provisioner/provisioner"
)

// What an operator does with the Temporal CLI or the Web UI, by the requests that these make.

func execution(run provisioner.Run) *commonpb.WorkflowExecution {
	return &commonpb.WorkflowExecution{WorkflowId: run.WorkflowID, RunId: run.RunID}
}

// reset does `temporal workflow reset --event-id`, and returns the new run.
func reset(s *testenv.Stack, run provisioner.Run, event int64) provisioner.Run {
	s.TB().Helper()
	answer, err := s.Temporal.WorkflowService().
		ResetWorkflowExecution(s.Context(), &workflowservice.ResetWorkflowExecutionRequest{
			Namespace: "default", WorkflowExecution: execution(run), WorkflowTaskFinishEventId: event,
			Reason: "test", RequestId: rand.Text(),
		})
	require.NoError(s.TB(), err)
	return provisioner.Run{WorkflowID: run.WorkflowID, RunID: answer.GetRunId()}
}

// resetActivity does `temporal activity reset`, with or without --reset-heartbeats.
func resetActivity(s *testenv.Stack, run provisioner.Run, activity string, heartbeats bool) {
	s.TB().Helper()
	_, err := s.Temporal.WorkflowService().ResetActivity(s.Context(), &workflowservice.ResetActivityRequest{
		Namespace: "default", Execution: execution(run), ResetHeartbeat: heartbeats,
		Activity: &workflowservice.ResetActivityRequest_Type{Type: activity},
	})
	require.NoError(s.TB(), err)
}

// pause does `temporal activity pause`.
func pause(s *testenv.Stack, run provisioner.Run, activity string) {
	s.TB().Helper()
	_, err := s.Temporal.WorkflowService().PauseActivity(s.Context(), &workflowservice.PauseActivityRequest{
		Namespace: "default", Execution: execution(run), Reason: "test",
		Activity: &workflowservice.PauseActivityRequest_Type{Type: activity},
	})
	require.NoError(s.TB(), err)
}

// unpause does `temporal activity unpause`.
func unpause(s *testenv.Stack, run provisioner.Run, activity string) {
	s.TB().Helper()
	_, err := s.Temporal.WorkflowService().UnpauseActivity(s.Context(), &workflowservice.UnpauseActivityRequest{
		Namespace: "default", Execution: execution(run),
		Activity: &workflowservice.UnpauseActivityRequest_Type{Type: activity},
	})
	require.NoError(s.TB(), err)
}

// awaitPending waits until the pending activity of a run is as a condition says.
func awaitPending(s *testenv.Stack, run provisioner.Run, condition func(*workflowpb.PendingActivityInfo) bool) {
	s.TB().Helper()
	testenv.Eventually(s.TB(), func() bool {
		d, err := s.Temporal.DescribeWorkflowExecution(s.Context(), run.WorkflowID, run.RunID)
		return err == nil && len(d.GetPendingActivities()) == 1 && condition(d.GetPendingActivities()[0])
	}, "the pending activity")
}

func isPaused(a *workflowpb.PendingActivityInfo) bool {
	return a.GetState() == enumspb.PENDING_ACTIVITY_STATE_PAUSED
}

func isRunning(a *workflowpb.PendingActivityInfo) bool {
	return a.GetState() == enumspb.PENDING_ACTIVITY_STATE_STARTED
}

func isBetweenAttempts(a *workflowpb.PendingActivityInfo) bool {
	return a.GetState() == enumspb.PENDING_ACTIVITY_STATE_SCHEDULED && a.GetAttempt() > 1
}

// finishedTasks returns the ids of the WorkflowTaskCompleted events of a run, to which it can be reset, the last
// first.
func finishedTasks(s *testenv.Stack, run provisioner.Run) (ids []int64) {
	s.TB().Helper()
	for _, e := range s.History(run) {
		if e.GetEventType() == enumspb.EVENT_TYPE_WORKFLOW_TASK_COMPLETED {
			ids = append([]int64{e.GetEventId()}, ids...)
		}
	}
	return ids
}

// requireOneCluster requires that a run has ended with the only cluster that was ever created, made by itself.
func requireOneCluster(s *testenv.Stack, run provisioner.Run) {
	t := s.TB()
	t.Helper()
	cluster, err := s.Client.Result(s.Context(), run.WorkflowID, run.RunID)
	require.NoError(t, err)
	require.Equal(t, contract.Created, cluster.Outcome)
	require.Equal(t, "IDLE", cluster.StateName)
	require.Len(t, s.Sim.Clusters(), 1)
	require.Equal(t, cluster.ID, s.Sim.Clusters()[0].ID)
	require.Equal(t, 1, s.Sim.Count(atlassim.Created))
}

// A wait is paused, during an attempt and between two. The pause ends the attempt, and after unpause the same run
// ends with its cluster.
func TestPauseWait(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		pace func() testworker.Option
		when func(*workflowpb.PendingActivityInfo) bool
	}{
		{"during an attempt", longAttempts, isRunning},
		{"between attempts", quickAttempts, isBetweenAttempts},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := setup(t, neverIdle(), test.pace())
			run := start(s, flex(t))
			s.AwaitRequests(2, "GET", "/"+testenv.ClusterName(t))
			awaitPending(s, run, test.when)
			pause(s, run, contract.WaitUntilIdleActivity)
			awaitPending(s, run, isPaused)
			makeIdle(s)
			unpause(s, run, contract.WaitUntilIdleActivity)
			requireOneCluster(s, run)
			require.LessOrEqual(t, countEvents(s, run), maxEvents)
		})
	}
}

// longAttempts is a pace at which a wait looks for an hour in one attempt.
func longAttempts() testworker.Option {
	pace := testworker.Quick
	pace.Fast = time.Hour
	return testworker.WithPace(pace)
}

// quickAttempts is a pace at which a wait soon looks once in each attempt.
func quickAttempts() testworker.Option {
	pace := testworker.Quick
	pace.SlowMin, pace.SlowMax = 2*time.Second, 4*time.Second
	return testworker.WithPace(pace)
}

// A create is paused when Atlas has carried it out but its answer was lost. After unpause the next attempt finds the
// cluster and takes it for what the run has made.
func TestPauseCreate(t *testing.T) {
	t.Parallel()
	s := setup(t, atlassim.Config{})
	s.Sim.AddFault(
		atlassim.Fault{
			Method:      "POST",
			Kind:        atlassim.FaultHTML,
			Status:      502,
			AfterEffect: true,
			RetryAfter:  "5",
			Times:       1,
		},
	)
	run := start(s, flex(t))
	awaitPending(s, run, isBetweenAttempts)
	pause(s, run, contract.CreateFlexClusterActivity)
	awaitPending(s, run, isPaused)
	unpause(s, run, contract.CreateFlexClusterActivity)
	requireOneCluster(s, run)
}

// A run whose activity is paused does not end while it is, also when its time limit passes: Temporal counts no time
// limit of a paused activity. After unpause it ends with TIMEOUT.
func TestPauseBeyondTheTimeLimit(t *testing.T) {
	t.Parallel()
	const limit = 20 * time.Second // an attempt learns of the pause by its next heartbeat, after 4 s
	s := setup(t, neverIdle(), longAttempts())
	in := flex(t)
	in.TimeoutSeconds = new(int(limit / time.Second))
	begun := time.Now()
	run := start(s, in)
	s.AwaitRequests(2, "GET", "/"+in.Name)
	pause(s, run, contract.WaitUntilIdleActivity)
	awaitPending(s, run, isPaused)
	testenv.Eventually(t, func() bool { return time.Since(begun) > limit+time.Second })
	status, err := s.Client.Status(s.Context(), run.WorkflowID, run.RunID)
	require.NoError(t, err)
	require.Equal(t, provisioner.Running, status.State)
	unpause(s, run, contract.WaitUntilIdleActivity)
	_, err = s.Client.Result(s.Context(), run.WorkflowID, run.RunID)
	failure := testenv.Failure(t, err)
	require.Equal(t, contract.Timeout, failure.Type)
	require.Equal(t, "CREATING", failure.Details.StateName)
	require.Len(t, s.Sim.Clusters(), 1)
}

// A run is terminated when Atlas has taken its upgrade, and started again while Atlas still shows the cluster IDLE as
// it was before. Atlas refuses the second upgrade, and the run goes on with the first.
func TestTerminateDuringUpgrade(t *testing.T) {
	t.Parallel()
	pace := testworker.Quick
	pace.SettleFor = 30 * time.Second
	s := setup(t, withShared(t, atlassim.Config{
		UpgradeFor: atlassim.Duration(8 * time.Second), StaleIdleFor: atlassim.Duration(5 * time.Second),
	}), testworker.WithPace(pace))
	first := start(s, serverless(t))
	s.AwaitRequests(1, "POST", upgradePath)
	require.NoError(t, s.Temporal.TerminateWorkflow(s.Context(), first.WorkflowID, first.RunID, "test"))
	again := start(s, serverless(t))
	require.NotEqual(t, first.RunID, again.RunID)
	cluster, err := s.Client.Result(s.Context(), again.WorkflowID, again.RunID)
	require.NoError(t, err)
	require.Equal(t, "IDLE", cluster.StateName)
	require.Equal(t, 2, s.Requests("POST", upgradePath))
	require.Equal(t, 1, s.Sim.Count(atlassim.Upgraded))
}

// An upgrade that Atlas goes on refusing in general words fails with them, after a while of looking for one that is
// under way.
func TestUpgradeRefusedInGeneralWords(t *testing.T) {
	t.Parallel()
	pace := testworker.Quick
	pace.SettleFor = 2 * time.Second
	s := setup(t, withShared(t, atlassim.Config{}), testworker.WithPace(pace))
	s.Sim.AddFault(atlassim.Fault{
		Method: "POST", Kind: atlassim.FaultStatus, Status: 400, ErrorCode: "ATLAS_GENERAL_ERROR",
		Detail: "Reason: No.",
	})
	_, err := execute(s, serverless(t))
	failure := testenv.Failure(t, err)
	require.Equal(t, "ATLAS_GENERAL_ERROR", failure.Type)
	require.Contains(t, failure.Message, "Atlas answered 400 ATLAS_GENERAL_ERROR (Reason: No.): correct the request")
	require.Equal(t, 2, s.Requests("POST", upgradePath))
}

// A run is terminated at each stage of its create, and the request is started again under the same id: there is one
// cluster, and the second run says CREATED only if it was the one that created it.
func TestTerminateDuringCreate(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		stage atlassim.Stage
		want  contract.Outcome
	}{
		// The first create does not reach Atlas before the second.
		{atlassim.Arrived, contract.Created},
		{atlassim.Applied, contract.Unchanged},
		{atlassim.Answered, contract.Unchanged},
	} {
		t.Run(string(test.stage), func(t *testing.T) {
			t.Parallel()
			reached, proceed := make(chan struct{}), make(chan struct{})
			var creates atomic.Int32
			s := setup(t, atlassim.Config{Hook: func(stage atlassim.Stage, e atlassim.Entry) {
				if stage == test.stage && e.Method == "POST" && e.Authenticated {
					if creates.Add(1) == 1 {
						close(reached)
						<-proceed
					}
				}
			}}, withRequestTimeout(2*time.Second))
			first := start(s, flex(t))
			<-reached
			require.NoError(t, s.Temporal.TerminateWorkflow(s.Context(), first.WorkflowID, first.RunID, "test"))
			awaitAge(s)
			again := start(s, flex(t))
			require.NotEqual(t, first.RunID, again.RunID)
			if test.stage == atlassim.Arrived {
				s.AwaitRequests(2, "POST", "/flexClusters")
			}
			close(proceed)
			cluster, err := s.Client.Result(s.Context(), again.WorkflowID, again.RunID)
			require.NoError(t, err)
			require.Equal(t, test.want, cluster.Outcome)
			require.Equal(t, "IDLE", cluster.StateName)
			require.Len(t, s.Sim.Clusters(), 1)
			require.Equal(t, 1, s.Sim.Count(atlassim.Created))
			_, err = s.Client.Result(s.Context(), first.WorkflowID, first.RunID)
			require.Equal(t, provisioner.Terminated, testenv.Failure(t, err).State)
		})
	}
}
