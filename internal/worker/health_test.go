package worker

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv"
)

// A worker that has not started yet is alive and not ready.
func TestHealthBeforeTheStart(t *testing.T) {
	t.Parallel()
	handler := (&health{temporal: testenv.Shared().Client()}).handler()
	for _, test := range []struct {
		method, path string
		status       int
		body         string
	}{
		{"GET", "/healthz", 200, "ok\n"},
		{"HEAD", "/healthz", 200, "ok\n"},
		{"GET", "/readyz", 503, "the worker is not ready\n"},
		{"GET", "/", 404, "404 page not found\n"},
		{"GET", "/healthz/", 404, "404 page not found\n"},
		{"GET", "/debug/pprof/", 404, "404 page not found\n"},
		{"POST", "/healthz", 405, "Method Not Allowed\n"},
	} {
		t.Run(test.method+" "+test.path, func(t *testing.T) {
			t.Parallel()
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, httptest.NewRequest(test.method, test.path, nil))
			require.Equal(t, test.status, w.Code)
			require.Equal(t, test.body, w.Body.String())
		})
	}
}

// A worker is ready while it works, and alive but not ready while it stops. A create that hangs prolongs the stop.
func TestHealthWhileStopping(t *testing.T) {
	t.Parallel()
	s := setup(t, atlassim.Config{Faults: []atlassim.Fault{{Kind: atlassim.FaultHang, Method: "POST"}}})
	p := s.run()
	want := func(path string, wantStatus int, wantBody string) {
		t.Helper()
		status, body := p.get(path)
		require.Equal(t, wantStatus, status)
		require.Equal(t, wantBody, body)
	}
	want("/healthz", 200, "ok\n")
	want("/readyz", 200, "ready\n")
	want("/elsewhere", 404, "404 page not found\n")
	s.start()
	s.asked("POST")
	p.stop()
	p.logs.line(t, "The worker stops")
	want("/readyz", 503, "the worker is not ready\n")
	want("/healthz", 200, "ok\n")
	require.Equal(t, 0, <-p.code)
	_, err := http.Get(p.url + "/healthz")
	require.ErrorContains(t, err, "connection refused", "the end of it")
}

// A worker that has lost Temporal is alive and not ready, and still stops within the bound. The server has no search
// attributes, which the log tells.
func TestHealthWithoutTemporal(t *testing.T) {
	t.Parallel()
	bare, err := testenv.StartBareServer()
	require.NoError(t, err)
	stopped := false
	t.Cleanup(func() {
		if !stopped {
			_ = bare.Stop()
		}
	})
	s := setupOn(t, bare, atlassim.Config{CreateFor: atlassim.Duration(time.Hour)})
	p := s.run()
	require.Equal(t, map[string]any{
		"level": "warn",
		"msg":   "The namespace lacks search attributes, so they are not set. Add them, then restart the worker",
		"add": "temporal operator search-attribute create --type Keyword --name AtlasProjectId --name " +
			"AtlasClusterName --name AtlasClusterState --namespace default",
	}, p.logs.lines(t)[0])
	s.start()
	s.asked("GET")
	status, body := p.get("/readyz")
	require.Equal(t, 200, status, body)

	require.NoError(t, bare.Stop())
	stopped = true
	status, body = p.get("/readyz")
	require.Equal(t, 503, status)
	require.Regexp(t, `^the worker is not ready: Temporal does not answer: .+\n$`, body)
	status, _ = p.get("/healthz")
	require.Equal(t, 200, status)

	code, took := p.end()
	require.Equal(t, 0, code)
	require.Less(t, took, stopBound)
}

func TestHealthcheck(t *testing.T) {
	t.Parallel()
	s := setup(t, atlassim.Config{})
	p := s.run()
	address := strings.TrimPrefix(p.url, "http://")
	_, port, err := net.SplitHostPort(address)
	require.NoError(t, err)
	draining := httptest.NewServer((&health{}).handler())
	t.Cleanup(draining.Close)
	bare := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusTeapot)
	}))
	t.Cleanup(bare.Close)
	refused := func(at string) string {
		return "dial tcp " + at + ": connect: connection refused\n"
	}
	for _, test := range []struct {
		name string
		env  []string
		args []string
		want output
	}{
		{"ready", []string{"WORKER_HTTP_ADDRESS=" + address}, nil, output{}},
		{"by port", []string{"WORKER_HTTP_ADDRESS=:" + port}, nil, output{}},
		{"on all interfaces", []string{"WORKER_HTTP_ADDRESS=0.0.0.0:" + port}, nil, output{}},
		{"a URL", nil, []string{p.url + "/healthz"}, output{}},
		{"a URL rather than the variable", []string{"WORKER_HTTP_ADDRESS=127.0.0.1:1"}, []string{p.url + "/readyz"},
			output{}},
		{"not ready", []string{"WORKER_HTTP_ADDRESS=" + strings.TrimPrefix(draining.URL, "http://")}, nil,
			output{1, "", "worker: 503 Service Unavailable\nthe worker is not ready\n"}},
		{"no such page", nil, []string{p.url + "/elsewhere"},
			output{1, "", "worker: 404 Not Found\n404 page not found\n"}},
		{"no reason", nil, []string{bare.URL}, output{1, "", "worker: 418 I'm a teapot\n"}},
		{"nobody there", []string{"WORKER_HTTP_ADDRESS=127.0.0.1:1"}, nil,
			output{1, "", `worker: Get "http://127.0.0.1:1/readyz": ` + refused("127.0.0.1:1")}},
		{"no address", nil, nil, output{2, "", "worker: WORKER_HTTP_ADDRESS is not set to an address\n"}},
		{"no port", []string{"WORKER_HTTP_ADDRESS=localhost"}, nil,
			output{2, "", "worker: WORKER_HTTP_ADDRESS is not set to an address\n"}},
		{"no URL", nil, []string{"http://[::1"},
			output{2, "", `worker: parse "http://[::1": missing ']' in host` + "\n"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			require.Equal(t, test.want, run(t, test.env, append([]string{"healthcheck"}, test.args...)...))
		})
	}
}
