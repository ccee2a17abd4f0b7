package atlasclient_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/atlas-provisioner/atlas-provisioner/atlasclient"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
)

const (
	clusterMedia = "application/vnd.atlas.2024-08-05+json"
	legacyMedia  = "application/vnd.atlas.2023-01-01+json"

	// The answers of the cluster API have these in common. REST stands for the rest.
	clusterAnswer = `{
		"backupEnabled": false, "clusterType": "REPLICASET", "connectionStrings": {},
		"createDate": "2026-09-01T12:00:05Z", "diskWarmingMode": "FULLY_WARMED", "groupId": "` + group + `",
		"id": "0123456789abcdef01234567", "labels": [], "mongoDBVersion": "8.0.29", "name": "orders", "paused": false,
		"stateName": "UPDATING", "tags": [{"key": "team", "value": "shop"}], "terminationProtectionEnabled": false,
		REST
	}`
	// tenantRegion is a region of an M0, as version 2024-08-05 shows it.
	tenantRegion = `{
		"electableSpecs": {"effectiveInstanceSize": "M0", "instanceSize": "M0", "diskSizeGB": 0.5},
		"backingProviderName": "AWS", "priority": 7, "providerName": "TENANT", "regionName": "US_EAST_1"
	}`
	// dedicatedRegion is a region of a dedicated cluster, which has no backing provider.
	dedicatedRegion = `{
		"analyticsSpecs": {"instanceSize": "M10", "diskIOPS": 3000, "diskSizeGB": 40.0, "nodeCount": 0},
		"autoScaling": {"compute": {"enabled": false}, "diskGB": {"enabled": false}},
		"electableSpecs": {"instanceSize": "M10", "diskIOPS": 3000, "diskSizeGB": 40.0, "nodeCount": 3},
		"priority": 7, "providerName": "AZURE", "regionName": "EUROPE_WEST"
	}`
	// otherRegion is a further region of a dedicated cluster.
	otherRegion = `{
		"electableSpecs": {"instanceSize": "M20", "nodeCount": 2},
		"priority": 6, "providerName": "GCP", "regionName": "CENTRAL_US"
	}`
	// legacyRest is what the answer to an upgrade of an M0 has, in version 2023-01-01.
	legacyRest = `"providerSettings": {
			"providerName": "TENANT", "backingProviderName": "AWS", "effectiveInstanceSizeName": "M0",
			"instanceSizeName": "M0", "regionName": "US_EAST_1",
			"autoScaling": {"compute": {"maxInstanceSize": null, "minInstanceSize": null}}
		},
		"replicationSpecs": [{"id": "6a79", "numShards": 1, "zoneName": "Zone 1", "regionsConfig": {"US_EAST_1": {
			"analyticsNodes": 0, "electableNodes": 3, "priority": 7, "readOnlyNodes": 0
		}}}]`
)

func withRest(rest string) string { return strings.Replace(clusterAnswer, "REST", rest, 1) }

func withRegions(regions ...string) string {
	return withRest(`"replicationSpecs": [{"id": "6a79", "zoneName": "Zone 1", "regionConfigs": [` +
		strings.Join(regions, ",") + `]}]`)
}

// clusterIn is the cluster of clusterAnswer, at a place.
func clusterIn(p atlasclient.ProviderSettings) *atlasclient.Cluster {
	return &atlasclient.Cluster{
		ID: "0123456789abcdef01234567", GroupID: group, Name: "orders", StateName: "UPDATING", MongoDBVersion: "8.0.29",
		CreateDate: created, ProviderSettings: p, Tags: []atlasclient.Tag{{Key: "team", Value: "shop"}},
	}
}

var (
	freeSettings = atlasclient.ProviderSettings{
		ProviderName: "TENANT", BackingProviderName: "AWS", RegionName: "US_EAST_1", InstanceSizeName: "M0",
	}
	dedicatedSettings = atlasclient.ProviderSettings{
		ProviderName: "AZURE", BackingProviderName: "AZURE", RegionName: "EUROPE_WEST", InstanceSizeName: "M10",
	}
)

// upgradeEndpoints are the upgrades, and the clusters that they are about.
func upgradeEndpoints() []endpoint {
	upgrade := func(method func(
		*atlasclient.Client, context.Context, string, atlasclient.UpgradeRequest,
	) (*atlasclient.Cluster, *atlasclient.Response, error), r atlasclient.UpgradeRequest) sender {
		return func(ctx context.Context, c *atlasclient.Client) (any, *atlasclient.Response, error) {
			return method(c, ctx, group, r)
		}
	}
	toFlex, toDedicated := (*atlasclient.Client).UpgradeToFlex, (*atlasclient.Client).UpgradeToDedicated
	least := atlasclient.UpgradeRequest{
		Name: "orders", ProviderSettings: atlasclient.ProviderSettings{
			BackingProviderName: "AWS", RegionName: "US_EAST_1", InstanceSizeName: "M10",
		},
	}
	all := least
	all.Tags, all.TerminationProtectionEnabled = []atlasclient.Tag{{Key: "team", Value: "shop"}}, ptr(true)
	noTags := least
	noTags.Tags, noTags.TerminationProtectionEnabled = []atlasclient.Tag{}, ptr(false)
	const (
		flexBody = `{"name":"orders","providerSettings":{"providerName":"FLEX","backingProviderName":"AWS",
			"regionName":"US_EAST_1","instanceSizeName":"FLEX"}`
		dedicatedBody = `{"name":"orders","clusterType":"REPLICASET","replicationSpecs":[{"regionConfigs":[{
			"providerName":"AWS","regionName":"US_EAST_1","priority":7,
			"electableSpecs":{"instanceSize":"M10","nodeCount":3}}]}]`
		withAll    = `,"tags":[{"key":"team","value":"shop"}],"terminationProtectionEnabled":true}`
		withNoTags = `,"tags":[],"terminationProtectionEnabled":false}`

		postFlex, postDedicated = "POST " + root + "/clusters/tenantUpgrade", "POST " + flex + ":tenantUpgrade"
	)
	upgrading := withRest(legacyRest)
	get := read((*atlasclient.Client).GetCluster)
	shown := func(answer string) step { return step{want: "GET " + root + "/clusters/orders", answer: answer} }
	return []endpoint{
		{"upgrade to Flex", upgrade(toFlex, all),
			step{want: postFlex, answer: upgrading, body: flexBody + withAll}, legacyMedia, clusterIn(freeSettings)},
		{"upgrade to Flex with no more than is needed", upgrade(toFlex, least),
			step{want: postFlex, answer: upgrading, body: flexBody + `}`}, legacyMedia, clusterIn(freeSettings)},
		{"upgrade to Flex without tags", upgrade(toFlex, noTags),
			step{want: postFlex, answer: upgrading, body: flexBody + withNoTags}, legacyMedia, clusterIn(freeSettings)},
		{"upgrade to dedicated", upgrade(toDedicated, all),
			step{want: postDedicated, answer: flexAnswer, body: dedicatedBody + withAll}, flexMedia, flexCluster},
		{"upgrade to dedicated with no more than is needed", upgrade(toDedicated, least),
			step{want: postDedicated, answer: flexAnswer, body: dedicatedBody + `}`}, flexMedia, flexCluster},
		{"upgrade to dedicated without tags", upgrade(toDedicated, noTags),
			step{want: postDedicated, answer: flexAnswer, body: dedicatedBody + withNoTags}, flexMedia, flexCluster},
		{"get an M0", get, shown(withRegions(tenantRegion)), clusterMedia, clusterIn(freeSettings)},
		{"get a dedicated cluster", get, shown(withRegions(dedicatedRegion)), clusterMedia,
			clusterIn(dedicatedSettings)},
		{"get a dedicated cluster of several regions", get, shown(withRegions(otherRegion, dedicatedRegion)),
			clusterMedia, clusterIn(dedicatedSettings)},
		{"get a dedicated cluster of regions without a priority", get,
			shown(withRegions(strings.Replace(dedicatedRegion, `"priority": 7, `, "", 1), `{"providerName": "GCP"}`)),
			clusterMedia, clusterIn(dedicatedSettings)},
		{"get a cluster that has no region yet", get, shown(withRegions()), clusterMedia,
			clusterIn(atlasclient.ProviderSettings{})},
	}
}

// A cluster whose size cannot be read is no answer: whether it is what was asked for is decided on it.
func TestUnreadableSize(t *testing.T) {
	t.Parallel()
	for _, region := range []string{
		strings.ReplaceAll(dedicatedRegion, `"instanceSize": "M10"`, `"instanceSize": 10`), `7`,
	} {
		c := setup(t, step{want: "GET " + root + "/clusters/orders", answer: withRegions(region)})
		_, _, err := c.GetCluster(t.Context(), group, "orders")
		require.ErrorContains(t, err, "status 200: the body is not the JSON expected: replicationSpecs.regionConfigs")
	}
}

// The client and the simulator understand each other in upgrades: from M0 to Flex, and on to dedicated.
func TestSimulatorUpgrades(t *testing.T) {
	t.Parallel()
	c, _ := setupSim(t, atlassim.Config{Shared: []atlassim.SharedCluster{{GroupID: group, Name: "orders"}}}, nil)
	ctx := t.Context()
	tags := []atlasclient.Tag{{Key: "team", Value: "shop"}}

	free, _, err := c.GetCluster(ctx, group, "orders")
	require.NoError(t, err)
	require.Equal(t, freeSettings, free.ProviderSettings)
	r := atlasclient.UpgradeRequest{
		Name: "orders", Tags: tags, TerminationProtectionEnabled: ptr(true),
		ProviderSettings: atlasclient.ProviderSettings{BackingProviderName: "AWS", RegionName: "US_EAST_1"},
	}
	upgrading, _, err := c.UpgradeToFlex(ctx, group, r)
	require.NoError(t, err)
	require.Equal(t, free.ID, upgrading.ID)
	require.Equal(t, "UPDATING", upgrading.StateName)
	upgraded, _, err := c.GetFlexCluster(ctx, group, "orders")
	require.NoError(t, err)
	require.NotEqual(t, free.ID, upgraded.ID)
	require.Equal(t, tags, upgraded.Tags)
	require.True(t, upgraded.TerminationProtectionEnabled)
	_, _, err = c.UpgradeToFlex(ctx, group, r)
	require.True(t, atlasclient.IsError(err, atlasclient.CodeFlexInClusterAPI))

	r.Tags, r.TerminationProtectionEnabled, r.ProviderSettings.InstanceSizeName = nil, nil, "M10"
	upgrading, _, err = c.UpgradeToDedicated(ctx, group, r)
	require.NoError(t, err)
	require.Equal(t, upgraded.ID, upgrading.ID)
	require.Equal(t, upgraded.ProviderSettings, upgrading.ProviderSettings)
	dedicated, _, err := c.GetCluster(ctx, group, "orders")
	require.NoError(t, err)
	require.Equal(t, atlasclient.ProviderSettings{
		ProviderName: "AWS", BackingProviderName: "AWS", RegionName: "US_EAST_1", InstanceSizeName: "M10",
	}, dedicated.ProviderSettings)
	require.Equal(t, tags, dedicated.Tags)
	require.True(t, dedicated.TerminationProtectionEnabled)
	_, _, err = c.UpgradeToDedicated(ctx, group, r)
	require.True(t, atlasclient.IsError(err, atlasclient.CodeNonFlexInFlexAPI))
}
