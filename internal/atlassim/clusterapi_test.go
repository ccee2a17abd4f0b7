package atlassim_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
)

// clusterBody asks the cluster API for a cluster; more are further attributes, each with its comma.
func clusterBody(name, provider, size, more string) string {
	return fmt.Sprintf(`{"name": %q, %s "clusterType": "REPLICASET",
		"replicationSpecs": [{"zoneName": "Zone 1", "regionConfigs": [{
		"providerName": %q, "backingProviderName": "AWS", "regionName": "US_EAST_1", "priority": 7,
		"electableSpecs": {"instanceSize": %q, "nodeCount": 3}}]}]}`, name, more, provider, size)
}

func (b *fixture) clusterAPI(method, path, version, body string) *reply {
	b.t.Helper()
	return b.send(b.request(method, root+"/clusters"+path, version, body))
}

// keys are the attributes of an object, sorted and joined.
func keys(object any) string {
	var names []string
	for name := range object.(map[string]any) {
		names = append(names, name)
	}
	return sortedFields(names)
}

func TestFreeCluster(t *testing.T) {
	t.Parallel()
	b := setup(t, atlassim.DefaultConfig())
	body := clusterBody("free", "TENANT", "M0", "")
	made := b.clusterAPI("POST", "", "2023-02-01", body)
	made.want(t, 201, attrs{"stateName": "CREATING", "diskSizeGB": 0.5})
	equal(t, "Deprecation", made.header.Get("Deprecation"), "Mon, 5 Aug 2024 00:00:00 GMT")
	if _, has := made.json["tags"]; has {
		t.Error("a create without tags is answered with tags")
	}
	sentence := "This project has reached the limit for the number of free clusters."
	b.clusterAPI("POST", "", "2024-10-23", clusterBody("second", "TENANT", "M0", "")).
		wantError(t, 400, "CANNOT_CREATE_FREE_CLUSTER_VIA_PUBLIC_API",
			"Cannot create a cluster with instance size M0 via the public api: "+sentence, sentence)

	b.clock.Advance(8 * time.Second)
	ready := b.clusterAPI("GET", "/free", "2024-08-05", "")
	ready.want(t, 200, attrs{"stateName": "IDLE", "tags": []any{}, "effectiveDatabaseEdition": "CORE"})
	equal(t, "strings of an M0 that is IDLE", keys(ready.json["connectionStrings"]), "standardSrv")
	b.clock.Advance(2 * time.Second)
	equal(t, "strings later", keys(b.clusterAPI("GET", "/free", "2024-08-05", "").json["connectionStrings"]),
		"standard standardSrv")

	b.clusterAPI("DELETE", "/free", "2023-02-01", "").want(t, 202, attrs{})
	b.clusterAPI("DELETE", "/free", "2023-02-01", "").wantCode(t, 400, "ATLAS_GENERAL_ERROR")
	b.clusterAPI("POST", "", "2024-10-23", body).wantCode(t, 400, "DUPLICATE_CLUSTER_NAME")
	b.clock.Advance(25 * time.Second)
	b.clusterAPI("GET", "/free", "2024-08-05", "").want(t, 200, attrs{"stateName": "DELETING"})
	b.clock.Advance(time.Second)
	b.clusterAPI("GET", "/free", "2024-08-05", "").want(t, 404, nil)
	b.clusterAPI("POST", "", "2024-10-23", body).want(t, 201, nil)
}

func TestDedicatedCluster(t *testing.T) {
	t.Parallel()
	b := setup(t, atlassim.DefaultConfig())
	b.clusterAPI("POST", "", "2024-10-23", clusterBody("orders", "AWS", "M10",
		`"tags": [{"key": "team", "value": "orders"}], "backupEnabled": true, "terminationProtectionEnabled": true,`)).
		want(t, 201, attrs{"stateName": "CREATING", "tags": tags("team", "orders"), "backupEnabled": true})
	b.clock.Advance(10 * time.Minute)
	b.clusterAPI("GET", "/orders", "2024-08-05", "").want(t, 200, attrs{"stateName": "IDLE"})

	b.clusterAPI("DELETE", "/orders", "2023-02-01", "").
		wantError(t, 400, "CANNOT_TERMINATE_CLUSTER_WHEN_TERMINATION_PROTECTION_ENABLED",
			"Cannot terminate a cluster when termination protection is enabled. Disable termination protection "+
				"and try again.",
			"Cannot terminate cluster orders in group "+group+
				" because termination protection is enabled. Disable termination protection and try again.")

	// The answer to every PATCH is UPDATING; what is left out stays.
	b.clusterAPI("PATCH", "/orders", "2024-10-23", `{"terminationProtectionEnabled": false}`).
		want(t, 200, attrs{"stateName": "UPDATING", "terminationProtectionEnabled": false,
			"tags": tags("team", "orders")})
	b.clusterAPI("GET", "/orders", "2024-08-05", "").want(t, 200, attrs{"stateName": "UPDATING"})
	b.clock.Advance(10 * time.Second)
	b.clusterAPI("GET", "/orders", "2024-08-05", "").want(t, 200, attrs{"stateName": "IDLE"})

	b.clusterAPI("PATCH", "/orders", "2024-10-23", `{"paused": true}`).want(t, 200, attrs{"paused": true})
	b.clusterAPI("PATCH", "/orders", "2024-10-23", `{"tags": []}`).
		want(t, 409, attrs{"errorCode": "CANNOT_UPDATE_PAUSED_CLUSTER", "parameters": []any{"orders"}})
	b.clusterAPI("PATCH", "/orders", "2024-10-23", `{"paused": false, "tags": []}`).want(t, 200, attrs{"tags": []any{}})

	b.clusterAPI("DELETE", "/orders?retainBackups=false", "2023-02-01", "").want(t, 202, attrs{})
	b.clock.Advance(5*time.Minute - time.Second)
	b.clusterAPI("GET", "/orders", "2024-08-05", "").want(t, 200, attrs{"stateName": "DELETING"})
	b.clock.Advance(time.Second)
	b.clusterAPI("GET", "/orders", "2024-08-05", "").want(t, 404, nil)
	b.clusterAPI("PATCH", "/orders", "2024-10-23", `{}`).want(t, 404, nil)
}

func TestClusterRequestIsValidated(t *testing.T) {
	t.Parallel()
	b := setup(t, atlassim.Config{})
	m10 := clusterBody("orders", "AWS", "M10", "")
	for _, test := range []struct {
		name, body, code string
	}{
		{name: "no specs", body: `{"name": "orders"}`, code: "MISSING_ATTRIBUTE"},
		{name: "sharded", body: strings.Replace(m10, "REPLICASET", "SHARDED", 1), code: "INVALID_ATTRIBUTE"},
		{name: "a tenant of another size", body: clusterBody("orders", "TENANT", "M10", ""), code: "INVALID_ATTRIBUTE"},
		{name: "a dedicated M0", body: clusterBody("orders", "AWS", "M0", ""), code: "INVALID_ATTRIBUTE"},
		{name: "unknown region", body: strings.Replace(m10, "US_EAST_1", "MOON_1", 1), code: "INVALID_REGION"},
		{name: "unknown attribute", body: clusterBody("orders", "AWS", "M10", `"colour": "red",`),
			code: "INVALID_ATTRIBUTE"},
		{name: "bad tag", body: clusterBody("orders", "AWS", "M10", `"tags": [{"key": "a/b", "value": "c"}],`),
			code: "INVALID_ATTRIBUTE"},
	} {
		t.Run(test.name, func(t *testing.T) {
			b.clusterAPI("POST", "", "2024-10-23", test.body).wantCode(t, 400, test.code)
		})
	}
	equal(t, "clusters", len(b.sim.Clusters()), 0)
}

// The cluster API describes a cluster in three shapes, and takes its own descriptions back.
func TestShapesOfClusters(t *testing.T) {
	t.Parallel()
	b := setup(t, atlassim.Config{})
	b.clusterAPI("POST", "", "2024-10-23", clusterBody("orders", "AWS", "M10", "")).want(t, 201, nil)
	spec := func(r *reply) map[string]any { return r.json["replicationSpecs"].([]any)[0].(map[string]any) }

	newest := b.clusterAPI("GET", "/orders", "2024-08-05", "")
	equal(t, "2024-08-05", keys(spec(newest)), "id regionConfigs zoneId zoneName")
	equal(t, "region", keys(spec(newest)["regionConfigs"].([]any)[0]),
		"analyticsSpecs autoScaling effectiveAnalyticsSpecs effectiveElectableSpecs effectiveReadOnlySpecs "+
			"electableSpecs priority providerName readOnlySpecs regionName")
	older := b.clusterAPI("GET", "/orders", "2023-02-01", "")
	equal(t, "2023-02-01", keys(spec(older)), "id numShards regionConfigs zoneId zoneName")
	equal(t, "diskSizeGB", older.json["diskSizeGB"], 40.0)
	oldest := b.send(b.request("GET", "/api/atlas/v1.0/groups/"+group+"/clusters/orders", "", ""))
	equal(t, "v1.0", keys(oldest.json["providerSettings"]), "autoScaling instanceSizeName providerName regionName")
	equal(t, "v1.0's Content-Type", oldest.header.Get("Content-Type"), "application/json")
	equal(t, "v1.0's RateLimit-Limit", oldest.header.Get("RateLimit-Limit"), "")
	equal(t, "mongoURI", strings.HasPrefix(oldest.json["mongoURI"].(string), "mongodb://"), true)

	b.clusterAPI("PATCH", "/orders", "2024-10-23", newest.raw).want(t, 200, attrs{"stateName": "UPDATING"})
}

func TestWhatElseClientsAsk(t *testing.T) {
	t.Parallel()
	b := setup(t, atlassim.Config{})
	b.clusterAPI("POST", "", "2024-10-23", clusterBody("orders", "AWS", "M10", "")).want(t, 201, nil)
	b.create("flex").want(t, 201, nil)

	args := "/orders/processArgs"
	b.clusterAPI("GET", args, "2024-08-05", "").want(t, 200, attrs{"javascriptEnabled": true,
		"minimumEnabledTlsProtocol": "TLS1_2"})
	b.clusterAPI("PATCH", args, "2024-08-05", `{"javascriptEnabled": false}`).want(t, 200,
		attrs{"javascriptEnabled": false})
	b.clusterAPI("GET", args, "2024-08-05", "").want(t, 200, attrs{"javascriptEnabled": false})
	b.clusterAPI("PATCH", args, "2024-08-05", `null`).wantCode(t, 400, "MALFORMED_JSON")
	b.clusterAPI("GET", "/flex/processArgs", "2024-08-05", "").
		wantCode(t, 400, "CANNOT_USE_FLEX_CLUSTER_IN_CLUSTER_API")
	b.clusterAPI("GET", "/orders/status", "2023-01-01", "").want(t, 200, attrs{"changeStatus": "APPLIED"})
	b.clusterAPI("GET", "/orders/autoScalingConfiguration", "2024-08-05", "").want(t, 200,
		attrs{"autoScalingMode": "CLUSTER_WIDE_SCALING"})
	equal(t, "clouds", b.clusterAPI("GET", "/provider/regions", "2023-01-01", "").json["totalCount"], 3.0)
	one := b.clusterAPI("GET", "/provider/regions?providers=GCP", "2023-01-01", "")
	equal(t, "one cloud", one.json["totalCount"], 1.0)
	b.do("GET", root, "").want(t, 200, attrs{"id": group, "clusterCount": 2.0})
	b.do("GET", root+"/containers?providerName=AWS", "").want(t, 200, attrs{"results": []any{}, "totalCount": 0.0})
	b.do("GET", root+"/nothing", "").wantCode(t, 404, "RESOURCE_NOT_FOUND")
	b.do("POST", root+"/clusters/orders/status", "{}").want(t, 405, nil)
}

func TestEnvelopeAndPretty(t *testing.T) {
	t.Parallel()
	b := setup(t, atlassim.Config{})
	b.create("orders").want(t, 201, nil)
	one := b.do("GET", flexs+"/orders?envelope=true", "")
	one.want(t, 200, attrs{"status": 200.0})
	equal(t, "content", one.json["content"].(map[string]any)["name"], any("orders"))
	b.do("GET", flexs+"?envelope=true", "").want(t, 200, attrs{"status": 200.0, "totalCount": 1.0})
	gone := b.do("GET", flexs+"/nobody?envelope=true", "")
	gone.want(t, 200, attrs{"status": 404.0})
	equal(t, "content", gone.json["content"].(map[string]any)["errorCode"], any("CLUSTER_NOT_FOUND"))
	b.do("DELETE", flexs+"/orders?envelope=true", "").want(t, 200, attrs{"status": 204.0, "content": attrs{}})
	pretty := b.do("GET", root+"?pretty=true", "")
	if !strings.HasPrefix(pretty.raw, "{\n  \"") {
		t.Errorf("not spread over lines: %s", pretty.raw)
	}
}
