package integration

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv/testworker"
)

// Rows 2, 3 and 4: what passes by itself is asked again until it has passed, and makes one cluster.
func TestRetried(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		retried string // the failure type that the activity shows meanwhile
		fault   atlassim.Fault
	}{
		{name: "408", retried: "REQUEST_TIMEOUT", fault: statusFault(408, "REQUEST_TIMEOUT")},
		{name: "425", retried: "HTTP_425", fault: htmlFault(425)},
		{name: "429", retried: "RATE_LIMITED", fault: statusFault(429, "RATE_LIMITED")},
		{name: "429 Retry-After 0", retried: "RATE_LIMITED_TOKEN_BUCKET",
			fault: withRetryAfter(statusFault(429, "RATE_LIMITED_TOKEN_BUCKET"), "0")},
		{name: "429 Retry-After 2", retried: "RATE_LIMITED",
			fault: withRetryAfter(statusFault(429, "RATE_LIMITED"), "2")},
		{name: "name held", retried: "CONTAINER_WAITING_FOR_FAST_RECORD_CLEAN_UP",
			fault: statusFault(400, "CONTAINER_WAITING_FOR_FAST_RECORD_CLEAN_UP")},
		{name: "app upgrade", retried: "WRITES_NOT_ALLOWED_DURING_APP_UPGRADES",
			fault: statusFault(405, "WRITES_NOT_ALLOWED_DURING_APP_UPGRADES")},
		{name: "config limit", retried: "DEFAULT_CONFIG_LIMIT_EXCEPTION",
			fault: statusFault(400, "DEFAULT_CONFIG_LIMIT_EXCEPTION")},
		{name: "500", retried: "UNEXPECTED_ERROR", fault: statusFault(500, "UNEXPECTED_ERROR")},
		{name: "500 after the effect", retried: "UNEXPECTED_ERROR",
			fault: afterEffect(statusFault(500, "UNEXPECTED_ERROR"))},
		{name: "502 HTML", retried: "HTTP_502", fault: htmlFault(502)},
		{name: "503 Retry-After", retried: "HTTP_503", fault: withRetryAfter(htmlFault(503), "2")},
		{name: "504", retried: "HTTP_504", fault: htmlFault(504)},
		{name: "599", retried: "HTTP_599", fault: htmlFault(599)},
		{name: "reset before", retried: "ATLAS_UNREACHABLE",
			fault: atlassim.Fault{Kind: atlassim.FaultReset}},
		{name: "lost answer", retried: "ATLAS_UNREACHABLE", fault: atlassim.Fault{Kind: atlassim.FaultLost}},
		{name: "hang before", retried: "ATLAS_UNREACHABLE", fault: hangFault()},
		{name: "hang after", retried: "ATLAS_UNREACHABLE", fault: afterEffect(hangFault())},
		{name: "truncated", retried: "ATLAS_BAD_RESPONSE",
			fault: atlassim.Fault{Kind: atlassim.FaultTruncate}},
		{name: "oversize", retried: "ATLAS_BAD_RESPONSE",
			fault: atlassim.Fault{Kind: atlassim.FaultOversize, AfterEffect: true}},
		{name: "garbage", retried: "ATLAS_BAD_RESPONSE", fault: atlassim.Fault{Kind: atlassim.FaultGarbage}},
	} {
		for _, tagged := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/tag %t", test.name, tagged), func(t *testing.T) {
				t.Parallel()
				fault := test.fault
				var options []testworker.Option
				if fault.Kind == atlassim.FaultHang {
					options = append(options, withRequestTimeout(5*time.Second))
				}
				s := setup(t, atlassim.Config{}, options...)
				fault.Method, fault.Times = http.MethodPost, 1
				s.Sim.AddFault(fault)
				in := flex(t)
				in.OwnershipTag = new(tagged)
				run := start(s, in)
				shown := watchRetry(s, run.WorkflowID)
				cluster, err := result(s, run)
				require.NoError(t, err)
				require.Equal(t, contract.Created, cluster.Outcome)
				require.Equal(t, 1, s.Sim.Count(atlassim.Created))
				require.Len(t, s.Sim.Clusters(), 1)
				require.Equal(t, 2, s.Requests("POST", "/flexClusters"), "requests")
				require.Equal(t, test.retried, <-shown)

				if fault.RetryAfter == "2" {
					var posts []time.Time
					for _, e := range s.Sim.Ledger() {
						if e.Method == "POST" && e.Authenticated {
							posts = append(posts, e.Time)
						}
					}
					require.GreaterOrEqual(t, posts[1].Sub(posts[0]), 2*time.Second, "Retry-After")
				}
			})
		}
	}
}

// watchRetry answers the type of the failure that the Web UI shows of a pending activity while it is retried.
func watchRetry(s *testenv.Stack, workflowID string) <-chan string {
	shown := make(chan string, 1)
	go func() {
		defer close(shown)
		for s.Context().Err() == nil {
			d, err := s.Temporal.DescribeWorkflowExecution(s.Context(), workflowID, "")
			if err != nil {
				return
			}
			for _, p := range d.GetPendingActivities() {
				if f := p.GetLastFailure(); f != nil {
					shown <- f.GetApplicationFailureInfo().GetType()
					return
				}
			}
			if d.GetWorkflowExecutionInfo().GetCloseTime() != nil {
				return
			}
		}
	}()
	return shown
}

// What does not pass ends with the time limit, as what it is: Atlas never took the request, so there is no state to
// speak of.
func TestRetriedUntilTheTimeLimit(t *testing.T) {
	t.Parallel()
	refused := func(t *testing.T) string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer l.Close()
		return "http://" + l.Addr().String()
	}
	plain := func(t *testing.T) string { // TLS is spoken to a server that does not
		server := httptest.NewServer(http.NotFoundHandler())
		t.Cleanup(server.Close)
		return "https" + server.URL[len("http"):]
	}
	untrusted := func(t *testing.T) string { // a certificate that nobody vouches for
		server := httptest.NewUnstartedServer(http.NotFoundHandler())
		server.Config.ErrorLog = discardLog
		server.StartTLS()
		t.Cleanup(server.Close)
		return server.URL
	}
	for _, test := range []struct {
		name     string
		fault    atlassim.Fault
		url      func(*testing.T) string
		wantType string
		want     string
	}{
		{name: "503", fault: atlassim.Fault{Kind: atlassim.FaultHTML, Status: 503}, wantType: "HTTP_503",
			want: `^cluster "NAME": Atlas answered 503 Service Unavailable: trying again, for which no time was ` +
				`left within 8s \(timeoutSeconds\)\. Nothing is known to have been made: start the workflow again ` +
				`under the same id to make sure\. If Atlas goes on answering so, check providerSettings\.regionName, ` +
				`since it does not refuse every region that it does not have, and https://status\.mongodb\.com$`},
		{name: "429", fault: withRetryAfter(statusFault(429, "RATE_LIMITED"), "60"), wantType: "RATE_LIMITED",
			want: `^cluster "NAME": Atlas answered 429 RATE_LIMITED: trying again after 1m0s, as Atlas asks, for ` +
				`which no time was left within 8s`},
		{name: "refused", url: refused, wantType: "ATLAS_UNREACHABLE",
			want: `^cluster "NAME": no answer from Atlas to POST ` + createPath + ` \(dial tcp 127.0.0.1:\d+: ` +
				`connect: connection refused\): trying again, for which no time was left within 8s`},
		{name: "no TLS", url: plain, wantType: "ATLAS_UNREACHABLE", want: `server gave HTTP response to HTTPS ` +
			`client\): trying again, for which no time was left within 8s`},
		{name: "untrusted", url: untrusted, wantType: "ATLAS_UNREACHABLE", want: `certificate signed by unknown ` +
			`authority\): trying again, for which no time was left within 8s`},
		{name: "garbage", fault: atlassim.Fault{Kind: atlassim.FaultGarbage, BeforeEffect: true},
			wantType: "ATLAS_BAD_RESPONSE",
			want: `^cluster "NAME": Atlas answered POST ` + createPath + ` with 200, but the body is not the JSON ` +
				`expected: .*: trying again, for which no time was left within 8s`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var options []testworker.Option
			if test.url != nil {
				options = append(options, withBaseURL(test.url(t)))
			}
			s := setup(t, atlassim.Config{}, options...)
			if test.fault.Kind != "" {
				test.fault.Method = http.MethodPost
				s.Sim.AddFault(test.fault)
			}
			in := flex(t)
			in.TimeoutSeconds = new(8)
			_, err := execute(s, in)
			f := testenv.Failure(t, err)
			require.Equal(t, test.wantType, f.Type)
			require.Regexp(t, withName(test.want, in.Name), f.Message)
			require.Empty(t, s.Sim.Clusters())
			if test.name == "503" {
				record(s, "provision-given-up")
			}
		})
	}
}
