package provisioner

import (
	"errors"

	"go.temporal.io/sdk/temporal"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
)

// State is how a run stands.
type State string

// The states of a run.
const (
	Running    State = "RUNNING"
	Completed  State = "COMPLETED"
	Failed     State = "FAILED"
	Canceled   State = "CANCELED"
	Terminated State = "TERMINATED"
	TimedOut   State = "TIMED_OUT"
)

// Failure is why a run ended without doing what was asked, or was not started: find it with [errors.As] and switch on
// its Type.
type Failure struct {
	// State of the run; "" when none was started.
	State State `json:"-"`
	// Type is a failure type of package contract, Atlas's errorCode, or the State of a run that was cancelled,
	// terminated or timed out.
	Type    string                  `json:"type"`
	Message string                  `json:"message"`
	Details contract.FailureDetails `json:"details"`
}

// Error is the type and the message.
func (f *Failure) Error() string { return f.Type + ": " + f.Message }

// Retryable reports whether what stood in the way may pass by itself, so that starting the same request again,
// unchanged and after a while, may succeed. It takes up what the failed run left behind, unless the request did without
// the ownership tag.
//
//   - Yes: TIMEOUT, ATLAS_UNREACHABLE, ATLAS_BAD_RESPONSE; an answer of Atlas
//     that is [contract.Transient] (5xx, 408, 425, 429 and a few codes), by
//     Details; and TIMED_OUT, the time limit that Temporal was given for the run.
//   - No: what somebody has to change first (any other answer of Atlas,
//     INVALID_INPUT, CLUSTER_CONFLICT, CLUSTER_PROTECTED, REQUEST_CONFLICT), what
//     somebody ended on purpose (CANCELED, TERMINATED, CLUSTER_GONE), and what is
//     not known.
func (f *Failure) Retryable() bool {
	switch f.Type {
	case contract.Timeout, contract.AtlasUnreachable, contract.AtlasBadResponse:
		return true
	case contract.InvalidInput, contract.ClusterConflict, contract.ClusterProtected, contract.ClusterGone,
		contract.RequestConflict:
		return false
	}
	return f.State == TimedOut || f.State == Failed && contract.Transient(f.Details.Status, f.Details.ErrorCode)
}

// ended is the [*Failure] of a run that ended with an error, or the error itself where it says nothing of the run.
func ended(err error) error {
	var (
		app        *temporal.ApplicationError
		canceled   *temporal.CanceledError
		terminated *temporal.TerminatedError
		timeout    *temporal.TimeoutError
		execution  *temporal.WorkflowExecutionError
	)
	if !errors.As(err, &execution) {
		return err
	}
	switch {
	case errors.As(err, &canceled):
		return stopped(Canceled, "the run was cancelled")
	case errors.As(err, &terminated):
		return stopped(Terminated, "the run was terminated")
	case errors.As(err, &app):
		f := &Failure{State: Failed, Type: app.Type(), Message: app.Message()}
		if app.HasDetails() {
			// Details of another shape say nothing.
			_ = app.Details(&f.Details)
		}
		return f
	case errors.As(err, &timeout):
		return stopped(TimedOut, "the run reached the time limit that Temporal was given for it")
	}
	return &Failure{State: Failed, Type: string(Failed), Message: execution.Error()}
}

// stopped is the failure of a run that did not end by itself.
func stopped(state State, what string) *Failure {
	return &Failure{State: state, Type: string(state), Message: what + "; what Atlas has begun goes on"}
}

// Invalid is the [*Failure] of an input that does not validate: nothing was started.
func Invalid(err error) *Failure {
	f := &Failure{Type: contract.InvalidInput, Message: err.Error()}
	var input *contract.InputError
	if errors.As(err, &input) {
		f.Details.Violations = input.Violations
	}
	return f
}

// conflict is the [*Failure] of a request that cannot join what runs, or nil.
func conflict(err error) error {
	var differs *contract.ConflictError
	if !errors.As(err, &differs) {
		return err
	}
	return &Failure{
		State: Running, Type: contract.RequestConflict, Message: differs.Error(),
		Details: contract.FailureDetails{Differences: differs.Differences},
	}
}
