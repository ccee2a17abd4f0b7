package integration

import (
	"cmp"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/sdk/client"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv/testworker"
	"github.com/atlas-provisioner/atlas-provisioner/provisioner"
)

// A run that is reset after a TIMEOUT gets its whole time limit again, from each point of its history, also when it
// is reset more than once. When the cluster is IDLE at last, the run ends with it, as with a cluster that it has
// made.
func TestResetAfterTimeout(t *testing.T) {
	t.Parallel()
	const limit = 8 * time.Second
	s := setup(t, neverIdle())
	in := flex(t)
	in.TimeoutSeconds = new(int(limit / time.Second))
	run := start(s, in)
	_, err := s.Client.Result(s.Context(), run.WorkflowID, run.RunID)
	require.Equal(t, contract.Timeout, testenv.Failure(t, err).Type)

	points := finishedTasks(s, run)
	require.Len(t, points, 3, "after the wait, after the create, and the first")
	timedOut := run
	for _, point := range points {
		begun := time.Now()
		timedOut = reset(s, run, point)
		_, err := s.Client.Result(s.Context(), timedOut.WorkflowID, timedOut.RunID)
		failure := testenv.Failure(t, err)
		require.Equal(t, contract.Timeout, failure.Type)
		require.Contains(t, failure.Message,
			"was not IDLE within 8s (timeoutSeconds): the last state seen was CREATING",
		)
		// The wait gives up early where the next look would be too late.
		require.Greater(t, time.Since(begun), limit/2, "event %d", point)
	}
	begun := time.Now()
	timedOut = reset(s, timedOut, finishedTasks(s, timedOut)[0])
	_, err = s.Client.Result(s.Context(), timedOut.WorkflowID, timedOut.RunID)
	require.Equal(t, contract.Timeout, testenv.Failure(t, err).Type)
	require.Greater(t, time.Since(begun), limit/2, "a reset of a run that was reset")

	makeIdle(s)
	requireOneCluster(s, reset(s, timedOut, finishedTasks(s, timedOut)[0]))
}

// A run is reset while it waits. The attempt of the wait that is under way ends, and there is one cluster.
func TestResetDuringWait(t *testing.T) {
	t.Parallel()
	s := setup(t, neverIdle())
	run := start(s, flex(t))
	s.AwaitRequests(2, "GET", "/"+testenv.ClusterName(t))
	for _, point := range finishedTasks(s, run) {
		looks := s.Requests("GET", "/"+testenv.ClusterName(t))
		run = reset(s, run, point)
		s.AwaitRequests(looks+3, "GET", "/"+testenv.ClusterName(t))
	}
	makeIdle(s)
	requireOneCluster(s, run)
}

// resetCase is how a recorded history comes about, and what becomes of it when it is reset to each of its points.
type resetCase struct {
	// history is its name in workflows/testdata.
	history string
	sim     atlassim.Config
	// request is what the run is asked for. nil: a request for a Flex cluster.
	request func(*testing.T) contract.Request
	// prepare is what happens before the run. It may be nil.
	prepare func(*testing.T, *testenv.Stack)
	// interfere is what happens during the run. It may be nil.
	interfere func(*testing.T, *testenv.Stack, provisioner.Run)
	// want is how the run ends: its outcome, or the type of its failure.
	want string
	// repair is what the operator does before the reset. It may be nil.
	repair func(*testing.T, *testenv.Stack)
	// afterReset is how the run ends that was reset, for the last point of the history, the one before, and so on.
	afterReset []string
	// afterCanceled is, for a run that was cancelled, how the run ends that was reset to a point before the
	// cancellation. One that was reset to a point after it is cancelled again.
	afterCanceled string
	// afterFirst is, for a run that was cancelled, how the run ends that was reset to the first point, if otherwise.
	afterFirst string
	// created, upgraded, updated and deleted count what the simulator has carried out in the end.
	created, upgraded, updated, deleted int
}

func flexRequest(t *testing.T) contract.Request       { return flex(t) }
func serverlessRequest(t *testing.T) contract.Request { return serverless(t) }

func flexInEurope(t *testing.T) contract.Request {
	in := flex(t)
	in.ProviderSettings.RegionName = "EU_WEST_1"
	return in
}

func serverlessInEurope(t *testing.T) contract.Request {
	in := serverless(t)
	in.ProviderSettings.RegionName = "EU_WEST_1"
	return in
}

func flexWithTimeLimit(seconds int) func(*testing.T) contract.Request {
	return func(t *testing.T) contract.Request {
		in := flex(t)
		in.TimeoutSeconds = &seconds
		return in
	}
}

func serverlessWithTimeLimit(seconds int) func(*testing.T) contract.Request {
	return func(t *testing.T) contract.Request {
		in := serverless(t)
		in.TimeoutSeconds = &seconds
		return in
	}
}

// withTimeLimit gives an update or a delete a time limit.
func withTimeLimit(request func(*testing.T) contract.Request, seconds int) func(*testing.T) contract.Request {
	return func(t *testing.T) contract.Request {
		switch in := request(t).(type) {
		case contract.UpdateFlexClusterInput:
			in.TimeoutSeconds = &seconds
			return in
		case contract.DeleteClusterInput:
			in.TimeoutSeconds = &seconds
			return in
		}
		t.Fatal("no update and no delete")
		return nil
	}
}

func updateToWhatItIs(t *testing.T) contract.Request {
	in := update(t)
	in.Tags = flex(t).Tags
	return in
}

func flexUpdated(t *testing.T) contract.Request {
	in := flex(t)
	in.IfDifferent = contract.UpdateIfDifferent
	return in
}

func flexAdopted(t *testing.T) contract.Request {
	in := flex(t)
	in.Adopt = true
	return in
}

func makeProtectedBefore(t *testing.T, s *testenv.Stack) {
	makeProtected(t, s)
	awaitAge(s)
}

func makeUntaggedBefore(t *testing.T, s *testenv.Stack) {
	makeUntagged(t, s)
	awaitAge(s)
}

func makeDeleting(t *testing.T, s *testenv.Stack) {
	makeOurs(t, s)
	require.NoError(t, s.Sim.Delete(project, testenv.ClusterName(t)))
}

func unprotectCluster(t *testing.T, s *testenv.Stack) {
	require.NoError(t, s.Sim.Update(project, testenv.ClusterName(t), nil, new(false)))
}

// cancelDuringChange cancels a run when Atlas has taken its change or its delete.
func cancelDuringChange(t *testing.T, s *testenv.Stack, run provisioner.Run) {
	awaitPending(s, run, func(a *workflowpb.PendingActivityInfo) bool {
		taken := s.Sim.Count(atlassim.Updated)+s.Sim.Count(atlassim.Deleted) > 0
		return taken && a.GetActivityType().GetName() != contract.UpdateFlexClusterActivity
	})
	require.NoError(t, s.Client.Cancel(s.Context(), run.WorkflowID, run.RunID))
}

// executeBefore executes a request before the run of a case, and waits until the cluster is older than a run that
// begins then.
func executeBefore(request func(*testing.T) contract.Request) func(*testing.T, *testenv.Stack) {
	return func(t *testing.T, s *testenv.Stack) {
		_, err := execute(s, request(t))
		require.NoError(t, err)
		awaitAge(s)
	}
}

// awaitAge waits until a run that begins cannot have made the clusters that there are. Atlas tells their age to the
// second.
func awaitAge(s *testenv.Stack) {
	for _, c := range s.Sim.Clusters() {
		testenv.Eventually(s.TB(), func() bool { return time.Since(c.CreateDate) > 3*time.Second })
	}
}

// addFault makes requests that change something go wrong.
func addFault(fault atlassim.Fault) func(*testing.T, *testenv.Stack) {
	fault.Method = http.MethodPost
	return func(_ *testing.T, s *testenv.Stack) { s.Sim.AddFault(fault) }
}

func clearFaults(_ *testing.T, s *testenv.Stack) { s.Sim.ClearFaults() }

// finishCluster makes the cluster IDLE whatever Atlas is doing with it.
func finishCluster(t *testing.T, s *testenv.Stack) {
	require.NoError(t, s.Sim.SetState(project, testenv.ClusterName(t), "IDLE"))
}

// awaitUpgrade waits until Atlas has upgraded the cluster.
func awaitUpgrade(t *testing.T, s *testenv.Stack) {
	testenv.Eventually(t, func() bool {
		clusters := s.Sim.Clusters()
		return len(clusters) == 1 && clusters[0].Kind == atlassim.SERVERLESS && clusters[0].State == "IDLE"
	})
}

func deleteCluster(t *testing.T, s *testenv.Stack) {
	require.NoError(t, s.Sim.Delete(project, testenv.ClusterName(t)))
	testenv.Eventually(t, func() bool { return len(s.Sim.Clusters()) == 0 })
}

// awaitLooks waits until the wait of a run has looked a few times. The activity before it can have looked as well.
func awaitLooks(t *testing.T, s *testenv.Stack, run provisioner.Run) {
	awaitPending(s, run, func(a *workflowpb.PendingActivityInfo) bool {
		name := a.GetActivityType().GetName()
		return name == contract.WaitUntilIdleActivity || name == contract.WaitUntilAsAskedActivity
	})
	s.AwaitRequests(s.Requests("GET", "/"+testenv.ClusterName(t))+3, "GET", "/"+testenv.ClusterName(t))
}

func cancelDuringWait(t *testing.T, s *testenv.Stack, run provisioner.Run) {
	awaitLooks(t, s, run)
	require.NoError(t, s.Client.Cancel(s.Context(), run.WorkflowID, run.RunID))
}

func deleteDuringWait(t *testing.T, s *testenv.Stack, run provisioner.Run) {
	awaitLooks(t, s, run)
	deleteCluster(t, s)
}

var slowCreate = atlassim.Config{CreateFor: atlassim.Duration(time.Hour), DeleteFor: atlassim.Duration(time.Nanosecond)}

// upgradeResetCases has those of the upgrades to Flex and dedicated.
func upgradeResetCases() (cases []resetCase) {
	for _, kind := range upgradeKinds {
		request := func(t *testing.T) contract.Request { return kind.request(t, here(t), 0) }
		inEurope := func(t *testing.T) contract.Request { return kind.request(t, elsewhere(t), 0) }
		within := func(seconds int) func(*testing.T) contract.Request {
			return func(t *testing.T) contract.Request { return kind.request(t, here(t), seconds) }
		}
		upgradeBefore := func(t *testing.T, s *testenv.Stack) {
			kind.prepare(t, s)
			executeBefore(request)(t, s)
		}
		for _, c := range []resetCase{
			{history: "upgraded", request: request, want: "UPGRADED",
				afterReset: []string{"UPGRADED", "UPGRADED", "UPGRADED"}, upgraded: 1},
			{history: "unchanged", prepare: upgradeBefore, request: request, want: "UNCHANGED",
				afterReset: []string{"UNCHANGED", "UNCHANGED"}, upgraded: 1},
			{history: "conflict", prepare: upgradeBefore, request: inEurope, want: "CLUSTER_CONFLICT",
				afterReset: []string{"CLUSTER_CONFLICT", "CLUSTER_CONFLICT"}, upgraded: 1},
			{history: "refused", request: request, want: "NO_PAYMENT_INFORMATION_FOUND",
				prepare: func(t *testing.T, s *testenv.Stack) {
					kind.prepare(t, s)
					addFault(statusFault(402, "NO_PAYMENT_INFORMATION_FOUND"))(t, s)
				}, repair: clearFaults, afterReset: []string{"UPGRADED", "UPGRADED"}, upgraded: 1},
			{history: "timeout", sim: atlassim.Config{UpgradeFor: atlassim.Duration(9 * time.Second)},
				request: within(8), want: "TIMEOUT",
				afterReset: []string{"UPGRADED", "UPGRADED", "UPGRADED"}, upgraded: 1},
			{history: "gone", sim: slowUpgrade, request: within(20), interfere: deleteDuringWait, want: "CLUSTER_GONE",
				afterReset: []string{"CLUSTER_GONE", "CLUSTER_GONE", "CLUSTER_NOT_FOUND"}, upgraded: 1},
			{history: "canceled-while-waiting", sim: atlassim.Config{UpgradeFor: atlassim.Duration(5 * time.Second)},
				request: request, interfere: cancelDuringWait, want: "CANCELED",
				afterCanceled: "UPGRADED", upgraded: 1},
		} {
			c.history = kind.name + "-" + c.history
			if c.prepare == nil {
				c.prepare = kind.prepare
			}
			cases = append(cases, c)
		}
	}
	return cases
}

// resetCases has a case for each recorded history.
//
// A reset makes the run go on as if what followed the point had not been: an activity whose end is before the point
// is not executed again unless it failed. A cancellation that was requested after the point is not there either.
func resetCases() []resetCase {
	return append(upgradeResetCases(), []resetCase{
		{
			history:    "provision-created",
			want:       "CREATED",
			afterReset: []string{"CREATED", "CREATED", "CREATED"},
			created:    1,
		},
		{history: "provision-unchanged", prepare: executeBefore(flexRequest), want: "UNCHANGED",
			afterReset: []string{"UNCHANGED", "UNCHANGED"}, created: 1},
		{history: "provision-idle-without-standard", sim: atlassim.Config{StandardAfter: atlassim.Duration(time.Hour)},
			want: "CREATED", afterReset: []string{"CREATED", "CREATED", "CREATED"}, created: 1},
		{history: "provision-conflict", prepare: executeBefore(flexRequest), request: flexInEurope,
			sim: atlassim.Config{
				DeleteFor: atlassim.Duration(time.Nanosecond),
			}, want: "CLUSTER_CONFLICT", repair: deleteCluster,
			afterReset: []string{"CREATED", "CREATED"}, created: 2},
		{history: "provision-refused", prepare: addFault(statusFault(402, "NO_PAYMENT_INFORMATION_FOUND")),
			want: "NO_PAYMENT_INFORMATION_FOUND", repair: clearFaults,
			afterReset: []string{"CREATED", "CREATED"}, created: 1},
		{history: "provision-given-up", request: flexWithTimeLimit(4), prepare: addFault(atlassim.Fault{
			Method: http.MethodPost, Kind: atlassim.FaultHTML, Status: 503,
		}), want: "HTTP_503", repair: clearFaults, afterReset: []string{"CREATED", "CREATED"}, created: 1},
		{
			history:    "provision-timeout",
			sim:        slowCreate,
			request:    flexWithTimeLimit(8),
			want:       "TIMEOUT",
			repair:     finishCluster,
			afterReset: []string{"CREATED", "CREATED", "CREATED"},
			created:    1,
		},
		// Atlas carries the first request out after the run has given up, and its answer is lost.
		{history: "provision-timeout-while-asking", request: flexWithTimeLimit(4), prepare: addFault(atlassim.Fault{
			Method: http.MethodPost, Kind: atlassim.FaultHang, Hang: atlassim.Duration(4500 * time.Millisecond),
		}), want: "TIMEOUT", repair: clearFaults, afterReset: []string{"CREATED", "CREATED"}, created: 1},
		// A wait that has never seen the cluster does not say that it is gone. The first point creates another one.
		{
			history: "provision-gone",
			sim: atlassim.Config{
				CreateFor: atlassim.Duration(8 * time.Second),
				DeleteFor: atlassim.Duration(time.Nanosecond),
			},
			request:    flexWithTimeLimit(20),
			interfere:  deleteDuringWait,
			want:       "CLUSTER_GONE",
			afterReset: []string{"TIMEOUT", "TIMEOUT", "CREATED"},
			created:    2,
		},
		{history: "provision-canceled-while-waiting", sim: slowCreate, interfere: cancelDuringWait, want: "CANCELED",
			repair: finishCluster, afterCanceled: "CREATED", created: 1},
		{history: "upgrade-upgraded", request: serverlessRequest,
			want: "UPGRADED", afterReset: []string{"UPGRADED", "UPGRADED", "UPGRADED"}, upgraded: 1},
		{history: "upgrade-unchanged", prepare: executeBefore(serverlessRequest), request: serverlessRequest,
			want: "UNCHANGED", afterReset: []string{"UNCHANGED", "UNCHANGED"}, upgraded: 1},
		{history: "upgrade-conflict", prepare: executeBefore(serverlessRequest), request: serverlessInEurope,
			want: "CLUSTER_CONFLICT", afterReset: []string{"CLUSTER_CONFLICT", "CLUSTER_CONFLICT"}, upgraded: 1},
		{history: "upgrade-retired", sim: atlassim.Config{UpgradeRetired: true}, request: serverlessRequest,
			want: "VERSION_GONE", afterReset: []string{"VERSION_GONE", "VERSION_GONE"}},
		{
			history:    "upgrade-timeout",
			sim:        atlassim.Config{UpgradeFor: atlassim.Duration(15 * time.Second)},
			request:    serverlessWithTimeLimit(8),
			want:       "TIMEOUT",
			repair:     awaitUpgrade,
			afterReset: []string{"UPGRADED", "UPGRADED", "UPGRADED"},
			upgraded:   1,
		},
		{
			history: "upgrade-gone",
			sim: atlassim.Config{
				UpgradeFor: atlassim.Duration(time.Hour),
				DeleteFor:  atlassim.Duration(time.Nanosecond),
			},
			request:    serverlessWithTimeLimit(20),
			interfere:  deleteDuringWait,
			want:       "CLUSTER_GONE",
			afterReset: []string{"CLUSTER_GONE", "CLUSTER_GONE", "CLUSTER_NOT_FOUND"},
			upgraded:   1,
		},
		{
			history:       "upgrade-canceled",
			sim:           atlassim.Config{UpgradeFor: atlassim.Duration(15 * time.Second)},
			request:       serverlessRequest,
			interfere:     cancelDuringWait,
			want:          "CANCELED",
			afterCanceled: "UPGRADED",
			upgraded:      1,
		},
		{history: "update-updated", sim: atlassim.Config{UpdateFor: atlassim.Duration(time.Second)},
			prepare: makeOurs, request: updateRequest, want: "UPDATED",
			afterReset: []string{"UPDATED", "UPDATED", "UPDATED"}, updated: 1},
		// The run may have changed the cluster before it was reset.
		{history: "update-unchanged", prepare: makeOurs, request: updateToWhatItIs, want: "UNCHANGED",
			afterReset: []string{"UNCHANGED", "UPDATED"}},
		{history: "update-conflict", prepare: makeAnothers, request: updateRequest, want: "CLUSTER_CONFLICT",
			afterReset: []string{"CLUSTER_CONFLICT", "CLUSTER_CONFLICT"}},
		{history: "update-gone", sim: deleting(time.Hour), prepare: makeDeleting, request: updateRequest,
			want: "CLUSTER_GONE", afterReset: []string{"CLUSTER_GONE", "CLUSTER_GONE"}},
		{history: "update-timeout", sim: atlassim.Config{UpdateFor: atlassim.Duration(time.Hour)}, prepare: makeOurs,
			request: withTimeLimit(updateRequest, 4), want: "TIMEOUT", repair: finishCluster,
			afterReset: []string{"UPDATED", "UPDATED", "UPDATED"}, updated: 1},
		{history: "update-canceled", sim: atlassim.Config{UpdateFor: atlassim.Duration(4 * time.Second)},
			prepare: makeOurs, request: updateRequest, interfere: cancelDuringChange, want: "CANCELED",
			afterCanceled: "UPDATED", updated: 1},
		{history: "provision-updated", sim: atlassim.Config{UpdateFor: atlassim.Duration(time.Second)},
			prepare: makeProtectedBefore, request: flexUpdated, want: "UPDATED",
			afterReset: []string{"UPDATED", "UPDATED", "UPDATED"}, updated: 1},
		{history: "provision-adopted", sim: atlassim.Config{UpdateFor: atlassim.Duration(time.Second)},
			prepare: makeUntaggedBefore, request: flexAdopted, want: "UPDATED",
			afterReset: []string{"UPDATED", "UPDATED", "UPDATED"}, updated: 1},
		// A run that is reset to its first point finds that the cluster is gone already.
		{history: "delete-deleted", sim: deleting(time.Second), prepare: makeOurs, request: deletionRequest,
			want: "DELETED", afterReset: []string{"DELETED", "DELETED", "UNCHANGED"}, deleted: 1},
		{history: "delete-unchanged", request: deletionRequest, want: "UNCHANGED",
			afterReset: []string{"UNCHANGED", "UNCHANGED"}},
		{history: "delete-conflict", prepare: makeAnothers, request: deletionRequest, want: "CLUSTER_CONFLICT",
			afterReset: []string{"CLUSTER_CONFLICT", "CLUSTER_CONFLICT"}},
		{history: "delete-protected", prepare: makeProtected, request: deletionRequest, want: "CLUSTER_PROTECTED",
			repair: unprotectCluster, afterReset: []string{"DELETED", "UNCHANGED"}, deleted: 1},
		{history: "delete-timeout", sim: deleting(5500 * time.Millisecond), prepare: makeOurs,
			request: withTimeLimit(deletionRequest, 4), want: "TIMEOUT",
			afterReset: []string{"DELETED", "DELETED", "UNCHANGED"}, deleted: 1},
		{history: "delete-canceled", sim: deleting(5 * time.Second), prepare: makeOurs, request: deletionRequest,
			interfere: cancelDuringChange, want: "CANCELED", afterCanceled: "DELETED", afterFirst: "UNCHANGED",
			deleted: 1},
	}...)
}

// Each recorded history comes about, and is reset to each of its points. What the operator expects comes true, no
// cluster is made twice, and none is left that no run knows.
func TestResetToEveryPoint(t *testing.T) {
	t.Parallel()
	for _, c := range resetCases() {
		t.Run(c.history, func(t *testing.T) {
			t.Parallel()
			if c.request == nil {
				c.request = flexRequest
			}
			if strings.HasPrefix(c.history, "upgrade") {
				c.sim = withShared(t, c.sim)
			}
			s := setup(t, c.sim)
			if c.prepare != nil {
				c.prepare(t, s)
			}
			run := start(s, c.request(t))
			if c.interfere != nil {
				c.interfere(t, s, run)
			}
			require.Equal(t, c.want, ending(s, run))
			if c.repair != nil {
				c.repair(t, s)
			}
			if c.afterCanceled != "" {
				c.afterReset = afterCanceled(s, run, c.afterCanceled)
				last := &c.afterReset[len(c.afterReset)-1]
				*last = cmp.Or(c.afterFirst, *last)
			}
			requireAfterReset(s, run, c.afterReset)
			require.Equal(t, c.created, s.Sim.Count(atlassim.Created), "creates")
			require.Equal(t, c.upgraded, s.Sim.Count(atlassim.Upgraded), "upgrades")
			require.Equal(t, c.updated, s.Sim.Count(atlassim.Updated), "updates")
			require.Equal(t, c.deleted, s.Sim.Count(atlassim.Deleted), "deletes")
			require.LessOrEqual(t, len(s.Sim.Clusters()), 1)
		})
	}
}

// ending waits for the end of a run, and returns its outcome or the type of its failure.
func ending(s *testenv.Stack, run provisioner.Run) string {
	s.TB().Helper()
	cluster, err := s.Client.Result(s.Context(), run.WorkflowID, run.RunID)
	if err != nil {
		return testenv.Failure(s.TB(), err).Type
	}
	require.Contains(s.TB(), []string{contract.StateIdle, contract.StateDeleted}, cluster.StateName)
	return string(cluster.Outcome)
}

// requireAfterReset resets a run to each of its points, the last first, and compares how the new runs end.
func requireAfterReset(s *testenv.Stack, run provisioner.Run, want []string) {
	s.TB().Helper()
	var got []string
	for _, point := range finishedTasks(s, run) {
		got = append(got, ending(s, reset(s, run, point)))
	}
	require.Equal(s.TB(), want, got)
}

// afterCanceled says how a cancelled run ends that is reset, for each point: it is cancelled again where the
// cancellation was requested before the point.
func afterCanceled(s *testenv.Stack, run provisioner.Run, otherwise string) (want []string) {
	end := otherwise
	for _, e := range s.History(run) {
		switch e.GetEventType() {
		case enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED:
			end = "CANCELED"
		case enumspb.EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
			want = append([]string{end}, want...)
		}
	}
	return want
}

// An invalid input stays invalid after a reset, and Atlas is not asked.
func TestResetInvalidInput(t *testing.T) {
	t.Parallel()
	s := setup(t, atlassim.Config{})
	for _, operation := range contract.Operations() {
		options := client.StartWorkflowOptions{ID: t.Name() + operation.WorkflowType, TaskQueue: s.TaskQueue}
		started, err := s.Temporal.ExecuteWorkflow(s.Context(), options, operation.WorkflowType, "orders")
		require.NoError(t, err)
		run := provisioner.Run{WorkflowID: started.GetID(), RunID: started.GetRunID()}
		require.Equal(t, "INVALID_INPUT", ending(s, run))
		requireAfterReset(s, run, []string{"INVALID_INPUT"})
	}
	require.Empty(t, s.Sim.Ledger())
}

// A run is cancelled while Atlas is asked, and reset. A reset to the first point goes on as if it had not been
// cancelled. A reset to a later one is cancelled again, or done if Atlas says first that the cluster is there. There
// is one cluster.
func TestResetCanceledWhileAsking(t *testing.T) {
	t.Parallel()
	arrived, proceed := make(chan struct{}, 10), make(chan struct{})
	s := setup(t, atlassim.Config{Hook: func(stage atlassim.Stage, e atlassim.Entry) {
		if stage == atlassim.Arrived && e.Method == "POST" && e.Authenticated {
			arrived <- struct{}{}
			<-proceed
		}
	}})
	run := start(s, flex(t))
	<-arrived
	require.NoError(t, s.Client.Cancel(s.Context(), run.WorkflowID, run.RunID))
	close(proceed)
	require.Equal(t, "CANCELED", ending(s, run))
	end := ""
	for _, point := range finishedTasks(s, run) {
		end = ending(s, reset(s, run, point))
		require.Contains(t, []string{"CANCELED", "CREATED"}, end)
	}
	require.Equal(t, "CREATED", end, "the first point")
	require.Equal(t, 1, s.Sim.Count(atlassim.Created))
}

// On a server without the search attributes a reset works as elsewhere.
func TestResetWithoutSearchAttributes(t *testing.T) {
	t.Parallel()
	bare, err := testenv.StartBareServer()
	require.NoError(t, err)
	t.Cleanup(func() { _ = bare.Stop() })
	s := testenv.NewOn(t, bare, t.Name(), atlassim.Config{})
	testworker.Start(s)
	run := start(s, flex(t))
	require.Equal(t, "CREATED", ending(s, run))
	requireAfterReset(s, run, []string{"CREATED", "CREATED", "CREATED"})
	require.Equal(t, 1, s.Sim.Count(atlassim.Created))
}

// Each recorded history is reset by a test.
func TestEveryHistoryIsReset(t *testing.T) {
	t.Parallel()
	covered := []string{
		"provision-canceled-while-asking", "provision-without-search-attributes",
		// It changes nothing, and is asked anew by whoever wants to know.
		"check-worker",
		"provision-extended",                                                  // by TestResetAfterExtension
		"to-flex-canceled-while-asking", "to-dedicated-canceled-while-asking", // by TestUpgradesCanceled
		// By TestResetLease, which goes on from the points of leases that run and of those that have ended.
		"lease-canceled-while-deleting", "lease-canceled-while-leased", "lease-canceled-while-provisioning",
		"lease-conflict", "lease-continued", "lease-gone", "lease-joined", "lease-released", "lease-timeout",
	}
	for _, operation := range contract.Operations() {
		covered = append(covered, "invalid-input-"+operation.WorkflowType)
	}
	for _, c := range resetCases() {
		covered = append(covered, c.history)
	}
	files, err := filepath.Glob(filepath.Join("..", "..", "workflows", "testdata", "*.json"))
	require.NoError(t, err)
	var recorded []string
	for _, file := range files {
		recorded = append(recorded, strings.TrimSuffix(filepath.Base(file), ".json"))
	}
	require.ElementsMatch(t, recorded, covered)
}
