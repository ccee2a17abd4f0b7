package starter

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv"
)

// The life of a cluster from the command line: each verb does what it says to the real worker and the simulator.
func TestLifeOfACluster(t *testing.T) {
	t.Parallel()
	s := setupQuick(t)
	require.Equal(t, 0, s.run(s.flags("provision-flex", "--tag", "team=orders", "--wait")...).code)

	// A changed request for a cluster that is there fails, unless it may update the cluster.
	changed := s.flags("provision-flex", "--tag", "team=shop", "--wait")
	out := s.run(changed...)
	require.Equal(t, 1, out.code)
	require.Contains(t, out.stderr, "starter: CLUSTER_CONFLICT: ")
	out = s.run(append(changed, "--update")...)
	require.Equal(t, 0, out.code, out.stderr)
	require.Contains(t, out.stdout, " is IDLE: UPDATED\n")
	require.Contains(t, out.stdout, "Tags       team=shop, atlas-provisioner-workflow=atlas-cluster-PROJECT-orders\n"+
		"Protected  no\n")

	// What no flag says stays.
	update := s.named("update-flex", "--termination-protection=true", "--wait")
	out = s.run(update...)
	require.Equal(t, 0, out.code, out.stderr)
	require.Contains(t, out.stdout, "Tags       team=shop, atlas-provisioner-workflow=atlas-cluster-PROJECT-orders\n"+
		"Protected  yes\n")
	require.Contains(t, s.run(update...).stdout, " is IDLE: UNCHANGED\n")
	out = s.run(s.named("update-flex", "--no-tags", "--wait")...)
	require.Contains(t, out.stdout, "Tags       atlas-provisioner-workflow=atlas-cluster-PROJECT-orders\n"+
		"Protected  yes\n")

	remove := s.named("delete", "--yes", "--wait")
	out = s.run(remove...)
	require.Equal(t, 1, out.code)
	require.Contains(t, out.stderr, "starter: CLUSTER_PROTECTED: ")
	out = s.run(append(remove, "--remove-termination-protection")...)
	require.Equal(t, 0, out.code, out.stderr)
	require.Contains(t, out.stdout, "Cluster    orders (FLEX, MongoDB VERSION) is gone: DELETED\nWhere      AWS "+
		"US_EAST_1\nId         ID\n")
	_, rest := s.progress(out.stderr)
	require.Equal(t, "Following atlas-cluster-PROJECT-orders\n", rest)
	require.Equal(t, 1, s.sim.Count(atlassim.Deleted))
	out = s.run(remove...)
	require.Equal(t, 0, out.code)
	require.Contains(t, out.stdout, "Cluster    orders is gone: UNCHANGED\n")
	out = s.run(update...)
	require.Equal(t, 1, out.code)
	require.Contains(t, out.stderr, "starter: CLUSTER_NOT_FOUND: ")
}

// A free cluster becomes Flex, and then dedicated; what somebody made by hand is adopted where the request says so.
func TestUpgradesAndAdoption(t *testing.T) {
	t.Parallel()
	s := setup(t, atlassim.Config{})
	s.sim.SeedShared(atlassim.SharedCluster{GroupID: s.project, Name: "orders"})
	out := s.run(s.flags("upgrade-to-flex", "--tag", "team=orders", "--wait")...)
	require.Equal(t, 0, out.code, out.stderr)
	require.Contains(t, out.stdout, "Cluster    orders (FLEX, MongoDB VERSION) is IDLE: UPGRADED\n")
	out = s.run(s.flags("upgrade-to-dedicated", "--instance-size", "M10", "--wait")...)
	require.Equal(t, 0, out.code, out.stderr)
	require.Contains(t, out.stdout, "Cluster    orders (DEDICATED, MongoDB VERSION) is IDLE: UPGRADED\n")
	require.Contains(t, out.stdout, "Where      AWS US_EAST_1 M10\n")
	out = s.run(s.named("delete", "--yes", "--wait")...)
	require.Equal(t, 0, out.code, out.stderr)
	require.Contains(t, out.stdout, "Cluster    orders (DEDICATED, MongoDB VERSION) is gone: DELETED\n")

	byHand := atlassim.FlexRequest{Name: "byhand", ProviderSettings: atlassim.FlexProvider{
		BackingProviderName: "AWS", RegionName: "US_EAST_1",
	}}
	require.NoError(t, s.sim.CreateFlex(s.project, byHand))
	provision := s.flags("provision-flex", "--name", "byhand", "--wait")
	require.Contains(t, s.run(provision...).stderr, "starter: CLUSTER_CONFLICT: ")
	require.Contains(t, s.run(s.named("delete", "--name", "byhand", "--yes", "--wait")...).stderr,
		"starter: CLUSTER_CONFLICT: ")
	out = s.run(append(provision, "--adopt")...)
	require.Equal(t, 0, out.code, out.stderr)
	require.Contains(t, out.stdout, "Cluster    byhand (FLEX, MongoDB VERSION) is IDLE: UPDATED\n")
	require.Contains(t, s.run(provision...).stdout, " is IDLE: UNCHANGED\n")
}

// Many are changed and deleted by a file, each for itself.
func TestManyChanges(t *testing.T) {
	t.Parallel()
	s := setupQuick(t)
	require.Equal(t, 0, s.run("provision-flex", "-f", s.file("orders", "stock"), "--wait").code)
	file := func(fields string) string {
		var text strings.Builder
		for _, name := range []string{"orders", "stock", "missing"} {
			text.WriteString("---\ngroupId: " + s.project + "\nname: " + name + "\n" + fields)
		}
		return write(t, "changes.yaml", text.String())
	}
	out := s.run("update-flex", "-f", file("tags: [{key: team, value: orders}]\n"), "--wait")
	require.Equal(t, 1, out.code)
	require.Regexp(t, `^COMPLETED  atlas-cluster-PROJECT-orders   UPDATED mongodb\+srv://orders\.SIM
COMPLETED  atlas-cluster-PROJECT-stock    UPDATED mongodb\+srv://stock\.SIM
FAILED     atlas-cluster-PROJECT-missing  CLUSTER_NOT_FOUND: .*
$`, out.stdout)
	out = s.run("delete", "-f", file(""), "--wait", "--yes")
	require.Equal(t, 0, out.code, out.stderr)
	require.Equal(t, `COMPLETED  atlas-cluster-PROJECT-orders   DELETED ID
COMPLETED  atlas-cluster-PROJECT-stock    DELETED ID
COMPLETED  atlas-cluster-PROJECT-missing  UNCHANGED it was gone already
`, out.stdout)
	require.Equal(t, 2, s.sim.Count(atlassim.Deleted))
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		out := s.run("list", "--project-id", s.project, "--state", "deleted")
		assert.Equal(c, 3, strings.Count(out.stdout, "COMPLETED  delete   DELETED  "), out.stdout)
	}, testenv.Patience, refreshInterval)
}

// While a cluster is deleted, progress and status tell its state.
func TestProgressOfADelete(t *testing.T) {
	t.Parallel()
	s := setup(t, atlassim.Config{})
	require.Equal(t, 0, s.run(s.flags("provision-flex", "--wait")...).code)
	require.NoError(t, s.sim.SetState(s.project, "orders", contract.StateDeleting))
	wait := s.start(s.named("delete", "--yes", "--wait")...)
	wait.sees("DELETING, Ns, attempt 1")
	out := s.run("status", s.clusterID())
	require.Equal(t, 0, out.code)
	require.Regexp(t, `\nStatus     RUNNING, DELETING, Ns, attempt \d+\n`, out.stdout)
	require.NoError(t, s.sim.SetState(s.project, "orders", ""))
	require.Equal(t, 0, wait.end().code)
}
