package contract_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
)

func TestLeaseSeconds(t *testing.T) {
	t.Parallel()
	for seconds, valid := range map[int]bool{
		60: true, 28800: true, 2592000: true, 59: false, 0: false, -1: false, 2592001: false,
	} {
		in := lease()
		in.LeaseSeconds = seconds
		err := contract.Validate(in, "id")
		require.Equal(t, valid, err == nil, "%d: %v", seconds, err)
	}
	in := lease()
	in.LeaseSeconds = 59
	require.EqualError(t, contract.Validate(in, "id"), invalid("leaseSeconds must be from 60 to 2592000, got 59"))
	require.Equal(t, time.Hour, lease().LeaseFor())
}

// The input of a lease is that of a provision, and for how long. All of that is handed to the provision.
func TestLeaseProvision(t *testing.T) {
	t.Parallel()
	in := lease()
	in.Tags, in.TerminationProtectionEnabled, in.TimeoutSeconds = team, true, ptr(60)
	in.OwnershipTag, in.Adopt, in.IfDifferent = ptr(false), true, contract.UpdateIfDifferent
	provision := reflect.ValueOf(in.Provision())
	for i := range provision.NumField() {
		name := provision.Type().Field(i).Name
		require.False(t, provision.Field(i).IsZero(), name)
		require.Equal(t, reflect.ValueOf(in).FieldByName(name).Interface(), provision.Field(i).Interface(), name)
	}
	require.Equal(t, provision.NumField()+1, reflect.TypeOf(in).NumField())

	longer := in
	longer.LeaseSeconds++
	require.Equal(t, []contract.Difference{{Field: "leaseSeconds", Requested: `"3601"`, Existing: `"3600"`}},
		contract.Differences(longer.Fields(), in.Fields()))
}

// The delete of a lease is bound to the Atlas id. It takes a cluster without the ownership tag only where the lease did
// without.
func TestLeaseDelete(t *testing.T) {
	t.Parallel()
	const id = "6a1b2c3d4e5f6a1b2c3d4e5f"
	want := contract.DeleteClusterInput{GroupID: group, Name: "orders", ID: id, RemoveTerminationProtection: true}
	require.Equal(t, want, lease().Delete(id))
	in := lease()
	in.OwnershipTag, want.Adopt = ptr(false), true
	require.Equal(t, want, in.Delete(id))
}

// The workflow id of a lease may be any but that of its cluster: a Schedule adds a time to it.
func TestLeaseWorkflowID(t *testing.T) {
	t.Parallel()
	require.EqualError(t, contract.Validate(lease(), contract.ClusterWorkflowID(group, "orders")), invalid(
		`workflowId must not be "atlas-cluster-`+group+`-orders", under which the lease has its cluster made and `+
			`deleted: use "atlas-lease-`+group+`-orders"`))
	require.NoError(t, contract.Validate(lease(), "nightly-2026-11-25T11:00:00Z"))
	require.NoError(t, contract.Validate(lease(), text(1000)))
}
