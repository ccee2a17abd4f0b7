package atlassim_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
)

func TestFlexLife(t *testing.T) {
	t.Parallel()
	b := setup(t, atlassim.Config{CreateFor: 8 * second, DeleteFor: 5 * second})
	made := b.create("Orders")
	made.want(t, 201, attrs{"stateName": "CREATING", "name": "Orders", "groupId": group, "clusterType": "REPLICASET",
		"createDate": "2026-09-01T12:00:00Z", "terminationProtectionEnabled": false, "tags": tags("team", "orders"),
		"versionReleaseSystem": "LTS",
		"providerSettings": attrs{"backingProviderName": "AWS", "diskSizeGB": 5.0, "providerName": "FLEX",
			"regionName": "US_EAST_1"}})
	srv := made.json["connectionStrings"].(map[string]any)
	if s, _ := srv["standardSrv"].(string); len(srv) != 1 || !strings.HasPrefix(s, "mongodb+srv://orders.") {
		t.Errorf("connectionStrings after a create: %v", srv)
	}
	get := func() *reply { return b.do("GET", flexs+"/Orders", "") }

	b.clock.Advance(7 * time.Second)
	get().want(t, 200, attrs{"stateName": "CREATING", "id": made.json["id"], "tags": tags("team", "orders"),
		"connectionStrings": made.json["connectionStrings"]})
	b.clock.Advance(time.Second)
	ready := get()
	ready.want(t, 200, attrs{"stateName": "IDLE", "createDate": "2026-09-01T12:00:00Z"})
	if s, _ := ready.json["connectionStrings"].(map[string]any)["standard"].(string); !strings.HasPrefix(s,
		"mongodb://") || !strings.Contains(s, "/?ssl=true&authSource=admin&replicaSet=") {
		t.Errorf("connectionStrings.standard of an IDLE cluster: %q", s)
	}

	gone := b.do("DELETE", flexs+"/Orders", "")
	gone.want(t, 204, nil)
	equal(t, "body", gone.raw, "")
	equal(t, "Content-Type", gone.header.Get("Content-Type"), "application/vnd.atlas.2024-11-13+json;charset=utf-8")
	get().want(t, 200, attrs{"stateName": "DELETING"})
	b.do("DELETE", flexs+"/Orders", "").wantError(t, 400, "ATLAS_GENERAL_ERROR",
		"Reason: Cluster already requested to be deleted.", "Cluster already requested to be deleted")
	b.clock.Advance(5 * time.Second)
	get().wantError(t, 404, "CLUSTER_NOT_FOUND", "No cluster named Orders exists in group "+group+".", "Orders", group)
	b.create("Orders").want(t, 201, nil)

	effects := []atlassim.Effect{}
	for _, e := range b.sim.Ledger() {
		if e.Effect != "" {
			effects = append(effects, e.Effect)
		}
	}
	equal(t, "effects", effects, []atlassim.Effect{"created", "deleted", "created"})
}

func TestNamesAreTaken(t *testing.T) {
	t.Parallel()
	b := setup(t, atlassim.Config{NameHeldFor: minute})
	b.create("orders").want(t, 201, nil)
	b.create("orders").wantError(t, 400, "DUPLICATE_CLUSTER_NAME",
		"A cluster or serverless instance named orders is already present in group "+group+".",
		"cluster or serverless instance orders", group)
	b.do("POST", "/api/atlas/v2/groups/"+other+"/flexClusters", flexBody("orders")).want(t, 201, nil)

	b.do("DELETE", flexs+"/orders", "").want(t, 204, nil)
	held := "A transient error occurred. Please try again in a minute or use a different name."
	b.create("orders").wantError(t, 400, "CONTAINER_WAITING_FOR_FAST_RECORD_CLEAN_UP", held, held)
	b.clock.Advance(time.Minute)
	b.create("orders").want(t, 201, nil)
}

func TestSlowAppearances(t *testing.T) {
	t.Parallel()
	b := setup(t, atlassim.Config{CreateFor: 10 * second, HiddenFor: 2 * second,
		RepairingFor: 5 * second, StandardAfter: 3 * second})
	b.create("orders").want(t, 201, nil)
	standard := func(r *reply) bool {
		_, has := r.json["connectionStrings"].(map[string]any)["standard"]
		return has
	}

	b.clock.Advance(time.Second)
	b.do("GET", flexs+"/orders", "").want(t, 404, nil)
	equal(t, "hidden from the list", b.do("GET", flexs, "").json["totalCount"], 0.0)
	b.create("orders").wantCode(t, 400, "DUPLICATE_CLUSTER_NAME")
	for _, step := range []struct {
		after    time.Duration
		state    string
		standard bool
	}{{after: time.Second, state: "CREATING"}, {after: 8 * time.Second, state: "REPAIRING"},
		{after: 5 * time.Second, state: "IDLE"},
		{after: 3 * time.Second, state: "IDLE", standard: true}} {
		b.clock.Advance(step.after)
		r := b.do("GET", flexs+"/orders", "")
		r.want(t, 200, attrs{"stateName": step.state})
		equal(t, "standard while "+step.state, standard(r), step.standard)
	}
}

func TestNoStringsYet(t *testing.T) {
	t.Parallel()
	b := setup(t, atlassim.Config{CreateFor: 8 * second, NoStringsYet: true})
	b.create("orders").want(t, 201, attrs{"connectionStrings": attrs{}})
	b.clock.Advance(8 * time.Second)
	if conn := b.do("GET", flexs+"/orders", "").json["connectionStrings"].(map[string]any); len(conn) != 2 {
		t.Errorf("when IDLE: %v", conn)
	}
}

func TestPatchAndProtection(t *testing.T) {
	t.Parallel()
	b := setup(t, atlassim.Config{DeleteFor: second})
	b.create("orders").want(t, 201, nil)
	path := flexs + "/orders"
	b.do("PATCH", path, `{"terminationProtectionEnabled": true}`).
		want(t, 200, attrs{"terminationProtectionEnabled": true, "tags": tags("team", "orders")})
	b.do("DELETE", path, "").wantError(t, 400, "ATLAS_GENERAL_ERROR",
		"Reason: Cannot terminate a cluster when termination protection is enabled.",
		"Cannot terminate a cluster when termination protection is enabled")
	b.do("PATCH", path, `{"tags": [], "terminationProtectionEnabled": false}`).
		want(t, 200, attrs{"terminationProtectionEnabled": false, "tags": []any{}})
	b.do("PATCH", path, `{"name": "other"}`).wantError(t, 400, "INVALID_ATTRIBUTE", "Invalid attribute name specified.",
		"name")
	b.do("DELETE", path, "").want(t, 204, nil)
	b.do("PATCH", path, `{"tags": []}`).wantCode(t, 400, "ATLAS_GENERAL_ERROR")
}

func TestIgnoredDeletes(t *testing.T) {
	t.Parallel()
	b := setup(t, atlassim.Config{IgnoredDeletes: 1, DeleteFor: second})
	b.create("orders").want(t, 201, nil)
	for _, state := range []string{"IDLE", "DELETING"} {
		b.do("DELETE", flexs+"/orders", "").want(t, 204, nil)
		b.do("GET", flexs+"/orders", "").want(t, 200, attrs{"stateName": state})
	}
	equal(t, "deletes with an effect", b.sim.Count(atlassim.Deleted), 1)
}

func TestSomebodyElse(t *testing.T) {
	t.Parallel()
	b := setup(t, atlassim.Config{DeleteFor: 5 * second, PublicKey: "abcdefgh", PrivateKey: "s3cret"})
	q := atlassim.FlexRequest{Name: "orders", ProviderSettings: atlassim.FlexProvider{BackingProviderName: "GCP",
		RegionName: "CENTRAL_US"}}
	if err := b.sim.CreateFlex(group, q); err != nil {
		t.Fatal(err)
	}
	if err := b.sim.CreateFlex(group, q); err == nil || !strings.Contains(err.Error(), "DUPLICATE_CLUSTER_NAME") {
		t.Errorf("twice: %v", err)
	}
	if err := b.sim.SetState(group, "orders", "REPAIRING"); err != nil {
		t.Fatal(err)
	}
	state := func() string { return b.sim.Clusters()[0].State }
	equal(t, "pinned", state(), "REPAIRING")
	_ = b.sim.SetState(group, "orders", "")
	equal(t, "unpinned", state(), "IDLE")
	if err := b.sim.Delete(group, "orders"); err != nil {
		t.Fatal(err)
	}
	equal(t, "deleted", state(), "DELETING")
	b.clock.Advance(5 * time.Second)
	equal(t, "clusters", len(b.sim.Clusters()), 0)
	if err := b.sim.Delete(group, "orders"); err == nil {
		t.Error("deleted what is gone")
	}
	equal(t, "ledger", len(b.sim.Ledger()), 0)
}

// The tags go with the first answer in DELETING; id and connection strings stay.
func TestTagsGoInDeleting(t *testing.T) {
	t.Parallel()
	b := setup(t, atlassim.DefaultConfig())
	b.create("orders").want(t, 201, nil)
	b.clock.Advance(8 * time.Second)
	get := func() *reply { return b.do("GET", flexs+"/orders", "") }
	before := get()
	before.want(t, 200, attrs{"stateName": "IDLE", "tags": tags("team", "orders")})
	b.do("DELETE", flexs+"/orders", "").want(t, 204, nil)
	get().want(t, 200, attrs{"stateName": "DELETING", "tags": []any{}, "id": before.json["id"],
		"connectionStrings": before.json["connectionStrings"]})
	listed := b.do("GET", flexs, "").json["results"].([]any)[0].(map[string]any)
	equal(t, "tags in the list", listed["tags"], any([]any{}))
	equal(t, "tags in the snapshot", b.sim.Clusters()[0].Tags, []atlassim.Tag{{Key: "team", Value: "orders"}})
	b.create("orders").wantCode(t, 400, "DUPLICATE_CLUSTER_NAME")
	b.clock.Advance(29 * time.Second)
	get().want(t, 200, attrs{"stateName": "DELETING"})
	b.clock.Advance(time.Second)
	get().want(t, 404, nil)
}

// An accepted delete can show the state of before for a moment, also that of a cluster that was CREATING.
func TestDeletingShowsLate(t *testing.T) {
	t.Parallel()
	b := setup(t, atlassim.Config{CreateFor: minute, DeletingAfter: 2 * second, DeleteFor: 30 * second})
	b.create("orders").want(t, 201, nil)
	b.do("DELETE", flexs+"/orders", "").want(t, 204, nil)
	b.do("GET", flexs+"/orders", "").want(t, 200, attrs{"stateName": "CREATING", "tags": tags("team", "orders")})
	b.do("DELETE", flexs+"/orders", "").wantCode(t, 400, "ATLAS_GENERAL_ERROR")
	b.clock.Advance(2 * time.Second)
	b.do("GET", flexs+"/orders", "").want(t, 200, attrs{"stateName": "DELETING", "tags": []any{}})
	b.clock.Advance(28 * time.Second)
	b.do("GET", flexs+"/orders", "").want(t, 404, nil)
}

func TestCreateTakesReadOnlyAttributes(t *testing.T) {
	t.Parallel()
	b := setup(t, atlassim.Config{})
	made := b.do("POST", flexs, `{"name": "orders", "links": [], "providerSettings": {"backingProviderName": "AWS",
		"regionName": "US_EAST_1", "providerName": "FLEX", "diskSizeGB": 7}}`)
	made.want(t, 201, attrs{"providerSettings": attrs{"backingProviderName": "AWS", "diskSizeGB": 5.0,
		"providerName": "FLEX", "regionName": "US_EAST_1"}})
	if _, has := made.json["tags"]; has {
		t.Error("a create without tags is answered with tags")
	}
}

// A PATCH is done when it is answered; before March 2026 the cluster was UPDATING for a second.
func TestPatchTakesATime(t *testing.T) {
	t.Parallel()
	b := setup(t, atlassim.Config{UpdateFor: second})
	b.create("orders").want(t, 201, nil)
	b.do("PATCH", flexs+"/orders", `{"tags": [{"key": "a", "value": "b"}]}`).
		want(t, 200, attrs{"stateName": "UPDATING", "tags": tags("a", "b")})
	b.do("GET", flexs+"/orders", "").want(t, 200, attrs{"stateName": "UPDATING"})
	b.clock.Advance(time.Second)
	b.do("GET", flexs+"/orders", "").want(t, 200, attrs{"stateName": "IDLE", "tags": tags("a", "b")})
}

// The states of a cluster's first minute, with every period that can be set.
func TestStatesBeforeAndAfterIdle(t *testing.T) {
	t.Parallel()
	b := setup(t, atlassim.Config{CreateFor: 10 * second, UpdatingFor: 10 * second, RepairingFor: 10 * second,
		UpdatingAgainAfter: 10 * second, UpdatingAgainFor: 10 * second})
	b.create("orders").want(t, 201, attrs{"stateName": "CREATING"})
	for _, state := range []string{"UPDATING", "REPAIRING", "IDLE", "UPDATING", "IDLE"} {
		b.clock.Advance(10 * time.Second)
		b.do("GET", flexs+"/orders", "").want(t, 200, attrs{"stateName": state})
	}
}

func TestTags(t *testing.T) {
	t.Parallel()
	b := setup(t, atlassim.Config{TrimTags: true})
	list := func(n int) string {
		out := make([]string, n)
		for i := range out {
			out[i] = fmt.Sprintf(`{"key": "k%d", "value": "v"}`, i)
		}
		return `{"tags": [` + strings.Join(out, ",") + `]}`
	}
	b.create("orders").want(t, 201, nil)
	patch := func(body string) *reply { return b.do("PATCH", flexs+"/orders", body) }
	patch(list(50)).want(t, 200, nil)
	patch(list(51)).wantError(t, 400, "INVALID_ATTRIBUTE", "Invalid attribute tags specified.", "tags")
	for _, test := range []struct{ key, value, refused string }{
		{key: "a; @_-.+9", value: "Grün"},
		{key: strings.Repeat("ü", 255), value: "v"},
		{key: strings.Repeat("ü", 256), value: "v", refused: "tags.key"},
		{key: "k", value: strings.Repeat("v", 256), refused: "tags.value"},
		{key: "", value: "v", refused: "tags.key"},
		{key: "k", value: "", refused: "tags.value"},
		{key: "github:company", value: "v", refused: "tags.key"},
		{key: "repo", value: "company/repo", refused: "tags.value"},
		{key: "at", value: "2026-11-25T11:00:00Z", refused: "tags.value"},
		{key: "k", value: "tab\tstop", refused: "tags.value"},
	} {
		r := patch(fmt.Sprintf(`{"tags": [{"key": %q, "value": %q}]}`, test.key, test.value))
		if test.refused == "" {
			r.want(t, 200, attrs{"tags": tags(test.key, test.value)})
			continue
		}
		r.wantError(t, 400, "INVALID_ATTRIBUTE", "Invalid attribute "+test.refused+" specified.", test.refused)
	}
	patch(`{"tags": [{"key": " k ", "value": "v "}]}`).want(t, 200, attrs{"tags": tags("k", "v")})
}

// An unknown region has another answer on each cloud; on GCP it is a 500 that never passes.
func TestUnknownRegions(t *testing.T) {
	t.Parallel()
	b := setup(t, atlassim.Config{})
	for _, test := range []struct {
		provider, code, detail string
		status                 int
		params                 []any
	}{
		{provider: "AWS", code: "INVALID_REGION", detail: "No region MOON_1 exists for provider AWS.", status: 400,
			params: []any{"MOON_1", "AWS"}},
		{provider: "AZURE", code: "INVALID_ATTRIBUTE", detail: "Invalid attribute regionName specified.", status: 400,
			params: []any{"regionName"}},
		{provider: "GCP", code: "UNEXPECTED_ERROR", detail: "Unexpected error.", status: 500},
		{provider: "GCP", code: "UNEXPECTED_ERROR", detail: "Unexpected error.", status: 500},
	} {
		body := strings.NewReplacer("AWS", test.provider, "US_EAST_1", "MOON_1").Replace(flexBody("orders"))
		b.do("POST", flexs, body).wantError(t, test.status, test.code, test.detail, test.params...)
	}
}
