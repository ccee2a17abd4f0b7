package reads

import (
	"context"
	"errors"
	"time"

	"github.com/atlas-provisioner/atlas-provisioner/atlasclient"
)

// listing is one list of a project's Flex clusters, which answers all waits in the project.
type listing struct {
	begun time.Time
	done  chan struct{} // closed when the list has ended
	newer chan struct{} // closed when a list that began later has ended well

	// To be read after done.
	ended    time.Time
	clusters map[string]*atlasclient.Cluster
	resp     *atlasclient.Response
	err      error

	// Guarded by Reads.mu.
	readers int // waits that wait for it
	cancel  context.CancelFunc
}

// isComplete reports whether the list shows every cluster that there was while it was read. One of several pages need
// not: where a cluster goes between two pages, the others move up.
func (l *listing) isComplete() bool { return len(l.clusters) < atlasclient.MaxPageSize }

func newListing(begun time.Time) *listing {
	return &listing{begun: begun, done: make(chan struct{}), newer: make(chan struct{})}
}

// beginLocked begins a list. It belongs to no single attempt, and ends early when nobody waits for it any more. It
// takes from ctx what the context holds, such as the priority of the requests, but not its end.
func (r *Reads) beginLocked(ctx context.Context, p *project) *listing {
	l := newListing(time.Now())
	ctx, l.cancel = context.WithCancel(context.WithoutCancel(ctx))
	p.current = l
	go r.list(ctx, p, l)
	return l
}

// list carries a listing out.
func (r *Reads) list(ctx context.Context, p *project, l *listing) {
	defer l.cancel()
	clusters, resp, err := r.client.ListFlexClusters(ctx, p.groupID)
	l.ended, l.resp, l.err = time.Now(), resp, err
	l.clusters = make(map[string]*atlasclient.Cluster, len(clusters))
	for i := range clusters {
		l.clusters[clusters[i].Name] = &clusters[i]
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	p.current = nil
	close(l.done)
	switch {
	case err == nil:
		close(p.last.newer)
		p.last = l
	case makesNoSense(err):
		p.listAgain = l.ended.Add(singleFor)
	}
}

// makesNoSense reports whether Atlas, or something before it, answered a list with success and with something else
// than a list.
func makesNoSense(err error) bool {
	var e *atlasclient.Error
	return errors.As(err, &e) && e.Err != nil && e.Status/100 == 2
}
