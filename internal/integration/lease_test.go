package integration

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv"
	"github.com/atlas-provisioner/atlas-provisioner/provisioner"
)

// quickDelete is a simulator that deletes in a moment.
var quickDelete = atlassim.Config{DeleteFor: atlassim.Duration(100 * time.Millisecond)}

// lease is a request for a lease of an hour.
func lease(t *testing.T) contract.LeaseFlexClusterInput {
	in := flex(t)
	return contract.LeaseFlexClusterInput{
		GroupID: in.GroupID, Name: in.Name, ProviderSettings: in.ProviderSettings, Tags: in.Tags, LeaseSeconds: 3600,
	}
}

// endOfLease waits for the end of a lease, and returns its result.
func endOfLease(s *testenv.Stack, run provisioner.Run) (*contract.LeaseResult, error) {
	end, err := s.Client.Follow(s.Context(), run, func(provisioner.Run) {})
	return end.Lease, err
}

// requireNothingLeft fails where Atlas has a cluster, or has made another number of them.
func requireNothingLeft(s *testenv.Stack, created int) {
	s.TB().Helper()
	require.Empty(s.TB(), s.Sim.Clusters())
	require.Equal(s.TB(), created, s.Sim.Count(atlassim.Created), "creates")
}

// A cluster is leased, also with termination protection. It carries the workflow id of the cluster as its tag. When the
// lease is released, it is deleted.
func TestLease(t *testing.T) {
	t.Parallel()
	s := setup(t, quickDelete)
	in := lease(t)
	in.TerminationProtectionEnabled = true
	run, cluster, err := s.Client.Lease(s.Context(), in)
	require.NoError(t, err)
	require.Equal(t, "IDLE", cluster.StateName)
	require.Equal(t, contract.Created, cluster.Outcome)
	require.Equal(t, "atlas-lease-"+project+"-"+in.Name, run.WorkflowID)
	require.True(t, cluster.OwnedBy(contract.ClusterWorkflowID(project, in.Name)))

	deadline, err := s.Client.Extend(s.Context(), run.WorkflowID, "", time.Hour)
	require.NoError(t, err)
	require.WithinDuration(t, time.Now().Add(2*time.Hour), deadline, testenv.Patience)
	status, err := s.Client.Status(s.Context(), run.WorkflowID, "")
	require.NoError(t, err)
	require.Equal(t, deadline.UTC(), status.Deadline.UTC())
	require.Equal(t, "IDLE", status.ClusterState)
	require.Equal(t, contract.WatchLeaseActivity, status.Pending.Activity)

	require.NoError(t, s.Client.Release(s.Context(), run.WorkflowID, ""))
	result, err := endOfLease(s, run)
	require.NoError(t, err)
	require.Equal(t, contract.Released, result.Outcome)
	require.Equal(t, cluster.ID, result.Cluster.ID)
	require.Equal(t, "DELETED", result.Cluster.StateName)
	require.Equal(t, contract.Deleted, result.Cluster.Outcome)
	require.Less(t, result.ReleasedAt.Sub(result.LeasedAt), testenv.Patience)
	requireNothingLeft(s, 1)
	require.LessOrEqual(t, len(s.History(run)), 60)
}

// Whenever a lease is cancelled, its cluster goes, and the run ends as cancelled.
func TestLeaseCanceled(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		sim   atlassim.Config
		await func(*testenv.Stack, contract.LeaseFlexClusterInput, provisioner.Run)
	}{
		{"during the provision", atlassim.Config{
			CreateFor: atlassim.Duration(time.Hour), DeleteFor: atlassim.Duration(100 * time.Millisecond),
		}, func(s *testenv.Stack, in contract.LeaseFlexClusterInput, _ provisioner.Run) {
			s.AwaitRequests(1, "GET", "/"+in.Name)
		}},
		{"when it is leased", quickDelete, awaitLeased},
		{"during the deletion", atlassim.Config{DeleteFor: atlassim.Duration(2 * time.Second)},
			func(s *testenv.Stack, in contract.LeaseFlexClusterInput, run provisioner.Run) {
				awaitLeased(s, in, run)
				require.NoError(s.TB(), s.Client.Cancel(s.Context(), run.WorkflowID, ""))
				s.AwaitRequests(1, http.MethodDelete, "/"+in.Name)
			}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := setup(t, test.sim)
			in := lease(t)
			run := start(s, in)
			test.await(s, in, run)
			require.NoError(t, s.Client.Cancel(s.Context(), run.WorkflowID, ""))
			_, err := endOfLease(s, run)
			require.Equal(t, provisioner.Canceled, testenv.Failure(t, err).State)
			requireNothingLeft(s, 1)
		})
	}
}

func awaitLeased(s *testenv.Stack, _ contract.LeaseFlexClusterInput, run provisioner.Run) {
	s.TB().Helper()
	_, err := s.Client.Ready(s.Context(), run.WorkflowID, "")
	require.NoError(s.TB(), err)
}
