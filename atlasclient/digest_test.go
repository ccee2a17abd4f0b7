package atlasclient_test

import (
	"context"
	"fmt"
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

// However many begin at the same moment, one of them fetches the challenge.
func TestDigestOneChallenge(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cfg := keyedSim
		cfg.Hook = func(stage atlassim.Stage, e atlassim.Entry) {
			if stage == atlassim.Arrived && !e.Authenticated {
				time.Sleep(time.Second) // is over when all others wait
			}
		}
		c, sim := pipeSim(t, cfg, apiKey)
		atOnce(20, func(int) { assert.NoError(t, list(c, t.Context())) })
		require.Equal(t, 1, sim.DigestChallenges())
		require.Len(t, sim.Ledger(), 21)
		atOnce(20, func(int) { assert.NoError(t, list(c, t.Context())) })
		require.Equal(t, 1, sim.DigestChallenges())
		require.Len(t, sim.Ledger(), 41, "later ones cost one round trip each")
	})
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

// A challenge serves until Atlas calls it stale, each time with a new count.
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
	_, counts = wire.signatures()
	slices.Sort(counts)
	require.Len(t, slices.Compact(counts), 20, "no count serves twice")

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

func TestDigestWrongKey(t *testing.T) {
	t.Parallel()
	c, sim := setupSim(t, keyedSim, atlasclient.APIKey{PublicKey: "public", PrivateKey: "wrong"})
	for range 2 {
		err := get(c, t.Context())
		require.EqualError(t, err, getOrders+": 401 UNEXPECTED_ERROR: You are not authorized for this resource.")
		require.Equal(t, &atlasclient.Error{
			Status: 401, ErrorCode: "UNEXPECTED_ERROR", Reason: "Unauthorized", Detail: "You are not authorized for this resource.",
			Method: "GET", Path: flex + "/orders",
		}, err)
	}
	require.Len(t, sim.Ledger(), 4, "it is tried with the challenge once, and then given up")
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
			c := setupAuth(t, apiKey, refused, good, step{want: getOrders, answer: `{}`}, refused)
			want := &atlasclient.Error{
				Status: 401, ErrorCode: "API_KEY_GONE", Detail: "It was deleted.", Parameters: []string{"public"},
				Method: "GET", Path: flex + "/orders",
			}
			require.Equal(t, want, get(c, t.Context()))
			require.NoError(t, get(c, t.Context()))
			require.Equal(t, want, get(c, t.Context()))
		})
	}
}

// Those who wait for another's challenge or token wait no longer than they
// want to, and go on themselves when the other gives up.
func TestWaitingForAnother(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"API key", "service account"} {
		auth := credentials()[name]
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// Hangs for the first request, whatever it is for, and is slow to
			// give what a request is signed with.
			slow := func(t *testing.T) (*atlasclient.Client, *atomic.Int32) {
				var unsigned atomic.Int32
				rest := guard(auth, nil, answers(200, `{}`))
				return newClient(t, atlasclient.Options{BaseURL: "http://localhost", Auth: auth, Transport: atlassimtest.Pipe(t,
					http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						if r.Header.Get("Authorization") == "" || r.URL.Path == "/api/oauth/token" {
							if unsigned.Add(1) == 1 {
								hang(w, r)
								return
							}
							time.Sleep(time.Second)
						}
						rest.ServeHTTP(w, r)
					}))}), &unsigned
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
					synctest.Wait() // it has its turn
					took, err := within(t, c, time.Second)
					require.EqualError(t, err, getOrders+": no answer: context deadline exceeded")
					require.Equal(t, time.Second, took)
					require.ErrorIs(t, <-other, context.DeadlineExceeded)
				})
			})
			t.Run("the other gives up", func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					c, unsigned := slow(t)
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
					require.EqualValues(t, 2, unsigned.Load(), "one of them asks for all")
					require.EqualError(t, <-other, fmt.Sprintf("%s: no answer: context deadline exceeded",
						map[string]string{"API key": getOrders, "service account": buyToken}[name]))
				})
			})
		})
	}
}
