package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.uber.org/zap"

	"github.com/atlas-provisioner/atlas-provisioner/atlasclient"
	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/dev/process"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv/testworker"
	"github.com/atlas-provisioner/atlas-provisioner/internal/worker"
	"github.com/atlas-provisioner/atlas-provisioner/provisioner"
)

const (
	warmUp     = 80  // runs before the first measurement
	campaign   = 200 // runs between the two measurements
	concurrent = 80  // runs at the same time
)

// After hundreds of runs, in which a fifth of the requests failed, a worker has the memory that it had before, within
// 20 %, no more goroutines, and no more connections than there were runs at the same time.
//
// The simulator is a process of its own, since its ledger grows. Temporal's sticky cache keeps the runs that are not
// closed. The test measures when there are none, and leaves the size of the cache at its default of 10000, so that a
// closed run that stayed in it would count. This test runs beside no other.
func TestNothingLeaks(t *testing.T) {
	sim := startSimulator(t)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- worker.Serve(ctx, worker.Config{
			Temporal:  client.Options{HostPort: testenv.Shared().Address(), Namespace: "default"},
			TaskQueue: t.Name(), BaseURL: sim, Pace: testworker.Quick, RequestTimeout: time.Second,
			Auth: atlasclient.ServiceAccount{ClientID: "mdb_sa_id_1", ClientSecret: "leak-secret"},
		}, zap.NewNop())
	}()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
	runs := provisioner.New(testenv.Shared().Client(), provisioner.Options{TaskQueue: t.Name()})

	runMany(t, runs, sim, 0, warmUp)
	before := measure(func(usage) bool { return true })
	runMany(t, runs, sim, warmUp, campaign)
	after := measure(func(u usage) bool { return u.goroutines <= before.goroutines && u.heap <= before.heap*12/10 })
	t.Logf(
		"after %d runs %d bytes, %d goroutines, %d connections; after %d more %d bytes, %d goroutines, %d connections",
		warmUp,
		before.heap,
		before.goroutines,
		before.connections,
		campaign,
		after.heap,
		after.goroutines,
		after.connections,
	)
	require.LessOrEqual(t, after.goroutines,
		before.goroutines,
		"goroutines:\n%v\nbefore:\n%v",
		after.creators,
		before.creators,
	)
	require.LessOrEqual(t, after.heap, before.heap*12/10, "live heap in bytes")
	require.LessOrEqual(t, after.connections, concurrent, "connections")
}

// startSimulator starts the program atlas-sim. A fifth of its answers are faults.
func startSimulator(t *testing.T) (url string) {
	t.Helper()
	bin, config := filepath.Join(t.TempDir(), "atlas-sim"), filepath.Join(t.TempDir(), "config.json")
	out, err := exec.Command("go", "build", "-o", bin, "../../cmd/atlas-sim").CombinedOutput()
	require.NoError(t, err, string(out))
	var faults []atlassim.Fault
	for i, f := range []atlassim.Fault{
		htmlFault(502), withRetryAfter(statusFault(429, "RATE_LIMITED"), "0"), hangFault(),
		{Kind: atlassim.FaultReset}, {Kind: atlassim.FaultLost}, {Kind: atlassim.FaultTruncate},
		{Kind: atlassim.FaultGarbage}, {Kind: atlassim.FaultOversize},
	} {
		f.Path, f.Probability, f.Seed = "/api/atlas/v2/", 0.027, uint64(i)+1
		faults = append(faults, f)
	}
	data, err := json.Marshal(map[string]any{
		"clientId": "mdb_sa_id_1", "clientSecret": "leak-secret", "tokensPerMinute": 100000, "rateLimit": 100000,
		"createFor": "300ms", "upgradeFor": "500ms", "faults": faults,
	})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(config, data, 0o600))
	var stdout, stderr testenv.Buffer
	cmd := exec.Command(bin, "-addr", "127.0.0.1:0", "-config", config, "-quiet")
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	p, err := process.Start(cmd)
	require.NoError(t, err)
	t.Cleanup(func() { p.Stop(time.Second) })
	listening := regexp.MustCompile(`listening on (http://\S+)\n`)
	testenv.Eventually(t, func() bool { return listening.MatchString(stdout.String()) }, stderr.String())
	return listening.FindStringSubmatch(stdout.String())[1]
}

// runMany makes n runs, of which every fifth is an upgrade. It revokes the tokens now and then, but never twice
// during one request, which would end in a final 401. There are as many projects as concurrent runs, because a 429
// makes a whole project wait.
func runMany(t *testing.T, runs *provisioner.Client, sim string, first, n int) {
	t.Helper()
	slots := make(chan struct{}, concurrent)
	var wg sync.WaitGroup
	for i := first; i < first+n; i++ {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			ctx, cancel := context.WithTimeout(context.Background(), testenv.Patience)
			defer cancel()
			project, name := fmt.Sprintf("%024x", i%concurrent), fmt.Sprintf("leak-%d", i)
			place := contract.ProviderSettings{BackingProviderName: "AWS", RegionName: "US_EAST_1"}
			if i%100 == 50 {
				control(t, sim, "revoke-tokens", nil)
			}
			var request contract.Request = contract.ProvisionFlexClusterInput{
				GroupID: project, Name: name, ProviderSettings: place,
			}
			if i%5 == 0 {
				control(t, sim, "shared", map[string]any{"groupId": project, "name": name})
				request = contract.UpgradeToServerlessInput{GroupID: project, Name: name, ProviderSettings: place}
			}
			run, err := runs.Start(ctx, request)
			if !assert.NoError(t, err) {
				return
			}
			cluster, err := runs.Result(ctx, run.WorkflowID, run.RunID)
			assert.NoError(t, err)
			assert.Equal(t, "IDLE", cluster.StateName)
		})
	}
	wg.Wait()
	require.False(t, t.Failed())
}

func control(t *testing.T, sim, path string, body any) {
	assert.NoError(t, atlassim.Control(t.Context(), sim, http.MethodPost, path, body, nil))
	http.DefaultClient.CloseIdleConnections()
}

// usage is what the process uses.
type usage struct {
	heap        uint64         // reachable bytes
	connections int            // HTTP connections
	goroutines  int            // without those of connections and pollers
	creators    map[string]int // the same goroutines by the function that created them
}

// measure returns the usage once it is settled, or after five seconds.
func measure(settled func(usage) bool) (u usage) {
	for range 100 {
		runtime.GC() // twice: the second frees what a finalizer or a pool released in the first
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		u = usage{heap: m.HeapAlloc, creators: creators()}
		const ofConnections = "net/http.(*Transport).dialConn"
		u.connections = u.creators[ofConnections] / 2 // a reader and a writer each
		delete(u.creators, ofConnections)
		// The SDK starts and ends pollers as there is work.
		delete(u.creators, "go.temporal.io/sdk/internal.(*baseWorker).runAutoscalingPoller")
		delete(u.creators, "go.temporal.io/sdk/internal.(*basePoller).doPoll")
		for _, n := range u.creators {
			u.goroutines += n
		}
		if settled(u) {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	return u
}

// creators counts the goroutines by the function that created them.
func creators() map[string]int {
	buf := make([]byte, 8<<20)
	buf = buf[:runtime.Stack(buf, true)]
	out := map[string]int{}
	for _, m := range regexp.MustCompile(`(?m)^created by (\S+)`).FindAllSubmatch(buf, -1) {
		out[string(m[1])]++
	}
	return out
}
