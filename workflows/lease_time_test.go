package workflows_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/atlas-provisioner/atlas-provisioner/activities"
	"github.com/atlas-provisioner/atlas-provisioner/contract"
)

const leasedID = "6a1b2c3d4e5f6a1b2c3d4e5f"

func leaseRequest(seconds int) contract.LeaseFlexClusterInput {
	return contract.LeaseFlexClusterInput{
		GroupID: "32b6e34b3d91647abb20e7b8", Name: "orders", LeaseSeconds: seconds,
		ProviderSettings: contract.ProviderSettings{BackingProviderName: "AWS", RegionName: "US_EAST_1"},
	}
}

// leaseEnvironment is one in which the cluster is IDLE at once, the watch finds it there, and each delete takes a minute
// and ends as deleted says.
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
			return &contract.Cluster{ID: leasedID, StateName: contract.StateDeleted, Outcome: contract.Deleted}, deleted(deletes)
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

var _ = fmt.Sprint
var _ = activities.WatchInput{}
