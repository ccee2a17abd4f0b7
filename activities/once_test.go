package activities

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/worker"

	"github.com/atlas-provisioner/atlas-provisioner/atlasclient"
	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim/atlassimtest"
	"github.com/atlas-provisioner/atlas-provisioner/internal/reads"
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
	sim.AddFault(
		atlassim.Fault{Kind: atlassim.FaultHang, Hang: atlassim.Duration(300 * time.Millisecond), AfterEffect: true},
	)
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

// An upgrade is sent by an attempt that was given the intent by Temporal, and by no other: the attempt before put it on
// record. So a worker that is killed at any moment leaves the next one the knowledge.
func TestUpgradeIsOnRecordBeforeItGoes(t *testing.T) {
	t.Parallel()
	sim, url := atlassimtest.Start(t,
		atlassim.Config{Shared: []atlassim.SharedCluster{{GroupID: group, Name: "legacy"}}})
	atlas, err := atlasclient.New(atlasclient.Options{BaseURL: url})
	require.NoError(t, err)
	a := New(atlas, reads.New(atlas), Pace{})
	attempt := func(number int32, details any) (upgradeProgress, error) {
		var left upgradeProgress
		env := AttemptEnvironment(a, func(i *activity.Info) { i.Attempt = number })
		if details != nil {
			env.SetHeartbeatDetails(details)
		}
		env.SetOnActivityHeartbeatListener(func(_ *activity.Info, details converter.EncodedValues) {
			_ = details.Get(&left)
		})
		_, err := env.ExecuteActivity(a.UpgradeClusterToServerless, UpgradeToServerlessInput{
			Request: contract.UpgradeToServerlessInput{GroupID: group, Name: "legacy", ProviderSettings: place},
		})
		return left, err
	}
	left, err := attempt(1, nil)
	requireFailureType(t, err, contract.NotYet)
	require.EqualValues(t, 1, left.IntentBy)
	require.Zero(t, sim.Count(atlassim.Upgraded))

	left, err = attempt(3, upgradeProgress{IntentBy: 1}) // attempt 2 was lost: it may have sent the request
	requireFailureType(t, err, contract.NotYet)
	require.True(t, left.MayHaveSent)
	require.Zero(t, left.IntentBy)
	require.Zero(t, sim.Count(atlassim.Upgraded))

	left.Since = left.Since.Add(-DefaultPace.SettleFor) // and it had no effect
	left, err = attempt(4, left)
	requireFailureType(t, err, contract.NotYet)
	require.EqualValues(t, 4, left.IntentBy)
	require.False(t, left.MayHaveSent)
	require.Zero(t, sim.Count(atlassim.Upgraded))

	_, err = attempt(5, upgradeProgress{IntentBy: 4})
	require.NoError(t, err)
	require.Equal(t, 1, sim.Count(atlassim.Upgraded))
}
