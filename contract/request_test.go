package contract_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
)

func TestDefaults(t *testing.T) {
	t.Parallel()
	in, up := flex(), serverless()
	require.Equal(t, 30*time.Minute, in.Timeout())
	require.Equal(t, 90*time.Minute, up.Timeout())
	require.True(t, in.HasOwnershipTag())
	require.Empty(t, up.ContinuousBackup())

	in.TimeoutSeconds, up.TimeoutSeconds = ptr(1), ptr(86400)
	require.Equal(t, time.Second, in.Timeout())
	require.Equal(t, 24*time.Hour, up.Timeout())
	in.OwnershipTag = ptr(true)
	require.True(t, in.HasOwnershipTag())
	in.OwnershipTag = ptr(false)
	require.False(t, in.HasOwnershipTag())
	up.ServerlessBackupOptions = &contract.ServerlessBackupOptions{}
	require.Empty(t, up.ContinuousBackup())
	for _, on := range []bool{true, false} {
		up.ServerlessBackupOptions.ServerlessContinuousBackupEnabled = &on
		require.Equal(t, map[bool]string{true: "true", false: "false"}[on], up.ContinuousBackup())
	}
}

func TestFields(t *testing.T) {
	t.Parallel()
	in := flex()
	require.Equal(t, contract.Fields{
		"groupId": group, "name": "orders",
		"providerSettings.backingProviderName": "AWS", "providerSettings.regionName": "US_EAST_1",
		"terminationProtectionEnabled": "false", "ownershipTag": "true", "adopt": "false", "ifDifferent": "FAIL",
	}, in.Fields())

	in.Tags = []contract.Tag{
		{Key: "team", Value: "orders"},
		{Key: contract.OwnershipTag, Value: "somebody"},
		{Key: "a.b", Value: "c"},
	}
	in.TerminationProtectionEnabled, in.TimeoutSeconds, in.OwnershipTag = true, ptr(60), ptr(false)
	in.Adopt, in.IfDifferent = true, contract.UpdateIfDifferent
	require.Equal(t, contract.Fields{
		"groupId": group, "name": "orders",
		"providerSettings.backingProviderName": "AWS", "providerSettings.regionName": "US_EAST_1",
		"terminationProtectionEnabled": "true", "ownershipTag": "false", "tags.team": "orders", "tags.a.b": "c",
		"adopt": "true", "ifDifferent": "UPDATE",
	}, in.Fields())
	require.Equal(t, contract.Fields{
		"providerSettings.backingProviderName": "AWS", "providerSettings.regionName": "US_EAST_1",
		"terminationProtectionEnabled": "true", "tags.team": "orders", "tags.a.b": "c",
	}, in.ClusterFields())

	up := serverless()
	require.Equal(t, contract.Fields{
		"groupId": group, "name": "orders",
		"providerSettings.backingProviderName": "AWS", "providerSettings.regionName": "US_EAST_1",
		"terminationProtectionEnabled": "false",
	}, up.Fields())
	up.ServerlessBackupOptions = &contract.ServerlessBackupOptions{ServerlessContinuousBackupEnabled: ptr(true)}
	require.Equal(t, "true", up.Fields()["serverlessBackupOptions.serverlessContinuousBackupEnabled"])
	require.NotContains(t, up.ClusterFields(), "serverlessBackupOptions.serverlessContinuousBackupEnabled",
		"Atlas no longer applies it")
}

// Two requests that mean the same are the same, however they say it; two that do not, differ.
func TestSameRequest(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		change func(*contract.ProvisionFlexClusterInput)
		want   string // the difference, "" is none
	}{
		{"nothing", func(*contract.ProvisionFlexClusterInput) {}, ""},
		{"another time limit", func(in *contract.ProvisionFlexClusterInput) { in.TimeoutSeconds = ptr(60) }, ""},
		{"the default ownership tag", func(in *contract.ProvisionFlexClusterInput) { in.OwnershipTag = ptr(true) }, ""},
		{"the default provider name",
			func(in *contract.ProvisionFlexClusterInput) { in.ProviderSettings.ProviderName = "FLEX" }, ""},
		{"no tags", func(in *contract.ProvisionFlexClusterInput) { in.Tags = []contract.Tag{} }, ""},

		{"another project", func(in *contract.ProvisionFlexClusterInput) { in.GroupID = "ff" },
			`groupId is "32b6e34b3d91647abb20e7b8", requested "ff"`},
		{"another name", func(in *contract.ProvisionFlexClusterInput) { in.Name = "b" },
			`name is "orders", requested "b"`},
		{"another provider",
			func(in *contract.ProvisionFlexClusterInput) { in.ProviderSettings.BackingProviderName = "GCP" },
			`providerSettings.backingProviderName is "AWS", requested "GCP"`},
		{"another region", func(in *contract.ProvisionFlexClusterInput) { in.ProviderSettings.RegionName = "" },
			`providerSettings.regionName is "US_EAST_1", requested ""`},
		{"a tag", func(in *contract.ProvisionFlexClusterInput) { in.Tags = team },
			`tags.team is none, requested "orders"`},
		{"protection", func(in *contract.ProvisionFlexClusterInput) { in.TerminationProtectionEnabled = true },
			`terminationProtectionEnabled is "false", requested "true"`},
		{"the default of ifDifferent", func(in *contract.ProvisionFlexClusterInput) { in.IfDifferent = "FAIL" }, ""},
		{"an update", func(in *contract.ProvisionFlexClusterInput) { in.IfDifferent = "UPDATE" },
			`ifDifferent is "FAIL", requested "UPDATE"`},
		{"adoption", func(in *contract.ProvisionFlexClusterInput) { in.Adopt = true },
			`adopt is "false", requested "true"`},
		{"no ownership tag", func(in *contract.ProvisionFlexClusterInput) { in.OwnershipTag = ptr(false) },
			`ownershipTag is "true", requested "false"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			changed := flex()
			test.change(&changed)
			got := contract.Differences(changed.Fields(), flex().Fields())
			if test.want == "" {
				require.Empty(t, got)
				return
			}
			require.Len(t, got, 1)
			require.Equal(t, test.want, got[0].String())
		})
	}
}

func TestDifferences(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name                string
		requested, existing contract.Fields
		want                []contract.Difference
	}{
		{"the same", contract.Fields{"a": "1", "b": ""}, contract.Fields{"a": "1", "b": ""}, nil},
		{"nothing", nil, nil, nil},
		{"by name", contract.Fields{"c": "1", "a": "1", "b": "1"}, contract.Fields{"c": "2", "a": "2", "b": "2"},
			[]contract.Difference{
				{Field: "a", Requested: `"1"`, Existing: `"2"`},
				{Field: "b", Requested: `"1"`, Existing: `"2"`},
				{Field: "c", Requested: `"1"`, Existing: `"2"`},
			}},
		{"one lacks it", contract.Fields{"a": "1"}, contract.Fields{"b": "2"}, []contract.Difference{
			{Field: "a", Requested: `"1"`, Existing: "none"}, {Field: "b", Requested: "none", Existing: `"2"`},
		}},
		{"nothing requested", nil, contract.Fields{"a": "1"},
			[]contract.Difference{{Field: "a", Requested: "none", Existing: `"1"`}}},
		{"nothing there", contract.Fields{"a": "1"}, nil,
			[]contract.Difference{{Field: "a", Requested: `"1"`, Existing: "none"}}},
		{"empty is not none", contract.Fields{"a": ""}, contract.Fields{},
			[]contract.Difference{{Field: "a", Requested: `""`, Existing: "none"}}},
		{"the word none is not none", contract.Fields{"a": "none"}, nil,
			[]contract.Difference{{Field: "a", Requested: `"none"`, Existing: "none"}}},
		{"quoted", contract.Fields{"a": "x\n\"y\""}, contract.Fields{"a": "x"},
			[]contract.Difference{{Field: "a", Requested: `"x\n\"y\""`, Existing: `"x"`}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, test.want, contract.Differences(test.requested, test.existing))
		})
	}

	long := contract.Differences(contract.Fields{"a": text(1000) + "x"}, contract.Fields{"a": text(1000) + "y"})
	require.Len(t, long, 1)
	require.Less(t, len(long[0].String()), 300)

	requested, existing := contract.Fields{"a": "1"}, contract.Fields{"b": "2"}
	contract.Differences(requested, existing)
	require.Equal(t, contract.Fields{"a": "1"}, requested, "the arguments are left alone")
	require.Equal(t, contract.Fields{"b": "2"}, existing)
	require.Equal(t, `tags.team is none, requested "orders"`,
		contract.Difference{Field: "tags.team", Requested: `"orders"`, Existing: "none"}.String())
}

// A cluster is as asked when its fields are those of the request, whatever Atlas adds to them.
func TestClusterFields(t *testing.T) {
	t.Parallel()
	in := flex()
	in.Tags = team
	made := contract.Cluster{
		ID:                           "5f",
		Name:                         "orders",
		StateName:                    "CREATING",
		TerminationProtectionEnabled: false,
		ProviderSettings: contract.ProviderSettings{
			ProviderName:        "FLEX",
			BackingProviderName: "AWS",
			RegionName:          "US_EAST_1",
			DiskSizeGB:          5,
		},
		Tags: []contract.Tag{
			{Key: contract.OwnershipTag, Value: "atlas-cluster-1"},
			{Key: "team", Value: "orders"},
		},
	}
	require.Empty(t, contract.Differences(in.ClusterFields(), made.Fields()))
	require.Equal(t, "atlas-cluster-1", made.Owner())
	made.Tags = []contract.Tag{{Key: "team", Value: "shop"}}
	made.TerminationProtectionEnabled = true
	require.Equal(t, []contract.Difference{
		{Field: "tags.team", Requested: `"orders"`, Existing: `"shop"`},
		{Field: "terminationProtectionEnabled", Requested: `"false"`, Existing: `"true"`},
	}, contract.Differences(in.ClusterFields(), made.Fields()))
	require.Empty(t, made.Owner())
	require.Empty(t, contract.Cluster{}.Owner())
}

// Atlas may trim a tag: that is no difference, and the owner stays the owner.
func TestTrimmedTags(t *testing.T) {
	t.Parallel()
	in := flex()
	in.Tags = []contract.Tag{{Key: " team", Value: "orders "}}
	made := contract.Cluster{
		ProviderSettings: in.ProviderSettings,
		Tags: []contract.Tag{
			{Key: "team", Value: "orders"},
			{Key: contract.OwnershipTag, Value: "a workflow"},
		},
	}
	require.Empty(t, contract.Differences(in.ClusterFields(), made.Fields()))
	require.True(t, made.OwnedBy("a workflow "))
	require.False(t, made.OwnedBy("another workflow"))
	require.False(t, contract.Cluster{}.OwnedBy(""))
}
