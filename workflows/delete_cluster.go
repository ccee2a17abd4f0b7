package workflows

import (
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/workflow"

	"github.com/atlas-provisioner/atlas-provisioner/activities"
	"github.com/atlas-provisioner/atlas-provisioner/contract"
)

// DeleteCluster deletes a Flex or dedicated cluster and waits until it is gone. The result is the cluster as it was
// seen last, with the state DELETED.
//
// The input is a [contract.DeleteClusterInput], taken raw so that one that does not even decode fails as INVALID_INPUT.
// The failure types are those of package contract.
func (w *Workflows) DeleteCluster(ctx workflow.Context, input converter.RawValue) (*contract.Cluster, error) {
	return execute(ctx, w, input, func(in contract.DeleteClusterInput, _ *workflow.Info) plan {
		return plan{
			asking:     "Finding out whose cluster " + quote(in.Name) + " is, before it is deleted",
			firstState: contract.StateDeleting,
			effect:     "deleted",
			canBeTaken: true,
			steps:      func(r *run) (*contract.Cluster, error) { return r.findAndDelete(in) },
		}
	})
}

// findAndDelete finds the cluster by one activity, so that whose it is stands in the history, and deletes it by
// another.
func (r *run) findAndDelete(request contract.DeleteClusterInput) (*contract.Cluster, error) {
	var found activities.FoundCluster
	find := func() any { return activities.FindInput{Request: request, Run: r.runInfo()} }
	r.goal = "gone"
	options := r.askOptions("Find out whose cluster " + r.cluster.Name + " is, and its id")
	if err := r.executeActivity(activityMethods.FindCluster, find, options, &found); err != nil {
		return nil, err
	}
	cluster := found.Cluster
	if cluster.StateName == contract.StateDeleted {
		return &cluster, nil
	}
	r.accepted, r.status.StateName = true, cluster.StateName
	r.enter(contract.PhaseDeleting, "Deleting cluster "+quote(r.cluster.Name)+" with the id "+cluster.ID+
		", and waiting until it is gone: its state, since when, and the next look stand under Pending Activities.")
	remove := func() any {
		return activities.DeleteInput{Request: request, Found: found, Deadline: r.deadline}
	}
	options = r.waitOptions()
	options.Summary = "Delete cluster " + r.cluster.Name + " and wait until it is gone"
	var end contract.Cluster
	if err := r.executeActivity(activityMethods.DeleteCluster, remove, options, &end); err != nil {
		return nil, err
	}
	cluster.StateName, cluster.Warnings = contract.StateDeleted, union(cluster.Warnings, end.Warnings)
	if end.Outcome == contract.Deleted { // also where somebody's delete, under way when it was found, came to nothing
		cluster.Outcome = contract.Deleted
	}
	return &cluster, nil
}
