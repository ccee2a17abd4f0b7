package atlasclient

import (
	"context"
	"encoding/json"
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
	// CreateDate is in UTC, and zero where Atlas gave none that can be read. It has a reader of its own.
	CreateDate                   time.Time         `json:"-"`
	ConnectionStrings            ConnectionStrings `json:"connectionStrings"`
	ProviderSettings             ProviderSettings  `json:"providerSettings"`
	Tags                         []Tag             `json:"tags"`
	TerminationProtectionEnabled bool              `json:"terminationProtectionEnabled"`
	// ServerlessBackupOptions are nil but for a serverless instance.
	ServerlessBackupOptions *ServerlessBackupOptions `json:"serverlessBackupOptions"`
}

// maxCluster bounds the JSON of one cluster. A dedicated cluster of many shards has some 50 KiB, and Temporal takes
// results of 2 MiB.
const maxCluster = 512 << 10

// UnmarshalJSON takes a createDate in any of the forms that one can read, and for none where it cannot.
func (c *Cluster) UnmarshalJSON(body []byte) error {
	if len(body) > maxCluster {
		return fmt.Errorf("a cluster of more than %d KiB", maxCluster>>10)
	}
	type cluster Cluster // without this method
	if err := json.Unmarshal(body, (*cluster)(c)); err != nil {
		return err
	}
	var dates struct {
		CreateDate any `json:"createDate"`
	}
	if err := json.Unmarshal(body, &dates); err != nil {
		return err
	}
	c.CreateDate = readDate(dates.CreateDate)
	return nil
}

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

// check says what keeps the cluster from being an answer about the name.
func (c *Cluster) check(name string) error {
	switch {
	case c.Name == "" || c.StateName == "":
		return errors.New("the body is no cluster: it has no name or no stateName")
	case !strings.EqualFold(c.Name, name):
		return fmt.Errorf("the body is another cluster, %q", c.Name)
	}
	return nil
}

// cluster sends a request whose answer is the cluster of that name.
func (c *Client) cluster(ctx context.Context, name string, call call) (*Cluster, *Response, error) {
	var cluster Cluster
	call.into, call.check = &cluster, func() error { return cluster.check(name) }
	resp, err := c.do(ctx, call)
	if err != nil {
		return nil, nil, err
	}
	return &cluster, resp, nil
}

// GetCluster reads a shared-tier or dedicated cluster. A Flex cluster is a 400 CANNOT_USE_FLEX_CLUSTER_IN_CLUSTER_API.
func (c *Client) GetCluster(ctx context.Context, groupID, name string) (*Cluster, *Response, error) {
	return c.cluster(ctx, name, call{
		method: http.MethodGet, endpoint: "/groups/{groupId}/clusters/{name}", params: []string{groupID, name},
		version: clusterVersion,
	})
}
