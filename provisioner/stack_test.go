package provisioner_test

import (
	"context"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"go.temporal.io/sdk/client"
	"go.uber.org/zap"

	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim/atlassimtest"
	"github.com/atlas-provisioner/atlas-provisioner/internal/worker"
)

// temporalClient is a client of the dev server, whose default task queue a real worker works on from the first call on:
// for the examples, which run after the tests and one after another.
func temporalClient() client.Client {
	startStack()
	return server.Client()
}

var startStack = sync.OnceFunc(func() {
	var sim *atlassim.Server
	sim, url := atlassimtest.Start(noTest{}, atlassim.Config{
		AccessToken: "access-token-of-the-tests",
		CreateFor:   atlassim.Duration(100 * time.Millisecond), UpgradeFor: atlassim.Duration(100 * time.Millisecond),
		Hook: func(stage atlassim.Stage, e atlassim.Entry) {
			if stage == atlassim.Applied && e.Effect == atlassim.Created {
				_ = sim.SetState(group, "slow", "CREATING") // for good; an error is another cluster
			}
		},
	})
	sim.SeedShared(atlassim.SharedCluster{GroupID: group, Name: "legacy"})
	sim.SeedShared(atlassim.SharedCluster{GroupID: group, Name: "taken"})
	config, err := worker.ReadConfig([]string{
		"TEMPORAL_ADDRESS=" + server.FrontendHostPort(), "TEMPORAL_CONFIG_FILE=" + os.DevNull,
		"MONGODB_ATLAS_BASE_URL=" + url, "MONGODB_ATLAS_ACCESS_TOKEN=access-token-of-the-tests",
	})
	if err != nil {
		panic(err)
	}
	config.Pace.FastEvery = 50 * time.Millisecond
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- worker.Serve(ctx, config, zap.NewNop()) }()
	cleanups = append(cleanups, func() {
		cancel()
		if err := <-done; err != nil {
			panic(err)
		}
	})
})

// cleanups end the stack, the last first.
var cleanups []func()

// withStack are the tests and examples of the package, and the end of the stack.
type withStack struct{ *testing.M }

func (w withStack) Run() int {
	code := w.M.Run()
	for _, cleanup := range slices.Backward(cleanups) {
		cleanup()
	}
	return code
}

// noTest is a test that ends with the package's last.
type noTest struct{}

func (noTest) Helper()                   {}
func (noTest) Fatalf(s string, a ...any) { panic(s) }
func (noTest) Cleanup(f func())          { cleanups = append(cleanups, f) }
