package workflows

import (
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/workflow"

	"github.com/atlas-provisioner/atlas-provisioner/activities"
	"github.com/atlas-provisioner/atlas-provisioner/contract"
)

// UpgradeToDedicated upgrades a Flex cluster to a dedicated one and waits until that is IDLE and as asked.
//
// The input is a [contract.UpgradeToDedicatedInput], taken raw so that one that does not even decode fails as
// INVALID_INPUT. The failure types are those of package contract.
func (w *Workflows) UpgradeToDedicated(ctx workflow.Context, input converter.RawValue) (*contract.Cluster, error) {
	return execute(ctx, w, input, func(in contract.UpgradeToDedicatedInput, info *workflow.Info) plan {
		return plan{
			activity: activityMethods.UpgradeClusterToDedicated,
			input: func(run activities.RunInfo) any {
				return activities.UpgradeToDedicatedInput{Request: in, Run: run}
			},
			summary: "Upgrade cluster " + in.Name + " to dedicated " + in.ProviderSettings.InstanceSizeName,
			asking: "Asking Atlas to upgrade cluster " + quote(in.Name) + " to dedicated " +
				in.ProviderSettings.InstanceSizeName,
			accepted: "Atlas is upgrading cluster " + quote(in.Name) + " to dedicated " +
				in.ProviderSettings.InstanceSizeName,
			firstState: contract.StateUpdating,
			effect:     "changed",
			canBeTaken: true,
			upgrades:   true,
			asked:      new(in.Asked(contract.Owner(info.WorkflowExecution.ID))),
		}
	})
}
