package atlasclient

import (
	"context"
	"net/http"
)

// clusterVersion is the newest resource version of the cluster endpoints that
// is not deprecated for reading.
const clusterVersion = "2024-08-05"

// GetCluster reads a shared-tier or dedicated cluster. A Flex cluster is a 400
// CANNOT_USE_FLEX_CLUSTER_IN_CLUSTER_API.
func (c *Client) GetCluster(ctx context.Context, groupID, name string) (*Cluster, *Response, error) {
	return c.cluster(ctx, call{
		method: http.MethodGet, endpoint: "/groups/{groupId}/clusters/{name}", params: []string{groupID, name}, version: clusterVersion,
	})
}
