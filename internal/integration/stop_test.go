package integration

import (
	"fmt"
	"slices"
	"testing"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"

	"github.com/stretchr/testify/require"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv/testworker"
	"github.com/atlas-provisioner/atlas-provisioner/provisioner"
)

// A worker that stops ends its attempts of waits, and another worker goes on with them at once.
func TestStopLetsWaitsGoOn(t *testing.T) {
	t.Parallel()
	pace := testworker.Quick
	pace.Fast, pace.FastEvery = time.Hour, 500*time.Millisecond
	s := testenv.New(t, atlassim.Config{CreateFor: atlassim.Duration(time.Hour)})
	w := testworker.Start(s, testworker.WithPace(pace))
	run := start(s, flex(t))
	testenv.Eventually(t, func() bool { return s.Requests("GET", "/"+flex(t).Name) > 1 })
	w.Stop()
	status, err := s.Client.Status(s.Context(), run.WorkflowID, run.RunID)
	require.NoError(t, err)
	require.Equal(t,
		fmt.Sprintf(`cluster %q: the worker is stopping; another one goes on`, flex(t).Name),
		status.Pending.LastFailure,
	)
	require.Equal(t, 2, status.Pending.Attempt)

	testworker.Start(s, testworker.WithPace(pace))
	require.NoError(t, s.Sim.SetState(project, flex(t).Name, "IDLE"))
	cluster, err := result(s, run)
	require.NoError(t, err)
	require.Equal(t, contract.Created, cluster.Outcome)
}

func TestCancel(t *testing.T) {
	t.Parallel()
	t.Run("while waiting", func(t *testing.T) {
		t.Parallel()
		s := setup(t, atlassim.Config{CreateFor: atlassim.Duration(time.Hour)})
		run := start(s, flex(t))
		testenv.Eventually(t, func() bool { return s.Requests("GET", "/"+flex(t).Name) > 1 })
		require.NoError(t, s.Client.Cancel(s.Context(), run.WorkflowID, run.RunID))
		_, err := result(s, run)
		require.Equal(t,
			&provisioner.Failure{
				State:   provisioner.Canceled,
				Type:    "CANCELED",
				Message: "the run was cancelled; what Atlas has begun goes on",
			},
			testenv.Failure(t, err),
		)
		require.Len(t, s.Sim.Clusters(), 1, "the cluster is left")
		record(s, "provision-canceled-while-waiting")
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
		run := start(s, flex(t))
		<-arrived
		require.NoError(t, s.Client.Cancel(s.Context(), run.WorkflowID, run.RunID))
		close(release)
		_, err := result(s, run)
		require.Equal(t, provisioner.Canceled, testenv.Failure(t, err).State)
		require.Len(t, s.Sim.Clusters(), 1, "the request that was sent is not cancelled")
		record(s, "provision-canceled-while-asking")
	})
	t.Run("while Atlas is asked, and its answer is lost", func(t *testing.T) {
		t.Parallel()
		arrived, release := make(chan struct{}), make(chan struct{})
		s := setup(t, atlassim.Config{Hook: func(stage atlassim.Stage, e atlassim.Entry) {
			if stage == atlassim.Arrived && e.Method == "POST" && e.Authenticated {
				close(arrived)
				<-release
			}
		}})
		s.Sim.AddFault(atlassim.Fault{Method: "POST", Kind: atlassim.FaultHTML, Status: 502, AfterEffect: true})
		run := start(s, flex(t))
		<-arrived
		require.NoError(t, s.Client.Cancel(s.Context(), run.WorkflowID, run.RunID))
		testenv.Eventually(t, func() bool {
			return slices.ContainsFunc(s.History(run), func(e *historypb.HistoryEvent) bool {
				return e.GetEventType() == enumspb.EVENT_TYPE_ACTIVITY_TASK_CANCEL_REQUESTED
			})
		})
		close(release)
		_, err := result(s, run)
		require.Equal(t, provisioner.Canceled, testenv.Failure(t, err).State, err)
	})
	t.Run("before a worker has it", func(t *testing.T) {
		t.Parallel()
		s := testenv.New(t, atlassim.Config{})
		run := start(s, flex(t))
		require.NoError(t, s.Client.Cancel(s.Context(), run.WorkflowID, run.RunID))
		testworker.Start(s)
		_, err := result(s, run)
		require.Equal(t, provisioner.Canceled, testenv.Failure(t, err).State)
		require.Zero(t, s.Requests("POST", "/flexClusters"))
	})
}
