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
	"github.com/atlas-provisioner/atlas-provisioner/internal/process"
	"github.com/atlas-provisioner/atlas-provisioner/internal/temporaltest"
	"github.com/atlas-provisioner/atlas-provisioner/internal/worker"
	"github.com/atlas-provisioner/atlas-provisioner/provisioner"
)

const (
	warmUp   = 80  // runs before the first measurement
	campaign = 200 // runs between the two
	atOnce   = 80  // of them
)

// A worker that has been through hundreds of runs, a fifth of whose requests
// went wrong, has the memory that it began with, within 20 %, no goroutine more,
// and no more connections than there were runs at the same moment.
//
// The simulator, whose ledger grows, is a process of its own. Temporal's sticky
// cache keeps runs that are under way; both measurements are taken when there
// are none, and its size is left at the default of 10000, so that a run that
// stayed in it would count. This test runs beside no other.
func TestNothingLeaks(t *testing.T) {
	sim := startSimulator(t)
	temporal := server.Client()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- worker.Serve(ctx, worker.Config{
			Temporal:  client.Options{HostPort: server.FrontendHostPort(), Namespace: "default"},
			TaskQueue: t.Name(), BaseURL: sim, Pace: quick, RequestTimeout: time.Second,
			Auth: atlasclient.ServiceAccount{ClientID: "mdb_sa_id_1", ClientSecret: "leak-secret"},
		}, zap.NewNop())
	}()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
	runs := provisioner.New(temporal, provisioner.Options{TaskQueue: t.Name()})

	runMany(t, runs, sim, 0, warmUp)
	before := measure(func(usage) bool { return true })
	runMany(t, runs, sim, warmUp, campaign)
	after := measure(func(u usage) bool { return u.goroutines <= before.goroutines && u.heap <= before.heap*12/10 })
	t.Logf("after %d runs %d bytes, %d goroutines, %d connections; after %d more %d bytes, %d goroutines, %d connections", warmUp,
		before.heap, before.goroutines, before.connections, campaign, after.heap, after.goroutines, after.connections)
	require.LessOrEqual(t, after.goroutines, before.goroutines, "goroutines:\n%v\nbefore:\n%v", after.creators, before.creators)
	require.LessOrEqual(t, after.heap, before.heap*12/10, "live heap in bytes")
	require.LessOrEqual(t, after.connections, atOnce, "connections")
}

// startSimulator starts the real atlas-sim: a fifth of its answers are faults.
func startSimulator(t *testing.T) (url string) {
	t.Helper()
	bin, config := filepath.Join(t.TempDir(), "atlas-sim"), filepath.Join(t.TempDir(), "config.json")
	out, err := exec.Command("go", "build", "-o", bin, "../../cmd/atlas-sim").CombinedOutput()
	require.NoError(t, err, string(out))
	var faults []atlassim.Fault
	for i, f := range []atlassim.Fault{
		{Kind: atlassim.FaultHTML, Status: 502}, {Kind: atlassim.FaultStatus, Status: 429, ErrorCode: "RATE_LIMITED", RetryAfter: "0"},
		{Kind: atlassim.FaultReset}, {Kind: atlassim.FaultLost}, {Kind: atlassim.FaultTruncate}, {Kind: atlassim.FaultGarbage},
		{Kind: atlassim.FaultOversize}, {Kind: atlassim.FaultHang, Hang: atlassim.Duration(time.Minute)},
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
	var stdout, stderr temporaltest.Buffer
	cmd := exec.Command(bin, "-addr", "127.0.0.1:0", "-config", config, "-quiet")
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	p, err := process.Start(cmd)
	require.NoError(t, err)
	t.Cleanup(func() { p.Stop(time.Second) })
	listening := regexp.MustCompile(`listening on (http://\S+)\n`)
	require.Eventually(t, func() bool { return listening.MatchString(stdout.String()) }, patience, 10*time.Millisecond, stderr.String())
	return listening.FindStringSubmatch(stdout.String())[1]
}

// runMany makes runs, every fifth an upgrade, some at a time; tokens are revoked
// now and then, but never twice during one request, which would be a final 401.
// A 429 makes all of a project wait, so there are as many projects as runs at once.
func runMany(t *testing.T, runs *provisioner.Client, sim string, first, n int) {
	t.Helper()
	places := make(chan struct{}, atOnce)
	var wg sync.WaitGroup
	for i := first; i < first+n; i++ {
		places <- struct{}{}
		wg.Go(func() {
			defer func() { <-places }()
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			project, name := fmt.Sprintf("%024x", i%atOnce), fmt.Sprintf("leak-%d", i)
			place := contract.ProviderSettings{BackingProviderName: "AWS", RegionName: "US_EAST_1"}
			if i%100 == 50 {
				control(t, sim, "revoke-tokens", nil)
			}
			var run provisioner.Run
			var err error
			if i%5 == 0 {
				control(t, sim, "shared", map[string]any{"groupId": project, "name": name})
				run, err = runs.Start(ctx, contract.UpgradeToServerlessInput{GroupID: project, Name: name, ProviderSettings: place})
			} else {
				run, err = runs.Start(ctx, contract.ProvisionFlexClusterInput{GroupID: project, Name: name, ProviderSettings: place})
			}
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

// usage is what the process holds on to.
type usage struct {
	heap        uint64 // bytes that are reachable
	connections int    // over HTTP
	// goroutines, those of connections and pollers aside, and by what created them.
	goroutines int
	creators   map[string]int
}

// measure takes the usage once what is ending has ended: when it is settled, or
// at last after some seconds.
func measure(settled func(usage) bool) (u usage) {
	for range 100 {
		runtime.GC() // twice: what a finalizer or a pool lets go goes in the second
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		u = usage{heap: m.HeapAlloc, creators: creators()}
		const dialed = "net/http.(*Transport).dialConn"
		u.connections = u.creators[dialed] / 2 // one reads, one writes
		delete(u.creators, dialed)
		// The SDK has as many pollers as there is work for, within bounds.
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
