package atlassim

// The cluster API and the serverless API: read only here, apart from the
// upgrades in upgrade.go.

// served says whether the cluster API serves the cluster, and if not, how it
// answers.
func (c *call) served(found *cluster) *apiError {
	switch {
	case found == nil:
		return errNotFound(c.name, c.group)
	case found.kind == FLEX:
		return errFlexInClusterAPI(c.name)
	case found.kind == SERVERLESS:
		return errServerlessInClusterAPI(c.name)
	}
	return nil
}

func (c *call) getCluster() (*answer, *apiError) {
	found := c.visible()
	if err := c.served(found); err != nil {
		return nil, err
	}
	return c.ok(c.description(found)), nil
}

func (c *call) listClusters() (*answer, *apiError) {
	return c.list(func(x *cluster) any {
		if c.served(x) != nil {
			return nil
		}
		return c.description(x)
	})
}

// getServerless serves what is of serverless origin. Of a cluster on its way
// there it says 400 "cannot use" until the new id is made, and 404 from then
// until the switch (both happen, say public runs; when which is assumed).
func (c *call) getServerless() (*answer, *apiError) {
	found := c.visible()
	switch {
	case found == nil:
		return nil, errServerlessNotFound(c.name, c.group)
	case found.kind == SERVERLESS:
		return c.ok(c.serverless(found)), nil
	case found.upgrade != nil && found.upgrade.to == SERVERLESS && c.s.progressLocked(found) >= idChanges:
		return nil, errServerlessNotFound(c.name, c.group)
	}
	return nil, errClusterInServerlessAPI(c.name)
}

// listServerless is always empty: no serverless instances are made any more,
// and Atlas lists what became of them elsewhere (docs).
func (c *call) listServerless() (*answer, *apiError) {
	return c.list(func(*cluster) any { return nil })
}

// serverless renders a ServerlessInstanceDescription. Its connection strings
// have no standard (docs).
func (c *call) serverless(x *cluster) map[string]any {
	return map[string]any{
		"connectionStrings": map[string]any{"standardSrv": x.srvAddress()},
		"createDate":        timestamp(x.created),
		"groupId":           x.group,
		"id":                x.id,
		"links":             []any{link("self", c.href("/api/atlas/v2/groups/"+x.group+"/serverless/"+x.name))},
		"mongoDBVersion":    mongoDB,
		"name":              x.name,
		"providerSettings": map[string]any{
			"backingProviderName": x.provider, "effectiveDiskSizeGBLimit": 5, "effectiveInstanceSizeName": "FLEX",
			"effectiveProviderName": "FLEX", "providerName": "SERVERLESS", "regionName": x.region,
		},
		"serverlessBackupOptions":      map[string]any{"serverlessContinuousBackupEnabled": x.continuousBackup},
		"stateName":                    c.s.stateLocked(x),
		"tags":                         tagList(x.tags),
		"terminationProtectionEnabled": x.protected,
	}
}

// description renders a ClusterDescription20240805, less the attributes that
// nobody asks the simulator for. Older versions are rendered alike.
func (c *call) description(x *cluster) map[string]any {
	region := map[string]any{"priority": 7, "providerName": x.provider, "regionName": x.region,
		"electableSpecs": map[string]any{"instanceSize": x.tier, "nodeCount": 3, "diskSizeGB": 10.0}}
	if x.kind == SHARED {
		region["providerName"], region["backingProviderName"] = "TENANT", x.provider
		region["electableSpecs"] = map[string]any{"effectiveInstanceSize": x.tier, "instanceSize": x.tier, "diskSizeGB": 0.5}
	}
	out := map[string]any{
		"backupEnabled":            false,
		"biConnector":              map[string]any{"enabled": false, "readPreference": "secondary"},
		"clusterType":              "REPLICASET",
		"connectionStrings":        c.s.connectionStringsLocked(x),
		"createDate":               timestamp(x.created),
		"encryptionAtRestProvider": "NONE",
		"groupId":                  x.group,
		"id":                       x.id,
		"labels":                   []any{},
		"links":                    []any{link("self", c.href("/api/atlas/v2/groups/"+x.group+"/clusters/"+x.name))},
		"mongoDBMajorVersion":      "8.0",
		"mongoDBVersion":           mongoDB,
		"name":                     x.name,
		"paused":                   false,
		"pitEnabled":               false,
		"replicationSpecs": []any{map[string]any{
			"id": x.id[:18] + "00000a", "zoneId": x.id[:18] + "00000b", "zoneName": "Zone 1",
			"regionConfigs": []any{region},
		}},
		"rootCertType":                 "ISRGROOTX1",
		"stateName":                    c.s.stateLocked(x),
		"tags":                         tagList(x.tags),
		"terminationProtectionEnabled": x.protected,
		"versionReleaseSystem":         "LTS",
	}
	c.s.showUpgradeLocked(x, out)
	return out
}

// legacy renders a LegacyAtlasCluster, less what nobody asks for.
func (c *call) legacy(x *cluster) map[string]any {
	out := c.description(x)
	delete(out, "replicationSpecs")
	out["diskSizeGB"] = 0.5
	out["mongoURIWithOptions"] = x.standardAddress()
	out["numShards"] = 1
	out["providerSettings"] = map[string]any{
		"providerName": "TENANT", "backingProviderName": x.provider,
		"effectiveInstanceSizeName": x.tier, "instanceSizeName": x.tier, "regionName": x.region,
	}
	out["replicationFactor"] = 3
	out["srvAddress"] = x.srvAddress()
	return out
}
