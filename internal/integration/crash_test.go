package integration

import (
	"fmt"
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
	"github.com/atlas-provisioner/atlas-provisioner/internal/dev/process"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv/testworker"
)

// killMoment is when the worker is killed: at a stage of the nth request with a method and a path.
type killMoment struct {
	name   string
	method string
	path   string // the end of the path, in which NAME stands for the cluster's name
	nth    int
	stage  atlassim.Stage
}

// A worker is killed at each moment of a run, and another one is started. Each time the workflow completes, and what it
// asks for is done once.
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
	for _, kind := range upgradeKinds {
		read := func(name, path string, nth int) {
			moments = append(moments, killMoment{kind.name + "/" + name, "GET", path, nth, atlassim.Answered})
		}
		read("look before", kind.new, 1)
		read("look at the cluster", kind.old, 1)
		read("look before the request", kind.new, 2)
		read("look at the cluster before the request", kind.old, 2)
		at(kind.name+"/upgrade", "POST", kind.post, 1)
		read("first look", kind.new, 3)
		read("first look at the cluster", kind.old, 3)
		read("second look at the cluster", kind.old, 4)
	}
	at("update/look before", "GET", "/flexClusters/NAME", 1)
	at("update/change", "PATCH", "/flexClusters/NAME", 1)
	at("update/look after", "GET", "/flexClusters/NAME", 2)
	at("provision that updates/change", "PATCH", "/flexClusters/NAME", 1)
	at("provision that adopts/change", "PATCH", "/flexClusters/NAME", 1)
	at("delete/look before", "GET", "/flexClusters/NAME", 1)
	at("delete/second look before", "GET", "/flexClusters/NAME", 2)
	at("delete/delete", "DELETE", "/flexClusters/NAME", 1)
	at("delete/look after", "GET", "/flexClusters/NAME", 3)
	at("delete of a dedicated cluster/delete", "DELETE", "/clusters/NAME", 1)
	for _, m := range moments {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			testKillAt(t, bin, m)
		})
	}
}

func testKillAt(t *testing.T, bin string, m killMoment) {
	run := killedRunOf(t, m.name)
	s, startWorker, killed := stackToKill(t, bin, m, atlassim.Config{
		CreateFor: atlassim.Duration(2 * time.Second), UpdateFor: atlassim.Duration(2 * time.Second),
		DeleteFor: atlassim.Duration(15 * time.Second), DeleteDedicatedFor: atlassim.Duration(5 * time.Second),
		UpgradeFor:   atlassim.Duration(3 * time.Second),
		StaleIdleFor: atlassim.Duration(time.Second),
	})
	run.prepare(t, s)
	startWorker()
	started := start(s, run.request)
	cluster, err := s.Client.Result(s.Context(), started.WorkflowID, started.RunID)
	require.NoError(t, err)
	<-killed
	if run.effect == atlassim.Deleted {
		require.Equal(t, contract.StateDeleted, cluster.StateName)
		require.Empty(t, s.Sim.Clusters())
	} else {
		require.Equal(t, "IDLE", cluster.StateName)
		require.Len(t, s.Sim.Clusters(), 1)
	}
	require.Equal(t, run.outcome, cluster.Outcome)
	require.Equal(t, 1, s.Sim.Count(run.effect))
	if run.effect == atlassim.Upgraded {
		require.Equal(t, 1, s.Requests("POST", run.post))
	}
	require.LessOrEqual(t, countEvents(s, started), maxEvents)
}

// stackToKill is a stack whose worker is killed at a moment, and replaced by another one then. startWorker starts the
// first one; killed is closed when that was killed.
func stackToKill(
	t *testing.T, bin string, m killMoment, config atlassim.Config,
) (s *testenv.Stack, startWorker func(), killed <-chan struct{}) {
	name := testenv.ClusterName(t)
	var (
		mu     sync.Mutex // guards worker and seen
		worker *process.Process
		seen   int
	)
	done := make(chan struct{})
	config.Hook = func(stage atlassim.Stage, e atlassim.Entry) {
		if stage != m.stage || !e.Authenticated || e.Method != m.method ||
			!strings.HasSuffix(e.Path, withName(m.path, name)) {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		if seen++; seen == m.nth {
			kill(worker)
			worker = startProcess(s, bin)
			close(done)
		}
	}
	s = testenv.New(t, config)
	return s, func() {
		mu.Lock()
		defer mu.Unlock()
		worker = startProcess(s, bin)
		t.Cleanup(func() {
			mu.Lock()
			defer mu.Unlock()
			kill(worker)
		})
	}, done
}

// killedRun is a run whose worker is killed: what there is before, what it asks for, and how it ends.
type killedRun struct {
	prepare func(*testing.T, *testenv.Stack)
	request contract.Request
	outcome contract.Outcome
	effect  atlassim.Effect
	// post is the end of the path of the request that must not be sent twice.
	post string
}

// killedRunOf is the run of a moment, by the first part of its name.
func killedRunOf(t *testing.T, moment string) killedRun {
	operation, _, _ := strings.Cut(moment, "/")
	for _, kind := range upgradeKinds {
		if kind.name == operation {
			return killedRun{kind.prepare, kind.request(t, here(t), 0), contract.Upgraded, atlassim.Upgraded, kind.post}
		}
	}
	switch operation {
	case "update":
		return killedRun{makeOurs, update(t), contract.Updated, atlassim.Updated, ""}
	case "provision that updates":
		return killedRun{makeProtectedBefore, flexUpdated(t), contract.Updated, atlassim.Updated, ""}
	case "provision that adopts":
		return killedRun{makeUntaggedBefore, flexAdopted(t), contract.Updated, atlassim.Updated, ""}
	case "delete of a dedicated cluster":
		return killedRun{makeDedicated, deletion(t), contract.Deleted, atlassim.Deleted, ""}
	case "delete":
		return killedRun{makeOurs, deletion(t), contract.Deleted, atlassim.Deleted, ""}
	case "upgrade":
		return killedRun{seedShared, serverless(t), contract.Upgraded, atlassim.Upgraded, upgradePath}
	}
	nothing := func(*testing.T, *testenv.Stack) {}
	return killedRun{nothing, flex(t), contract.Created, atlassim.Created, ""}
}

// makeDedicated makes a dedicated cluster that the test's own workflow has upgraded, by a worker that has ended then.
func makeDedicated(t *testing.T, s *testenv.Stack) {
	makeOurs(t, s)
	w := testworker.Start(s)
	defer w.Stop()
	place := flex(t).ProviderSettings
	place.InstanceSizeName = "M10"
	_, err := execute(s, contract.UpgradeToDedicatedInput{
		GroupID: project, Name: testenv.ClusterName(t), ProviderSettings: place,
	})
	require.NoError(t, err)
}

// seedShared makes the cluster that the test upgrades to serverless.
func seedShared(t *testing.T, s *testenv.Stack) {
	s.Sim.SeedShared(withShared(t, atlassim.Config{}).Shared[0])
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

// buildWorker builds the worker with the race detector, like the tests, once for all of them.
func buildWorker(t *testing.T) string {
	t.Helper()
	bin, err := builtWorker()
	require.NoError(t, err)
	return bin
}

var builtWorker = sync.OnceValues(func() (string, error) {
	folder, err := os.MkdirTemp("", "atlas-provisioner-worker-")
	if err != nil {
		return "", err
	}
	testenv.Package.Cleanup(func() { _ = os.RemoveAll(folder) })
	bin := filepath.Join(folder, "worker")
	if out, err := exec.Command("go", "build", "-race", "-o", bin, "../../cmd/worker").CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return bin, nil
})
