package activities

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"github.com/atlas-provisioner/atlas-provisioner/atlasclient"
	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
)

const leasedID = "6a1b2c3d4e5f6a1b2c3d4e5f"

func leaseInput() contract.LeaseFlexClusterInput {
	return contract.LeaseFlexClusterInput{
		GroupID: group, Name: "orders", ProviderSettings: place, LeaseSeconds: 3600,
		Tags: []contract.Tag{{Key: "team", Value: "orders"}},
	}
}

// What a look at a leased cluster means: whether the cluster is gone, and else when the next look is.
func TestEvaluateWatch(t *testing.T) {
	t.Parallel()
	now := time.Now()
	seen := contract.WaitProgress{StateName: "IDLE", Since: now.Add(-time.Hour)}
	absentFor := func(d time.Duration) contract.WaitProgress {
		return contract.WaitProgress{StateName: "IDLE", NotFoundSince: now.Add(-d)}
	}
	notFound := &atlasclient.Error{Status: 404, ErrorCode: atlasclient.CodeClusterNotFound}
	forbidden := &atlasclient.Error{Status: 403, ErrorCode: "IP_ADDRESS_NOT_ON_ACCESS_LIST"}
	for _, test := range []struct {
		name  string
		noted contract.WaitProgress
		id    string
		state string
		err   error
		// reason is why the cluster is gone; "" where it is not.
		reason  string
		failure string
		next    time.Duration
		left    contract.WaitProgress
	}{
		{name: "there", noted: seen, id: leasedID, state: "IDLE", failure: contract.NotYet, next: 30 * time.Minute,
			left: seen},
		{name: "changed", noted: seen, id: leasedID, state: "UPDATING", failure: contract.NotYet,
			next: 30 * time.Minute, left: contract.WaitProgress{StateName: "UPDATING", Since: now}},
		{name: "on its way out", noted: seen, id: leasedID, state: "DELETING", failure: contract.NotYet,
			next: 10 * time.Second, left: contract.WaitProgress{StateName: "DELETING", Since: now}},
		{name: "there again", noted: absentFor(time.Hour), id: leasedID, state: "IDLE", failure: contract.NotYet,
			next: 30 * time.Minute, left: contract.WaitProgress{StateName: "IDLE", Since: now}},
		{name: "another", noted: seen, id: "another", state: "IDLE",
			reason: "another cluster has its name, with the id another", left: seen},
		{name: "not there, for the first time", noted: seen, err: notFound, failure: contract.NotYet,
			next: 2 * time.Second,
			left: contract.WaitProgress{StateName: "IDLE", Since: seen.Since, NotFoundSince: now}},
		{name: "not there for a moment", noted: absentFor(29 * time.Second), err: notFound, failure: contract.NotYet,
			next: 2 * time.Second, left: absentFor(29 * time.Second)},
		{name: "not there for long", noted: absentFor(30 * time.Second), err: notFound,
			reason: "Atlas has known no such cluster for 30s (last state IDLE)", left: absentFor(30 * time.Second)},
		{name: "a final answer is not final", noted: seen, err: forbidden, failure: forbidden.ErrorCode,
			next: time.Second, left: contract.WaitProgress{StateName: "IDLE", Since: seen.Since, Errors: 1}},
		{name: "the last of many", noted: contract.WaitProgress{Errors: 99}, err: forbidden,
			failure: forbidden.ErrorCode, next: 1024 * time.Second, left: contract.WaitProgress{Errors: 100}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			a := &Activities{pace: DefaultPace}
			saw := observation{cluster: &atlasclient.Cluster{ID: test.id, StateName: test.state}}
			left := test.noted
			reason, err := a.evaluateWatch(WatchInput{Name: "orders", ID: leasedID}, saw, test.err, now, &left)
			require.Equal(t, test.reason, reason)
			require.Equal(t, test.left, left)
			if test.failure == "" {
				require.NoError(t, err)
				return
			}
			var failure *temporal.ApplicationError
			require.ErrorAs(t, err, &failure)
			require.Equal(t, test.failure, failure.Type())
			require.False(t, failure.NonRetryable())
			require.InDelta(t, test.next.Seconds(), failure.NextRetryDelay().Seconds(), 1.1)
		})
	}
}

// What a provision that failed left behind: a cluster that the lease can have made, and nothing else.
func TestDecideLeftover(t *testing.T) {
	t.Parallel()
	withoutTag := leaseInput()
	withoutTag.OwnershipTag = new(false)
	cluster := func(state, owner string, team string) contract.Cluster {
		c := contract.Cluster{
			ID: leasedID, Name: "orders", StateName: state, ProviderSettings: place,
			Tags: []contract.Tag{{Key: "team", Value: team}},
		}
		if owner != "" {
			c.Tags = append(c.Tags, contract.Tag{Key: contract.OwnershipTag, Value: owner})
		}
		return c
	}
	for _, test := range []struct {
		name    string
		request contract.LeaseFlexClusterInput
		cluster contract.Cluster
		young   bool
		found   bool
		failure string
	}{
		{name: "ours", request: leaseInput(), cluster: cluster("CREATING", ourID, "orders"), young: true, found: true},
		{
			name: "ours, changed meanwhile", request: leaseInput(), cluster: cluster("IDLE", ourID, "x"), young: true,
			found: true,
		},
		{name: "ours, and older", request: leaseInput(), cluster: cluster("IDLE", ourID, "orders")},
		{name: "another's", request: leaseInput(), cluster: cluster("IDLE", "another", "orders"), young: true},
		{name: "untagged", request: leaseInput(), cluster: cluster("IDLE", "", "orders"), young: true},
		{
			name: "without the tag", request: withoutTag, cluster: cluster("IDLE", "", "orders"), young: true,
			found: true,
		},
		{name: "without the tag, not as asked", request: withoutTag, cluster: cluster("IDLE", "", "x"), young: true},
		{name: "without the tag, and older", request: withoutTag, cluster: cluster("IDLE", "", "orders")},
		{
			name: "on its way out", request: leaseInput(), cluster: cluster("DELETING", "", "orders"), young: true,
			failure: contract.NotYet,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			found, err := decideLeftover(test.request, test.cluster, test.young)
			requireFailure(t, err, test.failure, `cluster "orders": it is being deleted; looking until it is gone`)
			require.Equal(t, test.found, found.ID == leasedID)
			require.Equal(t, test.found, found.ID != "")
		})
	}
}

// What is not there at the first look is looked for until that is certain.
func TestFindLeftover(t *testing.T) {
	t.Parallel()
	_, a, env := setup(t, atlassim.Config{}, Pace{})
	in := LeftoverInput{Request: leaseInput(), Began: time.Now().Add(-time.Minute)}
	_, err := env.ExecuteActivity(a.FindLeftover, in)
	requireFailure(t, err, contract.NotYet,
		`cluster "orders": Atlas shows no such cluster; looking until that is certain`)
	env.SetHeartbeatDetails(contract.WaitProgress{NotFoundSince: time.Now().Add(-time.Minute)})
	value, err := env.ExecuteActivity(a.FindLeftover, in)
	require.NoError(t, err)
	var found contract.Cluster
	require.NoError(t, value.Get(&found))
	require.Empty(t, found.ID)
}
