package workflows

import (
	"errors"
	"fmt"
	"slices"
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
// one, also where the activity ended with a failure after which it would have been tried again.
func (r *run) fail(err error) error {
	var canceled *temporal.CanceledError
	//mutate:canceled-while-asking
	if errors.As(err, &canceled) || !isFinal(err) && errors.As(r.ctx.Err(), &canceled) {
		r.note(r.lastRead())
		r.enter(contract.PhaseFailed, "Cancelled. "+r.leftBehind()+".")
		return canceled
	}
	f := classify(err, r.accepted, r.status.StateName)
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

// isFinal reports whether an activity would not have been tried again.
func isFinal(err error) bool {
	var app *temporal.ApplicationError
	return errors.As(err, &app) && app.NonRetryable()
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

// classify says what the end of an activity means for the run. accepted says that Atlas had taken the request, and
// state is the last state of the cluster that the run knew.
func classify(err error, accepted bool, state string) failure {
	f := failure{accepted: accepted}
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
	}
	hasState := f.accepted || f.failureType == contract.Timeout && f.answer == ""
	if f.details.StateName == "" && f.failureType != contract.ClusterGone && hasState {
		f.details.StateName = lastState(err, state)
	}
	return f
}

// lastState is the last state that a wait reported before it was cut off, or else the one that the run knew.
func lastState(err error, state string) string {
	var timeout *temporal.TimeoutError
	var p contract.WaitProgress
	if errors.As(err, &timeout) && timeout.HasLastHeartbeatDetails() &&
		timeout.LastHeartbeatDetails(&p) == nil && p.StateName != "" {
		return p.StateName
	}
	return state
}

// render puts a failure into words: what happened, and what to do next.
func (r *run) render(f failure) string {
	switch {
	case f.final && f.accepted && !slices.Contains(saysWhatIsLeft, f.failureType):
		return f.answer + ". " + r.leftBehind()
	case f.final:
		return f.answer
	case f.answer != "" && !f.accepted:
		return fmt.Sprintf("%s, for which no time was left within %s. %s%s", f.answer, r.timeLimit(),
			r.leftBehind(), r.whatElseToCheck(f.details.Status))
	}
	message := fmt.Sprintf("cluster %q was not %s within %s: ", r.cluster.Name, r.goal, r.timeLimit())
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

// saysWhatIsLeft are the types of failures whose own text says what becomes of the cluster.
var saysWhatIsLeft = []string{contract.ClusterGone, contract.ClusterConflict, contract.ClusterProtected}

// whatElseToCheck is for an answer that was to pass by itself and did not. For a region of GCP that does not exist,
// public reports have a 500 UNEXPECTED_ERROR that never passes.
func (r *run) whatElseToCheck(status int) string {
	switch {
	case status < 500:
		return ""
	case !r.plan.creates && !r.plan.upgrades: // no region is asked for
		return ". If Atlas goes on answering so, check https://status.mongodb.com"
	}
	return ". If Atlas goes on answering so, check providerSettings.regionName, since it does not refuse every " +
		"region that it does not have, and https://status.mongodb.com"
}

// leftBehind says what a run that ends early leaves behind, and how to go on.
func (r *run) leftBehind() string {
	state := r.status.StateName
	if state == "" && !r.accepted {
		nothing := "Nothing is known to have been " + r.plan.effect
		if r.plan.canBeTaken {
			return nothing + ": start the workflow again under the same id to make sure"
		}
		return nothing + ": without the ownership tag no later run takes up what was " + r.plan.effect + ", " +
			"so look in Atlas before you start the workflow again"
	}
	if r.operation.Phase == contract.PhaseDeleting && state == contract.StateDeleting {
		return "Atlas goes on deleting the cluster: start the workflow again under the same id to wait for its end"
	}
	text := "The cluster is left as it is"
	if state != "" {
		text += " (" + state + ")"
	}
	switch {
	case !r.plan.canBeTaken:
		return text + ": without the ownership tag no later run takes it up, so wait for it or delete it in Atlas"
	case r.plan.creates:
		return text + ": start the workflow again under the same id to go on waiting, or delete it with the workflow " +
			contract.DeleteCluster
	}
	return text + ": start the workflow again under the same id to go on"
}
