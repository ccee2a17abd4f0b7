package worker

import (
	"context"
	"errors"
	"maps"
	"regexp"
	"sync"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
)

// clusters watches the runs of a worker from outside, for the metrics: how each
// ends, and the state of the cluster that it waits for. The zero value is ready.
type clusters struct {
	interceptor.WorkerInterceptorBase

	mu    sync.Mutex
	waits map[string]waiting // by run
	swept time.Time
}

type waiting struct {
	state string
	until time.Time // when another worker has it, or nobody
}

// lookGrace is how much a look may be late before its cluster is no longer
// counted. A wait that is under way heartbeats far more often.
const lookGrace = 15 * time.Second

// InterceptWorkflow counts how a run ends.
func (c *clusters) InterceptWorkflow(_ workflow.Context, next interceptor.WorkflowInboundInterceptor) interceptor.WorkflowInboundInterceptor {
	return &countedRun{interceptor.WorkflowInboundInterceptorBase{Next: next}}
}

type countedRun struct {
	interceptor.WorkflowInboundInterceptorBase
}

// ExecuteWorkflow counts by the workflow's own metrics handler, which is silent
// on replay.
func (r *countedRun) ExecuteWorkflow(ctx workflow.Context, in *interceptor.ExecuteWorkflowInput) (any, error) {
	result, err := r.Next.ExecuteWorkflow(ctx, in)
	outcome, state := ending(result, err)
	handler := workflow.GetMetricsHandler(ctx)
	handler.WithTags(map[string]string{"outcome": label(outcome), "state": label(state)}).Counter(metricClusters).Inc(1)
	if outcome == string(contract.Created) || outcome == string(contract.Upgraded) {
		handler.Timer(metricTimeToIdle).Record(workflow.Now(ctx).Sub(workflow.GetInfo(ctx).WorkflowStartTime))
	}
	return result, err
}

// ending is the outcome of a run, or the type of its failure, and the last state
// of its cluster, "" where there is none.
func ending(result any, err error) (outcome, state string) {
	var failure *temporal.ApplicationError
	var canceled *temporal.CanceledError
	switch cluster, _ := result.(*contract.Cluster); {
	case err == nil && cluster != nil:
		return string(cluster.Outcome), cluster.StateName
	case errors.As(err, &canceled):
		return "CANCELED", ""
	case errors.As(err, &failure):
		var details contract.FailureDetails
		if failure.HasDetails() {
			_ = failure.Details(&details) // of another shape, they say nothing
		}
		return failure.Type(), details.StateName
	}
	return "OTHER", ""
}

var ordinary = regexp.MustCompile(`^[A-Z0-9_]{0,64}$`)

// label is what Atlas called something, if it looks like one of its names.
func label(name string) string {
	if ordinary.MatchString(name) {
		return name
	}
	return "OTHER"
}

// InterceptActivity follows the state that a wait sees.
func (c *clusters) InterceptActivity(_ context.Context, next interceptor.ActivityInboundInterceptor) interceptor.ActivityInboundInterceptor {
	return &watchedAttempt{interceptor.ActivityInboundInterceptorBase{Next: next}, c}
}

type watchedAttempt struct {
	interceptor.ActivityInboundInterceptorBase
	clusters *clusters
}

func (a *watchedAttempt) Init(outbound interceptor.ActivityOutboundInterceptor) error {
	return a.Next.Init(&watchedBeat{interceptor.ActivityOutboundInterceptorBase{Next: outbound}, a.clusters})
}

func (a *watchedAttempt) ExecuteActivity(ctx context.Context, in *interceptor.ExecuteActivityInput) (any, error) {
	result, err := a.Next.ExecuteActivity(ctx, in)
	a.clusters.ended(activity.GetInfo(ctx), err)
	return result, err
}

type watchedBeat struct {
	interceptor.ActivityOutboundInterceptorBase
	clusters *clusters
}

// RecordHeartbeat reads the state from the heartbeat, in which it travels.
func (b *watchedBeat) RecordHeartbeat(ctx context.Context, details ...any) {
	if len(details) == 1 {
		if p, ok := details[0].(contract.WaitProgress); ok {
			b.clusters.saw(activity.GetInfo(ctx), p.StateName)
		}
	}
	b.Next.RecordHeartbeat(ctx, details...)
}

func (c *clusters) saw(info activity.Info, state string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waits == nil {
		c.waits = map[string]waiting{}
	}
	if time.Since(c.swept) > time.Minute { // where nobody scrapes
		c.sweep()
	}
	c.waits[info.WorkflowExecution.RunID] = waiting{label(state), time.Now().Add(lookGrace)}
}

// sweep forgets what goes on elsewhere. The caller holds the lock.
func (c *clusters) sweep() {
	c.swept = time.Now()
	maps.DeleteFunc(c.waits, func(_ string, w waiting) bool { return c.swept.After(w.until) })
}

// ended keeps what is to be looked at again, until then.
func (c *clusters) ended(info activity.Info, err error) {
	var failure *temporal.ApplicationError
	again := errors.As(err, &failure) && !failure.NonRetryable()
	c.mu.Lock()
	defer c.mu.Unlock()
	w, known := c.waits[info.WorkflowExecution.RunID]
	switch {
	case !known:
	case !again:
		delete(c.waits, info.WorkflowExecution.RunID)
	default:
		w.until = time.Now().Add(failure.NextRetryDelay() + lookGrace)
		c.waits[info.WorkflowExecution.RunID] = w
	}
}

// waiting counts clusters by state.
func (c *clusters) waiting() map[string]int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sweep()
	count := map[string]int64{}
	for _, w := range c.waits {
		count[w.state]++
	}
	return count
}
