package atlasclient_test

import (
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// jetty demands a digest as strictly as Jetty does: the count of a request must be above the last one of its nonce, and
// a nonce serves for a time and for a number of requests.
type jetty struct {
	maxUses int                         // of a nonce; 0: any number
	life    time.Duration               // of a nonce; 0: for ever
	refuse  func(signed int) bool       // refuses a request that is signed well, by its number; nil: none
	answer  func(w http.ResponseWriter) // answers what is let in; nil: with the cluster orders

	mu                         sync.Mutex
	nonces                     map[string]*jettyNonce
	unsigned, signed, refusals int
}

type jettyNonce struct {
	issued     time.Time
	last, uses int
}

var directive = regexp.MustCompile(`(\w+)=(?:"([^"]*)"|([^",\s]+))`)

func (j *jetty) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if ok, stale := j.check(r); !ok {
		j.challenge(w, stale)
		return
	}
	if j.answer != nil {
		j.answer(w)
		return
	}
	answers(200, ordersAnswer)(w, r)
}

func (j *jetty) challenge(w http.ResponseWriter, stale bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.nonces == nil {
		j.nonces = map[string]*jettyNonce{}
	}
	nonce := fmt.Sprint("nonce-", len(j.nonces))
	j.nonces[nonce] = &jettyNonce{issued: time.Now()}
	w.Header().Set("WWW-Authenticate", fmt.Sprintf(
		`Digest realm="MMS Public API", domain="", nonce="%s", algorithm=MD5, qop="auth", stale=%t`, nonce, stale))
	w.WriteHeader(http.StatusUnauthorized)
	_, _ = w.Write([]byte(`{"errorCode":"UNEXPECTED_ERROR","detail":"You are not authorized for this resource."}`))
}

func (j *jetty) check(r *http.Request) (ok, stale bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	header := r.Header.Get("Authorization")
	if header == "" {
		j.unsigned++
		return false, false
	}
	j.signed++
	ok, stale = j.checkSignedLocked(r, header)
	if !ok {
		j.refusals++
	}
	return ok, stale
}

func (j *jetty) checkSignedLocked(r *http.Request, header string) (ok, stale bool) {
	d := map[string]string{}
	for _, m := range directive.FindAllStringSubmatch(header, -1) {
		d[m[1]] = m[2] + m[3]
	}
	hash := func(parts ...string) string {
		sum := md5.Sum([]byte(strings.Join(parts, ":")))
		return hex.EncodeToString(sum[:])
	}
	key, request := hash("public", "MMS Public API", privateKey), hash(r.Method, r.RequestURI)
	want := hash(key, d["nonce"], d["nc"], d["cnonce"], "auth", request)
	nonce := j.nonces[d["nonce"]]
	if nonce == nil || d["response"] != want {
		return false, false
	}
	count, _ := strconv.ParseInt(d["nc"], 16, 64)
	if int(count) <= nonce.last {
		return false, false // a replay
	}
	nonce.last = int(count)
	nonce.uses++
	if j.maxUses > 0 && nonce.uses > j.maxUses || j.life > 0 && time.Since(nonce.issued) >= j.life {
		return false, true
	}
	return j.refuse == nil || !j.refuse(j.signed), false
}

// count is how many requests came since the last call: unsigned, signed, and signed ones that were refused.
func (j *jetty) count() [3]int {
	j.mu.Lock()
	defer j.mu.Unlock()
	count := [3]int{j.unsigned, j.signed, j.refusals}
	j.unsigned, j.signed, j.refusals = 0, 0, 0
	return count
}
