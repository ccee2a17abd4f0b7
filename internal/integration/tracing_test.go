package integration

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/opentelemetry"
	"go.temporal.io/sdk/interceptor"
	sdkworker "go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/atlas-provisioner/atlas-provisioner/codec"
	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/starter"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv/testworker"
	"github.com/atlas-provisioner/atlas-provisioner/internal/tracing"
	"github.com/atlas-provisioner/atlas-provisioner/provisioner"
	"github.com/atlas-provisioner/atlas-provisioner/workflows"
)

// tree writes spans as a tree, each line indented below that of its parent. It fails where they are not one trace, or
// where a parent is missing.
func tree(t *testing.T, spans []testenv.Span) string {
	t.Helper()
	var b strings.Builder
	written := 0
	var write func(parent string, depth int)
	write = func(parent string, depth int) {
		for _, s := range spans {
			if s.Parent != parent {
				continue
			}
			written++
			require.Equal(t, spans[0].TraceID, s.TraceID, s.Name)
			b.WriteString(strings.Repeat("  ", depth) + s.Name)
			if status := s.Attributes["http.response.status_code"]; status != "" {
				b.WriteString(" " + status)
			}
			if s.Failed {
				b.WriteString(" failed")
			}
			b.WriteString("\n")
			write(s.ID, depth+1)
		}
	}
	write("", 0)
	require.Equal(t, len(spans), written, "spans below the root:\n%s", &b)
	return b.String()
}

// A provision with a retry is one trace: its root is the span of the command, and it has a span for each attempt and
// each HTTP request.
func TestTrace(t *testing.T) {
	t.Parallel()
	s := testenv.New(t, atlassim.Config{CreateFor: atlassim.Duration(time.Millisecond)})
	collector := testenv.StartCollector(t)
	w := testworker.StartWithEnv(s, collector.Env(), testworker.WithPaceOfProduction())
	fault := statusFault(503, "UNEXPECTED_ERROR")
	fault.Method, fault.Times = http.MethodPost, 1
	s.Sim.AddFault(fault)

	var stdout, stderr bytes.Buffer
	args := []string{"provision-flex", "--project-id", project, "--name", testenv.ClusterName(t),
		"--provider", "AWS", "--region", "US_EAST_1", "--wait", "-o", "json"}
	code := starter.Run(s.Context(), args, append(s.TemporalEnv(), collector.Env()...), nil, &stdout, &stderr)
	require.Equal(t, 0, code, stderr.String())
	w.Stop()

	spans := collector.Spans()
	shown := tree(t, spans)
	require.Equal(t, `starter provision-flex
  StartWorkflow:ProvisionFlexCluster
    RunWorkflow:ProvisionFlexCluster
      StartActivity:CreateFlexCluster
        RunActivity:CreateFlexCluster failed
          POST /groups/{groupId}/flexClusters 401 failed
          POST /groups/{groupId}/flexClusters 503 failed
        RunActivity:CreateFlexCluster
          POST /groups/{groupId}/flexClusters 201
      StartActivity:WaitUntilIdle
        RunActivity:WaitUntilIdle
`, strings.ReplaceAll(shown, "          GET /groups/{groupId}/flexClusters/{name} 200\n", ""))
	require.Equal(t, "atlas-provisioner-starter", spans[0].Service)
	require.Equal(t, "0", spans[0].Attributes["process.exit.code"])
	require.LessOrEqual(t, len(s.History(latestRun(s))), maxEvents)

	// Each request has its span, and each span its request.
	var requests, traced []string
	for _, e := range s.Sim.Ledger() {
		requests = append(requests, e.Method+" "+e.Path+" "+strconv.Itoa(e.Status))
	}
	for _, span := range spans {
		if a := span.Attributes; a["http.request.method"] != "" {
			traced = append(traced, a["http.request.method"]+" "+strings.TrimPrefix(a["url.full"], s.URL)+" "+
				a["http.response.status_code"])
		} else if span.Service == "atlas-provisioner-worker" {
			require.Equal(t, latestRun(s).WorkflowID, a["temporalWorkflowID"], span.Name)
		}
	}
	require.Equal(t, requests, traced)

	// Each line about a request names the span of its attempt.
	attempts := map[string]bool{}
	for _, span := range spans {
		attempts[span.ID] = strings.HasPrefix(span.Name, "RunActivity:")
	}
	lines := 0
	for text := range strings.Lines(w.Logs.String()) {
		var line struct {
			Msg     string `json:"msg"`
			TraceID string `json:"trace_id"`
			SpanID  string `json:"span_id"`
		}
		require.NoError(t, json.Unmarshal([]byte(text), &line))
		if line.Msg == "Atlas answered" {
			lines++
			require.Equal(t, spans[0].TraceID, line.TraceID)
			require.True(t, attempts[line.SpanID], line.SpanID)
		}
	}
	require.Equal(t, len(requests)-1, lines, "lines, which have no challenge of their own")
}

// tracedService is the tracer and the client of another team's service, which sends its own spans to the collector and
// encrypts payloads.
func tracedService(s *testenv.Stack, collector *testenv.Collector, keys codec.Codec) (trace.Tracer, client.Client) {
	t := s.TB()
	t.Helper()
	exporter, err := otlptracehttp.New(s.Context(), otlptracehttp.WithEndpointURL(collector.URL+"/v1/traces"))
	require.NoError(t, err)
	tracer := sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter)).Tracer("orders")
	sdk, err := opentelemetry.NewTracingInterceptor(opentelemetry.TracerOptions{Tracer: tracer})
	require.NoError(t, err)
	options := client.Options{
		HostPort: s.Server.Address(), Logger: testenv.Quiet(), Interceptors: []interceptor.ClientInterceptor{sdk},
	}
	keys.Configure(&options)
	temporal, err := client.DialContext(s.Context(), options)
	require.NoError(t, err)
	t.Cleanup(temporal.Close)
	return tracer, temporal
}

// The trace of a service goes on in a run, whose payloads are encrypted, and in another worker where the first one
// ends. The run has one span, and none of a replay.
func TestTraceOfAService(t *testing.T) {
	t.Parallel()
	s := testenv.New(t, neverIdle())
	collector := testenv.StartCollector(t)
	keys := codecWithKeys(t, "one")
	first := testworker.StartWithEnv(s, collector.Env(), withCodec(keys))
	service, temporal := tracedService(s, collector, keys)
	c := provisioner.New(temporal, provisioner.Options{TaskQueue: s.TaskQueue, DataConverter: keys.DataConverter()})

	ctx, root := service.Start(s.Context(), "handle order")
	run, err := c.Start(ctx, flex(t))
	require.NoError(t, err)
	root.End()
	awaitCreating(s, clientWithCodec(s, keys), run)
	first.Stop()
	second := testworker.StartWithEnv(s, collector.Env(), withCodec(keys))
	makeIdle(s)
	cluster, err := c.Result(s.Context(), run.WorkflowID, run.RunID)
	require.NoError(t, err)
	require.Equal(t, contract.Created, cluster.Outcome)
	// The query replays the run, which has ended.
	_, err = s.Temporal.QueryWorkflow(s.Context(), run.WorkflowID, run.RunID, contract.StatusQuery)
	require.NoError(t, err)
	second.Stop()

	var names []string
	for line := range strings.Lines(tree(t, collector.Spans())) {
		if name := strings.Trim(line, " \n"); !strings.HasPrefix(name, "GET ") &&
			!strings.HasPrefix(name, "RunActivity:WaitUntilIdle") {
			names = append(names, name)
		}
	}
	require.Equal(t, []string{
		"handle order", "StartWorkflow:ProvisionFlexCluster", "RunWorkflow:ProvisionFlexCluster",
		"StartActivity:CreateFlexCluster", "RunActivity:CreateFlexCluster",
		"POST /groups/{groupId}/flexClusters 401 failed", "POST /groups/{groupId}/flexClusters 201",
		"StartActivity:WaitUntilIdle",
	}, names)
}

// The recorded histories, which have no trace, replay in a worker that traces. A replay sends no span.
func TestTraceReplay(t *testing.T) {
	t.Parallel()
	collector := testenv.StartCollector(t)
	config, err := tracing.ReadConfig(collector.Env())
	require.NoError(t, err)
	traces, err := tracing.New(config, "replay", func(error) {})
	require.NoError(t, err)
	interceptors, err := traces.Interceptors(nil)
	require.NoError(t, err)
	replayer, err := sdkworker.NewWorkflowReplayerWithOptions(sdkworker.WorkflowReplayerOptions{
		Interceptors: []interceptor.WorkerInterceptor{interceptors[0].(interceptor.WorkerInterceptor)},
	})
	require.NoError(t, err)
	flows := &workflows.Workflows{SearchAttributes: func() []string { return nil }}
	flows.Register(replayer)
	files, err := filepath.Glob("../../workflows/testdata/*.json")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		require.NoError(t, replayHistory(replayer, file), file)
	}
	require.NoError(t, traces.Close())
	require.Empty(t, collector.Spans())
}

// replayHistory replays a recorded history under its own workflow id, which the ownership tag holds.
func replayHistory(replayer sdkworker.WorkflowReplayer, file string) error {
	recorded, err := os.Open(file)
	if err != nil {
		return err
	}
	defer recorded.Close()
	history, err := client.HistoryFromJSON(recorded, client.HistoryJSONOptions{})
	if err != nil {
		return err
	}
	started := history.GetEvents()[0].GetWorkflowExecutionStartedEventAttributes()
	return replayer.ReplayWorkflowHistoryWithOptions(testenv.Quiet(), history, sdkworker.ReplayWorkflowHistoryOptions{
		OriginalExecution: workflow.Execution{
			ID: started.GetWorkflowId(), RunID: started.GetOriginalExecutionRunId(),
		},
	})
}
