package atlassim

// The shapes of the cluster API. All three are recorded: version 2024-08-05 for GET, 2023-02-01 for the answer to a
// create, and the one of v1.0, which v2 calls 2023-01-01, for the answer to an upgrade.

const (
	noVersion      = "v1.0"       // the old API, which has no versions
	legacyVersion  = "2023-01-01" // LegacyAtlasCluster
	v15Version     = "2023-02-01" // AdvancedClusterDescription
	clusterVersion = "2024-08-05" // ClusterDescription20240805; those before it are deprecated (recorded)
	writeVersion   = "2024-10-23" // the same description, for POST and PATCH
)

// describe renders a cluster in the version that was negotiated.
func (c *call) describe(v view) map[string]any {
	switch c.version {
	case noVersion, legacyVersion:
		return c.legacy(v)
	case v15Version:
		return c.description15(v)
	}
	return c.description(v)
}

// common is what all shapes have.
func (c *call) common(v view) map[string]any {
	return map[string]any{
		"backupEnabled":                    v.settings.backup,
		"biConnector":                      map[string]any{"enabled": false, "readPreference": "secondary"},
		"clusterType":                      "REPLICASET",
		"connectionStrings":                v.connectionStrings,
		"createDate":                       timestamp(v.created),
		"encryptionAtRestProvider":         "NONE",
		"globalClusterSelfManagedSharding": false,
		"groupId":                          v.key.group,
		"id":                               v.id,
		"labels":                           []any{},
		"links":                            c.clusterLinks(v.key),
		"mongoDBMajorVersion":              "8.0",
		"mongoDBVersion":                   mongoDB,
		"name":                             v.key.name,
		"paused":                           v.settings.paused,
		"pitEnabled":                       false,
		"rootCertType":                     "ISRGROOTX1",
		"stateName":                        v.state,
		"tags":                             tagList(v.settings.tags),
		"terminationProtectionEnabled":     v.settings.protected,
		"versionReleaseSystem":             "LTS",
	}
}

func (c *call) clusterLinks(key clusterKey) []any {
	api := "v2"
	if c.version == noVersion {
		api = noVersion
	}
	self := c.href("/api/atlas/" + api + "/groups/" + key.group + "/clusters/" + key.name)
	return []any{
		link("self", self),
		link("https://cloud.mongodb.com/restoreJobs", self+"/backup/restoreJobs"),
		link("https://cloud.mongodb.com/snapshots", self+"/backup/snapshots"),
	}
}

// description renders a ClusterDescription20240805.
func (c *call) description(v view) map[string]any {
	out := c.common(v)
	effective := v.region()
	asked := v.region()
	if v.kind == DEDICATED {
		out["advancedConfiguration"] = map[string]any{
			"customOpensslCipherConfigTls12": []any{}, "customOpensslCipherConfigTls13": []any{},
			"minimumEnabledTlsProtocol": "TLS1_2", "tlsCipherConfigMode": "DEFAULT",
		}
		asked["effectiveAnalyticsSpecs"] = asked["analyticsSpecs"]
		asked["effectiveElectableSpecs"] = asked["electableSpecs"]
		asked["effectiveReadOnlySpecs"] = asked["readOnlySpecs"]
	} else {
		out["diskWarmingMode"] = "FULLY_WARMED"
	}
	out["adaptiveCapacity"] = nil
	out["effectiveDatabaseEdition"] = "CORE"
	out["effectiveReplicationSpecs"] = v.replicationSpecs(effective)
	out["featureCompatibilityVersion"] = "8.0"
	out["internalClusterRole"] = "NONE"
	out["redactClientLogData"] = false
	out["replicationSpecs"] = v.replicationSpecs(asked)
	out["retainBackups"] = false
	if v.state == idle {
		out["useAwsTimeBasedSnapshotCopyForFastInitialSync"] = false
	}
	return out
}

// replicationSpecs is the one shard with the one region that clusters have here.
func (v view) replicationSpecs(regionConfig map[string]any) []any {
	zone := v.settings.zone
	if zone == "" {
		zone = "Zone 1"
	}
	return []any{map[string]any{
		"id": v.id[:18] + "00000a", "zoneId": v.id[:18] + "00000b", "zoneName": zone,
		"regionConfigs": []any{regionConfig},
	}}
}

// region is a CloudRegionConfig.
func (v view) region() map[string]any {
	if v.kind != DEDICATED { // a tenant: M0, or what it is on its way to
		return map[string]any{
			"electableSpecs": map[string]any{
				"effectiveInstanceSize": v.settings.tier, "instanceSize": v.settings.tier, "diskSizeGB": v.disk(),
			},
			"backingProviderName": v.settings.provider, "priority": 7, "providerName": v.tenantProvider(),
			"regionName": v.settings.region,
		}
	}
	specs := func(nodes int) map[string]any {
		return map[string]any{"instanceSize": v.settings.tier, "diskIOPS": 3000, "diskSizeGB": v.disk(),
			"ebsVolumeType": "STANDARD", "nodeCount": nodes}
	}
	return map[string]any{
		"analyticsSpecs": specs(0), "electableSpecs": specs(3), "readOnlySpecs": specs(0),
		"autoScaling": map[string]any{
			"compute": map[string]any{"enabled": false, "scaleDownEnabled": false},
			"diskGB":  map[string]any{"enabled": false},
		},
		"priority": 7, "providerName": v.settings.provider, "regionName": v.settings.region,
	}
}

// tenantProvider is TENANT, or FLEX for an M0 that is more than half way to Flex.
func (v view) tenantProvider() string {
	if v.settings.tier == string(FLEX) {
		return string(FLEX)
	}
	return "TENANT"
}

// disk is the size of the disk in GB: 0.5 for an M0 and 40 for an M10 (recorded); 5 for Flex (recorded); 40 for all
// larger ones is assumed.
func (v view) disk() float64 {
	switch {
	case v.settings.diskGB > 0 && v.kind == DEDICATED:
		return v.settings.diskGB
	case v.kind == DEDICATED:
		return 40
	case v.settings.tier == string(FLEX):
		return 5
	}
	return 0.5
}

// description15 renders an AdvancedClusterDescription, the shape of version 2023-02-01.
func (c *call) description15(v view) map[string]any {
	out := c.common(v)
	region := v.region()
	for _, specs := range []string{"electableSpecs", "analyticsSpecs", "readOnlySpecs"} {
		if m, has := region[specs].(map[string]any); has {
			delete(m, "diskSizeGB") // one size for the cluster, below
		}
	}
	specs := v.replicationSpecs(region)
	specs[0].(map[string]any)["numShards"] = 1
	out["diskSizeGB"] = v.disk()
	out["diskWarmingMode"] = "FULLY_WARMED"
	out["replicationSpecs"] = specs
	return out
}

// legacy renders a LegacyAtlasCluster.
func (c *call) legacy(v view) map[string]any {
	out := c.common(v)
	nodes := map[string]any{v.settings.region: map[string]any{
		"analyticsNodes": 0, "electableNodes": 3, "priority": 7, "readOnlyNodes": 0,
	}}
	spec := v.replicationSpecs(nil)[0].(map[string]any)
	provider := map[string]any{
		"providerName": v.settings.provider, "instanceSizeName": v.settings.tier, "regionName": v.settings.region,
		"autoScaling": map[string]any{"compute": map[string]any{"maxInstanceSize": nil, "minInstanceSize": nil}},
	}
	if v.kind != DEDICATED {
		provider["providerName"], provider["backingProviderName"] = v.tenantProvider(), v.settings.provider
		provider["effectiveInstanceSizeName"] = v.settings.tier
	}
	for name, value := range map[string]any{
		"autoScaling": map[string]any{
			"compute": map[string]any{"enabled": false, "scaleDownEnabled": false}, "diskGBEnabled": false,
		},
		"diskSizeGB":            v.disk(),
		"diskWarmingMode":       "FULLY_WARMED",
		"mongoURI":              v.key.hosts(),
		"mongoURIUpdated":       timestamp(v.created),
		"mongoURIWithOptions":   v.key.standardAddress(),
		"numShards":             1,
		"providerBackupEnabled": v.settings.backup,
		"providerSettings":      provider,
		"replicationFactor":     3,
		"replicationSpec":       nodes,
		"replicationSpecs": []any{map[string]any{
			"id": spec["id"], "numShards": 1, "regionsConfig": nodes, "zoneName": spec["zoneName"],
		}},
		"srvAddress": v.key.srvAddress(),
	} {
		out[name] = value
	}
	return out
}
