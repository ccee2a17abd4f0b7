package atlasclient

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// flexVersion is the resource version at which the flex endpoints begin.
const flexVersion = "2024-11-13"

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

// Cluster is what all kinds of cluster have in common, as each kind's GET
// answers it.
type Cluster struct {
	ID                           string            `json:"id"`
	GroupID                      string            `json:"groupId"`
	Name                         string            `json:"name"`
	StateName                    string            `json:"stateName"`
	MongoDBVersion               string            `json:"mongoDBVersion"`
	CreateDate                   time.Time         `json:"createDate"`
	ConnectionStrings            ConnectionStrings `json:"connectionStrings"`
	ProviderSettings             ProviderSettings  `json:"providerSettings"`
	Tags                         []Tag             `json:"tags"`
	TerminationProtectionEnabled bool              `json:"terminationProtectionEnabled"`
	// ServerlessBackupOptions are nil but for a serverless instance.
	ServerlessBackupOptions *ServerlessBackupOptions `json:"serverlessBackupOptions"`
}

// FlexClusterRequest asks for a Flex cluster.
type FlexClusterRequest struct {
	Name                         string           `json:"name"`
	ProviderSettings             ProviderSettings `json:"providerSettings"`
	Tags                         []Tag            `json:"tags,omitempty"`
	TerminationProtectionEnabled bool             `json:"terminationProtectionEnabled"`
}

// CreateFlexCluster asks for a Flex cluster. The answer comes at once, with the
// cluster CREATING. A name that is taken is a 400 DUPLICATE_CLUSTER_NAME.
func (c *Client) CreateFlexCluster(ctx context.Context, groupID string, r FlexClusterRequest) (*Cluster, *Response, error) {
	// Read-only in Atlas's description of the request.
	r.ProviderSettings.ProviderName, r.ProviderSettings.DiskSizeGB = "", 0
	return c.cluster(ctx, call{
		method: http.MethodPost, endpoint: "/groups/{groupId}/flexClusters", params: []string{groupID}, version: flexVersion, body: r,
	})
}

// GetFlexCluster reads a Flex cluster. Right after its create the answer may be
// a 404 for a moment.
func (c *Client) GetFlexCluster(ctx context.Context, groupID, name string) (*Cluster, *Response, error) {
	return c.cluster(ctx, call{
		method: http.MethodGet, endpoint: "/groups/{groupId}/flexClusters/{name}", params: []string{groupID, name}, version: flexVersion,
	})
}

// MaxPageSize is the most clusters that one page of a list holds.
const MaxPageSize = 500

// ListFlexClusters reads all Flex clusters of a project, a request for each
// 500 of them. The Response is the last page's.
func (c *Client) ListFlexClusters(ctx context.Context, groupID string) ([]Cluster, *Response, error) {
	var all []Cluster
	for page := 1; ; page++ {
		var answer struct {
			Results    []Cluster `json:"results"`
			TotalCount int       `json:"totalCount"`
		}
		resp, err := c.do(ctx, call{
			method: http.MethodGet, endpoint: "/groups/{groupId}/flexClusters", params: []string{groupID}, version: flexVersion,
			query: url.Values{
				"itemsPerPage": {strconv.Itoa(MaxPageSize)},
				"pageNum":      {strconv.Itoa(page)},
				"includeCount": {"true"},
			},
		}, &answer)
		if err != nil {
			return nil, nil, err
		}
		all = append(all, answer.Results...)
		// The count is an estimate, says Atlas's description, so a full page
		// has a next one whatever it says.
		if n := len(answer.Results); n == 0 || n < MaxPageSize && len(all) >= answer.TotalCount {
			return all, resp, nil
		}
	}
}

// DeleteFlexCluster asks for the end of a Flex cluster. It goes through
// DELETING and is then a 404 CLUSTER_NOT_FOUND, within half a minute.
func (c *Client) DeleteFlexCluster(ctx context.Context, groupID, name string) (*Response, error) {
	return c.do(ctx, call{
		method: http.MethodDelete, endpoint: "/groups/{groupId}/flexClusters/{name}", params: []string{groupID, name}, version: flexVersion,
	}, nil)
}

func (c *Client) cluster(ctx context.Context, call call) (*Cluster, *Response, error) {
	var cluster Cluster
	resp, err := c.do(ctx, call, &cluster)
	if err != nil {
		return nil, nil, err
	}
	return &cluster, resp, nil
}
