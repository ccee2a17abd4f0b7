package worker

import (
	"context"
	"errors"
	"maps"
	"strings"
	"sync"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"

	"github.com/atlas-provisioner/atlas-provisioner/atlasclient"
	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/ratelimit"
)

// This file goes away with the snapshots of internal/ratelimit and internal/reads: ratelimit.Limiter.Snapshot replaces
// rateLimits, and reads.Reads.Snapshot replaces waitWatcher.

// waitWatcher follows the states that waits see, by their heartbeats.
type waitWatcher struct {
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

// InterceptActivity follows the state that a wait sees.
func (c *waitWatcher) InterceptActivity(
	_ context.Context, next interceptor.ActivityInboundInterceptor,
) interceptor.ActivityInboundInterceptor {
	return &watchedAttempt{interceptor.ActivityInboundInterceptorBase{Next: next}, c}
}

type watchedAttempt struct {
	interceptor.ActivityInboundInterceptorBase
	clusters *waitWatcher
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
	clusters *waitWatcher
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

func (c *waitWatcher) saw(info activity.Info, state string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waits == nil {
		c.waits = map[string]waiting{}
	}
	if time.Since(c.swept) > time.Minute { // where nobody scrapes
		c.sweep()
	}
	c.waits[info.WorkflowExecution.RunID] = waiting{state, time.Now().Add(lookGrace)}
}

// sweep forgets what goes on elsewhere. The caller holds the lock.
func (c *waitWatcher) sweep() {
	c.swept = time.Now()
	maps.DeleteFunc(c.waits, func(_ string, w waiting) bool { return c.swept.After(w.until) })
}

// ended keeps what is to be looked at again, until then.
func (c *waitWatcher) ended(info activity.Info, err error) {
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
func (c *waitWatcher) waiting() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sweep()
	count := map[string]int{}
	for _, w := range c.waits {
		count[w.state]++
	}
	return count
}

const (
	// rateLimitsKept bounds how many a worker knows: the newest.
	rateLimitsKept = 100
	// rateLimitFor is how long one is worth knowing. An unused bucket fills up
	// again (flex: 1200, by 500 a minute), and nobody says so.
	rateLimitFor = 3 * time.Minute
)

// rateLimits are the buckets that Atlas keeps for each project, one for all
// endpoints of a resource.
type rateLimits struct {
	mu   sync.Mutex
	last map[rateLimitOf]rateLimit
}

type rateLimitOf struct{ groupID, resource string }

type rateLimit struct {
	limit, remaining int
	at               time.Time
}

func (l *rateLimits) saw(o atlasclient.Observation) {
	if o.RateLimit == nil {
		return
	}
	_, resource, _ := strings.Cut(o.Endpoint, "{groupId}/")
	resource, _, _ = strings.Cut(resource, "/")
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last == nil {
		l.last = map[rateLimitOf]rateLimit{}
	}
	l.last[rateLimitOf{o.GroupID, resource}] = rateLimit{o.RateLimit.Limit, o.RateLimit.Remaining, time.Now()}
	if len(l.last) <= rateLimitsKept {
		return
	}
	var oldest rateLimitOf
	at := time.Now()
	for of, r := range l.last {
		if r.at.Before(at) {
			oldest, at = of, r.at
		}
	}
	delete(l.last, oldest)
}

func (l *rateLimits) snapshot() (all []ratelimit.Usage) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for of, r := range l.last {
		if time.Since(r.at) > rateLimitFor {
			delete(l.last, of)
			continue
		}
		all = append(all, ratelimit.Usage{GroupID: of.groupID, Resource: of.resource, Limit: r.limit, Remaining: r.remaining})
	}
	return all
}
