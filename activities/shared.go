package activities

import (
	"context"
	"math"
	"time"

	"github.com/atlas-provisioner/atlas-provisioner/atlasclient"
)

// listing is one list of a project's Flex clusters, which answers all waits in
// it.
type listing struct {
	begun time.Time
	done  chan struct{} // closed when it has ended
	newer chan struct{} // closed when one that began later has ended well

	// To be read after done.
	ended    time.Time
	clusters map[string]*atlasclient.Cluster
	resp     *atlasclient.Response
	err      error

	// Guarded by fleet.mu.
	readers int // who waits for it
	cancel  context.CancelFunc
}

func newListing(begun time.Time) *listing {
	return &listing{begun: begun, done: make(chan struct{}), newer: make(chan struct{})}
}

// list carries a listing out. It belongs to no single attempt, and ends early
// when nobody waits for it any more.
func (p *project) list(ctx context.Context, l *listing) {
	defer l.cancel()
	clusters, resp, err := p.listFlex(ctx)
	l.ended, l.resp, l.err = time.Now(), resp, err
	l.clusters = make(map[string]*atlasclient.Cluster, len(clusters))
	for i := range clusters {
		l.clusters[clusters[i].Name] = &clusters[i]
	}
	p.fleet.mu.Lock()
	defer p.fleet.mu.Unlock()
	p.listing = nil
	close(l.done)
	if err == nil {
		close(p.last.newer)
		p.last = l
	}
}

// watch is one attempt of a wait among all those of its project. A nil one is
// always alone.
type watch struct {
	*project
	name string
	// after is when the wait was scheduled, and then when its last look began: a
	// list that began before is no news. What was read before the wait says
	// nothing of this cluster, whose name somebody else may have had.
	after time.Time
}

// watch enters a wait. It must leave.
func (p *project) watch(name string, scheduled time.Time) *watch {
	p.fleet.mu.Lock()
	defer p.fleet.mu.Unlock()
	p = p.fleet.get(p.group)                     // the sweep may have forgotten p
	if now := time.Now(); scheduled.After(now) { // by a clock that is ahead
		scheduled = now
	}
	w := &watch{project: p, name: name, after: scheduled}
	w.stay(24 * time.Hour) // longer than any attempt
	return w
}

// stay counts the wait among its project's for so long. The caller holds the
// lock.
func (w *watch) stay(d time.Duration) {
	if _, ok := w.waits[w.name]; !ok {
		w.fleet.waits++
	}
	w.waits[w.name] = time.Now().Add(d)
}

// leave ends an attempt, which another one follows after a delay; 0 is the end
// of the wait.
func (w *watch) leave(back time.Duration) {
	if w == nil {
		return
	}
	w.fleet.mu.Lock()
	defer w.fleet.mu.Unlock()
	if back > 0 {
		w.stay(2 * back)
		return
	}
	if _, ok := w.waits[w.name]; ok {
		delete(w.waits, w.name)
		w.fleet.waits--
	}
}

// alone is whether nobody else waits in the project.
func (w *watch) alone() bool {
	if w == nil {
		return true
	}
	w.fleet.mu.Lock()
	defer w.fleet.mu.Unlock()
	return len(w.waits) < 2
}

const (
	// price is for how many intervals a wait among many pays one request, and
	// rootPrice how it grows with the root of the worker's fleet.
	price, rootPrice = 25, 2.5
	// closest and furthest bound what company makes of an interval.
	closest, furthest = 0.25, 4
)

// interval is how long to leave between looks where a wait alone would leave
// so long. Waits of a project share each read, so it is the price of a wait that
// is kept rather than the interval: where many wait in one project, all are
// looked at more often. A worker that holds a fleet looks less often at the few
// of each project: its requests grow with the root of the fleet.
func (w *watch) interval(alone time.Duration) time.Duration {
	if w.alone() {
		return alone
	}
	w.fleet.mu.Lock()
	defer w.fleet.mu.Unlock()
	all, here := float64(w.fleet.waits), float64(max(len(w.waits), 1))
	factor := min(all, max(price, rootPrice*math.Sqrt(all))) / here
	return time.Duration(float64(alone) * min(max(factor, closest), furthest))
}

// comeBacks bounds how many waits a second come back to a worker for a slow
// look, each of which costs some five writes of Temporal and 2 ms of CPU: from
// 4,800 waits on the looks come further apart than a minute.
const comeBacks = 80

// turnaround is how long it takes all waits of the worker to have a look each.
func (w *watch) turnaround() time.Duration {
	if w == nil {
		return 0
	}
	w.fleet.mu.Lock()
	defer w.fleet.mu.Unlock()
	return time.Duration(w.fleet.waits) * time.Second / comeBacks
}

// look reads the cluster: alone by its own request, with others from a list
// that is no older than maxAge. A list that fails, or that lacks the cluster,
// is followed by a request of its own.
func (w *watch) look(ctx context.Context, maxAge time.Duration) (*atlasclient.Cluster, *atlasclient.Response, error) {
	for !w.alone() {
		l := w.join(maxAge)
		select {
		case <-l.done:
			w.part(l)
		case <-ctx.Done():
			w.part(l)
			return nil, nil, ctx.Err()
		}
		if !w.news(l) {
			continue // it was under way when the wait began
		}
		w.after = l.begun
		if c := l.clusters[w.name]; c != nil {
			return c, l.resp, nil
		}
		break
	}
	w.after = time.Now()
	return w.getFlex(ctx, read, w.name)
}

// join is the newest list if it will do, the one under way, or a new one.
func (w *watch) join(maxAge time.Duration) *listing {
	w.fleet.mu.Lock()
	defer w.fleet.mu.Unlock()
	l := w.last
	if !w.news(l) || time.Since(l.ended) > maxAge {
		l = w.listing
	}
	if l == nil {
		l = newListing(time.Now())
		ctx, cancel := context.WithCancel(context.Background())
		l.cancel = cancel
		w.listing = l
		go w.list(ctx, l)
	}
	l.readers++
	return l
}

// part is the end of waiting for a list.
func (w *watch) part(l *listing) {
	w.fleet.mu.Lock()
	defer w.fleet.mu.Unlock()
	if l.readers--; l.readers == 0 {
		l.cancel()
	}
}

// news is whether a list says more of the cluster than is known.
func (w *watch) news(l *listing) bool { return l.begun.After(w.after) }

// sleep waits until it is time for the next look, or until somebody else's list
// has the cluster. It says false when it was cut short by the end of ctx.
func (w *watch) sleep(ctx context.Context, d time.Duration) bool {
	if w == nil {
		return sleep(ctx, d)
	}
	t := time.NewTimer(d)
	defer t.Stop()
	for {
		w.fleet.mu.Lock()
		last := w.last
		w.fleet.mu.Unlock()
		if w.news(last) && last.clusters[w.name] != nil {
			return true
		}
		select {
		case <-t.C:
			return true
		case <-last.newer:
		case <-ctx.Done():
			return false
		}
	}
}
