package activities

import (
	"github.com/atlas-provisioner/atlas-provisioner/contract"
)

// Goal is what a wait waits for.
type Goal string

const (
	// GoalIdle: the cluster is of the kind asked for, IDLE, and has its connection strings. The default.
	GoalIdle Goal = ""
	// GoalAsAsked: it is IDLE and has the fields that were asked for.
	GoalAsAsked Goal = "AS_ASKED"
	// GoalGone: there is no such cluster any more.
	GoalGone Goal = "GONE"
)

// String says in words what the cluster is then.
func (g Goal) String() string {
	switch g {
	case GoalAsAsked:
		return "as asked"
	case GoalGone:
		return "gone"
	}
	return contract.StateIdle
}

// evaluation is what a look means for a wait.
type evaluation int

const (
	// pending: the goal is not reached yet.
	pending evaluation = iota
	// reached: the wait is over.
	reached
	// incomplete: the cluster is as it should be, but lacks a connection string.
	incomplete
	// lost: the goal can no longer be reached, since the cluster is being deleted.
	lost
)

// evaluate compares what a look saw with the goal. target is the kind of cluster that the wait is for, and asked has
// the fields that GoalAsAsked wants.
func (g Goal) evaluate(saw contract.Cluster, target kind, asked contract.Fields) evaluation {
	switch {
	case g == GoalGone:
		return pending // a cluster that Atlas shows is not gone
	case saw.StateName == contract.StateDeleting:
		return lost
	case saw.StateName != contract.StateIdle || !target.becomes(saw.ClusterType):
		return pending
	case g == GoalAsAsked && len(contract.Differences(asked, saw.Fields())) > 0:
		return pending
	case !saw.Ready():
		return incomplete
	}
	return reached
}
