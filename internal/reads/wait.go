package reads

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/atlas-provisioner/atlas-provisioner/atlasclient"
)

// Wait is one attempt of a wait for a cluster, among all those of its project. It must be left.
type Wait struct {
	reads   *Reads
	project *project
	name    string
	kind    Kind
	// untilGone says that the wait is for the end of the cluster, so that a list that lacks it answers the wait.
	untilGone bool
	// after is when the wait was scheduled, and later when its last look began. A list that began before it says
	// nothing new. What was read before the wait may even be about somebody else's cluster, which had the name before.
	after time.Time
}

// Enter begins an attempt of a wait. scheduled is when the wait was scheduled, by this machine's clock.
func (r *Reads) Enter(groupID, name string, kind Kind, scheduled time.Time) *Wait {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now := time.Now(); scheduled.After(now) { // by a clock that is ahead of ours
		scheduled = now
	}
	w := &Wait{reads: r, project: r.projectLocked(groupID), name: name, kind: kind, after: scheduled}
	w.stayLocked(longestAttempt, longestAttempt)
	return w
}

// ErrAbsent says that a complete list of the project, which began after the wait's last look, lacks the cluster.
var ErrAbsent = errors.New("the project's list of Flex clusters lacks the cluster")

// UntilGone makes the wait one for the end of its cluster: [Wait.Look] fails with [ErrAbsent] where a list lacks the
// cluster, and such a list ends [Wait.Sleep].
func (w *Wait) UntilGone() { w.untilGone = true }

// Leave ends an attempt. comesBack is when the next attempt of the wait begins; 0 is the end of the wait.
func (w *Wait) Leave(comesBack time.Duration) {
	w.reads.mu.Lock()
	defer w.reads.mu.Unlock()
	w.project = w.reads.projectLocked(w.project.groupID) // a sweep may have forgotten the one that was entered
	if comesBack > 0 {
		w.stayLocked(comesBack+lookGrace, 2*comesBack)
		return
	}
	if _, ok := w.entriesLocked()[w.name]; ok {
		delete(w.entriesLocked(), w.name)
		w.reads.waits--
	}
}

// entriesLocked are the waits of the project for clusters of the kind.
func (w *Wait) entriesLocked() map[string]*entry {
	if w.kind == Unlisted {
		return w.project.unlisted
	}
	return w.project.waits
}

// stayLocked counts the wait among its project's for a time. Its next look is overdue after another.
func (w *Wait) stayLocked(due, until time.Duration) {
	e := w.entryLocked()
	now := time.Now()
	e.due, e.until = now.Add(due), now.Add(until)
}

func (w *Wait) entryLocked() *entry {
	entries := w.entriesLocked()
	e := entries[w.name]
	if e == nil {
		e = &entry{}
		entries[w.name] = e
		w.reads.waits++
	}
	return e
}

// Saw takes note of the state that the last look saw.
func (w *Wait) Saw(state string) {
	w.reads.mu.Lock()
	defer w.reads.mu.Unlock()
	if e := w.entriesLocked()[w.name]; e != nil {
		e.state = state
	}
}

// Alone reports whether nobody else waits for a Flex cluster of the project, or no list covers this wait's cluster.
func (w *Wait) Alone() bool {
	w.reads.mu.Lock()
	defer w.reads.mu.Unlock()
	return w.aloneLocked()
}

func (w *Wait) aloneLocked() bool { return w.kind == Unlisted || len(w.project.waits) < 2 }

// singleLocked reports whether the wait reads by requests of its own.
func (w *Wait) singleLocked() bool { return w.aloneLocked() || time.Now().Before(w.project.listAgain) }

const (
	// intervalsPerRequest is for how many intervals a wait among many pays one request, and rootFactor how that grows
	// with the square root of the number of waits of the worker.
	intervalsPerRequest, rootFactor = 25, 2.5
	// minFactor and maxFactor bound how much shorter or longer an interval is than that of a wait alone.
	minFactor, maxFactor = 0.25, 4
)

// Interval is the time to leave between two looks, where a wait that is alone would leave the time given. Waits of a
// project share each read, so the number of requests that a wait costs is kept, not the interval: where many wait in
// one project, all are looked at more often. A worker that holds many waits in many projects looks less often in each
// of them: its requests grow with the square root of the number of its waits.
func (w *Wait) Interval(alone time.Duration) time.Duration {
	w.reads.mu.Lock()
	defer w.reads.mu.Unlock()
	if w.aloneLocked() {
		return alone
	}
	all, here := float64(w.reads.waits), float64(max(len(w.project.waits), 1))
	factor := min(all, max(intervalsPerRequest, rootFactor*math.Sqrt(all))) / here
	factor = min(max(factor, minFactor), maxFactor)
	if w.singleLocked() { // each look costs a request of its own
		factor = max(factor, 1)
	}
	return time.Duration(float64(alone) * factor)
}

// comeBacks bounds how many waits a second come back to a worker for a slow look. Each costs some five writes of
// Temporal and 2 ms of CPU. With more than 4,800 waits the looks come further apart than a minute.
const comeBacks = 80

// Turnaround is how long it takes until each wait of the worker has had a look.
func (w *Wait) Turnaround() time.Duration {
	w.reads.mu.Lock()
	defer w.reads.mu.Unlock()
	return time.Duration(w.reads.waits) * time.Second / comeBacks
}

// Look reads the cluster as a Flex cluster. A wait that is alone sends a request of its own; one among others takes the
// cluster from a list that is no older than maxAge. A list that fails, or that lacks the cluster, is followed by a
// request of its own; see [Wait.UntilGone].
func (w *Wait) Look(ctx context.Context, maxAge time.Duration) (*atlasclient.Cluster, *atlasclient.Response, error) {
	for {
		l := w.join(ctx, maxAge)
		if l == nil {
			break
		}
		select {
		case <-l.done:
			w.part(l)
		case <-ctx.Done():
			w.part(l)
			return nil, nil, ctx.Err()
		}
		//mutate:shared-read-is-new
		if !w.isNews(l) {
			continue // it was under way already when the wait began
		}
		w.after = l.begun
		//mutate:shared-read-fails
		if c := l.clusters[w.name]; c != nil {
			return c, l.resp, nil
		}
		//mutate:list-proves-absence
		if w.untilGone && l.err == nil && l.isComplete() {
			return nil, nil, ErrAbsent
		}
		break
	}
	w.after = time.Now()
	return w.reads.client.GetFlexCluster(ctx, w.project.groupID, w.name)
}

// join is the newest list if it will do, else the one that is under way, else a new one; nil where the wait is to read
// by a request of its own. Who joins must part.
func (w *Wait) join(ctx context.Context, maxAge time.Duration) *listing {
	w.reads.mu.Lock()
	defer w.reads.mu.Unlock()
	if w.singleLocked() {
		return nil
	}
	l := w.project.last
	if !w.isNews(l) || time.Since(l.ended) > maxAge {
		l = w.project.current
	}
	if l == nil {
		l = w.reads.beginLocked(ctx, w.project)
	}
	l.readers++
	return l
}

// part ends waiting for a list. The last who parts from it ends it.
func (w *Wait) part(l *listing) {
	w.reads.mu.Lock()
	defer w.reads.mu.Unlock()
	if l.readers--; l.readers == 0 {
		l.cancel()
	}
}

// isNews reports whether a list says more of the cluster than the wait knows.
func (w *Wait) isNews(l *listing) bool { return l.begun.After(w.after) }

// Sleep waits until it is time for the next look, or until a list of somebody else has the cluster. It says false when
// the end of ctx cut it short.
func (w *Wait) Sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	for {
		last := w.lastListing()
		var newer chan struct{} // nil: no list wakes the wait
		if w.kind == Flex {
			if w.isNews(last) && (w.untilGone || last.clusters[w.name] != nil) {
				return true
			}
			newer = last.newer
		}
		select {
		case <-t.C:
			return true
		case <-newer:
		case <-ctx.Done():
			return false
		}
	}
}

func (w *Wait) lastListing() *listing {
	w.reads.mu.Lock()
	defer w.reads.mu.Unlock()
	return w.project.last
}
