package worker

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
)

// A collector that does not answer keeps no worker from its work or from its end, and is logged.
func TestCollectorDown(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	hangs := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	t.Cleanup(hangs.Close)
	t.Cleanup(func() { close(release) })
	for name, test := range map[string]struct{ endpoint, limit, line, why string }{
		"not there": {"http://127.0.0.1:1", "OTEL_BSP_EXPORT_TIMEOUT=60000",
			"Traces cannot be sent, and the work goes on without them", "refused"},
		"no answer": {hangs.URL, "", "The last spans are lost", "no answer within"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := setup(t, atlassim.Config{}, "OTEL_EXPORTER_OTLP_ENDPOINT="+test.endpoint, test.limit)
			p := s.run()
			cluster, err := s.client.Result(s.ctx(), s.start().WorkflowID, "")
			require.NoError(t, err)
			require.Equal(t, contract.Created, cluster.Outcome)
			code, took := p.end()
			require.Equal(t, 0, code)
			require.Less(t, took, stopBound)
			line := p.logs.line(t, test.line)
			require.Equal(t, "warn", line["level"])
			require.Contains(t, line["error"], test.why)
		})
	}
}
