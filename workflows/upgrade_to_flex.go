package workflows

import (
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/workflow"

	"github.com/atlas-provisioner/atlas-provisioner/activities"
	"github.com/atlas-provisioner/atlas-provisioner/contract"
)

// UpgradeToFlex upgrades an M0 to Flex and waits until that is IDLE and as asked.
//
// The input is a [contract.UpgradeToFlexInput], taken raw so that one that does not even decode fails as
// INVALID_INPUT. The failure types are those of package contract.
func (w *Workflows) UpgradeToFlex(ctx workflow.Context, input converter.RawValue) (*contract.Cluster, error) {
	return execute(ctx, w, input, func(in contract.UpgradeToFlexInput, info *workflow.Info) plan {
		return plan{
			activity: activityMethods.UpgradeClusterToFlex,
			input: func(run activities.RunInfo) any {
				return activities.UpgradeToFlexInput{Request: in, Run: run}
			},
			summary:    "Upgrade cluster " + in.Name + " to Flex",
			asking:     "Asking Atlas to upgrade cluster " + quote(in.Name) + " to Flex",
			accepted:   "Atlas is upgrading cluster " + quote(in.Name) + " to Flex",
			firstState: contract.StateUpdating,
			effect:     "changed",
			canBeTaken: in.HasOwnershipTag(),
			upgrades:   true,
			asked:      new(in.Asked(contract.Owner(info.WorkflowExecution.ID))),
		}
	})
}
