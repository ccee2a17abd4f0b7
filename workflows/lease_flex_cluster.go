package workflows

import (
	"errors"
	"slices"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/atlas-provisioner/atlas-provisioner/activities"
	"github.com/atlas-provisioner/atlas-provisioner/contract"
)

const (
	// maxLeaseHistory is the number of events after which a lease continues as new, so that its history stays short
	// however often it is extended, and however often the deletion of its cluster fails.
	maxLeaseHistory = 500
	// A delete that failed is tried again after a minute at first, and after an hour at last.
	firstDeleteDelay, lastDeleteDelay = time.Minute, time.Hour
)

// lease is one run of a lease. What it must know when it continues as new is in its state.
type lease struct {
	run     *run
	request contract.LeaseFlexClusterInput
	state   leaseState
	// valid says that the input is one.
	valid bool
	// released says that somebody has ended the lease by the update [contract.ReleaseUpdate].
	released bool
}

// leaseState is what a run of a lease hands to the next one when it continues as new. It is the second argument of the
// workflow, which nobody else gives.
type leaseState struct {
	// Began is when the lease began. It made no cluster that is older.
	Began time.Time `json:"began"`
	// LeaseFor is for how long the cluster is kept, extensions before it was IDLE included.
	LeaseFor time.Duration `json:"leaseFor"`
	// LeasedAt is when the cluster was IDLE; zero before.
	LeasedAt time.Time `json:"leasedAt,omitzero"`
	// Deadline is when the lease ends; zero before the cluster was IDLE.
	Deadline time.Time `json:"deadline,omitzero"`
	// Cluster is the cluster that is leased, or what a provision left behind that failed. It has no id before it is
	// known.
	Cluster contract.Cluster `json:"cluster"`
	// End is how the lease ended; nil before. What is left to do is to delete the cluster.
	End *leaseEnd `json:"end,omitempty"`
	// FailedDeletes counts the deletes that failed.
	FailedDeletes int `json:"failedDeletes,omitempty"`
}

// leaseEnd is how a lease ended. The zero value is the end of its time, or a release.
type leaseEnd struct {
	Canceled bool `json:"canceled,omitempty"`
	// Failure is why it failed; nil where it did not.
	Failure *leaseFailure `json:"failure,omitempty"`
	// Leftover says that the provision can have made a cluster that nobody knows.
	Leftover bool `json:"leftover,omitempty"`
}

type leaseFailure struct {
	Type    string                  `json:"type"`
	Message string                  `json:"message"`
	Details contract.FailureDetails `json:"details"`
}

func (f leaseFailure) err() error {
	return temporal.NewApplicationErrorWithOptions(f.Message, f.Type, temporal.ApplicationErrorOptions{
		NonRetryable: true, Details: []any{f.Details},
	})
}

// LeaseFlexCluster creates a Flex cluster by a child workflow, keeps it until the lease ends, and deletes it by
// another. Whatever ends it early, the cluster is deleted: a cancellation, a release, a provision that failed.
//
// The input is a [contract.LeaseFlexClusterInput], taken raw so that one that does not even decode fails as
// INVALID_INPUT. carried is what the run before handed on that continued as new. The failure types are those of package
// contract.
func (w *Workflows) LeaseFlexCluster(
	ctx workflow.Context, input converter.RawValue, carried *leaseState,
) (*contract.LeaseResult, error) {
	r := &run{ctx: ctx, info: workflow.GetInfo(ctx), usableSearchAttributes: w.SearchAttributes}
	request, invalid := contract.Parse[contract.LeaseFlexClusterInput](
		input.Payload().GetData(), r.info.WorkflowExecution.ID)
	l := &lease{run: r, request: request, valid: invalid == nil}
	l.state = leaseState{Began: r.info.WorkflowStartTime, LeaseFor: request.LeaseFor()}
	if carried != nil {
		l.state = *carried
	}
	if err := errors.Join(r.answerQueries(), takeUpdates(ctx, input, l), l.takeReady(), l.takeRelease()); err != nil {
		return nil, err
	}
	if invalid != nil {
		err := r.failInvalid(invalid)
		l.state.End = &leaseEnd{Failure: &leaseFailure{Type: contract.InvalidInput, Message: invalid.Error()}}
		return nil, l.finish(err)
	}
	r.operation, r.cluster = request.Operation(), request.Cluster()
	r.upsert(
		searchAttribute{contract.SearchAttributeProjectID, r.cluster.GroupID},
		searchAttribute{contract.SearchAttributeClusterName, r.cluster.Name},
	)
	if l.state.LeasedAt.IsZero() && l.state.End == nil {
		l.provision()
	}
	if l.state.End == nil {
		if goesOn := l.keep(); goesOn {
			return nil, l.continueAsNew(input)
		}
	}
	if goesOn := l.release(); goesOn {
		return nil, l.continueAsNew(input)
	}
	result, err := l.end()
	return result, l.finish(err)
}

// finish answers err when every update is answered.
func (l *lease) finish(err error) error {
	ctx, _ := workflow.NewDisconnectedContext(l.run.ctx)
	_ = workflow.Await(ctx, func() bool { return workflow.AllHandlersFinished(l.run.ctx) })
	return err
}

// continueAsNew goes on in a new run, with a short history.
func (l *lease) continueAsNew(input converter.RawValue) error {
	return l.finish(workflow.NewContinueAsNewError(l.run.ctx, contract.LeaseFlexCluster, input, &l.state))
}

// isLong reports whether the history of the run is so long that the lease is to continue as new.
func (l *lease) isLong() bool {
	//mutate:lease-history
	return l.run.info.GetCurrentHistoryLength() >= maxLeaseHistory || l.run.info.GetContinueAsNewSuggested()
}

func (l *lease) clusterWorkflowID() string {
	return contract.ClusterWorkflowID(l.run.cluster.GroupID, l.run.cluster.Name)
}

// provision makes the cluster. The lease begins when it is IDLE.
func (l *lease) provision() {
	r := l.run
	r.note(contract.StateCreating)
	r.enter(contract.PhaseCreating, "Workflow "+l.clusterWorkflowID()+" provisions cluster "+quote(r.cluster.Name)+
		". The lease begins when it is IDLE.")
	cluster, started, err := l.provisionByChild()
	canceled := r.ctx.Err() != nil
	if err != nil {
		end := leaseEnd{Canceled: canceled && !l.released}
		failure := l.failureOf(err)
		if !canceled && !l.released {
			end.Failure = &failure
		}
		end.Leftover = (started || l.wasReset()) && !slices.Contains(makesNothing, failure.Type)
		l.state.End = &end
		return
	}
	l.state.Cluster, l.state.LeasedAt = cluster, workflow.Now(r.ctx)
	l.state.Deadline = l.state.LeasedAt.Add(l.state.LeaseFor)
	if canceled || l.released {
		l.state.End = &leaseEnd{Canceled: canceled && !l.released}
	}
}

// makesNothing are the types of failures with which a provision ends that made nothing: what there is was there before.
var makesNothing = []string{contract.ClusterConflict, contract.RequestConflict, contract.InvalidInput}

// wasReset reports whether an operator has reset the run. What the run before the reset had started is then unknown.
func (l *lease) wasReset() bool {
	return l.run.recordSurroundings().RunID != l.run.info.OriginalRunID
}

// provisionByChild provisions the cluster by a child workflow, and reports whether one was started. A run of the same
// request that is there is waited for first; then the cluster is as asked, and the child finds it so.
func (l *lease) provisionByChild() (cluster contract.Cluster, started bool, err error) {
	request := l.request.Provision()
	for {
		err := l.executeChild(request, "Provision Flex cluster "+l.run.cluster.Name, l.isToEnd, &cluster)
		if !isRunning(err) {
			return cluster, true, err
		}
		if err := l.awaitOther(&request, l.isToEnd); err != nil {
			return cluster, false, err
		}
	}
}

// isRunning reports whether a child was not started because its workflow id is taken by a run.
func isRunning(err error) bool {
	var started *temporal.ChildWorkflowExecutionAlreadyStartedError
	return errors.As(err, &started)
}

// isToEnd reports whether somebody has ended the lease.
func (l *lease) isToEnd() bool { return l.released || l.run.ctx.Err() != nil }

// never is for what has to take its course.
func never() bool { return false }

// executeChild runs a child workflow under the workflow id of the cluster, and cancels it once it is to stop. A
// termination of the lease leaves the child alone, so that it takes its course.
func (l *lease) executeChild(
	request contract.Request, summary string, isToStop func() bool, out *contract.Cluster,
) error {
	//mutate:lease-cleans-up
	disconnected, _ := workflow.NewDisconnectedContext(l.run.ctx)
	ctx, cancel := workflow.WithCancel(workflow.WithChildOptions(disconnected, workflow.ChildWorkflowOptions{
		WorkflowID: l.clusterWorkflowID(), WaitForCancellation: true, StaticSummary: summary,
		//mutate:lease-abandons
		ParentClosePolicy: enumspb.PARENT_CLOSE_POLICY_ABANDON,
	}))
	child := workflow.ExecuteChildWorkflow(ctx, request.Operation().WorkflowType, request)
	_ = workflow.Await(disconnected, func() bool { return child.IsReady() || isToStop() })
	if !child.IsReady() {
		cancel()
	}
	return child.Get(disconnected, out)
}

// awaitOther waits for the end of a run under the workflow id of the cluster that the lease did not start. It fails
// with REQUEST_CONFLICT where that has another request than the one given, and as cancelled once it is to stop.
func (l *lease) awaitOther(request *contract.ProvisionFlexClusterInput, isToStop func() bool) error {
	workflow.SetCurrentDetails(l.run.ctx, "Waiting for the end of the run under the workflow id "+
		l.clusterWorkflowID()+", which this lease did not start.")
	return l.executeActivity(contract.AwaitClusterRunActivity,
		activities.ClusterRunInput{WorkflowID: l.clusterWorkflowID(), Request: request},
		"Wait for the end of workflow "+l.clusterWorkflowID(), isToStop, nil)
}

// executeActivity runs an activity that goes on until it is done, and cancels it once it is to stop.
func (l *lease) executeActivity(activity, input any, summary string, isToStop func() bool, out any) error {
	disconnected, _ := workflow.NewDisconnectedContext(l.run.ctx)
	ctx, cancel := workflow.WithCancel(disconnected)
	future := workflow.ExecuteActivity(l.activityContext(ctx, summary), activity, input)
	_ = workflow.Await(disconnected, func() bool { return future.IsReady() || isToStop() })
	if !future.IsReady() {
		cancel()
		return temporal.NewCanceledError()
	}
	return future.Get(disconnected, out)
}

// activityContext is for an activity without a time limit: it says itself when it is tried again.
func (l *lease) activityContext(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: attemptTimeout, HeartbeatTimeout: heartbeatTimeout, Summary: summary,
		RetryPolicy: &temporal.RetryPolicy{
			InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: lostInterval,
		},
		Priority: temporal.Priority{PriorityKey: lookPriority, FairnessKey: l.run.cluster.GroupID},
	})
}

// failureOf is the failure of a child workflow or of an activity that ended with err.
func (l *lease) failureOf(err error) leaseFailure {
	var (
		app        *temporal.ApplicationError
		canceled   *temporal.CanceledError
		terminated *temporal.TerminatedError
		timeout    *temporal.TimeoutError
	)
	who := "workflow " + quote(l.clusterWorkflowID())
	switch {
	case errors.As(err, &app):
		f := leaseFailure{Type: app.Type(), Message: app.Message()}
		if app.HasDetails() {
			_ = app.Details(&f.Details) // details of another shape say nothing
		}
		return f
	case errors.As(err, &canceled):
		return leaseFailure{Type: "CANCELED", Message: who + " was cancelled"}
	case errors.As(err, &terminated):
		return leaseFailure{Type: "TERMINATED", Message: who + " was terminated"}
	case errors.As(err, &timeout):
		return leaseFailure{Type: "TIMED_OUT", Message: who + " reached the time limit that Temporal was given for it"}
	}
	return leaseFailure{Type: "FAILED", Message: who + " failed: " + err.Error()}
}
