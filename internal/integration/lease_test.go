package integration

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv"
	"github.com/atlas-provisioner/atlas-provisioner/provisioner"
)

// quickDelete is a simulator that deletes in a moment.
var quickDelete = atlassim.Config{DeleteFor: atlassim.Duration(100 * time.Millisecond)}

// lease is a request for a lease of an hour.
func lease(t *testing.T) contract.LeaseFlexClusterInput {
	in := flex(t)
	return contract.LeaseFlexClusterInput{
		GroupID: in.GroupID, Name: in.Name, ProviderSettings: in.ProviderSettings, Tags: in.Tags, LeaseSeconds: 3600,
	}
}

// endOfLease waits for the end of a lease, and returns its result.
func endOfLease(s *testenv.Stack, run provisioner.Run) (*contract.LeaseResult, error) {
	end, err := s.Client.Follow(s.Context(), run, func(provisioner.Run) {})
	return end.Lease, err
}

// requireNothingLeft fails where Atlas has a cluster, or has made another number of them.
func requireNothingLeft(s *testenv.Stack, created int) {
	s.TB().Helper()
	require.Empty(s.TB(), s.Sim.Clusters())
	require.Equal(s.TB(), created, s.Sim.Count(atlassim.Created), "creates")
}

// A cluster is leased, also with termination protection. It carries the workflow id of the cluster as its tag. When the
// lease is released, it is deleted.
func TestLease(t *testing.T) {
	t.Parallel()
	s := setup(t, quickDelete)
	in := lease(t)
	in.TerminationProtectionEnabled = true
	run, cluster, err := s.Client.Lease(s.Context(), in)
	require.NoError(t, err)
	require.Equal(t, "IDLE", cluster.StateName)
	require.Equal(t, contract.Created, cluster.Outcome)
	require.Equal(t, "atlas-lease-"+project+"-"+in.Name, run.WorkflowID)
	require.True(t, cluster.OwnedBy(contract.ClusterWorkflowID(project, in.Name)))

	deadline, err := s.Client.Extend(s.Context(), run.WorkflowID, "", time.Hour)
	require.NoError(t, err)
	require.WithinDuration(t, time.Now().Add(2*time.Hour), deadline, testenv.Patience)
	status, err := s.Client.Status(s.Context(), run.WorkflowID, "")
	require.NoError(t, err)
	require.Equal(t, deadline.UTC(), status.Deadline.UTC())
	require.Equal(t, "IDLE", status.ClusterState)
	require.Equal(t, contract.WatchLeaseActivity, status.Pending.Activity)

	require.NoError(t, s.Client.Release(s.Context(), run.WorkflowID, ""))
	result, err := endOfLease(s, run)
	require.NoError(t, err)
	require.Equal(t, contract.Released, result.Outcome)
	require.Equal(t, cluster.ID, result.Cluster.ID)
	require.Equal(t, "DELETED", result.Cluster.StateName)
	require.Equal(t, contract.Deleted, result.Cluster.Outcome)
	require.Less(t, result.ReleasedAt.Sub(result.LeasedAt), testenv.Patience)
	requireNothingLeft(s, 1)
	require.LessOrEqual(t, len(s.History(run)), 60)
	recordRun(s, run, "lease-released")
}

// Whenever a lease is cancelled, its cluster goes, and the run ends as cancelled.
func TestLeaseCanceled(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		history string
		sim     atlassim.Config
		await   func(*testenv.Stack, contract.LeaseFlexClusterInput, provisioner.Run)
	}{
		{"during the provision", "lease-canceled-while-provisioning", atlassim.Config{
			CreateFor: atlassim.Duration(time.Hour), DeleteFor: atlassim.Duration(100 * time.Millisecond),
		}, func(s *testenv.Stack, in contract.LeaseFlexClusterInput, _ provisioner.Run) {
			s.AwaitRequests(1, "GET", "/"+in.Name)
		}},
		{"when it is leased", "lease-canceled-while-leased", quickDelete, awaitLeased},
		{"during the deletion", "lease-canceled-while-deleting",
			atlassim.Config{DeleteFor: atlassim.Duration(2 * time.Second)},
			func(s *testenv.Stack, in contract.LeaseFlexClusterInput, run provisioner.Run) {
				awaitLeased(s, in, run)
				require.NoError(s.TB(), s.Client.Cancel(s.Context(), run.WorkflowID, ""))
				s.AwaitRequests(1, http.MethodDelete, "/"+in.Name)
			}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := setup(t, test.sim)
			in := lease(t)
			run := start(s, in)
			test.await(s, in, run)
			require.NoError(t, s.Client.Cancel(s.Context(), run.WorkflowID, ""))
			_, err := endOfLease(s, run)
			require.Equal(t, provisioner.Canceled, testenv.Failure(t, err).State)
			requireNothingLeft(s, 1)
			recordRun(s, run, test.history)
		})
	}
}

func awaitLeased(s *testenv.Stack, _ contract.LeaseFlexClusterInput, run provisioner.Run) {
	s.TB().Helper()
	_, err := s.Client.Ready(s.Context(), run.WorkflowID, "")
	require.NoError(s.TB(), err)
}

// A lease that is released before its cluster is IDLE ends then. Whoever waited for the cluster is told.
func TestLeaseReleasedDuringProvision(t *testing.T) {
	t.Parallel()
	s := setup(t, slowCreate)
	in := lease(t)
	run := start(s, in)
	ready := make(chan error, 1)
	go func() {
		_, err := s.Client.Ready(s.Context(), run.WorkflowID, run.RunID)
		ready <- err
	}()
	s.AwaitRequests(1, "GET", "/"+in.Name)
	deadline, err := s.Client.Extend(s.Context(), run.WorkflowID, "", time.Hour)
	require.NoError(t, err, "before the lease begins")
	require.WithinDuration(t, time.Now().Add(2*time.Hour), deadline, testenv.Patience)
	require.NoError(t, s.Client.Release(s.Context(), run.WorkflowID, ""))
	failure := testenv.Failure(t, <-ready)
	require.Equal(t, "CANCELED", failure.Type)
	require.Equal(t, `the lease was released before cluster "`+in.Name+`" was IDLE`, failure.Message)
	result, err := endOfLease(s, run)
	require.NoError(t, err)
	require.Equal(t, contract.Released, result.Outcome)
	require.True(t, result.LeasedAt.IsZero())
	require.NotEmpty(t, result.Cluster.ID)
	requireNothingLeft(s, 1)
}

// A provision that fails ends the lease, which fails as it did. Whatever can have been made is deleted, and nothing
// else.
func TestLeaseWhoseProvisionFails(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		sim     atlassim.Config
		prepare func(*testing.T, *testenv.Stack)
		change  func(*contract.LeaseFlexClusterInput)
		fails   string
		message string
		history string
		// left is how many clusters there are in the end, and created how many were made.
		left, created int
	}{
		{
			name: "half made when the time is up", sim: slowCreate, fails: "TIMEOUT", created: 1,
			history: "lease-timeout",
			change:  func(in *contract.LeaseFlexClusterInput) { in.TimeoutSeconds = new(4) },
			message: " is deleted",
		},
		{
			name: "made, but the answers are lost", fails: "HTTP_503", created: 1,
			prepare: addFault(afterEffect(htmlFault(503))),
			change:  func(in *contract.LeaseFlexClusterInput) { in.TimeoutSeconds = new(4) },
			message: " is deleted",
		},
		{
			name: "nothing made", prepare: addFault(statusFault(402, "NO_PAYMENT_INFORMATION_FOUND")),
			fails: "NO_PAYMENT_INFORMATION_FOUND", message: ". The lease has ended: there was no cluster to delete",
		},
		{
			name: "the name is somebody else's", fails: "CLUSTER_CONFLICT", left: 1, history: "lease-conflict",
			prepare: func(t *testing.T, s *testenv.Stack) { createByOthers(s, flex(t)) },
			message: "It was left untouched",
		},
		{
			name: "ours, but not as asked", fails: "CLUSTER_CONFLICT", left: 1, created: 1,
			prepare: executeBefore(flexInEurope), message: "this workflow made it, but it is not as asked",
		},
		{
			name: "ours, made before the lease", fails: "NO_PAYMENT_INFORMATION_FOUND", left: 1, created: 1,
			prepare: func(t *testing.T, s *testenv.Stack) {
				executeBefore(flexRequest)(t, s)
				addFault(statusFault(402, "NO_PAYMENT_INFORMATION_FOUND"))(t, s)
			},
			message: ". The lease has ended: there was no cluster to delete",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if test.sim.DeleteFor == 0 {
				test.sim.DeleteFor = quickDelete.DeleteFor
			}
			s := setup(t, test.sim)
			if test.prepare != nil {
				test.prepare(t, s)
			}
			in := lease(t)
			if test.change != nil {
				test.change(&in)
			}
			run, _, err := s.Client.Lease(s.Context(), in)
			ready := testenv.Failure(t, err)
			require.Equal(t, test.fails, ready.Type)
			_, err = endOfLease(s, run)
			failure := testenv.Failure(t, err)
			require.Equal(t, provisioner.Failed, failure.State)
			require.Equal(t, test.fails, failure.Type)
			require.Contains(t, failure.Message, ready.Message)
			require.Contains(t, failure.Message, test.message)
			require.Equal(t, ready.Details, failure.Details)
			require.Len(t, s.Sim.Clusters(), test.left)
			require.Equal(t, test.created, s.Sim.Count(atlassim.Created))
			if test.history != "" {
				recordRun(s, run, test.history)
			}
		})
	}
}

// A cluster that is there, is as asked and carries the tag of its workflow id is leased: that is how a lease takes up
// what an earlier one left that was terminated. It is deleted when the lease ends.
func TestLeaseOfWhatIsThere(t *testing.T) {
	t.Parallel()
	s := setup(t, quickDelete)
	executeBefore(flexRequest)(t, s)
	run, cluster, err := s.Client.Lease(s.Context(), lease(t))
	require.NoError(t, err)
	require.Equal(t, contract.Unchanged, cluster.Outcome)
	require.NoError(t, s.Client.Release(s.Context(), run.WorkflowID, ""))
	_, err = endOfLease(s, run)
	require.NoError(t, err)
	requireNothingLeft(s, 1)
}

// A lease can do without the ownership tag. What it made is deleted, also half made.
func TestLeaseWithoutTag(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		sim  atlassim.Config
	}{{"released", quickDelete}, {"half made", slowCreate}} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := setup(t, test.sim)
			in := lease(t)
			in.OwnershipTag = new(false)
			run := start(s, in)
			s.AwaitRequests(1, "GET", "/"+in.Name)
			require.NoError(t, s.Client.Release(s.Context(), run.WorkflowID, ""))
			_, err := endOfLease(s, run)
			require.NoError(t, err)
			requireNothingLeft(s, 1)
		})
	}
}

// Where the same request runs under the workflow id of the cluster, a lease waits for its end and takes its cluster. A
// different one is left alone, and the lease fails.
func TestLeaseBesideAnotherRun(t *testing.T) {
	t.Parallel()
	t.Run("the same request", func(t *testing.T) {
		t.Parallel()
		s := setup(t, neverIdle())
		other := start(s, flex(t))
		awaitCreating(s, s.Client, other)
		run := start(s, lease(t))
		testenv.Eventually(t, func() bool {
			return len(scheduledActivities(s, run)) == 1
		}, "the lease waits for the other run")
		makeIdle(s)
		cluster, err := s.Client.Ready(s.Context(), run.WorkflowID, "")
		require.NoError(t, err)
		require.Equal(t, contract.Unchanged, cluster.Outcome)
		_, err = s.Client.Result(s.Context(), other.WorkflowID, other.RunID)
		require.NoError(t, err)
		require.NoError(t, s.Client.Release(s.Context(), run.WorkflowID, ""))
		_, err = endOfLease(s, run)
		require.NoError(t, err)
		requireNothingLeft(s, 1)
		recordRun(s, run, "lease-joined")
	})
	t.Run("another request", func(t *testing.T) {
		t.Parallel()
		s := setup(t, neverIdle())
		other := start(s, flexInEurope(t))
		awaitCreating(s, s.Client, other)
		_, _, err := s.Client.Lease(s.Context(), lease(t))
		failure := testenv.Failure(t, err)
		require.Equal(t, contract.RequestConflict, failure.Type)
		require.Contains(t, failure.Message, `a different request runs under workflow id "`+other.WorkflowID+`"`)
		require.Len(t, failure.Details.Differences, 1)
		makeIdle(s)
		requireOneCluster(s, other)
	})
	t.Run("cancelled while it waits", func(t *testing.T) {
		t.Parallel()
		s := setup(t, neverIdle())
		other := start(s, flex(t))
		awaitCreating(s, s.Client, other)
		run := start(s, lease(t))
		testenv.Eventually(t, func() bool { return len(scheduledActivities(s, run)) == 1 })
		require.NoError(t, s.Client.Cancel(s.Context(), run.WorkflowID, ""))
		_, err := endOfLease(s, run)
		require.Equal(t, provisioner.Canceled, testenv.Failure(t, err).State)
		makeIdle(s)
		requireOneCluster(s, other)
	})
}

// A lease whose cluster somebody deleted ends by itself, and says so. A successor of the same name is left alone.
func TestLeaseWhoseClusterGoes(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name      string
		successor bool
		message   string
	}{
		{"deleted", false, ", is gone: Atlas has known no such cluster for "},
		{"another has its name", true, ", is gone: another cluster has its name, with the id "},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := setup(t, atlassim.Config{DeleteFor: atlassim.Duration(time.Nanosecond)})
			in := lease(t)
			run, cluster, err := s.Client.Lease(s.Context(), in)
			require.NoError(t, err)
			deleteCluster(t, s)
			if test.successor {
				// It carries the same tag, as one that was made anew by hand.
				createByOthers(s, flex(t), atlassim.Tag{
					Key: contract.OwnershipTag, Value: contract.ClusterWorkflowID(project, in.Name),
				})
			}
			_, err = endOfLease(s, run)
			failure := testenv.Failure(t, err)
			require.Equal(t, contract.ClusterGone, failure.Type)
			require.Contains(t, failure.Message, `cluster "`+in.Name+`" with the id `+cluster.ID+
				", which was leased until ")
			require.Contains(t, failure.Message, test.message)
			require.Equal(t, test.successor, len(s.Sim.Clusters()) == 1)
			if !test.successor {
				recordRun(s, run, "lease-gone")
			}
			_, err = s.Client.Ready(s.Context(), run.WorkflowID, run.RunID)
			require.Equal(t, contract.ClusterGone, testenv.Failure(t, err).Type)
		})
	}
}

// The termination of a lease deletes nothing: what it had asked for takes its course. A lease that is started anew
// takes the cluster up.
func TestTerminatedLease(t *testing.T) {
	t.Parallel()
	s := setup(t, neverIdle())
	in := lease(t)
	run := start(s, in)
	s.AwaitRequests(1, "GET", "/"+in.Name)
	before, err := s.Client.Status(s.Context(), contract.ClusterWorkflowID(project, in.Name), "")
	require.NoError(t, err)
	require.NoError(t, s.Temporal.TerminateWorkflow(s.Context(), run.WorkflowID, run.RunID, "test"))
	run = start(s, in)
	testenv.Eventually(t, func() bool {
		return len(scheduledActivities(s, run)) == 1 || len(describe(s, run).GetPendingChildren()) == 1
	}, "it waits for what goes on")
	provision, err := s.Client.Status(s.Context(), before.WorkflowID, before.RunID)
	require.NoError(t, err)
	require.Equal(t, provisioner.Running, provision.State)
	makeIdle(s)
	_, err = s.Client.Ready(s.Context(), run.WorkflowID, run.RunID)
	require.NoError(t, err)
	require.NoError(t, s.Client.Release(s.Context(), run.WorkflowID, ""))
	_, err = endOfLease(s, run)
	require.NoError(t, err)
	requireNothingLeft(s, 1)
}

// A lease that is extended again and again continues as new. No extension and no caller is lost, and the client follows
// it under the id of its first run.
func TestLeaseExtendedOften(t *testing.T) {
	t.Parallel()
	s := setup(t, quickDelete)
	run, cluster, err := s.Client.Lease(s.Context(), lease(t))
	require.NoError(t, err)
	const extensions = 240
	before, err := s.Client.Status(s.Context(), run.WorkflowID, "")
	require.NoError(t, err)
	errs := make(chan error)
	for range 4 {
		go func() {
			for range extensions / 4 {
				_, err := s.Client.Extend(s.Context(), run.WorkflowID, "", time.Minute)
				errs <- err
			}
		}()
	}
	for range extensions {
		require.NoError(t, <-errs)
	}
	after, err := s.Client.Status(s.Context(), run.WorkflowID, run.RunID)
	require.NoError(t, err)
	require.Equal(t, before.Deadline.Add(extensions*time.Minute), after.Deadline)
	require.NotEqual(t, run.RunID, after.RunID)
	again, err := s.Client.Start(s.Context(), lease(t))
	require.NoError(t, err)
	require.Equal(t, provisioner.Run{WorkflowID: run.WorkflowID, RunID: after.RunID, Joined: true}, again)
	for next := after; next.RunID == after.RunID; { // so that the history that is recorded is short
		_, err := s.Client.Extend(s.Context(), run.WorkflowID, "", time.Minute)
		require.NoError(t, err)
		next, err = s.Client.Status(s.Context(), run.WorkflowID, "")
		require.NoError(t, err)
	}
	ready, err := s.Client.Ready(s.Context(), run.WorkflowID, run.RunID)
	require.NoError(t, err)
	require.Equal(t, cluster, ready)
	require.Less(t, len(s.History(provisioner.Run{WorkflowID: run.WorkflowID, RunID: run.RunID})), 700)
	require.NoError(t, s.Client.Release(s.Context(), run.WorkflowID, ""))
	result, err := endOfLease(s, run)
	require.NoError(t, err)
	require.Equal(t, cluster.ID, result.Cluster.ID)
	requireNothingLeft(s, 1)
	last := describe(s, provisioner.Run{WorkflowID: run.WorkflowID}).GetWorkflowExecutionInfo().GetExecution()
	recordRun(s, provisioner.Run{WorkflowID: run.WorkflowID, RunID: last.GetRunId()}, "lease-continued")
}

// releaseAndEnd releases a lease if it still runs, and returns its outcome or the type of its failure.
func releaseAndEnd(s *testenv.Stack, run provisioner.Run) string {
	s.TB().Helper()
	if err := s.Client.Release(s.Context(), run.WorkflowID, run.RunID); err != nil {
		var ended *serviceerror.NotFound
		require.ErrorAs(s.TB(), err, &ended)
	}
	result, err := endOfLease(s, run)
	if err != nil {
		return testenv.Failure(s.TB(), err).Type
	}
	return string(result.Outcome)
}

// A lease that is reset to any point, before and after its end, deletes its cluster in the end.
func TestResetLease(t *testing.T) {
	t.Parallel()
	t.Run("during the provision", func(t *testing.T) {
		t.Parallel()
		s := setup(t, neverIdle())
		run := start(s, lease(t))
		s.AwaitRequests(1, "GET", "/"+testenv.ClusterName(t))
		for _, point := range finishedTasks(s, run) {
			run = reset(s, run, point)
			testenv.Eventually(t, func() bool {
				return len(finishedTasks(s, run)) > 0 && len(describe(s, run).GetPendingChildren()) == 1 ||
					len(scheduledActivities(s, run)) == 1
			})
		}
		makeIdle(s)
		awaitLeased(s, lease(t), run)
		require.Equal(t, "RELEASED", releaseAndEnd(s, run))
		requireNothingLeft(s, 1)
	})
	t.Run("cancelled after a reset during the provision", func(t *testing.T) {
		t.Parallel()
		s := setup(t, neverIdle())
		run := start(s, lease(t))
		s.AwaitRequests(1, "GET", "/"+testenv.ClusterName(t))
		points := finishedTasks(s, run)
		run = reset(s, run, points[len(points)-1])
		testenv.Eventually(t, func() bool {
			return len(scheduledActivities(s, run)) == 1
		}, "it waits for the first child")
		require.NoError(t, s.Client.Cancel(s.Context(), run.WorkflowID, run.RunID))
		makeIdle(s)
		_, err := endOfLease(s, run)
		require.Equal(t, provisioner.Canceled, testenv.Failure(t, err).State)
		requireNothingLeft(s, 1)
	})
	t.Run("when it is leased", func(t *testing.T) {
		t.Parallel()
		s := setup(t, quickDelete)
		run := start(s, lease(t))
		awaitLeased(s, lease(t), run)
		for range finishedTasks(s, run) {
			points := finishedTasks(s, run)
			run = reset(s, run, points[0])
			awaitLeased(s, lease(t), run)
			run = reset(s, run, points[len(points)-1])
			awaitLeased(s, lease(t), run)
		}
		require.Equal(t, "RELEASED", releaseAndEnd(s, run))
		requireNothingLeft(s, 1)
	})
	t.Run("after its end", func(t *testing.T) {
		t.Parallel()
		s := setup(t, quickDelete)
		run := start(s, lease(t))
		awaitLeased(s, lease(t), run)
		require.Equal(t, "RELEASED", releaseAndEnd(s, run))
		for _, point := range finishedTasks(s, run) {
			end := releaseAndEnd(s, reset(s, run, point))
			require.Contains(t, []string{"RELEASED", "CLUSTER_GONE"}, end)
			require.Empty(t, s.Sim.Clusters(), "event %d", point)
		}
	})
	t.Run("after its provision failed", func(t *testing.T) {
		t.Parallel()
		s := setup(t, quickDelete)
		addFault(statusFault(402, "NO_PAYMENT_INFORMATION_FOUND"))(t, s)
		run := start(s, lease(t))
		_, err := endOfLease(s, run)
		require.Equal(t, "NO_PAYMENT_INFORMATION_FOUND", testenv.Failure(t, err).Type)
		s.Sim.ClearFaults()
		points := finishedTasks(s, run)
		again := reset(s, run, points[len(points)-1])
		awaitLeased(s, lease(t), again)
		require.Equal(t, "RELEASED", releaseAndEnd(s, again))
		requireNothingLeft(s, 1)
	})
}

// A worker is killed at each moment of a lease that is the lease's own, and another one is started. Each time the lease
// ends with one cluster made, and none left.
func TestKillWorkerOfLease(t *testing.T) {
	t.Parallel()
	bin := buildWorker(t)
	var moments []killMoment
	at := func(name, method, path string, nth int) {
		for _, stage := range []atlassim.Stage{atlassim.Arrived, atlassim.Answered} {
			moments = append(moments, killMoment{name + " " + string(stage), method, path, nth, stage})
		}
	}
	at("create", "POST", "/flexClusters", 1)
	at("look at the cluster that is leased", "GET", "/flexClusters/NAME", 2)
	at("delete", "DELETE", "/flexClusters/NAME", 1)
	for _, m := range moments {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			s, startWorker, killed := stackToKill(t, bin, m, quickDelete)
			startWorker()
			run, _, err := s.Client.Lease(s.Context(), lease(t))
			require.NoError(t, err)
			if m.method != "DELETE" {
				<-killed
			}
			require.NoError(t, s.Client.Release(s.Context(), run.WorkflowID, ""))
			_, err = endOfLease(s, run)
			require.NoError(t, err)
			<-killed
			requireNothingLeft(s, 1)
		})
	}
}

// With a codec, Temporal stores the end of a lease encrypted too. A caller with the key reads it, and the lease
// continues as new as without a codec.
func TestEncryptedLease(t *testing.T) {
	t.Parallel()
	payloads := codecWithKeys(t, "first")
	s := setup(t, quickDelete, withCodec(payloads))
	c := clientWithCodec(s, payloads)
	run, cluster, err := c.Lease(s.Context(), lease(t))
	require.NoError(t, err)
	status, err := c.Status(s.Context(), run.WorkflowID, "")
	require.NoError(t, err)
	require.WithinDuration(t, time.Now().Add(time.Hour), status.Deadline, testenv.Patience)
	blind, err := s.Client.Status(s.Context(), run.WorkflowID, "")
	require.NoError(t, err)
	require.Zero(t, blind.Deadline)
	for next := run.RunID; next == run.RunID; {
		_, err := c.Extend(s.Context(), run.WorkflowID, "", time.Minute)
		require.NoError(t, err)
		status, err = c.Status(s.Context(), run.WorkflowID, "")
		require.NoError(t, err)
		next = status.RunID
	}
	again, err := c.Start(s.Context(), lease(t))
	require.NoError(t, err)
	require.True(t, again.Joined)
	// Whoever follows the first run gets the end also where a later one is reset.
	type ended struct {
		end provisioner.End
		err error
	}
	ends := make(chan ended, 1)
	go func() {
		end, err := c.Follow(s.Context(), run, func(provisioner.Run) {})
		ends <- ended{end, err}
	}()
	last := provisioner.Run{WorkflowID: run.WorkflowID, RunID: again.RunID}
	testenv.Eventually(t, func() bool { return len(finishedTasks(s, last)) > 0 })
	last = reset(s, last, finishedTasks(s, last)[0])
	require.NoError(t, c.Release(s.Context(), run.WorkflowID, last.RunID))
	got := <-ends
	require.NoError(t, got.err)
	require.Equal(t, cluster.ID, got.end.Lease.Cluster.ID)
	requireNothingLeft(s, 1)
}
