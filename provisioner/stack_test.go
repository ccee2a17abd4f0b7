package provisioner_test

import (
	"context"
	"os"
	"sync"
	"time"

	"go.temporal.io/sdk/client"
	"go.uber.org/zap"

	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim/atlassimtest"
	"github.com/atlas-provisioner/atlas-provisioner/internal/worker"
)

// temporalClient is a client of the dev server, whose default task queue a real
// worker works on from the first call on: for the examples, which run after the
// tests and one after another. It all ends with the test binary.
func temporalClient() client.Client {
	startStack()
	return server.Client()
}

var startStack = sync.OnceFunc(func() {
	var sim *atlassim.Server
	sim, url := atlassimtest.Start(noTest{}, atlassim.Config{
		AccessToken: "access-token-of-the-tests",
		CreateFor:   100 * time.Millisecond, UpgradeFor: 100 * time.Millisecond,
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
	go func() {
		if err := worker.Serve(context.Background(), config, zap.NewNop()); err != nil {
			panic(err)
		}
	}()
})

// noTest is a test that never ends.
type noTest struct{}

func (noTest) Helper()                   {}
func (noTest) Fatalf(s string, a ...any) { panic(s) }
func (noTest) Cleanup(func())            {}
