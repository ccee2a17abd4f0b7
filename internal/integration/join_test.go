package integration

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv"
	"github.com/atlas-provisioner/atlas-provisioner/provisioner"
)

// Six callers that ask for the same cluster at once get the same cluster.
func TestSixStartsMakeOneCluster(t *testing.T) {
	t.Parallel()
	s := setup(t, atlassim.Config{CreateFor: atlassim.Duration(time.Second)})
	var wg sync.WaitGroup
	clusters := make([]contract.Cluster, 6)
	joined := make([]bool, 6)
	errs := make([]error, 6)
	for i := range clusters {
		wg.Go(func() {
			run, err := s.Client.Start(s.Context(), flex(t))
			if err == nil {
				joined[i] = run.Joined
				clusters[i], err = s.Client.Result(s.Context(), run.WorkflowID, run.RunID)
			}
			errs[i] = err
		})
	}
	wg.Wait()
	starters := 0
	for i := range clusters {
		require.NoError(t, errs[i])
		require.Equal(t, clusters[0], clusters[i])
		if !joined[i] {
			starters++
		}
	}
	require.Equal(t, 1, starters)
	require.Equal(t, contract.Created, clusters[0].Outcome)
	require.Equal(t, 1, s.Requests("POST", "/flexClusters"))
}

func TestRequestConflict(t *testing.T) {
	t.Parallel()
	s := setup(t, atlassim.Config{CreateFor: atlassim.Duration(time.Second)})
	in := flex(t)
	run := start(s, in)

	other := flex(t)
	other.ProviderSettings.RegionName = "EU_WEST_1"
	other.Tags = append(other.Tags, contract.Tag{Key: "stage", Value: "test"})
	_, err := s.Client.Start(s.Context(), other)
	f := testenv.Failure(t, err)
	require.Equal(t, contract.RequestConflict, f.Type)
	require.Equal(t,
		fmt.Sprintf(
			`a different request runs under workflow id %q (ProvisionFlexCluster): providerSettings.regionName is `+
				`"US_EAST_1", requested "EU_WEST_1"; `+
				`tags.stage is none, requested "test". It was left alone: wait for its end, cancel it, or ask for `+
				`the same`,
			run.WorkflowID,
		),
		f.Message,
	)
	require.Equal(t, []contract.Difference{
		{Field: "providerSettings.regionName", Requested: `"EU_WEST_1"`, Existing: `"US_EAST_1"`},
		{Field: "tags.stage", Requested: `"test"`, Existing: "none"},
	}, f.Details.Differences)

	// A request that spells out the defaults is the same request, and so is one with another time limit.
	same := flex(t)
	same.TimeoutSeconds, same.OwnershipTag = new(60), new(true)
	joined, err := s.Client.Start(s.Context(), same)
	require.NoError(t, err)
	require.Equal(t, provisioner.Run{WorkflowID: run.WorkflowID, RunID: run.RunID, Joined: true}, joined)

	cluster, err := result(s, run)
	require.NoError(t, err)
	require.Equal(t, contract.Created, cluster.Outcome)
	require.Equal(t, "US_EAST_1", cluster.ProviderSettings.RegionName)
}

// Two operations on one cluster exclude one another: while one runs, the other is refused with REQUEST_CONFLICT,
// which names the workflow that runs, and the run is left alone. When it has ended, the other can start.
func TestSecondOperationConflicts(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name              string
		first, second     func(*testing.T) contract.Request
		running, refused  string // workflow types
		creates, upgrades int    // requests to Atlas
	}{
		{name: "upgrade during a provision", first: flexRequest, second: serverlessRequest,
			running: "ProvisionFlexCluster", refused: "UpgradeToServerless", creates: 1},
		{name: "provision during an upgrade", first: serverlessRequest, second: flexRequest,
			running: "UpgradeToServerless", refused: "ProvisionFlexCluster", upgrades: 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			config := atlassim.Config{CreateFor: slowCreate.CreateFor, UpgradeFor: slowCreate.CreateFor}
			if test.running == "UpgradeToServerless" {
				config = withShared(t, config)
			}
			s := setup(t, config)
			run := start(s, test.first(t))
			require.Equal(t, "atlas-cluster-"+project+"-"+testenv.ClusterName(t), run.WorkflowID)
			awaitCreatingOrUpgrading(s, run)

			_, err := s.Client.Start(s.Context(), test.second(t))
			f := testenv.Failure(t, err)
			require.Equal(t, contract.RequestConflict, f.Type)
			require.Equal(t,
				fmt.Sprintf("a different request runs under workflow id %q (%s): workflowType is %s, requested %s. "+
					"It was left alone: wait for its end, cancel it, or ask for the same",
					run.WorkflowID, test.running, test.running, test.refused),
				f.Message,
			)
			require.Equal(t, provisioner.Running, f.State)
			require.Equal(t, test.creates, s.Requests("POST", "/flexClusters"))
			require.Equal(t, test.upgrades, s.Requests("POST", upgradePath))

			require.NoError(t, s.Client.Cancel(s.Context(), run.WorkflowID, run.RunID))
			_, err = s.Client.Result(s.Context(), run.WorkflowID, run.RunID)
			require.Equal(t, "CANCELED", testenv.Failure(t, err).Type)
			next := start(s, test.second(t))
			require.Equal(t, run.WorkflowID, next.WorkflowID)
			require.False(t, next.Joined)
		})
	}
}

// awaitCreatingOrUpgrading waits until a run waits for what Atlas does.
func awaitCreatingOrUpgrading(s *testenv.Stack, run provisioner.Run) {
	s.TB().Helper()
	testenv.Eventually(s.TB(), func() bool {
		status, err := s.Client.Status(s.Context(), run.WorkflowID, run.RunID)
		return err == nil && status.Pending != nil && status.Pending.ClusterState != ""
	})
}
