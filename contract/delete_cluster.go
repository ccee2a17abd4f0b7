package contract

import (
	"slices"
	"strconv"
	"time"
)

const (
	// DeleteCluster is the workflow type that deletes a Flex or dedicated cluster and waits until it is gone. Input:
	// [DeleteClusterInput]; result: [Cluster] as it was seen last, with the state [StateDeleted].
	DeleteCluster = "DeleteCluster"
	// FindClusterActivity is the type of the activity that finds out whose the cluster is, and puts its id on record.
	FindClusterActivity = "FindCluster"
	// DeleteClusterActivity is the type of the activity that asks Atlas to delete the cluster and waits until it is
	// gone.
	DeleteClusterActivity = "DeleteCluster"
	// DefaultDeleteTimeout is the default time limit of a run.
	DefaultDeleteTimeout = 60 * time.Minute
)

// DeleteClusterInput is the input of the workflow [DeleteCluster].
type DeleteClusterInput struct {
	// GroupID is the Atlas project: 24 lower-case hexadecimal digits.
	GroupID string `json:"groupId"`
	// Name of the cluster.
	Name string `json:"name"`
	// ID is the Atlas id that the cluster must have, 24 lower-case hexadecimal digits, so that a successor of the same
	// name is never deleted. Left out, the cluster that has the name is meant.
	ID string `json:"id,omitempty"`
	// RemoveTerminationProtection turns termination protection off where it is on. Default false: a protected cluster
	// is a [ClusterProtected].
	RemoveTerminationProtection bool `json:"removeTerminationProtection,omitempty"`
	// TimeoutSeconds bounds the whole run, 1 to 86400. Default 3600.
	TimeoutSeconds *int `json:"timeoutSeconds,omitempty"`
	// Adopt deletes also a cluster that carries no ownership tag. Default false.
	Adopt bool `json:"adopt,omitempty"`
}

// Operation is the row of [DeleteCluster].
func (in DeleteClusterInput) Operation() Operation { return mustOperation(DeleteCluster) }

// Cluster is the cluster to delete.
func (in DeleteClusterInput) Cluster() ClusterRef { return ClusterRef{in.GroupID, in.Name} }

// Timeout is the time limit of the run.
func (in DeleteClusterInput) Timeout() time.Duration {
	return timeout(in.TimeoutSeconds, DefaultDeleteTimeout)
}

// Fields are the fields that make two requests the same.
func (in DeleteClusterInput) Fields() Fields {
	f := Fields{
		"groupId": in.GroupID, "name": in.Name,
		"removeTerminationProtection": strconv.FormatBool(in.RemoveTerminationProtection),
		"adopt":                       strconv.FormatBool(in.Adopt),
	}
	if in.ID != "" {
		f["id"] = in.ID
	}
	return f
}

// Summary names the cluster.
func (in DeleteClusterInput) Summary() string { return "Delete cluster " + in.Name }

func (in DeleteClusterInput) violations(string) []Violation {
	var id []Violation
	if in.ID != "" && !groupIDPattern.MatchString(in.ID) {
		id = violation("id", "must be the cluster's id of 24 hexadecimal digits (0-9, a-f), or be left out, got %q",
			shorten(in.ID))
	}
	return slices.Concat(checkProject(in.GroupID), checkName(in.Name), id, checkTimeout(in.TimeoutSeconds))
}
