package contract_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
)

// Callers in other languages type these by hand, and search in histories for them. A name that changes here breaks
// somebody.
func TestNames(t *testing.T) {
	t.Parallel()
	const workflowID = "atlas-cluster-32b6e34b3d91647abb20e7b8-orders"
	for _, test := range []struct{ name, got, want string }{
		{"TaskQueue", contract.TaskQueue, "atlas-provisioning"},
		{"ProvisionFlexCluster", contract.ProvisionFlexCluster, "ProvisionFlexCluster"},
		{"UpdateFlexCluster", contract.UpdateFlexCluster, "UpdateFlexCluster"},
		{"DeleteCluster", contract.DeleteCluster, "DeleteCluster"},
		{"UpgradeToFlex", contract.UpgradeToFlex, "UpgradeToFlex"},
		{"UpgradeToDedicated", contract.UpgradeToDedicated, "UpgradeToDedicated"},
		{"UpgradeToServerless", contract.UpgradeToServerless, "UpgradeToServerless"},
		{"LeaseFlexCluster", contract.LeaseFlexCluster, "LeaseFlexCluster"},
		{"CreateFlexClusterActivity", contract.CreateFlexClusterActivity, "CreateFlexCluster"},
		{"UpdateFlexClusterActivity", contract.UpdateFlexClusterActivity, "UpdateFlexCluster"},
		{"FindClusterActivity", contract.FindClusterActivity, "FindCluster"},
		{"DeleteClusterActivity", contract.DeleteClusterActivity, "DeleteCluster"},
		{"UpgradeToFlexActivity", contract.UpgradeToFlexActivity, "UpgradeClusterToFlex"},
		{"UpgradeToDedicatedActivity", contract.UpgradeToDedicatedActivity, "UpgradeClusterToDedicated"},
		{"UpgradeToServerlessActivity", contract.UpgradeToServerlessActivity, "UpgradeClusterToServerless"},
		{"WaitUntilIdleActivity", contract.WaitUntilIdleActivity, "WaitUntilIdle"},
		{"WaitUntilAsAskedActivity", contract.WaitUntilAsAskedActivity, "WaitUntilAsAsked"},
		{"WatchLeaseActivity", contract.WatchLeaseActivity, "WatchLease"},
		{"FindLeftoverActivity", contract.FindLeftoverActivity, "FindLeftover"},
		{"AwaitClusterRunActivity", contract.AwaitClusterRunActivity, "AwaitClusterRun"},
		{"ReadyUpdate", contract.ReadyUpdate, "ready"},
		{"ReleaseUpdate", contract.ReleaseUpdate, "release"},
		{"LeaseEndMemo", contract.LeaseEndMemo, "leaseEnds"},
		{"StatusQuery", contract.StatusQuery, "status"},
		{"SearchAttributeProjectID", contract.SearchAttributeProjectID, "AtlasProjectId"},
		{"SearchAttributeClusterName", contract.SearchAttributeClusterName, "AtlasClusterName"},
		{"SearchAttributeClusterState", contract.SearchAttributeClusterState, "AtlasClusterState"},
		{"OwnershipTag", contract.OwnershipTag, "atlas-provisioner-workflow"},

		{"InvalidInput", contract.InvalidInput, "INVALID_INPUT"},
		{"ClusterConflict", contract.ClusterConflict, "CLUSTER_CONFLICT"},
		{"ClusterProtected", contract.ClusterProtected, "CLUSTER_PROTECTED"},
		{"ClusterGone", contract.ClusterGone, "CLUSTER_GONE"},
		{"Timeout", contract.Timeout, "TIMEOUT"},
		{"AtlasUnreachable", contract.AtlasUnreachable, "ATLAS_UNREACHABLE"},
		{"AtlasBadResponse", contract.AtlasBadResponse, "ATLAS_BAD_RESPONSE"},
		{"NotYet", contract.NotYet, "NOT_YET"},
		{"RequestConflict", contract.RequestConflict, "REQUEST_CONFLICT"},

		{"Created", string(contract.Created), "CREATED"},
		{"Updated", string(contract.Updated), "UPDATED"},
		{"Deleted", string(contract.Deleted), "DELETED"},
		{"Upgraded", string(contract.Upgraded), "UPGRADED"},
		{"Released", string(contract.Released), "RELEASED"},
		{"Unchanged", string(contract.Unchanged), "UNCHANGED"},
		{"ClusterTypeFlex", contract.ClusterTypeFlex, "FLEX"},
		{"ClusterTypeServerless", contract.ClusterTypeServerless, "SERVERLESS"},
		{"ClusterTypeDedicated", contract.ClusterTypeDedicated, "DEDICATED"},
		{"FailIfDifferent", contract.FailIfDifferent, "FAIL"},
		{"UpdateIfDifferent", contract.UpdateIfDifferent, "UPDATE"},
		{"StateDeleted", contract.StateDeleted, "DELETED"},
		{"StateIdle", contract.StateIdle, "IDLE"},
		{"StateCreating", contract.StateCreating, "CREATING"},
		{"StateUpdating", contract.StateUpdating, "UPDATING"},
		{"StateDeleting", contract.StateDeleting, "DELETING"},
		{"StateRepairing", contract.StateRepairing, "REPAIRING"},
		{"PhaseValidating", string(contract.PhaseValidating), "VALIDATING"},
		{"PhaseCreating", string(contract.PhaseCreating), "CREATING"},
		{"PhaseUpdating", string(contract.PhaseUpdating), "UPDATING"},
		{"PhaseDeleting", string(contract.PhaseDeleting), "DELETING"},
		{"PhaseUpgrading", string(contract.PhaseUpgrading), "UPGRADING"},
		{"PhaseWaiting", string(contract.PhaseWaiting), "WAITING_UNTIL_IDLE"},
		{"PhaseLeased", string(contract.PhaseLeased), "LEASED"},
		{"PhaseReleasing", string(contract.PhaseReleasing), "RELEASING"},
		{"PhaseDone", string(contract.PhaseDone), "DONE"},
		{"PhaseFailed", string(contract.PhaseFailed), "FAILED"},

		{"workflow id of a cluster", contract.ClusterWorkflowID(group, "orders"), workflowID},
	} {
		require.Equal(t, test.want, test.got, test.name)
	}
	// One id for a cluster: whatever is done to it, one thing happens at a time. A lease has others do it.
	for _, r := range requests() {
		if _, leases := r.(contract.LeaseFlexClusterInput); leases {
			require.Equal(t, "atlas-lease-32b6e34b3d91647abb20e7b8-orders", contract.WorkflowID(r))
			continue
		}
		require.Equal(t, workflowID, contract.WorkflowID(r), r.Operation().WorkflowType)
	}
	require.Equal(t, 30*time.Minute, contract.DefaultProvisionTimeout)
	require.Equal(t, 30*time.Minute, contract.DefaultUpdateTimeout)
	require.Equal(t, 60*time.Minute, contract.DefaultDeleteTimeout)
	require.Equal(t, 90*time.Minute, contract.DefaultUpgradeTimeout)
	require.Equal(t, 86400, contract.MaxTimeoutSeconds)
}

// Which answers of Atlas pass by themselves.
func TestTransient(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]bool{
		0: false, 200: false, 400: false, 402: false, 404: false, 408: true, 409: false, 425: true, 429: true,
		499: false, 500: true, 599: true,
	} {
		require.Equal(t, want, contract.Transient(status, "VALIDATION_ERROR"), "%d", status)
	}
	for _, code := range []string{
		"CONTAINER_WAITING_FOR_FAST_RECORD_CLEAN_UP", "WRITES_NOT_ALLOWED_DURING_APP_UPGRADES",
		"DEFAULT_CONFIG_LIMIT_EXCEPTION",
	} {
		require.True(t, contract.Transient(400, code), code)
	}
}

// The id that the starter gives a run fits into the ownership tag, with the longest name there can be.
func TestWorkflowIDFitsTheTag(t *testing.T) {
	t.Parallel()
	in, change, up := flex(), update(), toDedicated()
	in.Name, change.Name, up.Name = text(64), text(64), text(64)
	for _, r := range []contract.Request{in, change, up} {
		require.NoError(t, contract.Validate(r, contract.WorkflowID(r)))
	}
}
