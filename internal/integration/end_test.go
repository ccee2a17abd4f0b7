package integration

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv/testworker"
	"github.com/atlas-provisioner/atlas-provisioner/provisioner"
)

// A run leaves the search attribute AtlasClusterState as the state of the cluster at its end, however it ends, also
// where the wait has not seen that state: there the pace lets it look once in an hour.
func TestStateAtTheEnd(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		sim   atlassim.Config
		fault atlassim.Fault
		// during happens when the wait has seen the cluster CREATING, before the run is cancelled. nil: nothing is
		// cancelled.
		during    func(*testing.T, *testenv.Stack)
		wantType  string
		wantState string
	}{
		{name: "done", wantState: "IDLE"},
		{name: "refused", wantType: "NO_PAYMENT_INFORMATION_FOUND", fault: atlassim.Fault{
			Method: http.MethodPost, Kind: atlassim.FaultStatus, Status: 402, ErrorCode: "NO_PAYMENT_INFORMATION_FOUND",
		}},
		{name: "time limit", sim: slowCreate, wantType: "TIMEOUT", wantState: "CREATING"},
		{name: "cancelled while Atlas creates", sim: slowCreate, during: func(*testing.T, *testenv.Stack) {},
			wantType: "CANCELED", wantState: "CREATING"},
		{name: "cancelled when Atlas has created", sim: slowCreate, during: finishCluster,
			wantType: "CANCELED", wantState: "IDLE"},
		{name: "cancelled when the cluster is gone", sim: slowCreate, during: deleteCluster, wantType: "CANCELED"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			pace := testworker.Quick
			if test.during != nil {
				pace.Fast, pace.FastEvery = time.Hour, time.Hour
			}
			s := setup(t, test.sim, testworker.WithPace(pace))
			if test.fault.Kind != "" {
				s.Sim.AddFault(test.fault)
			}
			in := flex(t)
			in.TimeoutSeconds = new(8)
			if test.during != nil {
				in.TimeoutSeconds = nil
			}
			run := start(s, in)
			if test.during != nil {
				s.AwaitRequests(1, "GET", "/"+in.Name)
				test.during(t, s)
				require.NoError(t, s.Client.Cancel(s.Context(), run.WorkflowID, run.RunID))
			}
			_, err := s.Client.Result(s.Context(), run.WorkflowID, run.RunID)
			if test.wantType == "" {
				require.NoError(t, err)
			} else {
				require.Equal(t, test.wantType, testenv.Failure(t, err).Type)
			}
			status, err := s.Client.Status(s.Context(), run.WorkflowID, run.RunID)
			require.NoError(t, err)
			require.Equal(t, test.wantState, status.ClusterState)
		})
	}
}

// A run that succeeds leaves no line of level error in the log of the worker, nor does one that is cancelled or
// terminated while it waits: the attempt of the wait ends as somebody asked for.
func TestNoErrorInTheLog(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		sim  atlassim.Config
		end  func(*testenv.Stack, provisioner.Run) error // nil: the run ends by itself
	}{
		{name: "done"},
		{name: "cancelled", sim: slowCreate, end: func(s *testenv.Stack, run provisioner.Run) error {
			return s.Client.Cancel(s.Context(), run.WorkflowID, run.RunID)
		}},
		{name: "terminated", sim: slowCreate, end: func(s *testenv.Stack, run provisioner.Run) error {
			return s.Temporal.TerminateWorkflow(s.Context(), run.WorkflowID, run.RunID, "test")
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := testenv.New(t, test.sim)
			w := testworker.Start(s, longAttempts())
			run := start(s, flex(t))
			if test.end != nil {
				s.AwaitRequests(2, "GET", "/"+testenv.ClusterName(t))
				require.NoError(t, test.end(s, run))
				testenv.Eventually(t,
					func() bool { return endedAttempt(w, contract.WaitUntilIdleActivity) },
					"the wait's end",
				)
			}
			_, _ = s.Client.Result(s.Context(), run.WorkflowID, run.RunID)
			w.Stop()
			require.NotContains(t, w.Logs.String(), `"level":"error"`)
		})
	}
}

// endedAttempt tells whether the SDK has logged that an attempt of an activity ended with an error.
func endedAttempt(w *testworker.Worker, activity string) bool {
	for line := range strings.Lines(w.Logs.String()) {
		if strings.Contains(line, `"Activity error."`) && strings.Contains(line, `"`+activity+`"`) {
			return true
		}
	}
	return false
}
