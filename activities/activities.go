// Package activities holds the activities of atlas-provisioner: for each operation one that asks Atlas, and one that
// waits. Each leaves retrying to Temporal; each says in its failure what Atlas answered and what to do next.
//
// An operation has a file of its own, with what is sent and a pure function that decides what is to be done about what
// was found. What operations share: an [attempt], kinds of cluster, ownership, goals of a wait, classification, advice.
package activities

import (
	"sync"
	"time"

	"github.com/atlas-provisioner/atlas-provisioner/atlasclient"
	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/reads"
)

// Activities are the activities of one worker. Every exported method is one: the worker registers them by name.
type Activities struct {
	atlas *atlasclient.Client
	reads *reads.Reads
	pace  Pace
	asked askedRuns
}

// New makes the activities of a worker. The waits of a project share their reads.
func New(atlas *atlasclient.Client, shared *reads.Reads, pace Pace) *Activities {
	return &Activities{atlas: atlas, reads: shared, pace: pace.withDefaults()}
}

// RunInfo is what an activity must know of its run to tell what the run made.
type RunInfo struct {
	// WorkflowStarted is when the run began, by Temporal's clock.
	WorkflowStarted time.Time `json:"workflowStarted"`
	// FirstRunID is the id of the run before any reset by an operator. A run that was reset has another id, and goes on
	// with what the first one asked for.
	FirstRunID string `json:"firstRunId,omitempty"`
	// AskedBefore says that an earlier activity of the run may have asked Atlas, until its time was up. The time limit
	// of the run was moved since.
	AskedBefore bool `json:"askedBefore,omitempty"`
}

// wasReset reports whether an operator has reset the run: runID is the id that it has now.
func (r RunInfo) wasReset(runID string) bool { return r.FirstRunID != "" && r.FirstRunID != runID }

// askedBefore reports whether the run has asked Atlas before this attempt, as far as this worker can tell. The number
// of the attempt does not tell it alone, since an operator can reset it.
func (a *Activities) askedBefore(at *attempt, run RunInfo) bool {
	runID := at.info.WorkflowExecution.RunID
	return at.info.Attempt > 1 || run.AskedBefore || run.wasReset(runID) || a.asked.has(runID)
}

// madeByThisRun reports whether a cluster was made by the run. Atlas's times are in whole seconds, so the age alone
// does not tell of a cluster that is about as old as the run: then the run must have asked for one before.
func madeByThisRun(saw observation, run RunInfo, now time.Time, askedBefore bool) bool {
	age := now.Sub(run.WorkflowStarted)
	return saw.youngerThan(age-time.Second, now) || askedBefore && saw.youngerThan(age+time.Second, now)
}

// askedRuns are the runs under way for which this worker has asked Atlas for something.
type askedRuns struct {
	mu   sync.Mutex
	runs map[string]bool
}

// maxAskedRuns bounds the memory for runs that went on in other workers.
const maxAskedRuns = 10_000

func (r *askedRuns) add(runID string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.runs == nil || len(r.runs) >= maxAskedRuns {
		r.runs = map[string]bool{}
	}
	r.runs[runID] = true
}

func (r *askedRuns) has(runID string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.runs[runID]
}

func (r *askedRuns) remove(runID string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.runs, runID)
}

// settle forgets a run whose activity has ended with err and does not come back.
func (r *askedRuns) settle(runID string, err error) {
	if comesBackAfter(err) == 0 {
		r.remove(runID)
	}
}

// resultOf is the cluster as the contract has it.
func resultOf(c *atlasclient.Cluster, clusterType string, resp *atlasclient.Response) contract.Cluster {
	out := contract.Cluster{
		ID: c.ID, GroupID: c.GroupID, Name: c.Name, ClusterType: clusterType,
		StateName: c.StateName, MongoDBVersion: c.MongoDBVersion, CreateDate: c.CreateDate,
		ConnectionStrings:            contract.ConnectionStrings(c.ConnectionStrings),
		ProviderSettings:             contract.ProviderSettings(c.ProviderSettings),
		Tags:                         []contract.Tag{},
		TerminationProtectionEnabled: c.TerminationProtectionEnabled,
		Warnings:                     append([]string{}, resp.Warnings...),
	}
	for _, t := range c.Tags {
		out.Tags = append(out.Tags, contract.Tag(t))
	}
	return out
}

func atlasTags(tags []contract.Tag) []atlasclient.Tag {
	var out []atlasclient.Tag
	for _, t := range tags {
		out = append(out, atlasclient.Tag(t))
	}
	return out
}
