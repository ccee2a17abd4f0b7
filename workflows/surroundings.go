package workflows

import (
	"slices"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/atlas-provisioner/atlas-provisioner/activities"
	"github.com/atlas-provisioner/atlas-provisioner/contract"
)

// surroundings are what a run cannot know by its history alone. They are recorded where they change.
type surroundings struct {
	// RunID changes where an operator has reset the run: the new run replays the events before that point.
	RunID string `json:"runId"`
	// SearchAttributes are the names of those that the server takes.
	SearchAttributes []string `json:"searchAttributes,omitempty"`
}

// stillHold reports whether what was recorded before can be relied on now. Search attributes that have come since are
// left out, so that a restart of the worker adds nothing to the history.
func (s surroundings) stillHold(now surroundings) bool {
	lacks := func(name string) bool { return !slices.Contains(now.SearchAttributes, name) }
	return s.RunID == now.RunID && !slices.ContainsFunc(s.SearchAttributes, lacks)
}

// recordSurroundings records the surroundings, if what was recorded before does not hold any more, and answers them. A
// workflow task that sets a search attribute which the server refuses is given out again: by then the worker knows
// better, and the answer is recorded anew.
func (r *run) recordSurroundings() surroundings {
	var s surroundings
	recorded := workflow.MutableSideEffectWithOptions(r.ctx, "surroundings",
		workflow.MutableSideEffectOptions{
			Summary: "Note the id of the run, and the search attributes that the server takes",
		},
		func(workflow.Context) any {
			now := surroundings{RunID: r.info.WorkflowExecution.RunID}
			if r.usableSearchAttributes != nil {
				now.SearchAttributes = r.usableSearchAttributes()
			}
			return now
		},
		func(now, recorded any) bool { return recorded.(surroundings).stillHold(now.(surroundings)) })
	if err := recorded.Get(&s); err != nil {
		workflow.GetLogger(r.ctx).Warn("What was recorded cannot be read", "error", err)
	}
	return s
}

// runInfo is what the activities must know of the run. The start and the first run id stay as they are through a reset.
func (r *run) runInfo() activities.RunInfo {
	return activities.RunInfo{
		WorkflowStarted: r.info.WorkflowStartTime, FirstRunID: r.info.OriginalRunID, AskedBefore: r.extended,
	}
}

// begin counts the time limit from here.
func (r *run) begin() {
	r.runID = r.recordSurroundings().RunID
	r.deadline = workflow.Now(r.ctx).Add(r.timeout)
}

// beginAnewAfterReset counts the time limit anew where an operator has reset the run, and reports whether that is here.
func (r *run) beginAnewAfterReset() bool {
	//mutate:reset-counts-anew
	if r.recordSurroundings().RunID == r.runID {
		return false
	}
	r.begin()
	return true
}

// searchAttribute is a Keyword and the value that it gets; "" takes its value away.
type searchAttribute struct{ name, value string }

// note notes the state in which the cluster is; "" where there is none.
func (r *run) note(state string) {
	r.status.StateName = state
	r.upsert(searchAttribute{contract.SearchAttributeClusterState, state})
}

// upsert sets those of the search attributes that the server takes.
func (r *run) upsert(attributes ...searchAttribute) {
	usable := r.recordSurroundings().SearchAttributes
	var updates []temporal.SearchAttributeUpdate
	for _, attribute := range attributes {
		key := temporal.NewSearchAttributeKeyKeyword(attribute.name)
		switch {
		case !slices.Contains(usable, attribute.name):
		case attribute.value == "":
			updates = append(updates, key.ValueUnset())
		default:
			updates = append(updates, key.ValueSet(attribute.value))
		}
	}
	if len(updates) == 0 {
		return
	}
	if err := workflow.UpsertTypedSearchAttributes(r.ctx, updates...); err != nil {
		workflow.GetLogger(r.ctx).Warn("Search attributes were not set", "error", err)
	}
}
