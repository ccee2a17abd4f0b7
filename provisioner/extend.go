package provisioner

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
)

// Extend moves the time limit of a run by whole seconds, and answers when its time is up then. Of a lease it moves the
// end; before the cluster is IDLE, the answer is the earliest time at which the lease can end. An empty runID is the
// newest run.
//
// A worker must be up: without one, Extend waits until ctx ends, and then the limit may have been moved or not. It
// fails with a [*Failure] where the run refuses it, of type INVALID_INPUT where the limit cannot be moved by so much.
// Any other error is Temporal's.
func (c *Client) Extend(ctx context.Context, workflowID, runID string, by time.Duration) (time.Time, error) {
	var extended contract.Extended
	err := c.update(ctx, workflowID, runID, contract.ExtendUpdate, &extended,
		contract.ExtendInput{Seconds: int(by / time.Second)})
	return extended.Deadline, err
}

// notReadyDelay is the delay before an update is sent again that no workflow task could take.
const notReadyDelay = 200 * time.Millisecond

func (c *Client) sendUpdate(ctx context.Context, options client.UpdateWorkflowOptions, answer any) error {
	update, err := c.temporal.UpdateWorkflow(ctx, options)
	if err != nil {
		return err
	}
	return update.Get(ctx, answer)
}

// update sends an update and waits for its answer. It fails with a [*Failure] where the run refuses it.
func (c *Client) update(ctx context.Context, workflowID, runID, name string, answer any, args ...any) error {
	options := client.UpdateWorkflowOptions{
		WorkflowID: workflowID, RunID: runID, UpdateName: name, Args: args,
		WaitForStage: client.WorkflowUpdateStageCompleted,
		UpdateID:     rand.Text(), // so that it is taken once, however often it is sent
	}
	err := c.sendUpdate(ctx, options, answer)
	var notReady *serviceerror.WorkflowNotReady
	for errors.As(err, &notReady) && ctx.Err() == nil { // the workflow task that was to take it has failed
		select {
		case <-ctx.Done():
		case <-time.After(notReadyDelay):
			err = c.sendUpdate(ctx, options, answer)
		}
	}
	var refused *temporal.ApplicationError
	if !errors.As(err, &refused) {
		return err
	}
	f := &Failure{State: Running, Type: refused.Type(), Message: refused.Message()}
	if refused.HasDetails() {
		// Details of another shape say nothing.
		_ = refused.Details(&f.Details)
	}
	return f
}
