package activities

import (
	"fmt"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
)

// ownership says whose a cluster is, by its ownership tag. Every operation that changes a cluster asks for it first.
type ownership int

const (
	// ours: the cluster carries the tag of this workflow.
	ours ownership = iota
	// anothers: it carries the tag of another workflow.
	anothers
	// untagged: it carries no such tag.
	untagged
	// unreadable: it is being deleted, and Atlas shows no tags of such a cluster (observed 2026-08-10).
	unreadable
)

func ownershipOf(c contract.Cluster, workflowID string) ownership {
	switch {
	//mutate:owner-unreadable
	case c.StateName == contract.StateDeleting:
		return unreadable
	//mutate:owner-tag
	case c.OwnedBy(workflowID):
		return ours
	case c.Owner() != "":
		return anothers
	}
	return untagged
}

// whose says in words why a cluster is not this workflow's.
func (o ownership) whose(c contract.Cluster) string {
	if o == anothers {
		return fmt.Sprintf("workflow %q made it", c.Owner())
	}
	return "it carries no tag " + contract.OwnershipTag
}

// checkMayChange fails with CLUSTER_CONFLICT where a cluster is not this workflow's to change. adopt lets it take over
// one that carries no ownership tag.
func checkMayChange(c contract.Cluster, workflowID string, adopt bool) error {
	switch ownershipOf(c, workflowID) {
	//mutate:change-anothers
	case anothers:
		return untouched(c, "it is not this workflow's ("+anothers.whose(c)+")", "use the workflow id that made it")
	//mutate:change-untagged
	case untagged:
		if !adopt {
			return untouched(c, "it is not known to be this workflow's ("+untagged.whose(c)+")",
				"to take it over, set adopt"+again)
		}
	}
	return nil
}

// checkMayChangeNow is checkMayChange for a change that is sent now. While somebody's upgrade of a cluster runs, its
// tags vanish and come back (observed 2026-08-10), so that it fails with NOT_YET until it is known whose it is.
func checkMayChangeNow(c contract.Cluster, workflowID string, adopt bool) error {
	//mutate:tags-vanish
	if ownershipOf(c, workflowID) == untagged && c.StateName == contract.StateUpdating {
		return notYet(c.Name, "it is UPDATING and shows no tag "+contract.OwnershipTag+
			"; whose it is shows once it is IDLE", c.StateName, changeAgainAfter)
	}
	return checkMayChange(c, workflowID, adopt)
}

// untouched is the failure for a cluster that is not changed: why, and what to do next.
func untouched(c contract.Cluster, why, next string) error {
	return final(c.Name, why+". It was left untouched: "+next, contract.ClusterConflict,
		contract.FailureDetails{StateName: c.StateName})
}
