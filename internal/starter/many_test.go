package starter

import (
	"context"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/starter/terminal"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv"
	"github.com/atlas-provisioner/atlas-provisioner/provisioner"
)

// file is a file of a request for each name.
func (s *stack) file(names ...string) string {
	var text string
	for _, name := range names {
		text += "---\ngroupId: " + s.project + "\nname: " + name + "\nproviderSettings: {backingProviderName: AWS, " +
			"regionName: US_EAST_1}\n"
	}
	return write(s.t, "clusters.yaml", text)
}

// lines sorts lines of progress, whose order is that of events.
func lines(text string) []string {
	out := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	slices.Sort(out)
	return out
}

// Of many, each runs on its own: one that fails fails alone.
func TestMany(t *testing.T) {
	t.Parallel()
	s := setup(t, atlassim.Config{})
	s.sim.SeedShared(atlassim.SharedCluster{GroupID: s.project, Name: "billing"})
	file := s.file("orders", "billing", "stock")
	out := s.run("provision-flex", "-f", file, "--wait")
	require.Equal(t, 1, out.code)
	require.Regexp(t, `^COMPLETED  atlas-cluster-PROJECT-orders   CREATED mongodb\+srv://orders\.SIM
FAILED     atlas-cluster-PROJECT-billing  CLUSTER_CONFLICT: cluster "billing": .*
COMPLETED  atlas-cluster-PROJECT-stock    CREATED mongodb\+srv://stock\.SIM
$`, out.stdout)
	form := regexp.MustCompile(
		`^atlas-cluster-PROJECT-(orders|stock|billing): (RUNNING(, CREATING)?|COMPLETED, IDLE|FAILED(, CREATING)?)$`,
	)
	var rest []string
	for line := range strings.Lines(out.stderr) {
		if line = strings.TrimSuffix(line, "\n"); !form.MatchString(line) {
			rest = append(rest, line)
		}
	}
	require.Equal(t, []string{"Following 3 workflows", "starter: 1 of 3 failed; each says why and what to do"}, rest)
	require.Contains(t, out.stderr, "\natlas-cluster-PROJECT-stock: COMPLETED, IDLE\n")
	require.Contains(t, out.stderr, "\natlas-cluster-PROJECT-billing: FAILED")
	require.Equal(t, 2, s.sim.Count(atlassim.Created))

	out = s.run("provision-flex", "-f", file, "--wait", "-o", "json")
	require.Equal(t, 1, out.code)
	require.Regexp(t, `^\{
  "clusters": \[
    \{
      "workflowId": "atlas-cluster-PROJECT-orders",
      "runId": "RUN",
      "status": "COMPLETED",
      "result": \{(.|\n)*"outcome": "UNCHANGED",
        "warnings": \[\]
      \}
    \},
    \{
      "workflowId": "atlas-cluster-PROJECT-billing",
      "runId": "RUN",
      "status": "FAILED",
      "failure": \{
        "type": "CLUSTER_CONFLICT",(.|\n)*
      \}
    \},
    \{
      "workflowId": "atlas-cluster-PROJECT-stock",
      "runId": "RUN",
      "status": "COMPLETED",(.|\n)*
  \]
\}
$`, out.stdout)

	s.sim.SeedShared(atlassim.SharedCluster{GroupID: s.project, Name: "legacy"})
	out = s.run("upgrade-to-serverless", "-f", s.file("legacy"), "--wait")
	require.Equal(t, 0, out.code)
	require.Equal(t, "COMPLETED  atlas-cluster-PROJECT-legacy  UPGRADED mongodb+srv://legacy.SIM\n", out.stdout)
}

// Without --wait all are started or joined at once; a different request is
// refused and leaves the others alone.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	s := setupWithoutWorker(t, atlassim.Config{})
	const follow = "Follow them with: the same command and --wait\n"
	require.Equal(
		t,
		output{stdout: "STARTED  atlas-cluster-PROJECT-orders\n" + follow},
		s.run("provision-flex", "-f", s.file("orders")),
	)
	require.Equal(
		t,
		output{stdout: "JOINED   atlas-cluster-PROJECT-orders\nSTARTED  atlas-cluster-PROJECT-stock\n" + follow},
		s.run("provision-flex", "-f", s.file("orders", "stock")),
	)
	require.Equal(t, output{stdout: `{
  "clusters": [
    {
      "workflowId": "atlas-cluster-PROJECT-orders",
      "runId": "RUN",
      "status": "RUNNING"
    }
  ]
}
`}, s.run("provision-flex", "-f", s.file("orders"), "-o", "json"))

	const conflict = `REQUEST_CONFLICT: a different request runs under workflow id "atlas-cluster-PROJECT-orders" ` +
		`(ProvisionFlexCluster): terminationProtectionEnabled is "false", requested "true". ` +
		"It was left alone: wait for its end, cancel it, or ask for the same\n"
	text, err := os.ReadFile(s.file("orders"))
	require.NoError(t, err)
	other := string(text) + "terminationProtectionEnabled: true\n"
	require.Equal(t, output{code: 2, stdout: "REFUSED  atlas-cluster-PROJECT-orders  " + conflict,
		stderr: "starter: nothing was started; each says why\n"}, s.runWith(other, "provision-flex", "-f-"))
	require.Equal(
		t,
		output{
			code:   1,
			stdout: "REFUSED  atlas-cluster-PROJECT-orders  " + conflict + "JOINED   atlas-cluster-PROJECT-stock\n",
			stderr: "starter: 1 of 2 failed; each says why and what to do\n",
		},
		s.runWith(other, "provision-flex", "-f-", "-f", s.file("stock")),
	)
	require.Empty(t, s.sim.Ledger())
}

// What Temporal does not take was not started.
func TestManyRefusedByTemporal(t *testing.T) {
	t.Parallel()
	s := setupWithoutWorker(t, atlassim.Config{})
	s.env = append(s.env, "TEMPORAL_TASK_QUEUE=/_sys/x")
	const why = "Temporal at ADDRESS refuses the request: task queue name cannot start with reserved prefix /_sys/"
	const complaint = "starter: nothing was started; each says why\n"
	require.Equal(
		t,
		output{
			2,
			"REFUSED  atlas-cluster-PROJECT-orders  INVALID_INPUT: " + why + "\nREFUSED  " +
				"atlas-cluster-PROJECT-stock   INVALID_INPUT: " + why + "\n",
			complaint,
		},
		s.run("provision-flex", "-f", s.file("orders", "stock")),
	)
	require.Equal(t, output{2, `{
  "clusters": [
    {
      "workflowId": "atlas-cluster-PROJECT-orders",
      "runId": "",
      "status": "",
      "failure": {
        "type": "INVALID_INPUT",
        "message": "` + why + `",
        "details": {
          "status": 0,
          "errorCode": "",
          "reason": "",
          "detail": "",
          "method": "",
          "path": ""
        }
      }
    }
  ]
}
`, complaint}, s.run("provision-flex", "-f", s.file("orders"), "--wait", "-o", "json"))
}

func TestInterruptMany(t *testing.T) {
	t.Parallel()
	s := setupWithoutWorker(t, atlassim.Config{})
	const follow = "starter: interrupted; the workflows go on. The same command follows them again\n"
	file := s.file("orders", "stock")
	for _, args := range [][]string{
		{"provision-flex", "-f", file, "--wait"},
		{"watch", s.clusterID(), "atlas-cluster-" + s.project + "-stock"},
	} {
		b := s.start(args...)
		const held = `-PROJECT-stock: RUNNING: no worker polls the task queue "QUEUE": start one, or let ` +
			`TEMPORAL_TASK_QUEUE name the queue that the workers poll`
		b.sees("atlas-cluster" + held)
		b.interrupt()
		out := b.end()
		require.Equal(
			t,
			output{130, "RUNNING  atlas-cluster-PROJECT-orders\nRUNNING  atlas-cluster-PROJECT-stock\n", out.stderr},
			out,
		)
		require.True(t, strings.HasPrefix(out.stderr, "Following 2 workflows\n"), out.stderr)
		require.True(t, strings.HasSuffix(out.stderr, "\n"+follow), out.stderr)
	}
}

// An interrupt while many are being started leaves some that may not have been.
func TestInterruptTheStartOfMany(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var stdout, stderr stream
	a := newTestApp(&stdout, &stderr)
	request := func(name string) contract.Request {
		return contract.ProvisionFlexClusterInput{GroupID: project, Name: name}
	}
	all := a.startAll(ctx, nil, []contract.Request{request("a"), request("b")})
	a.followAll(ctx, nil, all, awaitEnd)
	require.Equal(
		t,
		exitError{
			130,
			"interrupted; of 2 not all were started. The same command starts what is missing and joins what runs",
		},
		a.printOutcomes(ctx, all, true),
	)
	const id = "UNKNOWN  atlas-cluster-32b6e34b3d91647abb20e7b8-"
	require.Equal(t, id+"a\n"+id+"b\n", stdout.String())
	require.Empty(t, stderr.String())
}

// newTestApp is a run of the program that writes text.
func newTestApp(stdout, stderr io.Writer) *app {
	lookup := func(string) string { return "" }
	return &app{stdout: terminal.NewOutput(stdout, lookup), stderr: terminal.NewOutput(stderr, lookup), output: "text"}
}

// A log shows life though nothing happens.
func TestPlainLines(t *testing.T) {
	t.Parallel()
	var stderr stream
	all := []*outcome{
		{status: provisioner.Status{WorkflowID: "a", State: provisioner.Running}},
		{
			status:  provisioner.Status{WorkflowID: "b", State: provisioner.Failed},
			failure: &provisioner.Failure{State: provisioner.Failed, Type: "TIMEOUT"},
		},
		{
			status:  provisioner.Status{WorkflowID: "c", State: provisioner.Running},
			failure: &provisioner.Failure{Type: "REQUEST_CONFLICT"},
		},
		{
			status: provisioner.Status{WorkflowID: "d", State: provisioner.Completed, ClusterState: "IDLE"},
			result: &awaited{},
		},
	}
	now := time.Now()
	v := newTestApp(&stderr, &stderr).newView(len(all))
	v.at = now
	v.paint(all, now)
	v.paint(all, now.Add(repeatInterval))
	v.paint(all, now.Add(repeatInterval+1))
	all[0].status.ClusterState = "CREATING"
	v.end(all)
	require.Equal(
		t,
		"a: RUNNING\nb: FAILED\nd: COMPLETED, IDLE\n1 running, 1 completed, 2 failed\na: RUNNING, CREATING\n",
		stderr.String(),
	)
}

// watch follows several, or what a filter finds running.
func TestWatchMany(t *testing.T) {
	t.Parallel()
	s := setupWithoutWorker(t, atlassim.Config{})
	const none = "Nothing that runs matches\n"
	require.Equal(t, output{stderr: none}, s.run("watch", "--project-id", s.project))
	require.Equal(
		t,
		output{stdout: "{\n  \"clusters\": []\n}\n", stderr: none},
		s.run("watch", "--project-id", s.project, "-o", "json"),
	)
	require.Equal(t, 0, s.run("provision-flex", "-f", s.file("orders", "stock")).code)
	ids := []string{"atlas-cluster-" + s.project + "-stock", s.clusterID()}
	require.Equal(
		t,
		output{
			code: 2,
			stderr: "starter: Temporal knows no such workflow in namespace \"default\": workflow not found for ID: " +
				"atlas-cluster-PROJECT-none. 'starter list' shows those there are\n",
		},
		s.run("watch", ids[0], "atlas-cluster-"+s.project+"-none"),
	)
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		require.Equal(c, 3, strings.Count(s.run("list", "--project-id", s.project).stdout, "\n"))
	}, testenv.Patience, refreshInterval)

	byID := s.start("watch", ids[0], ids[1], ids[0])
	byID.sees("Following 2 workflows")
	byFilter := s.start("watch", "--project-id", s.project, "-o", "json")
	byFilter.sees("Following 2 workflows")
	s.startWorker()
	out := byID.end()
	require.Equal(t, 0, out.code)
	require.Equal(
		t,
		"COMPLETED  atlas-cluster-PROJECT-orders  CREATED mongodb+srv://orders.SIM\nCOMPLETED  "+
			"atlas-cluster-PROJECT-stock   CREATED mongodb+srv://stock.SIM\n",
		out.stdout,
	)
	require.Subset(
		t,
		lines(out.stderr),
		[]string{
			"Following 2 workflows",
			"atlas-cluster-PROJECT-orders: COMPLETED, IDLE",
			"atlas-cluster-PROJECT-stock: COMPLETED, IDLE",
		},
	)
	out = byFilter.end()
	require.Equal(t, 0, out.code)
	require.Equal(t, 2, strings.Count(out.stdout, `"status": "COMPLETED"`))

	// Of what has ended it prints the end.
	require.Equal(t, 0, s.run(append([]string{"watch"}, ids...)...).code)
}

// One list tells of a hundred; more than that are looked at in parts.
func TestLook(t *testing.T) {
	t.Parallel()
	s := setupWithoutWorker(t, atlassim.Config{})
	var names []string
	for i := range 101 {
		names = append(names, fmt.Sprintf("c%03d", i))
	}
	out := s.run("provision-flex", "-f", s.file(names...))
	require.Equal(t, 0, out.code, out.stderr)
	require.Equal(t, 101, strings.Count(out.stdout, "STARTED  atlas-cluster-PROJECT-c"))

	c := provisioner.New(s.temporal(), provisioner.Options{})
	var all []*outcome
	for _, name := range names {
		run, err := c.Status(s.ctx(), "atlas-cluster-"+s.project+"-"+name, "")
		require.NoError(t, err)
		all = append(all, &outcome{run: provisioner.Run{RunID: run.RunID}})
	}
	all[7].result = &awaited{} // of which nothing more is to be known
	require.EventuallyWithT(t, func(t *assert.CollectT) {
		refresh(s.ctx(), c, all, &sync.Mutex{})
		for i, o := range all {
			if i != 7 {
				assert.Equal(t, "atlas-cluster-"+s.project+"-"+names[i], o.status.WorkflowID)
				assert.Equal(t, provisioner.Running, o.status.State)
			}
		}
	}, testenv.Patience, refreshInterval)
	require.Empty(t, all[7].status)
}
