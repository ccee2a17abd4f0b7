// Package reads holds the reads that the waits of a project share: one list of a project's Flex clusters answers all
// waits in it, so that a look costs the project one request, not one for each wait.
package reads

import (
	"sync"
	"time"

	"github.com/atlas-provisioner/atlas-provisioner/atlasclient"
)

// Kind says how a wait can read its cluster.
type Kind int

const (
	// Flex is a cluster that the list of the project's Flex clusters covers.
	Flex Kind = iota
	// Unlisted is a cluster that no list covers. Its wait is always alone.
	Unlisted
)

const (
	// sweepEvery is how often what is no longer needed is forgotten.
	sweepEvery = time.Minute
	// longestAttempt is longer than any attempt of a wait.
	longestAttempt = 24 * time.Hour
	// lookGrace is how late a look may be before its cluster is no longer counted as waited for.
	lookGrace = 15 * time.Second
	// singleFor is how long the waits of a project read by single requests after a list that made no sense, as from a
	// gateway that drops the query. It would cost requests to learn the same again at each look.
	singleFor = time.Minute
)

// Reads are the reads of one worker. They forget a project once nobody waits in it. They are safe for concurrent use.
type Reads struct {
	client *atlasclient.Client

	mu       sync.Mutex
	projects map[string]*project
	waits    int  // in all projects
	sweeping bool // a timer for the next sweep is set
}

// project is an Atlas project in which this worker waits. Reads.mu guards it.
type project struct {
	groupID  string
	waits    map[string]*entry // Flex clusters that are waited for, by name
	unlisted map[string]*entry // the other clusters that are waited for, by name
	last     *listing          // the newest list that ended well
	current  *listing          // the list that is under way, nil for none
	// listAgain is when the next list may begin; until then each wait reads by itself.
	listAgain time.Time
}

// entry is a cluster that is waited for.
type entry struct {
	state string    // the last state seen
	due   time.Time // when the next look is overdue
	until time.Time // when the wait goes on in another worker, or is over
}

// New makes the reads of a worker.
func New(client *atlasclient.Client) *Reads {
	return &Reads{client: client, projects: map[string]*project{}}
}

// projectLocked is the project with that id.
func (r *Reads) projectLocked(groupID string) *project {
	p := r.projects[groupID]
	if p == nil {
		p = &project{groupID: groupID, waits: map[string]*entry{}, unlisted: map[string]*entry{}}
		p.last = newListing(time.Time{})
		close(p.last.done)
		r.projects[groupID] = p
	}
	if !r.sweeping {
		r.sweeping = true
		time.AfterFunc(sweepEvery, r.sweep)
	}
	return p
}

// sweep forgets the waits that went on in another worker, and the projects in which nobody waits.
func (r *Reads) sweep() {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	for groupID, p := range r.projects {
		for _, waits := range []map[string]*entry{p.waits, p.unlisted} {
			for name, e := range waits {
				if now.After(e.until) {
					delete(waits, name)
					r.waits--
				}
			}
		}
		if len(p.waits) > 0 {
			continue
		}
		p.last.clusters = nil
		if len(p.unlisted) == 0 && p.current == nil {
			delete(r.projects, groupID)
		}
	}
	r.sweeping = len(r.projects) > 0
	if r.sweeping {
		time.AfterFunc(sweepEvery, r.sweep)
	}
}

// Snapshot counts the clusters whose next look is not overdue, by the last state seen.
func (r *Reads) Snapshot() map[string]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	count := map[string]int{}
	for _, p := range r.projects {
		for _, waits := range []map[string]*entry{p.waits, p.unlisted} {
			for _, e := range waits {
				if now.Before(e.due) {
					count[e.state]++
				}
			}
		}
	}
	return count
}
