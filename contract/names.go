// Package contract is what callers of atlas-provisioner rely on: the names,
// inputs, results and failures that cross the wire between them, Temporal and
// the worker. It imports nothing of ours, and everything may import it.
//
// Callers in other languages type these names by hand, so changing one breaks
// somebody; adding is free.
package contract

const (
	// TaskQueue is the default task queue of the worker and the starter.
	TaskQueue = "atlas-provisioning"

	// ProvisionFlexCluster is the workflow type that creates a Flex cluster
	// and waits until it is IDLE. Input: [ProvisionFlexClusterInput]; result:
	// [Cluster].
	ProvisionFlexCluster = "ProvisionFlexCluster"
	// UpgradeToServerless is the workflow type that upgrades a shared-tier
	// cluster to serverless and waits until it is IDLE. Input:
	// [UpgradeToServerlessInput]; result: [Cluster].
	UpgradeToServerless = "UpgradeToServerless"

	// CreateFlexClusterActivity, UpgradeToServerlessActivity and
	// WaitUntilIdleActivity are the activity types, as the history shows them.
	CreateFlexClusterActivity   = "CreateFlexCluster"
	UpgradeToServerlessActivity = "UpgradeClusterToServerless"
	WaitUntilIdleActivity       = "WaitUntilIdle"

	// StatusQuery is the query that answers [Status].
	StatusQuery = "status"

	// The search attributes, all of type Keyword. They are set where the
	// server has them.
	SearchAttributeProjectID    = "AtlasProjectId"
	SearchAttributeClusterName  = "AtlasClusterName"
	SearchAttributeClusterState = "AtlasClusterState"

	// OwnershipTag is the key of the tag that proves whose a cluster is: its
	// value is the id of the workflow that made it.
	OwnershipTag = "atlas-provisioner-workflow"
)

// ProvisionFlexClusterID is the workflow id under which the starter and the
// client helper provision a Flex cluster. One id for a cluster name is what
// makes two starts of one request one run.
func ProvisionFlexClusterID(groupID, name string) string {
	return "provision-flex-" + groupID + "-" + name
}

// UpgradeToServerlessID is the workflow id under which the starter and the
// client helper upgrade a shared-tier cluster.
func UpgradeToServerlessID(groupID, name string) string {
	return "upgrade-to-serverless-" + groupID + "-" + name
}
