package atlassim

import (
	"crypto/md5"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
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

const realm = "MMS Public API" // recorded

// authState is what the simulator remembers about credentials.
type authState struct {
	nonces     map[string]*nonce
	tokens     map[string]time.Time // when each expires
	requests   []time.Time          // token requests of the last minute
	challenges int
	issued     int
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

// nonce is a digest nonce that was sent in a challenge.
type nonce struct {
	issued time.Time
	count  uint64 // the highest nc that was taken
}

// authenticateLocked reports whether the request may go on, and whether its digest nonce is merely too old.
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

// checkDigestLocked verifies an answer to our challenge (RFC 7616 with MD5 and qop=auth, as Atlas asks for). A nonce
// may be used again with a rising nc, which saves the client a round trip. How long, how often, and what becomes of
// an nc that does not rise are Jetty's rules, whose challenge Atlas's looks like (assumed): a nonce that is too old
// or used up is stale, and a replay is merely refused.
func (s *Server) checkDigestLocked(r *http.Request) (ok, stale bool) {
	d := map[string]string{}
	for _, m := range directive.FindAllStringSubmatch(r.Header.Get("Authorization"), -1) {
		d[m[1]] = m[2] + m[3]
	}
	known := s.auth.nonces[d["nonce"]]
	count, err := strconv.ParseUint(d["nc"], 16, 32)
	switch {
	case s.cfg.PublicKey == "", d["username"] != s.cfg.PublicKey, d["realm"] != realm,
		d["uri"] != r.RequestURI, d["qop"] != "auth", d["cnonce"] == "",
		d["algorithm"] != "" && !strings.EqualFold(d["algorithm"], "MD5"),
		len(d["nc"]) != 8, err != nil, count == 0, known == nil:
		return false, false
	}
	ha1 := md5hex(d["username"], realm, s.cfg.PrivateKey)
	ha2 := md5hex(r.Method, d["uri"])
	if !same(d["response"], md5hex(ha1, d["nonce"], d["nc"], d["cnonce"], d["qop"], ha2)) {
		return false, false
	}
	switch {
	case s.cfg.NonceTTL > 0 && !s.cfg.Now().Before(s.cfg.NonceTTL.after(known.issued)),
		s.cfg.NonceUses > 0 && count >= uint64(s.cfg.NonceUses):
		return false, true
	case s.cfg.RefuseReplays && count <= known.count:
		return false, s.cfg.StaleReplays
	}
	known.count = max(known.count, count)
	return true, false
}

// challengeLocked adds a fresh digest challenge. A caller with a bearer token is not asked for a digest (assumed).
func (s *Server) challengeLocked(r *http.Request, header http.Header, stale bool) {
	if authKind(r) == AuthBearer {
		return
	}
	value := randomToken()
	s.auth.nonces[value] = &nonce{issued: s.cfg.Now()}
	s.auth.challenges++
	header.Set("WWW-Authenticate", fmt.Sprintf(
		`Digest realm=%q, domain="", nonce=%q, algorithm=MD5, qop="auth", stale=%t`, realm, value, stale))
}

// unauthorizedBody is spread over lines, unlike other answers (recorded).
const unauthorizedBody = `{
  "error" : 401,
  "reason" : "Unauthorized",
  "detail" : "You are not authorized for this resource.",
  "errorCode" : "UNEXPECTED_ERROR"
}`

// unauthorizedLocked is the answer to a request without good credentials. It has neither parameters nor X-Error-Code
// (recorded).
func (s *Server) unauthorizedLocked(r *http.Request, stale bool) *answer {
	a := &answer{status: http.StatusUnauthorized, code: "UNEXPECTED_ERROR", header: http.Header{},
		contentType: "application/json", body: []byte(unauthorizedBody)}
	s.challengeLocked(r, a.header, stale)
	return a
}

func md5hex(parts ...string) string {
	sum := md5.Sum([]byte(strings.Join(parts, ":")))
	return hex.EncodeToString(sum[:])
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

func randomToken() string {
	raw := make([]byte, 24)
	rand.Read(raw) // never fails, says its documentation
	return base64.StdEncoding.EncodeToString(raw)
}
