package atlassim_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
)

func TestControl(t *testing.T) {
	t.Parallel()
	b := setup(t, atlassim.Config{ClientID: "mdb_sa_id_1", ClientSecret: "mdb_sa_sk_1", TokenTTL: minute,
		DeleteSharedFor: minute})
	b.do("GET", "/sim/healthz", "").want(t, 200, attrs{"status": "ok"})
	equal(t, "empty ledger", b.do("GET", "/sim/ledger", "").raw, "[]\n")

	b.do("POST", "/sim/shared", `{"groupId": "`+group+`", "name": "orders"}`).want(t, 204, nil)
	b.do("POST", "/sim/flex", `{"groupId": "`+group+`", "cluster": `+flexBody("flex")+`}`).want(t, 204, nil)
	b.do("POST", "/sim/state", `{"groupId": "`+group+`", "name": "flex", "state": "REPAIRING"}`).want(t, 204, nil)
	var clusters []atlassim.Cluster
	if err := json.Unmarshal([]byte(b.do("GET", "/sim/clusters", "").raw), &clusters); err != nil ||
		len(clusters) != 2 {
		t.Fatalf("%v %v", clusters, err)
	}
	equal(t, "states", []string{clusters[0].State, clusters[1].State}, []string{"IDLE", "REPAIRING"})
	b.do("DELETE", "/sim/clusters/"+group+"/orders", "").want(t, 204, nil)
	equal(t, "deleted", b.sim.Clusters()[0].State, "DELETING")

	token := b.token("mdb_sa_id_1", "mdb_sa_sk_1").json["access_token"].(string)
	get := func() *reply {
		r := b.request("GET", flexs, flexVersion, "")
		r.Header.Set("Authorization", "Bearer "+token)
		return b.send(r)
	}
	b.do("POST", "/sim/faults", `[{"kind": "html", "path": "flexClusters"}]`).want(t, 204, nil)
	get().want(t, 502, nil)
	b.do("DELETE", "/sim/faults", "").want(t, 204, nil)
	get().want(t, 200, nil)
	b.do("POST", "/sim/revoke-tokens", "").want(t, 204, nil)
	get().want(t, 401, nil)

	for path, body := range map[string]string{
		"/sim/shared": `{"groupId": "x", "name": "orders"}`,
		"/sim/flex":   `{"groupId": "` + group + `", "cluster": {}}`,
		"/sim/state":  `{"groupId": "` + group + `", "name": "nobody"}`,
		"/sim/faults": `[{"kind": "html"}, {"kind": "explode"}]`,
	} {
		r := b.do("POST", path, body)
		if r.status != 400 || r.json["error"] == "" {
			t.Errorf("%s: %d %s", path, r.status, r.raw)
		}
	}
	get().want(t, 401, nil) // all or none of the faults

	var ledger []atlassim.Entry
	raw := b.do("GET", "/sim/ledger", "").raw
	if err := json.Unmarshal([]byte(raw), &ledger); err != nil || len(ledger) != 5 {
		t.Fatalf("%d entries, %v", len(ledger), err)
	}
	if strings.Contains(raw, token) || strings.Contains(raw, "mdb_sa_sk_1") {
		t.Error("the ledger shows a credential")
	}
	equal(t, "faulty entry", []any{ledger[1].Fault, ledger[1].Status, ledger[1].Auth, ledger[1].Accept},
		[]any{atlassim.FaultHTML, 502, atlassim.AuthBearer, "application/vnd.atlas.2024-11-13+json"})
}

func TestConfigJSON(t *testing.T) {
	t.Parallel()
	cfg := atlassim.Config{CreateFor: minute, DeleteFor: minute, RefillPerMinute: 1}
	err := json.Unmarshal([]byte(`{"createFor": "3s", "rateLimit": 7, "groups": ["`+group+`"],
		"shared": [{"groupId": "`+group+`", "name": "orders"}], "faults": [{"kind": "hang", "hang": "2s"}]}`), &cfg)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "durations", []atlassim.Duration{cfg.CreateFor, cfg.DeleteFor, cfg.Faults[0].Hang},
		[]atlassim.Duration{3 * second, minute, 2 * second})
	b := setup(t, cfg)
	equal(t, "seeded", b.sim.Clusters()[0].Name, "orders")
	for _, bad := range []string{`{"creatFor": "3s"}`, `{"createFor": 3}`, `{"faults": [{"kin": "lost"}]}`} {
		if err := json.Unmarshal([]byte(bad), new(atlassim.Config)); err == nil {
			t.Errorf("%s is accepted", bad)
		}
	}
}

func TestNewNamesEveryMistake(t *testing.T) {
	t.Parallel()
	_, err := atlassim.New(atlassim.Config{PublicKey: "a", ClientSecret: "b", RateLimit: -1, Groups: []string{"x"},
		RetiredVersions: []string{"y"}, Faults: []atlassim.Fault{{Kind: "explode", Times: -1}},
		Shared: []atlassim.SharedCluster{{}}})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{"publicKey and privateKey", "clientId and clientSecret", "rateLimit: -1",
		`groups: "x"`, `retiredVersions: "y"`, `faults[0]: kind: "explode"`, "shared cluster"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in: %v", want, err)
		}
	}
	equal(t, "lines", strings.Count(err.Error(), "\n"), 6)
}

// A zero means zero, so what cannot be zero or below is refused, by its name in JSON.
func TestNewRefusesWhatCannotWork(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		config atlassim.Config
		want   string
	}{
		{config: atlassim.Config{CreateFor: -second}, want: "createFor: -1s must not be negative"},
		{config: atlassim.Config{TokensPerMinute: -1}, want: "tokensPerMinute: -1 must not be negative"},
		{config: atlassim.Config{ClientID: "id", ClientSecret: "s"},
			want: "tokenTTL: 0 makes tokens that are never good; DefaultConfig has an hour"},
		{config: atlassim.Config{RateLimit: 1}, want: "refillPerMinute: 0 never fills the bucket of rateLimit again"},
	} {
		if _, err := atlassim.New(test.config); err == nil || err.Error() != test.want {
			t.Errorf("got %v, want %s", err, test.want)
		}
	}
}
