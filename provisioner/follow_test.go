package provisioner_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv"
	"github.com/atlas-provisioner/atlas-provisioner/provisioner"
)

// reset resets a run to its first workflow task, as an operator does.
func reset(ctx context.Context, t *testing.T, run provisioner.Run) string {
	t.Helper()
	answer, err := testenv.Shared().Client().ResetWorkflowExecution(ctx, &workflowservice.ResetWorkflowExecutionRequest{
		Namespace:         "default",
		WorkflowExecution: &commonpb.WorkflowExecution{WorkflowId: run.WorkflowID, RunId: run.RunID},
		Reason:            "by hand", WorkflowTaskFinishEventId: 4, RequestId: run.RunID + "-reset",
	})
	require.NoError(t, err)
	return answer.GetRunId()
}

// A run that is reset while somebody waits for it goes on as another, and the wait with it, as often as that happens.
func TestFollowAfterReset(t *testing.T) {
	t.Parallel()
	c, ctx := setup(t)
	w := worker.New(testenv.Shared().Client(), t.Name(), worker.Options{})
	w.RegisterWorkflowWithOptions(func(ctx workflow.Context) (contract.Cluster, error) {
		workflow.GetSignalChannel(ctx, "end").Receive(ctx, nil)
		return contract.Cluster{Name: "orders"}, nil
	}, workflow.RegisterOptions{Name: "waits"})
	require.NoError(t, w.Start())
	t.Cleanup(w.Stop)
	started, err := testenv.Shared().Client().
		ExecuteWorkflow(ctx, client.StartWorkflowOptions{ID: t.Name(), TaskQueue: t.Name()}, "waits")
	require.NoError(t, err)
	run := provisioner.Run{WorkflowID: started.GetID(), RunID: started.GetRunID()}

	followed := make(chan provisioner.Run, 10)
	type result struct {
		cluster contract.Cluster
		err     error
	}
	results := make(chan result, 2)
	go func() {
		end, err := c.Follow(ctx, run, func(next provisioner.Run) { followed <- next })
		results <- result{end.Cluster, err}
	}()
	go func() {
		cluster, err := c.Result(ctx, run.WorkflowID, "")
		results <- result{cluster, err}
	}()
	for range 2 {
		require.Eventually(t, func() bool { // until its first workflow task is done
			s, err := testenv.Shared().Client().DescribeWorkflowExecution(ctx, run.WorkflowID, run.RunID)
			return err == nil && s.GetPendingWorkflowTask() == nil &&
				s.GetWorkflowExecutionInfo().GetHistoryLength() > 3
		}, testenv.Patience, 10*time.Millisecond)
		run.RunID = reset(ctx, t, run)
		require.Equal(t, run, <-followed)
	}
	require.NoError(t, testenv.Shared().Client().SignalWorkflow(ctx, run.WorkflowID, "", "end", nil))
	for range 2 {
		require.Equal(t, result{cluster: contract.Cluster{Name: "orders"}}, <-results)
	}

	// A run that was terminated for another reason has no successor, not even one that was started later.
	other, err := testenv.Shared().Client().
		ExecuteWorkflow(ctx, client.StartWorkflowOptions{ID: t.Name(), TaskQueue: t.Name()}, "waits")
	require.NoError(t, err)
	require.NoError(t, testenv.Shared().Client().TerminateWorkflow(ctx, t.Name(), other.GetRunID(), "by hand"))
	later, err := testenv.Shared().Client().
		ExecuteWorkflow(ctx, client.StartWorkflowOptions{ID: t.Name(), TaskQueue: t.Name()}, "waits")
	require.NoError(t, err)
	_, err = c.Result(ctx, t.Name(), other.GetRunID())
	require.Equal(t, provisioner.Terminated, testenv.Failure(t, err).State)
	require.NoError(
		t,
		testenv.Shared().Client().TerminateWorkflow(ctx, t.Name(), later.GetRunID(), "the end of the test"),
	)
}
