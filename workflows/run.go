package workflows

import (
	"errors"
	"slices"
	"strconv"
	"time"

	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/atlas-provisioner/atlas-provisioner/activities"
	"github.com/atlas-provisioner/atlas-provisioner/contract"
)

const (
	// heartbeatTimeout is how soon a killed worker is noticed.
	heartbeatTimeout = 10 * time.Second
	// attemptTimeout bounds one attempt: half a minute of looking, and the requests before and after it at their own
	// limit.
	attemptTimeout = 2 * time.Minute
	// checkPriority goes before askPriority, and that before lookPriority, the server's default.
	checkPriority, askPriority, lookPriority = 1, 2, 3
	// lostInterval is the longest delay after an attempt whose worker died.
	lostInterval = 10 * time.Second
)

// plan is what one operation does in its own way.
type plan struct {
	// activity asks Atlas, with the input that input makes of what the activity must know of the run. summary says so
	// in the Web UI.
	activity any
	input    func(activities.RunInfo) any
	summary  string
	// asking and accepted say what goes on, before and after Atlas has taken the request.
	asking, accepted string
	// firstState is the state that Atlas is asked to bring the cluster into.
	firstState string
	// asked is what the run waits for, beside IDLE, where it changes a cluster that is there; nil for nothing.
	asked *contract.Asked
	// effect is what is done to a cluster: "made", "changed" or "deleted".
	effect string
	// canBeTaken says that a later run of the workflow takes the cluster up where this one left it.
	canBeTaken bool
	// creates says that the request brings the cluster into being: the answer shows it as it is, and a read can lag
	// behind it. Other requests change a cluster that Atlas has shown before, and their answer can show it as it was.
	creates bool
	// upgrades says that the cluster is of another kind until Atlas has done what it was asked for.
	upgrades bool
	// steps take the place of asking by one activity and waiting by another.
	steps func(*run) (*contract.Cluster, error)
}

// run is one run of a workflow.
type run struct {
	ctx       workflow.Context
	info      *workflow.Info
	operation contract.Operation
	cluster   contract.ClusterRef
	plan      plan
	status    contract.Status
	accepted  bool // Atlas has taken the request
	// goal says in words what the run waits for.
	goal string

	timeout  time.Duration // extensions included
	movedBy  time.Duration // what extensions have added
	deadline time.Time
	runID    string // of the run whose time limit is counted
	extended bool   // an activity was begun anew since the time limit was moved

	usableSearchAttributes func() []string
}

// execute runs a workflow: it checks the input, asks Atlas as planned, waits until the goal is reached, and answers the
// cluster.
func execute[R contract.Request](
	ctx workflow.Context, w *Workflows, input converter.RawValue, makePlan func(R, *workflow.Info) plan,
) (*contract.Cluster, error) {
	r := &run{ctx: ctx, info: workflow.GetInfo(ctx), usableSearchAttributes: w.SearchAttributes}
	request, invalid := contract.Parse[R](input.Payload().GetData(), r.info.WorkflowExecution.ID)
	if invalid == nil {
		r.timeout = request.Timeout()
		r.begin()
	}
	if err := errors.Join(r.answerQueries(), takeUpdates(ctx, input, r)); err != nil {
		return nil, err
	}
	if invalid != nil {
		return nil, r.failInvalid(invalid)
	}
	r.operation, r.cluster, r.plan = request.Operation(), request.Cluster(), makePlan(request, r.info)
	r.goal = contract.StateIdle
	r.upsert(
		searchAttribute{contract.SearchAttributeProjectID, r.cluster.GroupID},
		searchAttribute{contract.SearchAttributeClusterName, r.cluster.Name},
		searchAttribute{contract.SearchAttributeClusterState, r.plan.firstState},
	)
	r.enter(r.operation.Phase, r.plan.asking+".")
	steps := r.plan.steps
	if steps == nil {
		steps = (*run).askAndWait
	}
	cluster, err := steps(r)
	if err != nil {
		return nil, r.fail(err)
	}
	r.note(cluster.StateName)
	r.enter(contract.PhaseDone,
		"Cluster "+quote(r.cluster.Name)+" is "+r.goal+" ("+string(cluster.Outcome)+").")
	return cluster, nil
}

// answerQueries answers the status query from the first moment on.
func (r *run) answerQueries() error {
	r.status = contract.Status{Phase: contract.PhaseValidating, Since: workflow.Now(r.ctx)}
	return workflow.SetQueryHandlerWithOptions(r.ctx, contract.StatusQuery,
		func() (contract.Status, error) { return r.status, nil },
		workflow.QueryHandlerOptions{
			Description: "The phase of the run, the last known state of the cluster, and since when.",
		})
}

// askAndWait asks Atlas by one activity and waits by another.
func (r *run) askAndWait() (*contract.Cluster, error) {
	var asked activities.UpgradingCluster // of which others than upgrades fill in the cluster
	var idle contract.Cluster
	ask := func() any { return r.plan.input(r.runInfo()) }
	if err := r.executeActivity(r.plan.activity, ask, r.askOptions(r.plan.summary), &asked); err != nil {
		return nil, err
	}
	waitActivity, before := any(activityMethods.WaitUntilIdle), contract.Asked{}
	if r.plan.asked != nil && (!r.plan.creates || asked.Outcome == contract.Updated) {
		waitActivity, r.goal = activityMethods.WaitUntilAsAsked, contract.StateIdle+" and as asked"
		if r.plan.upgrades {
			before = r.plan.asked.Completed(asked.Cluster) // an upgrade can lose what nobody asked to change
		}
	} else {
		r.plan.asked = &contract.Asked{}
	}
	if r.isDone(asked.Cluster) {
		return &asked.Cluster, nil
	}
	r.accepted, r.status.StateName = true, asked.StateName
	r.enter(contract.PhaseWaiting, r.describeAccepted(asked.Cluster)+". Waiting until it is "+r.goal+
		": newer answers, since when, and the next look stand under Pending Activities.")
	id := asked.ID
	if r.plan.upgrades { // an upgrade changes it
		id = ""
	}
	wait := func() any {
		return activities.WaitInput{
			GroupID: r.cluster.GroupID, Name: r.cluster.Name, ID: id, ClusterType: r.operation.ClusterType,
			Upgraded: r.plan.upgrades, StateName: r.status.StateName, Deadline: r.deadline,
			Shown: !r.plan.creates || asked.Outcome != contract.Created || r.extended,
			Asked: *r.plan.asked, ShownAt: asked.ShownAt, Before: before,
		}
	}
	if err := r.executeActivity(waitActivity, wait, r.waitOptions(), &idle); err != nil {
		return nil, err
	}
	idle.Outcome, idle.Warnings = asked.Outcome, union(asked.Warnings, idle.Warnings)
	return &idle, nil
}

// isDone reports whether the answer to the request shows that there is nothing to wait for.
func (r *run) isDone(asked contract.Cluster) bool {
	switch asked.Outcome {
	case contract.Created:
		return r.plan.creates && asked.Ready()
	case contract.Unchanged, contract.Updated:
		return asked.Ready() && len(r.plan.asked.Differences(asked)) == 0
	}
	return false // the answer to an upgrade shows the cluster as it was
}

// describeAccepted says what Atlas made of the request, and what it answered when.
func (r *run) describeAccepted(asked contract.Cluster) string {
	text := r.plan.accepted
	switch asked.Outcome {
	case contract.Unchanged:
		text = "Cluster " + quote(r.cluster.Name) + " is already as asked"
	case contract.Updated:
		text = "Atlas is updating Flex cluster " + quote(r.cluster.Name)
	}
	return text + ". The last answer was " + asked.StateName + ", at " +
		workflow.Now(r.ctx).UTC().Format("15:04:05 UTC on 2006-01-02")
}

// askOptions are those of the activity that asks Atlas. A cancellation waits for it, so that its effect is known.
func (r *run) askOptions(summary string) workflow.ActivityOptions {
	return workflow.ActivityOptions{
		Priority: temporal.Priority{PriorityKey: askPriority}, Summary: summary, WaitForCancellation: true,
	}
}

func (r *run) waitOptions() workflow.ActivityOptions {
	return workflow.ActivityOptions{
		Priority: temporal.Priority{PriorityKey: lookPriority},
		Summary:  "Wait until cluster " + r.cluster.Name + " is " + r.goal,
	}
}

// errNoTimeLeft stands for an activity that there was no time to begin.
var errNoTimeLeft = errors.New("no time left")

// executeActivity runs an activity within what is left of the run's time. Where the run was reset after the activity
// had failed, it runs it again: an operator who resets a run wants it to be tried from there. So it does where the time
// of the activity was up, and the time limit of the run was moved meanwhile.
func (r *run) executeActivity(activity any, input func() any, options workflow.ActivityOptions, out any) error {
	for {
		r.beginAnewAfterReset()
		deadline := r.deadline
		err := r.executeOnce(activity, input(), options, out)
		var canceled *temporal.CanceledError
		if err == nil || errors.As(err, &canceled) {
			return err
		}
		if !r.goesOnExtended(deadline, err) && !r.beginAnewAfterReset() {
			return err
		}
	}
}

func (r *run) executeOnce(activity, input any, options workflow.ActivityOptions, out any) error {
	if err := r.ctx.Err(); err != nil { // a run that is cancelled begins no activity
		return err
	}
	left := r.deadline.Sub(workflow.Now(r.ctx))
	if left <= 0 {
		return errNoTimeLeft
	}
	// Where the server knows priority and fairness: creates go before looks, and projects take turns
	// (https://docs.temporal.io/develop/task-queue-priority-fairness).
	options.Priority.FairnessKey = r.cluster.GroupID
	//mutate:time-limit
	options.ScheduleToCloseTimeout = left
	options.StartToCloseTimeout = attemptTimeout
	options.HeartbeatTimeout = heartbeatTimeout
	// The activities say themselves how long to wait after they failed. What is left is the attempt that was lost with
	// its worker: it comes back soon, however many looks there were before it.
	options.RetryPolicy = &temporal.RetryPolicy{
		InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: lostInterval,
	}
	if options.WaitForCancellation {
		ctx := workflow.WithActivityOptions(r.ctx, options)
		return workflow.ExecuteActivity(ctx, activity, input).Get(ctx, out)
	}
	// Nobody has to cancel an activity whose run ends: Temporal drops it. That saves the history an event.
	ctx, _ := workflow.NewDisconnectedContext(r.ctx)
	future := workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, options), activity, input)
	if err := workflow.Await(r.ctx, future.IsReady); err != nil {
		return err
	}
	return future.Get(ctx, out)
}

// lastRead reads the state of the cluster when the run was cancelled, so that the state that it leaves is true: ""
// where there is no cluster, or none is known.
func (r *run) lastRead() string {
	ctx, _ := workflow.NewDisconnectedContext(r.ctx)
	ctx = workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{
		ScheduleToCloseTimeout: 5 * time.Second,
		Summary:                "Read the state in which cluster " + r.cluster.Name + " is left",
		RetryPolicy:            &temporal.RetryPolicy{MaximumAttempts: 1},
	})
	var state string
	err := workflow.ExecuteLocalActivity(ctx, activityMethods.ReadState, activities.ReadInput{
		GroupID: r.cluster.GroupID, Name: r.cluster.Name, ClusterType: r.operation.ClusterType,
		Upgraded: r.plan.upgrades,
	}).Get(ctx, &state)
	if err != nil {
		workflow.GetLogger(r.ctx).Info("The state of the cluster is not known at the end of the run", "error", err)
	}
	return state
}

// enter begins a phase, with a sentence on it for the Web UI.
func (r *run) enter(phase contract.Phase, details string) {
	r.status.Phase, r.status.Since = phase, workflow.Now(r.ctx)
	workflow.SetCurrentDetails(r.ctx, details)
}

func quote(s string) string { return strconv.Quote(s) }

// union is a and what of b it lacks.
func union(a, b []string) []string {
	out := append([]string{}, a...)
	for _, s := range b {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}
