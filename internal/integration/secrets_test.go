package integration

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/atlas-provisioner/atlas-provisioner/atlasclient"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv/testworker"
	"github.com/atlas-provisioner/atlas-provisioner/provisioner"
)

// credentialProxy stands between the worker and the simulator. It records every credential that passes, and can send
// it back in its answer.
type credentialProxy struct {
	mu          sync.Mutex
	credentials map[string]bool
	requests    int // with a credential
	traceHeader string
}

// recordTrace records a header by which a trace would go on in Atlas.
func (p *credentialProxy) recordTrace(header http.Header) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.traceHeader += header.Get("Traceparent") + header.Get("Tracestate") + header.Get("Baggage")
}

func (p *credentialProxy) record(credential string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.credentials[credential] = true
	p.requests++
}

// serve starts the proxy and returns its URL. It answers the requests that echo chooses with their own credential.
func (p *credentialProxy) serve(t *testing.T, simulator string, echo func(*http.Request) bool) string {
	target, err := url.Parse(simulator)
	require.NoError(t, err)
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }, ErrorLog: discardLog}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.recordTrace(r.Header)
		authorization := r.Header.Get("Authorization")
		if scheme, credential, _ := strings.Cut(authorization, " "); scheme != "" && scheme != "Digest" {
			p.record(credential)
		} else if m := regexp.MustCompile(`response="([0-9a-f]+)"`).FindStringSubmatch(credential); m != nil {
			p.record(m[1])
		}
		if authorization != "" && echo(r) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprintf(w, `{"error": 403, "errorCode": "ECHO", "reason": %q, "detail": %q, "parameters": [%q]}`,
				authorization, "you sent "+authorization, authorization)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// No key, secret or token is in a history, a pending activity, a log, a span or an output, whatever the kind of
// credential and however the run ends. No trace goes on in Atlas.
func TestSecretsStayIn(t *testing.T) {
	t.Parallel()
	const clientSecret, accessToken = "mdb_sa_sk_5f2c-client-secret-of-the-tests", "eyJ-access-token-of-the-tests"
	for _, test := range []struct {
		name   string
		sim    atlassim.Config
		auth   atlasclient.Auth
		secret string
	}{
		{"digest", atlassim.Config{},
			atlasclient.APIKey{PublicKey: testenv.PublicKey, PrivateKey: testenv.PrivateKey}, testenv.PrivateKey},
		{"service account", atlassim.Config{ClientID: "mdb_sa_id_1", ClientSecret: clientSecret},
			atlasclient.ServiceAccount{ClientID: "mdb_sa_id_1", ClientSecret: clientSecret}, clientSecret},
		{"access token", atlassim.Config{AccessToken: accessToken}, atlasclient.AccessToken(accessToken), accessToken},
		{"wrong secret", atlassim.Config{ClientID: "mdb_sa_id_1", ClientSecret: "right"},
			atlasclient.ServiceAccount{ClientID: "mdb_sa_id_1", ClientSecret: clientSecret}, clientSecret},
	} {
		for _, end := range []string{"done", "retried", "echoed"} {
			t.Run(test.name+"/"+end, func(t *testing.T) {
				t.Parallel()
				proxy := &credentialProxy{credentials: map[string]bool{test.secret: true}}
				s := testenv.New(t, test.sim)
				url := proxy.serve(t, s.URL, func(r *http.Request) bool {
					return end == "echoed" && r.Method == http.MethodPost
				})
				collector := testenv.StartCollector(t)
				w := testworker.StartWithEnv(s, collector.Env(),
					withAuth(test.auth), withBaseURL(url), withRequestTimeout(time.Second))
				if end == "retried" {
					s.Sim.AddFault(atlassim.Fault{Kind: atlassim.FaultReset, Times: 2})
					s.Sim.AddFault(atlassim.Fault{Kind: atlassim.FaultHTML, Status: 503, Times: 2})
				}
				run := start(s, flex(t))
				var visible strings.Builder
				for {
					d, err := s.Temporal.DescribeWorkflowExecution(s.Context(), run.WorkflowID, run.RunID)
					require.NoError(t, err)
					visible.WriteString(d.String())
					if d.GetWorkflowExecutionInfo().GetCloseTime() != nil {
						break
					}
				}
				cluster, err := result(s, run)
				fmt.Fprintf(&visible, "%+v %v", cluster, err)
				w.Stop()
				visible.WriteString(w.Logs.String())
				visible.WriteString(visibleHistory(s, run))
				require.Contains(t, collector.Texts(), "POST /", "spans of requests")
				visible.WriteString(collector.Texts())

				proxy.mu.Lock()
				defer proxy.mu.Unlock()
				require.Positive(t, proxy.requests, "requests with a credential")
				require.Empty(t, proxy.traceHeader)
				for secret := range proxy.credentials {
					require.NotContains(t, visible.String(), secret)
				}
				if end == "echoed" {
					require.Equal(t, "ECHO", testenv.Failure(t, err).Type)
					require.Contains(t, visible.String(), "[redacted]")
				}
			})
		}
	}
}

// visibleHistory is the history of a run in all forms in which programs show it.
func visibleHistory(s *testenv.Stack, run provisioner.Run) string {
	var b strings.Builder
	for _, e := range s.History(run) {
		b.WriteString(protojson.Format(e))
		// This form shows the payloads as they are, where JSON shows them in base64.
		b.WriteString(e.String())
	}
	b.Write(s.HistoryJSON(run))
	return b.String()
}
