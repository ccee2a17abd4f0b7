package atlasclient

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// clusterVersion is the newest resource version of the cluster endpoints that is not deprecated for reading.
const clusterVersion = "2024-08-05"

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
	Cluster        // its fields stand beside createDate
	CreateDate any `json:"createDate"`
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
	Tags                         []Tag `json:"tags"`
	TerminationProtectionEnabled bool  `json:"terminationProtectionEnabled"`
}

// read checks that the answer is about the cluster of that name, and reads its date.
func (a *clusterAnswer) read(name string) error {
	a.Cluster.CreateDate = readDate(a.CreateDate)
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
