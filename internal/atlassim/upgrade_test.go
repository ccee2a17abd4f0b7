package atlassim_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
)

const (
	toServerless = `{"name": "orders", "providerSettings": {"backingProviderName": "AWS", "providerName": "SERVERLESS", "regionName": "US_EAST_1"},
		"serverlessBackupOptions": {"serverlessContinuousBackupEnabled": false},
		"tags": [{"key": "new", "value": "tag"}], "terminationProtectionEnabled": true}`
	toFlex = `{"name": "orders", "providerSettings": {"providerName": "FLEX", "instanceSizeName": "FLEX", "backingProviderName": "AWS", "regionName": "US_EAST_1"}}`
	toM10  = `{"name": "orders", "clusterType": "REPLICASET", "replicationSpecs": [{"regionConfigs": [{"providerName": "AWS",
		"regionName": "US_EAST_1", "priority": 7, "electableSpecs": {"instanceSize": "M10", "nodeCount": 3}}]}]}`
)

func setupShared(t *testing.T, cfg atlassim.Config) *bench {
	b := setup(t, cfg)
	b.sim.SeedShared(atlassim.SharedCluster{GroupID: group, Name: "orders", Tags: []atlassim.Tag{{Key: "old", Value: "tag"}}})
	return b
}

func (b *bench) upgrade(endpoint, body string) *reply {
	b.t.Helper()
	return b.send(b.request("POST", root+endpoint, oldVersion, body))
}

func (b *bench) shared() *reply { return b.do("GET", root+"/clusters/orders", "") }
func (b *bench) serverless() *reply {
	return b.send(b.request("GET", root+"/serverless/orders", oldVersion, ""))
}

func TestUpgradeToServerless(t *testing.T) {
	t.Parallel()
	b := setupShared(t, atlassim.Config{UpgradeFor: 25 * minute, StaleIdleFor: 10 * second})
	before := b.shared()
	before.want(t, 200, map[string]any{"stateName": "IDLE", "tags": tags("old", "tag"), "createDate": "2026-08-31T12:00:00Z"})
	oldID, conn := before.json["id"], before.json["connectionStrings"]
	srv := map[string]any{"standardSrv": conn.(map[string]any)["standardSrv"]}
	notYet := func() {
		t.Helper()
		b.serverless().wantError(t, 400, "CANNOT_USE_CLUSTER_IN_SERVERLESS_INSTANCE_API", "Cluster orders cannot be used in the Serverless Instance API.", "orders")
	}
	notYet()

	answer := b.upgrade("/clusters/tenantUpgradeToServerless", toServerless)
	answer.want(t, 200, map[string]any{"stateName": "UPDATING", "id": oldID, "tags": tags("new", "tag"), "terminationProtectionEnabled": true})
	equal(t, "Sunset", answer.header.Get("Sunset"), "Wed, 5 Feb 2025 00:00:00 GMT")

	b.shared().want(t, 200, map[string]any{"stateName": "IDLE", "id": oldID, "tags": tags("old", "tag")}) // stale
	var newID any
	for _, step := range []struct {
		after   time.Duration // since the last step; 25 minutes in all
		tags    []any
		strings any
		renewed bool
	}{
		{10 * time.Second, tags("old", "tag"), conn, false},
		{5 * time.Minute, []any{}, conn, false},
		{4 * time.Minute, []any{}, srv, false},
		{4 * time.Minute, tags("new", "tag"), map[string]any{}, true},
		{10 * time.Minute, tags("new", "tag"), conn, true},
	} {
		b.clock.Advance(step.after)
		r := b.shared()
		r.want(t, 200, map[string]any{"stateName": "UPDATING", "tags": step.tags, "connectionStrings": step.strings})
		equal(t, "new id and createDate", []any{r.json["id"] != oldID, r.json["createDate"] == "2026-09-01T12:00:00Z"}, []any{step.renewed, step.renewed})
		newID = r.json["id"]
		if !step.renewed {
			notYet()
		} else {
			b.serverless().wantError(t, 404, "SERVERLESS_INSTANCE_NOT_FOUND", "No serverless instance named orders exists in group "+group+".", "orders", group)
		}
	}

	b.clock.Advance(2 * time.Minute)
	done := b.serverless()
	done.want(t, 200, map[string]any{"stateName": "IDLE", "id": newID, "connectionStrings": srv, "tags": tags("new", "tag"),
		"terminationProtectionEnabled": true, "createDate": "2026-09-01T12:00:00Z",
		"serverlessBackupOptions": map[string]any{"serverlessContinuousBackupEnabled": false}})
	b.shared().wantError(t, 400, "CANNOT_USE_SERVERLESS_INSTANCE_IN_CLUSTER_API", "Serverless instance orders cannot be used in the Cluster API.", "orders")
	b.do("GET", flexs+"/orders", "").wantError(t, 400, "CANNOT_USE_NON_FLEX_CLUSTER_IN_FLEX_API", "Cannot use non-flex cluster orders in the flex API.", "orders")
	b.send(b.request("GET", root+"/serverless", oldVersion, "")).want(t, 200, map[string]any{"results": []any{}, "totalCount": 0.0})
	equal(t, "clusters listed", b.do("GET", root+"/clusters", "").json["totalCount"], 0.0)
}

func TestSecondUpgradeIsRefused(t *testing.T) {
	t.Parallel()
	b := setupShared(t, atlassim.Config{UpgradeFor: 25 * minute, StaleIdleFor: minute})
	post := func() *reply { return b.upgrade("/clusters/tenantUpgradeToServerless", toServerless) }
	post().want(t, 200, nil)
	post().wantError(t, 400, "ATLAS_GENERAL_ERROR", "Reason: Cluster orders is already being upgraded.", "Cluster orders is already being upgraded")
	b.clock.Advance(25 * time.Minute)
	post().want(t, 400, map[string]any{"errorCode": "CANNOT_USE_SERVERLESS_INSTANCE_IN_CLUSTER_API"})

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
		{less, "{", 400, "MALFORMED_JSON"},
		{less, `{"name": "orders"}`, 400, "MISSING_ATTRIBUTE"},
		{less, named(toServerless, "nobody"), 404, "CLUSTER_NOT_FOUND"},
		{less, named(toServerless, "flex"), 400, "CANNOT_USE_FLEX_CLUSTER_IN_CLUSTER_API"},
		{less, named(toServerless, "broken"), 400, "ATLAS_GENERAL_ERROR"},
		{less, named(toServerless, "leaving"), 400, "ATLAS_GENERAL_ERROR"},
		{less, strings.Replace(toServerless, `"SERVERLESS"`, `"FLEX"`, 1), 400, "INVALID_ATTRIBUTE"},
		{less, strings.Replace(toServerless, `"US_EAST_1"`, `""`, 1), 400, "INVALID_REGION"},
		{tenant, `{"name": "orders", "providerSettings": {}}`, 400, "MISSING_ATTRIBUTE"},
		{tenant, strings.Replace(toFlex, `"instanceSizeName": "FLEX"`, `"instanceSizeName": "M0"`, 1), 400, "INVALID_ATTRIBUTE"},
		{tenant, named(toFlex, "five"), 400, "ATLAS_GENERAL_ERROR"},
	} {
		b.upgrade(c.endpoint, c.body).want(t, c.status, map[string]any{"errorCode": c.code})
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
	b.upgrade("/clusters/tenantUpgrade", toFlex).want(t, 200, map[string]any{"stateName": "UPDATING", "id": oldID, "tags": tags("old", "tag")})
	b.clock.Advance(29 * time.Second)
	b.do("GET", flexs+"/orders", "").want(t, 400, map[string]any{"errorCode": "CANNOT_USE_NON_FLEX_CLUSTER_IN_FLEX_API"})
	b.clock.Advance(30 * time.Second)
	b.do("GET", flexs+"/orders", "").want(t, 404, map[string]any{"errorCode": "CLUSTER_NOT_FOUND"})
	b.shared().want(t, 200, map[string]any{"stateName": "UPDATING"})

	b.clock.Advance(time.Second)
	b.do("GET", flexs+"/orders", "").want(t, 200, map[string]any{"stateName": "IDLE", "tags": tags("old", "tag")})
	b.shared().wantError(t, 400, "CANNOT_USE_FLEX_CLUSTER_IN_CLUSTER_API", "Flex cluster orders cannot be used in the Cluster API.", "orders")

	b.do("POST", root+"/flexClusters:tenantUpgrade", toM10).want(t, 200, map[string]any{"stateName": "UPDATING"})
	b.do("GET", flexs+"/orders", "").want(t, 200, map[string]any{"stateName": "UPDATING"})
	b.clock.Advance(time.Minute)
	b.shared().want(t, 200, map[string]any{"stateName": "IDLE"})
	equal(t, "kind", b.sim.Clusters()[0].Kind, atlassim.DEDICATED)
}

func TestServerlessAsFlex(t *testing.T) {
	t.Parallel()
	b := setupShared(t, atlassim.Config{ServerlessAsFlex: true})
	b.upgrade("/clusters/tenantUpgradeToServerless", toServerless).want(t, 200, map[string]any{"stateName": "UPDATING"})
	b.serverless().want(t, 200, map[string]any{"stateName": "IDLE"})
	b.do("GET", flexs+"/orders", "").want(t, 200, map[string]any{"stateName": "IDLE"})
}
