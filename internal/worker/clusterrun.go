package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"

	"github.com/atlas-provisioner/atlas-provisioner/activities"
	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/provisioner"
)

// clusterRuns has the activity by which a lease waits for a run under the workflow id of its cluster that it did not
// start. A workflow cannot read another's input by itself. data reads what the worker's Temporal client writes.
type clusterRuns struct{ data converter.DataConverter }

// AwaitClusterRun waits for the end of the run that there is under a workflow id. It fails with REQUEST_CONFLICT where
// that has another request than it must have.
func (c *clusterRuns) AwaitClusterRun(ctx context.Context, in activities.ClusterRunInput) error {
	described, err := activity.GetClient(ctx).DescribeWorkflowExecution(ctx, in.WorkflowID, "")
	var notFound *serviceerror.NotFound
	if errors.As(err, &notFound) {
		return nil
	}
	if err != nil {
		return err
	}
	info := described.GetWorkflowExecutionInfo()
	switch info.GetStatus() {
	case enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING, enumspb.WORKFLOW_EXECUTION_STATUS_PAUSED:
	default:
		return nil
	}
	if in.Request != nil {
		//mutate:lease-compares
		if err := c.compare(ctx, *in.Request, info.GetExecution().GetRunId()); err != nil {
			return err
		}
	}
	const longest = 10
	delay := time.Duration(min(activity.GetInfo(ctx).Attempt, longest)) * time.Second
	return temporal.NewApplicationErrorWithOptions(
		fmt.Sprintf("workflow %q (%s) still runs", in.WorkflowID, info.GetType().GetName()), contract.NotYet,
		temporal.ApplicationErrorOptions{
			NextRetryDelay: delay, Category: temporal.ApplicationErrorCategoryBenign,
		})
}

// compare fails with REQUEST_CONFLICT, which is not retried, where a run has another request.
func (c *clusterRuns) compare(ctx context.Context, request contract.ProvisionFlexClusterInput, runID string) error {
	runs := provisioner.New(activity.GetClient(ctx), provisioner.Options{DataConverter: c.data})
	err := runs.Compare(ctx, request, runID)
	var failure *provisioner.Failure
	if !errors.As(err, &failure) {
		return err
	}
	return temporal.NewApplicationErrorWithOptions(failure.Message, failure.Type, temporal.ApplicationErrorOptions{
		NonRetryable: true, Details: []any{failure.Details},
	})
}
