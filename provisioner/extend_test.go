package provisioner_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv"
	"github.com/atlas-provisioner/atlas-provisioner/provisioner"
)

// How Extend fails: a run that does not take the update refuses it; that there is no run, or no worker, is no failure
// of the run. What a run of ours answers is tested with the real worker, in package integration.
func TestExtendFails(t *testing.T) {
	t.Parallel()
	c, ctx := setup(t)
	var unknown *serviceerror.NotFound
	_, err := c.Extend(ctx, "no-such", "", time.Minute)
	require.ErrorAs(t, err, &unknown)

	run, err := testenv.Shared().Client().
		ExecuteWorkflow(ctx, client.StartWorkflowOptions{ID: t.Name(), TaskQueue: t.Name()}, "old")
	require.NoError(t, err)
	brief, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	_, err = c.Extend(brief, run.GetID(), "", time.Minute)
	var failure *provisioner.Failure
	require.Error(t, err)
	require.NotErrorAs(t, err, &failure, "no worker is up")

	w := worker.New(testenv.Shared().Client(), t.Name(), worker.Options{})
	w.RegisterWorkflowWithOptions(func(ctx workflow.Context) error { return workflow.Sleep(ctx, time.Hour) },
		workflow.RegisterOptions{Name: "old"})
	require.NoError(t, w.Start())
	t.Cleanup(w.Stop)
	_, err = c.Extend(ctx, run.GetID(), "", time.Minute)
	failure = testenv.Failure(t, err)
	require.Equal(t, provisioner.Running, failure.State)
	require.Contains(t, failure.Message, "unknown update extend")
	require.NoError(t, testenv.Shared().Client().TerminateWorkflow(ctx, run.GetID(), "", "the end of the test"))
}
