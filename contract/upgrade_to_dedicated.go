package contract

import (
	"slices"
	"strconv"
	"time"
)

const (
	// UpgradeToDedicated is the workflow type that upgrades a Flex cluster to a dedicated one and waits until that is
	// IDLE and as asked. Input: [UpgradeToDedicatedInput]; result: [Cluster].
	UpgradeToDedicated = "UpgradeToDedicated"
	// UpgradeToDedicatedActivity is the type of the activity that asks Atlas for it.
	UpgradeToDedicatedActivity = "UpgradeClusterToDedicated"
)

// UpgradeToDedicatedInput is the input of the workflow [UpgradeToDedicated].
type UpgradeToDedicatedInput struct {
	// GroupID is the Atlas project: 24 lower-case hexadecimal digits.
	GroupID string `json:"groupId"`
	// Name of the Flex cluster to upgrade.
	Name string `json:"name"`
	// ProviderSettings.InstanceSizeName is needed: M10 or larger.
	ProviderSettings ProviderSettings `json:"providerSettings"`
	// Tags is the whole list of tags of the dedicated cluster, beside the ownership tag. Left out or null, the tags of
	// the Flex cluster are kept; an empty list takes all away.
	Tags []Tag `json:"tags,omitzero"`
	// TerminationProtectionEnabled left out stays as it is.
	TerminationProtectionEnabled *bool `json:"terminationProtectionEnabled,omitempty"`
	// TimeoutSeconds bounds the whole run, 1 to 86400. Default 5400.
	TimeoutSeconds *int `json:"timeoutSeconds,omitempty"`
	// Adopt takes over a cluster that carries no ownership tag. Default false.
	Adopt bool `json:"adopt,omitempty"`
}

// Operation is the row of [UpgradeToDedicated].
func (in UpgradeToDedicatedInput) Operation() Operation { return mustOperation(UpgradeToDedicated) }

// Cluster is the cluster to upgrade.
func (in UpgradeToDedicatedInput) Cluster() ClusterRef { return ClusterRef{in.GroupID, in.Name} }

// Timeout is the time limit of the run.
func (in UpgradeToDedicatedInput) Timeout() time.Duration {
	return timeout(in.TimeoutSeconds, DefaultUpgradeTimeout)
}

// Asked is what the cluster is asked to have. owner is the value of its ownership tag.
func (in UpgradeToDedicatedInput) Asked(owner string) Asked {
	return Asked{
		Place: in.ProviderSettings, Tags: in.Tags,
		TerminationProtectionEnabled: in.TerminationProtectionEnabled, Owner: owner,
	}
}

// Fields are the fields that make two requests the same.
func (in UpgradeToDedicatedInput) Fields() Fields {
	f := optionalFields(in.Tags, in.TerminationProtectionEnabled)
	f["groupId"], f["name"], f["adopt"] = in.GroupID, in.Name, strconv.FormatBool(in.Adopt)
	f["providerSettings.backingProviderName"] = in.ProviderSettings.BackingProviderName
	f["providerSettings.regionName"] = in.ProviderSettings.RegionName
	f["providerSettings.instanceSizeName"] = in.ProviderSettings.InstanceSizeName
	return f
}

// Summary names the cluster and its size.
func (in UpgradeToDedicatedInput) Summary() string {
	return "Upgrade cluster " + in.Name + " to dedicated " + in.ProviderSettings.InstanceSizeName
}

func (in UpgradeToDedicatedInput) violations(workflowID string) []Violation {
	return slices.Concat(
		checkProject(in.GroupID),
		checkName(in.Name),
		checkDedicatedPlace(in.ProviderSettings),
		checkTags(in.Tags, maxTags-1),
		checkTimeout(in.TimeoutSeconds),
		checkOwner(workflowID),
	)
}
