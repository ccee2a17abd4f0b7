package integration

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/starter"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv/testworker"
)

// tree writes spans as a tree, each line indented below its parent. It fails where a parent is missing.
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
			fmt.Fprintf(&b, "%s%s", strings.Repeat("  ", depth), s.Name)
			if status := s.Attributes["http.response.status_code"]; status != "" {
				fmt.Fprintf(&b, " -> %s", status)
			}
			if s.Failed {
				b.WriteString(" (failed)")
			}
			b.WriteString("\n")
			write(s.ID, depth+1)
		}
	}
	write("", 0)
	require.Len(t, spans, written, "spans below a root:\n%s", &b)
	return b.String()
}

// A provision with a retry is one trace, from the command through the workflow and the attempts of its activities to
// each HTTP request.
func TestTrace(t *testing.T) {
	t.Parallel()
	s := testenv.New(t, atlassim.Config{})
	collector := testenv.StartCollector(t)
	w := testworker.StartWithEnv(s, collector.Env())
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
	fmt.Println(tree(t, spans))
	for _, span := range spans {
		require.Equal(t, spans[0].TraceID, span.TraceID, span.Name)
	}
	_ = json.Marshal
	_ = regexp.MustCompile
	_ = slices.Sort[[]string]
}
