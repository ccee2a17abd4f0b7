package workflows

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/atlas-provisioner/atlas-provisioner/activities"
	"github.com/atlas-provisioner/atlas-provisioner/contract"
)

const (
	// heartbeatTimeout is how soon a killed worker is noticed.
	heartbeatTimeout = 10 * time.Second
	// attemptTimeout bounds one attempt: half a minute of looking or finding,
	// and the requests before and after it at their own limit.
	attemptTimeout = 2 * time.Minute
	// askPriority goes before lookPriority, the server's default.
	askPriority, lookPriority = 2, 3
	// lostInterval is the longest delay after an attempt whose worker died.
	lostInterval = 10 * time.Second
)

// run is what the two workflows share.
type run struct {
	ctx      workflow.Context
	info     *workflow.Info
	status   contract.Status
	settable func() []string // the search attributes that the server takes

	groupID, name, clusterType string
	untagged                   bool // no later run will know the cluster for its own
	timeout                    time.Duration
	deadline                   time.Time
}

// begin answers the status query from the first moment on.
func begin(ctx workflow.Context, w *Workflows) (*run, error) {
	r := &run{ctx: ctx, info: workflow.GetInfo(ctx), settable: w.SearchAttributes}
	r.status = contract.Status{Phase: contract.PhaseValidating, Since: workflow.Now(ctx)}
	err := workflow.SetQueryHandlerWithOptions(ctx, contract.StatusQuery,
		func() (contract.Status, error) { return r.status, nil },
		workflow.QueryHandlerOptions{Description: "The phase of the run, the last known state of the cluster, and since when."})
	return r, err
}

// of names the cluster of this run, the state that it is asked into, and the
// run's time limit.
func (r *run) of(groupID, name, clusterType, state string, timeout time.Duration) {
	r.groupID, r.name, r.clusterType = groupID, name, clusterType
	r.timeout, r.deadline = timeout, r.info.WorkflowStartTime.Add(timeout)
	r.upsert(
		searchAttribute{contract.SearchAttributeProjectID, groupID},
		searchAttribute{contract.SearchAttributeClusterName, name},
		searchAttribute{contract.SearchAttributeClusterState, state},
	)
}

// provision asks Atlas by one activity and waits by another.
func (r *run) provision(ask, input any, summary string) (*contract.Cluster, error) {
	var asked, idle contract.Cluster
	if err := r.execute(ask, input, summary, true, &asked); err != nil {
		return nil, r.failed(err)
	}
	// The answer to an upgrade can show the cluster as it was.
	if asked.Ready() && asked.Outcome != contract.Upgraded {
		return r.done(asked), nil
	}
	r.status.StateName = asked.StateName
	r.enter(contract.PhaseWaiting, "%s. The last answer was %s, at %s. Waiting until it is IDLE: newer answers, since when, and the next look stand under Pending Activities.",
		r.accepted(asked.Outcome), asked.StateName, workflow.Now(r.ctx).UTC().Format("15:04:05 UTC on 2006-01-02"))
	wait := activities.WaitInput{
		GroupID: r.groupID, Name: r.name, ClusterType: r.clusterType, StateName: asked.StateName, Deadline: r.deadline,
	}
	if err := r.execute(a.WaitUntilIdle, wait, "Wait until cluster "+r.name+" is IDLE", false, &idle); err != nil {
		return nil, r.failed(err)
	}
	idle.Outcome, idle.Warnings = asked.Outcome, merge(asked.Warnings, idle.Warnings)
	return r.done(idle), nil
}

// done is the run's end with its cluster.
func (r *run) done(c contract.Cluster) *contract.Cluster {
	r.saw(c.StateName)
	r.enter(contract.PhaseDone, "Cluster %q is IDLE (%s).", r.name, c.Outcome)
	return &c
}

// execute runs an activity within what is left of the run's time. Unless
// finish, a cancellation does not wait for it.
func (r *run) execute(activity, input any, summary string, finish bool, out any) error {
	left := r.deadline.Sub(workflow.Now(r.ctx))
	if left <= 0 {
		return errExpired
	}
	// Where the server knows priority and fairness: creates go before looks, and
	// projects take turns (https://docs.temporal.io/develop/task-queue-priority-fairness).
	priority := temporal.Priority{PriorityKey: lookPriority, FairnessKey: r.groupID}
	if finish {
		priority.PriorityKey = askPriority
	}
	ctx := workflow.WithActivityOptions(r.ctx, workflow.ActivityOptions{
		Priority:               priority,
		ScheduleToCloseTimeout: left,
		StartToCloseTimeout:    attemptTimeout,
		HeartbeatTimeout:       heartbeatTimeout,
		WaitForCancellation:    finish,
		Summary:                summary,
		// The activities say themselves how long to wait after they failed. What
		// is left is the attempt that was lost with its worker: it comes back
		// soon, however many looks there were before it.
		RetryPolicy: &temporal.RetryPolicy{
			InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: lostInterval,
		},
	})
	return workflow.ExecuteActivity(ctx, activity, input).Get(ctx, out)
}

// errExpired stands for an activity that there was no time to begin.
var errExpired = errors.New("no time left")

// enter begins a phase, with a sentence on it for the Web UI.
func (r *run) enter(phase contract.Phase, format string, args ...any) {
	r.status.Phase, r.status.Since = phase, workflow.Now(r.ctx)
	workflow.SetCurrentDetails(r.ctx, fmt.Sprintf(format, args...))
}

// saw notes the state in which the run leaves the cluster.
func (r *run) saw(state string) {
	r.status.StateName = state
	r.upsert(searchAttribute{contract.SearchAttributeClusterState, state})
}

// searchAttribute is a Keyword and the value that it gets; "" takes its value away.
type searchAttribute struct{ name, value string }

// upsert sets those of the search attributes that the server takes. A workflow task that sets another is refused, and
// given out again: by then the worker knows better, and the answer that the run goes by is recorded anew.
func (r *run) upsert(attributes ...searchAttribute) {
	recorded := workflow.MutableSideEffectWithOptions(r.ctx, "search-attributes",
		workflow.MutableSideEffectOptions{Summary: "Note which search attributes the server takes"},
		func(workflow.Context) any {
			if r.settable == nil {
				return []string{}
			}
			return r.settable()
		},
		func(a, b any) bool { return slices.Equal(a.([]string), b.([]string)) })
	var settable []string
	if err := recorded.Get(&settable); err != nil {
		return
	}
	var updates []temporal.SearchAttributeUpdate
	for _, attribute := range attributes {
		key := temporal.NewSearchAttributeKeyKeyword(attribute.name)
		switch {
		case !slices.Contains(settable, attribute.name):
		case attribute.value == "":
			updates = append(updates, key.ValueUnset())
		default:
			updates = append(updates, key.ValueSet(attribute.value))
		}
	}
	if len(updates) == 0 {
		return
	}
	if err := workflow.UpsertTypedSearchAttributes(r.ctx, updates...); err != nil {
		workflow.GetLogger(r.ctx).Warn("Search attributes were not set", "error", err)
	}
}

// accepted says what Atlas made of the request.
func (r *run) accepted(outcome contract.Outcome) string {
	switch outcome {
	case contract.Created:
		return fmt.Sprintf("Atlas is creating Flex cluster %q", r.name)
	case contract.Upgraded:
		return fmt.Sprintf("Atlas is upgrading cluster %q to serverless", r.name)
	default:
		return fmt.Sprintf("Cluster %q is already as asked", r.name)
	}
}

// invalid fails a run whose input no request should be made for.
func (r *run) invalid(err error) error {
	var input *contract.InputError
	if !errors.As(err, &input) {
		return err
	}
	r.enter(contract.PhaseFailed, "%v.", err)
	return temporal.NewApplicationErrorWithOptions(err.Error(), contract.InvalidInput, temporal.ApplicationErrorOptions{
		NonRetryable: true,
		Details:      []any{contract.FailureDetails{Violations: input.Violations}},
	})
}

// failed turns the end of an activity into the run's own failure, with the
// activity's as its cause. A cancellation stays one.
func (r *run) failed(err error) error {
	var canceled *temporal.CanceledError
	if errors.As(err, &canceled) {
		r.enter(contract.PhaseFailed, "Cancelled. %s.", r.left())
		return canceled
	}
	message, kind, details := r.describe(err)
	if details.StateName != "" {
		r.saw(details.StateName)
	} else {
		r.upsert(searchAttribute{contract.SearchAttributeClusterState, ""}) // there is no cluster to have one
	}
	says := message
	if !strings.Contains(message, kind) { // Atlas's own codes stand in its answer
		says = kind + ": " + message
	}
	r.enter(contract.PhaseFailed, "%s.", says)
	return temporal.NewApplicationErrorWithOptions(message, kind, temporal.ApplicationErrorOptions{
		NonRetryable: true, Cause: err, Details: []any{details},
	})
}

// describe is the message, type and details of a failure.
func (r *run) describe(err error) (message, kind string, details contract.FailureDetails) {
	last := "" // what Atlas answered last, if not a state
	var app *temporal.ApplicationError
	if errors.As(err, &app) {
		if app.HasDetails() {
			// Details of another shape say nothing.
			_ = app.Details(&details)
		}
		looked := app.Type() == contract.NotYet && r.status.Phase == contract.PhaseWaiting
		if !looked && app.Type() != contract.Timeout {
			last = app.Message()
		}
	}
	switch {
	case last != "" && app.NonRetryable():
		return last, app.Type(), details
	case last != "" && r.status.Phase != contract.PhaseWaiting:
		// Atlas never took the request: there is no state to speak of.
		if kind = app.Type(); kind == contract.NotYet {
			kind = contract.Timeout
		}
		return fmt.Sprintf("%s, for which no time was left within %s (timeoutSeconds): start the workflow again once Atlas answers",
			last, r.timeout), kind, details
	}
	if details.StateName == "" {
		details.StateName = r.lastState(err)
	}
	message = fmt.Sprintf("cluster %q was not IDLE within %s (timeoutSeconds): ", r.name, r.timeout)
	switch {
	case details.StateName != "":
		message += "the last state seen was " + details.StateName
	case last == "":
		message += "no worker finished the request in that time"
	}
	if last != "" {
		message += "; the last answer was: " + last
	}
	return message + ". " + r.left(), contract.Timeout, details
}

// lastState is the last state that a wait reported before it was cut off.
func (r *run) lastState(err error) string {
	var timeout *temporal.TimeoutError
	var p contract.WaitProgress
	if errors.As(err, &timeout) && timeout.HasLastHeartbeatDetails() &&
		timeout.LastHeartbeatDetails(&p) == nil && p.StateName != "" {
		return p.StateName
	}
	return r.status.StateName
}

// left says what a run that ends early leaves behind.
func (r *run) left() string {
	if r.status.StateName == "" {
		return "Nothing is known to have been made: start the workflow again under the same id to make sure"
	}
	if r.untagged {
		return "The cluster is left as it is: without the ownership tag no later run takes it up, so wait for it or delete it in Atlas"
	}
	return "The cluster is left as it is: start the workflow again under the same id to go on waiting, or delete it in Atlas"
}

// merge is a and what of b it lacks.
func merge(a, b []string) []string {
	out := append([]string{}, a...)
	for _, s := range b {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}
