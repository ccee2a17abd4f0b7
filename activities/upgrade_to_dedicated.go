package activities

import (
	"context"

	"github.com/atlas-provisioner/atlas-provisioner/atlasclient"
	"github.com/atlas-provisioner/atlas-provisioner/contract"
)

// UpgradeToDedicatedInput is the input of UpgradeClusterToDedicated.
type UpgradeToDedicatedInput struct {
	Request contract.UpgradeToDedicatedInput `json:"request"`
	Run     RunInfo                          `json:"run"`
}

// UpgradeClusterToDedicated asks Atlas to upgrade a Flex cluster to a dedicated one, once in effect. It does not wait
// for the upgrade. Tags and termination protection that are not asked for are kept.
//
// It fails with CLUSTER_CONFLICT when the cluster is not this workflow's, is an M0, or is dedicated already and not as
// asked; with CLUSTER_GONE when it is being deleted; and otherwise as Atlas answers.
func (a *Activities) UpgradeClusterToDedicated(
	ctx context.Context, in UpgradeToDedicatedInput,
) (UpgradingCluster, error) {
	return a.upgrade(ctx, in.Run, func(workflowID string) upgradeRequest {
		return a.dedicatedUpgrade(in.Request, workflowID)
	})
}

func (a *Activities) dedicatedUpgrade(request contract.UpgradeToDedicatedInput, workflowID string) upgradeRequest {
	asked := request.Asked(workflowID)
	already := upgradedAlready{
		asked: asked, workflowID: workflowID, becomes: "dedicated", adopt: request.Adopt, takeOver: "set adopt",
	}
	return upgradeRequest{
		cluster: request.Cluster(), target: dedicated,
		decideTarget: func(found upgradeFound, pace Pace) (contract.Cluster, error) {
			if found.target.isTenant() {
				return contract.Cluster{}, refuseTenant(found.target.result())
			}
			return already.decide(found, pace)
		},
		checkSource: func(source contract.Cluster) error {
			if source.StateName == contract.StateDeleting {
				return gone(source.Name, "it is being deleted", source.StateName)
			}
			return checkMayChangeNow(source, workflowID, request.Adopt)
		},
		send: func(
			ctx context.Context, source *contract.Cluster,
		) (*atlasclient.Cluster, *atlasclient.Response, error) {
			return a.atlas.UpgradeToDedicated(ctx, request.GroupID, upgradeBody(*source, asked))
		},
	}
}

// refuseTenant is for a shared-tier cluster that is not Flex, though it may be on its way there.
func refuseTenant(c contract.Cluster) error {
	switch c.StateName {
	case contract.StateDeleting:
		return gone(c.Name, "it is being deleted", c.StateName)
	case contract.StateIdle:
		return untouched(c, "it is a shared-tier cluster ("+c.ProviderSettings.InstanceSizeName+"), and only a Flex "+
			"cluster can be upgraded to dedicated", "upgrade it to Flex first"+again)
	}
	return notYet(c.Name, "it is no Flex cluster, but "+c.StateName+", maybe to become one; it is looked at again",
		c.StateName, changeAgainAfter)
}
