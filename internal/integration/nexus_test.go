package integration

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nexus-rpc/sdk-go/nexus"
	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	nexuspb "go.temporal.io/api/nexus/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv/testworker"
	"github.com/atlas-provisioner/atlas-provisioner/provisioner"
)

// callersNamespace is where the callers of the Nexus service work. The service is in the namespace "default".
const callersNamespace = "callers"

// makeCallersNamespace makes the namespace on the first call.
var makeCallersNamespace = sync.OnceValue(func() error {
	ctx, cancel := context.WithTimeout(context.Background(), testenv.Patience)
	defer cancel()
	_, err := testenv.Shared().Client().WorkflowService().RegisterNamespace(ctx,
		&workflowservice.RegisterNamespaceRequest{
			Namespace: callersNamespace, WorkflowExecutionRetentionPeriod: durationpb.New(24 * time.Hour),
		})
	return err
})

// caller is a team in another namespace that calls the Nexus service of a stack from its own workflows.
type caller struct {
	s        *testenv.Stack
	temporal client.Client
	endpoint string
}

// call is the input of the caller's workflow: what it asks for.
type call struct {
	Endpoint, Operation string
	Input               json.RawMessage
}

// callWorkflow is the caller's workflow. It answers what the operation answers.
func callWorkflow(ctx workflow.Context, c call) (json.RawMessage, error) {
	service := workflow.NewNexusClient(c.Endpoint, contract.NexusService)
	var result json.RawMessage
	err := service.ExecuteOperation(ctx, c.Operation, c.Input, workflow.NexusOperationOptions{}).Get(ctx, &result)
	return result, err
}

// newCaller makes an endpoint for the task queue of a stack, and a worker in the callers' namespace.
func newCaller(s *testenv.Stack) *caller {
	t := s.TB()
	t.Helper()
	require.NoError(t, makeCallersNamespace())
	c := &caller{s: s, endpoint: "e-" + testenv.ClusterName(t)}
	_, err := s.Temporal.OperatorService().CreateNexusEndpoint(s.Context(),
		&operatorservice.CreateNexusEndpointRequest{Spec: &nexuspb.EndpointSpec{
			Name: c.endpoint,
			Target: &nexuspb.EndpointTarget{Variant: &nexuspb.EndpointTarget_Worker_{
				Worker: &nexuspb.EndpointTarget_Worker{Namespace: "default", TaskQueue: s.TaskQueue},
			}},
		}})
	require.NoError(t, err)
	c.temporal, err = client.Dial(client.Options{
		HostPort: s.Server.Address(), Namespace: callersNamespace, Logger: testenv.Quiet(),
	})
	require.NoError(t, err)
	t.Cleanup(c.temporal.Close)
	w := worker.New(c.temporal, s.TaskQueue, worker.Options{})
	w.RegisterWorkflowWithOptions(callWorkflow, workflow.RegisterOptions{Name: "call"})
	// A namespace that was made a moment ago reaches the server's parts some seconds later.
	testenv.Eventually(t, func() bool { return w.Start() == nil }, "the callers' namespace")
	t.Cleanup(w.Stop)
	return c
}

// begin begins a workflow of the caller that asks for an operation.
func (c *caller) begin(operation string, input any) client.WorkflowRun {
	t := c.s.TB()
	t.Helper()
	encoded, err := json.Marshal(input)
	require.NoError(t, err)
	run, err := c.temporal.ExecuteWorkflow(c.s.Context(), client.StartWorkflowOptions{TaskQueue: c.s.TaskQueue},
		"call", call{Endpoint: c.endpoint, Operation: operation, Input: encoded})
	require.NoError(t, err)
	return run
}

// end waits for the end of such a workflow.
func (c *caller) end(run client.WorkflowRun) (contract.Cluster, error) {
	c.s.TB().Helper()
	var cluster contract.Cluster
	err := run.Get(c.s.Context(), &cluster)
	return cluster, err
}

// event returns the links of the first event of a type in the history of a workflow of the caller.
func (c *caller) event(run client.WorkflowRun, kind enumspb.EventType) (links []*commonpb.Link, found bool) {
	c.s.TB().Helper()
	events := c.temporal.GetWorkflowHistory(c.s.Context(), run.GetID(), run.GetRunID(), false,
		enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		e, err := events.Next()
		require.NoError(c.s.TB(), err)
		if e.GetEventType() == kind {
			return e.GetLinks(), true
		}
	}
	return nil, false
}

// awaitStarted waits until the operation that a workflow of the caller asks for has started.
func (c *caller) awaitStarted(run client.WorkflowRun) {
	c.s.TB().Helper()
	testenv.Eventually(c.s.TB(), func() bool {
		_, started := c.event(run, enumspb.EVENT_TYPE_NEXUS_OPERATION_STARTED)
		return started
	}, "the operation has not started")
}

// requireCallFailed requires that an operation failed, and returns the application failure that the caller sees.
func requireCallFailed(t *testing.T, err error) (*temporal.ApplicationError, contract.FailureDetails) {
	t.Helper()
	var operation *temporal.NexusOperationError
	require.ErrorAs(t, err, &operation)
	require.Equal(t, contract.NexusService, operation.Service)
	var failure *temporal.ApplicationError
	require.ErrorAs(t, operation.Cause, &failure)
	var details contract.FailureDetails
	require.NoError(t, failure.Details(&details))
	return failure, details
}

// nexusStep is one operation that a caller asks for.
type nexusStep struct {
	operation string
	input     func(name string) object
	want      contract.Outcome
}

// A team in another namespace asks for each operation through Nexus and gets its result, also where a worker takes the
// place of another in between. The names of the operations are those of the contract.
func TestNexus(t *testing.T) {
	t.Parallel()
	in := func(name string) object { return flexObject(name, "US_EAST_1") }
	dedicated := with(object{"providerSettings": object{
		"backingProviderName": "AWS", "regionName": "US_EAST_1", "instanceSizeName": "M10",
	}})
	asked := map[string]bool{"leaseFlexCluster": true} // by TestNexusLease
	for name, steps := range map[string][]nexusStep{
		"provision and delete": {
			{"provisionFlexCluster", in, contract.Created},
			{"deleteCluster", with(nil), contract.Deleted},
			{"deleteCluster", with(nil), contract.Unchanged},
		},
		"upgrade to serverless": {{"upgradeToServerless", in, contract.Upgraded}},
		"a life": {
			{"upgradeToFlex", in, contract.Upgraded},
			{"updateFlexCluster", with(object{"terminationProtectionEnabled": true}), contract.Updated},
			{"upgradeToDedicated", dedicated, contract.Upgraded},
			{"deleteCluster", with(object{"removeTerminationProtection": true}), contract.Deleted},
		},
	} {
		for _, step := range steps {
			asked[step.operation] = true
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := atlassim.Config{DeleteFor: atlassim.Duration(time.Second)}
			if strings.HasPrefix(steps[0].operation, "upgrade") {
				config = withShared(t, config)
			}
			s := testenv.New(t, config)
			c := newCaller(s)
			for _, step := range steps {
				w := testworker.Start(s)
				cluster, err := c.end(c.begin(step.operation, step.input(testenv.ClusterName(t))))
				require.NoError(t, err, step.operation)
				require.Equal(t, step.want, cluster.Outcome, step.operation)
				own, err := s.Client.Result(s.Context(), latestRun(s).WorkflowID, "")
				require.NoError(t, err)
				require.Equal(t, own, cluster)
				w.Stop()
			}
		})
	}
	for _, operation := range contract.Operations() {
		require.True(t, asked[operation.NexusOperation()], "no caller asks for %s", operation.NexusOperation())
	}
}

// Every operation of the table has one of the Nexus service.
func TestNexusOperations(t *testing.T) {
	t.Parallel()
	s := setup(t, atlassim.Config{})
	c := newCaller(s)
	for _, operation := range contract.Operations() {
		first, rest := operation.NexusOperation()[:1], operation.NexusOperation()[1:]
		require.Equal(t, operation.WorkflowType, strings.ToUpper(first)+rest)
		_, err := c.end(c.begin(operation.NexusOperation(), object{}))
		failure, details := requireCallFailed(t, err)
		require.Equal(t, "INVALID_INPUT", failure.Type())
		require.NotEmpty(t, details.Violations)
	}
	_, err := c.end(c.begin("makeCoffee", object{}))
	var handler *nexus.HandlerError
	require.ErrorAs(t, err, &handler)
	require.Equal(t, nexus.HandlerErrorTypeNotFound, handler.Type)
}

// The worker is killed while a caller waits, and another one goes on: the caller gets its cluster. Each side links to
// the other's workflow.
func TestNexusWorkerReplaced(t *testing.T) {
	t.Parallel()
	s := testenv.New(t, neverIdle())
	bin := buildWorker(t)
	first := startProcess(s, bin)
	c := newCaller(s)
	run := c.begin("provisionFlexCluster", flexObject(testenv.ClusterName(t), "US_EAST_1"))
	awaitCreating(s, s.Client, latestRun(s))
	c.awaitStarted(run)
	kill(first)
	testworker.Start(s)
	makeIdle(s)
	cluster, err := c.end(run)
	require.NoError(t, err)
	require.Equal(t, contract.Created, cluster.Outcome)
	require.Equal(t, 1, s.Sim.Count(atlassim.Created))

	links, _ := c.event(run, enumspb.EVENT_TYPE_NEXUS_OPERATION_STARTED)
	require.Len(t, links, 1)
	require.Equal(t, latestRun(s).WorkflowID, links[0].GetWorkflowEvent().GetWorkflowId())
	require.Equal(t, "default", links[0].GetWorkflowEvent().GetNamespace())
	started := s.History(latestRun(s))[0]
	back := append(slices.Clone(started.GetLinks()),
		started.GetWorkflowExecutionStartedEventAttributes().GetCompletionCallbacks()[0].GetLinks()...)
	require.NotEmpty(t, back)
	require.Equal(t, run.GetID(), back[0].GetWorkflowEvent().GetWorkflowId())
	require.Equal(t, callersNamespace, back[0].GetWorkflowEvent().GetNamespace())
}

// Callers who ask for the same get the same, whoever started the run. A caller who asks for something else is refused
// at once, and the run is left alone.
func TestNexusJoin(t *testing.T) {
	t.Parallel()
	s := setup(t, neverIdle())
	c := newCaller(s)
	own := start(s, flex(t))
	awaitCreating(s, s.Client, own)
	same := flexObject(testenv.ClusterName(t), "US_EAST_1")
	first, second := c.begin("provisionFlexCluster", same), c.begin("provisionFlexCluster", same)
	c.awaitStarted(first)
	c.awaitStarted(second)

	for _, test := range []struct {
		operation string
		input     object
		message   string
	}{
		{
			operation: "provisionFlexCluster", input: flexObject(testenv.ClusterName(t), "EU_WEST_1"),
			message: `providerSettings.regionName is "US_EAST_1", requested "EU_WEST_1"`,
		},
		{
			operation: "upgradeToServerless", input: same,
			message: "workflowType is ProvisionFlexCluster, requested UpgradeToServerless",
		},
	} {
		_, err := c.end(c.begin(test.operation, test.input))
		failure, details := requireCallFailed(t, err)
		require.Equal(t, "REQUEST_CONFLICT", failure.Type())
		require.Equal(t, `a different request runs under workflow id "`+own.WorkflowID+`" (ProvisionFlexCluster): `+
			test.message+". It was left alone: wait for its end, cancel it, or ask for the same", failure.Message())
		require.Len(t, details.Differences, 1)
		require.True(t, failure.NonRetryable())
	}

	makeIdle(s)
	requireOneCluster(s, own)
	want, err := s.Client.Result(s.Context(), own.WorkflowID, own.RunID)
	require.NoError(t, err)
	for _, run := range []client.WorkflowRun{first, second} {
		cluster, err := c.end(run)
		require.NoError(t, err)
		require.Equal(t, want, cluster)
	}
}

// A caller sees the failure of the workflow with its type and details, and what is wrong with its input.
func TestNexusFailures(t *testing.T) {
	t.Parallel()
	s := setup(t, atlassim.Config{})
	c := newCaller(s)
	theirs := flex(t)
	theirs.ProviderSettings.RegionName = "EU_WEST_1"
	createByOthers(s, theirs)
	_, err := c.end(c.begin("provisionFlexCluster", flexObject(testenv.ClusterName(t), "US_EAST_1")))
	failure, details := requireCallFailed(t, err)
	require.Equal(t, "CLUSTER_CONFLICT", failure.Type())
	require.Contains(t, failure.Message(), "the name is taken in this project")
	require.Equal(t, []contract.Difference{{
		Field: "providerSettings.regionName", Requested: `"US_EAST_1"`, Existing: `"EU_WEST_1"`,
	}}, details.Differences)

	for _, input := range []any{flexObject("orders-", "US_EAST_1"), "orders", nil} {
		_, err = c.end(c.begin("provisionFlexCluster", input))
		failure, details = requireCallFailed(t, err)
		require.Equal(t, "INVALID_INPUT", failure.Type())
		require.NotEmpty(t, details.Violations)
		var handler *nexus.HandlerError
		require.ErrorAs(t, err, &handler)
		require.Equal(t, nexus.HandlerErrorTypeBadRequest, handler.Type)
		require.False(t, handler.Retryable())
	}
}

// A caller that is cancelled cancels the run, which leaves the cluster as it is.
func TestNexusCancel(t *testing.T) {
	t.Parallel()
	s := setup(t, neverIdle())
	c := newCaller(s)
	run := c.begin("provisionFlexCluster", flexObject(testenv.ClusterName(t), "US_EAST_1"))
	awaitCreating(s, s.Client, latestRun(s))
	c.awaitStarted(run)
	require.NoError(t, c.temporal.CancelWorkflow(s.Context(), run.GetID(), run.GetRunID()))
	_, err := c.end(run)
	var canceled *temporal.CanceledError
	require.ErrorAs(t, err, &canceled)
	_, err = s.Client.Result(s.Context(), latestRun(s).WorkflowID, "")
	require.Equal(t, provisioner.Canceled, testenv.Failure(t, err).State)
	require.Len(t, s.Sim.Clusters(), 1)
}

// A caller leases a cluster through Nexus. The lease ends by itself when somebody releases it, and with the caller when
// that is cancelled. Each time the cluster goes.
func TestNexusLease(t *testing.T) {
	t.Parallel()
	for _, cancels := range []bool{false, true} {
		t.Run(map[bool]string{false: "released", true: "cancelled"}[cancels], func(t *testing.T) {
			t.Parallel()
			s := setup(t, quickDelete)
			c := newCaller(s)
			run := c.begin("leaseFlexCluster", lease(t))
			c.awaitStarted(run)
			id := contract.WorkflowID(lease(t))
			awaitLeased(s, lease(t), provisioner.Run{WorkflowID: id})
			if cancels {
				require.NoError(t, c.temporal.CancelWorkflow(s.Context(), run.GetID(), run.GetRunID()))
			} else {
				require.NoError(t, s.Client.Release(s.Context(), id, ""))
			}
			var result contract.LeaseResult
			err := run.Get(s.Context(), &result)
			if cancels {
				var canceled *temporal.CanceledError
				require.ErrorAs(t, err, &canceled)
			} else {
				require.NoError(t, err)
				require.Equal(t, contract.Released, result.Outcome)
			}
			requireNothingLeft(s, 1)
		})
	}
}
