// Package integration tests the whole: workflows and activities in a worker, on a real Temporal dev server, over real
// HTTP against the simulator.
package integration

import (
	"flag"
	"io"
	"log"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/atlas-provisioner/atlas-provisioner/atlasclient"
	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv/testworker"
	"github.com/atlas-provisioner/atlas-provisioner/internal/worker"
	"github.com/atlas-provisioner/atlas-provisioner/provisioner"
)

// recordHistories makes the tests write the histories that the replay test of package workflows reads:
//
//	go test ./internal/integration -record
var recordHistories = flag.Bool("record", false, "write the histories of these tests to workflows/testdata")

const project = testenv.Project

func TestMain(m *testing.M) { testenv.Main(m) }

func withRequestTimeout(d time.Duration) testworker.Option {
	return func(c *worker.Config) { c.RequestTimeout = d }
}

func withBaseURL(url string) testworker.Option { return func(c *worker.Config) { c.BaseURL = url } }

func withAuth(auth atlasclient.Auth) testworker.Option {
	return func(c *worker.Config) { c.Auth = auth }
}

// setup starts a simulator and a worker.
func setup(t *testing.T, sim atlassim.Config, options ...testworker.Option) *testenv.Stack {
	t.Helper()
	s := testenv.New(t, sim)
	testworker.Start(s, options...)
	return s
}

// flex is a request for a Flex cluster whose name, and so whose workflow id, is the test's own.
func flex(t *testing.T) contract.ProvisionFlexClusterInput {
	return testenv.Flex(testenv.ClusterName(t))
}

// serverless is a request for the upgrade of such a cluster.
func serverless(t *testing.T) contract.UpgradeToServerlessInput {
	return testenv.Serverless(testenv.ClusterName(t))
}

// start starts a run.
func start(s *testenv.Stack, request contract.Request) provisioner.Run {
	s.TB().Helper()
	run, err := s.Client.Start(s.Context(), request)
	require.NoError(s.TB(), err)
	return run
}

// execute starts a run and waits for its end.
func execute(s *testenv.Stack, request contract.Request) (contract.Cluster, error) {
	s.TB().Helper()
	return result(s, start(s, request))
}

// maxEvents bounds the history of a run, whatever happened.
const maxEvents = 20

// countEvents counts the events of a run's history, but for those of workflow tasks that timed out: on a busy machine
// a worker can be too late for its task, which the server then gives out again.
func countEvents(s *testenv.Stack, run provisioner.Run) int {
	s.TB().Helper()
	n := 0
	for _, e := range s.History(run) {
		n++
		if a := e.GetWorkflowTaskTimedOutEventAttributes(); a != nil {
			n -= 2 // that it was scheduled, and that it timed out
			if a.GetStartedEventId() != 0 {
				n--
			}
		}
	}
	return n
}

// result waits for the end of a run, and checks the length of its history.
func result(s *testenv.Stack, run provisioner.Run) (contract.Cluster, error) {
	s.TB().Helper()
	ctx := s.Context()
	cluster, err := s.Client.Result(ctx, run.WorkflowID, run.RunID)
	require.NoError(s.TB(), ctx.Err())
	require.LessOrEqual(s.TB(), countEvents(s, run), maxEvents, "history events")
	return cluster, err
}

// latestRun is the latest run for the test's own cluster.
func latestRun(s *testenv.Stack) provisioner.Run {
	return provisioner.Run{WorkflowID: contract.ClusterWorkflowID(project, testenv.ClusterName(s.TB()))}
}

// record keeps the history of the latest run for the test's own cluster, under -record.
func record(s *testenv.Stack, name string) {
	s.TB().Helper()
	recordRun(s, latestRun(s), name)
}

func recordRun(s *testenv.Stack, run provisioner.Run, name string) {
	s.TB().Helper()
	if *recordHistories {
		file := filepath.Join("..", "..", "workflows", "testdata", name+".json")
		require.NoError(s.TB(), os.WriteFile(file, s.HistoryJSON(run), 0o644))
	}
}

// createByOthers creates the cluster of a request in the simulator, as if somebody else had asked Atlas for it.
func createByOthers(s *testenv.Stack, in contract.ProvisionFlexClusterInput, tags ...atlassim.Tag) {
	s.TB().Helper()
	for _, t := range in.Tags {
		tags = append(tags, atlassim.Tag(t))
	}
	require.NoError(s.TB(), s.Sim.CreateFlex(in.GroupID, atlassim.FlexRequest{
		Name: in.Name,
		ProviderSettings: atlassim.FlexProvider{
			BackingProviderName: in.ProviderSettings.BackingProviderName, RegionName: in.ProviderSettings.RegionName,
		},
		Tags: tags, TerminationProtectionEnabled: in.TerminationProtectionEnabled,
	}))
}

// withName puts the name of a cluster in place of NAME.
func withName(pattern, name string) string { return strings.ReplaceAll(pattern, "NAME", name) }

// statusFault makes the simulator answer an error of Atlas.
func statusFault(status int, errorCode string) atlassim.Fault {
	return atlassim.Fault{Kind: atlassim.FaultStatus, Status: status, ErrorCode: errorCode}
}

// htmlFault makes it answer a proxy's HTML page.
func htmlFault(status int) atlassim.Fault {
	return atlassim.Fault{Kind: atlassim.FaultHTML, Status: status}
}

// hangFault makes it hold the answer back until the client gives up.
func hangFault() atlassim.Fault {
	return atlassim.Fault{Kind: atlassim.FaultHang, Hang: atlassim.Duration(time.Minute)}
}

// afterEffect lets a request take effect before a fault.
func afterEffect(fault atlassim.Fault) atlassim.Fault {
	fault.AfterEffect = true
	return fault
}

// withRetryAfter adds the header Retry-After to the answer of a fault.
func withRetryAfter(fault atlassim.Fault, seconds string) atlassim.Fault {
	fault.RetryAfter = seconds
	return fault
}

var discardLog = log.New(io.Discard, "", 0)
