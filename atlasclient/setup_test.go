package atlasclient_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/atlas-provisioner/atlas-provisioner/atlasclient"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim/atlassimtest"
)

const (
	group = "5c0ffee5c0ffee5c0ffee5c0"
	root  = "/api/atlas/v2/groups/" + group
	flex  = root + "/flexClusters"

	getOrders  = "GET " + flex + "/orders"
	flexMedia  = "application/vnd.atlas.2024-11-13+json"
	postToken  = "POST /api/oauth/token"
	tokenReply = `{"access_token":"%s","token_type":"Bearer","expires_in":3600}`
	// ordersAnswer has no more than an answer about the cluster orders must have.
	ordersAnswer = `{"name":"orders","stateName":"IDLE"}`
)

// orders is a request that the simulator takes.
var orders = atlasclient.FlexClusterRequest{
	Name:             "orders",
	ProviderSettings: atlasclient.ProviderSettings{BackingProviderName: "AWS", RegionName: "US_EAST_1"},
}

// step is one request that a server expects, and what it answers.
type step struct {
	want    string            // method and target, as they are on the wire
	header  map[string]string // of the request; "" is none
	body    string            // of the request; compared as JSON
	status  int               // default 200
	with    map[string]string // headers of the answer
	answer  string
	instead http.HandlerFunc // answers in place of the three above
}

// setup is a client of a server that takes exactly these steps, in order.
func setup(t *testing.T, steps ...step) *atlasclient.Client {
	t.Helper()
	return setupAuth(t, nil, steps...)
}

func setupAuth(t *testing.T, auth atlasclient.Auth, steps ...step) *atlasclient.Client {
	t.Helper()
	return newClient(t, atlasclient.Options{BaseURL: serve(t, script(t, steps...)), Auth: auth})
}

// setupSim is a client of a simulator.
func setupSim(t *testing.T, cfg atlassim.Config, auth atlasclient.Auth) (*atlasclient.Client, *atlassim.Server) {
	t.Helper()
	sim, url := atlassimtest.Start(t, cfg)
	return newClient(t, atlasclient.Options{BaseURL: url, Auth: auth}), sim
}

func newClient(t testing.TB, o atlasclient.Options) *atlasclient.Client {
	t.Helper()
	c, err := atlasclient.New(o)
	require.NoError(t, err)
	return c
}

// overServer is a client of a server.
func overServer(t testing.TB, auth atlasclient.Auth, h http.Handler) *atlasclient.Client {
	t.Helper()
	return newClient(t, atlasclient.Options{BaseURL: serve(t, h), Auth: auth})
}

// roundTrip is a transport that answers without a network.
type roundTrip func(*http.Request) *http.Response

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r), nil }

// overTransport is a client without a network.
func overTransport(t testing.TB, auth atlasclient.Auth, f roundTrip) *atlasclient.Client {
	t.Helper()
	return newClient(t, atlasclient.Options{Auth: auth, Transport: f})
}

// reply is an answer without a network. It leaves out what a transport may leave out.
func reply(status int, header http.Header, body string) *http.Response {
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(body))}
}

func serve(t testing.TB, h http.Handler) string {
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL
}

// script answers the steps in order. A request that is not the next step, or a step that no request came for, fails the
// test.
func script(t *testing.T, steps ...step) http.Handler {
	var mu sync.Mutex
	next := 0
	t.Cleanup(func() { // runs after the server's own: no request is under way
		mu.Lock()
		defer mu.Unlock()
		for _, s := range steps[next:] {
			t.Errorf("no request came for %s", s.want)
		}
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if next == len(steps) {
			t.Errorf("unexpected %s %s", r.Method, r.RequestURI)
			w.WriteHeader(http.StatusTeapot)
			return
		}
		next++
		steps[next-1].serve(t, w, r)
	})
}

func (s step) serve(t *testing.T, w http.ResponseWriter, r *http.Request) {
	assert.Equal(t, s.want, r.Method+" "+r.RequestURI)
	for name, value := range s.header {
		assert.Equal(t, value, r.Header.Get(name), "header %s", name)
	}
	if s.body != "" {
		body, err := io.ReadAll(r.Body)
		assert.NoError(t, err)
		assert.JSONEq(t, s.body, string(body))
	}
	if s.instead != nil {
		s.instead(w, r)
		return
	}
	for name, value := range s.with {
		w.Header().Set(name, value)
	}
	w.WriteHeader(max(s.status, http.StatusOK)) // 0 is 200
	_, _ = io.WriteString(w, s.answer)
}

// token is the step in which a token is fetched.
func token(value string) step {
	return step{want: postToken, answer: fmt.Sprintf(tokenReply, value)}
}

// overPipe is a client in a synctest bubble.
func overPipe(t *testing.T, auth atlasclient.Auth, h http.Handler) *atlasclient.Client {
	t.Helper()
	return newClient(t,
		atlasclient.Options{BaseURL: "http://localhost", Auth: auth, Transport: atlassimtest.Pipe(t, h)})
}

// pipeSim is a client of a simulator in a synctest bubble.
func pipeSim(t *testing.T, cfg atlassim.Config, auth atlasclient.Auth) (*atlasclient.Client, *atlassim.Server) {
	t.Helper()
	sim, err := atlassim.New(cfg)
	require.NoError(t, err)
	t.Cleanup(sim.Close)
	return overPipe(t, auth, sim), sim
}

// wireRecorder notes what goes over the wire.
type wireRecorder struct {
	next http.RoundTripper

	mu   sync.Mutex
	sent []*http.Request
}

func (s *wireRecorder) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	s.sent = append(s.sent, r)
	s.mu.Unlock()
	return s.next.RoundTrip(r)
}

// atOnce calls f n times at the same moment and waits for all.
func atOnce(n int, f func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { f(i) })
	}
	wg.Wait()
}

// asError is the error as the client's own type.
func asError(t *testing.T, err error) *atlasclient.Error {
	t.Helper()
	var e *atlasclient.Error
	require.ErrorAs(t, err, &e)
	return e
}

func get(c *atlasclient.Client, ctx context.Context) error {
	_, _, err := c.GetFlexCluster(ctx, group, "orders")
	return err
}
