package atlasclient

import (
	"context"
	"net/http"
)

// serverlessVersion is the resource version of the serverless endpoints and of the upgrade to them.
const serverlessVersion = "2023-01-01"

// ServerlessBackupOptions configure the backup of a serverless instance.
type ServerlessBackupOptions struct {
	ServerlessContinuousBackupEnabled *bool `json:"serverlessContinuousBackupEnabled,omitempty"`
}

// ServerlessUpgradeRequest asks for the upgrade of a shared-tier cluster.
type ServerlessUpgradeRequest struct {
	Name                         string                   `json:"name"`
	ProviderSettings             ProviderSettings         `json:"providerSettings"`
	ServerlessBackupOptions      *ServerlessBackupOptions `json:"serverlessBackupOptions,omitempty"`
	Tags                         []Tag                    `json:"tags,omitempty"`
	TerminationProtectionEnabled bool                     `json:"terminationProtectionEnabled"`
}

// UpgradeToServerless asks for the upgrade of a shared-tier cluster. The answer comes at once, UPDATING and with the
// cluster's old id. MongoDB retired the endpoint on 2025-02-05; where it is gone the answer is a 410 VERSION_GONE.
func (c *Client) UpgradeToServerless(
	ctx context.Context, groupID string, r ServerlessUpgradeRequest,
) (*Cluster, *Response, error) {
	return c.cluster(ctx, r.Name, call{
		method: http.MethodPost, endpoint: "/groups/{groupId}/clusters/tenantUpgradeToServerless",
		params: []string{groupID}, version: serverlessVersion, body: r,
	})
}

// GetServerlessInstance reads an instance of serverless origin. While an upgrade to it runs, the answer is a 404 or a
// 400 CANNOT_USE_CLUSTER_IN_SERVERLESS_INSTANCE_API.
func (c *Client) GetServerlessInstance(ctx context.Context, groupID, name string) (*Cluster, *Response, error) {
	return c.cluster(ctx, name, call{
		method: http.MethodGet, endpoint: "/groups/{groupId}/serverless/{name}", params: []string{groupID, name},
		version: serverlessVersion,
	})
}
