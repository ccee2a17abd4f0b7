package atlasclient_test

import (
	"context"
	"net/http"
	"regexp"
	"slices"
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

// However many requests are under way at once, none comes with a count that is not above the last one of its challenge.
// A challenge is used again once its request is over.
func TestDigestUnderConcurrency(t *testing.T) {
	t.Parallel()
	j := &jetty{}
	c := overServer(t, apiKey, j)
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
			c := overServer(t, apiKey, j)
			for range 60 {
				_, _, err := c.CreateFlexCluster(t.Context(), group, orders)
				require.NoError(t, err)
			}
			require.Positive(t, j.count()[2])
		})
	}
}

// Many requests at once can each meet several refusals in a row. One that is given up after the last passes by itself.
func TestDigestRefusedAtOnce(t *testing.T) {
	t.Parallel()
	j := &jetty{refuse: func(signed int) bool { return signed%20 == 0 }}
	c := overServer(t, apiKey, j)
	var failed atomic.Int32
	atOnce(60, func(int) {
		for range 5 {
			if err := get(c, t.Context()); err != nil {
				failed.Add(1)
				assert.True(t, asError(t, err).Transient, err)
			}
		}
	})
	refused := j.count()[2]
	require.Greater(t, refused, 10)
	require.Less(t, failed.Load(), int32(refused/2), "most are asked again at once")
}

// A challenge that has ended, by its age or its uses, costs one round trip more, and no request.
func TestDigestChallengeEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j := &jetty{life: time.Minute, maxUses: 3}
		c := overPipe(t, apiKey, j)
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
	c := overServer(t, apiKey, j)
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
	e = asError(t, get(overServer(t, apiKey, ended), t.Context()))
	require.Equal(t, 401, e.Status)
	require.True(t, e.Transient, "each challenge is stale at once")

	denied := &jetty{answer: func(w http.ResponseWriter) {
		w.Header().
			Set("WWW-Authenticate", `Digest realm="MMS Public API", nonce="n", algorithm=MD5, qop="auth", stale=true`)
		w.WriteHeader(401)
		_, _ = w.Write([]byte(`{"errorCode":"NOT_IN_GROUP"}`))
	}}
	e = asError(t, get(overServer(t, apiKey, denied), t.Context()))
	require.Equal(t, "NOT_IN_GROUP", e.ErrorCode)
	require.False(t, e.Transient, "it is about the project")
	require.Equal(t, [3]int{1, 1, 0}, denied.count(), "another challenge would not help")

	c = setupAuth(t, account, token("one"), getWith("one", 401, ""), token("two"), getWith("two", 401, ""))
	e = asError(t, get(c, t.Context()))
	require.False(t, e.Transient, "it is no API key")
}

// A wrong key fails at the first request, after a few tries.
func TestDigestWrongKey(t *testing.T) {
	t.Parallel()
	c, sim := setupSim(t, keyedSim, atlasclient.APIKey{PublicKey: "public", PrivateKey: "wrong"})
	err := get(c, t.Context())
	require.EqualError(t, err, getOrders+": 401 UNEXPECTED_ERROR: You are not authorized for this resource.")
	require.Equal(t, &atlasclient.Error{
		Status: 401, ErrorCode: "UNEXPECTED_ERROR", Reason: "Unauthorized",
		Detail: "You are not authorized for this resource.", FromAtlas: true, Method: "GET", Path: flex + "/orders",
	}, err)
	require.Len(t, sim.Ledger(), 4)
	require.Equal(t, err, get(c, t.Context()), "and so does the next")
	require.Len(t, sim.Ledger(), 8)
}

var digestNonce, digestCount = regexp.MustCompile(`nonce="([^"]+)"`), regexp.MustCompile(`nc=([0-9a-f]{8})\b`)

// signatures are nonce and count of each request sent; "" is unsigned.
func (s *wireRecorder) signatures() (nonces, counts []string) {
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
	wire := &wireRecorder{next: transport}
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

// The body is sent again with the answer to the challenge, and the request has its effect once.
func TestDigestBody(t *testing.T) {
	t.Parallel()
	c, sim := setupSim(t, keyedSim, apiKey)
	_, _, err := c.CreateFlexCluster(t.Context(), group, orders)
	require.NoError(t, err)
	require.Equal(t, 1, sim.Count(atlassim.Created))
	require.Len(t, sim.Ledger(), 2)
}

// A 401 that is about the project carries a challenge too. What it says reaches the caller.
func TestDigestNotInGroup(t *testing.T) {
	t.Parallel()
	cfg := keyedSim
	cfg.ForeignGroups = []string{group}
	c, _ := setupSim(t, cfg, apiKey)
	for range 2 { // at first, and with a challenge in hand
		err := get(c, t.Context())
		require.EqualError(t, err, getOrders+": 401 NOT_IN_GROUP: "+
			"The current user is not in the group, or the group does not exist.")
		require.True(t, atlasclient.IsError(err, atlasclient.CodeNotInGroup))
	}
}

// A 401 whose challenge cannot be answered comes back to the caller, with its body.
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
			good.with = map[string]string{"WWW-Authenticate": `Digest realm="MMS Public API", nonce="n", qop="auth"`}
			// First to an unsigned request, then to a signed one.
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
		return newClient(t,
			atlasclient.Options{BaseURL: "http://localhost", Auth: account, Transport: atlassimtest.Pipe(t,
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
			require.EqualError(t, <-other, postToken+": no answer: context deadline exceeded")
		})
	})
}
