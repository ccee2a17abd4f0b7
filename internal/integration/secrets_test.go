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
	"github.com/atlas-provisioner/atlas-provisioner/provisioner"
)

// listener stands between the worker and the simulator, notes every credential
// that goes by, and can answer with what it heard.
type listener struct {
	mu    sync.Mutex
	heard map[string]bool
	times int
}

func (l *listener) hear(s string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.heard[s] = true
	l.times++
}

func (l *listener) listen(t *testing.T, to string, echo func(*http.Request) bool) string {
	target, err := url.Parse(to)
	require.NoError(t, err)
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }, ErrorLog: discardLog}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		authorization := r.Header.Get("Authorization")
		if scheme, credential, _ := strings.Cut(authorization, " "); scheme != "" && scheme != "Digest" {
			l.hear(credential)
		} else if m := regexp.MustCompile(`response="([0-9a-f]+)"`).FindStringSubmatch(credential); m != nil {
			l.hear(m[1])
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

// No key, secret or token is in any history, pending activity, log or output,
// whatever the credential and however it ends.
func TestSecretsStayIn(t *testing.T) {
	t.Parallel()
	const clientSecret, accessToken = "mdb_sa_sk_5f2c-client-secret-of-the-tests", "eyJ-access-token-of-the-tests"
	for _, test := range []struct {
		name   string
		sim    atlassim.Config
		auth   atlasclient.Auth
		secret string
	}{
		{"digest", atlassim.Config{}, atlasclient.APIKey{PublicKey: publicKey, PrivateKey: privateKey}, privateKey},
		{"service account", atlassim.Config{ClientID: "mdb_sa_id_1", ClientSecret: clientSecret},
			atlasclient.ServiceAccount{ClientID: "mdb_sa_id_1", ClientSecret: clientSecret}, clientSecret},
		{"access token", atlassim.Config{AccessToken: accessToken}, atlasclient.AccessToken(accessToken), accessToken},
		{"wrong secret", atlassim.Config{ClientID: "mdb_sa_id_1", ClientSecret: "right"},
			atlasclient.ServiceAccount{ClientID: "mdb_sa_id_1", ClientSecret: clientSecret}, clientSecret},
	} {
		for _, end := range []string{"done", "retried", "echoed"} {
			t.Run(test.name+"/"+end, func(t *testing.T) {
				t.Parallel()
				l := &listener{heard: map[string]bool{test.secret: true}}
				s := setupWithoutWorker(t, test.sim)
				url := l.listen(t, s.url, func(r *http.Request) bool {
					return end == "echoed" && (r.Method == http.MethodPost)
				})
				s.startWorker(withAuth(test.auth), withBaseURL(url), withRequestTimeout(time.Second))
				if end == "retried" {
					s.sim.AddFault(atlassim.Fault{Kind: atlassim.FaultReset, Times: 2})
					s.sim.AddFault(atlassim.Fault{Kind: atlassim.FaultHTML, Status: 503, Times: 2})
				}
				in := flex(t)
				run, err := s.client.Start(s.ctx(), in)
				require.NoError(t, err)
				var seen strings.Builder
				for {
					d, err := s.temporal.DescribeWorkflowExecution(s.ctx(), run.WorkflowID, run.RunID)
					require.NoError(t, err)
					seen.WriteString(d.String())
					if d.GetWorkflowExecutionInfo().GetCloseTime() != nil {
						break
					}
				}
				cluster, err := s.result(run)
				fmt.Fprintf(&seen, "%+v %v", cluster, err)
				s.stop()
				seen.WriteString(s.logs.String())
				seen.WriteString(s.shown(run))

				l.mu.Lock()
				defer l.mu.Unlock()
				require.Positive(t, l.times, "credentials went over the wire")
				for secret := range l.heard {
					require.NotContains(t, seen.String(), secret)
				}
				if end == "echoed" {
					require.Equal(t, "ECHO", failure(t, err).Type)
					require.Contains(t, seen.String(), "[redacted]")
				}
			})
		}
	}
}

// shown is the history of a run as the programs show it.
func (s *stack) shown(run provisioner.Run) string {
	var b strings.Builder
	for _, e := range s.history(run) {
		b.WriteString(protojson.Format(e))
		// Here payloads of every kind stand as they are, and not in base64:
		// inputs, results, failures, memo, search attributes, summaries.
		b.WriteString(e.String())
	}
	b.Write(s.show(run))
	return b.String()
}
