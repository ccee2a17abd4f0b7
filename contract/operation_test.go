package contract_test

import (
	"strings"
	"testing"

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
		for _, name := range []string{"type " + o.WorkflowType, "activity " + o.Activity, "command " + o.Command} {
			require.False(t, seen[name], name)
			seen[name] = true
		}
		require.Equal(t, o.WorkflowType, o.Input.Operation().WorkflowType)
		require.Equal(t, o.DefaultTimeout, o.Input.Timeout())
		found, ok := contract.OperationOf(o.WorkflowType)
		require.True(t, ok)
		require.Equal(t, o.Command, found.Command)
		found, ok = contract.OperationOfActivity(o.Activity)
		require.True(t, ok)
		require.Equal(t, o.Command, found.Command)
	}
	_, ok := contract.OperationOf("Somebody'sWorkflow")
	require.False(t, ok)
	_, ok = contract.OperationOfActivity(contract.WaitUntilIdleActivity)
	require.False(t, ok)
}

// A row reads the input of its workflow as the workflow itself does.
func TestOperationParses(t *testing.T) {
	t.Parallel()
	for _, want := range []contract.Request{flex(), serverless()} {
		got, err := want.Operation().Parse(marshal(t, want), "id")
		require.NoError(t, err)
		require.Equal(t, want, got)
		_, err = want.Operation().Parse([]byte(`{"nane":1}`), "id")
		require.IsType(t, &contract.InputError{}, err)
	}
}

func TestClusterOfWorkflowID(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]contract.ClusterRef{
		"atlas-cluster-" + group + "-orders":   {GroupID: group, Name: "orders"},
		"atlas-cluster-" + group + "-orders-2": {GroupID: group, Name: "orders-2"},
		"atlas-cluster-" + group + "-":         {},
		"atlas-cluster-" + group:               {},
		"atlas-cluster-orders-orders":          {},
		"provision-flex-" + group + "-orders":  {},
		"":                                     {},
	} {
		got, ok := contract.ClusterOfWorkflowID(id)
		require.Equal(t, want, got, id)
		require.Equal(t, want != contract.ClusterRef{}, ok, id)
	}
}
