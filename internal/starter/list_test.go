package starter

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv"
	"github.com/atlas-provisioner/atlas-provisioner/provisioner"
)

// lists waits until a list is as wanted: Temporal's lists lag a little.
func (s *stack) lists(want string, args ...string) {
	s.t.Helper()
	require.EventuallyWithT(s.t, func(c *assert.CollectT) {
		assert.Equal(c, output{stdout: want}, s.run(append([]string{"list"}, args...)...))
	}, testenv.Patience, 20*time.Millisecond)
}

func TestList(t *testing.T) {
	t.Parallel()
	s := setup(t, atlassim.Config{})
	const head = "STATUS  COMMAND  STATE  AGE  CLUSTER  PROJECT  WORKFLOW ID\n"
	s.lists(head, "--project-id", s.project)
	s.lists("[]\n", "--project-id", s.project, "-o", "json")

	s.sim.SeedShared(atlassim.SharedCluster{GroupID: s.project, Name: "legacy"})
	require.Equal(t, 0, s.run(s.flags("upgrade-to-serverless", "--name", "legacy", "--wait")...).code)
	require.Equal(t, 0, s.run(s.flags("provision-flex", "--wait")...).code)
	require.Equal(t, 1, s.run(s.flags("provision-flex", "--name", "legacy", "--wait")...).code, "the name is taken")
	// Not a workflow of ours, whatever its id.
	_, err := s.temporal().
		ExecuteWorkflow(s.ctx(), client.StartWorkflowOptions{ID: "atlas-cluster-" + s.project + "-x",
			TaskQueue: s.queue + "-none"}, "Other")
	require.NoError(t, err)

	const (
		columns  = "STATUS     COMMAND                STATE  AGE  CLUSTER  PROJECT                   WORKFLOW ID\n"
		failed   = "FAILED     provision-flex         -      Ns  legacy   PROJECT  atlas-cluster-PROJECT-legacy\n"
		made     = "COMPLETED  provision-flex         IDLE   Ns  orders   PROJECT  atlas-cluster-PROJECT-orders\n"
		upgraded = "COMPLETED  upgrade-to-serverless  IDLE   Ns  legacy   PROJECT  atlas-cluster-PROJECT-legacy\n"
	)
	const (
		narrowColumns = "STATUS     COMMAND         STATE  AGE  CLUSTER  PROJECT                   WORKFLOW ID\n"
		narrowFailed  = "FAILED     provision-flex  -      Ns  legacy   PROJECT  atlas-cluster-PROJECT-legacy\n"
		narrowMade    = "COMPLETED  provision-flex  IDLE   Ns  orders   PROJECT  atlas-cluster-PROJECT-orders\n"
	)
	s.lists(columns+failed+made+upgraded, "--project-id", s.project)
	s.lists(columns+made+upgraded, "--project-id", s.project, "--state", "idle")
	s.lists(narrowColumns+narrowFailed+narrowMade, "--project-id", s.project, "--limit", "2")
	s.lists(columns+made+upgraded, "--project-id", s.project, "--status", "completed")
	s.lists(head, "--project-id", s.project, "--status", "TIMED_OUT")
	s.lists(head, "--project-id", s.project, "--state", "REPAIRING")
	s.lists(head, "--project-id", s.project[:23]) // not a project of which it is the beginning
	s.lists(`[
  {
    "workflowId": "atlas-cluster-PROJECT-legacy",
    "runId": "RUN",
    "workflowType": "ProvisionFlexCluster",
    "command": "provision-flex",
    "status": "FAILED",
    "projectId": "PROJECT",
    "clusterName": "legacy",
    "startTime": "TIME",
    "closeTime": "TIME"
  },
  {
    "workflowId": "atlas-cluster-PROJECT-orders",
    "runId": "RUN",
    "workflowType": "ProvisionFlexCluster",
    "command": "provision-flex",
    "status": "COMPLETED",
    "projectId": "PROJECT",
    "clusterName": "orders",
    "clusterState": "IDLE",
    "startTime": "TIME",
    "closeTime": "TIME"
  },
  {
    "workflowId": "atlas-cluster-PROJECT-legacy",
    "runId": "RUN",
    "workflowType": "UpgradeToServerless",
    "command": "upgrade-to-serverless",
    "status": "COMPLETED",
    "projectId": "PROJECT",
    "clusterName": "legacy",
    "clusterState": "IDLE",
    "startTime": "TIME",
    "closeTime": "TIME"
  }
]
`, "--project-id", s.project, "-o", "json")

	all := s.run("list", "--limit", "100000")
	require.Equal(t, 0, all.code)
	require.Contains(t, all.stdout, " atlas-cluster-PROJECT-orders\n")
}

// A run that no worker has taken up has no state, and one that is running no
// end.
func TestListOfWhatRuns(t *testing.T) {
	t.Parallel()
	s := setupWithoutWorker(t, atlassim.Config{})
	require.Equal(t, 0, s.run(s.flags("provision-flex")...).code)
	s.lists(
		"STATUS   COMMAND         STATE  AGE  CLUSTER  PROJECT                   WORKFLOW ID\n"+
			"RUNNING  provision-flex  -      Ns  orders   PROJECT  atlas-cluster-PROJECT-orders\n",
		"--project-id",
		s.project,
	)
	s.lists(`[
  {
    "workflowId": "atlas-cluster-PROJECT-orders",
    "runId": "RUN",
    "workflowType": "ProvisionFlexCluster",
    "command": "provision-flex",
    "status": "RUNNING",
    "startTime": "TIME"
  }
]
`, "--project-id", s.project, "-o", "json")
}

// A server without the search attributes can do everything but filter by them,
// and says how it gets them.
func TestWithoutSearchAttributes(t *testing.T) {
	t.Parallel()
	bare, err := testenv.StartBareServer()
	require.NoError(t, err)
	t.Cleanup(func() { _ = bare.Stop() })
	s := setupOn(t, bare, atlassim.Config{})
	s.startWorker()
	out := s.run(s.flags("provision-flex", "--wait")...)
	require.Equal(t, 0, out.code, out.stderr)
	require.Equal(t, created, out.stdout)
	s.lists(
		"STATUS     COMMAND         STATE  AGE  CLUSTER  PROJECT                   WORKFLOW ID\n"+
			"COMPLETED  provision-flex  -      Ns  orders   PROJECT  atlas-cluster-PROJECT-orders\n",
		"--project-id",
		s.project,
	)
	for _, args := range [][]string{{"list"}, {"list", "-o", "json"}, {"watch"}} {
		require.Equal(
			t,
			output{
				code: 2,
				stderr: `starter: Temporal cannot filter so (invalid query: invalid expression: column name ` +
					`'AtlasClusterState' is not a valid search attribute).
Add the search attributes, then restart the worker, which sets them from then on:
  temporal operator search-attribute create --type Keyword --name AtlasProjectId --name AtlasClusterName --name ` +
					`AtlasClusterState --namespace default
`,
			},
			s.run(append(args, "--state", "IDLE")...),
		)
	}
}

func TestAge(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 59*time.Second + 999*time.Millisecond: "59s", time.Minute: "1m",
		59 * time.Minute: "59m", time.Hour: "1h", 47 * time.Hour: "1d", 100 * 24 * time.Hour: "100d",
	} {
		require.Equal(t, want, age(d), "%s", d)
	}
}

// The cluster of a run is known from its search attributes, or else from its id.
func TestClusterOf(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		run           provisioner.Status
		project, name string
	}{
		{provisioner.Status{WorkflowID: "mine", ProjectID: "p", ClusterName: "c"}, "p", "c"},
		{provisioner.Status{WorkflowID: "atlas-cluster-" + project + "-a-b"}, project, "a-b"},
		{provisioner.Status{WorkflowID: "atlas-cluster-" + project + "-a"}, project, "a"},
		{provisioner.Status{WorkflowID: "atlas-cluster-" + project + "-a", ProjectID: "p", ClusterName: "c"}, "p", "c"},
		{provisioner.Status{WorkflowID: "mine"}, "", ""},
	} {
		p, n := clusterOf(test.run)
		require.Equal(t, []string{test.project, test.name}, []string{p, n}, test.run.WorkflowID)
	}
}
