package workflows

import (
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
)

var (
	projectID    = temporal.NewSearchAttributeKeyKeyword(contract.SearchAttributeProjectID)
	clusterName  = temporal.NewSearchAttributeKeyKeyword(contract.SearchAttributeClusterName)
	clusterState = temporal.NewSearchAttributeKeyKeyword(contract.SearchAttributeClusterState)
)

// recordSearchAttributes sets those of the cluster. Another worker, or the same one later, may know of other attributes,
// but a run must not change its mind: it records the answer it began with.
func (r *run) recordSearchAttributes() {
	recorded := workflow.SideEffectWithOptions(r.ctx,
		workflow.SideEffectOptions{Summary: "Note whether the server has the search attributes"},
		func(workflow.Context) any { return r.searchAttributes })
	if err := recorded.Get(&r.searchAttributes); err != nil {
		r.searchAttributes = false
	}
	r.upsert(projectID.ValueSet(r.cluster.GroupID), clusterName.ValueSet(r.cluster.Name), clusterState.ValueSet(r.plan.firstState))
}

// note notes the state in which the run leaves the cluster; "" where there is none.
func (r *run) note(state string) {
	r.status.StateName = state
	if state == "" {
		r.upsert(clusterState.ValueUnset())
		return
	}
	r.upsert(clusterState.ValueSet(state))
}

func (r *run) upsert(attributes ...temporal.SearchAttributeUpdate) {
	if !r.searchAttributes {
		return
	}
	if err := workflow.UpsertTypedSearchAttributes(r.ctx, attributes...); err != nil {
		workflow.GetLogger(r.ctx).Warn("Search attributes were not set", "error", err)
	}
}
