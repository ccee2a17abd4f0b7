package contract_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
)

func runningFlex(t *testing.T) contract.Running {
	in := flex()
	return contract.Running{
		WorkflowID: contract.WorkflowID(in), WorkflowType: contract.ProvisionFlexCluster, Input: marshal(t, in),
	}
}

// A request joins a run that was started with the same one, however it was written, and no other.
func TestJoin(t *testing.T) {
	t.Parallel()
	same := flex()
	same.TimeoutSeconds, same.OwnershipTag = ptr(60), ptr(true)
	other := flex()
	other.TerminationProtectionEnabled = true
	broken := runningFlex(t)
	broken.Input = []byte(`{"groupId": 7}`)
	foreign := runningFlex(t)
	foreign.WorkflowType = "Somebody'sWorkflow"
	for _, test := range []struct {
		name    string
		running contract.Running
		request contract.Request
		want    []contract.Difference
	}{
		{"the same request", runningFlex(t), same, nil},
		{"another request", runningFlex(t), other, []contract.Difference{
			{Field: "terminationProtectionEnabled", Requested: `"true"`, Existing: `"false"`}}},
		{"another workflow", runningFlex(t), serverless(), []contract.Difference{
			{Field: "workflowType", Requested: "UpgradeToServerless", Existing: "ProvisionFlexCluster"}}},
		{"a workflow that is none of ours", foreign, same, []contract.Difference{
			{Field: "workflowType", Requested: "ProvisionFlexCluster", Existing: "Somebody'sWorkflow"}}},
		{"a run with an invalid input", broken, same, []contract.Difference{
			{Field: "input", Requested: "a valid request", Existing: "an invalid one"}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			err := test.running.Join(test.request)
			if test.want == nil {
				require.NoError(t, err)
				return
			}
			var conflict *contract.ConflictError
			require.ErrorAs(t, err, &conflict)
			require.Equal(t, &contract.ConflictError{
				WorkflowID: test.running.WorkflowID, WorkflowType: test.running.WorkflowType, Differences: test.want,
			}, conflict)
		})
	}
}

// Where the caller does not say the workflow type, the input of another workflow alone is a conflict, and not an
// invalid input.
func TestJoinRaw(t *testing.T) {
	t.Parallel()
	running := runningFlex(t)
	require.NoError(t, running.JoinRaw("", running.Input))
	require.NoError(t, running.JoinRaw(contract.ProvisionFlexCluster, running.Input))

	up := serverless()
	up.ServerlessBackupOptions = &contract.ServerlessBackupOptions{ServerlessContinuousBackupEnabled: ptr(true)}
	for _, workflowType := range []string{"", contract.UpgradeToServerless} {
		var conflict *contract.ConflictError
		require.ErrorAs(t, running.JoinRaw(workflowType, marshal(t, up)), &conflict)
		require.Equal(t, []contract.Difference{{
			Field: "workflowType", Requested: "UpgradeToServerless", Existing: "ProvisionFlexCluster",
		}}, conflict.Differences)
	}
	for _, input := range []string{"", "7", "null", "{}", `{"nane": 1}`} {
		var invalid *contract.InputError
		require.ErrorAs(t, running.JoinRaw("", []byte(input)), &invalid)
		require.NotEmpty(t, invalid.Violations)
	}
}

// An extension is whole seconds, no more than are left.
func TestParseExtension(t *testing.T) {
	t.Parallel()
	by, err := contract.ParseExtension([]byte(`{"seconds": 3600}`), time.Hour, "because")
	require.NoError(t, err)
	require.Equal(t, time.Hour, by)
	for input, message := range map[string]string{
		`{"seconds": 3601}`:                 "seconds must be from 1 to 3600, got 3601: because",
		`{"seconds": 0}`:                    "seconds must be from 1 to 3600, got 0: because",
		`{"seconds": 9223372036854775807}`:  "seconds must be from 1 to 3600, got 9223372036854775807: because",
		`{"seconds": -9223372036854775808}`: "seconds must be from 1 to 3600, got -9223372036854775808: because",
		`{"seconds": "1"}`:                  "seconds must be a whole number, got a JSON string",
		`{"seconds": 1, "seconds": 2}`:      "seconds is given twice",
		`{"second": 1}`: "second is not a known field; seconds must be from 1 to 3600, got 0: " +
			"because",
		`[]`: "input must be one JSON object; seconds must be from 1 to 3600, got 0: because",
	} {
		_, err := contract.ParseExtension([]byte(input), time.Hour, "because")
		require.EqualError(t, err, "invalid input: "+message+". The limit was not moved", input)
	}
	_, err = contract.ParseExtension([]byte(`{"seconds": 1}`), 0, "it ends")
	require.EqualError(t, err, "invalid input: seconds cannot be given: it ends. The limit was not moved")
}

// A request that is to be started is checked with the id that it gets.
func TestParseToStart(t *testing.T) {
	t.Parallel()
	operation := flex().Operation()
	request, err := operation.ParseToStart(marshal(t, flex()))
	require.NoError(t, err)
	require.Equal(t, flex(), request)
	long := flex()
	long.Name = text(300)
	_, err = operation.ParseToStart(marshal(t, long))
	require.ErrorContains(t, err, "ownershipTag cannot hold a workflow id of more than 255 characters")
}
