package starter

import (
	"net"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv"
)

// The shell asks the program what may follow: ids come from Temporal.
func TestCompleteIDs(t *testing.T) {
	t.Parallel()
	s := setup(t, atlassim.Config{})
	require.Equal(t, 0, s.run(s.flags("provision-flex", "--name", "done", "--wait")...).code)
	idle := s.queue
	s.env = append(s.env, "TEMPORAL_TASK_QUEUE="+idle+"-none")
	require.Equal(t, 0, s.run(s.flags("provision-flex")...).code)

	const (
		noFiles = ":4\nCompletion ended with directive: ShellCompDirectiveNoFileComp\n"
		ordered = ":36\n"
		done    = "atlas-cluster-PROJECT-done\tprovision-flex COMPLETED IDLE\n"
		orders  = "atlas-cluster-PROJECT-orders\tprovision-flex RUNNING\n"
	)
	begun := "atlas-cluster-" + s.project
	offers := func(want string, args ...string) {
		t.Helper()
		require.EventuallyWithT(t, func(c *assert.CollectT) {
			out := s.run(append([]string{"__complete"}, args...)...)
			assert.Equal(c, 0, out.code)
			assert.Equal(c, want+ordered, out.stdout)
		}, testenv.Patience, refreshInterval)
	}
	for _, command := range []string{"status", "watch", "result"} {
		offers(orders+done, command, begun)
	}
	offers(orders, "cancel", begun)
	offers(orders, "extend", begun)
	offers(orders, "status", begun+"-o")
	offers(orders, "watch", begun+"-done", begun)
	offers("", "status", "no-such")
	for _, args := range [][]string{{"status", "x", begun}, {"status", "'"}, {"provision-flex", ""}, {"list", ""},
		{"list", "--limit", ""}} {
		out := s.run(append([]string{"__complete"}, args...)...)
		require.Equal(t, noFiles, out.stdout+out.stderr, "%q", args)
	}
}

// Projects and names are those of the clusters that runs of Temporal are about, the newest first. What a run deleted is
// not offered.
func TestCompleteClusters(t *testing.T) {
	t.Parallel()
	s := setupWithoutWorker(t, atlassim.Config{})
	ends := func(_ workflow.Context, in contract.DeleteClusterInput) (contract.Cluster, error) {
		if in.Name == "fails" {
			return contract.Cluster{}, temporal.NewNonRetryableApplicationError("why", contract.ClusterProtected, nil)
		}
		return contract.Cluster{}, nil
	}
	s.startFakes(map[string]any{contract.ProvisionFlexCluster: ends, contract.DeleteCluster: ends}, nil)
	c := s.temporal()
	start := func(workflowType, name string) client.WorkflowRun {
		t.Helper()
		run, err := c.ExecuteWorkflow(s.ctx(), client.StartWorkflowOptions{
			ID: contract.ClusterWorkflowID(s.project, name), TaskQueue: s.queue,
		}, workflowType, contract.DeleteClusterInput{Name: name})
		require.NoError(t, err)
		return run
	}
	require.NoError(t, start(contract.ProvisionFlexCluster, "deleted").Get(s.ctx(), nil))
	require.NoError(t, start(contract.DeleteCluster, "deleted").Get(s.ctx(), nil))
	require.NoError(t, start(contract.ProvisionFlexCluster, "orders").Get(s.ctx(), nil))
	require.Error(t, start(contract.DeleteCluster, "fails").Get(s.ctx(), nil), "it is there still")
	require.NoError(t, start(contract.ProvisionFlexCluster, "orders").Get(s.ctx(), nil), "once more")

	offers := func(want string, args ...string) {
		t.Helper()
		require.EventuallyWithT(t, func(c *assert.CollectT) {
			out := s.run(append([]string{"__complete"}, args...)...)
			assert.Equal(c, 0, out.code)
			assert.Equal(c, want+":36\n", out.stdout)
		}, testenv.Patience, refreshInterval)
	}
	for _, command := range []string{"delete", "update-flex", "provision-flex", "upgrade-to-dedicated"} {
		offers("orders\nfails\n", command, "--project-id", s.project, "--name", "")
	}
	offers("orders\n", "delete", "--project-id", s.project, "--name", "or")
	offers("", "delete", "--project-id", s.project, "--name", "x")
	offers("", "delete", "--project-id", "'", "--name", "")
	for _, command := range []string{"delete", "list", "watch"} {
		offers("PROJECT\torders\n", command, "--project-id", s.project[:12])
	}
}

// Where Temporal is away there is nothing to offer, and no complaint; where it does not answer, that takes a second.
func TestCompleteWithoutTemporal(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { silent.Close() })
	hangs := []string{"TEMPORAL_ADDRESS=" + silent.Addr().String(), "TEMPORAL_CONFIG_FILE=" + os.DevNull}
	for _, args := range [][]string{
		{"status", ""}, {"cancel", "atlas"}, {"delete", "--name", ""}, {"list", "--project-id", ""},
	} {
		for _, environ := range [][]string{nowhere, hangs, {"TEMPORAL_TLS=yes"}} {
			began := time.Now()
			out := run(environ, append([]string{"__complete"}, args...)...)
			require.Less(t, time.Since(began), dialTimeout)
			require.Equal(t, ":36\n", out.stdout, "%q", args)
			require.Equal(t, 0, out.code)
			require.NotContains(t, out.stderr, "starter: ")
			require.NotContains(t, out.stderr, "Error")
		}
	}
}

func TestCompleteFlags(t *testing.T) {
	t.Parallel()
	const states = "IDLE\nCREATING\nUPDATING\nDELETING\nREPAIRING\nDELETED\n:4\n" // the shell picks what fits
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"list", "--output", ""}, "text\njson\n:4\n"},
		{[]string{"list", "--state", "C"}, states},
		{[]string{"watch", "--state", ""}, states},
		{[]string{"list", "--status", ""}, "RUNNING\nCOMPLETED\nFAILED\nCANCELED\nTERMINATED\nTIMED_OUT\n:4\n"},
		{[]string{"provision-flex", "--provider", ""}, "AWS\nAZURE\nGCP\n:4\n"},
		{[]string{"upgrade-to-serverless", "--region", ""}, ":4\n"},
		{[]string{"update-flex", "--termination-protection", ""}, "true\nfalse\n:4\n"},
		{[]string{"update-flex", "--tag", ""}, ":4\n"},
		{[]string{"upgrade-to-dedicated", "--instance-size", ""}, "M10\nM20\nM30\nM40\nM50\nM60\nM80\n:4\n"},
		{[]string{"delete", "-f", ""}, "yaml\nyml\njson\n:8\n"},
		{[]string{"provision-flex", "-f", ""}, "yaml\nyml\njson\n:8\n"},
		{[]string{"st"}, "status\tShow how a workflow stands\n:4\n"},
	} {
		out := run(nowhere, append([]string{"__complete"}, test.args...)...)
		require.Equal(t, test.want, out.stdout, "%q", test.args)
		require.Equal(t, 0, out.code)
	}
}

// The script itself is cobra's.
func TestCompletionScripts(t *testing.T) {
	t.Parallel()
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		out := run(nowhere, "completion", shell)
		require.Equal(t, 0, out.code)
		require.Contains(t, out.stdout, "__complete")
		require.Empty(t, out.stderr)
	}
}
