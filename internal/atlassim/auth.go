package atlassim

import (
	"crypto/md5"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// AuthKind is the kind of credential a request presented.
type AuthKind string

// The kinds of credential.
const (
	AuthNone   AuthKind = "none"
	AuthDigest AuthKind = "digest"
	AuthBearer AuthKind = "bearer"
	AuthBasic  AuthKind = "basic"
	AuthOther  AuthKind = "other"
)

const (
	realm     = "MMS Public API" // recorded
	tokenPath = "/api/oauth/token"
)

// authState is what the simulator remembers about credentials.
type authState struct {
	nonces     map[string]time.Time // when each was issued
	tokens     map[string]time.Time // when each expires
	requests   []time.Time          // token requests of the last minute
	challenges int
	issued     int
}

// RevokeTokens makes every token issued so far answer 401, as when somebody
// rotates the service account's secret. Config.AccessToken stays good.
func (s *Server) RevokeTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.auth.tokens)
}

// TokensIssued is how many tokens POST /api/oauth/token has handed out.
func (s *Server) TokensIssued() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.auth.issued
}

// DigestChallenges is how many digest challenges have been sent.
func (s *Server) DigestChallenges() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.auth.challenges
}

func authKind(r *http.Request) AuthKind {
	header := r.Header.Get("Authorization")
	scheme, _, _ := strings.Cut(header, " ")
	switch {
	case header == "":
		return AuthNone
	case strings.EqualFold(scheme, "Digest"):
		return AuthDigest
	case strings.EqualFold(scheme, "Bearer"):
		return AuthBearer
	case strings.EqualFold(scheme, "Basic"):
		return AuthBasic
	}
	return AuthOther
}

// authenticateLocked reports whether the request may go on, and whether its digest
// nonce is merely too old.
func (s *Server) authenticateLocked(r *http.Request) (ok, stale bool) {
	c := s.cfg
	if c.PublicKey == "" && c.ClientID == "" && c.AccessToken == "" {
		return true, false
	}
	switch authKind(r) {
	case AuthDigest:
		return s.checkDigestLocked(r)
	case AuthBearer:
		_, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		if c.AccessToken != "" && same(token, c.AccessToken) {
			return true, false
		}
		expires, known := s.auth.tokens[token]
		return known && c.Now().Before(expires), false
	}
	return false, false
}

// One directive of a digest header: name=token or name="quoted".
var directive = regexp.MustCompile(`(\w+)=(?:"([^"]*)"|([^",\s]+))`)

// checkDigestLocked verifies an answer to our challenge (RFC 7616 with MD5 and
// qop=auth, as Atlas asks for). A nonce may be used again with a rising nc,
// which saves the client a round trip.
func (s *Server) checkDigestLocked(r *http.Request) (ok, stale bool) {
	d := map[string]string{}
	for _, m := range directive.FindAllStringSubmatch(r.Header.Get("Authorization"), -1) {
		d[m[1]] = m[2] + m[3]
	}
	issued, known := s.auth.nonces[d["nonce"]]
	count, err := strconv.ParseUint(d["nc"], 16, 32)
	switch {
	case s.cfg.PublicKey == "", d["username"] != s.cfg.PublicKey, d["realm"] != realm,
		d["uri"] != r.RequestURI, d["qop"] != "auth", d["cnonce"] == "",
		d["algorithm"] != "" && !strings.EqualFold(d["algorithm"], "MD5"),
		len(d["nc"]) != 8, err != nil, count == 0, !known:
		return false, false
	}
	ha1 := md5hex(d["username"], realm, s.cfg.PrivateKey)
	ha2 := md5hex(r.Method, d["uri"])
	if !same(d["response"], md5hex(ha1, d["nonce"], d["nc"], d["cnonce"], d["qop"], ha2)) {
		return false, false
	}
	if s.cfg.NonceTTL > 0 && !s.cfg.Now().Before(s.cfg.NonceTTL.after(issued)) {
		return false, true
	}
	return true, false
}

// challengeLocked adds a fresh digest challenge. A caller with a bearer token is
// not asked for a digest (assumed).
func (s *Server) challengeLocked(r *http.Request, header http.Header, stale bool) {
	if authKind(r) == AuthBearer {
		return
	}
	nonce := randomToken()
	s.auth.nonces[nonce] = s.cfg.Now()
	s.auth.challenges++
	header.Set("WWW-Authenticate", fmt.Sprintf(
		`Digest realm=%q, domain="", nonce=%q, algorithm=MD5, qop="auth", stale=%t`, realm, nonce, stale))
}

// unauthorizedLocked is the answer to a request without good credentials. It has
// neither parameters nor X-Error-Code (recorded).
func (s *Server) unauthorizedLocked(r *http.Request, stale bool) *answer {
	a := &answer{status: 401, code: "UNEXPECTED_ERROR", header: http.Header{}, contentType: "application/json",
		body: marshal(map[string]any{
			"error": 401, "reason": "Unauthorized", "errorCode": "UNEXPECTED_ERROR",
			"detail": "You are not authorized for this resource.",
		})}
	s.challengeLocked(r, a.header, stale)
	return a
}

// issueTokenLocked answers POST /api/oauth/token: HTTP Basic id:secret and
// grant_type=client_credentials buy a bearer token (docs). The shape of a
// refusal is RFC 6749's (assumed).
func (s *Server) issueTokenLocked(r *http.Request, body []byte) *answer {
	refuse := func(status int, code string) *answer {
		return &answer{status: status, header: http.Header{}, contentType: "application/json",
			body: marshal(map[string]any{"error": code})}
	}
	if r.Method != http.MethodPost {
		return refuse(405, "invalid_request")
	}
	id, secret, _ := r.BasicAuth()
	if s.cfg.ClientID == "" || !sameBasic(id, s.cfg.ClientID) || !sameBasic(secret, s.cfg.ClientSecret) {
		return refuse(401, "invalid_client")
	}
	form, err := url.ParseQuery(string(body))
	if err != nil || form.Get("grant_type") != "client_credentials" {
		return refuse(400, "unsupported_grant_type")
	}

	now := s.cfg.Now()
	for len(s.auth.requests) > 0 && now.Sub(s.auth.requests[0]) >= time.Minute {
		s.auth.requests = s.auth.requests[1:]
	}
	if s.cfg.TokensPerMinute > 0 && len(s.auth.requests) >= s.cfg.TokensPerMinute {
		e := failf(429, "RATE_LIMITED", "Too many requests.")
		wait := s.auth.requests[0].Add(time.Minute).Sub(now).Seconds()
		e.header = http.Header{"Retry-After": {strconv.Itoa(int(math.Ceil(wait)))}}
		return e.answer()
	}
	s.auth.requests = append(s.auth.requests, now)

	token := randomToken()
	s.auth.tokens[token] = s.cfg.TokenTTL.after(now)
	s.auth.issued++
	return &answer{status: 200, header: http.Header{}, contentType: "application/json",
		body: marshal(map[string]any{
			"access_token": token, "token_type": "Bearer", "expires_in": int(time.Duration(s.cfg.TokenTTL).Seconds()),
		})}
}

func md5hex(parts ...string) string {
	sum := md5.Sum([]byte(strings.Join(parts, ":")))
	return hex.EncodeToString(sum[:])
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// sameBasic takes a value plain, as curl sends it, and form-encoded, as RFC
// 6749 has it and golang.org/x/oauth2 sends it.
func sameBasic(sent, want string) bool {
	return same(sent, want) || same(sent, url.QueryEscape(want))
}

func randomToken() string {
	raw := make([]byte, 24)
	rand.Read(raw) // never fails, says its documentation
	return base64.StdEncoding.EncodeToString(raw)
}
