package atlassim_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
)

// A well-signed request that is refused gets a fresh challenge, and a share of them can be.
func TestFaultUnauthorized(t *testing.T) {
	t.Parallel()
	b := setup(t, atlassim.Config{PublicKey: "abcdefgh", PrivateKey: "s3cret", Faults: []atlassim.Fault{
		{Kind: "unauthorized", Method: "POST", Times: 1, Stale: true},
		{Kind: "unauthorized", Method: "GET", Probability: 0.5, Seed: 7},
	}})
	signed := func(method, body, nonce string, nc int) *reply {
		r := b.request(method, flexs, flexVersion, body)
		digest(r, "abcdefgh", "s3cret", nonce, fmt.Sprintf("%08x", nc))
		return b.send(r)
	}
	nonce := b.nonce(b.create("orders"))
	refused := signed("POST", flexBody("orders"), nonce, 1)
	refused.wantCode(t, 401, "UNEXPECTED_ERROR")
	equal(t, "stale", strings.HasSuffix(refused.header.Get("WWW-Authenticate"), "stale=true"), true)
	equal(t, "clusters", len(b.sim.Clusters()), 0)
	signed("POST", flexBody("orders"), b.nonce(refused), 1).want(t, 201, nil)
	statuses := map[int]int{}
	for i := range 40 {
		statuses[signed("GET", "", nonce, i+2).status]++
	}
	if statuses[200] < 10 || statuses[401] < 10 || statuses[200]+statuses[401] != 40 {
		t.Errorf("half of the requests: %v", statuses)
	}
}

// Texts that are not UTF-8, and that hold control characters, come in body and header.
func TestFaultBadText(t *testing.T) {
	t.Parallel()
	b := setup(t, atlassim.Config{ClientID: "id", ClientSecret: "secret", TokenTTL: minute,
		Faults: []atlassim.Fault{{Kind: "badText", Status: 400, Times: 2}}})
	token := b.token("id", "secret")
	equal(t, "token: status", token.status, 400)
	r := b.request("GET", flexs, flexVersion, "")
	r.Header.Set("Authorization", "Bearer x") // refused before any fault
	b.send(r).want(t, 401, nil)

	open := setup(t, atlassim.Config{Faults: []atlassim.Fault{{Kind: "badText"}}})
	got := open.create("orders")
	equal(t, "status", got.status, 503)
	for what, text := range map[string]string{"token": token.raw, "body": got.raw,
		"header": got.header.Get("X-Error-Code")} {
		if utf8.ValidString(text) {
			t.Errorf("%s is UTF-8: %q", what, text)
		}
	}
	for _, r := range []*reply{token, got} {
		if r.json == nil {
			t.Fatalf("no JSON: %q", r.raw)
		}
	}
	detail, _ := got.json["detail"].(string)
	for _, want := range []string{"\x00", "\x1b]0;", "\r"} {
		if !strings.Contains(detail, want) {
			t.Errorf("%q is not in the detail %q", want, detail)
		}
	}
	if _, described := token.json["error_description"]; !described {
		t.Errorf("not in the shape of OAuth: %s", token.raw)
	}
	equal(t, "clusters", len(open.sim.Clusters()), 0)
}

func TestFaultLongText(t *testing.T) {
	t.Parallel()
	b := setup(t, atlassim.Config{Faults: []atlassim.Fault{{Kind: "longText", Status: 400}}})
	r := b.create("orders")
	equal(t, "status", r.status, 400)
	equal(t, "length", len(r.json["detail"].(string)), 3_000_000)
}

// What is no cluster, or a cluster that is hard to read, after the effect.
func TestFaultsThatChangeTheBody(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		fault atlassim.Fault
		want  string // in the answer to a create
	}{
		"an empty object": {fault: atlassim.Fault{Kind: "body", Body: "{}"}, want: "{}"},
		"null":            {fault: atlassim.Fault{Kind: "body", Body: "null"}, want: "null"},
		"no createDate": {fault: atlassim.Fault{Kind: "rewrite", Set: attrs{"createDate": ""}},
			want: `"createDate":""`},
		"another timezone": {
			fault: atlassim.Fault{Kind: "rewrite", Set: attrs{"createDate": "2026-09-01T12:00:00+0000"}},
			want:  `"createDate":"2026-09-01T12:00:00+0000"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, atlassim.Config{Faults: []atlassim.Fault{test.fault}})
			r := b.create("orders")
			equal(t, "status", r.status, 201)
			if !strings.Contains(r.raw, test.want) {
				t.Errorf("%s is not in %s", test.want, r.raw)
			}
			equal(t, "clusters", len(b.sim.Clusters()), 1)
			if test.fault.Kind == "rewrite" {
				listed := b.do("GET", flexs, "").json["results"].([]any)[0].(map[string]any)
				equal(t, "createDate in a list", listed["createDate"], test.fault.Set["createDate"])
				b.do("GET", flexs+"/nobody", "").wantCode(t, 404, "CLUSTER_NOT_FOUND")
			}
		})
	}
}

func TestFaultRewriteOfAToken(t *testing.T) {
	t.Parallel()
	b := setup(t, atlassim.Config{ClientID: "id", ClientSecret: "secret", TokenTTL: minute, Faults: []atlassim.Fault{
		{Kind: "rewrite", Path: "oauth/token", Set: attrs{"expires_in": 3599.7}}}})
	b.token("id", "secret").want(t, 200, attrs{"expires_in": 3599.7, "token_type": "Bearer"})
}

// A gateway that drops the query answers every page with the first.
func TestFaultDropQuery(t *testing.T) {
	t.Parallel()
	b := setup(t, atlassim.Config{})
	for i := range 3 {
		b.create(fmt.Sprint("c", i)).want(t, 201, nil)
	}
	query := "?" + url.Values{"itemsPerPage": {"1"}, "pageNum": {"3"}}.Encode()
	names := func() (out string) {
		for _, x := range b.do("GET", flexs+query, "").json["results"].([]any) {
			out += x.(map[string]any)["name"].(string) + " "
		}
		return out
	}
	equal(t, "without the fault", names(), "c2 ")
	b.sim.AddFault(atlassim.Fault{Kind: "dropQuery"})
	equal(t, "with it", names(), "c0 c1 c2 ")
	entry := b.sim.Ledger()[4]
	equal(t, "ledger", []any{entry.Fault, entry.Query, entry.Status},
		[]any{atlassim.FaultDropQuery, strings.TrimPrefix(query, "?"), 200})
}

// One look among others is refused, with Atlas's own words.
func TestRefusedLook(t *testing.T) {
	t.Parallel()
	b := setup(t, atlassim.Config{PublicKey: "abcdefgh", PrivateKey: "s3cret", Faults: []atlassim.Fault{
		{Kind: "status", ErrorCode: "IP_ADDRESS_NOT_ON_ACCESS_LIST", Method: "GET", Skip: 1, Times: 1},
		{Kind: "status", ErrorCode: "NOT_IN_GROUP", Method: "GET", Skip: 1, Times: 1},
	}})
	nonce, nc := b.nonce(b.do("GET", flexs, "")), 0
	look := func() *reply {
		nc++
		r := b.request("GET", flexs, flexVersion, "")
		digest(r, "abcdefgh", "s3cret", nonce, fmt.Sprintf("%08x", nc))
		return b.send(r)
	}
	look().want(t, 200, nil)
	look().wantError(t, 403, "IP_ADDRESS_NOT_ON_ACCESS_LIST",
		"IP address 203.0.113.7 is not allowed to access this resource.", "203.0.113.7")
	refused := look()
	refused.wantError(t, 401, "NOT_IN_GROUP", "The current user is not in the group, or the group does not exist.")
	b.nonce(refused)
	look().want(t, 200, nil)
}

// Faults that hold text go over the control interface, and what is wrong with one is named.
func TestNewFaultsByControl(t *testing.T) {
	t.Parallel()
	b := setup(t, atlassim.Config{})
	b.do("POST", "/sim/faults", `[{"kind": "rewrite", "set": {"createDate": ""}, "times": 1},
		{"kind": "body", "body": "null", "times": 1}]`).want(t, 204, nil)
	b.create("orders").want(t, 201, attrs{"createDate": ""})
	equal(t, "the second", b.do("GET", flexs, "").raw, "null")
	b.do("POST", "/sim/faults", `[{"kind": "rewrite"}]`).
		want(t, 400, attrs{"error": "set: the kind rewrite needs the attributes to set"})
	if err := (atlassim.Fault{Kind: "dropQuery"}).Validate(); err != nil {
		t.Error(err)
	}
}
