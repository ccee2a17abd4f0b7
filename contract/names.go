// Package contract is what callers of atlas-provisioner rely on: the names, inputs, results and failures that cross the
// wire between them, Temporal and the worker. It imports nothing of ours, and everything may import it.
//
// What can be done to a cluster stands in one table, [Operations]. Each operation has a file of its own, with its
// input, its fields and its rules.
//
// Callers in other languages type these names by hand, so changing one breaks somebody; adding is free.
package contract

const (
	// TaskQueue is the default task queue of the worker and the starter.
	TaskQueue = "atlas-provisioning"

	// WaitUntilIdleActivity is the type of the activity that waits until a cluster is IDLE, as the history shows it.
	WaitUntilIdleActivity = "WaitUntilIdle"
	// WaitUntilAsAskedActivity is the type of the activity that waits until a cluster is IDLE and as asked.
	WaitUntilAsAskedActivity = "WaitUntilAsAsked"

	// StatusQuery is the query that answers [Status].
	StatusQuery = "status"

	// The search attributes, all of type Keyword. They are set where the server has them as such.
	SearchAttributeProjectID    = "AtlasProjectId"
	SearchAttributeClusterName  = "AtlasClusterName"
	SearchAttributeClusterState = "AtlasClusterState"

	// OwnershipTag is the key of the tag that proves whose a cluster is: its value is the id of the workflow that made
	// it or took it over.
	OwnershipTag = "atlas-provisioner-workflow"
)
