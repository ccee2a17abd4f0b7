package contract_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
)

// A row lacks nothing, and no two rows can be mistaken for one another.
func TestOperations(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, o := range contract.Operations() {
		require.NotZero(t, o.DefaultTimeout, o.WorkflowType)
		require.NotEmpty(t, o.Verb, o.WorkflowType)
		require.NotEmpty(t, o.Phase, o.WorkflowType)
		require.True(t, strings.HasPrefix(o.IDPrefix, "atlas-"), o.WorkflowType)
		names := []string{"type " + o.WorkflowType, "command " + o.Command}
		if o.WorkflowType != contract.LeaseFlexCluster { // it has others ask Atlas
			names = append(names, "activity "+o.Activity)
		}
		for _, name := range names {
			require.False(t, seen[name], name)
			seen[name] = true
		}
		require.Equal(t, o.WorkflowType, o.Input.Operation().WorkflowType)
		require.Equal(t, o.DefaultTimeout, o.Input.Timeout())
		found, ok := contract.OperationOf(o.WorkflowType)
		require.True(t, ok)
		require.Equal(t, o.Command, found.Command)
		found, ok = contract.OperationOfActivity(o.Activity)
		require.Equal(t, o.Activity != "", ok)
		require.True(t, !ok || found.Command == o.Command)
	}
	_, ok := contract.OperationOf("Somebody'sWorkflow")
	require.False(t, ok)
	for _, activity := range []string{
		contract.WaitUntilIdleActivity, contract.WaitUntilAsAskedActivity, contract.FindClusterActivity,
		contract.WatchLeaseActivity, contract.FindLeftoverActivity, contract.AwaitClusterRunActivity,
	} {
		_, ok = contract.OperationOfActivity(activity)
		require.False(t, ok, activity)
	}
	require.Len(t, requests(), len(contract.Operations()), "the tests have an input of each operation")
}

// A row reads the input of its workflow as the workflow itself does.
func TestOperationParses(t *testing.T) {
	t.Parallel()
	for _, want := range requests() {
		got, err := want.Operation().Parse(marshal(t, want), "id")
		require.NoError(t, err)
		require.Equal(t, want, got)
		_, err = want.Operation().Parse([]byte(`{"nane":1}`), "id")
		require.IsType(t, &contract.InputError{}, err)
	}
}

// A request names its cluster, its time limit and what it asks for.
func TestRequests(t *testing.T) {
	t.Parallel()
	summaries := map[string]string{
		contract.ProvisionFlexCluster: "Provision Flex cluster orders in AWS US_EAST_1",
		contract.UpdateFlexCluster:    "Update Flex cluster orders",
		contract.DeleteCluster:        "Delete cluster orders",
		contract.UpgradeToFlex:        "Upgrade cluster orders to Flex",
		contract.UpgradeToDedicated:   "Upgrade cluster orders to dedicated M10",
		contract.UpgradeToServerless:  "Upgrade cluster orders to serverless",
		contract.LeaseFlexCluster:     "Lease Flex cluster orders in AWS US_EAST_1 for 1h0m0s",
	}
	for _, r := range requests() {
		o := r.Operation()
		require.Equal(t, contract.ClusterRef{GroupID: group, Name: "orders"}, r.Cluster(), o.WorkflowType)
		require.Equal(t, summaries[o.WorkflowType], r.Summary())
		require.Equal(t, o.DefaultTimeout, r.Timeout(), o.WorkflowType)
		limited, err := o.Parse(append([]byte(`{"timeoutSeconds":1,`), marshal(t, r)[1:]...), "id")
		require.NoError(t, err)
		require.Equal(t, time.Second, limited.Timeout(), o.WorkflowType)
		require.Empty(t, contract.Differences(r.Fields(), limited.Fields()), "the time limit makes no other request")
	}
}

func TestClusterOfWorkflowID(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]contract.ClusterRef{
		"atlas-cluster-" + group + "-orders":   {GroupID: group, Name: "orders"},
		"atlas-cluster-" + group + "-orders-2": {GroupID: group, Name: "orders-2"},
		"atlas-lease-" + group + "-orders":     {GroupID: group, Name: "orders"},
		"atlas-cluster-" + group + "-":         {},
		// A Schedule adds a time.
		"atlas-lease-" + group + "-orders-2026-11-25T22:00:00Z": {GroupID: group, Name: "orders"},
		"atlas-lease-" + group + "-a_b":                         {},
		"atlas-cluster-" + group:                                {},
		"atlas-cluster-orders-orders":                           {},
		"provision-flex-" + group + "-orders":                   {},
		"":                                                      {},
	} {
		got, ok := contract.ClusterOfWorkflowID(id)
		require.Equal(t, want, got, id)
		require.Equal(t, want != contract.ClusterRef{}, ok, id)
	}
}

// The runs of a Schedule own what a run under the id without the time owns.
func TestOwnerOfARun(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]string{
		"atlas-cluster-" + group + "-orders":                      "atlas-cluster-" + group + "-orders",
		"atlas-cluster-" + group + "-orders-2026-11-25T22:00:00Z": "atlas-cluster-" + group + "-orders",
		"orders-2026-11-25T22:00:00Z-a":                           "orders-2026-11-25T22:00:00Z-a",
		"2026-11-25T22:00:00Z":                                    "2026-11-25T22:00:00Z",
		"":                                                        "",
	} {
		require.Equal(t, want, contract.Owner(id))
	}
}
