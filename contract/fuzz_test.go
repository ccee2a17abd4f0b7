package contract_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
)

func marshal(t testing.TB, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	require.NoError(t, err)
	return data
}

func seeds(f *testing.F, add func(input string)) {
	f.Helper()
	full := flex()
	full.Tags, full.TimeoutSeconds, full.OwnershipTag = team, ptr(60), ptr(false)
	up := serverless()
	up.ServerlessBackupOptions = &contract.ServerlessBackupOptions{ServerlessContinuousBackupEnabled: ptr(true)}
	for _, v := range []any{flex(), full, up, nil, []int{}, "x", 7} {
		add(string(marshal(f, v)))
	}
	for _, s := range []string{
		"", "{", "\xff", `{"a\nb":1}`, `{"":{"":[]}}`, `{"tags":{}}`,
		`{"name":7,"tags":[5,null,{"key":[]}],"timeoutSeconds":1e999}`,
		`{"providerSettings":{"x":{},"regionName":1}}`, `{"NAME":"a","name":"b"}`, `{"name":"\ud800\n"}`,
		strings.Repeat(`{"a":`, 10001),
	} {
		add(s)
	}
}

func FuzzParseProvisionFlexCluster(f *testing.F) {
	seeds(f, func(input string) { f.Add([]byte(input), "atlas-cluster-1") })
	f.Add(marshal(f, flex()), text(256))
	f.Fuzz(func(t *testing.T, data []byte, workflowID string) {
		in, err := contract.Parse[contract.ProvisionFlexClusterInput](data, workflowID)
		if err == nil {
			require.NoError(t, contract.Validate(in, workflowID))
			again, err := contract.Parse[contract.ProvisionFlexClusterInput](marshal(t, in), workflowID)
			require.NoError(t, err)
			require.Empty(t, contract.Differences(in.Fields(), again.Fields()))
		}
		fuzzed(t, data, &in, err)
	})
}

func FuzzParseUpgradeToServerless(f *testing.F) {
	seeds(f, func(input string) { f.Add([]byte(input)) })
	f.Fuzz(func(t *testing.T, data []byte) { fuzzParse[contract.UpgradeToServerlessInput](t, data) })
}

// FuzzParseChanges reads each input as one of every operation that changes or deletes a cluster.
func FuzzParseChanges(f *testing.F) {
	seeds(f, func(input string) { f.Add([]byte(input)) })
	for _, r := range requests() {
		f.Add(marshal(f, r))
	}
	for _, fields := range []string{
		`"tags":[]`, `"tags":null,"terminationProtectionEnabled":false`, `"id":"` + group + `","adopt":true`,
		`"providerSettings":{"instanceSizeName":"M10"}`, `"removeTerminationProtection":"yes"`, `"leaseSeconds":60`,
	} {
		f.Add([]byte(`{"groupId":"` + group + `","name":"orders",` + fields + `}`))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		fuzzParse[contract.UpdateFlexClusterInput](t, data)
		fuzzParse[contract.DeleteClusterInput](t, data)
		fuzzParse[contract.UpgradeToFlexInput](t, data)
		fuzzParse[contract.UpgradeToDedicatedInput](t, data)
		fuzzParse[contract.LeaseFlexClusterInput](t, data)
	})
}

// fuzzParse reads an input; one that is taken is the same once it was sent.
func fuzzParse[R contract.Request](t *testing.T, data []byte) {
	in, err := contract.Parse[R](data, "id")
	if err == nil {
		require.NoError(t, contract.Validate(in, "id"))
		again, err := contract.Parse[R](marshal(t, in), "id")
		require.NoError(t, err)
		require.Empty(t, contract.Differences(in.Fields(), again.Fields()))
	}
	fuzzed(t, data, &in, err)
}

// fuzzed checks what holds for all: an input that is taken reads as encoding/json reads it; one that is not says why,
// in one line.
func fuzzed[T any](t *testing.T, data []byte, in *T, err error) {
	if err == nil {
		var once any // a field that is there twice is taken once: the last
		d := json.NewDecoder(bytes.NewReader(data))
		d.UseNumber()
		require.NoError(t, d.Decode(&once))
		var same T
		require.NoError(t, json.Unmarshal(marshal(t, once), &same))
		require.Equal(t, same, *in)
		return
	}
	var input *contract.InputError
	require.ErrorAs(t, err, &input)
	require.NotEmpty(t, input.Violations)
	for _, v := range input.Violations {
		require.NotEmpty(t, v.Field)
		require.NotEmpty(t, v.Problem)
	}
	require.NotContains(t, err.Error(), "\n")
	require.NotContains(t, err.Error(), "\r")
	require.True(t, strings.HasPrefix(err.Error(), "invalid input: "))
	require.True(t, strings.HasSuffix(err.Error(), next))
}
