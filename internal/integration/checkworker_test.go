package integration

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

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

// A project that is none is refused before Atlas is asked.
func TestCheckWorkerInvalid(t *testing.T) {
	t.Parallel()
	s := setup(t, atlassim.Config{})
	started, err := s.Temporal.ExecuteWorkflow(s.Context(),
		client.StartWorkflowOptions{ID: "atlas-doctor-" + t.Name(), TaskQueue: s.TaskQueue},
		contract.CheckWorker, contract.CheckWorkerInput{GroupID: "../orgs"})
	require.NoError(t, err)
	var failure *temporal.ApplicationError
	require.ErrorAs(t, started.Get(s.Context(), nil), &failure)
	require.Equal(t, contract.InvalidInput, failure.Type())
	require.Equal(t, `invalid input: groupId must be the project's id of 24 hexadecimal digits (0-9, a-f), got `+
		`"../orgs". Nothing was sent to Atlas: correct the input and start the workflow again`, failure.Message())
	require.Empty(t, s.Sim.Ledger())
}
