package integration

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
)

const upgradePath = "/clusters/tenantUpgradeToServerless"

// shared is a simulator with the cluster that the test's upgrade is of.
func shared(t *testing.T, config atlassim.Config) atlassim.Config {
	config.Shared = []atlassim.SharedCluster{{GroupID: group, Name: clusterName(t), Tags: []atlassim.Tag{{Key: "env", Value: "old"}}}}
	return config
}

func TestUpgraded(t *testing.T) {
	t.Parallel()
	s := setup(t, shared(t, atlassim.Config{UpgradeFor: atlassim.Duration(time.Second), StaleIdleFor: atlassim.Duration(200 * time.Millisecond)}))
	before := s.sim.Clusters()[0]
	in := serverless(t)
	in.Tags = []contract.Tag{{Key: "team", Value: "orders"}}
	in.ServerlessBackupOptions = &contract.ServerlessBackupOptions{ServerlessContinuousBackupEnabled: ptr(true)}
	cluster, err := s.upgrade(in)
	require.NoError(t, err)
	s.record("upgrade-upgraded")
	require.Equal(t, contract.Upgraded, cluster.Outcome)
	require.Equal(t, "SERVERLESS", cluster.ClusterType)
	require.Equal(t, "IDLE", cluster.StateName)
	require.NotEqual(t, before.ID, cluster.ID, "an upgrade gives a new id")
	require.Equal(t, in.Tags, cluster.Tags)
	require.Empty(t, cluster.ConnectionStrings.Standard, "serverless has none")
	require.Regexp(t, `^mongodb\+srv://`, cluster.ConnectionStrings.StandardSrv)
	require.Equal(t, 1, s.sim.Count(atlassim.Upgraded))
	require.Contains(t, cluster.Warnings, fmt.Sprintf("Atlas says of GET /api/atlas/v2/groups/%s/serverless/%s (version 2023-01-01): "+
		"Deprecation Wed, 5 Feb 2025 00:00:00 GMT, Sunset Mon, 18 Jan 2027 00:00:00 GMT", group, in.Name))
}

func TestUpgradeUnchanged(t *testing.T) {
	t.Parallel()
	s := setup(t, shared(t, atlassim.Config{}))
	_, err := s.upgrade(serverless(t))
	require.NoError(t, err)
	cluster, err := s.upgrade(serverless(t))
	require.NoError(t, err)
	require.Equal(t, contract.Unchanged, cluster.Outcome)
	s.record("upgrade-unchanged")
	require.Equal(t, 1, s.requests("POST", upgradePath))
}

func TestUpgradeConflict(t *testing.T) {
	t.Parallel()
	s := setup(t, shared(t, atlassim.Config{}))
	_, err := s.upgrade(serverless(t))
	require.NoError(t, err)
	in := serverless(t)
	in.ProviderSettings.RegionName = "EU_WEST_1"
	_, err = s.upgrade(in)
	f := failure(t, err)
	require.Equal(t, contract.ClusterConflict, f.Type)
	s.record("upgrade-conflict")
	require.Equal(t, fmt.Sprintf(`cluster %q: it is serverless already, but not as asked: providerSettings.regionName is "US_EAST_1", requested "EU_WEST_1". `+
		`Change the instance in Atlas or the request, then start the workflow again`, in.Name), f.Message)
	require.Equal(t, 1, s.requests("POST", upgradePath))
}

// Whatever happens to the answer, a cluster is upgraded once.
func TestUpgradeOnce(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		sim   atlassim.Config
		fault atlassim.Fault
		posts int
	}{
		{"lost answer", atlassim.Config{UpgradeFor: atlassim.Duration(3 * time.Second)}, atlassim.Fault{Kind: atlassim.FaultLost}, 1},
		{"lost answer and IDLE as before", atlassim.Config{UpgradeFor: atlassim.Duration(4 * time.Second), StaleIdleFor: atlassim.Duration(1500 * time.Millisecond)}, atlassim.Fault{Kind: atlassim.FaultLost}, 1},
		{"lost answer and done by then", atlassim.Config{}, atlassim.Fault{Kind: atlassim.FaultLost}, 1},
		{"502 after the effect", atlassim.Config{UpgradeFor: atlassim.Duration(3 * time.Second)}, atlassim.Fault{Kind: atlassim.FaultHTML, Status: 502, AfterEffect: true}, 1},
		{"truncated", atlassim.Config{UpgradeFor: atlassim.Duration(3 * time.Second)}, atlassim.Fault{Kind: atlassim.FaultTruncate}, 1},
		{"never arrived", atlassim.Config{}, atlassim.Fault{Kind: atlassim.FaultReset}, 2},
		{"refused for now", atlassim.Config{}, atlassim.Fault{Kind: atlassim.FaultStatus, Status: 429, ErrorCode: "RATE_LIMITED"}, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			pace := quick
			pace.SettleFor = 3 * time.Second
			s := setup(t, shared(t, test.sim), withPace(pace))
			test.fault.Method, test.fault.Times = http.MethodPost, 1
			s.sim.AddFault(test.fault)
			cluster, err := s.upgrade(serverless(t))
			require.NoError(t, err)
			require.Equal(t, contract.Upgraded, cluster.Outcome)
			require.Equal(t, 1, s.sim.Count(atlassim.Upgraded))
			require.Equal(t, test.posts, s.requests("POST", upgradePath))
		})
	}
}

// An upgrade that an earlier run began is waited for, not begun again.
func TestUpgradeTakenUp(t *testing.T) {
	t.Parallel()
	s := setup(t, shared(t, atlassim.Config{UpgradeFor: atlassim.Duration(16 * time.Second)}))
	in := serverless(t)
	in.TimeoutSeconds = ptr(8)
	_, err := s.upgrade(in)
	f := failure(t, err)
	require.Equal(t, contract.Timeout, f.Type)
	s.record("upgrade-timeout")
	require.Equal(t, "UPDATING", f.Details.StateName)
	cluster, err := s.upgrade(serverless(t))
	require.NoError(t, err)
	require.Equal(t, "IDLE", cluster.StateName)
	require.Equal(t, 1, s.requests("POST", upgradePath))
}

// The endpoint is gone: that fails at once, and says what is left to do.
func TestUpgradeRetired(t *testing.T) {
	t.Parallel()
	s := setup(t, shared(t, atlassim.Config{UpgradeRetired: true}))
	_, err := s.upgrade(serverless(t))
	f := failure(t, err)
	require.Equal(t, "VERSION_GONE", f.Type)
	require.Equal(t, 410, f.Details.Status)
	s.record("upgrade-retired")
	require.Contains(t, f.Message, "Atlas has retired the upgrade to serverless; what is left to do is to upgrade the cluster to Flex, "+
		"in the Atlas UI or with POST /api/atlas/v2/groups/{groupId}/clusters/tenantUpgrade and providerName FLEX")
	require.Equal(t, 1, s.requests("POST", upgradePath))
	require.Equal(t, atlassim.Kind("SHARED"), s.sim.Clusters()[0].Kind)
}

func TestUpgradeNoSuchCluster(t *testing.T) {
	t.Parallel()
	s := setup(t, atlassim.Config{})
	_, err := s.upgrade(serverless(t))
	f := failure(t, err)
	require.Equal(t, "CLUSTER_NOT_FOUND", f.Type)
	require.Equal(t, "POST", f.Details.Method)
	require.Contains(t, f.Message, "check that the project has a cluster of this name, then start the workflow again")
}

func TestUpgradeGone(t *testing.T) {
	t.Parallel()
	s := setup(t, shared(t, atlassim.Config{UpgradeFor: atlassim.Duration(time.Hour), DeleteFor: atlassim.Duration(time.Nanosecond)}))
	run, err := s.client.Start(s.ctx(), serverless(t))
	require.NoError(t, err)
	require.Eventually(t, func() bool { return s.requests("GET", "/"+clusterName(t)) > 4 }, patience, 20*time.Millisecond)
	require.Regexp(t, `^Atlas is upgrading cluster "`+clusterName(t)+`" to serverless\.`+fmt.Sprintf(waiting, "UPDATING"), s.currentDetails(run))
	require.NoError(t, s.sim.Delete(group, clusterName(t)))
	_, err = s.result(run)
	require.Equal(t, contract.ClusterGone, failure(t, err).Type)
	s.record("upgrade-gone")
}

func TestUpgradeCanceled(t *testing.T) {
	t.Parallel()
	s := setup(t, shared(t, atlassim.Config{UpgradeFor: atlassim.Duration(time.Hour)}))
	run, err := s.client.Start(s.ctx(), serverless(t))
	require.NoError(t, err)
	require.Eventually(t, func() bool { return s.requests("GET", "/"+clusterName(t)) > 4 }, patience, 20*time.Millisecond)
	require.NoError(t, s.client.Cancel(s.ctx(), run.WorkflowID, run.RunID))
	_, err = s.result(run)
	require.Equal(t, "CANCELED", failure(t, err).Type)
	s.record("upgrade-canceled")
}
