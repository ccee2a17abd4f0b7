package atlassim

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
)

// What the Atlas CLI and the Terraform provider ask of a cluster's life beside the clusters themselves. The shapes
// are from the docs; the values are made up.

// getServerless serves what is of serverless origin. Of a cluster on its way there it says 400 "cannot use" until the
// new id is made, and 404 from then until the switch (both happen, say public runs; when which is assumed).
func (c *call) getServerless() (*answer, *apiError) {
	found := c.visible()
	switch {
	case found == nil:
		return nil, errServerlessNotFound(c.name, c.group)
	case found.kind == SERVERLESS:
		return c.ok(c.serverless(c.s.viewLocked(found))), nil
	case found.upgrade != nil && found.upgrade.to == SERVERLESS && c.s.progressLocked(found) >= idChanges:
		return nil, errServerlessNotFound(c.name, c.group)
	}
	return nil, errClusterInServerlessAPI(c.name)
}

// listServerless is always empty: no serverless instances are made any more, and Atlas lists what became of them
// elsewhere (docs).
func (c *call) listServerless() (*answer, *apiError) {
	return c.list(func(*cluster) any { return nil })
}

// clusterOfPath finds the cluster whose name is in the path, if the cluster API serves it.
func (c *call) clusterOfPath() (*cluster, *apiError) {
	found := c.visible()
	return found, c.servedByClusterAPI(found)
}

// getProcessArgs answers GET clusters/{name}/processArgs, the advanced configuration.
func (c *call) getProcessArgs() (*answer, *apiError) {
	found, err := c.clusterOfPath()
	if err != nil {
		return nil, err
	}
	return c.ok(processArgs(found)), nil
}

func processArgs(of *cluster) map[string]any {
	out := map[string]any{
		"changeStreamOptionsPreAndPostImagesExpireAfterSeconds": nil, "chunkMigrationConcurrency": nil,
		"customOpensslCipherConfigTls12": []any{}, "customOpensslCipherConfigTls13": []any{}, "defaultMaxTimeMS": nil,
		"defaultWriteConcern": nil, "javascriptEnabled": true, "minimumEnabledTlsProtocol": "TLS1_2",
		"noTableScan": false, "oplogMinRetentionHours": nil, "oplogSizeMB": nil, "queryStatsLogVerbosity": 1,
		"sampleRefreshIntervalBIConnector": nil, "sampleSizeBIConnector": nil, "tlsCipherConfigMode": "DEFAULT",
		"transactionLifetimeLimitSeconds": nil,
	}
	maps.Copy(out, of.processArgs)
	return out
}

// patchProcessArgs answers PATCH clusters/{name}/processArgs: what is sent is kept, and nothing else changes.
func (c *call) patchProcessArgs() (*answer, *apiError) {
	found, err := c.clusterOfPath()
	if err != nil {
		return nil, err
	}
	var in map[string]any
	if json.Unmarshal(c.body, &in) != nil || in == nil {
		return nil, errMalformed()
	}
	if found.processArgs == nil {
		found.processArgs = map[string]any{}
	}
	maps.Copy(found.processArgs, in)
	return c.answer(http.StatusOK, processArgs(found), Updated), nil
}

// getChangeStatus answers GET clusters/{name}/status.
func (c *call) getChangeStatus() (*answer, *apiError) {
	found, err := c.clusterOfPath()
	if err != nil {
		return nil, err
	}
	status := "PENDING"
	if c.s.stateLocked(found) == idle {
		status = "APPLIED"
	}
	return c.ok(map[string]any{"changeStatus": status}), nil
}

// getAutoScalingMode answers GET clusters/{name}/autoScalingConfiguration.
func (c *call) getAutoScalingMode() (*answer, *apiError) {
	if _, err := c.clusterOfPath(); err != nil {
		return nil, err
	}
	return c.ok(map[string]any{"autoScalingMode": "CLUSTER_WIDE_SCALING"}), nil
}

// listRegions answers GET clusters/provider/regions: the regions of each cloud, for M10.
func (c *call) listRegions() (*answer, *apiError) {
	results := []any{}
	for _, provider := range slices.Sorted(maps.Keys(regions)) {
		if only := c.r.URL.Query()["providers"]; len(only) > 0 && !slices.Contains(only, provider) {
			continue
		}
		available := []any{}
		for _, region := range regions[provider] {
			available = append(available, map[string]any{"default": false, "name": region})
		}
		results = append(results, map[string]any{"provider": provider,
			"instanceSizes": []any{map[string]any{"name": "M10", "availableRegions": available}}})
	}
	return c.ok(map[string]any{"links": []any{}, "results": results, "totalCount": len(results)}), nil
}

// getProject answers GET /groups/{groupId}.
func (c *call) getProject() (*answer, *apiError) {
	clusters := 0
	for _, x := range c.s.clusters {
		if x.key.group == c.group {
			clusters++
		}
	}
	return c.ok(map[string]any{
		"clusterCount": clusters, "created": "2026-01-01T00:00:00Z", "id": c.group,
		"links": []any{link("self", c.href("/api/atlas/v2/groups/"+c.group))},
		"name":  "project-" + c.group, "orgId": "5a1b2c3d4e5f60718293a4b6", "tags": []any{},
		"withDefaultAlertsSettings": true,
	}), nil
}

// listContainers answers GET containers: there is no network peering here.
func (c *call) listContainers() (*answer, *apiError) {
	return c.list(func(*cluster) any { return nil })
}
