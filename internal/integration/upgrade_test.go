package integration

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv/testworker"
)

const upgradePath = "/clusters/tenantUpgradeToServerless"

// withShared adds the cluster that the test upgrades to the configuration of a simulator.
func withShared(t *testing.T, config atlassim.Config) atlassim.Config {
	config.Shared = []atlassim.SharedCluster{{
		GroupID: project, Name: testenv.ClusterName(t), Tags: []atlassim.Tag{{Key: "env", Value: "old"}},
	}}
	return config
}

func TestUpgraded(t *testing.T) {
	t.Parallel()
	s := setup(t,
		withShared(t,
			atlassim.Config{
				UpgradeFor:   atlassim.Duration(time.Second),
				StaleIdleFor: atlassim.Duration(200 * time.Millisecond),
			},
		),
	)
	before := s.Sim.Clusters()[0]
	in := serverless(t)
	in.Tags = []contract.Tag{{Key: "team", Value: "orders"}}
	in.ServerlessBackupOptions = &contract.ServerlessBackupOptions{ServerlessContinuousBackupEnabled: new(true)}
	cluster, err := execute(s, in)
	require.NoError(t, err)
	record(s, "upgrade-upgraded")
	require.Equal(t, contract.Upgraded, cluster.Outcome)
	require.Equal(t, "SERVERLESS", cluster.ClusterType)
	require.Equal(t, "IDLE", cluster.StateName)
	require.NotEqual(t, before.ID, cluster.ID, "an upgrade gives a new id")
	require.Equal(t, in.Tags, cluster.Tags)
	require.Empty(t, cluster.ConnectionStrings.Standard, "serverless has none")
	require.Regexp(t, `^mongodb\+srv://`, cluster.ConnectionStrings.StandardSrv)
	require.Equal(t, 1, s.Sim.Count(atlassim.Upgraded))
	require.Contains(t, cluster.Warnings,
		fmt.Sprintf("Atlas says of GET /api/atlas/v2/groups/%s/serverless/%s (version 2023-01-01): "+
			"Deprecation Wed, 5 Feb 2025 00:00:00 GMT, Sunset Mon, 18 Jan 2027 00:00:00 GMT", project, in.Name),
	)
}

func TestUpgradeUnchanged(t *testing.T) {
	t.Parallel()
	s := setup(t, withShared(t, atlassim.Config{}))
	_, err := execute(s, serverless(t))
	require.NoError(t, err)
	cluster, err := execute(s, serverless(t))
	require.NoError(t, err)
	require.Equal(t, contract.Unchanged, cluster.Outcome)
	record(s, "upgrade-unchanged")
	require.Equal(t, 1, s.Requests("POST", upgradePath))
}

func TestUpgradeConflict(t *testing.T) {
	t.Parallel()
	s := setup(t, withShared(t, atlassim.Config{}))
	_, err := execute(s, serverless(t))
	require.NoError(t, err)
	in := serverless(t)
	in.ProviderSettings.RegionName = "EU_WEST_1"
	_, err = execute(s, in)
	f := testenv.Failure(t, err)
	require.Equal(t, contract.ClusterConflict, f.Type)
	record(s, "upgrade-conflict")
	require.Equal(t,
		fmt.Sprintf(
			`cluster %q: it is serverless already, but not as asked: providerSettings.regionName is "US_EAST_1", `+
				`requested "EU_WEST_1". `+
				`Change the instance in Atlas or the request, then start the workflow again`,
			in.Name,
		),
		f.Message,
	)
	require.Equal(t, 1, s.Requests("POST", upgradePath))
}

// Whatever happens to the answer to the request, a cluster is upgraded once.
func TestUpgradeOnce(t *testing.T) {
	t.Parallel()
	lost := atlassim.Fault{Kind: atlassim.FaultLost}
	upgradeFor := func(d time.Duration) atlassim.Config { return atlassim.Config{UpgradeFor: atlassim.Duration(d)} }
	for _, test := range []struct {
		name  string
		sim   atlassim.Config
		fault atlassim.Fault
		posts int
	}{
		{name: "lost answer", posts: 1, sim: upgradeFor(3 * time.Second), fault: lost},
		{name: "lost answer and IDLE as before", posts: 1, fault: lost, sim: atlassim.Config{
			UpgradeFor: atlassim.Duration(7 * time.Second), StaleIdleFor: atlassim.Duration(5 * time.Second),
		}},
		{name: "lost answer and upgraded before the next look", posts: 1, fault: lost},
		{name: "502 after the effect", posts: 1, sim: upgradeFor(3 * time.Second), fault: afterEffect(htmlFault(502))},
		{name: "truncated", posts: 1, sim: upgradeFor(3 * time.Second),
			fault: atlassim.Fault{Kind: atlassim.FaultTruncate}},
		{name: "connection reset before the effect", posts: 2, fault: atlassim.Fault{Kind: atlassim.FaultReset}},
		{name: "refused for the rate", posts: 2, fault: statusFault(429, "RATE_LIMITED")},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			pace := testworker.Quick
			pace.SettleFor = 7 * time.Second
			s := setup(t, withShared(t, test.sim), testworker.WithPace(pace))
			test.fault.Method, test.fault.Times = http.MethodPost, 1
			s.Sim.AddFault(test.fault)
			cluster, err := execute(s, serverless(t))
			require.NoError(t, err)
			require.Equal(t, contract.Upgraded, cluster.Outcome)
			require.Equal(t, 1, s.Sim.Count(atlassim.Upgraded))
			require.Equal(t, test.posts, s.Requests("POST", upgradePath))
		})
	}
}

// A run waits for an upgrade that an earlier run requested, and does not request it again.
func TestUpgradeOfEarlierRun(t *testing.T) {
	t.Parallel()
	s := setup(t, withShared(t, atlassim.Config{UpgradeFor: atlassim.Duration(16 * time.Second)}))
	in := serverless(t)
	in.TimeoutSeconds = new(8)
	_, err := execute(s, in)
	f := testenv.Failure(t, err)
	require.Equal(t, contract.Timeout, f.Type)
	record(s, "upgrade-timeout")
	require.Equal(t, "UPDATING", f.Details.StateName)
	cluster, err := execute(s, serverless(t))
	require.NoError(t, err)
	require.Equal(t, "IDLE", cluster.StateName)
	require.Equal(t, 1, s.Requests("POST", upgradePath))
}

// A retired endpoint fails the run at once, and the failure says what can be done instead.
func TestUpgradeRetired(t *testing.T) {
	t.Parallel()
	s := setup(t, withShared(t, atlassim.Config{UpgradeRetired: true}))
	_, err := execute(s, serverless(t))
	f := testenv.Failure(t, err)
	require.Equal(t, "VERSION_GONE", f.Type)
	require.Equal(t, 410, f.Details.Status)
	record(s, "upgrade-retired")
	require.Contains(t, f.Message,
		"Atlas has retired the upgrade to serverless: upgrade the cluster to Flex, with the workflow UpgradeToFlex "+
			"(starter upgrade-to-flex)",
	)
	require.Equal(t, 1, s.Requests("POST", upgradePath))
	require.Equal(t, atlassim.Kind("SHARED"), s.Sim.Clusters()[0].Kind)
}

func TestUpgradeNoSuchCluster(t *testing.T) {
	t.Parallel()
	s := setup(t, atlassim.Config{})
	_, err := execute(s, serverless(t))
	f := testenv.Failure(t, err)
	require.Equal(t, "CLUSTER_NOT_FOUND", f.Type)
	require.Equal(t, "POST", f.Details.Method)
	require.Contains(t, f.Message, "check that the project has a cluster of this name, then start the workflow again")
}

func TestUpgradeGone(t *testing.T) {
	t.Parallel()
	s := setup(t,
		withShared(t,
			atlassim.Config{UpgradeFor: atlassim.Duration(time.Hour), DeleteFor: atlassim.Duration(time.Nanosecond)},
		),
	)
	run := start(s, serverless(t))
	testenv.Eventually(t, func() bool { return s.Requests("GET", "/"+testenv.ClusterName(t)) > 4 })
	require.Regexp(t,
		`^Atlas is upgrading cluster "`+testenv.ClusterName(t)+`" to serverless\.`+fmt.Sprintf(
			waitingDetails,
			"UPDATING",
		),
		currentDetails(s, run),
	)
	require.NoError(t, s.Sim.Delete(project, testenv.ClusterName(t)))
	_, err := result(s, run)
	require.Equal(t, contract.ClusterGone, testenv.Failure(t, err).Type)
	record(s, "upgrade-gone")
}

func TestUpgradeCanceled(t *testing.T) {
	t.Parallel()
	s := setup(t, withShared(t, atlassim.Config{UpgradeFor: atlassim.Duration(time.Hour)}))
	run := start(s, serverless(t))
	testenv.Eventually(t, func() bool { return s.Requests("GET", "/"+testenv.ClusterName(t)) > 4 })
	require.NoError(t, s.Client.Cancel(s.Context(), run.WorkflowID, run.RunID))
	_, err := result(s, run)
	require.Equal(t, "CANCELED", testenv.Failure(t, err).Type)
	record(s, "upgrade-canceled")
}
