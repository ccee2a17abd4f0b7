package worker

import (
	"context"
	"errors"

	"github.com/nexus-rpc/sdk-go/nexus"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/temporalnexus"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/provisioner"
)

// nexusService is the Nexus service of the worker: an operation for each row of the table of operations. Each runs the
// workflow of the row, with the same JSON in and out. data reads what the worker's Temporal client writes.
func nexusService(data converter.DataConverter) *nexus.Service {
	service := nexus.NewService(contract.NexusService)
	for _, operation := range contract.Operations() {
		service.MustRegister(temporalnexus.MustNewWorkflowRunOperationWithOptions(
			temporalnexus.WorkflowRunOperationOptions[converter.RawValue, any]{
				Name:    operation.NexusOperation(),
				Handler: nexusStart{operation: operation, data: data}.start,
			}))
	}
	return service
}

// nexusStart starts the workflow of an operation for a caller through Nexus.
type nexusStart struct {
	operation contract.Operation
	data      converter.DataConverter
}

type nexusHandle = temporalnexus.WorkflowHandle[any]

// start starts the workflow of a request, or joins the run that has the same request: the caller then gets its result
// as well. A caller that cancels cancels the run, whoever started it.
//
// It fails with INVALID_INPUT or REQUEST_CONFLICT, which are not retried.
func (n nexusStart) start(
	ctx context.Context, input converter.RawValue, options nexus.StartOperationOptions,
) (nexusHandle, error) {
	request, err := n.operation.ParseToStart(input.Payload().GetData())
	if err != nil {
		return nil, refuse(provisioner.Invalid(err))
	}
	starts := provisioner.StartOptions(request)
	// A run that is there is compared with the request before the caller is attached to it.
	handle, err := n.execute(ctx, options, starts, request)
	var running *serviceerror.WorkflowExecutionAlreadyStarted
	if !errors.As(err, &running) {
		return handle, err
	}
	//mutate:nexus-compares
	if err := n.compare(ctx, request, running.RunId); err != nil {
		return nil, err
	}
	starts.WorkflowIDConflictPolicy = enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING
	handle, err = n.execute(ctx, options, starts, request)
	if err != nil || handle.RunID() == running.RunId {
		return handle, err
	}
	// The run has ended in between, and another one has begun: for this request, or for one that came first.
	return handle, n.compare(ctx, request, handle.RunID())
}

func (n nexusStart) execute(
	ctx context.Context, options nexus.StartOperationOptions, starts client.StartWorkflowOptions,
	request contract.Request,
) (nexusHandle, error) {
	return temporalnexus.ExecuteUntypedWorkflow[any](ctx, options, starts, n.operation.WorkflowType, request)
}

// compare fails with REQUEST_CONFLICT where a run has another request.
func (n nexusStart) compare(ctx context.Context, request contract.Request, runID string) error {
	c := provisioner.New(temporalnexus.GetClient(ctx), provisioner.Options{DataConverter: n.data})
	err := c.Compare(ctx, request, runID)
	var failure *provisioner.Failure
	if errors.As(err, &failure) {
		return refuse(failure)
	}
	return err
}

// refuse is the error of a handler that refuses a request. Its cause is an application failure like that of a workflow,
// with type and details, so that callers need to know one kind only.
//
// It is a bad request also where it is a conflict: Temporal 1.29 takes CONFLICT for an internal error, and retries it.
func refuse(failure *provisioner.Failure) error {
	return &nexus.HandlerError{
		Type: nexus.HandlerErrorTypeBadRequest, Message: failure.Message,
		RetryBehavior: nexus.HandlerErrorRetryBehaviorNonRetryable,
		Cause: temporal.NewApplicationErrorWithOptions(failure.Message, failure.Type,
			temporal.ApplicationErrorOptions{NonRetryable: true, Details: []any{failure.Details}}),
	}
}
