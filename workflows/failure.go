package workflows

import (
	"errors"
	"fmt"
	"strings"

	"go.temporal.io/sdk/temporal"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
)

// failInvalid fails a run whose input no request should be made for.
func (r *run) failInvalid(err error) error {
	var input *contract.InputError
	if !errors.As(err, &input) {
		return err
	}
	r.enter(contract.PhaseFailed, err.Error()+".")
	return temporal.NewApplicationErrorWithOptions(err.Error(), contract.InvalidInput, temporal.ApplicationErrorOptions{
		NonRetryable: true,
		Details:      []any{contract.FailureDetails{Violations: input.Violations}},
	})
}

// fail turns the end of an activity into the run's own failure, with the activity's as its cause. A cancellation stays
// one.
func (r *run) fail(err error) error {
	var canceled *temporal.CanceledError
	if errors.As(err, &canceled) {
		r.enter(contract.PhaseFailed, "Cancelled. "+r.leftBehind()+".")
		return canceled
	}
	f := classify(err, r.status)
	r.note(f.details.StateName)
	message := r.render(f)
	text := message
	if !strings.Contains(message, f.failureType) { // Atlas's own codes stand in its answer
		text = f.failureType + ": " + message
	}
	r.enter(contract.PhaseFailed, text+".")
	return temporal.NewApplicationErrorWithOptions(message, f.failureType, temporal.ApplicationErrorOptions{
		NonRetryable: true, Cause: err, Details: []any{f.details},
	})
}

// failure is why a run ends without its cluster.
type failure struct {
	failureType string
	details     contract.FailureDetails
	// accepted says that Atlas has taken the request.
	accepted bool
	// final says that the answer is final. Else the time was up.
	final bool
	// answer is what the activity said last, if it is not a state of the cluster.
	answer string
}

// classify says what the end of an activity means for the run. status is that of the run when the activity ended.
func classify(err error, status contract.Status) failure {
	f := failure{accepted: status.Phase == contract.PhaseWaiting}
	var app *temporal.ApplicationError
	if errors.As(err, &app) {
		if app.HasDetails() {
			_ = app.Details(&f.details) // details of another shape say nothing
		}
		looked := app.Type() == contract.NotYet && f.accepted
		if !looked && app.Type() != contract.Timeout {
			f.answer = app.Message()
			f.failureType, f.final = app.Type(), app.NonRetryable()
		}
	}
	switch {
	case f.final:
	case f.answer != "" && !f.accepted: // there is no state to speak of
		if f.failureType == contract.NotYet {
			f.failureType = contract.Timeout
		}
	default:
		f.failureType = contract.Timeout
		if f.details.StateName == "" {
			f.details.StateName = lastState(err, status)
		}
	}
	return f
}

// lastState is the last state that a wait reported before it was cut off.
func lastState(err error, status contract.Status) string {
	var timeout *temporal.TimeoutError
	var p contract.WaitProgress
	if errors.As(err, &timeout) && timeout.HasLastHeartbeatDetails() &&
		timeout.LastHeartbeatDetails(&p) == nil && p.StateName != "" {
		return p.StateName
	}
	return status.StateName
}

// render puts a failure into words: what happened, and what to do next.
func (r *run) render(f failure) string {
	switch {
	case f.final:
		return f.answer
	case f.answer != "" && !f.accepted:
		return fmt.Sprintf("%s, for which no time was left within %s (timeoutSeconds): start the workflow again once Atlas answers",
			f.answer, r.timeout)
	}
	message := fmt.Sprintf("cluster %q was not IDLE within %s (timeoutSeconds): ", r.cluster.Name, r.timeout)
	switch {
	case f.details.StateName != "":
		message += "the last state seen was " + f.details.StateName
	case f.answer == "":
		message += "no worker finished the request in that time"
	}
	if f.answer != "" {
		message += "; the last answer was: " + f.answer
	}
	return message + ". " + r.leftBehind()
}

// leftBehind says what a run that ends early leaves behind.
func (r *run) leftBehind() string {
	switch {
	case r.status.StateName == "":
		return "Nothing is known to have been made: start the workflow again under the same id to make sure"
	case !r.plan.canBeTaken:
		return "The cluster is left as it is: without the ownership tag no later run takes it up, so wait for it or delete it in Atlas"
	}
	return "The cluster is left as it is: start the workflow again under the same id to go on waiting, or delete it in Atlas"
}
