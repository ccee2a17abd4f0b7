package integration

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	workflowpb "go.temporal.io/api/workflow/v1"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv/testworker"
)

// A wait is reset, during an attempt and between two, with its heartbeats and without. Its attempts begin at 1 again,
// and the run ends with its cluster.
func TestResetWaitActivity(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name       string
		pace       func() testworker.Option
		when       func(*workflowpb.PendingActivityInfo) bool
		heartbeats bool
	}{
		{"during an attempt", longAttempts, isRunning, false},
		{"during an attempt, with its heartbeats", longAttempts, isRunning, true},
		{"between attempts", quickAttempts, isBetweenAttempts, false},
		{"between attempts, with its heartbeats", quickAttempts, isBetweenAttempts, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := setup(t, neverIdle(), test.pace())
			run := start(s, flex(t))
			s.AwaitRequests(2, "GET", "/"+testenv.ClusterName(t))
			awaitPending(s, run, test.when)
			resetActivity(s, run, contract.WaitUntilIdleActivity, test.heartbeats)
			makeIdle(s)
			requireOneCluster(s, run)
		})
	}
}

// A create is reset after Atlas has carried it out and its answer was lost. The attempt that follows is the first
// again, and still knows the cluster for what the run has made.
func TestResetCreateActivity(t *testing.T) {
	t.Parallel()
	for _, ownershipTag := range []bool{true, false} {
		for _, heartbeats := range []bool{true, false} {
			t.Run(caseName(ownershipTag, heartbeats), func(t *testing.T) {
				t.Parallel()
				s := setup(t, atlassim.Config{})
				s.Sim.AddFault(atlassim.Fault{
					Method: "POST", Kind: atlassim.FaultHTML, Status: 502, AfterEffect: true, RetryAfter: "5", Times: 1,
				})
				in := flex(t)
				in.OwnershipTag = new(ownershipTag)
				run := start(s, in)
				awaitPending(s, run, isBetweenAttempts)
				resetActivity(s, run, contract.CreateFlexClusterActivity, heartbeats)
				requireOneCluster(s, run)
			})
		}
	}
}

func caseName(ownershipTag, heartbeats bool) string {
	name := "without the ownership tag"
	if ownershipTag {
		name = "with the ownership tag"
	}
	if heartbeats {
		name += ", with its heartbeats"
	}
	return name
}

// An upgrade is reset after Atlas has carried it out and its answer was lost. The cluster is upgraded once.
func TestResetUpgradeActivity(t *testing.T) {
	t.Parallel()
	for _, heartbeats := range []bool{true, false} {
		t.Run(map[bool]string{true: "with its heartbeats", false: "without"}[heartbeats], func(t *testing.T) {
			t.Parallel()
			pace := testworker.Quick
			pace.SettleFor = 3 * time.Second
			config := withShared(t,
				atlassim.Config{
					UpgradeFor:   atlassim.Duration(4 * time.Second),
					StaleIdleFor: atlassim.Duration(time.Second),
				},
			)
			s := setup(t, config, testworker.WithPace(pace))
			s.Sim.AddFault(atlassim.Fault{
				Method: "POST", Kind: atlassim.FaultHTML, Status: 502, AfterEffect: true, RetryAfter: "3", Times: 1,
			})
			run := start(s, serverless(t))
			awaitPending(s, run, isBetweenAttempts)
			resetActivity(s, run, contract.UpgradeToServerlessActivity, heartbeats)
			cluster, err := s.Client.Result(s.Context(), run.WorkflowID, run.RunID)
			require.NoError(t, err)
			require.Equal(t, contract.Upgraded, cluster.Outcome)
			require.Equal(t, 1, s.Sim.Count(atlassim.Upgraded))
			require.Equal(t, 1, s.Requests("POST", upgradePath))
		})
	}
}
