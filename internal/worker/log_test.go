package worker

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv"
	"github.com/atlas-provisioner/atlas-provisioner/internal/version"
)

// The log of a worker from its start to its end.
func TestLog(t *testing.T) {
	t.Parallel()
	t.Run("json", func(t *testing.T) {
		t.Parallel()
		s := setup(t, atlassim.Config{})
		p := s.run()
		_, err := s.client.Result(s.ctx(), s.start().WorkflowID, "")
		require.NoError(t, err)
		code, _ := p.end()
		require.Equal(t, 0, code)
		// The SDK logs that it gave up the polls that were open.
		lines := slices.DeleteFunc(p.logs.lines(t),
			func(line map[string]any) bool { return line["Error"] == "worker stopping" })
		require.Equal(t, []map[string]any{
			{"level": "info", "msg": "The health endpoints are served",
				"address": strings.TrimPrefix(p.url, "http://")},
			{"level": "info", "credential": "access token",
				"msg": "Atlas is asked with the first request. 'starter doctor --project-id ID' asks it " +
					"now",
				"temporalVersion":  lines[1]["temporalVersion"],
				"searchAttributes": []any{"AtlasProjectId", "AtlasClusterName", "AtlasClusterState"},
				"atlasHost":        strings.TrimPrefix(s.env[3], "MONGODB_ATLAS_BASE_URL=http://")},
			{"level": "info", "msg": "Started Worker", "Namespace": "default", "TaskQueue": s.queue,
				"WorkerID": lines[2]["WorkerID"]}, // the SDK's
			{"level": "info", "msg": "The worker runs", "version": version.Version, "taskQueue": s.queue,
				"namespace": "default",
				"temporal":  s.on.Address(), "atlas": strings.TrimPrefix(s.env[3], "MONGODB_ATLAS_BASE_URL=")},
			{"level": "info", "msg": "The worker stops: it takes no more work, and lets waits go on elsewhere"},
			{"level": "info", "msg": "Stopped Worker", "Namespace": "default", "TaskQueue": s.queue,
				"WorkerID": lines[2]["WorkerID"]},
			{"level": "info", "msg": "The worker has stopped"},
		}, lines)
	})
	t.Run("console", func(t *testing.T) {
		t.Parallel()
		s := setup(t, atlassim.Config{}, "LOG_FORMAT=console", "WORKER_HTTP_ADDRESS=")
		l := s.runUntil("The worker runs")
		for line := range strings.Lines(l) {
			require.Regexp(t,
				regexp.MustCompile(`^\d{4}-\d\d-\d\dT[0-9:.]+(Z|[+-]\d\d:\d\d)\tinfo\t[^{]+(\t\{.*\})?\n$`), line)
		}
		require.Contains(t, l, "\tinfo\tStarted Worker\t{")
	})
	t.Run("debug", func(t *testing.T) {
		t.Parallel()
		s := setup(t, atlassim.Config{}, "LOG_LEVEL=debug", "LOG_FORMAT=json")
		p := s.run()
		_, err := s.client.Result(s.ctx(), s.start().WorkflowID, "")
		require.NoError(t, err)
		require.Equal(t, "debug", p.logs.line(t, "ExecuteActivity")["level"])
	})
	t.Run("error", func(t *testing.T) {
		t.Parallel()
		s := setup(t,
			atlassim.Config{Faults: []atlassim.Fault{{Kind: atlassim.FaultStatus, Status: 402, Method: "POST"}}},
			"LOG_LEVEL=error", "WORKER_HTTP_ADDRESS=")
		l := s.runUntil("Activity error.")
		for line := range strings.Lines(l) {
			require.Contains(t, line, `{"level":"error",`)
			require.NotContains(t, line, "stacktrace")
			require.NotContains(t, line, ".go:")
		}
	})
	t.Run("plain http", func(t *testing.T) {
		t.Parallel()
		s := setup(t, atlassim.Config{}, "MONGODB_ATLAS_ALLOW_HTTP=true")
		p := s.run()
		require.Equal(t,
			map[string]any{
				"level": "warn",
				"msg": "MONGODB_ATLAS_ALLOW_HTTP is set: the Atlas credential may cross the network in the " +
					"clear. Use it with a simulator only",
			},
			p.logs.lines(t)[0])
	})
}

// At its start a worker tries the credential of a service account. It starts also where that is wrong, or the clock.
func TestChecksAtTheStart(t *testing.T) {
	t.Parallel()
	sim := atlassim.Config{ClientID: "mdb_sa_id_1", ClientSecret: "right", TokenTTL: atlassim.Duration(time.Hour)}
	for _, test := range []struct{ secret, level, message, problem, next string }{
		{secret: "right", level: "info", message: "Atlas gives a token to the worker's service account"},
		{secret: "wrong", level: "warn", message: "Atlas does not give a token to the worker's service account",
			problem: "Atlas answered 401 Unauthorized (invalid_client)",
			next:    "check the worker's Atlas credential (MONGODB_ATLAS_…)"},
	} {
		t.Run(test.secret, func(t *testing.T) {
			t.Parallel()
			s := setup(t, sim, "MONGODB_ATLAS_CLIENT_ID=mdb_sa_id_1", "MONGODB_ATLAS_CLIENT_SECRET="+test.secret)
			p := s.run()
			line := p.logs.line(t, test.message)
			require.Equal(t, test.level, line["level"])
			require.Equal(t, "service account", line["credential"])
			require.NotEmpty(t, line["temporalVersion"])
			if test.problem != "" {
				require.Equal(t, []any{test.problem, test.next}, []any{line["problem"], line["next"]})
			} else {
				require.InDelta(t, 0, line["clockAheadOfAtlasSeconds"], 10)
				require.Equal(t, 1, s.sim.TokensIssued())
			}
			code, _ := p.end()
			require.Equal(t, 0, code)
		})
	}
}

// runUntil runs a worker and one workflow until the log holds the message, and returns the log.
func (s *stack) runUntil(message string) string {
	s.t.Helper()
	p := s.begin()
	s.start()
	require.Eventually(s.t, func() bool { return strings.Contains(p.logs.String(), message) }, testenv.Patience,
		5*time.Millisecond)
	code, _ := p.end()
	require.Equal(s.t, 0, code)
	return p.logs.String()
}

// No line of the log holds a secret, at level debug, with each kind of credential, while requests fail.
func TestNoSecretInTheLog(t *testing.T) {
	t.Parallel()
	const secret = "4f1c-secret-of-the-tests"
	for _, test := range []struct {
		name string
		sim  atlassim.Config
		env  []string
	}{
		{"service account", atlassim.Config{ClientID: "mdb_sa_id_1", ClientSecret: secret},
			[]string{"MONGODB_ATLAS_CLIENT_ID=mdb_sa_id_1", "MONGODB_ATLAS_CLIENT_SECRET=" + secret}},
		{"API key", atlassim.Config{PublicKey: "abcdefgh", PrivateKey: secret},
			[]string{"MONGODB_ATLAS_PUBLIC_API_KEY=abcdefgh", "MONGODB_ATLAS_PRIVATE_API_KEY=" + secret}},
		{"access token", atlassim.Config{AccessToken: secret}, []string{"MONGODB_ATLAS_ACCESS_TOKEN=" + secret}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.sim.Faults = []atlassim.Fault{
				{Kind: atlassim.FaultReset, Times: 1}, {Kind: atlassim.FaultHTML, Status: 503, Times: 1},
				{Kind: atlassim.FaultGarbage, Times: 1},
			}
			s := setup(t, test.sim, append([]string{"MONGODB_ATLAS_ACCESS_TOKEN=", "LOG_LEVEL=debug"}, test.env...)...)
			// What is sent is made from the secret and must not be logged either.
			wire := newRecordingProxy(t, strings.TrimPrefix(s.env[3], "MONGODB_ATLAS_BASE_URL="))
			s.env = append(s.env, "MONGODB_ATLAS_BASE_URL="+wire.url)
			p := s.run()
			cluster, err := s.client.Result(s.ctx(), s.start().WorkflowID, "")
			require.NoError(t, err)
			require.Equal(t, contract.StateIdle, cluster.StateName)
			code, _ := p.end()
			require.Equal(t, 0, code)
			require.Contains(t, p.logs.String(), `"level":"debug"`)
			require.Contains(t, p.logs.String(), "503 Service Unavailable", "what went wrong is there")

			credentials := wire.credentials()
			require.NotEmpty(t, credentials)
			for _, hidden := range append(credentials, secret, base64.StdEncoding.EncodeToString([]byte(secret))) {
				require.NotContains(t, p.logs.String(), hidden)
			}
		})
	}
}

// recordingProxy stands between the worker and the simulator and keeps each credential that is sent.
type recordingProxy struct {
	url string
	mu  sync.Mutex
	all map[string]bool
}

func newRecordingProxy(t *testing.T, to string) *recordingProxy {
	t.Helper()
	target, err := url.Parse(to)
	require.NoError(t, err)
	recordingProxy := &recordingProxy{all: map[string]bool{}}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) },
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) {
			panic(http.ErrAbortHandler) // as the simulator does
		}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, credential, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok {
			if m := regexp.MustCompile(`response="([0-9a-f]+)"`).FindStringSubmatch(credential); m != nil {
				credential = m[1]
			}
			recordingProxy.mu.Lock()
			recordingProxy.all[credential] = true
			recordingProxy.mu.Unlock()
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	recordingProxy.url = server.URL
	return recordingProxy
}

func (t *recordingProxy) credentials() (out []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for c := range t.all {
		out = append(out, c)
	}
	return out
}

// requestLines are the lines of the log about requests to Atlas.
func (l *logs) requestLines(t *testing.T) (out []map[string]any) {
	t.Helper()
	for _, line := range l.lines(t) {
		if _, ok := line["endpoint"]; ok {
			out = append(out, line)
		}
	}
	return out
}

// Each request to Atlas is logged at level debug with the workflow and the attempt that sent it, and a good run leaves
// no warning, although Atlas fails once.
func TestLogOfRequests(t *testing.T) {
	t.Parallel()
	s := setup(t, atlassim.Config{Faults: []atlassim.Fault{
		{Kind: atlassim.FaultReset, Method: "POST", Times: 1},
		{Kind: atlassim.FaultStatus, Status: 503, Method: "POST", Times: 1},
	}}, "LOG_LEVEL=debug")
	p := s.run()
	run := s.start()
	_, err := s.client.Result(s.ctx(), run.WorkflowID, "")
	require.NoError(t, err)
	code, _ := p.end()
	require.Equal(t, 0, code)

	const create, get = "POST /groups/{groupId}/flexClusters", "GET /groups/{groupId}/flexClusters/{name}"
	lines := p.logs.requestLines(t)
	require.Len(t, lines, len(s.sim.Ledger()))
	for i, line := range lines {
		require.Positive(t, line["duration"])
		delete(line, "duration")
		want := map[string]any{
			"level":        "debug",
			"msg":          "Atlas answered",
			"WorkflowID":   run.WorkflowID,
			"RunID":        run.RunID,
			"endpoint":     get,
			"status":       200.0,
			"ActivityType": "WaitUntilIdle",
			"Attempt":      1.0,
		}
		if i < 3 {
			want["endpoint"], want["ActivityType"], want["Attempt"] = create, "CreateFlexCluster", float64(i+1)
			want["status"] = []float64{0, 503, 201}[i]
		}
		if i == 0 {
			want["msg"] = "Atlas did not answer"
		}
		require.Equal(t, want, line)
	}
	for _, line := range p.logs.lines(t) {
		if line["level"] == "warn" {
			require.Equal(t, "Activity error.", line["msg"], "an attempt that is tried again is a warning")
			require.Less(t, line["Attempt"], 3.0)
		}
		require.NotEqual(t, "error", line["level"], line)
	}
}

// Nothing is logged as a warning or an error where an operator cancels or terminates a run that waits.
func TestLogOfOperators(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		act  func(s *stack, workflowID string) error
	}{
		{"cancel", func(s *stack, id string) error { return s.on.Client().CancelWorkflow(s.ctx(), id, "") }},
		{"terminate", func(s *stack, id string) error { return s.on.Client().TerminateWorkflow(s.ctx(), id, "", "") }},
		{"pause", func(s *stack, id string) error {
			_, err := s.on.Client().WorkflowService().PauseActivity(s.ctx(), &workflowservice.PauseActivityRequest{
				Namespace: "default", Execution: &commonpb.WorkflowExecution{WorkflowId: id},
				Activity: &workflowservice.PauseActivityRequest_Type{Type: contract.WaitUntilIdleActivity},
			})
			return err
		}},
		{"reset the activity", func(s *stack, id string) error {
			_, err := s.on.Client().WorkflowService().ResetActivity(s.ctx(), &workflowservice.ResetActivityRequest{
				Namespace: "default", Execution: &commonpb.WorkflowExecution{WorkflowId: id},
				Activity: &workflowservice.ResetActivityRequest_Type{Type: contract.WaitUntilIdleActivity},
			})
			return err
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := setup(t, atlassim.Config{CreateFor: atlassim.Duration(time.Hour)}, "LOG_LEVEL=debug")
			p := s.run()
			id := s.start().WorkflowID
			s.asked("GET")
			require.NoError(t, test.act(s, id))
			ended := p.logs.line(t, "Activity error.")
			require.Equal(t, "debug", ended["level"], ended)
			require.Equal(t, id, ended["WorkflowID"])
			require.Empty(t, p.logs.warnings(t))
			if test.name == "pause" || strings.HasPrefix(test.name, "reset") {
				require.NoError(t, s.on.Client().TerminateWorkflow(s.ctx(), id, "", ""))
			}
		})
	}
}
