package activities

import (
	"context"
	"sync"
	"time"

	"github.com/atlas-provisioner/atlas-provisioner/atlasclient"
)

// fleet is what the attempts of one worker know together: for each project the
// budgets of its requests, and the reads that its waits share. Nothing in it
// outlives what it is for: a project is forgotten once nobody waits in it and
// its budgets are full again.
type fleet struct {
	atlas *atlasclient.Client

	mu       sync.Mutex
	projects map[string]*project
	waits    int // in all projects
	sweeping bool
}

// sweepEvery is how often what is no longer needed is forgotten.
const sweepEvery = time.Minute

func newFleet(atlas *atlasclient.Client) *fleet {
	return &fleet{atlas: atlas, projects: map[string]*project{}}
}

// project is one Atlas project.
type project struct {
	fleet *fleet
	group string
	// flex and other are the two families of endpoints, each with a bucket of
	// its own at Atlas.
	flex, other budget

	// Guarded by fleet.mu.
	waits   map[string]time.Time // clusters waited for, and until when at least
	last    *listing             // the newest list that has ended
	listing *listing             // the one under way, nil for none
}

// project is the one with that id.
func (f *fleet) project(group string) *project {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.get(group)
}

func (f *fleet) get(group string) *project {
	p := f.projects[group]
	if p == nil {
		p = &project{fleet: f, group: group, waits: map[string]time.Time{}, last: newListing(time.Time{})}
		close(p.last.done)
		f.projects[group] = p
	}
	if !f.sweeping {
		f.sweeping = true
		time.AfterFunc(sweepEvery, f.sweep)
	}
	return p
}

// sweep forgets the waits that went on elsewhere, and the projects that
// nothing is known of any more.
func (f *fleet) sweep() {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	for group, p := range f.projects {
		for name, until := range p.waits {
			if now.After(until) {
				delete(p.waits, name)
				f.waits--
			}
		}
		if len(p.waits) == 0 {
			p.last.clusters = nil
			if p.listing == nil && p.flex.idle(now) && p.other.idle(now) {
				delete(f.projects, group)
			}
		}
	}
	f.sweeping = len(f.projects) > 0
	if f.sweeping {
		time.AfterFunc(sweepEvery, f.sweep)
	}
}

// Every request passes the budget of its family of endpoints.
func (p *project) getFlex(ctx context.Context, t turn, name string) (*atlasclient.Cluster, *atlasclient.Response, error) {
	return ask(ctx, &p.flex, t, func(ctx context.Context) (*atlasclient.Cluster, *atlasclient.Response, error) {
		return p.fleet.atlas.GetFlexCluster(ctx, p.group, name)
	})
}

func (p *project) listFlex(ctx context.Context) ([]atlasclient.Cluster, *atlasclient.Response, error) {
	return ask(ctx, &p.flex, read, func(ctx context.Context) ([]atlasclient.Cluster, *atlasclient.Response, error) {
		return p.fleet.atlas.ListFlexClusters(ctx, p.group)
	})
}

func (p *project) getServerless(ctx context.Context, t turn, name string) (*atlasclient.Cluster, *atlasclient.Response, error) {
	return ask(ctx, &p.other, t, func(ctx context.Context) (*atlasclient.Cluster, *atlasclient.Response, error) {
		return p.fleet.atlas.GetServerlessInstance(ctx, p.group, name)
	})
}

func (p *project) getCluster(ctx context.Context, t turn, name string) (*atlasclient.Cluster, *atlasclient.Response, error) {
	return ask(ctx, &p.other, t, func(ctx context.Context) (*atlasclient.Cluster, *atlasclient.Response, error) {
		return p.fleet.atlas.GetCluster(ctx, p.group, name)
	})
}
