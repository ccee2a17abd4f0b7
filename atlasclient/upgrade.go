package atlasclient

import (
	"context"
	"net/http"
)

// tenantUpgradeVersion is the resource version of the upgrades of a shared-tier cluster.
const tenantUpgradeVersion = "2023-01-01"

// UpgradeRequest asks for the upgrade of a cluster to another kind. ProviderSettings say what it is to become.
type UpgradeRequest struct {
	Name             string
	ProviderSettings ProviderSettings
	// Tags is the whole list that the cluster is to have; nil leaves it to Atlas.
	Tags []Tag
	// TerminationProtectionEnabled is left to Atlas where it is nil.
	TerminationProtectionEnabled *bool
}

// UpgradeToFlex asks for the upgrade of an M0 to Flex. The answer comes at once, UPDATING and with the old id.
func (c *Client) UpgradeToFlex(ctx context.Context, groupID string, r UpgradeRequest) (*Cluster, *Response, error) {
	const flex = "FLEX"
	p := ProviderSettings{
		ProviderName: flex, InstanceSizeName: flex,
		BackingProviderName: r.ProviderSettings.BackingProviderName, RegionName: r.ProviderSettings.RegionName,
	}
	return c.cluster(ctx, r.Name, call{
		method: http.MethodPost, endpoint: "/groups/{groupId}/clusters/tenantUpgrade", params: []string{groupID},
		version: tenantUpgradeVersion,
		body: struct {
			Name                         string           `json:"name"`
			ProviderSettings             ProviderSettings `json:"providerSettings"`
			Tags                         []Tag            `json:"tags,omitzero"`
			TerminationProtectionEnabled *bool            `json:"terminationProtectionEnabled,omitempty"`
		}{r.Name, p, r.Tags, r.TerminationProtectionEnabled},
	})
}

// UpgradeToDedicated asks for the upgrade of a Flex cluster to a replica set of three nodes in one region. The answer
// comes at once, UPDATING, in Flex's shape and with the old values.
func (c *Client) UpgradeToDedicated(
	ctx context.Context, groupID string, r UpgradeRequest,
) (*Cluster, *Response, error) {
	const highestPriority, nodes = 7, 3
	region := regionConfig{
		ProviderName: r.ProviderSettings.BackingProviderName, RegionName: r.ProviderSettings.RegionName,
		Priority:       highestPriority,
		ElectableSpecs: electableSpecs{InstanceSize: r.ProviderSettings.InstanceSizeName, NodeCount: nodes},
	}
	return c.cluster(ctx, r.Name, call{
		method: http.MethodPost, endpoint: "/groups/{groupId}/flexClusters:tenantUpgrade", params: []string{groupID},
		version: flexVersion,
		body: struct {
			Name                         string            `json:"name"`
			ClusterType                  string            `json:"clusterType"`
			ReplicationSpecs             []replicationSpec `json:"replicationSpecs"`
			Tags                         []Tag             `json:"tags,omitzero"`
			TerminationProtectionEnabled *bool             `json:"terminationProtectionEnabled,omitempty"`
		}{
			r.Name, "REPLICASET", []replicationSpec{{RegionConfigs: []regionConfig{region}}},
			r.Tags, r.TerminationProtectionEnabled,
		},
	})
}
