package integration

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/provisioner"
)

// A worker tells how it stands, and reads the project once. Its run says nothing of a cluster, and no secret.
func TestCheckWorker(t *testing.T) {
	t.Parallel()
	s := setup(t, atlassim.Config{})
	started, err := s.Temporal.ExecuteWorkflow(s.Context(),
		client.StartWorkflowOptions{ID: "atlas-doctor-" + t.Name(), TaskQueue: s.TaskQueue},
		contract.CheckWorker, contract.CheckWorkerInput{GroupID: project})
	require.NoError(t, err)
	var report contract.WorkerReport
	require.NoError(t, started.Get(s.Context(), &report))
	recordRun(s, provisioner.Run{WorkflowID: started.GetID(), RunID: started.GetRunID()}, "check-worker")

	require.NotEmpty(t, report.Version)
	require.Regexp(t, `^.+ \(build dev, pid \d+\)$`, report.Identity)
	require.Equal(t, strings.TrimPrefix(s.URL, "http://"), report.AtlasHost)
	require.Equal(t, "API key", report.Credential)
	require.True(t, report.Atlas.Asked)
	require.Empty(t, report.Atlas.Problem)
	require.NotNil(t, report.Atlas.ClockAhead)
	require.Equal(t, 1, s.Requests(http.MethodGet, "/flexClusters"))
	require.Len(t, s.Sim.Ledger(), 2, "a challenge and a read")
}
