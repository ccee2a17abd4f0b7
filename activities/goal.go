package activities

import (
	"slices"
	"strings"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
)

// goal is what a wait waits for.
type goal int

const (
	// goalIdle: the cluster is of the kind asked for, IDLE, and has its connection strings.
	goalIdle goal = iota
	// goalAsAsked: it is that, and has what was asked for.
	goalAsAsked
	// goalGone: there is no such cluster any more.
	goalGone
)

// evaluation is what a look means for a wait.
type evaluation int

const (
	// pending: the goal is not reached yet.
	pending evaluation = iota
	// reached: the wait is over.
	reached
	// incomplete: the cluster is as it should be, but lacks a connection string.
	incomplete
	// unmet: the cluster is IDLE, and not as asked in what can be changed.
	unmet
	// lost: the goal can no longer be reached, since the cluster is being deleted.
	lost
)

// evaluate compares what a look saw with the goal. target is the kind of cluster that the wait is for, and asked is
// what goalAsAsked wants.
func (g goal) evaluate(saw contract.Cluster, target kind, asked contract.Asked) evaluation {
	switch {
	case g == goalGone && saw.StateName == contract.StateDeleting:
		return pending
	case g == goalGone:
		return unmet // it is there, and nobody deletes it
	case saw.StateName == contract.StateDeleting:
		return lost
	case saw.StateName != contract.StateIdle || !target.becomes(saw.ClusterType):
		return pending
	}
	if differences := asked.Differences(saw); g == goalAsAsked && len(differences) > 0 {
		if slices.ContainsFunc(differences, isPlace) {
			return pending // IDLE as it was before an upgrade
		}
		return unmet
	}
	if !saw.Ready() {
		return incomplete
	}
	return reached
}

// isPlace reports whether a cluster differs in its cloud, its region or its size, which no update changes.
func isPlace(d contract.Difference) bool { return strings.HasPrefix(d.Field, "providerSettings.") }
