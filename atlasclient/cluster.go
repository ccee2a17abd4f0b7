package atlasclient

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

const (
	// clusterVersion is the newest resource version of the cluster endpoints for reading.
	clusterVersion = "2024-08-05"
	// clusterWriteVersion is the newest for changing a cluster, and clusterDeleteVersion for deleting one.
	clusterWriteVersion  = "2024-10-23"
	clusterDeleteVersion = "2023-02-01"
)

// ProviderTenant is the providerName of a shared-tier cluster: M0, M2 or M5.
const ProviderTenant = "TENANT"

// Tag is a key and a value, each of 1 to 255 characters.
type Tag struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// ProviderSettings say where a cluster runs.
type ProviderSettings struct {
	ProviderName        string  `json:"providerName,omitempty"`
	BackingProviderName string  `json:"backingProviderName"`
	RegionName          string  `json:"regionName"`
	InstanceSizeName    string  `json:"instanceSizeName,omitempty"`
	DiskSizeGB          float64 `json:"diskSizeGB,omitempty"`
}

// ConnectionStrings of a cluster; empty until Atlas has them.
type ConnectionStrings struct {
	Standard    string `json:"standard"`
	StandardSrv string `json:"standardSrv"`
}

// Cluster is what all kinds of cluster have in common, as each kind's GET answers it. Its texts are valid UTF-8 without
// control characters, of 4 KiB each at most.
type Cluster struct {
	ID             string `json:"id"`
	GroupID        string `json:"groupId"`
	Name           string `json:"name"`
	StateName      string `json:"stateName"`
	MongoDBVersion string `json:"mongoDBVersion"`
	// CreateDate is in UTC, and zero where Atlas gave none that can be read.
	CreateDate                   time.Time         `json:"-"`
	ConnectionStrings            ConnectionStrings `json:"connectionStrings"`
	ProviderSettings             ProviderSettings  `json:"providerSettings"`
	Tags                         []Tag             `json:"tags"`
	TerminationProtectionEnabled bool              `json:"terminationProtectionEnabled"`
	// ServerlessBackupOptions are nil but for a serverless instance.
	ServerlessBackupOptions *ServerlessBackupOptions `json:"serverlessBackupOptions"`
}

// clusterAnswer is a cluster as an answer has it.
type clusterAnswer struct {
	Cluster                            // its fields stand beside createDate
	CreateDate       any               `json:"createDate"`
	ReplicationSpecs []replicationSpec `json:"replicationSpecs"`
}

// replicationSpec says where a shared-tier or dedicated cluster runs, and how large it is.
type replicationSpec struct {
	RegionConfigs []regionConfig `json:"regionConfigs"`
}

type regionConfig struct {
	ProviderName string `json:"providerName"`
	// BackingProviderName is the cloud of a shared-tier cluster. A dedicated cluster has none.
	BackingProviderName string         `json:"backingProviderName,omitempty"`
	RegionName          string         `json:"regionName"`
	Priority            int            `json:"priority"`
	ElectableSpecs      electableSpecs `json:"electableSpecs"`
}

type electableSpecs struct {
	InstanceSize string `json:"instanceSize"`
	NodeCount    int    `json:"nodeCount,omitempty"`
}

// providerSettings are those of the region with the highest priority, or of the first of such.
func (a *clusterAnswer) providerSettings() ProviderSettings {
	var regions []regionConfig
	for _, spec := range a.ReplicationSpecs {
		regions = append(regions, spec.RegionConfigs...)
	}
	if len(regions) == 0 {
		return ProviderSettings{}
	}
	preferred := slices.MaxFunc(regions, func(a, b regionConfig) int { return a.Priority - b.Priority })
	return ProviderSettings{
		ProviderName:        preferred.ProviderName,
		BackingProviderName: cmp.Or(preferred.BackingProviderName, preferred.ProviderName),
		RegionName:          preferred.RegionName,
		InstanceSizeName:    preferred.ElectableSpecs.InstanceSize,
	}
}

// neededFields are the fields of a cluster that must be of their type: what a decision depends on. A cluster whose
// other fields cannot be read is a cluster all the same.
type neededFields struct {
	Name             string `json:"name"`
	StateName        string `json:"stateName"`
	ProviderSettings struct {
		BackingProviderName string `json:"backingProviderName"`
		RegionName          string `json:"regionName"`
	} `json:"providerSettings"`
	ReplicationSpecs []struct {
		RegionConfigs []struct {
			ProviderName        string `json:"providerName"`
			BackingProviderName string `json:"backingProviderName"`
			RegionName          string `json:"regionName"`
			ElectableSpecs      struct {
				InstanceSize string `json:"instanceSize"`
			} `json:"electableSpecs"`
		} `json:"regionConfigs"`
	} `json:"replicationSpecs"`
	Tags                         []Tag `json:"tags"`
	TerminationProtectionEnabled bool  `json:"terminationProtectionEnabled"`
}

// read checks that the answer is about the cluster of that name, and reads its date.
func (a *clusterAnswer) read(name string) error {
	a.Cluster.CreateDate = readDate(a.CreateDate)
	if a.ProviderSettings == (ProviderSettings{}) {
		a.ProviderSettings = a.providerSettings()
	}
	switch {
	case a.Name == "" || a.StateName == "":
		return errors.New("the body is no cluster: it has no name or no stateName")
	case !strings.EqualFold(a.Name, name):
		return fmt.Errorf("the body is another cluster, %q", a.Name)
	case len(a.Tags) > maxTags:
		return fmt.Errorf("the body is no cluster: it has %d tags, and Atlas keeps 50", len(a.Tags))
	}
	return nil
}

// maxTags is more than Atlas keeps, and few enough that Temporal takes the cluster as a result.
const maxTags = 100

// readDate reads a date of ISO 8601. Fractions of a second are taken in each form.
func readDate(value any) time.Time {
	text, _ := value.(string)
	text = strings.TrimSpace(text)
	for _, form := range []string{
		time.RFC3339, "2006-01-02T15:04:05Z0700", "2006-01-02T15:04:05Z07", "2006-01-02T15:04:05",
		"2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05", "2006-01-02T15:04Z07:00", time.DateOnly,
	} {
		date, err := time.Parse(form, text)
		if err == nil && date.UTC().Year() >= 0 && date.UTC().Year() <= 9999 { // what JSON can hold
			return date.UTC()
		}
	}
	return time.Time{}
}

// cluster sends a request whose answer is the cluster of that name.
func (c *Client) cluster(ctx context.Context, name string, call call) (*Cluster, *Response, error) {
	var answer clusterAnswer
	call.into, call.needed = &answer, &neededFields{}
	call.check = func() error { return answer.read(name) }
	resp, err := c.do(ctx, call)
	if err != nil {
		return nil, nil, err
	}
	return &answer.Cluster, resp, nil
}

// GetCluster reads a shared-tier or dedicated cluster. A Flex cluster is a 400 CANNOT_USE_FLEX_CLUSTER_IN_CLUSTER_API.
func (c *Client) GetCluster(ctx context.Context, groupID, name string) (*Cluster, *Response, error) {
	return c.cluster(ctx, name, call{
		method: http.MethodGet, endpoint: "/groups/{groupId}/clusters/{name}", params: []string{groupID, name},
		version: clusterVersion,
	})
}

// ClusterUpdate is a change of a cluster. What is left out stays as it is.
type ClusterUpdate struct {
	// Tags is the whole list: Atlas drops what is not in it. nil leaves the tags as they are.
	Tags                         []Tag `json:"tags,omitzero"`
	TerminationProtectionEnabled *bool `json:"terminationProtectionEnabled,omitempty"`
}

// UpdateCluster changes a dedicated cluster. The answer comes at once, UPDATING.
func (c *Client) UpdateCluster(
	ctx context.Context, groupID, name string, u ClusterUpdate,
) (*Cluster, *Response, error) {
	return c.cluster(ctx, name, call{
		method: http.MethodPatch, endpoint: "/groups/{groupId}/clusters/{name}", params: []string{groupID, name},
		version: clusterWriteVersion, body: u,
	})
}

// DeleteCluster asks for the end of a shared-tier or dedicated cluster. It goes through DELETING and is then a 404
// CLUSTER_NOT_FOUND, within 2 to 15 minutes. A protected one is a 400
// CANNOT_TERMINATE_CLUSTER_WHEN_TERMINATION_PROTECTION_ENABLED.
func (c *Client) DeleteCluster(ctx context.Context, groupID, name string) (*Response, error) {
	return c.do(ctx, call{
		method: http.MethodDelete, endpoint: "/groups/{groupId}/clusters/{name}", params: []string{groupID, name},
		version: clusterDeleteVersion,
	})
}
