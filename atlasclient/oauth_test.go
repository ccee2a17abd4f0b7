package atlasclient_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/atlas-provisioner/atlas-provisioner/atlasclient"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/version"
)

var (
	account    = atlasclient.ServiceAccount{ClientID: "mdb_sa_id_1", ClientSecret: clientSecret}
	accountSim = atlassim.Config{
		ClientID:     "mdb_sa_id_1",
		ClientSecret: clientSecret,
		TokenTTL:     atlassim.Duration(time.Hour),
	}
)

// getWith is a GET of the cluster orders with a token, and its answer.
func getWith(token string, status int, answer string) step {
	header := map[string]string{"Authorization": "Bearer " + token}
	return step{want: getOrders, header: header, status: status, answer: answer}
}

func TestTokenRequest(t *testing.T) {
	t.Parallel()
	for name, auth := range map[string]atlasclient.ServiceAccount{
		"plain":       account,
		"with a sign": {ClientID: "id:1", ClientSecret: "a&b=c%d é:"}, // form-encoded, says RFC 6749, section 2.3.1
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			buy := token("one")
			credential := url.QueryEscape(auth.ClientID) + ":" + url.QueryEscape(auth.ClientSecret)
			buy.header = map[string]string{
				"Authorization": "Basic " + base64.StdEncoding.EncodeToString([]byte(credential)),
				"Content-Type":  "application/x-www-form-urlencoded",
				"User-Agent":    "atlas-provisioner/" + version.Version,
			}
			buy.instead = func(w http.ResponseWriter, r *http.Request) {
				body, err := io.ReadAll(r.Body)
				assert.NoError(t, err)
				assert.Equal(t, "grant_type=client_credentials", string(body))
				answers(200, fmt.Sprintf(tokenReply, "one"), "Content-Type", "application/json")(w, r)
			}
			require.NoError(t, get(setupAuth(t, auth, buy, getWith("one", 200, ordersAnswer)), t.Context()))
		})
	}
}

// One token serves all requests that begin at the same moment: Atlas gives out about ten a minute.
func TestOneToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cfg := accountSim
		cfg.Hook = func(stage atlassim.Stage, e atlassim.Entry) {
			if stage == atlassim.Arrived && e.Path == "/api/oauth/token" {
				time.Sleep(time.Second) // is over when all others wait
			}
		}
		c, sim := pipeSim(t, cfg, account)
		atOnce(20, func(int) { assert.NoError(t, list(c, t.Context())) })
		require.Equal(t, 1, sim.TokensIssued())
		require.Len(t, sim.Ledger(), 21)

		sim.RevokeTokens()
		atOnce(20, func(int) { assert.NoError(t, list(c, t.Context())) })
		require.Equal(t, 2, sim.TokensIssued(), "and so it is when it is revoked")
	})
}

// The token of a service account is fetched ahead of the first request, once, and a wrong credential shows then.
func TestFetchToken(t *testing.T) {
	t.Parallel()
	right, sim := setupSim(t, accountSim, account)
	resp, err := right.FetchToken(t.Context())
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, resp.Status)
	require.WithinDuration(t, time.Now(), resp.Date, time.Minute)
	resp, err = right.FetchToken(t.Context())
	require.NoError(t, err)
	require.Equal(t, &atlasclient.Response{}, resp, "it has one")
	require.NoError(t, list(right, t.Context()))
	require.Equal(t, 1, sim.TokensIssued())

	wrong, _ := setupSim(t, accountSim, atlasclient.ServiceAccount{ClientID: "mdb_sa_id_1", ClientSecret: "wrong"})
	resp, err = wrong.FetchToken(t.Context())
	require.Nil(t, resp)
	require.EqualError(t, err, "POST /api/oauth/token: 401: invalid_client")

	key, unasked := setupSim(t, atlassim.Config{}, atlasclient.AccessToken("any"))
	resp, err = key.FetchToken(t.Context())
	require.NoError(t, err)
	require.Nil(t, resp, "it needs no token")
	require.Empty(t, unasked.Ledger())
}

// A token is renewed shortly before it ends, not after.
func TestTokenRenewal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cfg := accountSim
		cfg.TokenTTL = atlassim.Duration(10 * time.Minute)
		c, sim := pipeSim(t, cfg, account)
		require.NoError(t, list(c, t.Context()))
		time.Sleep(10*time.Minute - 11*time.Second)
		require.NoError(t, list(c, t.Context()))
		require.Equal(t, 1, sim.TokensIssued())
		time.Sleep(2 * time.Second) // 9 s are left
		require.NoError(t, list(c, t.Context()))
		require.Equal(t, 2, sim.TokensIssued())
		for _, e := range sim.Ledger() {
			require.Equal(t, 200, e.Status)
		}
	})

	t.Run("a short one", func(t *testing.T) {
		t.Parallel()
		cfg := accountSim
		cfg.TokenTTL = atlassim.Duration(5 * time.Second) // always about to end
		c, sim := setupSim(t, cfg, account)
		for i := range 3 {
			require.NoError(t, list(c, t.Context()))
			require.Equal(t, i+1, sim.TokensIssued())
		}
	})
}

// The life of a token can be written in several ways. Where it cannot be read, the token serves until it is rejected.
func TestTokenLife(t *testing.T) {
	t.Parallel()
	for expires, life := range map[string]time.Duration{
		`3600`: time.Hour, `3599.7`: time.Hour, `3.6e3`: time.Hour, `"3600"`: time.Hour, `"3599.7"`: time.Hour,
		`1e300`: 365 * 24 * time.Hour,
		`0`:     0, `-1`: 0, `null`: 0, `""`: 0, `"soon"`: 0, `"NaN"`: 0, `true`: 0, `[3600]`: 0, `{}`: 0,
	} {
		t.Run(expires, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				fetched := 0
				c := overPipe(t, account, guard(account, func(w http.ResponseWriter, r *http.Request) {
					fetched++
					body := fmt.Sprintf(`{"access_token":"t","token_type":"Bearer","expires_in":%s}`, expires)
					answers(200, body)(w, r)
				}, answers(200, ordersAnswer)))
				require.NoError(t, get(c, t.Context()))
				if life == 0 {
					time.Sleep(10 * 365 * 24 * time.Hour)
					require.NoError(t, get(c, t.Context()))
					require.Equal(t, 1, fetched)
					return
				}
				time.Sleep(life - 11*time.Second)
				require.NoError(t, get(c, t.Context()))
				require.Equal(t, 1, fetched)
				time.Sleep(2 * time.Second)
				require.NoError(t, get(c, t.Context()))
				require.Equal(t, 2, fetched)
			})
		})
	}
}

// When a token is rejected early, one new token is fetched, and the request is sent again with its body.
func TestRevokedToken(t *testing.T) {
	t.Parallel()
	c, sim := setupSim(t, accountSim, account)
	require.NoError(t, list(c, t.Context()))
	sim.RevokeTokens()
	_, _, err := c.CreateFlexCluster(t.Context(), group, orders)
	require.NoError(t, err)
	require.Equal(t, 2, sim.TokensIssued())
	require.Equal(t, 1, sim.Count(atlassim.Created))
	var statuses []int
	for _, e := range sim.Ledger() {
		statuses = append(statuses, e.Status)
	}
	require.Equal(t, []int{200, 200, 401, 200, 201}, statuses)
}

// The body is whole the second time, whatever the transport does with it.
func TestRevokedTokenBody(t *testing.T) {
	t.Parallel()
	var bodies []string
	c := overTransport(t, account, func(r *http.Request) *http.Response {
		body, err := io.ReadAll(r.Body)
		assert.NoError(t, err)
		status, answer := 401, ""
		switch {
		case r.URL.Path == "/api/oauth/token":
			status, answer = 200, `{"access_token":"t"}`
		case len(bodies) > 0:
			status, answer = 201, ordersAnswer
		}
		if r.URL.Path != "/api/oauth/token" {
			bodies = append(bodies, string(body))
		}
		return reply(status, nil, answer)
	})
	_, _, err := c.CreateFlexCluster(t.Context(), group, orders)
	require.NoError(t, err)
	require.Len(t, bodies, 2)
	require.NotEmpty(t, bodies[0])
	require.Equal(t, bodies[0], bodies[1])
}

func TestRejected(t *testing.T) {
	t.Parallel()
	const (
		unauthorized = `{"errorCode":"UNEXPECTED_ERROR","detail":"You are not authorized for this resource."}`
		notInGroup   = `{"errorCode":"NOT_IN_GROUP","detail":"Not yours."}`
		notCreator   = `{"errorCode":"NOT_ORG_GROUP_CREATOR","detail":"Not yours."}`
	)
	for _, test := range []struct {
		name  string
		steps []step
		want  []string // of each GET, "" is none
	}{
		{"twice in a row, it is not the token",
			[]step{token("one"), getWith("one", 401, unauthorized), token("two"), getWith("two", 401, unauthorized)},
			[]string{getOrders + ": 401 UNEXPECTED_ERROR: You are not authorized for this resource."}},
		{"a third is not asked for until the next request",
			[]step{
				token("one"), getWith("one", 401, ""), token("two"), getWith("two", 401, ""),
				getWith("two", 401, ""), token("three"), getWith("three", 200, ordersAnswer),
			},
			[]string{getOrders + ": 401", ""}},
		{"the project is not the key's",
			[]step{token("one"), getWith("one", 401, notInGroup), getWith("one", 401, notInGroup)},
			[]string{getOrders + ": 401 NOT_IN_GROUP: Not yours.", getOrders + ": 401 NOT_IN_GROUP: Not yours."}},
		{"the organization is not the key's", []step{token("one"), getWith("one", 401, notCreator)},
			[]string{getOrders + ": 401 NOT_ORG_GROUP_CREATOR: Not yours."}},
		{"by the header alone",
			[]step{
				token("one"), {want: getOrders, status: 401, with: map[string]string{"X-Error-Code": "NOT_IN_GROUP"}},
			},
			[]string{getOrders + ": 401 NOT_IN_GROUP"}},
		{"in HTML", []step{token("one"), getWith("one", 401, html), token("two"), getWith("two", 200, ordersAnswer)},
			[]string{""}},
		{"in half a body",
			[]step{
				token("one"), {want: getOrders, instead: truncated(401, notInGroup)},
				token("two"), getWith("two", 200, ordersAnswer),
			},
			[]string{""}},
		{"403 is not about the token", []step{token("one"), getWith("one", 403, unauthorized)},
			[]string{getOrders + ": 403 UNEXPECTED_ERROR: You are not authorized for this resource."}},
		{"and there is no new one",
			[]step{token("one"), getWith("one", 401, unauthorized), {want: postToken, status: 429}},
			[]string{postToken + ": 429"}},
		{"and what comes then is another error",
			[]step{token("one"), getWith("one", 401, unauthorized), token("two"), getWith("two", 503, html)},
			[]string{getOrders + ": 503"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := setupAuth(t, account, test.steps...)
			for _, want := range test.want {
				err := get(c, t.Context())
				if want == "" {
					require.NoError(t, err)
				} else {
					require.EqualError(t, err, want)
				}
			}
		})
	}
}

func TestNotInGroupCostsNoToken(t *testing.T) {
	t.Parallel()
	cfg := accountSim
	cfg.ForeignGroups = []string{group}
	c, sim := setupSim(t, cfg, account)
	for range 3 {
		require.True(t, atlasclient.IsError(get(c, t.Context()), atlasclient.CodeNotInGroup))
	}
	require.Equal(t, 1, sim.TokensIssued())
	require.Len(t, sim.Ledger(), 4)
}

func TestWrongSecret(t *testing.T) {
	t.Parallel()
	c, sim := setupSim(t, accountSim, atlasclient.ServiceAccount{ClientID: "mdb_sa_id_1", ClientSecret: "wr0ng-secret"})
	err := get(c, t.Context())
	require.Equal(t, &atlasclient.Error{
		Status: 401, Detail: "invalid_client", FromAtlas: true, Method: "POST", Path: "/api/oauth/token",
	}, err)
	require.EqualError(t, err, "POST /api/oauth/token: 401: invalid_client")
	require.NotContains(t, allPrinted(t, err), "wr0ng-secret")
	require.NotContains(t, allPrinted(t, err), base64.StdEncoding.EncodeToString([]byte("mdb_sa_id_1:wr0ng-secret")))
	require.Len(t, sim.Ledger(), 1, "Atlas was asked for nothing else")
}

func TestTokensRunOut(t *testing.T) {
	t.Parallel()
	cfg := accountSim
	cfg.TokensPerMinute, cfg.TokenTTL = 1, atlassim.Duration(time.Second)
	c, _ := setupSim(t, cfg, account)
	require.NoError(t, list(c, t.Context()))
	e := asError(t, list(c, t.Context()))
	require.EqualError(t, e, "POST /api/oauth/token: 429 RATE_LIMITED: Too many requests.")
	require.Equal(t, 429, e.Status)
	require.NotNil(t, e.RetryAfter)
	require.InDelta(t, 59, e.RetryAfter.Seconds(), 1)
}

// The error takes its detail from OAuth's words where Atlas's are missing.
func TestTokenRefused(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		answer, want string
		fromAtlas    bool
	}{
		"a code":           {`{"error":"invalid_client"}`, "400: invalid_client", true},
		"a code and words": {`{"error":"invalid_client","error_description":"Who is it?"}`, "400: Who is it?", true},
		"Atlas's words": {`{"errorCode":"IP_ADDRESS_NOT_ON_ACCESS_LIST","detail":"Not from there.","error":400}`,
			"400 IP_ADDRESS_NOT_ON_ACCESS_LIST: Not from there.", true},
		"both: Atlas's go before": {`{"error":"invalid_client","detail":"Not from there."}`,
			"400: Not from there.", true},
		"a gateway's": {`{"error":"Forbidden"}`, "400: Forbidden", false},
		"nothing":     {`{}`, "400", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := setupAuth(t, account, step{want: postToken, status: 400, answer: test.answer})
			err := get(c, t.Context())
			require.EqualError(t, err, postToken+": "+test.want)
			require.Equal(t, test.fromAtlas, asError(t, err).FromAtlas)
		})
	}
	t.Run("with status 200", func(t *testing.T) {
		t.Parallel()
		c := setupAuth(t, account, step{want: postToken, answer: `{"error":"invalid_client"}`})
		require.EqualError(t, get(c, t.Context()), postToken+": status 200: the answer holds no token")
	})
	t.Run("no token in it", func(t *testing.T) {
		t.Parallel()
		c := setupAuth(t, account, step{want: postToken, answer: `{"token_type":"Bearer"}`},
			token("one"), getWith("one", 200, ordersAnswer))
		require.EqualError(t, get(c, t.Context()), postToken+": status 200: the answer holds no token")
		require.NoError(t, get(c, t.Context()), "the next request asks again")
	})
}

// A caller that is cancelled while its token is fetched says so.
func TestTokenCancelled(t *testing.T) {
	t.Parallel()
	arrived := make(chan struct{})
	c := setupAuth(t, account, step{want: postToken, instead: func(w http.ResponseWriter, r *http.Request) {
		close(arrived)
		hang(w, r)
	}})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-arrived
		cancel()
	}()
	err := get(c, ctx)
	require.EqualError(t, err, postToken+": no answer: context canceled")
	require.ErrorIs(t, err, context.Canceled)
}

func TestAccessToken(t *testing.T) {
	t.Parallel()
	t.Run("good", func(t *testing.T) {
		t.Parallel()
		c, sim := setupSim(t, atlassim.Config{AccessToken: accessToken}, atlasclient.AccessToken(accessToken))
		require.NoError(t, list(c, t.Context()))
		require.Len(t, sim.Ledger(), 1)
		require.Equal(t, atlassim.AuthBearer, sim.Ledger()[0].Auth)
	})
	t.Run("bad: it cannot be renewed", func(t *testing.T) {
		t.Parallel()
		c := setupAuth(t, atlasclient.AccessToken("one"),
			getWith("one", 401, `{"errorCode":"UNEXPECTED_ERROR","detail":"No."}`))
		require.EqualError(t, get(c, t.Context()), getOrders+": 401 UNEXPECTED_ERROR: No.")
	})
	t.Run("with a body", func(t *testing.T) {
		t.Parallel()
		c, sim := setupSim(t, atlassim.Config{AccessToken: accessToken}, atlasclient.AccessToken(accessToken))
		_, _, err := c.CreateFlexCluster(t.Context(), group, orders)
		require.NoError(t, err)
		require.Equal(t, 1, sim.Count(atlassim.Created))
	})
}
