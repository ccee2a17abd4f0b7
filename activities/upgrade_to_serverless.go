package activities

import (
	"context"
	"fmt"

	"github.com/atlas-provisioner/atlas-provisioner/atlasclient"
	"github.com/atlas-provisioner/atlas-provisioner/contract"
)

// UpgradeToServerlessInput is the input of UpgradeClusterToServerless.
type UpgradeToServerlessInput struct {
	Request contract.UpgradeToServerlessInput `json:"request"`
	Run     RunInfo                           `json:"run"`
}

// UpgradeClusterToServerless asks Atlas to upgrade a shared-tier cluster, once in effect. It does not wait for the
// upgrade.
//
// It fails with CLUSTER_CONFLICT when an instance of the name is not as asked, and otherwise as Atlas answers; 410
// VERSION_GONE is an Atlas that has retired the endpoint.
func (a *Activities) UpgradeClusterToServerless(
	ctx context.Context, in UpgradeToServerlessInput,
) (UpgradingCluster, error) {
	return a.upgrade(ctx, in.Run, func(string) upgradeRequest { return a.serverlessUpgrade(in.Request) })
}

func (a *Activities) serverlessUpgrade(request contract.UpgradeToServerlessInput) upgradeRequest {
	return upgradeRequest{
		cluster: request.Cluster(), target: serverless,
		decideTarget: func(found upgradeFound, _ Pace) (contract.Cluster, error) {
			return decideInstance(request, found)
		},
		send: func(
			ctx context.Context, _ *contract.Cluster,
		) (*atlasclient.Cluster, *atlasclient.Response, error) {
			where := request.ProviderSettings
			where.ProviderName = contract.ClusterTypeServerless
			return a.atlas.UpgradeToServerless(ctx, request.GroupID, atlasclient.ServerlessUpgradeRequest{
				Name:             request.Name,
				ProviderSettings: atlasclient.ProviderSettings(where),
				ServerlessBackupOptions: (*atlasclient.ServerlessBackupOptions)(
					request.ServerlessBackupOptions),
				Tags:                         atlasTags(request.Tags),
				TerminationProtectionEnabled: request.TerminationProtectionEnabled,
			})
		},
	}
}

// decideInstance takes the instance that there is already, if it is as asked.
func decideInstance(request contract.UpgradeToServerlessInput, found upgradeFound) (contract.Cluster, error) {
	instance := found.target.result()
	if instance.StateName == contract.StateDeleting {
		return contract.Cluster{}, conflict(request.Name,
			"a serverless instance of that name is being deleted: start the workflow again in a minute", nil)
	}
	asked, existing := request, instance
	if existing.StateName != contract.StateIdle {
		// Tags vanish and come back while an upgrade runs (observed 2026-08-10).
		asked.Tags, existing.Tags = nil, nil
	}
	if differences := contract.Differences(asked.ClusterFields(), existing.Fields()); len(differences) > 0 {
		return contract.Cluster{}, conflict(request.Name, "it is serverless already, but not as asked: "+
			contract.ListDifferences(differences)+". Change the instance in Atlas or the request"+again, differences)
	}
	instance.Warnings = append(instance.Warnings, backupWarning(request, found.target.cluster)...)
	instance.Outcome = contract.Unchanged
	if found.madeByThisRun {
		instance.Outcome = contract.Upgraded
	}
	return instance, nil
}

// backupWarning says that continuous backup is not as asked. It is no conflict: Atlas takes the setting but no longer
// applies it (https://www.mongodb.com/docs/api/doc/atlas-admin-api-v2/, getServerlessInstance).
func backupWarning(request contract.UpgradeToServerlessInput, instance *atlasclient.Cluster) []string {
	asked, options := request.ContinuousBackup(), instance.ServerlessBackupOptions
	if asked == "" || options == nil || options.ServerlessContinuousBackupEnabled == nil ||
		asked == fmt.Sprint(*options.ServerlessContinuousBackupEnabled) {
		return nil
	}
	return []string{fmt.Sprintf("serverlessContinuousBackupEnabled is %t, requested %s: Atlas no longer applies it",
		*options.ServerlessContinuousBackupEnabled, asked)}
}
