package activities

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
)

const ourID = "atlas-cluster-" + group + "-orders"

var place = contract.ProviderSettings{BackingProviderName: "AWS", RegionName: "US_EAST_1"}

// requireFailure holds the end of an attempt against what is expected: "" is no failure.
func requireFailure(t *testing.T, err error, failureType, message string) {
	t.Helper()
	if failureType == "" {
		require.NoError(t, err)
		return
	}
	var f *temporal.ApplicationError
	require.ErrorAs(t, err, &f)
	require.Equal(t, failureType, f.Type())
	require.Equal(t, message, f.Message())
	require.Equal(t, failureType != contract.NotYet, f.NonRetryable())
}

func TestOwnership(t *testing.T) {
	t.Parallel()
	tagged := func(id string) []contract.Tag { return []contract.Tag{{Key: contract.OwnershipTag, Value: id}} }
	for _, test := range []struct {
		name    string
		cluster contract.Cluster
		want    ownership
	}{
		{"ours", contract.Cluster{StateName: "IDLE", Tags: tagged(ourID)}, ours},
		{"ours, and trimmed by Atlas", contract.Cluster{StateName: "IDLE", Tags: tagged(" " + ourID)}, ours},
		{"another workflow's", contract.Cluster{StateName: "IDLE", Tags: tagged(ourID + "-2")}, anothers},
		{"without a tag",
			contract.Cluster{StateName: "IDLE", Tags: []contract.Tag{{Key: "team", Value: ourID}}}, untagged},
		{"an empty tag", contract.Cluster{StateName: "IDLE", Tags: tagged("")}, untagged},
		{"being deleted: Atlas shows no tags", contract.Cluster{StateName: "DELETING"}, unreadable},
		{"being deleted, whatever it shows", contract.Cluster{StateName: "DELETING", Tags: tagged(ourID)}, unreadable},
	} {
		require.Equal(t, test.want, ownershipOf(test.cluster, ourID), test.name)
	}
}

// What becomes of a create whose name is taken.
func TestDecideCreate(t *testing.T) {
	t.Parallel()
	const untouched = "It was left untouched: choose another name, or delete that cluster, then start the " +
		"workflow again"
	const adoptable = "It was left untouched: choose another name, delete that cluster, or set adopt to take it " +
		"over, then start the workflow again"
	const busy = `cluster "orders": it is CREATING; it is changed once it is IDLE`
	for _, test := range []struct {
		name          string
		noTag         bool // the request does without the ownership tag
		adopt         bool
		ifDifferent   string
		owner         string
		protected     bool
		sent          bool
		region        string
		state         string
		madeByThisRun bool
		outcome       contract.Outcome
		changed       bool // Atlas is asked to change it
		failureType   string
		message       string
		hasDifferent  bool
	}{
		{
			name: "ours, but not as asked, and to be updated", owner: ourID, protected: true, state: "IDLE",
			ifDifferent: contract.UpdateIfDifferent, changed: true,
		},
		{
			name: "ours and of this run, but changed since, and to be updated", owner: ourID, protected: true,
			state: "IDLE", madeByThisRun: true, ifDifferent: contract.UpdateIfDifferent, changed: true,
		},
		{
			name: "ours, to be updated, and busy", owner: ourID, protected: true,
			ifDifferent: contract.UpdateIfDifferent, failureType: contract.NotYet, message: busy,
		},
		{
			name: "ours, updated by an attempt before", owner: ourID, ifDifferent: contract.UpdateIfDifferent,
			sent: true, outcome: contract.Updated,
		},
		{
			name: "ours, made by this run and updated by an attempt before", owner: ourID, sent: true,
			madeByThisRun: true, ifDifferent: contract.UpdateIfDifferent, outcome: contract.Created,
		},
		{
			name: "ours and as asked, to be updated if different", owner: ourID,
			ifDifferent: contract.UpdateIfDifferent, outcome: contract.Unchanged,
		},
		{
			name: "ours, but elsewhere: no update moves it", owner: ourID, region: "EU_WEST_1", protected: true,
			state: "IDLE", ifDifferent: contract.UpdateIfDifferent, failureType: contract.ClusterConflict,
			message: `cluster "orders": this workflow made it, but it is not as asked: providerSettings.regionName ` +
				`is "EU_WEST_1", requested "US_EAST_1"; terminationProtectionEnabled is "true", requested "false". ` +
				`Change the cluster in Atlas or the request, then start the workflow again`,
		},
		{
			name: "without a tag, and to be adopted", adopt: true, state: "IDLE", changed: true,
		},
		{
			name: "without a tag, to be adopted, and busy", adopt: true, failureType: contract.NotYet, message: busy,
		},
		{
			name: "adopted by an attempt before", owner: ourID, adopt: true, sent: true, outcome: contract.Updated,
		},
		{
			name: "without a tag, and to be adopted by a request that does without, too", adopt: true, noTag: true,
			sent: true, outcome: contract.Unchanged,
		},
		{
			name: "without a tag, to be adopted and updated, but not as asked", adopt: true, protected: true,
			state: "IDLE", ifDifferent: contract.UpdateIfDifferent,
			failureType: contract.ClusterConflict, hasDifferent: true,
			message: `cluster "orders": the name is taken in this project by a cluster that this workflow did not ` +
				`make (it carries no tag atlas-provisioner-workflow) and that differs: ` +
				`terminationProtectionEnabled is "true", requested "false". ` + untouched,
		},
		{
			name: "another workflow's, whoever would adopt and update it", owner: "somebody", adopt: true,
			state: "IDLE", ifDifferent: contract.UpdateIfDifferent, sent: true,
			failureType: contract.ClusterConflict,
			message: `cluster "orders": the name is taken in this project by a cluster that this workflow did not ` +
				`make (workflow "somebody" made it). ` + untouched,
		},
		{
			name: "being deleted, whoever would adopt it", state: contract.StateDeleting, adopt: true,
			ifDifferent: contract.UpdateIfDifferent, failureType: contract.NotYet,
			message: `cluster "orders": a cluster of that name is being deleted; the name is free within a minute`,
		},
		{name: "ours, of this run", owner: ourID, madeByThisRun: true, outcome: contract.Created},
		{name: "ours, of an earlier run", owner: ourID, outcome: contract.Unchanged},
		{
			name: "ours, but not as asked", owner: ourID, region: "EU_WEST_1",
			failureType: contract.ClusterConflict, hasDifferent: true,
			message: `cluster "orders": this workflow made it, but it is not as asked: providerSettings.regionName ` +
				`is "EU_WEST_1", requested "US_EAST_1". Change the cluster in Atlas or the request, then start ` +
				`the workflow again`,
		},
		{
			name: "another workflow's, however young", owner: "somebody", madeByThisRun: true,
			failureType: contract.ClusterConflict,
			message: `cluster "orders": the name is taken in this project by a cluster that this workflow did not ` +
				`make (workflow "somebody" made it). ` + untouched,
		},
		{
			name: "without a tag, however young and like ours", madeByThisRun: true,
			failureType: contract.ClusterConflict,
			message: `cluster "orders": the name is taken in this project by a cluster that this workflow did not ` +
				`make (it carries no tag atlas-provisioner-workflow). ` + adoptable,
		},
		{
			name: "without a tag, and different", region: "EU_WEST_1",
			failureType: contract.ClusterConflict, hasDifferent: true,
			message: `cluster "orders": the name is taken in this project by a cluster that this workflow did not ` +
				`make (it carries no tag atlas-provisioner-workflow) and that differs: providerSettings.regionName ` +
				`is "EU_WEST_1", requested "US_EAST_1". ` + untouched,
		},
		{name: "no tag asked for, young and as asked", noTag: true, madeByThisRun: true, outcome: contract.Created},
		{
			name: "no tag asked for, and older than the run", noTag: true, failureType: contract.ClusterConflict,
			message: `cluster "orders": the name is taken in this project by a cluster that this workflow did not ` +
				`make (it is older than this run, or not as asked). ` + adoptable,
		},
		{
			name: "no tag asked for, and different", noTag: true, madeByThisRun: true, region: "EU_WEST_1",
			failureType: contract.ClusterConflict, hasDifferent: true,
			message: `cluster "orders": the name is taken in this project by a cluster that this workflow did not ` +
				`make (it is older than this run, or not as asked) and that differs: providerSettings.regionName is ` +
				`"EU_WEST_1", requested "US_EAST_1". ` + untouched,
		},
		{
			name: "no tag asked for, and another workflow's", noTag: true, madeByThisRun: true, owner: "somebody",
			failureType: contract.ClusterConflict,
			message: `cluster "orders": the name is taken in this project by a cluster that this workflow did not ` +
				`make (workflow "somebody" made it). ` + untouched,
		},
		{
			name: "being deleted, whoever made it", state: contract.StateDeleting, failureType: contract.NotYet,
			message: `cluster "orders": a cluster of that name is being deleted; the name is free within a minute`,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			hasTag := !test.noTag
			request := contract.ProvisionFlexClusterInput{
				GroupID:          group,
				Name:             "orders",
				ProviderSettings: place,
				OwnershipTag:     &hasTag,
				Adopt:            test.adopt,
				IfDifferent:      test.ifDifferent,
			}
			existing := contract.Cluster{
				Name: "orders", StateName: "CREATING", ProviderSettings: place,
				TerminationProtectionEnabled: test.protected,
			}
			if test.owner != "" {
				existing.Tags = []contract.Tag{{Key: contract.OwnershipTag, Value: test.owner}}
			}
			if test.region != "" {
				existing.ProviderSettings.RegionName = test.region
			}
			if test.state != "" {
				existing.StateName = test.state
			}
			got, err := decideCreate(request, ourID, existing, test.madeByThisRun, test.sent)
			requireFailure(t, err, test.failureType, test.message)
			require.Equal(t, test.outcome, got.Outcome)
			require.Equal(t, test.changed, err == nil && got.Outcome == "")
			var f *temporal.ApplicationError
			if test.failureType == contract.ClusterConflict {
				var details contract.FailureDetails
				require.ErrorAs(t, err, &f)
				require.NoError(t, f.Details(&details))
				require.Equal(t, test.hasDifferent, len(details.Differences) == 1, details)
			}
		})
	}
}
