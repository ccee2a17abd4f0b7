package starter

import (
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv"
)

// hostile is text that a terminal would obey: it clears the screen, sets its title, goes back in the line, and writes
// from right to left.
const hostile = "\x1b[2J\x1b]0;title\a\r\n\b\u009b2J\u202e"

// shownHostile is what may be seen of it.
const shownHostile = `\x1b[2J\x1b]0;title\a\r\n\b\u009b2J\u202e`

// requireSafe holds that nothing of what was printed is a control character.
func requireSafe(t assert.TestingT, out output) {
	for _, text := range []string{out.stdout, out.stderr} {
		rest := strings.Map(func(r rune) rune {
			if r == '\n' || unicode.IsPrint(r) {
				return -1
			}
			return r
		}, text)
		assert.Empty(t, rest, "%q", text)
	}
}

// Nothing that a run, Temporal, a file or a flag says reaches the terminal as anything but text.
func TestHostileTexts(t *testing.T) {
	t.Parallel()
	s := setupWithoutWorker(t, atlassim.Config{})
	s.startOtherWorker(func(_ workflow.Context, in contract.ProvisionFlexClusterInput) (contract.Cluster, error) {
		if in.Name == "fails" {
			return contract.Cluster{}, temporal.NewNonRetryableApplicationError("why"+hostile, "TYPE"+hostile, nil,
				contract.FailureDetails{Detail: hostile})
		}
		return contract.Cluster{
			ID: hostile, Name: hostile, ClusterType: hostile, StateName: hostile, MongoDBVersion: hostile,
			Outcome:           hostile,
			ConnectionStrings: contract.ConnectionStrings{StandardSrv: hostile}, Warnings: []string{hostile},
			ProviderSettings: contract.ProviderSettings{BackingProviderName: hostile, RegionName: hostile},
		}, nil
	}, nil)
	id := "atlas-cluster-" + s.project + "-x"
	attributes := temporal.NewSearchAttributes(
		temporal.NewSearchAttributeKeyKeyword(contract.SearchAttributeProjectID).ValueSet(s.project),
		temporal.NewSearchAttributeKeyKeyword(contract.SearchAttributeClusterName).ValueSet(hostile),
		temporal.NewSearchAttributeKeyKeyword(contract.SearchAttributeClusterState).ValueSet(hostile))
	_, err := s.temporal().ExecuteWorkflow(s.ctx(), client.StartWorkflowOptions{
		ID: id, TaskQueue: s.queue, TypedSearchAttributes: attributes,
	}, contract.ProvisionFlexCluster, contract.ProvisionFlexClusterInput{})
	require.NoError(t, err)

	for _, test := range []struct {
		args []string
		want string
	}{
		{s.flags("provision-flex", "--name", "fails", "--wait"), "starter: TYPE" + shownHostile + ": " +
			"why" + shownHostile + "\n"},
		{s.flags("provision-flex", "--wait"), "Connect    " + shownHostile + "\n"},
		{[]string{"provision-flex", "-f", s.file("fails", "orders"), "--wait"}, "TYPE" + shownHostile},
		{[]string{"result", id}, "Where      " + shownHostile + " " + shownHostile + "\n"},
		{[]string{"status", id}, "Warning    " + shownHostile + "\n"},
		{[]string{"watch", id, s.clusterID()}, "atlas-cluster-PROJECT-x       " + shownHostile + " " + shownHostile},
		{[]string{"cancel", id}, "workflow atlas-cluster-PROJECT-x has ended already"},
		{[]string{"status", "x" + hostile}, "status takes a workflow id of printable ASCII characters"},
		{[]string{"provision-flex", "-f", "x" + hostile}, shownHostile + " cannot be read"},
		{[]string{"x" + hostile}, "unknown command"},
		{[]string{"list", "--x" + hostile}, "unknown flag"},
		{[]string{"list", "--status", hostile}, "--status must be"},
		{s.flags("provision-flex", "--tag", hostile), "--tag must be KEY=VALUE"},
		{s.flags("provision-flex", "--name", hostile), "--name must begin"},
		{s.flags("provision-flex", "--region", hostile, "--dry-run"), `\u001b[2J`},
		{s.flags("provision-flex", "--timeout", hostile), "invalid argument"},
	} {
		out := s.run(test.args...)
		require.Contains(t, out.stdout+out.stderr, test.want, "%q", test.args)
		requireSafe(t, out)
		if len(test.args) > 1 {
			requireSafe(t, s.run(append(test.args, "-o", "json")...))
		}
	}
	out := s.runWith("na\x1b[2Jme: x\n---\n\"\\e[2J\": \"\\e[2J\"\nname: \"\\e[2J\"\n", "provision-flex", "-f-")
	require.Equal(t, 2, out.code)
	requireSafe(t, out)
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		out := s.run("list", "--project-id", s.project)
		assert.Contains(c, out.stdout, shownHostile)
		requireSafe(c, out)
		out = s.run("__complete", "status", "atlas-cluster-"+s.project)
		assert.Contains(c, out.stdout, "-orders\tprovision-flex COMPLETED")
	}, testenv.Patience, refreshInterval)
}
