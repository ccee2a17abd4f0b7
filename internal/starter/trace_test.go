package starter

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv"
)

// traced are the names of the spans that a run of the program sends, each with that of its parent.
func traced(collector *testenv.Collector) (out []string) {
	names := map[string]string{}
	for _, span := range collector.Spans() {
		names[span.ID] = span.Name
		out = append(out, names[span.Parent]+"/"+span.Name)
	}
	slices.Sort(out)
	return out
}

// A command that asks Temporal is a trace: its span, and one below it for each run that it starts.
func TestTrace(t *testing.T) {
	t.Parallel()
	s := setupWithoutWorker(t, atlassim.Config{})
	collector := testenv.StartCollector(t)
	s.env = append(s.env, collector.Env()...)
	file := filepath.Join(t.TempDir(), "clusters.yaml")
	require.NoError(t, os.WriteFile(file, []byte(
		"- &a {groupId: "+s.project+", name: a, providerSettings: {backingProviderName: AWS, regionName: US_EAST_1}}\n"+
			"- {<<: *a, name: b}\n",
	), 0o600))
	require.Equal(t, output{stdout: "STARTED  atlas-cluster-PROJECT-a\nSTARTED  atlas-cluster-PROJECT-b\n" +
		"Follow them with: the same command and --wait\n"}, s.run("provision-flex", "-f", file))
	require.Equal(t, []string{
		"/starter provision-flex",
		"starter provision-flex/StartWorkflow:ProvisionFlexCluster",
		"starter provision-flex/StartWorkflow:ProvisionFlexCluster",
	}, traced(collector))
}

// A command that fails has its exit code in the trace. One that asks nothing of Temporal has none, and neither have the
// completions of a shell.
func TestTraceOfWhatFails(t *testing.T) {
	t.Parallel()
	collector := testenv.StartCollector(t)
	environ := append(slices.Clone(nowhere), collector.Env()...)
	for _, args := range [][]string{{"--help"}, {"no-such"}, {"list", "--limit", "x"}, {"__complete", "status", ""},
		{"provision-flex", "--dry-run", "--project-id", testenv.Project, "--name", "a", "--provider", "AWS",
			"--region", "US_EAST_1"}} {
		require.Equal(t, run(nowhere, args...), run(environ, args...))
	}
	require.Empty(t, collector.Spans())
	require.Equal(t, run(nowhere, "list"), run(environ, "list"))
	spans := collector.Spans()
	require.Len(t, spans, 1)
	require.Equal(t, "starter list", spans[0].Name)
	require.True(t, spans[0].Failed)
	require.Equal(t, "3", spans[0].Attributes["process.exit.code"])
}

// A collector that does not work adds one line to standard error, and changes nothing else.
func TestTraceNotSent(t *testing.T) {
	t.Parallel()
	s := setupWithoutWorker(t, atlassim.Config{})
	refuses := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "no such tenant,\n\x1b[2Jsorry", http.StatusForbidden)
	}))
	t.Cleanup(refuses.Close)
	release := make(chan struct{})
	hangs := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	t.Cleanup(hangs.Close)
	t.Cleanup(func() { close(release) })
	args := []string{"list", "--project-id", s.project, "-o", "json"}
	want := s.run(args...)
	require.Equal(t, output{0, want.stdout, ""}, want)
	const patient = "OTEL_BSP_EXPORT_TIMEOUT=60000"
	for name, test := range map[string]struct{ endpoint, limit, line string }{
		"refused": {refuses.URL, patient, `: traces export: failed to send to http://[^ ]+/v1/traces: 403 Forbidden ` +
			`\(body: no such tenant,\\n\\x1b\[2Jsorry\)\n`},
		"no answer": {hangs.URL, "", `: there was no answer within 900ms\n`},
		"not there": {"http://127.0.0.1:1", patient, `: traces export: .*connection refused\n`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			begun := time.Now()
			out := run(append(slices.Clone(s.env), "OTEL_EXPORTER_OTLP_ENDPOINT="+test.endpoint, test.limit), args...)
			require.Less(t, time.Since(begun), dialTimeout)
			require.Equal(t, 0, out.code)
			require.Equal(t, want.stdout, s.clean(out.stdout))
			require.Regexp(t, `^starter: the trace was not sent to `+test.endpoint+`/v1/traces`+test.line+`$`,
				out.stderr)
		})
	}
}

// A value that means nothing is refused before anything is dialled, as for Temporal's variables.
func TestTraceEnvironment(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"list"}, {"provision-flex", "--dry-run", "--project-id", testenv.Project,
		"--name", "a", "--provider", "AWS", "--region", "US_EAST_1"}} {
		require.Equal(t,
			output{code: 2, stderr: "starter: OTEL_EXPORTER_OTLP_PROTOCOL must be http/protobuf, grpc or http/json, " +
				"got \"http\"\n"},
			run(append(slices.Clone(nowhere), "OTEL_EXPORTER_OTLP_PROTOCOL=http"), args...))
	}
}
