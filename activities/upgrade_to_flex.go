package activities

import (
	"context"
	"slices"

	"github.com/atlas-provisioner/atlas-provisioner/atlasclient"
	"github.com/atlas-provisioner/atlas-provisioner/contract"
)

// UpgradeToFlexInput is the input of UpgradeClusterToFlex.
type UpgradeToFlexInput struct {
	Request contract.UpgradeToFlexInput `json:"request"`
	Run     RunInfo                     `json:"run"`
}

// UpgradeClusterToFlex asks Atlas to upgrade an M0 to Flex, once in effect. It does not wait for the upgrade.
//
// It fails with CLUSTER_CONFLICT when the cluster is no M0, carries another workflow's ownership tag, or is Flex
// already and not as asked; with CLUSTER_GONE when it is being deleted; and otherwise as Atlas answers.
func (a *Activities) UpgradeClusterToFlex(ctx context.Context, in UpgradeToFlexInput) (UpgradingCluster, error) {
	return a.upgrade(ctx, in.Run, func(workflowID string) upgradeRequest {
		return a.flexUpgrade(in.Request, workflowID)
	})
}

func (a *Activities) flexUpgrade(request contract.UpgradeToFlexInput, workflowID string) upgradeRequest {
	asked := request.Asked(workflowID)
	already := upgradedAlready{
		asked: asked, workflowID: workflowID, becomes: "Flex",
		takeOver: "use the workflow " + contract.UpdateFlexCluster + " with adopt",
	}
	return upgradeRequest{
		cluster: request.Cluster(), target: upgradedFlex, decideTarget: already.decide,
		checkSource: func(source contract.Cluster) error { return checkFreeCluster(source, workflowID) },
		send: func(
			ctx context.Context, source *contract.Cluster,
		) (*atlasclient.Cluster, *atlasclient.Response, error) {
			return a.atlas.UpgradeToFlex(ctx, request.GroupID, upgradeBody(*source, asked))
		},
	}
}

// freeSize is the instance size of a free cluster.
const freeSize = "M0"

// checkFreeCluster checks that a cluster is an M0 that this workflow may upgrade. One without an ownership tag becomes
// this workflow's by the upgrade.
func checkFreeCluster(source contract.Cluster, workflowID string) error {
	switch p := source.ProviderSettings; {
	case source.StateName == contract.StateDeleting:
		return gone(source.Name, "it is being deleted", source.StateName)
	case p.ProviderName == contract.ClusterTypeFlex: // it is on its way to Flex
	case p.ProviderName != atlasclient.ProviderTenant || p.InstanceSizeName != freeSize:
		return untouched(source, "its size is "+p.InstanceSizeName+", and only an M0 can be upgraded to Flex",
			"correct the name"+again)
	}
	return checkMayChange(source, workflowID, true)
}

// upgradeBody is what an upgrade is sent with: what is asked, and what the cluster has where nothing is asked.
func upgradeBody(source contract.Cluster, asked contract.Asked) atlasclient.UpgradeRequest {
	wanted := asked.Completed(source)
	tags := wanted.Tags
	if wanted.Owner != "" {
		tags = append(slices.Clone(tags), contract.Tag{Key: contract.OwnershipTag, Value: wanted.Owner})
	}
	return atlasclient.UpgradeRequest{
		Name: source.Name, ProviderSettings: atlasclient.ProviderSettings(wanted.Place),
		Tags:                         append([]atlasclient.Tag{}, atlasTags(tags)...),
		TerminationProtectionEnabled: wanted.TerminationProtectionEnabled,
	}
}
