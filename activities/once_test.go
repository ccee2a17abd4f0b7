package activities

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/worker"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
)

// A cancellation does not abort a request whose effect would then be unknown.
func TestCancelledCreateTakesItsCourse(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	sim, a, env := setup(t, atlassim.Config{Hook: func(stage atlassim.Stage, _ atlassim.Entry) {
		if stage == atlassim.Arrived {
			cancel()
		}
	}}, Pace{})
	// The answer comes long after the cancellation.
	sim.AddFault(atlassim.Fault{Kind: atlassim.FaultHang, Hang: atlassim.Duration(300 * time.Millisecond), AfterEffect: true})
	env.SetWorkerOptions(worker.Options{BackgroundActivityContext: ctx})
	value, err := env.ExecuteActivity(a.CreateFlexCluster, CreateInput{
		Request: contract.ProvisionFlexClusterInput{GroupID: group, Name: "orders",
			ProviderSettings: contract.ProviderSettings{BackingProviderName: "AWS", RegionName: "US_EAST_1"}},
	})
	require.NoError(t, err)
	var c contract.Cluster
	require.NoError(t, value.Get(&c))
	require.Equal(t, contract.Created, c.Outcome)
	require.Len(t, sim.Ledger(), 1)
}

// That an upgrade was asked for is on record with Temporal before the request
// goes: a worker killed at that moment leaves the next one the knowledge.
func TestUpgradeIsOnRecordBeforeItGoes(t *testing.T) {
	t.Parallel()
	var recorded, known atomic.Bool
	sim, a, env := setup(t, atlassim.Config{
		Shared: []atlassim.SharedCluster{{GroupID: group, Name: "legacy"}},
		Hook: func(stage atlassim.Stage, e atlassim.Entry) {
			if stage == atlassim.Arrived && e.Method == http.MethodPost {
				known.Store(recorded.Load())
			}
		},
	}, Pace{})
	env.SetOnActivityHeartbeatListener(func(_ *activity.Info, details converter.EncodedValues) {
		var progress upgradeProgress
		if details.Get(&progress) == nil && !progress.SentAt.IsZero() {
			recorded.Store(true)
		}
	})
	_, err := env.ExecuteActivity(a.UpgradeClusterToServerless, UpgradeInput{
		Request: contract.UpgradeToServerlessInput{GroupID: group, Name: "legacy",
			ProviderSettings: contract.ProviderSettings{BackingProviderName: "AWS", RegionName: "US_EAST_1"}},
	})
	require.NoError(t, err)
	require.Equal(t, 1, sim.Count(atlassim.Upgraded))
	require.True(t, known.Load(), "the heartbeat came before the request")
}
