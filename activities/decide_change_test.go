package activities

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"github.com/atlas-provisioner/atlas-provisioner/atlasclient"
	"github.com/atlas-provisioner/atlas-provisioner/contract"
)

const clusterID = "0123456789abcdef01234567"

// existingCluster is an IDLE Flex cluster that carries the ownership tag of a workflow; "" for no such tag.
func existingCluster(owner string, tags ...contract.Tag) contract.Cluster {
	if owner != "" {
		tags = append(tags, contract.Tag{Key: contract.OwnershipTag, Value: owner})
	}
	return contract.Cluster{
		ID: clusterID, GroupID: group, Name: "orders", StateName: contract.StateIdle, ClusterType: "FLEX",
		ProviderSettings: place, Tags: tags,
	}
}

// in is a cluster as it is in another state.
func in(state string, c contract.Cluster) contract.Cluster {
	c.StateName = state
	return c
}

func protectedCluster(c contract.Cluster) contract.Cluster {
	c.TerminationProtectionEnabled = true
	return c
}

func tag(key, value string) contract.Tag { return contract.Tag{Key: key, Value: value} }

const (
	notOurs = `cluster "orders": it is not this workflow's (workflow "somebody" made it). It was left untouched: ` +
		`use the workflow id that made it`
	notKnownToBeOurs = `cluster "orders": it is not known to be this workflow's (it carries no tag ` +
		`atlas-provisioner-workflow). It was left untouched: to take it over, set adopt, then start the workflow again`
	tagsMayHaveVanished = `cluster "orders": it is UPDATING and shows no tag atlas-provisioner-workflow; whose it is ` +
		`shows once it is IDLE`
	beingDeleted = `cluster "orders": it is being deleted: to make a new one, start the workflow ProvisionFlexCluster`
)

// requireState requires that a failure tells the state of the cluster, which the run leaves behind.
func requireState(t *testing.T, err error, state string) {
	t.Helper()
	var f *temporal.ApplicationError
	require.ErrorAs(t, err, &f)
	if f.Type() == contract.NotYet {
		var progress contract.WaitProgress
		require.NoError(t, f.Details(&progress))
		require.Equal(t, state, progress.StateName)
		return
	}
	var details contract.FailureDetails
	require.NoError(t, f.Details(&details))
	require.Equal(t, state, details.StateName)
}

// What an update does about the cluster that it found.
func TestDecideUpdate(t *testing.T) {
	t.Parallel()
	orders := tag("team", "orders")
	for _, test := range []struct {
		name        string
		existing    contract.Cluster
		adopt       bool
		sent        bool
		outcome     contract.Outcome
		changed     bool
		failureType string
		message     string
	}{
		{name: "ours, and different", existing: existingCluster(ourID), changed: true},
		{
			name: "ours, and still different after a request", existing: existingCluster(ourID), sent: true,
			changed: true,
		},
		{name: "ours, and as asked", existing: existingCluster(ourID, orders), outcome: contract.Unchanged},
		{
			name: "ours, and as asked since an attempt before", existing: existingCluster(ourID, orders), sent: true,
			outcome: contract.Updated,
		},
		{
			name: "ours, as asked and UPDATING", existing: in("UPDATING", existingCluster(ourID, orders)),
			outcome: contract.Unchanged,
		},
		{
			name: "ours, different and CREATING", existing: in("CREATING", existingCluster(ourID)),
			failureType: contract.NotYet,
			message:     `cluster "orders": it is CREATING; it is changed once it is IDLE`,
		},
		{
			name: "being deleted", existing: in("DELETING", existingCluster("")), adopt: true,
			failureType: contract.ClusterGone, message: beingDeleted,
		},
		{
			name: "another workflow's", existing: existingCluster("somebody"), adopt: true,
			failureType: contract.ClusterConflict, message: notOurs,
		},
		{
			name: "without a tag", existing: existingCluster("", orders), failureType: contract.ClusterConflict,
			message: notKnownToBeOurs,
		},
		{name: "without a tag, and adopted", existing: existingCluster("", orders), adopt: true, changed: true},
		{
			name: "adopted by an attempt before", existing: existingCluster(ourID, orders), adopt: true, sent: true,
			outcome: contract.Updated,
		},
		{
			name: "without a tag while an upgrade runs", existing: in("UPDATING", existingCluster("")), adopt: true,
			failureType: contract.NotYet, message: tagsMayHaveVanished,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			request := contract.UpdateFlexClusterInput{
				GroupID: group, Name: "orders", Tags: []contract.Tag{orders}, Adopt: test.adopt,
			}
			got, err := decideUpdate(request, ourID, test.existing, test.sent)
			requireFailure(t, err, test.failureType, test.message)
			require.Equal(t, test.outcome, got.Outcome)
			require.Equal(t, test.changed, err == nil && got.Outcome == "")
			if err != nil {
				requireState(t, err, test.existing.StateName)
			}
		})
	}
}

// What a delete does about the cluster that it found.
func TestDecideDelete(t *testing.T) {
	t.Parallel()
	gone := contract.Cluster{
		ID: "another", GroupID: group, Name: "orders", StateName: contract.StateDeleted,
		Tags: []contract.Tag{}, Warnings: []string{},
	}
	m0 := existingCluster(ourID)
	m0.ProviderSettings = contract.ProviderSettings{ProviderName: "TENANT", InstanceSizeName: "M0"}
	withoutID := existingCluster(ourID)
	withoutID.ID = ""
	for _, test := range []struct {
		name        string
		request     contract.DeleteClusterInput
		existing    contract.Cluster
		wasReset    bool
		want        contract.Cluster // "": existing
		outcome     contract.Outcome
		ours        bool
		failureType string
		message     string
	}{
		{name: "ours", existing: existingCluster(ourID), outcome: contract.Deleted, ours: true},
		{
			name: "ours, with the id that it must have", existing: existingCluster(ourID),
			request: contract.DeleteClusterInput{ID: clusterID}, outcome: contract.Deleted, ours: true,
		},
		{
			name: "a successor", existing: existingCluster(ourID),
			request: contract.DeleteClusterInput{ID: "another"}, want: gone, outcome: contract.Unchanged,
		},
		{
			name: "ours while Atlas creates it", existing: in("CREATING", existingCluster(ourID)),
			outcome: contract.Deleted, ours: true,
		},
		{
			name: "being deleted: whose it was is not shown", existing: in("DELETING", existingCluster("")),
			outcome: contract.Unchanged,
		},
		{
			name: "being deleted since before a reset", existing: in("DELETING", existingCluster("")), wasReset: true,
			outcome: contract.Deleted,
		},
		{
			name: "a successor that is being deleted", existing: in("DELETING", existingCluster("")),
			request: contract.DeleteClusterInput{ID: "another"}, want: gone, outcome: contract.Unchanged,
		},
		{
			name: "another workflow's", existing: existingCluster("somebody"),
			request:     contract.DeleteClusterInput{Adopt: true, RemoveTerminationProtection: true},
			failureType: contract.ClusterConflict, message: notOurs,
		},
		{
			name: "without a tag", existing: existingCluster(""), failureType: contract.ClusterConflict,
			message: notKnownToBeOurs,
		},
		{
			name: "without a tag, and adopted", existing: existingCluster(""),
			request: contract.DeleteClusterInput{Adopt: true}, outcome: contract.Deleted, ours: true,
		},
		{
			name: "without a tag while an upgrade runs", existing: in("UPDATING", existingCluster("")),
			request:     contract.DeleteClusterInput{Adopt: true},
			failureType: contract.NotYet, message: tagsMayHaveVanished,
		},
		{
			name: "protected", existing: protectedCluster(existingCluster(ourID)),
			failureType: contract.ClusterProtected,
			message: `cluster "orders": its termination protection is on. It was left untouched: set ` +
				`removeTerminationProtection, or turn it off, then start the workflow again`,
		},
		{
			name: "protected, and the protection may be removed", existing: protectedCluster(existingCluster(ourID)),
			request: contract.DeleteClusterInput{RemoveTerminationProtection: true},
			outcome: contract.Deleted, ours: true,
		},
		{
			name: "protected, and not ours", existing: protectedCluster(existingCluster("")),
			failureType: contract.ClusterConflict, message: notKnownToBeOurs,
		},
		{
			name: "an M0", existing: m0, failureType: contract.ClusterConflict,
			message: `cluster "orders": it is a shared-tier cluster (M0), and this workflow deletes Flex and ` +
				`dedicated clusters. It was left untouched: delete it in Atlas, or upgrade it first`,
		},
		{
			name: "without an id", existing: withoutID, failureType: contract.NotYet,
			message: `cluster "orders": Atlas shows no id of it; looking again`,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			request := test.request
			request.GroupID, request.Name = group, "orders"
			got, err := decideDelete(request, ourID, test.existing, test.wasReset)
			requireFailure(t, err, test.failureType, test.message)
			if err != nil {
				require.Zero(t, got)
				requireState(t, err, test.existing.StateName)
				return
			}
			want := test.existing
			if test.want.Name != "" {
				want = test.want
			}
			want.Outcome = test.outcome
			require.Equal(t, FoundCluster{Cluster: want, Ours: test.ours}, got)
		})
	}
}

// Only after half a minute without it a cluster is taken to be gone already: a read can lag behind its create.
func TestDecideAbsent(t *testing.T) {
	t.Parallel()
	request := contract.DeleteClusterInput{GroupID: group, Name: "orders", ID: clusterID}
	_, err := decideAbsent(request, 29*time.Second, DefaultPace)
	requireFailure(t, err, contract.NotYet,
		`cluster "orders": Atlas shows no such cluster; looking until that is certain`)
	got, err := decideAbsent(request, 30*time.Second, DefaultPace)
	require.NoError(t, err)
	require.Equal(t, FoundCluster{Cluster: contract.Cluster{
		ID: clusterID, GroupID: group, Name: "orders", StateName: contract.StateDeleted,
		Tags: []contract.Tag{}, Warnings: []string{}, Outcome: contract.Unchanged,
	}}, got)
}

// An update sends what the cluster lacks and nothing else, and never drops the ownership tag.
func TestUpdateFor(t *testing.T) {
	t.Parallel()
	team, env := tag("team", "orders"), tag("env", "test")
	owner := atlasclient.Tag{Key: contract.OwnershipTag, Value: ourID}
	atlasTag := func(t contract.Tag) atlasclient.Tag { return atlasclient.Tag(t) }
	for _, test := range []struct {
		name  string
		has   contract.Cluster
		asked contract.Asked
		want  atlasclient.ClusterUpdate
	}{
		{
			name: "nothing differs", has: existingCluster(ourID, team),
			asked: contract.Asked{Tags: []contract.Tag{team}, TerminationProtectionEnabled: new(false), Owner: ourID},
		},
		{
			name: "white space that Atlas has trimmed", has: existingCluster(ourID, team),
			asked: contract.Asked{Tags: []contract.Tag{tag(" team ", " orders ")}, Owner: ourID},
		},
		{
			name: "tags", has: existingCluster(ourID, env),
			asked: contract.Asked{Tags: []contract.Tag{team}, Owner: ourID},
			want:  atlasclient.ClusterUpdate{Tags: []atlasclient.Tag{atlasTag(team), owner}},
		},
		{
			name: "no tags at all", has: existingCluster(ourID, env),
			asked: contract.Asked{Tags: []contract.Tag{}, Owner: ourID},
			want:  atlasclient.ClusterUpdate{Tags: []atlasclient.Tag{owner}},
		},
		{
			name: "tags, where the request has no owner", has: existingCluster(ourID, env),
			asked: contract.Asked{Tags: []contract.Tag{team}},
			want:  atlasclient.ClusterUpdate{Tags: []atlasclient.Tag{atlasTag(team), owner}},
		},
		{
			name: "no tags, and none has an owner", has: existingCluster("", env),
			asked: contract.Asked{Tags: []contract.Tag{}},
			want:  atlasclient.ClusterUpdate{Tags: []atlasclient.Tag{}},
		},
		{
			name: "protection alone", has: existingCluster(ourID, env),
			asked: contract.Asked{TerminationProtectionEnabled: new(true), Owner: ourID},
			want:  atlasclient.ClusterUpdate{TerminationProtectionEnabled: new(true)},
		},
		{
			name: "tags alone, where the protection is as asked", has: protectedCluster(existingCluster(ourID)),
			asked: contract.Asked{Tags: []contract.Tag{team}, TerminationProtectionEnabled: new(true), Owner: ourID},
			want:  atlasclient.ClusterUpdate{Tags: []atlasclient.Tag{atlasTag(team), owner}},
		},
		{
			name: "adopted: the tags that it has stay", has: existingCluster("", env, team),
			asked: contract.Asked{TerminationProtectionEnabled: new(true), Owner: ourID},
			want: atlasclient.ClusterUpdate{
				Tags: []atlasclient.Tag{atlasTag(env), atlasTag(team), owner}, TerminationProtectionEnabled: new(true),
			},
		},
		{
			name: "the place is nothing that an update changes", has: existingCluster(ourID),
			asked: contract.Asked{Place: contract.ProviderSettings{RegionName: "EU_WEST_1"}, Owner: ourID},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, test.want, updateFor(test.has, test.asked))
		})
	}
}

func TestCheckMayChange(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name        string
		existing    contract.Cluster
		adopt       bool
		failureType string
		message     string
	}{
		{name: "ours", existing: existingCluster(ourID)},
		{
			name: "another workflow's", existing: existingCluster("somebody"), failureType: contract.ClusterConflict,
			message: notOurs,
		},
		{
			name: "another workflow's, whoever would adopt it", existing: existingCluster("somebody"), adopt: true,
			failureType: contract.ClusterConflict, message: notOurs,
		},
		{
			name: "without a tag", existing: existingCluster(""), failureType: contract.ClusterConflict,
			message: notKnownToBeOurs,
		},
		{name: "without a tag, and adopted", existing: existingCluster(""), adopt: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			requireFailure(t, checkMayChange(test.existing, ourID, test.adopt), test.failureType, test.message)
			requireFailure(t, checkMayChangeNow(test.existing, ourID, test.adopt), test.failureType, test.message)
			if test.failureType != "" {
				requireState(t, checkMayChange(test.existing, ourID, test.adopt), contract.StateIdle)
			}
		})
	}
	for _, adopt := range []bool{false, true} {
		err := checkMayChangeNow(in(contract.StateUpdating, existingCluster("")), ourID, adopt)
		requireFailure(t, err, contract.NotYet, tagsMayHaveVanished)
	}
	require.NoError(t, checkMayChangeNow(in(contract.StateUpdating, existingCluster(ourID)), ourID, false))
}
