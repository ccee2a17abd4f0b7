package atlassim_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
)

const (
	toServerless = `{"name": "orders",
		"providerSettings": {"backingProviderName": "AWS", "providerName": "SERVERLESS", "regionName": "US_EAST_1"},
		"serverlessBackupOptions": {"serverlessContinuousBackupEnabled": false},
		"tags": [{"key": "new", "value": "tag"}], "terminationProtectionEnabled": true}`
	toFlex = `{"name": "orders", "providerSettings": {"providerName": "FLEX", "instanceSizeName": "FLEX",
		"backingProviderName": "AWS", "regionName": "US_EAST_1"}}`
	toM10 = `{"name": "orders", "clusterType": "REPLICASET", "replicationSpecs": [{"regionConfigs": [{
		"providerName": "AWS",
		"regionName": "US_EAST_1", "priority": 7, "electableSpecs": {"instanceSize": "M10", "nodeCount": 3}}]}]}`
)

func setupShared(t *testing.T, cfg atlassim.Config) *fixture {
	b := setup(t, cfg)
	b.sim.SeedShared(atlassim.SharedCluster{GroupID: group, Name: "orders",
		Tags: []atlassim.Tag{{Key: "old", Value: "tag"}}})
	return b
}

func (b *fixture) upgrade(endpoint, body string) *reply {
	b.t.Helper()
	return b.send(b.request("POST", root+endpoint, oldVersion, body))
}

func (b *fixture) shared() *reply { return b.do("GET", root+"/clusters/orders", "") }
func (b *fixture) serverless() *reply {
	return b.send(b.request("GET", root+"/serverless/orders", oldVersion, ""))
}

func TestUpgradeToServerless(t *testing.T) {
	t.Parallel()
	b := setupShared(t, atlassim.Config{UpgradeFor: 25 * minute, StaleIdleFor: 10 * second})
	before := b.shared()
	before.want(t, 200, attrs{"stateName": "IDLE", "tags": tags("old", "tag"), "createDate": "2026-08-31T12:00:00Z"})
	oldID, conn := before.json["id"], before.json["connectionStrings"]
	srv := attrs{"standardSrv": conn.(map[string]any)["standardSrv"]}
	notYet := func() {
		t.Helper()
		b.serverless().wantError(t, 400, "CANNOT_USE_CLUSTER_IN_SERVERLESS_INSTANCE_API",
			"Cluster orders cannot be used in the Serverless Instance API.", "orders")
	}
	notYet()

	answer := b.upgrade("/clusters/tenantUpgradeToServerless", toServerless)
	answer.want(t, 200, attrs{"stateName": "UPDATING", "id": oldID, "tags": tags("new", "tag"),
		"terminationProtectionEnabled": true})
	equal(t, "Sunset", answer.header.Get("Sunset"), "Wed, 5 Feb 2025 00:00:00 GMT")

	b.shared().want(t, 200, attrs{"stateName": "IDLE", "id": oldID, "tags": tags("old", "tag")}) // stale
	var newID any
	for _, step := range []struct {
		after   time.Duration // since the last step; 25 minutes in all
		tags    []any
		strings any
		renewed bool
	}{
		{after: 10 * time.Second, tags: tags("old", "tag"), strings: conn},
		{after: 5 * time.Minute, tags: []any{}, strings: conn},
		{after: 4 * time.Minute, tags: []any{}, strings: srv},
		{after: 4 * time.Minute, tags: tags("new", "tag"), strings: attrs{}, renewed: true},
		{after: 10 * time.Minute, tags: tags("new", "tag"), strings: conn, renewed: true},
	} {
		b.clock.Advance(step.after)
		r := b.shared()
		r.want(t, 200, attrs{"stateName": "UPDATING", "tags": step.tags, "connectionStrings": step.strings})
		equal(t, "new id and createDate", []any{r.json["id"] != oldID, r.json["createDate"] == "2026-09-01T12:00:00Z"},
			[]any{step.renewed, step.renewed})
		newID = r.json["id"]
		if !step.renewed {
			notYet()
		} else {
			b.serverless().wantError(t, 404, "SERVERLESS_INSTANCE_NOT_FOUND",
				"No serverless instance named orders exists in group "+group+".", "orders", group)
		}
	}

	b.clock.Advance(2 * time.Minute)
	done := b.serverless()
	done.want(t, 200, attrs{"stateName": "IDLE", "id": newID, "connectionStrings": srv, "tags": tags("new", "tag"),
		"terminationProtectionEnabled": true, "createDate": "2026-09-01T12:00:00Z",
		"serverlessBackupOptions": attrs{"serverlessContinuousBackupEnabled": false}})
	b.shared().wantError(t, 400, "CANNOT_USE_SERVERLESS_INSTANCE_IN_CLUSTER_API",
		"Serverless instance orders cannot be used in the Cluster API.", "orders")
	b.do("GET", flexs+"/orders", "").wantError(t, 400, "CANNOT_USE_NON_FLEX_CLUSTER_IN_FLEX_API",
		"Cannot use non-flex cluster orders in the flex API.", "orders")
	b.send(b.request("GET", root+"/serverless", oldVersion, "")).
		want(t, 200, attrs{"results": []any{}, "totalCount": 0.0})
	equal(t, "clusters listed", b.do("GET", root+"/clusters", "").json["totalCount"], 0.0)
}

func TestSecondUpgradeIsRefused(t *testing.T) {
	t.Parallel()
	b := setupShared(t, atlassim.Config{UpgradeFor: 25 * minute, StaleIdleFor: minute})
	post := func() *reply { return b.upgrade("/clusters/tenantUpgradeToServerless", toServerless) }
	post().want(t, 200, nil)
	post().wantError(t, 400, "ATLAS_GENERAL_ERROR", "Reason: Cluster orders is already being upgraded.",
		"Cluster orders is already being upgraded")
	b.clock.Advance(25 * time.Minute)
	post().wantCode(t, 400, "CANNOT_USE_SERVERLESS_INSTANCE_IN_CLUSTER_API")

	marks := ""
	for _, e := range b.sim.Ledger() {
		marks += fmt.Sprintf("%s %t, ", e.Effect, e.SecondUpgrade)
	}
	equal(t, "ledger", marks, "upgraded false,  true,  true, ")
	equal(t, "upgrades", b.sim.Count(atlassim.Upgraded), 1)
}

func TestUpgradeIsValidated(t *testing.T) {
	t.Parallel()
	b := setupShared(t, atlassim.DefaultConfig())
	b.create("flex").want(t, 201, nil)
	b.sim.SeedShared(atlassim.SharedCluster{GroupID: group, Name: "five", Tier: "M5"})
	b.sim.SeedShared(atlassim.SharedCluster{GroupID: group, Name: "broken"})
	_ = b.sim.SetState(group, "broken", "REPAIRING")
	b.sim.SeedShared(atlassim.SharedCluster{GroupID: group, Name: "leaving"})
	_ = b.sim.Delete(group, "leaving")
	named := func(body, name string) string { return strings.Replace(body, `"orders"`, `"`+name+`"`, 1) }
	less, tenant := "/clusters/tenantUpgradeToServerless", "/clusters/tenantUpgrade"
	for _, c := range []struct {
		endpoint, body string
		status         int
		code           string
	}{
		{endpoint: less, body: "{", status: 400, code: "MALFORMED_JSON"},
		{endpoint: less, body: `{"name": "orders"}`, status: 400, code: "MISSING_ATTRIBUTE"},
		{endpoint: less, body: named(toServerless, "nobody"), status: 404, code: "CLUSTER_NOT_FOUND"},
		{endpoint: less, body: named(toServerless, "flex"), status: 400,
			code: "CANNOT_USE_FLEX_CLUSTER_IN_CLUSTER_API"},
		{endpoint: less, body: named(toServerless, "broken"), status: 400, code: "ATLAS_GENERAL_ERROR"},
		{endpoint: less, body: named(toServerless, "leaving"), status: 400, code: "ATLAS_GENERAL_ERROR"},
		{endpoint: less, body: strings.Replace(toServerless, `"SERVERLESS"`, `"FLEX"`, 1), status: 400,
			code: "INVALID_ATTRIBUTE"},
		{endpoint: less, body: strings.Replace(toServerless, `"US_EAST_1"`, `""`, 1), status: 400,
			code: "INVALID_REGION"},
		{endpoint: tenant, body: `{"name": "orders", "providerSettings": {}}`, status: 400, code: "MISSING_ATTRIBUTE"},
		{endpoint: tenant, body: strings.Replace(toFlex, `"instanceSizeName": "FLEX"`, `"instanceSizeName": "M0"`, 1),
			status: 400,
			code:   "INVALID_ATTRIBUTE"},
		{endpoint: tenant, body: named(toFlex, "five"), status: 400, code: "ATLAS_GENERAL_ERROR"},
	} {
		b.upgrade(c.endpoint, c.body).wantCode(t, c.status, c.code)
	}
	equal(t, "upgrades", b.sim.Count(atlassim.Upgraded), 0)
}

func TestUpgradeRetired(t *testing.T) {
	t.Parallel()
	b := setupShared(t, atlassim.Config{UpgradeRetired: true})
	path := strings.TrimPrefix(root, "/") + "/clusters/tenantUpgradeToServerless"
	b.upgrade("/clusters/tenantUpgradeToServerless", toServerless).
		wantError(t, 410, "VERSION_GONE", "Version 2023-01-01 of "+path+" is no longer available.", "2023-01-01", path)
}

func TestUpgradeToFlexAndOn(t *testing.T) {
	t.Parallel()
	b := setupShared(t, atlassim.Config{UpgradeFor: minute})
	oldID := b.shared().json["id"]
	b.upgrade("/clusters/tenantUpgrade", toFlex).want(t, 200, attrs{"stateName": "UPDATING", "id": oldID,
		"tags": tags("old", "tag")})
	b.clock.Advance(29 * time.Second)
	b.do("GET", flexs+"/orders", "").wantCode(t, 400, "CANNOT_USE_NON_FLEX_CLUSTER_IN_FLEX_API")
	b.clock.Advance(30 * time.Second)
	b.do("GET", flexs+"/orders", "").wantCode(t, 404, "CLUSTER_NOT_FOUND")
	b.shared().want(t, 200, attrs{"stateName": "UPDATING"})

	b.clock.Advance(time.Second)
	b.do("GET", flexs+"/orders", "").want(t, 200, attrs{"stateName": "IDLE", "tags": tags("old", "tag")})
	b.shared().wantError(t, 400, "CANNOT_USE_FLEX_CLUSTER_IN_CLUSTER_API",
		"Flex cluster orders cannot be used in the Cluster API.", "orders")

	b.do("POST", root+"/flexClusters:tenantUpgrade", toM10).want(t, 200, attrs{"stateName": "UPDATING"})
	b.do("GET", flexs+"/orders", "").want(t, 200, attrs{"stateName": "UPDATING"})
	b.clock.Advance(time.Minute)
	b.shared().want(t, 200, attrs{"stateName": "IDLE"})
	equal(t, "kind", b.sim.Clusters()[0].Kind, atlassim.DEDICATED)
}

// The new provider, size, id and createDate appear together, half-way through; the cluster API serves it from then on.
func TestFlexToDedicated(t *testing.T) {
	t.Parallel()
	b := setup(t, atlassim.Config{UpgradeFor: 100 * second, StaleIdleReads: 2})
	oldID := b.create("orders").json["id"]
	body := strings.NewReplacer(`"clusterType"`, `"tags": [{"key": "new", "value": "tag"}], "backupEnabled": true,
		"terminationProtectionEnabled": true, "labels": [], "id": "x", "clusterType"`,
		`"instanceSize": "M10"`, `"instanceSize": "M20", "diskSizeGB": 60`,
		`"regionConfigs"`, `"zoneName": "Zone X", "regionConfigs"`).Replace(toM10)
	flex := func() *reply { return b.do("GET", flexs+"/orders", "") }
	b.do("POST", root+"/flexClusters:tenantUpgrade", body).want(t, 200, attrs{"stateName": "UPDATING", "id": oldID,
		"tags": tags("team", "orders"), "terminationProtectionEnabled": false,
		"providerSettings": attrs{"backingProviderName": "AWS", "diskSizeGB": 5.0, "providerName": "FLEX",
			"regionName": "US_EAST_1"}})
	flex().want(t, 200, attrs{"stateName": "IDLE", "id": oldID})
	listed := b.do("GET", flexs, "").json["results"].([]any)[0].(attrs)
	equal(t, "state in a list", listed["stateName"], any("IDLE"))
	flex().want(t, 200, attrs{"stateName": "UPDATING", "id": oldID})
	b.clock.Advance(49 * time.Second)
	flex().want(t, 200, attrs{"stateName": "UPDATING", "id": oldID})
	b.shared().wantCode(t, 400, "CANNOT_USE_FLEX_CLUSTER_IN_CLUSTER_API")

	b.clock.Advance(time.Second)
	half := b.shared()
	half.want(t, 200, attrs{"stateName": "UPDATING", "tags": tags("new", "tag"), "connectionStrings": attrs{},
		"createDate": "2026-09-01T12:00:00Z", "backupEnabled": true, "terminationProtectionEnabled": true})
	equal(t, "a new id", half.json["id"] != oldID, true)
	spec := half.json["replicationSpecs"].([]any)[0].(map[string]any)
	region := spec["regionConfigs"].([]any)[0].(map[string]any)
	size := region["electableSpecs"].(map[string]any)
	equal(t, "zone, provider, size, disk", []any{spec["zoneName"], region["providerName"], size["instanceSize"],
		size["diskSizeGB"]},
		[]any{"Zone X", "AWS", "M20", 60.0})
	flex().wantCode(t, 400, "CANNOT_USE_NON_FLEX_CLUSTER_IN_FLEX_API")
	b.do("POST", root+"/flexClusters:tenantUpgrade", body).wantCode(t, 400, "ATLAS_GENERAL_ERROR")

	b.clock.Advance(40 * time.Second)
	equal(t, "strings", keys(b.shared().json["connectionStrings"]), "standard standardSrv")
	b.clock.Advance(10 * time.Second)
	b.shared().want(t, 200, attrs{"stateName": "IDLE", "id": half.json["id"]})
	snapshot := b.sim.Clusters()[0]
	equal(t, "snapshot", []any{snapshot.Kind, snapshot.InstanceSizeName, snapshot.BackupEnabled},
		[]any{atlassim.DEDICATED, "M20", true})
}

func TestSharedToDedicated(t *testing.T) {
	t.Parallel()
	for name, post := range map[string]func(b *fixture) *reply{
		"by the flex API": func(b *fixture) *reply { return b.do("POST", root+"/flexClusters:tenantUpgrade", toM10) },
		"by the cluster API": func(b *fixture) *reply {
			return b.upgrade("/clusters/tenantUpgrade", strings.NewReplacer(`"FLEX", "instanceSizeName": "FLEX"`,
				`"AWS", "instanceSizeName": "M10"`).Replace(toFlex))
		},
		"by v1.0": func(b *fixture) *reply {
			return b.send(b.request("POST", "/api/atlas/v1.0/groups/"+group+"/clusters/tenantUpgrade", "",
				strings.Replace(toFlex,
					`"FLEX", "instanceSizeName": "FLEX"`, `"AWS", "instanceSizeName": "M10"`, 1)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setupShared(t, atlassim.Config{UpgradeFor: 100 * second})
			size := func() any {
				spec := b.shared().json["replicationSpecs"].([]any)[0].(map[string]any)
				region := spec["regionConfigs"].([]any)[0].(map[string]any)
				return fmt.Sprint(region["providerName"], " ",
					region["electableSpecs"].(map[string]any)["instanceSize"])
			}
			post(b).want(t, 200, attrs{"stateName": "UPDATING"})
			equal(t, "at first", size(), any("TENANT M0"))
			b.clock.Advance(50 * time.Second)
			equal(t, "half-way", size(), any("AWS M10"))
			b.shared().want(t, 200, attrs{"stateName": "UPDATING", "tags": tags("old", "tag")})
			b.clock.Advance(50 * time.Second)
			b.shared().want(t, 200, attrs{"stateName": "IDLE"})
		})
	}
}

// tenantUpgrade takes every attribute of its schema; a few are of effect.
func TestTenantUpgradeTakesTheWholeSchema(t *testing.T) {
	t.Parallel()
	b := setupShared(t, atlassim.Config{UpgradeFor: 100 * second})
	body := strings.Replace(toFlex, `{"name": "orders",`, `{"name": "orders", "tags": [{"key": "new", "value": "tag"}],
		"terminationProtectionEnabled": true, "providerBackupEnabled": true, "backupEnabled": false, "diskSizeGB": 5,
		"clusterType": "REPLICASET", "acceptDataRisksAndForceReplicaSetReconfig": null, "advancedConfiguration": {},
		"autoScaling": {}, "biConnector": {}, "configServerManagementMode": "ATLAS_MANAGED", "connectionStrings": {},
		"deleteAfterCreationHours": 1, "diskWarmingMode": "FULLY_WARMED", "encryptionAtRestProvider": "NONE",
		"globalClusterSelfManagedSharding": false, "labels": [], "mongoDBEmployeeAccessGrant": null,
		"mongoDBMajorVersion": "8.0", "mongoDBVersion": "8.0.0", "numShards": 1, "paused": false, "pitEnabled": false,
		"replicaSetScalingStrategy": "NODE_TYPE", "replicationFactor": 3, "replicationSpec": {}, "replicationSpecs": [],
		"rootCertType": "ISRGROOTX1", "versionReleaseSystem": "LTS", "id": "x", "stateName": "IDLE",`, 1)
	b.upgrade("/clusters/tenantUpgrade", strings.Replace(body, "REPLICASET", "SHARDED", 1)).
		wantError(t, 400, "INVALID_ATTRIBUTE", "Invalid attribute clusterType specified.", "clusterType")
	// The new tags are in the answer at once; the rest is as it was.
	b.upgrade("/clusters/tenantUpgrade", body).want(t, 200, attrs{"stateName": "UPDATING", "tags": tags("new", "tag"),
		"terminationProtectionEnabled": false, "backupEnabled": false})
	b.shared().want(t, 200, attrs{"stateName": "UPDATING", "tags": tags("new", "tag")})
	b.clock.Advance(20 * time.Second)
	b.shared().want(t, 200, attrs{"tags": []any{}})
	b.clock.Advance(80 * time.Second)
	b.do("GET", flexs+"/orders", "").want(t, 200, attrs{"stateName": "IDLE", "tags": tags("new", "tag"),
		"terminationProtectionEnabled": true})
	equal(t, "backup", b.sim.Clusters()[0].BackupEnabled, true)
}

func TestFlexToDedicatedIsValidated(t *testing.T) {
	t.Parallel()
	b := setup(t, atlassim.Config{UpgradeFor: minute})
	b.create("orders").want(t, 201, nil)
	for _, test := range []struct {
		name, body, code string
		status           int
	}{
		{name: "sharded", body: strings.Replace(toM10, "REPLICASET", "SHARDED", 1),
			code: "INVALID_ATTRIBUTE", status: 400},
		{name: "no size", body: strings.Replace(toM10, "M10", "M5", 1), code: "INVALID_ATTRIBUTE", status: 400},
		{name: "no specs", body: `{"name": "orders"}`, code: "MISSING_ATTRIBUTE", status: 400},
		{name: "unknown region", body: strings.Replace(toM10, "US_EAST_1", "MOON_1", 1),
			code: "INVALID_REGION", status: 400},
		{name: "unknown attribute", body: strings.Replace(toM10, `"clusterType"`, `"colour": 1, "clusterType"`, 1),
			code: "INVALID_ATTRIBUTE", status: 400},
		{name: "another cluster", body: strings.Replace(toM10, `"orders"`, `"nobody"`, 1), code: "CLUSTER_NOT_FOUND",
			status: 404},
	} {
		t.Run(test.name, func(t *testing.T) {
			b.do("POST", root+"/flexClusters:tenantUpgrade", test.body).wantCode(t, test.status, test.code)
		})
	}
	equal(t, "upgrades", b.sim.Count(atlassim.Upgraded), 0)
}

func TestServerlessAsFlex(t *testing.T) {
	t.Parallel()
	b := setupShared(t, atlassim.Config{ServerlessAsFlex: true})
	b.upgrade("/clusters/tenantUpgradeToServerless", toServerless).want(t, 200, attrs{"stateName": "UPDATING"})
	b.serverless().want(t, 200, attrs{"stateName": "IDLE"})
	b.do("GET", flexs+"/orders", "").want(t, 200, attrs{"stateName": "IDLE"})
}
