package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/atlas-provisioner/atlas-provisioner/activities"
	"github.com/atlas-provisioner/atlas-provisioner/contract"
)

// workerCheckMethods only lends the names of its methods.
var workerCheckMethods *activities.WorkerCheck

// CheckWorker answers how the worker stands that runs its activity. Somebody waits for the answer on a terminal, so it
// is tried once, and goes before everything else. The time limit of the run, which the caller sets, is shorter than the
// activity's.
func (w *Workflows) CheckWorker(
	ctx workflow.Context, in contract.CheckWorkerInput,
) (report contract.WorkerReport, err error) {
	if err := in.Validate(); err != nil {
		return report, temporal.NewNonRetryableApplicationError(err.Error(), contract.InvalidInput, nil)
	}
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		ScheduleToCloseTimeout: time.Minute,
		RetryPolicy:            &temporal.RetryPolicy{MaximumAttempts: 1},
		Priority:               temporal.Priority{PriorityKey: checkPriority},
		Summary:                "Tell how the worker stands",
	})
	err = workflow.ExecuteActivity(ctx, workerCheckMethods.CheckWorker, in).Get(ctx, &report)
	return report, err
}
