package contract

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Default time limits of a whole run, from its start until the cluster is IDLE.
const (
	DefaultProvisionTimeout = 30 * time.Minute
	DefaultUpgradeTimeout   = 90 * time.Minute
)

// ProviderSettings says where a cluster runs.
type ProviderSettings struct {
	// ProviderName is FLEX or SERVERLESS. Optional in an input.
	ProviderName string `json:"providerName,omitempty"`
	// BackingProviderName is the cloud: AWS, AZURE or GCP.
	BackingProviderName string `json:"backingProviderName"`
	// RegionName is Atlas's name of the region, such as US_EAST_1. Atlas
	// decides which exist: the list changes.
	RegionName string `json:"regionName"`
	// DiskSizeGB is the storage of a Flex cluster; only in a result.
	DiskSizeGB float64 `json:"diskSizeGB,omitempty"`
}

// Tag is a key and a value, each of 1 to 255 characters.
type Tag struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// ServerlessBackupOptions configures the backup of a serverless instance.
type ServerlessBackupOptions struct {
	// ServerlessContinuousBackupEnabled asks for continuous backup rather
	// than basic backup. Left out, it is left to Atlas.
	ServerlessContinuousBackupEnabled *bool `json:"serverlessContinuousBackupEnabled,omitempty"`
}

// ProvisionFlexClusterInput is the input of the workflow [ProvisionFlexCluster].
type ProvisionFlexClusterInput struct {
	// GroupID is the Atlas project: 24 lower-case hexadecimal digits.
	GroupID string `json:"groupId"`
	// Name of the cluster: a letter or digit, then letters, digits and
	// hyphens, 64 characters at most.
	Name                         string           `json:"name"`
	ProviderSettings             ProviderSettings `json:"providerSettings"`
	Tags                         []Tag            `json:"tags,omitempty"`
	TerminationProtectionEnabled bool             `json:"terminationProtectionEnabled,omitempty"`
	// TimeoutSeconds bounds the whole run, 1 to 86400. Default 1800.
	TimeoutSeconds *int `json:"timeoutSeconds,omitempty"`
	// OwnershipTag adds the tag [OwnershipTag] to the cluster, so that a
	// later attempt or run knows it for its own. Default true.
	OwnershipTag *bool `json:"ownershipTag,omitempty"`
}

// Timeout is the time limit of the whole run.
func (in ProvisionFlexClusterInput) Timeout() time.Duration {
	return timeout(in.TimeoutSeconds, DefaultProvisionTimeout)
}

// Tagged reports whether the cluster is to carry the ownership tag.
func (in ProvisionFlexClusterInput) Tagged() bool {
	return in.OwnershipTag == nil || *in.OwnershipTag
}

// ClusterFields are the fields that the cluster is asked to have, by name.
func (in ProvisionFlexClusterInput) ClusterFields() Fields {
	return clusterFields(in.ProviderSettings, in.Tags, in.TerminationProtectionEnabled)
}

// Fields are all fields of the request by name, defaults filled in: two
// requests are the same when their Fields are.
func (in ProvisionFlexClusterInput) Fields() Fields {
	f := in.ClusterFields()
	f["groupId"], f["name"] = in.GroupID, in.Name
	f["timeoutSeconds"] = seconds(in.Timeout())
	f["ownershipTag"] = strconv.FormatBool(in.Tagged())
	return f
}

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
	// OwnershipTag has no effect on an upgrade. It is accepted so that one
	// request can be sent to either workflow.
	OwnershipTag *bool `json:"ownershipTag,omitempty"`
}

// Timeout is the time limit of the whole run.
func (in UpgradeToServerlessInput) Timeout() time.Duration {
	return timeout(in.TimeoutSeconds, DefaultUpgradeTimeout)
}

// ContinuousBackup is the continuous backup asked for, "" where it is left to
// Atlas.
func (in UpgradeToServerlessInput) ContinuousBackup() string {
	if o := in.ServerlessBackupOptions; o != nil && o.ServerlessContinuousBackupEnabled != nil {
		return strconv.FormatBool(*o.ServerlessContinuousBackupEnabled)
	}
	return ""
}

// ClusterFields are the fields that the instance is asked to have, by name.
// Backup is not among them: Atlas no longer applies it
// (https://www.mongodb.com/docs/api/doc/atlas-admin-api-v2/, getServerlessInstance).
func (in UpgradeToServerlessInput) ClusterFields() Fields {
	return clusterFields(in.ProviderSettings, in.Tags, in.TerminationProtectionEnabled)
}

// Fields are all fields of the request by name, defaults filled in: two
// requests are the same when their Fields are.
func (in UpgradeToServerlessInput) Fields() Fields {
	f := in.ClusterFields()
	f["groupId"], f["name"] = in.GroupID, in.Name
	f["timeoutSeconds"] = seconds(in.Timeout())
	if v := in.ContinuousBackup(); v != "" {
		f["serverlessBackupOptions.serverlessContinuousBackupEnabled"] = v
	}
	return f
}

// Fields are the fields of a request or of a cluster, by their JSON path.
type Fields map[string]string

// Difference is a field in which a cluster, or a running request, is not what
// was asked for.
type Difference struct {
	Field     string `json:"field"`
	Requested string `json:"requested"`
	Existing  string `json:"existing"`
}

// String names the field with both values.
func (d Difference) String() string {
	return d.Field + " is " + d.Existing + ", requested " + d.Requested
}

// ListDifferences is the differences in one line.
func ListDifferences(differences []Difference) string {
	all := make([]string, len(differences))
	for i, d := range differences {
		all[i] = d.String()
	}
	return strings.Join(all, "; ")
}

// Differences are the fields in which the existing differs from what is
// requested, by name. A field that one side lacks is "none" there.
func Differences(requested, existing Fields) []Difference {
	value := func(f Fields, name string) string {
		if v, ok := f[name]; ok {
			return strconv.Quote(v)
		}
		return "none"
	}
	all := Fields{}
	maps.Copy(all, requested)
	maps.Copy(all, existing)
	var out []Difference
	//workflowcheck:ignore the keys are sorted
	for _, name := range slices.Sorted(maps.Keys(all)) {
		r, e := value(requested, name), value(existing, name)
		if r != e {
			out = append(out, Difference{Field: name, Requested: r, Existing: e})
		}
	}
	return out
}

func clusterFields(p ProviderSettings, tags []Tag, protected bool) Fields {
	f := Fields{
		"providerSettings.backingProviderName": p.BackingProviderName,
		"providerSettings.regionName":          p.RegionName,
		"terminationProtectionEnabled":         strconv.FormatBool(protected),
	}
	for _, t := range tags {
		// The ownership tag says whose a cluster is, not what it is.
		if t.Key != OwnershipTag {
			f["tags."+t.Key] = t.Value
		}
	}
	return f
}

func timeout(s *int, otherwise time.Duration) time.Duration {
	if s == nil {
		return otherwise
	}
	return time.Duration(*s) * time.Second
}

func seconds(d time.Duration) string { return strconv.Itoa(int(d / time.Second)) }
