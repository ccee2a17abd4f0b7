package contract

import (
	"cmp"
	"slices"
	"strconv"
	"time"
)

const (
	// ProvisionFlexCluster is the workflow type that creates a Flex cluster and waits until it is IDLE. Input:
	// [ProvisionFlexClusterInput]; result: [Cluster].
	ProvisionFlexCluster = "ProvisionFlexCluster"
	// CreateFlexClusterActivity is the type of the activity that asks Atlas for it.
	CreateFlexClusterActivity = "CreateFlexCluster"
	// DefaultProvisionTimeout is the default time limit of a run.
	DefaultProvisionTimeout = 30 * time.Minute
)

// ProvisionFlexClusterInput is the input of the workflow [ProvisionFlexCluster].
type ProvisionFlexClusterInput struct {
	// GroupID is the Atlas project: 24 lower-case hexadecimal digits.
	GroupID string `json:"groupId"`
	// Name of the cluster: a letter or digit, then letters, digits and hyphens, 64 characters at most.
	Name                         string           `json:"name"`
	ProviderSettings             ProviderSettings `json:"providerSettings"`
	Tags                         []Tag            `json:"tags,omitempty"`
	TerminationProtectionEnabled bool             `json:"terminationProtectionEnabled,omitempty"`
	// TimeoutSeconds bounds the whole run, 1 to 86400. Default 1800.
	TimeoutSeconds *int `json:"timeoutSeconds,omitempty"`
	// OwnershipTag adds the tag [OwnershipTag] to the cluster, so that a later attempt or run knows it for its own.
	// Default true.
	OwnershipTag *bool `json:"ownershipTag,omitempty"`
	// Adopt takes over a cluster that carries no ownership tag, if it is as asked. Default false.
	Adopt bool `json:"adopt,omitempty"`
	// IfDifferent says what becomes of a cluster of ours that is there but not as asked: [FailIfDifferent], the
	// default, or [UpdateIfDifferent].
	IfDifferent string `json:"ifDifferent,omitempty"`
}

const (
	// FailIfDifferent fails the run with [ClusterConflict].
	FailIfDifferent = "FAIL"
	// UpdateIfDifferent changes tags and termination protection to what is asked. Another cloud or region is still a
	// [ClusterConflict].
	UpdateIfDifferent = "UPDATE"
)

// Operation is the row of [ProvisionFlexCluster].
func (in ProvisionFlexClusterInput) Operation() Operation { return mustOperation(ProvisionFlexCluster) }

// Cluster is the cluster to create.
func (in ProvisionFlexClusterInput) Cluster() ClusterRef { return ClusterRef{in.GroupID, in.Name} }

// Timeout is the time limit of the run.
func (in ProvisionFlexClusterInput) Timeout() time.Duration {
	return timeout(in.TimeoutSeconds, DefaultProvisionTimeout)
}

// HasOwnershipTag reports whether the cluster is to carry the ownership tag.
func (in ProvisionFlexClusterInput) HasOwnershipTag() bool {
	return in.OwnershipTag == nil || *in.OwnershipTag
}

// UpdatesIfDifferent reports whether a cluster of ours that is not as asked is changed.
func (in ProvisionFlexClusterInput) UpdatesIfDifferent() bool {
	return in.IfDifferent == UpdateIfDifferent
}

// Asked is what a cluster that is there already is asked to have. owner is the value of its ownership tag, if it is to
// have one.
func (in ProvisionFlexClusterInput) Asked(owner string) Asked {
	if !in.HasOwnershipTag() {
		owner = ""
	}
	return Asked{
		Place: in.ProviderSettings, Tags: append([]Tag{}, in.Tags...),
		TerminationProtectionEnabled: &in.TerminationProtectionEnabled, Owner: owner,
	}
}

// ClusterFields are the fields that the cluster is asked to have, by name.
func (in ProvisionFlexClusterInput) ClusterFields() Fields {
	return clusterFields(in.ProviderSettings, in.Tags, in.TerminationProtectionEnabled)
}

// Fields are the fields that make two requests the same.
func (in ProvisionFlexClusterInput) Fields() Fields {
	f := in.ClusterFields()
	f["groupId"], f["name"] = in.GroupID, in.Name
	f["ownershipTag"] = strconv.FormatBool(in.HasOwnershipTag())
	f["adopt"] = strconv.FormatBool(in.Adopt)
	f["ifDifferent"] = cmp.Or(in.IfDifferent, FailIfDifferent)
	return f
}

// Summary names the cluster and its place.
func (in ProvisionFlexClusterInput) Summary() string {
	return "Provision Flex cluster " + in.Name + " in " + in.ProviderSettings.Place()
}

func (in ProvisionFlexClusterInput) violations(workflowID string) []Violation {
	var ownership []Violation
	freeTags := maxTags
	if in.HasOwnershipTag() {
		ownership = checkOwnershipTag(workflowID)
		freeTags--
	}
	return slices.Concat(
		checkProject(in.GroupID),
		checkName(in.Name),
		checkPlaceOf(in.ProviderSettings, ClusterTypeFlex),
		checkTags(in.Tags, freeTags),
		checkTimeout(in.TimeoutSeconds),
		ownership,
		checkIfDifferent(in.IfDifferent),
	)
}

func checkIfDifferent(text string) []Violation {
	switch text {
	case "", FailIfDifferent, UpdateIfDifferent:
		return nil
	}
	return violation("ifDifferent", "must be FAIL or UPDATE, got %q", shorten(text))
}
