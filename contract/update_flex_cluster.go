package contract

import (
	"slices"
	"strconv"
	"time"
)

const (
	// UpdateFlexCluster is the workflow type that changes the tags and the termination protection of a Flex cluster and
	// waits until it is IDLE and as asked. Input: [UpdateFlexClusterInput]; result: [Cluster].
	UpdateFlexCluster = "UpdateFlexCluster"
	// UpdateFlexClusterActivity is the type of the activity that asks Atlas for it.
	UpdateFlexClusterActivity = "UpdateFlexCluster"
	// DefaultUpdateTimeout is the default time limit of a run.
	DefaultUpdateTimeout = 30 * time.Minute
)

// UpdateFlexClusterInput is the input of the workflow [UpdateFlexCluster]. It asks for tags, termination protection, or
// both.
type UpdateFlexClusterInput struct {
	// GroupID is the Atlas project: 24 lower-case hexadecimal digits.
	GroupID string `json:"groupId"`
	// Name of the cluster.
	Name string `json:"name"`
	// Tags is the whole list of tags, beside the ownership tag: what is not in it is taken away. Left out or null, the
	// tags stay as they are; an empty list takes all away.
	Tags []Tag `json:"tags,omitzero"`
	// TerminationProtectionEnabled left out stays as it is.
	TerminationProtectionEnabled *bool `json:"terminationProtectionEnabled,omitempty"`
	// TimeoutSeconds bounds the whole run, 1 to 86400. Default 1800.
	TimeoutSeconds *int `json:"timeoutSeconds,omitempty"`
	// Adopt takes over a cluster that carries no ownership tag. Default false.
	Adopt bool `json:"adopt,omitempty"`
}

// Operation is the row of [UpdateFlexCluster].
func (in UpdateFlexClusterInput) Operation() Operation { return mustOperation(UpdateFlexCluster) }

// Cluster is the cluster to update.
func (in UpdateFlexClusterInput) Cluster() ClusterRef { return ClusterRef{in.GroupID, in.Name} }

// Timeout is the time limit of the run.
func (in UpdateFlexClusterInput) Timeout() time.Duration {
	return timeout(in.TimeoutSeconds, DefaultUpdateTimeout)
}

// Asked is what the cluster is asked to have. owner is the value of its ownership tag.
func (in UpdateFlexClusterInput) Asked(owner string) Asked {
	return Asked{Tags: in.Tags, TerminationProtectionEnabled: in.TerminationProtectionEnabled, Owner: owner}
}

// Fields are the fields that make two requests the same.
func (in UpdateFlexClusterInput) Fields() Fields {
	f := optionalFields(in.Tags, in.TerminationProtectionEnabled)
	f["groupId"], f["name"], f["adopt"] = in.GroupID, in.Name, strconv.FormatBool(in.Adopt)
	return f
}

// Summary names the cluster.
func (in UpdateFlexClusterInput) Summary() string { return "Update Flex cluster " + in.Name }

func (in UpdateFlexClusterInput) violations(workflowID string) []Violation {
	var nothing []Violation
	if in.Tags == nil && in.TerminationProtectionEnabled == nil {
		nothing = violation("tags", "must be given where terminationProtectionEnabled is left out: "+
			"there is nothing to change")
	}
	return slices.Concat(
		checkProject(in.GroupID),
		checkName(in.Name),
		nothing,
		checkTags(in.Tags, maxTags-1),
		checkTimeout(in.TimeoutSeconds),
		checkOwner(workflowID),
	)
}
