package contract

import (
	"strconv"
	"time"
)

const (
	// UpgradeToFlex is the workflow type that upgrades a free cluster (M0) to Flex and waits until that is IDLE and as
	// asked. Input: [UpgradeToFlexInput]; result: [Cluster].
	UpgradeToFlex = "UpgradeToFlex"
	// UpgradeToFlexActivity is the type of the activity that asks Atlas for it.
	UpgradeToFlexActivity = "UpgradeClusterToFlex"
)

// UpgradeToFlexInput is the input of the workflow [UpgradeToFlex].
type UpgradeToFlexInput struct {
	// GroupID is the Atlas project: 24 lower-case hexadecimal digits.
	GroupID string `json:"groupId"`
	// Name of the M0 cluster to upgrade.
	Name                         string           `json:"name"`
	ProviderSettings             ProviderSettings `json:"providerSettings"`
	Tags                         []Tag            `json:"tags,omitempty"`
	TerminationProtectionEnabled bool             `json:"terminationProtectionEnabled,omitempty"`
	// TimeoutSeconds bounds the whole run, 1 to 86400. Default 5400.
	TimeoutSeconds *int `json:"timeoutSeconds,omitempty"`
	// OwnershipTag adds the tag [OwnershipTag] to the cluster. The M0 carries none: asking for its upgrade is what
	// makes it ours. Default true.
	OwnershipTag *bool `json:"ownershipTag,omitempty"`
}

// Operation is the row of [UpgradeToFlex].
func (in UpgradeToFlexInput) Operation() Operation { return mustOperation(UpgradeToFlex) }

// Cluster is the cluster to upgrade.
func (in UpgradeToFlexInput) Cluster() ClusterRef { return ClusterRef{in.GroupID, in.Name} }

// Timeout is the time limit of the run.
func (in UpgradeToFlexInput) Timeout() time.Duration {
	return timeout(in.TimeoutSeconds, DefaultUpgradeTimeout)
}

// HasOwnershipTag reports whether the cluster is to carry the ownership tag.
func (in UpgradeToFlexInput) HasOwnershipTag() bool { return in.provision().HasOwnershipTag() }

// Asked is what the cluster is asked to have. owner is the value of its ownership tag, if it is to have one.
func (in UpgradeToFlexInput) Asked(owner string) Asked { return in.provision().Asked(owner) }

// Fields are the fields that make two requests the same.
func (in UpgradeToFlexInput) Fields() Fields {
	f := in.provision().ClusterFields()
	f["groupId"], f["name"] = in.GroupID, in.Name
	f["ownershipTag"] = strconv.FormatBool(in.HasOwnershipTag())
	return f
}

// Summary names the cluster.
func (in UpgradeToFlexInput) Summary() string { return "Upgrade cluster " + in.Name + " to Flex" }

func (in UpgradeToFlexInput) violations(workflowID string) []Violation {
	return in.provision().violations(workflowID)
}

// provision is the request for a Flex cluster such as the M0 is to become. The same rules hold for it.
func (in UpgradeToFlexInput) provision() ProvisionFlexClusterInput {
	return ProvisionFlexClusterInput{
		GroupID: in.GroupID, Name: in.Name, ProviderSettings: in.ProviderSettings, Tags: in.Tags,
		TerminationProtectionEnabled: in.TerminationProtectionEnabled, TimeoutSeconds: in.TimeoutSeconds,
		OwnershipTag: in.OwnershipTag,
	}
}
