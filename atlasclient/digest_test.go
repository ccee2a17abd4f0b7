package atlasclient_test

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/atlas-provisioner/atlas-provisioner/atlasclient"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim/atlassimtest"
)

var (
	apiKey   = atlasclient.APIKey{PublicKey: "public", PrivateKey: privateKey}
	keyedSim = atlassim.Config{PublicKey: "public", PrivateKey: privateKey}
)

func list(c *atlasclient.Client, ctx context.Context) error {
	_, _, err := c.ListFlexClusters(ctx, group)
	return err
}

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
	want := hash(hash("public", "MMS Public API", privateKey), d["nonce"], d["nc"], d["cnonce"], "auth", hash(r.Method, r.RequestURI))
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

// However many requests are under way at once, none comes with a count that is not above the last one of its challenge.
// A challenge is used again once its request is over.
func TestDigestUnderConcurrency(t *testing.T) {
	t.Parallel()
	j := &jetty{}
	c := newClient(t, atlasclient.Options{BaseURL: serve(t, j), Auth: apiKey})
	const many = 60
	for range 5 {
		atOnce(many, func(i int) {
			if i%2 == 0 {
				assert.NoError(t, get(c, t.Context()))
				return
			}
			_, _, err := c.CreateFlexCluster(t.Context(), group, orders)
			assert.NoError(t, err)
		})
	}
	count := j.count()
	require.LessOrEqual(t, count[0], many, "as many challenges as requests at once, at most")
	require.Equal(t, [2]int{5 * many, 0}, [2]int(count[1:]))

	for range 50 {
		require.NoError(t, get(c, t.Context()))
	}
	require.Equal(t, [3]int{0, 50, 0}, j.count(), "one round trip each")
}

// A server may refuse well-signed requests. A request answers the new challenge, and all succeed.
func TestDigestRefusedWhenSignedWell(t *testing.T) {
	t.Parallel()
	for name, refuse := range map[string]func(int) bool{
		"the first":      func(signed int) bool { return signed == 1 },
		"the first two":  func(signed int) bool { return signed <= 2 },
		"one of twenty":  func(signed int) bool { return signed%20 == 0 },
		"one of three":   func(signed int) bool { return signed%3 == 0 },
		"three of seven": func(signed int) bool { return signed%7 < 3 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := &jetty{refuse: refuse}
			c := newClient(t, atlasclient.Options{BaseURL: serve(t, j), Auth: apiKey})
			for range 60 {
				_, _, err := c.CreateFlexCluster(t.Context(), group, orders)
				require.NoError(t, err)
			}
			require.Positive(t, j.count()[2])
		})
	}
	t.Run("at once", func(t *testing.T) {
		t.Parallel()
		j := &jetty{refuse: func(signed int) bool { return signed%20 == 0 }}
		c := newClient(t, atlasclient.Options{BaseURL: serve(t, j), Auth: apiKey})
		atOnce(60, func(int) {
			for range 5 {
				assert.NoError(t, get(c, t.Context()))
			}
		})
		require.Positive(t, j.count()[2])
	})
}

// A challenge that has ended, by its age or its uses, costs one round trip more, and no request.
func TestDigestChallengeEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j := &jetty{life: time.Minute, maxUses: 3}
		c := newClient(t, atlasclient.Options{BaseURL: "http://localhost", Auth: apiKey, Transport: atlassimtest.Pipe(t, j)})
		for range 3 {
			require.NoError(t, get(c, t.Context()))
		}
		require.Equal(t, [3]int{1, 3, 0}, j.count())
		require.NoError(t, get(c, t.Context()))
		require.Equal(t, [3]int{0, 2, 1}, j.count(), "three uses")
		time.Sleep(time.Minute)
		_, _, err := c.CreateFlexCluster(t.Context(), group, orders)
		require.NoError(t, err)
		require.Equal(t, [3]int{0, 2, 1}, j.count(), "a minute")
	})
}

// A 401 passes by itself where the key has worked before, or where the server says that the challenge was too old.
func TestDigestTransient(t *testing.T) {
	t.Parallel()
	var broken atomic.Bool
	j := &jetty{refuse: func(int) bool { return broken.Load() }}
	c := newClient(t, atlasclient.Options{BaseURL: serve(t, j), Auth: apiKey})
	broken.Store(true)
	e := asError(t, get(c, t.Context()))
	require.Equal(t, 401, e.Status)
	require.False(t, e.Transient, "the key may be wrong")
	broken.Store(false)
	require.NoError(t, get(c, t.Context()))
	broken.Store(true)
	e = asError(t, get(c, t.Context()))
	require.Equal(t, 401, e.Status)
	require.True(t, e.Transient)
	require.True(t, e.FromAtlas)

	ended := &jetty{life: time.Nanosecond}
	e = asError(t, get(newClient(t, atlasclient.Options{BaseURL: serve(t, ended), Auth: apiKey}), t.Context()))
	require.Equal(t, 401, e.Status)
	require.True(t, e.Transient, "each challenge is stale at once")

	denied := &jetty{answer: func(w http.ResponseWriter) {
		w.Header().Set("WWW-Authenticate", `Digest realm="MMS Public API", domain="", nonce="n", algorithm=MD5, qop="auth", stale=true`)
		w.WriteHeader(401)
		_, _ = w.Write([]byte(`{"errorCode":"NOT_IN_GROUP"}`))
	}}
	e = asError(t, get(newClient(t, atlasclient.Options{BaseURL: serve(t, denied), Auth: apiKey}), t.Context()))
	require.Equal(t, "NOT_IN_GROUP", e.ErrorCode)
	require.False(t, e.Transient, "it is about the project")
	require.Equal(t, [3]int{1, 1, 0}, denied.count(), "another challenge would not help")

	e = asError(t, get(setupAuth(t, account, token("one"), with("one", 401, ""), token("two"), with("two", 401, "")), t.Context()))
	require.False(t, e.Transient, "it is no API key")
}

// A wrong key fails at the first request, after a few tries.
func TestDigestWrongKey(t *testing.T) {
	t.Parallel()
	c, sim := setupSim(t, keyedSim, atlasclient.APIKey{PublicKey: "public", PrivateKey: "wrong"})
	err := get(c, t.Context())
	require.EqualError(t, err, getOrders+": 401 UNEXPECTED_ERROR: You are not authorized for this resource.")
	require.Equal(t, &atlasclient.Error{
		Status: 401, ErrorCode: "UNEXPECTED_ERROR", Reason: "Unauthorized", Detail: "You are not authorized for this resource.",
		FromAtlas: true, Method: "GET", Path: flex + "/orders",
	}, err)
	require.Len(t, sim.Ledger(), 4)
	require.Equal(t, err, get(c, t.Context()), "and so does the next")
	require.Len(t, sim.Ledger(), 8)
}

var digestNonce, digestCount = regexp.MustCompile(`nonce="([^"]+)"`), regexp.MustCompile(`nc=([0-9a-f]{8})\b`)

// signatures are nonce and count of each request sent; "" is unsigned.
func (s *spy) signatures() (nonces, counts []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.sent {
		header := r.Header.Get("Authorization")
		nonce, count := digestNonce.FindStringSubmatch(header), digestCount.FindStringSubmatch(header)
		if nonce == nil || count == nil {
			nonce, count = []string{"", ""}, []string{"", ""}
		}
		nonces, counts = append(nonces, nonce[1]), append(counts, count[1])
	}
	return nonces, counts
}

// A challenge serves until Atlas calls it stale, each time with a higher count.
func TestDigestReuse(t *testing.T) {
	t.Parallel()
	clock := atlassimtest.NewClock()
	cfg := keyedSim
	cfg.Now, cfg.NonceTTL = clock.Now, atlassim.Duration(time.Minute)
	sim, url := atlassimtest.Start(t, cfg)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	wire := &spy{next: transport}
	c := newClient(t, atlasclient.Options{BaseURL: url, Auth: apiKey, Transport: wire})

	for range 3 {
		require.NoError(t, list(c, t.Context()))
	}
	nonces, counts := wire.signatures()
	require.Equal(t, []string{"", "00000001", "00000002", "00000003"}, counts)
	first := nonces[1]
	require.Equal(t, []string{"", first, first, first}, nonces)

	clock.Advance(time.Minute)
	for range 2 {
		require.NoError(t, list(c, t.Context()))
	}
	nonces, counts = wire.signatures()
	require.Equal(t, []string{"00000004", "00000001", "00000002"}, counts[4:], "the first of them was stale")
	require.NotEqual(t, first, nonces[5])
	require.Equal(t, []string{first, nonces[5], nonces[5]}, nonces[4:])
	require.Equal(t, 2, sim.DigestChallenges())

	wire.sent = nil
	atOnce(20, func(int) { assert.NoError(t, list(c, t.Context())) })
	nonces, counts = wire.signatures()
	var used []string
	for i := range nonces {
		if nonces[i] != "" {
			used = append(used, nonces[i]+counts[i])
		}
	}
	require.Len(t, used, 20)
	slices.Sort(used)
	require.Len(t, slices.Compact(used), 20, "no count of a challenge serves twice")

	clock.Advance(time.Minute)
	atOnce(20, func(int) { assert.NoError(t, list(c, t.Context())) })
}

// The body goes again with the answer to the challenge, and has its effect once.
func TestDigestBody(t *testing.T) {
	t.Parallel()
	c, sim := setupSim(t, keyedSim, apiKey)
	_, _, err := c.CreateFlexCluster(t.Context(), group, orders)
	require.NoError(t, err)
	require.Equal(t, 1, sim.Count(atlassim.Created))
	require.Len(t, sim.Ledger(), 2)
}

// A 401 that is about the project carries a challenge too; what it says reaches
// the caller.
func TestDigestNotInGroup(t *testing.T) {
	t.Parallel()
	cfg := keyedSim
	cfg.ForeignGroups = []string{group}
	c, _ := setupSim(t, cfg, apiKey)
	for range 2 { // at first, and with a challenge in hand
		err := get(c, t.Context())
		require.EqualError(t, err, getOrders+": 401 NOT_IN_GROUP: The current user is not in the group, or the group does not exist.")
		require.True(t, atlasclient.IsError(err, atlasclient.CodeNotInGroup))
	}
}

// A 401 that cannot be answered is the answer, with its body.
func TestDigestWithoutAChallenge(t *testing.T) {
	t.Parallel()
	for name, challenge := range map[string]string{
		"none":                "",
		"another scheme":      `Basic realm="MMS Public API"`,
		"malformed":           `Digest realm="MMS`,
		"algorithm not known": `Digest realm="MMS Public API", nonce="n", algorithm=WHIRLPOOL, qop="auth"`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			refused := step{want: getOrders, status: 401, with: map[string]string{"WWW-Authenticate": challenge},
				answer: `{"errorCode":"API_KEY_GONE","detail":"It was deleted.","parameters":["public"]}`}
			good := refused
			good.with = map[string]string{"WWW-Authenticate": `Digest realm="MMS Public API", nonce="n", algorithm=MD5, qop="auth"`}
			// At once; after a challenge; with a challenge in hand.
			c := setupAuth(t, apiKey, refused, good, step{want: getOrders, answer: ordersAnswer}, refused)
			want := &atlasclient.Error{
				Status: 401, ErrorCode: "API_KEY_GONE", Detail: "It was deleted.", Parameters: []string{"public"},
				FromAtlas: true, Method: "GET", Path: flex + "/orders",
			}
			require.Equal(t, want, get(c, t.Context()))
			require.NoError(t, get(c, t.Context()))
			want.Transient = true // the key has worked
			require.Equal(t, want, get(c, t.Context()))
		})
	}
}

// Requests that wait for another's token wait no longer than they want to, and fetch it themselves when the other gives
// up.
func TestWaitingForAnothersToken(t *testing.T) {
	t.Parallel()
	// The token endpoint hangs for the first request, and is slow for the others.
	slow := func(t *testing.T) (*atlasclient.Client, *atomic.Int32) {
		var fetches atomic.Int32
		rest := guard(account, nil, answers(200, ordersAnswer))
		return newClient(t, atlasclient.Options{BaseURL: "http://localhost", Auth: account, Transport: atlassimtest.Pipe(t,
			http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/api/oauth/token" {
					if fetches.Add(1) == 1 {
						hang(w, r)
						return
					}
					time.Sleep(time.Second)
				}
				rest.ServeHTTP(w, r)
			}))}), &fetches
	}
	within := func(t *testing.T, c *atlasclient.Client, d time.Duration) (time.Duration, error) {
		ctx, cancel := context.WithTimeout(t.Context(), d)
		defer cancel()
		begun := time.Now()
		err := get(c, ctx)
		return time.Since(begun), err
	}

	t.Run("the one who waits gives up", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			c, _ := slow(t)
			other := make(chan error)
			go func() { other <- get(c, t.Context()) }()
			synctest.Wait() // it fetches
			took, err := within(t, c, time.Second)
			require.EqualError(t, err, getOrders+": no answer: context deadline exceeded")
			require.Equal(t, time.Second, took)
			require.ErrorIs(t, <-other, context.DeadlineExceeded)
		})
	})
	t.Run("the other gives up", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			c, fetches := slow(t)
			other := make(chan error, 1)
			go func() {
				_, err := within(t, c, time.Second)
				other <- err
			}()
			synctest.Wait()
			atOnce(20, func(int) {
				took, err := within(t, c, time.Minute)
				assert.NoError(t, err)
				assert.Equal(t, 2*time.Second, took, "one for the other, one for oneself")
			})
			require.EqualValues(t, 2, fetches.Load(), "one of them asks for all")
			require.EqualError(t, <-other, buyToken+": no answer: context deadline exceeded")
		})
	})
}
