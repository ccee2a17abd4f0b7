package atlassim_test

import (
	"crypto/md5"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
)

var challengePattern = regexp.MustCompile(
	`^Digest realm="MMS Public API", domain="", nonce="([^"]+)", algorithm=MD5, qop="auth", stale=(true|false)$`)

func md5hex(s string) string { return fmt.Sprintf("%x", md5.Sum([]byte(s))) }

// digest signs a request by hand, as RFC 7616 says.
func digest(r *http.Request, user, password, nonce, nc string) {
	uri := r.URL.RequestURI()
	ha1 := md5hex(user + ":MMS Public API:" + password)
	ha2 := md5hex(r.Method + ":" + uri)
	response := md5hex(ha1 + ":" + nonce + ":" + nc + ":0a4f113b:auth:" + ha2)
	r.Header.Set("Authorization", fmt.Sprintf(
		`Digest username=%q, realm="MMS Public API", nonce=%q, uri=%q, response=%q, `+
			`algorithm=MD5, qop=auth, nc=%s, cnonce="0a4f113b"`,
		user, nonce, uri, response, nc))
}

func (b *fixture) nonce(r *reply) string {
	b.t.Helper()
	m := challengePattern.FindStringSubmatch(r.header.Get("WWW-Authenticate"))
	if m == nil {
		b.t.Fatalf("no digest challenge: %q", r.header.Get("WWW-Authenticate"))
	}
	return m[1]
}

func TestDigest(t *testing.T) {
	t.Parallel()
	b := setup(t, atlassim.Config{PublicKey: "abcdefgh", PrivateKey: "s3cret", NonceTTL: minute})
	signed := func(password, nonce, nc string) *reply {
		r := b.request("GET", flexs+"?pageNum=1", flexVersion, "")
		digest(r, "abcdefgh", password, nonce, nc)
		return b.send(r)
	}

	first := b.do("GET", flexs, "")
	first.want(t, 401, attrs{"error": 401.0, "errorCode": "UNEXPECTED_ERROR", "reason": "Unauthorized",
		"detail": "You are not authorized for this resource."})
	equal(t, "X-Error-Code of a bare 401", first.header.Get("X-Error-Code"), "")
	nonce := b.nonce(first)

	signed("s3cret", nonce, "00000001").want(t, 200, nil)
	signed("s3cret", nonce, "00000002").want(t, 200, nil)
	equal(t, "challenges for three requests", b.sim.DigestChallenges(), 1)

	signed("wrong", nonce, "00000003").want(t, 401, nil)
	signed("s3cret", "made-up", "00000001").want(t, 401, nil)
	signed("s3cret", nonce, "00000000").want(t, 401, nil)

	b.clock.Advance(time.Minute)
	late := signed("s3cret", nonce, "00000004")
	late.want(t, 401, nil)
	if !strings.HasSuffix(late.header.Get("WWW-Authenticate"), "stale=true") {
		t.Errorf("an old nonce is answered %q", late.header.Get("WWW-Authenticate"))
	}
	signed("s3cret", b.nonce(late), "00000001").want(t, 200, nil)

	kinds := []string{}
	for _, e := range b.sim.Ledger() {
		kinds = append(kinds, fmt.Sprint(e.Auth, e.Status, e.Authenticated))
	}
	equal(t, "ledger", kinds, []string{"none401 false", "digest200 true", "digest200 true",
		"digest401 false", "digest401 false", "digest401 false", "digest401 false", "digest200 true"})
	if text := fmt.Sprint(b.sim.Ledger()); strings.Contains(text, nonce) || strings.Contains(text, "s3cret") {
		t.Error("the ledger holds a credential")
	}
}

// With Jetty's defaults a nonce lives a minute and 1,024 uses, and an nc that is not above the last is a replay.
func TestDigestNonces(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		stale      bool // Config.StaleReplays
		nc         string
		after      time.Duration
		wantStatus int
		wantStale  string
	}{
		"a rising nc":           {nc: "00000006", wantStatus: 200},
		"the last nc":           {nc: "00000005", wantStatus: 401, wantStale: "false"},
		"an nc that fell":       {nc: "00000004", wantStatus: 401, wantStale: "false"},
		"a replay called stale": {nc: "00000004", stale: true, wantStatus: 401, wantStale: "true"},
		"the last use":          {nc: "000003ff", wantStatus: 200},
		"one use too many":      {nc: "00000400", wantStatus: 401, wantStale: "true"},
		"just young enough":     {nc: "00000006", after: time.Minute - 1, wantStatus: 200},
		"too old":               {nc: "00000006", after: time.Minute, wantStatus: 401, wantStale: "true"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := atlassim.DefaultConfig()
			cfg.PublicKey, cfg.PrivateKey, cfg.StaleReplays = "abcdefgh", "s3cret", test.stale
			b := setup(t, cfg)
			nonce := b.nonce(b.do("GET", flexs, ""))
			signed := func(nc string) *reply {
				r := b.request("GET", flexs, flexVersion, "")
				digest(r, "abcdefgh", "s3cret", nonce, nc)
				return b.send(r)
			}
			signed("00000005").want(t, 200, nil)
			b.clock.Advance(test.after)
			got := signed(test.nc)
			got.want(t, test.wantStatus, nil)
			if test.wantStatus == 401 {
				b.nonce(got)
				equal(t, "stale", strings.HasSuffix(got.header.Get("WWW-Authenticate"), "stale="+test.wantStale), true)
			}
		})
	}
}

// The signature covers method and path: one request's is no good for another.
func TestDigestCoversTheRequest(t *testing.T) {
	t.Parallel()
	b := setup(t, atlassim.Config{PublicKey: "abcdefgh", PrivateKey: "s3cret"})
	nonce := b.nonce(b.do("GET", flexs, ""))
	r := b.request("GET", flexs, flexVersion, "")
	digest(r, "abcdefgh", "s3cret", nonce, "00000001")
	stolen := b.request("DELETE", flexs+"/orders", flexVersion, "")
	stolen.Header.Set("Authorization", r.Header.Get("Authorization"))
	b.send(stolen).want(t, 401, nil)
}

func (b *fixture) oauth(path, id, secret, form string) *http.Request {
	b.t.Helper()
	r := b.request("POST", path, "", form)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(id, secret)
	return r
}

func (b *fixture) token(id, secret string) *reply {
	b.t.Helper()
	return b.send(b.oauth("/api/oauth/token", id, secret, "grant_type=client_credentials"))
}

func TestOAuth(t *testing.T) {
	t.Parallel()
	b := setup(t, atlassim.Config{ClientID: "mdb_sa_id_1", ClientSecret: "mdb/sa+sk 1", TokensPerMinute: 2,
		TokenTTL: 30 * minute})
	get := func(token any) *reply {
		r := b.request("GET", flexs, flexVersion, "")
		r.Header.Set("Authorization", fmt.Sprint("Bearer ", token))
		return b.send(r)
	}

	b.token("mdb_sa_id_1", "wrong").want(t, 401, attrs{"error": "invalid_client"})
	first := b.token("mdb_sa_id_1", "mdb/sa+sk 1")
	first.want(t, 200, attrs{"token_type": "Bearer", "expires_in": 1800.0})
	get(first.json["access_token"]).want(t, 200, nil)
	bad := get("nonsense")
	bad.want(t, 401, nil)
	equal(t, "challenge to a bearer", bad.header.Get("WWW-Authenticate"), "")

	b.send(b.oauth("/api/oauth/revoke", "mdb_sa_id_1", "wrong", "token=x")).
		want(t, 401, attrs{"error": "invalid_client"})
	b.send(b.oauth("/api/oauth/revoke", "mdb_sa_id_1", "mdb/sa+sk 1", "token=unknown")).want(t, 200, nil)
	get(first.json["access_token"]).want(t, 200, nil)
	revoked := url.Values{"token": {first.json["access_token"].(string)}}.Encode()
	b.send(b.oauth("/api/oauth/revoke", "mdb_sa_id_1", "mdb/sa+sk 1", revoked)).want(t, 200, nil)
	get(first.json["access_token"]).want(t, 401, nil)
	b.sim.RevokeTokens()
	get(first.json["access_token"]).want(t, 401, nil)
	second := b.token("mdb_sa_id_1", url.QueryEscape("mdb/sa+sk 1"))
	get(second.json["access_token"]).want(t, 200, nil)

	b.clock.Advance(15 * time.Second)
	refused := b.token("mdb_sa_id_1", "mdb/sa+sk 1")
	refused.wantError(t, 429, "RATE_LIMITED", "Too many requests.")
	equal(t, "Retry-After", refused.header.Get("Retry-After"), "45")
	equal(t, "tokens issued", b.sim.TokensIssued(), 2)

	b.clock.Advance(30 * time.Minute)
	get(second.json["access_token"]).want(t, 401, nil)
}

func TestStaticTokenBesideAKey(t *testing.T) {
	t.Parallel()
	b := setup(t, atlassim.Config{AccessToken: "t0ken", PublicKey: "abcdefgh", PrivateKey: "s3cret"})
	for token, status := range map[string]int{"t0ken": 200, "other": 401} {
		r := b.request("GET", "/api/atlas/v2", oldVersion, "")
		r.Header.Set("Authorization", "Bearer "+token)
		b.send(r).want(t, status, nil)
	}
	b.nonce(b.do("GET", flexs, ""))
}

func TestProjects(t *testing.T) {
	t.Parallel()
	b := setup(t, atlassim.Config{Groups: []string{group}, ForeignGroups: []string{foreign}})
	b.do("GET", flexs, "").want(t, 200, nil)
	b.do("GET", "/api/atlas/v2/groups/"+other+"/flexClusters", "").
		wantError(t, 404, "GROUP_NOT_FOUND", "No group with ID "+other+" exists.", other)
	b.do("GET", "/api/atlas/v2/groups/nonsense/flexClusters", "").
		wantError(t, 404, "INVALID_GROUP_ID", "An invalid group ID nonsense was specified.", "nonsense")

	// About the project, not the key: the body says so, beside a challenge.
	refused := b.do("GET", "/api/atlas/v2/groups/"+foreign+"/flexClusters", "")
	refused.wantError(t, 401, "NOT_IN_GROUP", "The current user is not in the group, or the group does not exist.")
	b.nonce(refused)
}
