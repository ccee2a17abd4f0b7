package integration

import (
	"os"
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
	"github.com/atlas-provisioner/atlas-provisioner/internal/process"
	"github.com/atlas-provisioner/atlas-provisioner/provisioner"
)

// moment is when the worker is killed: at a stage of the nth request of a kind.
type moment struct {
	name   string
	method string
	path   string // how the path ends; NAME is the cluster's
	nth    int
	stage  atlassim.Stage
}

// A worker that is killed at any moment of either workflow, and started again,
// ends with one cluster and a completed workflow.
func TestKillWorker(t *testing.T) {
	t.Parallel()
	bin := buildWorker(t)
	var moments []moment
	at := func(name, method, path string, nth int) {
		for _, stage := range []atlassim.Stage{atlassim.Arrived, atlassim.Applied, atlassim.Answered} {
			moments = append(moments, moment{name + " " + string(stage), method, path, nth, stage})
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
			killAt(t, bin, m)
		})
	}
}

func killAt(t *testing.T, bin string, m moment) {
	name, upgrade := clusterName(t), strings.HasPrefix(m.name, "upgrade")
	var (
		s      *stack
		mu     sync.Mutex // held while there is no worker
		worker *process.Process
		seen   int
	)
	killed := make(chan struct{})
	config := atlassim.Config{
		CreateFor: atlassim.Duration(2 * time.Second), UpgradeFor: atlassim.Duration(3 * time.Second), StaleIdleFor: atlassim.Duration(time.Second),
		Hook: func(stage atlassim.Stage, e atlassim.Entry) {
			if stage != m.stage || !e.Authenticated || e.Method != m.method || !strings.HasSuffix(e.Path, named(m.path, name)) {
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
		config = shared(t, config)
	}
	s = setupWithoutWorker(t, config)
	mu.Lock()
	worker = startProcess(s, bin)
	mu.Unlock()
	t.Cleanup(func() {
		mu.Lock()
		defer mu.Unlock()
		kill(worker)
	})

	var run provisioner.Run
	var err error
	if upgrade {
		run, err = s.client.Start(s.ctx(), serverless(t))
	} else {
		run, err = s.client.Start(s.ctx(), flex(t))
	}
	require.NoError(t, err)
	cluster, err := s.client.Result(s.ctx(), run.WorkflowID, run.RunID)
	require.NoError(t, err)
	<-killed
	require.Equal(t, "IDLE", cluster.StateName)
	require.Len(t, s.sim.Clusters(), 1)
	if upgrade {
		require.Equal(t, contract.Upgraded, cluster.Outcome)
		require.Equal(t, 1, s.sim.Count(atlassim.Upgraded))
		require.Equal(t, 1, s.requests("POST", upgradePath))
	} else {
		require.Equal(t, contract.Created, cluster.Outcome)
		require.Equal(t, 1, s.sim.Count(atlassim.Created))
	}
	// A killed worker may take a workflow task with it: that adds a time-out, and
	// the task again.
	require.LessOrEqual(t, len(s.history(run)), 20+3)
}

// What a killed worker did is missed within 10 seconds and tried again within
// another 10, however many attempts there were before.
func TestLostAttemptsComeBackSoon(t *testing.T) {
	t.Parallel()
	s := setup(t, atlassim.Config{})
	_, err := s.provision(flex(t))
	require.NoError(t, err)
	scheduled := 0
	for _, e := range s.history(s.last) {
		if a := e.GetActivityTaskScheduledEventAttributes(); a != nil {
			scheduled++
			require.LessOrEqual(t, a.GetHeartbeatTimeout().AsDuration(), 10*time.Second)
			require.LessOrEqual(t, a.GetRetryPolicy().GetMaximumInterval().AsDuration(), 10*time.Second)
			require.Zero(t, a.GetRetryPolicy().GetMaximumAttempts())
		}
	}
	require.Equal(t, 2, scheduled)
}

// startProcess starts a worker in a process of its own.
func startProcess(s *stack, bin string) *process.Process {
	cmd := exec.Command(bin)
	cmd.Env = []string{
		"TEMPORAL_ADDRESS=" + s.address, "TEMPORAL_TASK_QUEUE=" + s.queue,
		"TEMPORAL_CONFIG_FILE=" + os.DevNull,
		"MONGODB_ATLAS_BASE_URL=" + s.url, "MONGODB_ATLAS_PUBLIC_API_KEY=" + publicKey, "MONGODB_ATLAS_PRIVATE_API_KEY=" + privateKey,
	}
	cmd.Stdout, cmd.Stderr = s.logs, s.logs
	p, err := process.Start(cmd)
	if err != nil {
		s.t.Errorf("the worker does not start: %v", err)
	}
	return p
}

func kill(p *process.Process) {
	p.Signal(syscall.SIGKILL)
	<-p.Done
}

// buildWorker builds the worker with the race detector, as the tests are.
func buildWorker(t *testing.T) string {
	bin := filepath.Join(t.TempDir(), "worker")
	out, err := exec.Command("go", "build", "-race", "-o", bin, "../../cmd/worker").CombinedOutput()
	require.NoError(t, err, string(out))
	return bin
}
