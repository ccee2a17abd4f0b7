package integration

import (
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/dev/process"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv"
)

// killMoment is when the worker is killed: at a stage of the nth request with a method and a path.
type killMoment struct {
	name   string
	method string
	path   string // the end of the path, in which NAME stands for the cluster's name
	nth    int
	stage  atlassim.Stage
}

// A worker is killed at each moment of a provision and of an upgrade, and another one is started. Each time the
// workflow completes and there is one cluster.
func TestKillWorker(t *testing.T) {
	t.Parallel()
	bin := buildWorker(t)
	var moments []killMoment
	at := func(name, method, path string, nth int) {
		for _, stage := range []atlassim.Stage{atlassim.Arrived, atlassim.Applied, atlassim.Answered} {
			moments = append(moments, killMoment{name + " " + string(stage), method, path, nth, stage})
		}
	}
	at("provision/create", "POST", "/flexClusters", 1)
	at("provision/first look", "GET", "/flexClusters/NAME", 1)
	at("provision/second look", "GET", "/flexClusters/NAME", 2)
	at("upgrade/look before", "GET", "/serverless/NAME", 1)
	at("upgrade/look at the cluster", "GET", "/clusters/NAME", 1)
	at("upgrade/upgrade", "POST", upgradePath, 1)
	at("upgrade/first look", "GET", "/serverless/NAME", 2)
	at("upgrade/second look", "GET", "/serverless/NAME", 3)
	for _, m := range moments {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			testKillAt(t, bin, m)
		})
	}
}

func testKillAt(t *testing.T, bin string, m killMoment) {
	name, upgrade := testenv.ClusterName(t), strings.HasPrefix(m.name, "upgrade")
	var (
		s      *testenv.Stack
		mu     sync.Mutex // guards worker and seen
		worker *process.Process
		seen   int
	)
	killed := make(chan struct{})
	config := atlassim.Config{
		CreateFor: atlassim.Duration(
			2 * time.Second,
		), UpgradeFor: atlassim.Duration(3 * time.Second), StaleIdleFor: atlassim.Duration(time.Second),
		Hook: func(stage atlassim.Stage, e atlassim.Entry) {
			if stage != m.stage || !e.Authenticated || e.Method != m.method ||
				!strings.HasSuffix(e.Path, withName(m.path, name)) {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if seen++; seen == m.nth {
				kill(worker)
				worker = startProcess(s, bin)
				close(killed)
			}
		},
	}
	if upgrade {
		config = withShared(t, config)
	}
	s = testenv.New(t, config)
	mu.Lock()
	worker = startProcess(s, bin)
	mu.Unlock()
	t.Cleanup(func() {
		mu.Lock()
		defer mu.Unlock()
		kill(worker)
	})

	var request contract.Request = flex(t)
	if upgrade {
		request = serverless(t)
	}
	run := start(s, request)
	cluster, err := s.Client.Result(s.Context(), run.WorkflowID, run.RunID)
	require.NoError(t, err)
	<-killed
	require.Equal(t, "IDLE", cluster.StateName)
	require.Len(t, s.Sim.Clusters(), 1)
	if upgrade {
		require.Equal(t, contract.Upgraded, cluster.Outcome)
		require.Equal(t, 1, s.Sim.Count(atlassim.Upgraded))
		require.Equal(t, 1, s.Requests("POST", upgradePath))
	} else {
		require.Equal(t, contract.Created, cluster.Outcome)
		require.Equal(t, 1, s.Sim.Count(atlassim.Created))
	}
	// The task of a worker that is killed during a workflow task times out.
	require.LessOrEqual(t, countEvents(s, run), maxEvents)
}

// An attempt that was lost with its worker is noticed within 10 seconds, and tried again within another 10, however
// many attempts there were before.
func TestLostAttemptsComeBackSoon(t *testing.T) {
	t.Parallel()
	s := setup(t, atlassim.Config{})
	_, err := execute(s, flex(t))
	require.NoError(t, err)
	scheduled := 0
	for _, e := range s.History(latestRun(s)) {
		if a := e.GetActivityTaskScheduledEventAttributes(); a != nil {
			scheduled++
			require.LessOrEqual(t, a.GetHeartbeatTimeout().AsDuration(), 10*time.Second)
			require.LessOrEqual(t, a.GetRetryPolicy().GetMaximumInterval().AsDuration(), 10*time.Second)
			require.Zero(t, a.GetRetryPolicy().GetMaximumAttempts())
		}
	}
	require.Equal(t, 2, scheduled)
}

// startProcess starts a worker as a process.
func startProcess(s *testenv.Stack, bin string) *process.Process {
	cmd := exec.Command(bin)
	cmd.Env = s.WorkerEnv()
	var logs testenv.Buffer
	cmd.Stdout, cmd.Stderr = &logs, &logs
	s.TB().Cleanup(func() {
		if s.TB().Failed() {
			s.TB().Logf("log of a worker:\n%s", &logs)
		}
	})
	p, err := process.Start(cmd)
	if err != nil {
		s.TB().Errorf("the worker does not start: %v", err)
	}
	return p
}

func kill(p *process.Process) {
	p.Signal(syscall.SIGKILL)
	<-p.Done
}

// buildWorker builds the worker with the race detector, like the tests.
func buildWorker(t *testing.T) string {
	bin := filepath.Join(t.TempDir(), "worker")
	out, err := exec.Command("go", "build", "-race", "-o", bin, "../../cmd/worker").CombinedOutput()
	require.NoError(t, err, string(out))
	return bin
}
