package provisioner_test

import (
	"sync"
	"testing"

	"go.temporal.io/sdk/client"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv/testworker"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// temporalClient is a client of a dev server on whose default task queue a worker works from the first call on. It is
// for the examples, which run after the tests and one after another.
func temporalClient() client.Client {
	startStack()
	return testenv.Shared().Client()
}

var startStack = sync.OnceFunc(func() {
	var stack *testenv.Stack
	stack = testenv.NewOn(testenv.Package, testenv.Shared(), contract.TaskQueue, atlassim.Config{
		Hook: func(stage atlassim.Stage, e atlassim.Entry) {
			if stage == atlassim.Applied && e.Effect == atlassim.Created {
				_ = stack.Sim.SetState(
					testenv.Project,
					"slow",
					"CREATING",
				) // for ever; the error is for another cluster
			}
		},
	})
	stack.Sim.SeedShared(atlassim.SharedCluster{GroupID: testenv.Project, Name: "legacy"})
	stack.Sim.SeedShared(atlassim.SharedCluster{GroupID: testenv.Project, Name: "taken"})
	testworker.Start(stack)
})
