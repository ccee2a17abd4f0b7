package workflows_test

import (
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	sdkpb "go.temporal.io/api/sdk/v1"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
)

const leasedID = "6a1b2c3d4e5f6a1b2c3d4e5f"

func leaseRequest(seconds int) contract.LeaseFlexClusterInput {
	return contract.LeaseFlexClusterInput{
		GroupID: "32b6e34b3d91647abb20e7b8", Name: "orders", LeaseSeconds: seconds,
		ProviderSettings: contract.ProviderSettings{BackingProviderName: "AWS", RegionName: "US_EAST_1"},
	}
}

// leaseEnvironment is one in which the cluster is IDLE at once, the watch finds it there, and each delete takes a
// minute and ends as deleted says.
func leaseEnvironment(t *testing.T, deleted func(n int) error) *testsuite.TestWorkflowEnvironment {
	env := environment(t)
	env.OnWorkflow(contract.ProvisionFlexCluster, mock.Anything, mock.Anything).Return(
		func(workflow.Context, converter.RawValue) (*contract.Cluster, error) {
			return &contract.Cluster{ID: leasedID, Name: "orders", StateName: "IDLE", Outcome: contract.Created}, nil
		}).Maybe()
	deletes := 0
	env.OnWorkflow(contract.DeleteCluster, mock.Anything, mock.Anything).Return(
		func(ctx workflow.Context, _ converter.RawValue) (*contract.Cluster, error) {
			deletes++
			if err := workflow.Sleep(ctx, time.Minute); err != nil {
				return nil, err
			}
			gone := contract.Cluster{ID: leasedID, StateName: contract.StateDeleted, Outcome: contract.Deleted}
			return &gone, deleted(deletes)
		}).Maybe()
	env.OnActivity(contract.WatchLeaseActivity, mock.Anything, mock.Anything).Return("", still()).Maybe()
	return env
}

func always(int) error { return nil }

func still() error {
	return temporal.NewApplicationErrorWithOptions("it is there", contract.NotYet, temporal.ApplicationErrorOptions{
		NextRetryDelay: 30 * time.Minute, Category: temporal.ApplicationErrorCategoryBenign,
	})
}

// A lease of 30 days ends after 30 days.
func TestLeaseTime(t *testing.T) {
	t.Parallel()
	env := leaseEnvironment(t, always)
	began := env.Now()
	env.ExecuteWorkflow(contract.LeaseFlexCluster, leaseRequest(contract.MaxLeaseSeconds))
	require.NoError(t, env.GetWorkflowError())
	var result contract.LeaseResult
	require.NoError(t, env.GetWorkflowResult(&result))
	require.Equal(t, contract.Released, result.Outcome)
	require.Equal(t, "DELETED", result.Cluster.StateName)
	require.Equal(t, leasedID, result.Cluster.ID)
	require.WithinDuration(t, began, result.LeasedAt, time.Second)
	require.Equal(t, contract.MaxLease+time.Minute, result.ReleasedAt.Sub(result.LeasedAt))
}

// A delete that fails for days is tried until it succeeds, once an hour at last.
func TestLeaseDeletesUntilItSucceeds(t *testing.T) {
	t.Parallel()
	const failures = 100
	env := leaseEnvironment(t, func(n int) error {
		if n > failures {
			return nil
		}
		return temporal.NewNonRetryableApplicationError("Atlas answered 503", "HTTP_503", nil)
	})
	env.ExecuteWorkflow(contract.LeaseFlexCluster, leaseRequest(60))
	require.NoError(t, env.GetWorkflowError())
	var result contract.LeaseResult
	require.NoError(t, env.GetWorkflowResult(&result))
	took := result.ReleasedAt.Sub(result.LeasedAt)
	require.Greater(t, took, 3*24*time.Hour)
	require.Less(t, took, failures*(time.Hour+time.Minute))
}

// leaseRuns runs a lease through all its runs: each that continues as new hands its arguments to the next. prepare is
// called with the environment of each run before it begins.
func leaseRuns(
	t *testing.T, seconds int, make func() *testsuite.TestWorkflowEnvironment,
	prepare func(run int, env *testsuite.TestWorkflowEnvironment),
) (result contract.LeaseResult, runs int, err error) {
	t.Helper()
	now := time.Date(2026, 11, 25, 20, 0, 0, 0, time.UTC)
	args := []any{leaseRequest(seconds)}
	for {
		env := make()
		env.SetStartTime(now)
		prepare(runs, env)
		runs++
		env.ExecuteWorkflow(contract.LeaseFlexCluster, args...)
		now = env.Now()
		var goesOn *workflow.ContinueAsNewError
		if !errors.As(env.GetWorkflowError(), &goesOn) {
			if env.GetWorkflowError() == nil {
				require.NoError(t, env.GetWorkflowResult(&result))
			}
			return result, runs, env.GetWorkflowError()
		}
		require.Equal(t, contract.LeaseFlexCluster, goesOn.WorkflowType.Name)
		args = nil
		for _, payload := range goesOn.Input.GetPayloads() {
			args = append(args, converter.NewRawValue(payload))
		}
		require.Len(t, args, 2)
		require.Less(t, runs, 100)
	}
}

// A lease that is extended 500 times ends at the time to which it was moved, 30 days later and more. Its history stays
// short, and no extension is lost.
func TestLeaseExtended500Times(t *testing.T) {
	t.Parallel()
	const (
		extensions = 500
		by         = time.Hour
		// An extension adds so many events.
		events = 6
	)
	sent, taken := 0, 0
	result, runs, err := leaseRuns(t, 12*86400, func() *testsuite.TestWorkflowEnvironment {
		return leaseEnvironment(t, always)
	}, func(_ int, env *testsuite.TestWorkflowEnvironment) {
		length := 50
		var extend func()
		extend = func() {
			if sent == extensions {
				return
			}
			sent++
			env.UpdateWorkflow(contract.ExtendUpdate, rand.Text(), &testsuite.TestUpdateCallback{
				OnAccept: func() {
					taken++
					length += events
					env.SetCurrentHistoryLength(length)
				},
				OnReject: func(err error) { require.NoError(t, err) },
				// The test environment does not answer an update any more after which the run continues as new. Package
				// integration sees the answers.
				OnComplete: func(_ any, err error) { require.NoError(t, err) },
			}, contract.ExtendInput{Seconds: int(by / time.Second)})
			env.RegisterDelayedCallback(extend, time.Hour)
		}
		env.RegisterDelayedCallback(extend, time.Hour)
	})
	require.NoError(t, err)
	require.Equal(t, extensions, taken)
	require.Equal(t, extensions/((500-50+events-1)/events)+1, runs)
	want := 12*24*time.Hour + extensions*by
	require.Greater(t, want, 30*24*time.Hour)
	require.Equal(t, want+time.Minute, result.ReleasedAt.Sub(result.LeasedAt).Round(time.Second))
}

// A lease whose deletes fail for weeks continues as new, and goes on to delete.
func TestLeaseThatDeletesForWeeks(t *testing.T) {
	t.Parallel()
	total := 0
	result, runs, err := leaseRuns(t, 60, func() *testsuite.TestWorkflowEnvironment {
		return leaseEnvironment(t, func(int) error {
			if total++; total > 600 {
				return nil
			}
			return temporal.NewNonRetryableApplicationError("Atlas answered 503", "HTTP_503", nil)
		})
	}, func(_ int, env *testsuite.TestWorkflowEnvironment) {
		env.RegisterDelayedCallback(func() { env.SetCurrentHistoryLength(500) }, 7*24*time.Hour)
	})
	require.NoError(t, err)
	require.Equal(t, 4, runs)
	require.Greater(t, result.ReleasedAt.Sub(result.LeasedAt), 25*24*time.Hour)
	require.Equal(t, leasedID, result.Cluster.ID)
}

// The details of a run say why a delete failed, and when the next one begins. A lease that is cancelled goes on to
// delete, and ends as cancelled.
func TestLeaseCanceledWhileDeletesFail(t *testing.T) {
	t.Parallel()
	env := leaseEnvironment(t, func(n int) error {
		if n > 5 {
			return nil
		}
		return temporal.NewNonRetryableApplicationError("it is not this workflow's", "CLUSTER_CONFLICT", nil)
	})
	env.RegisterDelayedCallback(env.CancelWorkflow, time.Hour)
	looked := false
	env.RegisterDelayedCallback(func() {
		looked = true
		value, err := env.QueryWorkflow("__temporal_workflow_metadata")
		require.NoError(t, err)
		var metadata sdkpb.WorkflowMetadata
		require.NoError(t, value.Get(&metadata))
		require.Regexp(t, `^Cluster "orders" with the id `+leasedID+` is still to be deleted\. Delete number 1 `+
			`failed with CLUSTER_CONFLICT: it is not this workflow's\. The next one begins at .*, and they go on `+
			`until one succeeds\.$`, metadata.GetCurrentDetails())
		value, err = env.QueryWorkflow(contract.StatusQuery)
		require.NoError(t, err)
		var status contract.Status
		require.NoError(t, value.Get(&status))
		require.Equal(t, contract.PhaseReleasing, status.Phase)
		require.Equal(t, "DELETING", status.StateName)
		require.True(t, status.Deadline.IsZero())
	}, time.Hour+90*time.Second)
	env.RegisterDelayedCallback(env.CancelWorkflow, time.Hour+5*time.Minute) // once more
	env.ExecuteWorkflow(contract.LeaseFlexCluster, leaseRequest(86400))
	var canceled *temporal.CanceledError
	require.ErrorAs(t, env.GetWorkflowError(), &canceled)
	require.True(t, looked)
	env.AssertWorkflowNumberOfCalls(t, contract.DeleteCluster, 6)
}
