package workflows

import (
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/workflow"

	"github.com/atlas-provisioner/atlas-provisioner/activities"
	"github.com/atlas-provisioner/atlas-provisioner/contract"
)

// UpgradeToServerless upgrades a shared-tier cluster to serverless and waits until that is IDLE.
//
// The input is a [contract.UpgradeToServerlessInput], taken raw so that one that does not even decode fails as
// INVALID_INPUT. The failure types are those of package contract.
func (w *Workflows) UpgradeToServerless(ctx workflow.Context, input converter.RawValue) (*contract.Cluster, error) {
	return execute(ctx, w, input, func(in contract.UpgradeToServerlessInput, _ *workflow.Info) plan {
		return plan{
			activity: activityMethods.UpgradeClusterToServerless,
			input: func(run activities.RunInfo) any {
				return activities.UpgradeToServerlessInput{Request: in, Run: run}
			},
			summary:    "Upgrade cluster " + in.Name + " to serverless",
			asking:     "Asking Atlas to upgrade cluster " + quote(in.Name) + " to serverless",
			accepted:   "Atlas is upgrading cluster " + quote(in.Name) + " to serverless",
			firstState: contract.StateUpdating,
			effect:     "changed",
			canBeTaken: true,
			upgrades:   true,
		}
	})
}
