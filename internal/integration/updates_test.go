package integration

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv/testworker"
	"github.com/atlas-provisioner/atlas-provisioner/provisioner"
)

// sendUpdate sends an update to a run and decodes its answer, as a caller in any language does.
func sendUpdate(s *testenv.Stack, run provisioner.Run, name string, answer any, args ...any) error {
	s.TB().Helper()
	handle, err := s.Temporal.UpdateWorkflow(s.Context(), client.UpdateWorkflowOptions{
		WorkflowID: run.WorkflowID, RunID: run.RunID, UpdateName: name, Args: args,
		WaitForStage: client.WorkflowUpdateStageCompleted,
	})
	if err != nil {
		return err
	}
	return handle.Get(s.Context(), answer)
}

// startByJoin is what a caller in another language does: it starts a workflow, or joins the one that runs.
func startByJoin(s *testenv.Stack, workflowType, id string, input any) (contract.Joined, error) {
	s.TB().Helper()
	return withStart(s, workflowType, id, input, contract.JoinUpdate, input, workflowType)
}

// withStart starts a workflow, or takes the one that runs, and sends it an update.
func withStart(
	s *testenv.Stack, workflowType, id string, input any, name string, args ...any,
) (contract.Joined, error) {
	s.TB().Helper()
	start := s.Temporal.NewWithStartWorkflowOperation(client.StartWorkflowOptions{
		ID: id, TaskQueue: s.TaskQueue, WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
	}, workflowType, input)
	var joined contract.Joined
	handle, err := s.Temporal.UpdateWithStartWorkflow(s.Context(), client.UpdateWithStartWorkflowOptions{
		StartWorkflowOperation: start,
		UpdateOptions: client.UpdateWorkflowOptions{
			UpdateName: name, Args: args,
			WaitForStage: client.WorkflowUpdateStageCompleted,
		},
	})
	if err == nil {
		err = handle.Get(s.Context(), &joined)
	}
	return joined, err
}

// updateEvents are the types of the events of updates in the history of a run.
func updateEvents(s *testenv.Stack, run provisioner.Run) (types []enumspb.EventType) {
	s.TB().Helper()
	for _, e := range s.History(run) {
		if strings.HasPrefix(e.GetEventType().String(), "WorkflowExecutionUpdate") {
			types = append(types, e.GetEventType())
		}
	}
	return types
}

// requireRefused requires that an update was refused with a failure type and a text.
func requireRefused(t *testing.T, err error, failureType, message string) contract.FailureDetails {
	t.Helper()
	var refused *temporal.ApplicationError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, failureType, refused.Type())
	require.Equal(t, message, refused.Message())
	require.True(t, refused.NonRetryable())
	var details contract.FailureDetails
	require.NoError(t, refused.Details(&details))
	return details
}

// object is a JSON object that a caller types by hand.
type object = map[string]any

func flexObject(name, region string) object {
	return object{
		"groupId": project, "name": name, "tags": []object{{"key": "team", "value": "orders"}},
		"providerSettings": object{"backingProviderName": "AWS", "regionName": region},
	}
}

// The update join answers the run to whoever asks for the same, and refuses everything else without an event in the
// history.
func TestJoin(t *testing.T) {
	t.Parallel()
	s := setup(t, neverIdle(), testworker.WithPaceOfProduction())
	in := flex(t)
	in.TerminationProtectionEnabled = true
	run := start(s, in)
	awaitCreating(s, s.Client, run)

	alone := "It was left alone: wait for its end, cancel it, or ask for the same"
	conflict := func(difference string) string {
		return fmt.Sprintf("a different request runs under workflow id %q (ProvisionFlexCluster): %s. %s",
			run.WorkflowID, difference, alone)
	}
	same := flexObject(in.Name, "US_EAST_1")
	same["terminationProtectionEnabled"] = true
	other := flexObject(in.Name, "EU_WEST_1")
	other["terminationProtectionEnabled"] = true
	noRegion := flexObject(in.Name, "")
	serverlessOnly := flexObject(in.Name, "US_EAST_1")
	serverlessOnly["serverlessBackupOptions"] = object{"serverlessContinuousBackupEnabled": true}
	for _, test := range []struct {
		name    string
		args    []any
		failure string
		message string
		details contract.FailureDetails
	}{
		{
			name: "another region", args: []any{other, "ProvisionFlexCluster"}, failure: "REQUEST_CONFLICT",
			message: conflict(`providerSettings.regionName is "US_EAST_1", requested "EU_WEST_1"`),
			details: contract.FailureDetails{Differences: []contract.Difference{{
				Field: "providerSettings.regionName", Requested: `"EU_WEST_1"`, Existing: `"US_EAST_1"`}}},
		},
		{
			name: "another workflow type", args: []any{same, "UpgradeToServerless"}, failure: "REQUEST_CONFLICT",
			message: conflict("workflowType is ProvisionFlexCluster, requested UpgradeToServerless"),
			details: contract.FailureDetails{Differences: []contract.Difference{{
				Field: "workflowType", Requested: "UpgradeToServerless", Existing: "ProvisionFlexCluster"}}},
		},
		{
			name: "the input of another workflow, and no type", args: []any{serverlessOnly},
			failure: "REQUEST_CONFLICT",
			message: conflict("workflowType is ProvisionFlexCluster, requested UpgradeToServerless"),
			details: contract.FailureDetails{Differences: []contract.Difference{{
				Field: "workflowType", Requested: "UpgradeToServerless", Existing: "ProvisionFlexCluster"}}},
		},
		{
			name: "an invalid input", args: []any{noRegion, "ProvisionFlexCluster"}, failure: "INVALID_INPUT",
			message: "invalid input: providerSettings.regionName must name a region, such as US_EAST_1. " +
				"Nothing was sent to Atlas: correct the input and start the workflow again",
			details: contract.FailureDetails{Violations: []contract.Violation{{
				Field: "providerSettings.regionName", Problem: "must name a region, such as US_EAST_1"}}},
		},
		{
			name: "no object", args: []any{"orders", "UpgradeToServerless"}, failure: "REQUEST_CONFLICT",
			message: conflict("workflowType is ProvisionFlexCluster, requested UpgradeToServerless"),
			details: contract.FailureDetails{Differences: []contract.Difference{{
				Field: "workflowType", Requested: "UpgradeToServerless", Existing: "ProvisionFlexCluster"}}},
		},
	} {
		err := sendUpdate(s, run, "join", nil, test.args...)
		require.Equal(t, test.details, requireRefused(t, err, test.failure, test.message), test.name)
	}
	for _, args := range [][]any{nil, {7}, {"orders"}, {nil}} {
		var refused *temporal.ApplicationError
		require.ErrorAs(t, sendUpdate(s, run, "join", nil, args...), &refused)
		require.Equal(t, "INVALID_INPUT", refused.Type())
		require.Contains(t, refused.Message(), "input must be one JSON object")
	}
	require.Empty(t, updateEvents(s, run), "what is refused leaves no event")

	// Defaults that are spelled out and another time limit make no other request. The type can be left out.
	same["timeoutSeconds"], same["ownershipTag"] = 60, true
	for _, args := range [][]any{{same, "ProvisionFlexCluster"}, {same}} {
		var joined object
		require.NoError(t, sendUpdate(s, run, "join", &joined, args...))
		require.Equal(t, object{
			"workflowId": run.WorkflowID, "runId": run.RunID, "workflowType": "ProvisionFlexCluster",
		}, joined)
	}
	makeIdle(s)
	requireOneCluster(s, run)
}

// joinCase is a request for an operation, and another one for the same cluster.
type joinCase struct {
	workflowType string
	input, other func(name string) object
	difference   string
}

// with makes a JSON object of a cluster's name and more members.
func with(more object) func(name string) object {
	return func(name string) object {
		o := object{"groupId": project, "name": name}
		maps.Copy(o, more)
		return o
	}
}

// joinCases has a case for each operation.
func joinCases() []joinCase {
	in := func(region string) func(string) object {
		return func(name string) object { return flexObject(name, region) }
	}
	size := func(name string) func(string) object {
		return with(object{"providerSettings": object{
			"backingProviderName": "AWS", "regionName": "US_EAST_1", "instanceSizeName": name,
		}})
	}
	const region = `providerSettings.regionName is "US_EAST_1", requested "EU_WEST_1"`
	return []joinCase{
		{"ProvisionFlexCluster", in("US_EAST_1"), in("EU_WEST_1"), region},
		{"UpgradeToServerless", in("US_EAST_1"), in("EU_WEST_1"), region},
		{"UpgradeToFlex", in("US_EAST_1"), in("EU_WEST_1"), region},
		{"UpgradeToDedicated", size("M10"), size("M20"),
			`providerSettings.instanceSizeName is "M10", requested "M20"`},
		{"UpdateFlexCluster", with(object{"terminationProtectionEnabled": true}),
			with(object{"terminationProtectionEnabled": false}),
			`terminationProtectionEnabled is "true", requested "false"`},
		{"DeleteCluster", with(nil), with(object{"removeTerminationProtection": true}),
			`removeTerminationProtection is "false", requested "true"`},
		{"LeaseFlexCluster", forAnHour(in("US_EAST_1")), forAnHour(in("EU_WEST_1")), region},
	}
}

// forAnHour makes of the input of a provision that of a lease.
func forAnHour(provision func(string) object) func(string) object {
	return func(name string) object {
		input := provision(name)
		input["leaseSeconds"] = 3600
		return input
	}
}

// Whoever starts by update-with-start starts the workflow, or joins the one that runs. That holds for each workflow
// type, also when the update is there before the first workflow task.
func TestStartByJoin(t *testing.T) {
	t.Parallel()
	var tested, all []string
	for _, test := range joinCases() {
		tested = append(tested, test.workflowType)
		t.Run(test.workflowType, func(t *testing.T) {
			t.Parallel()
			s := setup(t, atlassim.Config{})
			s.Sim.AddFault(htmlFault(503)) // keeps the run asking
			name := testenv.ClusterName(t)
			operation, _ := contract.OperationOf(test.workflowType)
			id := operation.WorkflowID(contract.ClusterRef{GroupID: project, Name: name})
			first, err := startByJoin(s, test.workflowType, id, test.input(name))
			require.NoError(t, err)
			require.Equal(t, contract.Joined{
				WorkflowID: id, RunID: first.RunID, WorkflowType: test.workflowType,
			}, first)
			again, err := startByJoin(s, test.workflowType, id, test.input(name))
			require.NoError(t, err)
			require.Equal(t, first, again)
			_, err = startByJoin(s, test.workflowType, id, test.other(name))
			requireRefused(t, err, "REQUEST_CONFLICT", fmt.Sprintf(
				"a different request runs under workflow id %q (%s): %s. It was left alone: wait for its end, cancel "+
					"it, or ask for the same", id, test.workflowType, test.difference))
			require.NoError(t, s.Client.Cancel(s.Context(), id, first.RunID))
			if test.workflowType == contract.LeaseFlexCluster { // which makes sure that no cluster is left
				s.Sim.ClearFaults()
			}
			_, err = s.Client.Result(s.Context(), id, first.RunID)
			require.Equal(t, "CANCELED", testenv.Failure(t, err).Type)
		})
	}
	for _, operation := range contract.Operations() {
		all = append(all, operation.WorkflowType)
	}
	require.ElementsMatch(t, all, tested)
}

// A workflow that is started by update-with-start with an invalid input fails, and so does the update.
func TestStartByJoinInvalid(t *testing.T) {
	t.Parallel()
	s := setup(t, atlassim.Config{})
	for _, test := range joinCases() {
		id := t.Name() + test.workflowType
		input := test.input("orders-")
		_, err := startByJoin(s, test.workflowType, id, input)
		const message = `invalid input: name must not end in a hyphen, nor may its first 23 characters, which make ` +
			`the host name, got "orders-". Nothing was sent to Atlas: correct the input and start the workflow again`
		requireRefused(t, err, "INVALID_INPUT", message)
		_, err = s.Client.Result(s.Context(), id, "")
		require.Equal(t, "INVALID_INPUT", testenv.Failure(t, err).Type)

		_, err = withStart(s, test.workflowType, id, input, contract.ExtendUpdate, object{"seconds": 60})
		requireRefused(t, err, "INVALID_INPUT", "invalid input: seconds cannot be given: the input of the run is "+
			"invalid. The limit was not moved")
	}
	require.Empty(t, s.Sim.Ledger())
}

// A run whose time limit is moved goes on beyond the first one, also with another worker, and ends with its cluster.
// The update answers when its time is up.
func TestExtend(t *testing.T) {
	t.Parallel()
	s := testenv.New(t, neverIdle())
	w := testworker.Start(s)
	in := flex(t)
	in.TimeoutSeconds = new(8)
	run := start(s, in)
	awaitActivities(s, run, 2)
	require.NoError(t, sendUpdate(s, run, "join", nil, in, "ProvisionFlexCluster"))
	var extended struct{ Deadline time.Time }
	require.NoError(t, sendUpdate(s, run, "extend", &extended, object{"seconds": 300}))
	first := extended.Deadline.Add(-300 * time.Second)
	w.Stop()
	testworker.Start(s)
	awaitActivities(s, run, 3)
	require.Greater(t, time.Since(first), -3*time.Second, "the wait goes on until its first limit")
	deadline, err := s.Client.Extend(s.Context(), run.WorkflowID, run.RunID, time.Hour)
	require.NoError(t, err)
	require.WithinDuration(t, extended.Deadline.Add(time.Hour), deadline, 0)
	makeIdle(s)
	requireOneCluster(s, run)
	record(s, "provision-extended")
	require.Equal(t, []string{"CreateFlexCluster", "WaitUntilIdle", "WaitUntilIdle"}, scheduledActivities(s, run))
	require.Equal(t, 1, s.Requests("POST", "/flexClusters"))

	// An extension that follows the end finds no run.
	require.ErrorContains(t, sendUpdate(s, run, "extend", nil, object{"seconds": 300}), "already completed")
}

// awaitActivities waits until a run has begun so many activities.
func awaitActivities(s *testenv.Stack, run provisioner.Run, n int) {
	s.TB().Helper()
	testenv.Eventually(s.TB(), func() bool { return len(scheduledActivities(s, run)) == n }, "%d activities", n)
}

// scheduledActivities are the types of the activities that a run has begun.
func scheduledActivities(s *testenv.Stack, run provisioner.Run) (types []string) {
	s.TB().Helper()
	for _, e := range s.History(run) {
		if a := e.GetActivityTaskScheduledEventAttributes(); a != nil {
			types = append(types, a.GetActivityType().GetName())
		}
	}
	return types
}

// A limit that is moved while Atlas is asked holds for that as well: the request is sent again in a new activity, and
// one cluster is made. When the time is up again, the failure says what the limit was.
func TestExtendWhileAsking(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		request func(*testing.T) contract.Request
	}{
		{"provision", flexWithTimeLimit(6)},
		{"upgrade", serverlessWithTimeLimit(6)},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			config := atlassim.Config{}
			if test.name == "upgrade" {
				config = withShared(t, config)
			}
			s := setup(t, config)
			// Atlas carries each request out, and the answers are lost.
			s.Sim.AddFault(atlassim.Fault{Method: "POST", Kind: atlassim.FaultHTML, Status: 503, AfterEffect: true})
			s.Sim.AddFault(atlassim.Fault{Method: "GET", Kind: atlassim.FaultHTML, Status: 503})
			run := start(s, test.request(t))
			awaitActivities(s, run, 1)
			require.NoError(t, sendUpdate(s, run, "extend", nil, object{"seconds": 300}))
			awaitActivities(s, run, 2)
			s.Sim.ClearFaults()
			cluster, err := s.Client.Result(s.Context(), run.WorkflowID, run.RunID)
			require.NoError(t, err)
			require.Contains(t, []contract.Outcome{contract.Created, contract.Upgraded}, cluster.Outcome)
			require.Equal(t, 1, s.Sim.Count(atlassim.Created)+s.Sim.Count(atlassim.Upgraded))
		})
	}
}

// When the time is up after an extension, the failure says what the limit was.
func TestExtendedTimeout(t *testing.T) {
	t.Parallel()
	s := setup(t, neverIdle())
	in := flex(t)
	in.TimeoutSeconds = new(6)
	begun := time.Now()
	run := start(s, in)
	awaitActivities(s, run, 2)
	require.NoError(t, sendUpdate(s, run, "extend", nil, object{"seconds": 3}))
	_, err := s.Client.Result(s.Context(), run.WorkflowID, run.RunID)
	require.Greater(t, time.Since(begun), 6*time.Second)
	f := testenv.Failure(t, err)
	require.Equal(t, "TIMEOUT", f.Type)
	require.Contains(t, f.Message, fmt.Sprintf("cluster %q was not IDLE within 9s (timeoutSeconds, extended by 3s): "+
		"the last state seen was CREATING. The cluster is left as it is (CREATING): start the workflow again", in.Name))
}

// What is no extension is refused, and leaves no event.
func TestExtendInvalid(t *testing.T) {
	t.Parallel()
	s := setup(t, neverIdle())
	in := flex(t)
	in.TimeoutSeconds = new(86400)
	run := start(s, in)
	awaitCreating(s, s.Client, run)
	const (
		limits = "the time limit of a run is 24h0m0s now, and may come to 168h0m0s"
		left   = ". The limit was not moved"
	)
	for _, test := range []struct {
		args    []any
		message string
	}{
		{[]any{object{"seconds": 0}}, "seconds must be from 1 to 518400, got 0: " + limits},
		{[]any{object{"seconds": -1}}, "seconds must be from 1 to 518400, got -1: " + limits},
		{[]any{object{"seconds": 518401}}, "seconds must be from 1 to 518400, got 518401: " + limits},
		{[]any{object{}}, "seconds must be from 1 to 518400, got 0: " + limits},
		{[]any{object{"seconds": "60"}}, "seconds must be a whole number, got a JSON string"},
		{[]any{object{"seconds": 1.5}}, "seconds must be a whole number, got a JSON number 1.5"},
		{[]any{object{"seconds": 60, "minutes": 1}}, "minutes is not a known field"},
		{[]any{60}, "input must be one JSON object; seconds must be from 1 to 518400, got 0: " + limits},
		{nil, "input must be one JSON object; seconds must be from 1 to 518400, got 0: " + limits},
	} {
		err := sendUpdate(s, run, "extend", nil, test.args...)
		details := requireRefused(t, err, "INVALID_INPUT", "invalid input: "+test.message+left)
		require.NotEmpty(t, details.Violations)
	}
	require.Empty(t, updateEvents(s, run), "what is refused leaves no event")

	require.NoError(t, sendUpdate(s, run, "extend", nil, object{"seconds": 518400}))
	require.Len(t, updateEvents(s, run), 2, "accepted and completed")
	_, err := s.Client.Extend(s.Context(), run.WorkflowID, "", time.Second)
	require.Equal(t, &provisioner.Failure{
		State: "RUNNING", Type: "INVALID_INPUT",
		Message: "invalid input: seconds cannot be given: the time limit of a run is 168h0m0s now, and may come to " +
			"168h0m0s. The limit was not moved",
		Details: contract.FailureDetails{Violations: []contract.Violation{{Field: "seconds",
			Problem: "cannot be given: the time limit of a run is 168h0m0s now, and may come to 168h0m0s"}}},
	}, testenv.Failure(t, err))
	require.NoError(t, s.Client.Cancel(s.Context(), run.WorkflowID, run.RunID))
}

// A run that is reset after it was joined and extended gets the whole limit anew, extension included, at the last
// point and at the first, after which Temporal sends the updates again. It ends with the one cluster.
func TestResetAfterExtension(t *testing.T) {
	t.Parallel()
	s := setup(t, neverIdle())
	in := flex(t)
	in.TimeoutSeconds = new(6)
	run := start(s, in)
	awaitActivities(s, run, 2)
	require.NoError(t, sendUpdate(s, run, "join", nil, in))
	require.NoError(t, sendUpdate(s, run, "extend", nil, object{"seconds": 3}))
	require.Equal(t, "TIMEOUT", ending(s, run))
	points := finishedTasks(s, run)
	for _, point := range []int64{points[0], points[len(points)-1]} {
		begun := time.Now()
		next := reset(s, run, point)
		require.Equal(t, "TIMEOUT", ending(s, next), "event %d", point)
		require.Greater(t, time.Since(begun), 6*time.Second, "event %d", point)
	}
	makeIdle(s)
	requireOneCluster(s, reset(s, run, points[0]))
}

// An update that is encrypted with a key that the worker lacks is refused, and holds up no run.
func TestUpdateWithAnotherKey(t *testing.T) {
	t.Parallel()
	s := testenv.New(t, neverIdle())
	testworker.Start(s, withCodec(codecWithKeys(t, "one")))
	c := clientWithCodec(s, codecWithKeys(t, "one"))
	run, err := c.Start(s.Context(), flex(t))
	require.NoError(t, err)
	awaitCreating(s, c, run)
	_, err = clientWithCodec(s, codecWithKeys(t, "two")).Extend(s.Context(), run.WorkflowID, run.RunID, time.Minute)
	require.ErrorContains(t, err, `a payload is encrypted with the key "two", which is not configured`)
	_, err = c.Extend(s.Context(), run.WorkflowID, run.RunID, time.Minute)
	require.NoError(t, err)
	makeIdle(s)
	cluster, err := c.Result(s.Context(), run.WorkflowID, run.RunID)
	require.NoError(t, err)
	require.Equal(t, contract.Created, cluster.Outcome)
	require.Zero(t, countByKey(t, storedMessages(s, run)...)[""], "the update and its answer are encrypted, too")
}
