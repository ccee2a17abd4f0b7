package workflows

import (
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/workflow"

	"github.com/atlas-provisioner/atlas-provisioner/activities"
	"github.com/atlas-provisioner/atlas-provisioner/contract"
)

// ProvisionFlexCluster creates a Flex cluster and waits until it is IDLE.
//
// The input is a [contract.ProvisionFlexClusterInput], taken raw so that one that does not even decode fails as
// INVALID_INPUT. The failure types are those of package contract.
func (w *Workflows) ProvisionFlexCluster(ctx workflow.Context, input converter.RawValue) (*contract.Cluster, error) {
	return execute(ctx, w, input, func(in contract.ProvisionFlexClusterInput, info *workflow.Info) plan {
		where := in.ProviderSettings.Place()
		return plan{
			activity: activityMethods.CreateFlexCluster,
			input: func(run activities.RunInfo) any {
				return activities.CreateInput{Request: in, Run: run}
			},
			summary:    "Create Flex cluster " + in.Name + " in " + where,
			asking:     "Asking Atlas for Flex cluster " + quote(in.Name) + " in " + where,
			accepted:   "Atlas is creating Flex cluster " + quote(in.Name),
			firstState: contract.StateCreating,
			canBeTaken: in.HasOwnershipTag(),
			effect:     "made",
			creates:    true,
			asked:      new(in.Asked(contract.Owner(info.WorkflowExecution.ID))),
		}
	})
}
