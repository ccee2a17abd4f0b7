package atlassim_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim/atlassimtest"
)

// read makes the request that a server would read from a connection; nil where
// net/http itself would refuse it.
func read(method, target, accept, contentType, authorization, body string) *http.Request {
	raw := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: atlas-sim\r\nAccept: %s\r\n"+
		"Content-Type: %s\r\nAuthorization: %s\r\nContent-Length: %d\r\n\r\n%s",
		method, target, accept, contentType, authorization, len(body), body)
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(raw)))
	if err != nil {
		return nil
	}
	return r
}

// FuzzRequest holds that no request makes the simulator panic or answer
// anything but what Atlas would: JSON with the code in body and header, an
// effect only where it says so, and nothing at all without a credential.
func FuzzRequest(f *testing.F) {
	const media = "application/vnd.atlas.2024-11-13+json"
	for _, s := range []struct{ method, target, body string }{
		{method: "POST", target: flexs, body: flexBody("orders")},
		{method: "GET", target: flexs + "?pageNum=2&itemsPerPage=500&includeCount=false"},
		{method: "GET", target: flexs + "/present"}, {method: "PATCH", target: flexs + "/present",
			body: `{"tags":[{"key":"k","value":"v"}]}`},
		{method: "DELETE", target: flexs + "/present"},
		{method: "GET", target: root + "/clusters/shared"}, {method: "GET", target: root + "/serverless/shared"},
		{method: "POST", target: root + "/clusters/tenantUpgradeToServerless",
			body: strings.Replace(toServerless, `"orders"`, `"shared"`, 1)},
		{method: "POST", target: root + "/clusters/tenantUpgrade",
			body: strings.Replace(toFlex, `"orders"`, `"shared"`, 1)},
		{method: "POST", target: root + "/flexClusters:tenantUpgrade",
			body: strings.Replace(toM10, `"orders"`, `"present"`, 1)},
		{method: "POST", target: root + "/clusters", body: clusterBody("m0", "TENANT", "M0", "")},
		{method: "POST", target: root + "/clusters", body: clusterBody("m10", "AWS", "M10",
			`"tags": [{"key": "k", "value": "v"}],`)},
		{method: "PATCH", target: root + "/clusters/shared", body: `{"tags":[],"terminationProtectionEnabled":true}`},
		{method: "DELETE", target: root + "/clusters/shared"}, {method: "GET", target: root +
			"/clusters/nobody?envelope=true&pretty=true"},
		{method: "GET", target: root + "/clusters?envelope=true"},
		{method: "GET", target: root + "/clusters/provider/regions?providers=AWS"},
		{method: "PATCH", target: root + "/clusters/shared/processArgs", body: `{"javascriptEnabled":false,"x":[{}]}`},
		{method: "GET", target: root + "/clusters/shared/status"},
		{method: "GET", target: root + "/clusters/shared/autoScalingConfiguration"},
		{method: "GET", target: root + "/containers"}, {method: "GET", target: root},
		{method: "GET", target: "/api/atlas/v1.0/groups/" + group + "/clusters/shared"},
		{method: "POST", target: "/api/atlas/v1.0/groups/" + group + "/clusters/tenantUpgrade",
			body: strings.Replace(toFlex, "orders", "shared", 1)},
		{method: "POST", target: "/api/oauth/revoke", body: "token=x"},
		{method: "GET", target: "/api/atlas/v2"}, {method: "POST", target: "/api/oauth/token",
			body: "grant_type=client_credentials"},
		{method: "POST", target: "/sim/faults", body: `[{"kind":"hang","path":"(","hang":"1s"}]`},
		{method: "POST", target: "/sim/shared", body: `{"groupId":"` + group + `","name":"b"}`},
		{method: "POST", target: "/sim/flex", body: `{"groupId":"` + group + `","cluster":` + flexBody("c") + `}`},
		{method: "DELETE", target: "/sim/clusters/" + group + "/present"},
		{method: "POST", target: "/sim/state", body: `{"groupId":"` + group + `","name":"present",` +
			`"state":"REPAIRING"}`},
		{method: "GET", target: "/sim/ledger"},
		{method: "GET", target: flexs + "/%2e%2e%2fx%00"}, {method: "GET", target: "//sim/../api/atlas/v2"},
		{method: "OPTIONS", target: "*"},
		{method: "GET", target: "http://elsewhere" + flexs},
		{method: "POST", target: flexs, body: `{"name":` + strings.Repeat("[", 10001)},
		{method: "POST", target: flexs, body: `{"name":"a"}{}`}, {method: "POST", target: flexs, body: "null"},
	} {
		f.Add(s.method, s.target, media, media, "", s.body)
	}
	f.Add("GET", flexs, "text/html, application/vnd.atlas.9999-99-99+json", "", `Digest username="u", nc=zz, uri="`, "")
	f.Add("GET", flexs, media, "", "Basic Og==", "")

	f.Fuzz(func(t *testing.T, method, target, accept, contentType, authorization, body string) {
		for _, locked := range []bool{false, true} {
			r := read(method, target, accept, contentType, authorization, body)
			if r == nil {
				return
			}
			cfg := atlassim.DefaultConfig()
			cfg.Now, cfg.Shared = atlassimtest.NewClock().Now, []atlassim.SharedCluster{
				{GroupID: group, Name: "shared"},
			}
			if locked {
				cfg.ClientID, cfg.ClientSecret, cfg.AccessToken = "id", "c2f1e5-client-secret", "c2f1e5-access-token"
			}
			sim, err := atlassim.New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			if err := sim.CreateFlex(group, atlassim.FlexRequest{
				Name: "present",
				ProviderSettings: atlassim.FlexProvider{
					BackingProviderName: "AWS",
					RegionName:          "US_EAST_1",
				},
			}); err != nil {
				t.Fatal(err)
			}
			before := fmt.Sprint(sim.Clusters())
			w := httptest.NewRecorder()
			sim.ServeHTTP(w, r)
			if strings.HasPrefix(r.URL.Path, "/sim/") {
				continue // its state is whatever it was told
			}
			checkAnswer(t, sim, w, before, locked)
			for _, c := range sim.Clusters() {
				if len(c.Name) == 0 || len(c.Name) > 64 || strings.ContainsAny(c.Name, "/ \x00") {
					t.Errorf("there is a cluster of the name %q", c.Name)
				}
			}
		}
	})
}

func checkAnswer(t *testing.T, sim *atlassim.Server, w *httptest.ResponseRecorder, before string, locked bool) {
	t.Helper()
	ledger := sim.Ledger()
	if len(ledger) != 1 || ledger[0].Status != w.Code {
		t.Fatalf("answered %d, in the ledger: %+v", w.Code, ledger)
	}
	e, after := ledger[0], fmt.Sprint(sim.Clusters())
	// An update may set what was set before.
	if e.Effect != atlassim.Updated && (e.Effect == atlassim.NoEffect) != (before == after) {
		t.Errorf("effect %q, but before\n%s\nafter\n%s", e.Effect, before, after)
	}
	if e.Effect != atlassim.NoEffect && (w.Code < 200 || w.Code > 299) {
		t.Errorf("answered %d with the effect %q", w.Code, e.Effect)
	}
	token := e.Path == "/api/oauth/token" || e.Path == "/api/oauth/revoke"
	if locked && (e.Authenticated || e.Effect != atlassim.NoEffect || w.Code < 400 ||
		!token && w.Code != http.StatusUnauthorized) {
		t.Errorf("without a credential: %+v", e)
	}
	if w.Body.Len() == 0 && w.Code == http.StatusNoContent {
		return
	}
	var said struct {
		ErrorCode string `json:"errorCode"`
		Content   struct {
			ErrorCode string `json:"errorCode"`
		} `json:"content"` // in an envelope
	}
	if err := json.Unmarshal(w.Body.Bytes(), &said); err != nil {
		t.Fatalf("answered %d %q: %v", w.Code, w.Body, err)
	}
	if !token && (w.Code >= 400) != (said.ErrorCode != "") {
		t.Errorf("answered %d %s", w.Code, w.Body)
	}
	if h := w.Header().Get("X-Error-Code"); h != "" && h != said.ErrorCode && h != said.Content.ErrorCode {
		t.Errorf("X-Error-Code %q with the body %s", h, w.Body)
	}
}
