package workflows_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv"
	"github.com/atlas-provisioner/atlas-provisioner/workflows"
)

// outcomes are those that a recorded history stands for; see the flag -record
// of package integration.
var outcomes = []string{
	"check-worker",
	"delete-canceled",
	"delete-conflict",
	"delete-deleted",
	"delete-protected",
	"delete-timeout",
	"delete-unchanged",
	"invalid-input-DeleteCluster",
	"invalid-input-LeaseFlexCluster",
	"invalid-input-ProvisionFlexCluster",
	"invalid-input-UpgradeToDedicated",
	"invalid-input-UpgradeToFlex",
	"invalid-input-UpdateFlexCluster",
	"invalid-input-UpgradeToServerless",
	"lease-canceled-while-deleting",
	"lease-canceled-while-leased",
	"lease-canceled-while-provisioning",
	"lease-conflict",
	"lease-continued",
	"lease-gone",
	"lease-joined",
	"lease-released",
	"lease-timeout",
	"provision-adopted",
	"provision-canceled-while-asking",
	"provision-canceled-while-waiting",
	"provision-conflict",
	"provision-created",
	"provision-extended",
	"provision-given-up",
	"provision-gone",
	"provision-idle-without-standard",
	"provision-refused",
	"provision-timeout",
	"provision-timeout-while-asking",
	"provision-unchanged",
	"provision-updated",
	"provision-without-search-attributes",
	"to-dedicated-canceled-while-asking",
	"to-dedicated-canceled-while-waiting",
	"to-dedicated-conflict",
	"to-dedicated-gone",
	"to-dedicated-refused",
	"to-dedicated-timeout",
	"to-dedicated-unchanged",
	"to-dedicated-upgraded",
	"to-flex-canceled-while-asking",
	"to-flex-canceled-while-waiting",
	"to-flex-conflict",
	"to-flex-gone",
	"to-flex-refused",
	"to-flex-timeout",
	"to-flex-unchanged",
	"to-flex-upgraded",
	"update-canceled",
	"update-conflict",
	"update-gone",
	"update-timeout",
	"update-unchanged",
	"update-updated",
	"upgrade-canceled",
	"upgrade-conflict",
	"upgrade-gone",
	"upgrade-retired",
	"upgrade-timeout",
	"upgrade-unchanged",
	"upgrade-upgraded",
}

// Every recorded history replays, whatever the worker knows of its server's
// search attributes. A change that breaks one needs workflow.GetVersion.
func TestReplay(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.json")
	require.NoError(t, err)
	var recorded []string
	for _, file := range files {
		recorded = append(recorded, strings.TrimSuffix(filepath.Base(file), ".json"))
	}
	require.ElementsMatch(t, outcomes, recorded)
	for _, name := range outcomes {
		for _, names := range [][]string{nil, {contract.SearchAttributeProjectID}} {
			flows := &workflows.Workflows{SearchAttributes: func() []string { return names }}
			require.NoError(t, replay(name, flows.Register), name)
		}
	}
}

// The replay notices a change: a workflow that asks nobody does not replay.
func TestReplayNoticesAChange(t *testing.T) {
	t.Parallel()
	idle := func(workflow.Context, converter.RawValue) (*contract.Cluster, error) { return &contract.Cluster{}, nil }
	for _, name := range []string{"provision-created", "upgrade-upgraded"} {
		err := replay(name, func(registry worker.WorkflowRegistry) {
			for _, operation := range contract.Operations() {
				registry.RegisterWorkflowWithOptions(idle, workflow.RegisterOptions{Name: operation.WorkflowType})
			}
		})
		require.ErrorContains(t, err, "TMPRL1100", name) // the SDK's code for nondeterminism
	}
}

// replay replays a recorded history under the id that its workflow had: what a run makes of a cluster depends on it.
func replay(name string, register func(worker.WorkflowRegistry)) error {
	file, err := os.Open(filepath.Join("testdata", name+".json"))
	if err != nil {
		return err
	}
	defer file.Close()
	history, err := client.HistoryFromJSON(file, client.HistoryJSONOptions{})
	if err != nil {
		return err
	}
	replayer := worker.NewWorkflowReplayer()
	register(replayer)
	started := history.GetEvents()[0].GetWorkflowExecutionStartedEventAttributes()
	return replayer.ReplayWorkflowHistoryWithOptions(quiet(), history, worker.ReplayWorkflowHistoryOptions{
		OriginalExecution: workflow.Execution{ID: started.GetWorkflowId(), RunID: started.GetOriginalExecutionRunId()},
	})
}

func quiet() log.Logger { return testenv.Quiet() }
