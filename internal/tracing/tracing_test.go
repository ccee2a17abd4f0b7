package tracing_test

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv"
	"github.com/atlas-provisioner/atlas-provisioner/internal/tracing"
)

// patient lets the last export of a test take a minute.
const patient = "OTEL_BSP_EXPORT_TIMEOUT=60000"

// newTracing begins to send traces as the environment says. report may be nil.
func newTracing(t *testing.T, report func(error), environ ...string) *tracing.Tracing {
	t.Helper()
	config, err := tracing.ReadConfig(environ)
	require.NoError(t, err)
	if report == nil {
		report = func(err error) { t.Logf("report: %v", err) }
	}
	traces, err := tracing.New(config, "tests", report)
	require.NoError(t, err)
	return traces
}

// command sends a trace of one command.
func command(traces *tracing.Tracing, exitCode int) error {
	tracing.EndCommand(traces.StartCommand("tests run", time.Now()), exitCode)
	return traces.Close()
}

func TestCommand(t *testing.T) {
	t.Parallel()
	collector := testenv.StartCollector(t)
	environ := append(collector.Env(), "TRACEPARENT=00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		"OTEL_EXPORTER_OTLP_HEADERS=api-key=a%20key")
	require.NoError(t, command(newTracing(t, nil, environ...), 1))
	spans := collector.Spans()
	require.Len(t, spans, 1)
	require.Equal(t, "tests", spans[0].Service)
	require.Equal(t, "tests run", spans[0].Name)
	require.Equal(t, "0af7651916cd43dd8448eb211c80319c", spans[0].TraceID)
	require.Equal(t, "b7ad6b7169203331", spans[0].Parent)
	require.Equal(t, map[string]string{"process.exit.code": "1"}, spans[0].Attributes)
	require.True(t, spans[0].Failed)
	require.Equal(t, "a key", collector.Header().Get("Api-Key"))

	named := append(collector.Env(), "OTEL_SERVICE_NAME=mine", "OTEL_RESOURCE_ATTRIBUTES=service.name=other")
	require.NoError(t, command(newTracing(t, nil, named...), 0))
	require.Equal(t, "mine", collector.Spans()[1].Service)
}

// Where nothing is sent, nothing is wrapped.
func TestOff(t *testing.T) {
	t.Parallel()
	collector := testenv.StartCollector(t)
	for _, environ := range [][]string{nil, append(collector.Env(), "OTEL_SDK_DISABLED=true"),
		append(collector.Env(), "OTEL_TRACES_EXPORTER=none")} {
		traces := newTracing(t, nil, environ...)
		require.Nil(t, traces.StartCommand("tests run", time.Now()))
		interceptors, err := traces.Interceptors(nil)
		require.NoError(t, err)
		require.Empty(t, interceptors)
		next := &http.Transport{}
		require.Same(t, next, traces.Transport(next, nil))
		require.NoError(t, traces.Close())
	}
	require.NoError(t, command(newTracing(t, nil, append(collector.Env(), "OTEL_TRACES_SAMPLER=always_off")...), 0))
	require.Empty(t, collector.Spans())
}

// With TLS, gzip and JSON.
func TestJSON(t *testing.T) {
	t.Parallel()
	received := make(chan map[string]any, 1)
	server := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var request map[string]any
		if body, err := gzip.NewReader(r.Body); err == nil && r.Header.Get("Content-Type") == "application/json" {
			_ = json.NewDecoder(body).Decode(&request)
		}
		received <- request
	}))
	defer server.Close()
	certificate := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(certificate, pem.EncodeToMemory(
		&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600))
	require.NoError(t, command(newTracing(t, nil, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT="+server.URL,
		"OTEL_EXPORTER_OTLP_CERTIFICATE="+certificate, "OTEL_EXPORTER_OTLP_PROTOCOL=http/json",
		"OTEL_EXPORTER_OTLP_COMPRESSION=gzip", patient), 0))
	require.Contains(t, <-received, "resourceSpans")
}

// grpcCollector takes traces by gRPC.
type grpcCollector struct {
	coltracepb.UnimplementedTraceServiceServer
	received chan metadata.MD
}

func (c *grpcCollector) Export(
	ctx context.Context, _ *coltracepb.ExportTraceServiceRequest,
) (*coltracepb.ExportTraceServiceResponse, error) {
	header, _ := metadata.FromIncomingContext(ctx)
	c.received <- header
	return &coltracepb.ExportTraceServiceResponse{}, nil
}

func TestGRPC(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server, collector := grpc.NewServer(), &grpcCollector{received: make(chan metadata.MD, 1)}
	coltracepb.RegisterTraceServiceServer(server, collector)
	go func() { _ = server.Serve(listener) }()
	defer server.Stop()
	require.NoError(t, command(newTracing(t, nil, "OTEL_EXPORTER_OTLP_ENDPOINT=http://"+listener.Addr().String(),
		"OTEL_EXPORTER_OTLP_PROTOCOL=grpc", "OTEL_EXPORTER_OTLP_COMPRESSION=gzip",
		"OTEL_EXPORTER_OTLP_HEADERS=api-key=key", patient), 0))
	require.Equal(t, []string{"key"}, (<-collector.received).Get("api-key"))
}

// A collector that is not there, answers nonsense or does not answer holds nobody up, and the error says where.
func TestCollectorTrouble(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	hangs := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	t.Cleanup(hangs.Close)
	t.Cleanup(func() { close(release) })
	refuses := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "no such tenant", http.StatusForbidden)
	}))
	t.Cleanup(refuses.Close)
	const nobody = "http://127.0.0.1:1"
	for _, test := range []struct {
		name    string
		environ []string
		want    string
	}{
		{"not there", []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + nobody, patient},
			"the trace was not sent to " + nobody + "/v1/traces: .*connection refused"},
		{"not there, by gRPC", []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + nobody, "OTEL_EXPORTER_OTLP_PROTOCOL=grpc"},
			"the trace was not sent to " + nobody + ": there was no answer within 900ms"},
		{"no answer", []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + hangs.URL},
			"the trace was not sent to " + hangs.URL + "/v1/traces: there was no answer within 900ms"},
		{"refused", []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + refuses.URL, patient},
			"the trace was not sent to " + refuses.URL + "/v1/traces: .*403 Forbidden .*no such tenant"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			begun := time.Now()
			err := command(newTracing(t, func(error) {}, test.environ...), 0)
			require.Regexp(t, "^"+test.want, err)
			require.Less(t, time.Since(begun), 5*time.Second) // the exporter itself would take 10 s
		})
	}
}

// roundTripper answers requests in a test.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// failingBody fails to be read with what the server sent.
type failingBody struct{}

func (failingBody) Read([]byte) (int, error) { return 0, errors.New("malformed trailer: hush") }
func (failingBody) Close() error             { return nil }

// The span of a request has a name of few values, the status, and no text of an error, which may repeat a credential.
func TestTransport(t *testing.T) {
	t.Parallel()
	collector := testenv.StartCollector(t)
	traces := newTracing(t, nil, collector.Env()...)
	answers := []func() (*http.Response, error){
		func() (*http.Response, error) { return &http.Response{StatusCode: 200, Body: http.NoBody}, nil },
		func() (*http.Response, error) { return &http.Response{StatusCode: 503, Body: http.NoBody}, nil },
		func() (*http.Response, error) { return nil, errors.New("malformed answer: hush") },
		func() (*http.Response, error) { return &http.Response{StatusCode: 200, Body: failingBody{}}, nil },
	}
	var sent []http.Header
	transport := traces.Transport(roundTripper(func(r *http.Request) (*http.Response, error) {
		sent = append(sent, r.Header)
		answer := answers[0]
		answers = answers[1:]
		return answer()
	}), func(*http.Request) string { return "/clusters/{name}" })
	header := http.Header{"Authorization": {"Bearer hush"}, "Accept": {"text/plain"}}
	for range len(answers) {
		req := httptest.NewRequest(http.MethodGet, "http://atlas/clusters/orders?page=2", nil)
		req.Header = header.Clone()
		if resp, err := transport.RoundTrip(req); err == nil {
			_, _ = io.ReadAll(resp.Body)
			resp.Body.Close()
		}
	}
	require.NoError(t, traces.Close())
	require.Equal(t, slices.Repeat([]http.Header{header}, 4), sent, "headers")
	spans := collector.Spans()
	require.Len(t, spans, 4)
	for i, want := range []struct {
		status string
		failed bool
	}{{"200", false}, {"503", true}, {"", true}, {"200", true}} {
		require.Equal(t, "GET /clusters/{name}", spans[i].Name)
		require.Equal(t, "http://atlas/clusters/orders?page=2", spans[i].Attributes["url.full"])
		require.Equal(t, want.status, spans[i].Attributes["http.response.status_code"])
		require.Equal(t, want.failed, spans[i].Failed)
	}
	require.NotContains(t, collector.Texts(), "hush")
}
