package activities

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"

	"github.com/atlas-provisioner/atlas-provisioner/atlasclient"
	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim/atlassimtest"
	"github.com/atlas-provisioner/atlas-provisioner/internal/reads"
)

// ours is a request for a cluster that carries our tag.
func oursInSimulator(name string) atlassim.FlexRequest {
	r := clusterOfOthers(name)
	r.Tags = []atlassim.Tag{{Key: contract.OwnershipTag, Value: ourID}}
	return r
}

// foundInSimulator is the only cluster of the simulator, as FindCluster puts it on record.
func foundInSimulator(sim *atlassim.Server) FoundCluster {
	c := sim.Clusters()[0]
	return FoundCluster{Ours: true, Cluster: contract.Cluster{
		ID: c.ID, Name: c.Name, ClusterType: contract.ClusterTypeFlex, StateName: c.State, Outcome: contract.Deleted,
	}}
}

// deleteOnce makes one attempt at the delete of the only cluster, and answers what it left for the next one.
func deleteOnce(
	a *Activities, found FoundCluster, noted *contract.WaitProgress,
) (gone contract.Cluster, left contract.WaitProgress, err error) {
	env := AttemptEnvironment(a, func(i *activity.Info) {
		i.WorkflowExecution.ID, i.Attempt = ourID, 2
		i.ScheduledTime, i.StartedTime = time.Now().Add(-time.Minute), time.Now()
	})
	if noted != nil {
		env.SetHeartbeatDetails(*noted)
	}
	env.SetOnActivityHeartbeatListener(func(_ *activity.Info, details converter.EncodedValues) {
		_ = details.Get(&left)
	})
	value, err := env.ExecuteActivity(a.DeleteCluster, DeleteInput{
		Request: contract.DeleteClusterInput{
			GroupID: group, Name: found.Cluster.Name, RemoveTerminationProtection: true,
		},
		Found: found, Deadline: time.Now().Add(time.Hour),
	})
	if err == nil {
		err = value.Get(&gone)
	}
	return gone, left, err
}

// slowBudget is a request budget that grants the second request after a time, and then calls meanwhile.
type slowBudget struct {
	wait      time.Duration
	meanwhile func()
	requests  int
}

func (b *slowBudget) Acquire(context.Context, string, string) (func(atlasclient.Observation), error) {
	if b.requests++; b.requests == 2 {
		time.Sleep(b.wait)
		b.meanwhile()
	}
	return func(atlasclient.Observation) {}, nil
}

// A delete that waited long for the request budget is not sent: by then the name can be another cluster's.
func TestTooOldToSend(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sim, err := atlassim.New(atlassim.Config{DeleteFor: atlassim.Duration(time.Nanosecond)})
		require.NoError(t, err)
		t.Cleanup(sim.Close)
		require.NoError(t, sim.CreateFlex(group, oursInSimulator("orders")))
		time.Sleep(time.Second)
		found := foundInSimulator(sim)
		budget := &slowBudget{wait: 3 * time.Second, meanwhile: func() {
			require.NoError(t, sim.Delete(group, "orders"))
			time.Sleep(time.Second)
			require.NoError(t, sim.CreateFlex(group, oursInSimulator("orders")))
		}}
		atlas, err := atlasclient.New(atlasclient.Options{
			BaseURL: "http://localhost", Transport: atlassimtest.Pipe(t, sim), Limiter: budget,
		})
		require.NoError(t, err)
		_, _, err = deleteOnce(New(atlas, reads.New(atlas), Pace{}), found, nil)
		requireFailure(t, err, contract.NotYet, `cluster "orders": what was seen of it has become too old while the `+
			`request waited for the request budget of the project; looking again`)
		require.Len(t, sim.Clusters(), 1)
		require.Zero(t, sim.Count(atlassim.Deleted))
	})
}

// A delete is sent at the first look, and again once Atlas has shown the cluster for long after it.
func TestDeleteIsAskedForAgain(t *testing.T) {
	t.Parallel()
	now := time.Now()
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	for _, test := range []struct {
		name    string
		noted   contract.WaitProgress
		state   string
		deletes int
	}{
		{name: "at first", state: "IDLE", deletes: 1},
		{name: "CREATING is no hindrance", state: "CREATING", deletes: 1},
		{
			name:  "asked a moment ago",
			noted: contract.WaitProgress{AskedAt: ago(time.Second), IdleSince: ago(time.Minute)},
		},
		{
			name:  "asked long ago, and shown again since a moment ago",
			noted: contract.WaitProgress{AskedAt: ago(time.Minute), IdleSince: ago(time.Second)},
		},
		{
			name:    "asked long ago, and ignored",
			noted:   contract.WaitProgress{AskedAt: ago(time.Minute), IdleSince: ago(time.Minute)},
			deletes: 1,
		},
		{name: "on its way out", state: "DELETING"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			sim, a, _ := setup(t, atlassim.Config{DeleteFor: atlassim.Duration(time.Hour)}, Pace{Fast: time.Nanosecond})
			require.NoError(t, sim.CreateFlex(group, oursInSimulator("orders")))
			require.NoError(t, sim.SetState(group, "orders", test.state))
			_, left, err := deleteOnce(a, foundInSimulator(sim), &test.noted)
			requireFailureType(t, err, contract.NotYet)
			require.Equal(t, test.deletes, sim.Count(atlassim.Deleted))
			if test.deletes > 0 {
				require.True(t, left.AskedAt.After(now), "it is noted")
			}
		})
	}
}

// A delete that Atlas refuses is final, though a look that it refuses is not. One that fails is sent again after a
// delay that grows with the failures, however many looks between them succeed.
func TestDeleteFails(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		fault  atlassim.Fault
		errors int
		want   string
		delay  time.Duration // of the next attempt; 0: the failure is final
	}{
		{
			name: "403", want: "NO_ROLE",
			fault: atlassim.Fault{Kind: atlassim.FaultStatus, Status: 403, ErrorCode: "NO_ROLE"},
		},
		{
			name: "503", want: "HTTP_503", delay: time.Second,
			fault: atlassim.Fault{Kind: atlassim.FaultHTML, Status: 503},
		},
		{
			name: "503 again and again", want: "HTTP_503", errors: 3, delay: 8 * time.Second,
			fault: atlassim.Fault{Kind: atlassim.FaultHTML, Status: 503},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			sim, a, _ := setup(t, atlassim.Config{}, Pace{})
			require.NoError(t, sim.CreateFlex(group, oursInSimulator("orders")))
			test.fault.Method = "DELETE"
			sim.AddFault(test.fault)
			_, left, err := deleteOnce(a, foundInSimulator(sim), &contract.WaitProgress{Errors: test.errors})
			var f *temporal.ApplicationError
			require.ErrorAs(t, err, &f)
			require.Equal(t, test.want, f.Type())
			require.Equal(t, test.delay == 0, f.NonRetryable())
			require.GreaterOrEqual(t, f.NextRetryDelay(), test.delay)
			require.LessOrEqual(t, f.NextRetryDelay(), test.delay*11/10+time.Millisecond)
			require.Equal(t, test.errors+1, left.Errors)
		})
	}
}

// Where Atlas refuses to turn the protection of a cluster off since it deletes it already, the wait goes on.
func TestDeleteOfAClusterThatGoes(t *testing.T) {
	t.Parallel()
	sim, a, _ := setup(t, atlassim.Config{
		DeleteFor: atlassim.Duration(time.Hour), DeletingAfter: atlassim.Duration(time.Hour),
	}, Pace{Fast: time.Nanosecond})
	protected := oursInSimulator("orders")
	protected.TerminationProtectionEnabled = true
	require.NoError(t, sim.CreateFlex(group, protected))
	found := foundInSimulator(sim)
	require.NoError(t, sim.Delete(group, "orders"))
	_, _, err := deleteOnce(a, found, nil)
	requireFailureType(t, err, contract.NotYet)
	require.Zero(t, sim.Count(atlassim.Updated)+sim.Count(atlassim.Deleted))
}

// A cluster that Atlas does not show is gone at once where it was seen in DELETING, and otherwise only after half a
// minute.
func TestGoneOnceDeleting(t *testing.T) {
	t.Parallel()
	w := waiting(1, time.Minute, time.Minute, time.Hour)
	w.goal, w.in.Shown = goalGone, true
	notFound := &atlasclient.Error{Status: 404, ErrorCode: atlasclient.CodeClusterNotFound}
	w.progress = contract.WaitProgress{StateName: contract.StateIdle, AskedAt: time.Now()}
	_, over, err := w.evaluate(observation{}, notFound)
	require.NoError(t, err)
	require.False(t, over, "a look may have lagged behind its create")
	w.progress.NotFoundSince = time.Now().Add(-30 * time.Second)
	_, over, err = w.evaluate(observation{}, notFound)
	require.NoError(t, err)
	require.True(t, over)
	w.progress = contract.WaitProgress{StateName: contract.StateDeleting}
	_, over, err = w.evaluate(observation{}, notFound)
	require.NoError(t, err)
	require.True(t, over)
}

// A list that lacks a cluster proves nothing before the cluster was seen in DELETING: it can lag behind the create.
func TestListThatLagsBehindACreate(t *testing.T) {
	t.Parallel()
	for state, gone := range map[string]bool{contract.StateIdle: false, contract.StateDeleting: true} {
		sim, a, _ := setup(t, atlassim.Config{DeleteFor: atlassim.Duration(time.Hour)}, Pace{Fast: time.Nanosecond})
		require.NoError(t, sim.CreateFlex(group, oursInSimulator("orders")))
		found := foundInSimulator(sim)
		found.Cluster.StateName = state
		a.reads.Enter(group, "another", reads.Flex, time.Now()) // so that the wait reads a list
		sim.AddFault(atlassim.Fault{
			Kind: atlassim.FaultBody, Path: "/flexClusters$", Method: "GET", Body: `{"results": [], "totalCount": 0}`,
		})
		_, _, err := deleteOnce(a, found, nil)
		if gone {
			require.NoError(t, err)
			require.Zero(t, sim.Count(atlassim.Deleted))
		} else {
			requireFailureType(t, err, contract.NotYet)
			require.Equal(t, 1, sim.Count(atlassim.Deleted))
		}
	}
}

// A wait that finds another cluster under the name ends: with the end of a delete, and else with CLUSTER_GONE.
func TestAnotherCluster(t *testing.T) {
	t.Parallel()
	saw := observation{
		&atlasclient.Cluster{Name: "orders", ID: "another", StateName: "IDLE"}, &atlasclient.Response{}, flex,
	}
	for _, goal := range []goal{goalIdle, goalAsAsked, goalGone} {
		w := waiting(1, time.Minute, time.Minute, time.Hour)
		w.goal, w.in.ID = goal, clusterID
		cluster, over, err := w.evaluate(saw, nil)
		require.Zero(t, cluster)
		require.Equal(t, goal == goalGone, over)
		if goal == goalGone {
			require.NoError(t, err)
			continue
		}
		requireFailure(t, err, contract.ClusterGone, `cluster "orders": another cluster has its name: to make a new `+
			`one, start the workflow ProvisionFlexCluster`)
	}
}
