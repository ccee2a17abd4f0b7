package workflows

import (
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/workflow"

	"github.com/atlas-provisioner/atlas-provisioner/activities"
	"github.com/atlas-provisioner/atlas-provisioner/contract"
)

// UpdateFlexCluster changes the tags and the termination protection of a Flex cluster and waits until it is IDLE and as
// asked.
//
// The input is a [contract.UpdateFlexClusterInput], taken raw so that one that does not even decode fails as
// INVALID_INPUT. The failure types are those of package contract.
func (w *Workflows) UpdateFlexCluster(ctx workflow.Context, input converter.RawValue) (*contract.Cluster, error) {
	return execute(ctx, w, input, func(in contract.UpdateFlexClusterInput, info *workflow.Info) plan {
		return plan{
			activity: activityMethods.UpdateFlexCluster,
			input: func(run activities.RunInfo) any {
				return activities.UpdateInput{Request: in, Run: run}
			},
			summary:    "Update Flex cluster " + in.Name,
			asking:     "Asking Atlas to update Flex cluster " + quote(in.Name),
			accepted:   "Atlas is updating Flex cluster " + quote(in.Name),
			firstState: contract.StateUpdating,
			effect:     "changed",
			canBeTaken: true,
			asked:      new(in.Asked(contract.Owner(info.WorkflowExecution.ID))),
		}
	})
}
