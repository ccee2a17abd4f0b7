package workflows

import (
	"errors"
	"time"

	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
)

// limit is what the update [contract.ExtendUpdate] moves: the time limit of a run.
type limit interface {
	// room is by how much the limit can still be moved, and why not by more.
	room() (most time.Duration, reason string)
	// extend moves the limit, and answers when the time is up.
	extend(by time.Duration) time.Time
}

// takeUpdates lets a workflow take the updates that every workflow takes. It is called when the limit is known, and
// before anything blocks: an update that came with the start is handled here and now.
//
// What is refused is refused by a validator, which leaves no event in the history.
func takeUpdates(ctx workflow.Context, input converter.RawValue, l limit) error {
	return errors.Join(takeJoin(ctx, input), takeExtend(ctx, l))
}

func takeJoin(ctx workflow.Context, input converter.RawValue) error {
	info := workflow.GetInfo(ctx)
	running := contract.Running{
		WorkflowID: info.WorkflowExecution.ID, WorkflowType: info.WorkflowType.Name, Input: input.Payload().GetData(),
	}
	answer := contract.Joined{
		WorkflowID: running.WorkflowID, RunID: info.WorkflowExecution.RunID, WorkflowType: running.WorkflowType,
	}
	return workflow.SetUpdateHandlerWithOptions(ctx, contract.JoinUpdate,
		func(workflow.Context, converter.RawValue, string) (contract.Joined, error) { return answer, nil },
		workflow.UpdateHandlerOptions{
			Description: "Join the run with the input of the workflow, and the workflow type. Refused with " +
				"REQUEST_CONFLICT where it is another request.",
			Validator: func(_ workflow.Context, requested converter.RawValue, workflowType string) error {
				//mutate:join-compares
				return refuse(running.JoinRaw(workflowType, requested.Payload().GetData()))
			},
		})
}

func takeExtend(ctx workflow.Context, l limit) error {
	parse := func(input converter.RawValue) (time.Duration, error) {
		most, reason := l.room()
		return contract.ParseExtension(input.Payload().GetData(), most, reason)
	}
	return workflow.SetUpdateHandlerWithOptions(ctx, contract.ExtendUpdate,
		func(_ workflow.Context, input converter.RawValue) (contract.Extended, error) {
			by, err := parse(input)
			if err != nil { // another extension was accepted in between
				return contract.Extended{}, refuse(err)
			}
			return contract.Extended{Deadline: l.extend(by)}, nil
		},
		workflow.UpdateHandlerOptions{
			Description: `Move the time limit by {"seconds": N}.`,
			Validator: func(_ workflow.Context, input converter.RawValue) error {
				_, err := parse(input)
				return refuse(err)
			},
		})
}

// refuse is the failure of an update that is refused, or nil.
func refuse(err error) error {
	var (
		conflict  *contract.ConflictError
		input     *contract.InputError
		extension *contract.ExtensionError
		details   contract.FailureDetails
	)
	failureType := contract.InvalidInput
	switch {
	case errors.As(err, &conflict):
		failureType, details.Differences = contract.RequestConflict, conflict.Differences
	case errors.As(err, &input):
		details.Violations = input.Violations
	case errors.As(err, &extension):
		details.Violations = extension.Violations
	default:
		return err
	}
	return temporal.NewApplicationErrorWithOptions(err.Error(), failureType, temporal.ApplicationErrorOptions{
		NonRetryable: true, Details: []any{details},
	})
}

// room is by how much the time limit of the run can still be moved.
func (r *run) room() (time.Duration, string) {
	if r.deadline.IsZero() {
		return 0, "the input of the run is invalid"
	}
	return contract.MaxTimeLimit - r.timeout, "the time limit of a run is " + r.timeout.String() +
		" now, and may come to " + contract.MaxTimeLimit.String()
}

// extend moves the time limit of the run. An activity that is under way keeps the limit that it has. When that is
// reached, the run begins the activity anew; see [run.executeActivity].
func (r *run) extend(by time.Duration) time.Time {
	r.timeout += by
	r.movedBy += by
	r.deadline = r.deadline.Add(by)
	return r.deadline
}

// timeLimit is the time limit of the run and what it is made of.
func (r *run) timeLimit() string {
	if r.movedBy == 0 {
		return r.timeout.String() + " (timeoutSeconds)"
	}
	return r.timeout.String() + " (timeoutSeconds, extended by " + r.movedBy.String() + ")"
}

// goesOnExtended reports whether an activity that ended with err is begun anew, since its time was up at a deadline
// that was moved meanwhile. What the activity had on record is lost but for the last state of the cluster.
func (r *run) goesOnExtended(deadline time.Time, err error) bool {
	var app *temporal.ApplicationError
	timeWasUp := !isFinal(err) || errors.As(err, &app) && app.Type() == contract.Timeout
	//mutate:extend-goes-on
	if !r.deadline.After(deadline) || !timeWasUp {
		return false
	}
	r.extended = true
	if state := classify(err, r.accepted, r.status.StateName).details.StateName; r.accepted && state != "" {
		r.status.StateName = state
	}
	return true
}
