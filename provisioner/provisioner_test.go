package provisioner_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv"
	"github.com/atlas-provisioner/atlas-provisioner/provisioner"
)

const group = testenv.Project

// setup makes a client with a task queue of its own, on which no worker works.
func setup(t *testing.T) (*provisioner.Client, context.Context) {
	t.Helper()
	return provisioner.New(testenv.Shared().Client(), provisioner.Options{TaskQueue: t.Name()}), testenv.Context(t)
}

func flex(name string) contract.ProvisionFlexClusterInput { return testenv.Flex(name) }

func upgrade(name string) contract.UpgradeToServerlessInput { return testenv.Serverless(name) }

// An input that is wrong is refused before Temporal is asked.
func TestInvalid(t *testing.T) {
	t.Parallel()
	c := provisioner.New(nil, provisioner.Options{})
	in := flex("orders-")
	in.GroupID = "x"
	_, err := c.Start(t.Context(), in)
	f := testenv.Failure(t, err)
	require.Equal(t, &provisioner.Failure{
		Type: "INVALID_INPUT",
		Message: `invalid input: groupId must be the project's id of 24 hexadecimal digits (0-9, a-f), got "x"; ` +
			`name must not end in a hyphen, nor may its first 23 characters, which make the host name, got ` +
			`"orders-". ` +
			`Nothing was sent to Atlas: correct the input and start the workflow again`,
		Details: contract.FailureDetails{Violations: []contract.Violation{
			{Field: "groupId", Problem: `must be the project's id of 24 hexadecimal digits (0-9, a-f), got "x"`},
			{
				Field: "name",
				Problem: `must not end in a hyphen, nor may its first 23 characters, which make the host name, got ` +
					`"orders-"`,
			},
		}},
	}, f)
	require.EqualError(t, err, "INVALID_INPUT: "+f.Message)

	_, err = c.Start(t.Context(), contract.UpgradeToServerlessInput{})
	require.Len(t, testenv.Failure(t, err).Details.Violations, 4)
	require.Equal(
		t,
		&provisioner.Failure{Type: "INVALID_INPUT", Message: "odd"},
		provisioner.Invalid(errors.New("odd")),
	)
}

// A failure is the JSON of the contract.
func TestFailureJSON(t *testing.T) {
	t.Parallel()
	b, err := json.Marshal(&provisioner.Failure{State: provisioner.Failed, Type: "T", Message: "m"})
	require.NoError(t, err)
	require.Equal(
		t,
		`{"type":"T","message":"m","details":{"status":0,"errorCode":"","reason":"","detail":"","method":"",`+
			`"path":""}}`,
		string(b),
	)
}

// requests are those of both operations, for a cluster each.
func requests(name string) []contract.Request {
	return []contract.Request{flex(name + "-flex"), upgrade(name + "-upgrade")}
}

// Each operation is started, and joined by whoever asks for the same, whatever the time limit.
func TestStart(t *testing.T) {
	t.Parallel()
	_, ctx := setup(t)
	c := provisioner.New(testenv.Shared().Client(), provisioner.Options{})
	for _, request := range requests("start") {
		run, err := c.Start(ctx, request)
		require.NoError(t, err)
		require.NotEmpty(t, run.RunID)
		id := "atlas-cluster-" + group + "-" + request.Cluster().Name
		require.Equal(t, provisioner.Run{WorkflowID: id, RunID: run.RunID}, run)
		again, err := c.Start(ctx, request)
		require.NoError(t, err)
		require.Equal(t, provisioner.Run{WorkflowID: id, RunID: run.RunID, Joined: true}, again)

		described, err := testenv.Shared().Client().DescribeWorkflowExecution(ctx, run.WorkflowID, run.RunID)
		require.NoError(t, err)
		require.Equal(t, "atlas-provisioning", described.GetExecutionConfig().GetTaskQueue().GetName(), "the default")

		s, err := c.Status(ctx, run.WorkflowID, "")
		require.NoError(t, err)
		require.WithinDuration(t, time.Now(), s.Started, testenv.Patience)
		s.Started, s.Blocker = time.Time{}, nil
		workflowType := request.Operation().WorkflowType
		require.Equal(t, provisioner.Status{
			WorkflowID: id, RunID: run.RunID, Workflow: workflowType, State: provisioner.Running,
		}, s)
	}

	longer, seconds := flex("start-flex"), 7200
	longer.TimeoutSeconds = &seconds
	run, err := c.Start(ctx, longer)
	require.NoError(t, err)
	require.True(t, run.Joined)

	// Another operation on the same cluster is refused, and what runs is left alone.
	_, err = c.Start(ctx, upgrade("start-flex"))
	f := testenv.Failure(t, err)
	require.Equal(t, contract.RequestConflict, f.Type)
	require.Equal(t, `a different request runs under workflow id "`+run.WorkflowID+`" (ProvisionFlexCluster): `+
		"workflowType is ProvisionFlexCluster, requested UpgradeToServerless. "+
		"It was left alone: wait for its end, cancel it, or ask for the same",
		f.Message)
	s, err := c.Status(ctx, run.WorkflowID, "")
	require.NoError(t, err)
	require.Equal(t, provisioner.Running, s.State)
	for _, request := range requests("start") {
		require.NoError(t, testenv.Shared().Client().TerminateWorkflow(ctx, contract.WorkflowID(request), "",
			"the end of the test"))
	}
}

// The verbs that change a cluster are started and joined too, and the Web UI tells each request in words.
func TestStartOfChanges(t *testing.T) {
	t.Parallel()
	c, ctx := setup(t)
	const id = "6a1b2c3d4e5f6a1b2c3d4e5f"
	place := flex("x").ProviderSettings
	sized := place
	sized.InstanceSizeName = "M10"
	for _, test := range []struct {
		request          contract.Request
		summary, details string // details beside the project and the cluster
	}{
		{contract.UpdateFlexClusterInput{GroupID: group, Name: "changes-update", Tags: []contract.Tag{}},
			"Update Flex cluster changes-update", "- Tags: an empty list\n- Time limit: 30m0s"},
		{contract.UpdateFlexClusterInput{GroupID: group, Name: "changes-tags", TerminationProtectionEnabled: new(true),
			Tags: []contract.Tag{{Key: "team", Value: "orders"}, {Key: "env", Value: "test"}}},
			"Update Flex cluster changes-tags",
			"- Tags: `env=test, team=orders`\n- Termination protection: true\n- Time limit: 30m0s"},
		{contract.UpdateFlexClusterInput{GroupID: group, Name: "changes-off", TerminationProtectionEnabled: new(false)},
			"Update Flex cluster changes-off", "- Termination protection: false\n- Time limit: 30m0s"},
		{contract.DeleteClusterInput{GroupID: group, Name: "changes-delete", ID: id},
			"Delete cluster changes-delete", "- Id: `" + id + "`\n- Time limit: 1h0m0s"},
		{contract.UpgradeToFlexInput{GroupID: group, Name: "changes-flex", ProviderSettings: place},
			"Upgrade cluster changes-flex to Flex", "- Where: AWS US_EAST_1\n- Time limit: 1h30m0s"},
		{contract.UpgradeToDedicatedInput{GroupID: group, Name: "changes-dedicated", ProviderSettings: sized},
			"Upgrade cluster changes-dedicated to dedicated M10",
			"- Where: AWS US_EAST_1\n- Size: M10\n- Time limit: 1h30m0s"},
	} {
		name := test.request.Cluster().Name
		run, err := c.Start(ctx, test.request)
		require.NoError(t, err)
		require.Equal(t, provisioner.Run{WorkflowID: "atlas-cluster-" + group + "-" + name, RunID: run.RunID}, run)
		again, err := c.Start(ctx, test.request)
		require.NoError(t, err)
		require.Equal(t, provisioner.Run{WorkflowID: run.WorkflowID, RunID: run.RunID, Joined: true}, again)
		described, err := testenv.Shared().Client().DescribeWorkflow(ctx, run.WorkflowID, run.RunID)
		require.NoError(t, err)
		summary, err := described.GetStaticSummary()
		require.NoError(t, err)
		require.Equal(t, test.summary, summary)
		details, err := described.GetStaticDetails()
		require.NoError(t, err)
		require.Equal(t, "- Project: `"+group+"`\n- Cluster: `"+name+"`\n"+test.details, details)
	}
}

// What runs under the workflow id but is not the same request is a conflict, also when somebody started it by hand.
func TestConflict(t *testing.T) {
	t.Parallel()
	backup := true
	other := upgrade("x")
	other.ServerlessBackupOptions = &contract.ServerlessBackupOptions{ServerlessContinuousBackupEnabled: &backup}
	for _, test := range []struct {
		name     string
		workflow string
		input    []any
		want     []contract.Difference
	}{
		{"another workflow", "Other", nil, []contract.Difference{{Field: "workflowType",
			Requested: "UpgradeToServerless", Existing: "Other"}}},
		{"no input", contract.UpgradeToServerless, nil, []contract.Difference{{Field: "input", Requested: "a valid " +
			"request", Existing: "an invalid one"}}},
		{"not an object", contract.UpgradeToServerless, []any{7}, []contract.Difference{{Field: "input",
			Requested: "a valid request", Existing: "an invalid one"}}},
		{"an unknown field", contract.UpgradeToServerless, []any{map[string]any{
			"groupId": group, "name": "x", "providerSettings": map[string]any{"backingProviderName": "AWS",
				"regionName": "US_EAST_1"}, "tag": "x",
		}}, []contract.Difference{{Field: "input", Requested: "a valid request", Existing: "an invalid one"}}},
		{"another request", contract.UpgradeToServerless, []any{other},
			[]contract.Difference{{Field: "serverlessBackupOptions.serverlessContinuousBackupEnabled",
				Requested: "none", Existing: `"true"`}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, ctx := setup(t)
			id := contract.ClusterWorkflowID(group, "x")
			running, err := testenv.Shared().Client().
				ExecuteWorkflow(ctx, client.StartWorkflowOptions{ID: id, TaskQueue: t.Name()}, test.workflow,
					test.input...)
			require.NoError(t, err)
			run, err := c.Start(ctx, upgrade("x"))
			f := testenv.Failure(t, err)
			require.Equal(
				t,
				provisioner.Run{WorkflowID: id, RunID: running.GetRunID(), Joined: true},
				run,
				"of what runs",
			)
			require.Equal(t, provisioner.Running, f.State)
			require.Equal(t, contract.RequestConflict, f.Type)
			require.Equal(t, test.want, f.Details.Differences)
			require.Equal(
				t,
				`a different request runs under workflow id "`+id+`" (`+test.workflow+`): `+test.want[0].String()+
					". It was left alone: wait for its end, cancel it, or ask for the same",
				f.Message,
			)
			s, err := c.Status(ctx, id, "")
			require.NoError(t, err)
			require.Equal(t, provisioner.Running, s.State)
			require.NoError(t, testenv.Shared().Client().TerminateWorkflow(ctx, id, "", "the end of the test"))
		})
	}
}

// How runs end, whatever ended them.
func TestResult(t *testing.T) {
	t.Parallel()
	c, ctx := setup(t)
	idle := contract.Cluster{ID: "id", Name: "orders", StateName: "IDLE", Tags: []contract.Tag{}, Warnings: []string{}}
	w := worker.New(testenv.Shared().Client(), t.Name(), worker.Options{})
	register := func(name string, f any) {
		w.RegisterWorkflowWithOptions(f, workflow.RegisterOptions{Name: name})
	}
	fails := func(err error) any { return func(workflow.Context) error { return err } }
	register("done", func(workflow.Context) (contract.Cluster, error) { return idle, nil })
	register("again", func(ctx workflow.Context) (contract.Cluster, error) {
		return contract.Cluster{}, workflow.NewContinueAsNewError(ctx, "done")
	})
	register(
		"fails",
		fails(
			temporal.NewNonRetryableApplicationError(
				"why",
				"OUT_OF_CAPACITY",
				nil,
				contract.FailureDetails{Status: 409, StateName: "CREATING"},
			),
		),
	)
	register("odd details", fails(temporal.NewNonRetryableApplicationError("why", "OTHER", nil, "text")))
	register("no details", fails(temporal.NewNonRetryableApplicationError("why", "OTHER", errors.New("the cause"))))
	register("times out", func(ctx workflow.Context) error { return workflow.Sleep(ctx, 24*time.Hour) })
	register("waits", func(ctx workflow.Context) error { return workflow.Sleep(ctx, 24*time.Hour) })
	require.NoError(t, w.Start())
	t.Cleanup(w.Stop)

	left := "; what Atlas has begun goes on"
	for _, test := range []struct {
		workflow string
		end      func(id string) error
		want     *provisioner.Failure
	}{
		{"done", nil, nil},
		{"again", nil, nil},
		{"fails", nil, &provisioner.Failure{State: "FAILED", Type: "OUT_OF_CAPACITY", Message: "why",
			Details: contract.FailureDetails{Status: 409, StateName: "CREATING"}}},
		{"odd details", nil, &provisioner.Failure{State: "FAILED", Type: "OTHER", Message: "why"}},
		{"no details", nil, &provisioner.Failure{State: "FAILED", Type: "OTHER", Message: "why"}},
		{"times out", nil, &provisioner.Failure{State: "TIMED_OUT", Type: "TIMED_OUT", Message: "the run reached " +
			"the time limit that Temporal was given for it" + left}},
		{"waits", func(id string) error { return c.Cancel(ctx, id, "") }, &provisioner.Failure{State: "CANCELED",
			Type: "CANCELED", Message: "the run was cancelled" + left}},
		{"waits", func(id string) error { return testenv.Shared().Client().TerminateWorkflow(ctx, id, "", "by hand") },
			&provisioner.Failure{State: "TERMINATED", Type: "TERMINATED", Message: "the run was terminated" + left}},
	} {
		name := test.workflow
		if test.want != nil {
			name += "/" + test.want.Type
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := client.StartWorkflowOptions{ID: t.Name(), TaskQueue: "TestResult"}
			if test.workflow == "times out" {
				o.WorkflowExecutionTimeout = time.Second
			}
			run, err := testenv.Shared().Client().ExecuteWorkflow(ctx, o, test.workflow)
			require.NoError(t, err)
			if test.end != nil {
				require.NoError(t, test.end(run.GetID()))
			}
			cluster, err := c.Result(ctx, run.GetID(), "")
			state := provisioner.Completed
			if test.want == nil {
				require.NoError(t, err)
				require.Equal(t, idle, cluster)
			} else {
				require.Equal(t, test.want, testenv.Failure(t, err))
				require.Equal(t, contract.Cluster{}, cluster)
				state = test.want.State
			}
			s, err := c.Status(ctx, run.GetID(), "")
			require.NoError(t, err)
			require.Equal(t, state, s.State)
			require.False(t, s.Closed.Before(s.Started))
		})
	}
}

// Whether the same request may succeed later, for each failure there is.
func TestRetryable(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		state     provisioner.State
		kind      string
		details   contract.FailureDetails
		retryable bool
	}{
		{provisioner.Failed, "TIMEOUT", contract.FailureDetails{StateName: "CREATING"}, true},
		{provisioner.Failed, "TIMEOUT", contract.FailureDetails{Status: 402,
			ErrorCode: "NO_PAYMENT_INFORMATION_FOUND"}, true},
		{provisioner.Failed, "ATLAS_UNREACHABLE", contract.FailureDetails{}, true},
		{provisioner.Failed, "ATLAS_BAD_RESPONSE", contract.FailureDetails{Status: 200}, true},
		{provisioner.Failed, "HTTP_503", contract.FailureDetails{Status: 503}, true},
		{provisioner.Failed, "UNEXPECTED_ERROR", contract.FailureDetails{Status: 500, ErrorCode: "UNEXPECTED_ERROR"},
			true},
		{provisioner.Failed, "RATE_LIMITED", contract.FailureDetails{Status: 429, ErrorCode: "RATE_LIMITED"}, true},
		{provisioner.Failed, "CONTAINER_WAITING_FOR_FAST_RECORD_CLEAN_UP", contract.FailureDetails{Status: 400,
			ErrorCode: "CONTAINER_WAITING_FOR_FAST_RECORD_CLEAN_UP"}, true},
		{provisioner.TimedOut, "TIMED_OUT", contract.FailureDetails{}, true},

		{provisioner.Failed, "VALIDATION_ERROR", contract.FailureDetails{Status: 400, ErrorCode: "VALIDATION_ERROR"},
			false},
		{provisioner.Failed, "NO_PAYMENT_INFORMATION_FOUND", contract.FailureDetails{Status: 402,
			ErrorCode: "NO_PAYMENT_INFORMATION_FOUND"}, false},
		{provisioner.Failed, "HTTP_404", contract.FailureDetails{Status: 404}, false},
		{provisioner.Failed, "VERSION_GONE", contract.FailureDetails{Status: 410, ErrorCode: "VERSION_GONE"}, false},
		{provisioner.Failed, "CLUSTER_CONFLICT", contract.FailureDetails{}, false},
		{provisioner.Failed, "CLUSTER_CONFLICT", contract.FailureDetails{Status: 500}, false},
		{provisioner.Failed, "CLUSTER_PROTECTED", contract.FailureDetails{Status: 503}, false},
		{provisioner.Failed, "CLUSTER_NOT_FOUND", contract.FailureDetails{Status: 404,
			ErrorCode: "CLUSTER_NOT_FOUND"}, false},
		{provisioner.Failed, "CLUSTER_GONE", contract.FailureDetails{StateName: "CREATING"}, false},
		{provisioner.Failed, "INVALID_INPUT", contract.FailureDetails{}, false},
		{"", "INVALID_INPUT", contract.FailureDetails{}, false},
		{provisioner.Running, "REQUEST_CONFLICT", contract.FailureDetails{}, false},
		{provisioner.Canceled, "CANCELED", contract.FailureDetails{}, false},
		{provisioner.Terminated, "TERMINATED", contract.FailureDetails{}, false},
		{provisioner.Failed, "FAILED", contract.FailureDetails{}, false},
	} {
		f := &provisioner.Failure{State: test.state, Type: test.kind, Details: test.details}
		require.Equal(t, test.retryable, f.Retryable(), "%+v", f)
	}
}

// Start or join, and wait, for each operation, and what comes back of each way a call can end.
func TestExecute(t *testing.T) {
	t.Parallel()
	c, ctx := setup(t)
	w := worker.New(testenv.Shared().Client(), t.Name(), worker.Options{})
	for _, operation := range contract.Operations() {
		w.RegisterWorkflowWithOptions(
			func(_ workflow.Context, in contract.UpgradeToServerlessInput) (contract.Cluster, error) {
				if strings.HasPrefix(in.Name, "fails") {
					return contract.Cluster{}, temporal.NewNonRetryableApplicationError("why", "OUT_OF_CAPACITY", nil)
				}
				return contract.Cluster{Name: in.Name, StateName: "IDLE"}, nil
			}, workflow.RegisterOptions{Name: operation.WorkflowType})
	}
	for _, request := range requests("-") {
		_, err := c.Execute(ctx, request)
		require.Equal(t, "INVALID_INPUT", testenv.Failure(t, err).Type)
	}
	for _, request := range requests("joined") {
		// Nobody works yet: two calls wait for one run, and one gives up.
		brief, giveUp := context.WithCancel(ctx)
		gaveUp := make(chan error, 1)
		go func() {
			_, err := c.Execute(brief, request)
			gaveUp <- err
		}()
		id := contract.WorkflowID(request)
		require.Eventually(t, func() bool {
			s, err := c.Status(ctx, id, "")
			return err == nil && s.State == provisioner.Running
		}, testenv.Patience, 10*time.Millisecond)
		giveUp()
		err := <-gaveUp
		var f *provisioner.Failure
		require.Error(t, err)
		require.NotErrorAs(t, err, &f, "the run goes on")
		s, err := c.Status(ctx, id, "")
		require.NoError(t, err)
		require.Equal(t, provisioner.Running, s.State)
	}
	require.NoError(t, w.Start())
	t.Cleanup(w.Stop)
	for _, request := range requests("joined") {
		cluster, err := c.Execute(ctx, request)
		require.NoError(t, err)
		require.Equal(t, request.Cluster().Name, cluster.Name)
	}
	for _, request := range requests("fails") {
		_, err := c.Execute(ctx, request)
		require.Equal(
			t,
			&provisioner.Failure{State: "FAILED", Type: "OUT_OF_CAPACITY", Message: "why"},
			testenv.Failure(t,
				err),
		)
	}
}

// What says nothing of a run is no failure of it.
func TestErrorsOfTemporal(t *testing.T) {
	t.Parallel()
	c, ctx := setup(t)
	var unknown *serviceerror.NotFound
	_, err := c.Status(ctx, "no-such", "")
	require.ErrorAs(t, err, &unknown)
	_, err = c.Result(ctx, "no-such", "")
	require.ErrorAs(t, err, &unknown)
	require.ErrorAs(t, c.Cancel(ctx, "no-such", ""), &unknown)
	var invalid *serviceerror.InvalidArgument
	_, err = c.List(ctx, "NoSuchAttribute = 'x'", 1)
	require.ErrorAs(t, err, &invalid)

	run, err := c.Start(ctx, flex("waits"))
	require.NoError(t, err)
	brief, cancel := context.WithCancel(ctx)
	cancel()
	_, err = c.Result(brief, run.WorkflowID, run.RunID)
	var f *provisioner.Failure
	require.Error(t, err)
	require.NotErrorAs(t, err, &f)
}

// The activity that is under way, from its first attempt to its retry.
func TestPendingActivity(t *testing.T) {
	t.Parallel()
	c, ctx := setup(t)
	attempt := make(chan func() error)
	w := worker.New(testenv.Shared().Client(), t.Name(), worker.Options{Identity: "a worker"})
	w.RegisterWorkflowWithOptions(func(ctx workflow.Context) error {
		ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: time.Hour})
		return workflow.ExecuteActivity(ctx, "WaitUntilIdle").Get(ctx, nil)
	}, workflow.RegisterOptions{Name: "flow"})
	w.RegisterActivityWithOptions(func(ctx context.Context) error {
		activity.RecordHeartbeat(ctx, contract.WaitProgress{StateName: "CREATING"})
		return (<-attempt)()
	}, activity.RegisterOptions{Name: "WaitUntilIdle"})
	require.NoError(t, w.Start())
	t.Cleanup(w.Stop)

	run, err := testenv.Shared().Client().
		ExecuteWorkflow(ctx, client.StartWorkflowOptions{ID: t.Name(), TaskQueue: t.Name()}, "flow")
	require.NoError(t, err)
	pending := func(ready func(provisioner.PendingActivity) bool) (p provisioner.PendingActivity) {
		require.Eventually(t, func() bool {
			s, err := c.Status(ctx, run.GetID(), "")
			if err == nil && s.Pending != nil {
				p = *s.Pending
			}
			return ready(p)
		}, testenv.Patience, 10*time.Millisecond)
		return p
	}
	require.Equal(t, provisioner.PendingActivity{
		Activity: "WaitUntilIdle", Attempt: 1, ClusterState: "CREATING", Worker: "a worker",
	},
		pending(func(p provisioner.PendingActivity) bool { return p.ClusterState != "" }))

	notYet := func(delay time.Duration) func() error {
		return func() error {
			return temporal.NewApplicationErrorWithOptions(
				"not yet",
				"NOT_YET",
				temporal.ApplicationErrorOptions{NextRetryDelay: delay},
			)
		}
	}
	attempt <- notYet(time.Millisecond)
	attempt <- notYet(time.Hour)
	p := pending(func(p provisioner.PendingActivity) bool { return p.Attempt == 3 })
	require.WithinDuration(t, time.Now().Add(time.Hour), p.NextAttempt, testenv.Patience)
	p.NextAttempt = time.Time{}
	require.Equal(
		t,
		provisioner.PendingActivity{
			Activity:     "WaitUntilIdle",
			Attempt:      3,
			ClusterState: "CREATING",
			LastFailure:  "not yet",
			Worker:       "a worker",
		},
		p,
	)
	require.NoError(t, testenv.Shared().Client().TerminateWorkflow(ctx, run.GetID(), "", "the end of the test"))
}

func TestList(t *testing.T) {
	t.Parallel()
	c, ctx := setup(t)
	attributes := temporal.NewSearchAttributes(
		temporal.NewSearchAttributeKeyKeyword(contract.SearchAttributeProjectID).ValueSet(group),
		temporal.NewSearchAttributeKeyKeyword(contract.SearchAttributeClusterName).ValueSet("listed"),
		temporal.NewSearchAttributeKeyKeyword(contract.SearchAttributeClusterState).ValueSet("IDLE"))
	var ids []string // newest first
	for _, id := range []string{"list-1", "list-2", "list-3"} {
		_, err := testenv.Shared().Client().
			ExecuteWorkflow(ctx, client.StartWorkflowOptions{ID: id, TaskQueue: t.Name(),
				TypedSearchAttributes: attributes}, "Any")
		require.NoError(t, err)
		ids = append([]string{id}, ids...)
	}
	const query = "AtlasClusterName = 'listed'"
	for limit, want := range map[int][]string{-1: nil, 0: nil, 1: ids[:1], 2: ids[:2], 3: ids, 1000: ids,
		100_000: ids} {
		require.EventuallyWithT(t, func(t *assert.CollectT) {
			found, err := c.List(ctx, query, limit)
			require.NoError(t, err)
			var got []string
			for _, s := range found {
				got = append(got, s.WorkflowID)
				assert.Equal(
					t,
					[]string{"Any", "RUNNING", group, "listed", "IDLE"},
					[]string{s.Workflow, string(s.State), s.ProjectID, s.ClusterName, s.ClusterState},
				)
			}
			assert.Equal(t, want, got)
		}, testenv.Patience, 20*time.Millisecond, "limit %d", limit)
	}
}
