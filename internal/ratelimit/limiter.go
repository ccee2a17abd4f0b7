// Package ratelimit keeps the requests of a worker within what Atlas gives each project, and lets the requests that
// create something go before those that only look. It is the [atlasclient.Limiter] of a worker's client.
package ratelimit

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/atlas-provisioner/atlas-provisioner/atlasclient"
)

// Priority says which requests go first when few are left.
type Priority int

const (
	// Write is a create, an upgrade and the like, with the reads that it needs. It is the default.
	Write Priority = iota
	// Read is a look of a wait. The last tenth of a bucket is left to writes, but never for longer than a few seconds.
	Read
)

type priorityKey struct{}

// WithPriority gives the requests that are sent with the context a priority.
func WithPriority(ctx context.Context, p Priority) context.Context {
	return context.WithValue(ctx, priorityKey{}, p)
}

// BusyError is a request that would have to wait for longer than its sender should hold a slot. Nothing was sent.
type BusyError struct {
	// After is when the request could be sent.
	After time.Duration
	// Limit is the size of the project's bucket, in requests.
	Limit int
}

func (e BusyError) Error() string {
	return fmt.Sprintf("the request budget that Atlas gives the project (%d) is used up; next turn in %s",
		e.Limit, e.After.Round(time.Second))
}

const (
	// sweepEvery is how often the limiter forgets the buckets that are full again.
	sweepEvery = time.Minute
	// usageKept bounds how many buckets a snapshot has: those of which Atlas said something last.
	usageKept = 100
	// usageFor is how long it is worth knowing what Atlas said. An unused bucket fills up again within that time
	// (flex: 1200, by 500 a minute), and no answer says so.
	usageFor = 3 * time.Minute
)

// Limiter holds a bucket for each project and resource that the worker has sent requests to. It forgets a bucket that
// is full again. It is safe for concurrent use.
type Limiter struct {
	mu       sync.Mutex
	buckets  map[bucketKey]*bucket
	sweeping bool // a timer for the next sweep is set
}

// bucketKey names a bucket. Atlas has one for each project and family of endpoints, and a family is a resource: the
// first path segment after the project.
type bucketKey struct{ groupID, resource string }

// New makes a limiter that knows nothing of Atlas yet.
func New() *Limiter { return &Limiter{buckets: map[bucketKey]*bucket{}} }

// Acquire waits until a request may be sent to a resource of a project. It fails with a [BusyError], or when ctx ends;
// nothing may be sent then. Otherwise release must be called once, with what became of the request.
func (l *Limiter) Acquire(ctx context.Context, groupID, resource string) (func(atlasclient.Observation), error) {
	b := l.enter(bucketKey{groupID, resource})
	priority, _ := ctx.Value(priorityKey{}).(Priority)
	if err := b.acquire(ctx, priority); err != nil {
		l.leave(b)
		return nil, err
	}
	return func(o atlasclient.Observation) {
		b.release(o)
		l.leave(b)
	}, nil
}

// enter counts a request among the users of a bucket, so that no sweep forgets the bucket.
func (l *Limiter) enter(key bucketKey) *bucket {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.buckets[key]
	if b == nil {
		b = &bucket{}
		l.buckets[key] = b
	}
	b.users++
	if !l.sweeping {
		l.sweeping = true
		time.AfterFunc(sweepEvery, l.sweep)
	}
	return b
}

func (l *Limiter) leave(b *bucket) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b.users--
}

// sweep forgets the buckets that nobody uses and that are full again.
func (l *Limiter) sweep() {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	for key, b := range l.buckets {
		if b.users == 0 && b.full(now) {
			delete(l.buckets, key)
		}
	}
	l.sweeping = len(l.buckets) > 0
	if l.sweeping {
		time.AfterFunc(sweepEvery, l.sweep)
	}
}

// Usage is what Atlas last said of a bucket.
type Usage struct {
	GroupID  string
	Resource string
	// Limit is how many requests the project may make at once, and Remaining how many it may still make.
	Limit, Remaining int
	// At is when Atlas said so.
	At time.Time
}

// Snapshot is what Atlas said of each bucket in the last three minutes, the latest first, of at most 100 of them.
func (l *Limiter) Snapshot() []Usage {
	var usages []Usage
	now := time.Now()
	l.mu.Lock()
	for key, b := range l.buckets {
		if said, at := b.lastSaid(); said != nil && now.Sub(at) <= usageFor {
			usages = append(usages, Usage{key.groupID, key.resource, said.Limit, said.Remaining, at})
		}
	}
	l.mu.Unlock()
	slices.SortFunc(usages, func(a, b Usage) int {
		return cmp.Or(b.At.Compare(a.At), cmp.Compare(a.GroupID, b.GroupID), cmp.Compare(a.Resource, b.Resource))
	})
	return usages[:min(len(usages), usageKept)]
}
