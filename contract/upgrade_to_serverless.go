package contract

import (
	"slices"
	"strconv"
	"time"
)

const (
	// UpgradeToServerless is the workflow type that upgrades a shared-tier cluster to serverless and waits until it is
	// IDLE. Input: [UpgradeToServerlessInput]; result: [Cluster].
	UpgradeToServerless = "UpgradeToServerless"
	// UpgradeToServerlessActivity is the type of the activity that asks Atlas for it.
	UpgradeToServerlessActivity = "UpgradeClusterToServerless"
	// DefaultUpgradeTimeout is the default time limit of a run.
	DefaultUpgradeTimeout = 90 * time.Minute
)

// UpgradeToServerlessInput is the input of the workflow [UpgradeToServerless].
type UpgradeToServerlessInput struct {
	// GroupID is the Atlas project: 24 lower-case hexadecimal digits.
	GroupID string `json:"groupId"`
	// Name of the shared-tier cluster to upgrade.
	Name string `json:"name"`
	// ProviderSettings.ProviderName is SERVERLESS, the default.
	ProviderSettings             ProviderSettings         `json:"providerSettings"`
	ServerlessBackupOptions      *ServerlessBackupOptions `json:"serverlessBackupOptions,omitempty"`
	Tags                         []Tag                    `json:"tags,omitempty"`
	TerminationProtectionEnabled bool                     `json:"terminationProtectionEnabled,omitempty"`
	// TimeoutSeconds bounds the whole run, 1 to 86400. Default 5400.
	TimeoutSeconds *int `json:"timeoutSeconds,omitempty"`
	// OwnershipTag has no effect on an upgrade. It is accepted so that one request can be sent to either workflow.
	OwnershipTag *bool `json:"ownershipTag,omitempty"`
}

// ServerlessBackupOptions configures the backup of a serverless instance.
type ServerlessBackupOptions struct {
	// ServerlessContinuousBackupEnabled asks for continuous backup rather than basic backup. Left out, it is left to
	// Atlas.
	ServerlessContinuousBackupEnabled *bool `json:"serverlessContinuousBackupEnabled,omitempty"`
}

// Operation is the row of [UpgradeToServerless].
func (in UpgradeToServerlessInput) Operation() Operation { return mustOperation(UpgradeToServerless) }

// Cluster is the cluster to upgrade.
func (in UpgradeToServerlessInput) Cluster() ClusterRef { return ClusterRef{in.GroupID, in.Name} }

// Timeout is the time limit of the run.
func (in UpgradeToServerlessInput) Timeout() time.Duration {
	return timeout(in.TimeoutSeconds, DefaultUpgradeTimeout)
}

// ContinuousBackup is the continuous backup asked for, "" where it is left to Atlas.
func (in UpgradeToServerlessInput) ContinuousBackup() string {
	if o := in.ServerlessBackupOptions; o != nil && o.ServerlessContinuousBackupEnabled != nil {
		return strconv.FormatBool(*o.ServerlessContinuousBackupEnabled)
	}
	return ""
}

// ClusterFields are the fields that the instance is asked to have, by name. Backup is not among them: Atlas no longer
// applies it (https://www.mongodb.com/docs/api/doc/atlas-admin-api-v2/, getServerlessInstance).
func (in UpgradeToServerlessInput) ClusterFields() Fields {
	return clusterFields(in.ProviderSettings, in.Tags, in.TerminationProtectionEnabled)
}

// Fields are the fields that make two requests the same.
func (in UpgradeToServerlessInput) Fields() Fields {
	f := in.ClusterFields()
	f["groupId"], f["name"] = in.GroupID, in.Name
	if v := in.ContinuousBackup(); v != "" {
		f["serverlessBackupOptions.serverlessContinuousBackupEnabled"] = v
	}
	return f
}

// Summary names the cluster.
func (in UpgradeToServerlessInput) Summary() string {
	return "Upgrade cluster " + in.Name + " to serverless"
}

func (in UpgradeToServerlessInput) violations(string) []Violation {
	return slices.Concat(
		checkProject(in.GroupID),
		checkName(in.Name),
		checkPlaceOf(in.ProviderSettings, ClusterTypeServerless),
		checkTags(in.Tags, maxTags),
		checkTimeout(in.TimeoutSeconds),
	)
}
