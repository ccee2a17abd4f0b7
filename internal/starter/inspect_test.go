package starter

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv"
	"github.com/atlas-provisioner/atlas-provisioner/provisioner"
)

// ended is the JSON of a run that ended in a state that is no answer of Atlas.
func ended(state, message string) string {
	return `{
  "workflowId": "atlas-cluster-PROJECT-orders",
  "runId": "RUN",
  "status": "` + state + `",
  "failure": {
    "type": "` + state + `",
    "message": "` + message + `",
    "details": {
      "status": 0,
      "errorCode": "",
      "reason": "",
      "detail": "",
      "method": "",
      "path": ""
    }
  }
}
`
}

const header = "Workflow   atlas-cluster-PROJECT-orders\nRun        RUN\n"

// workerLine is the line of status that names the worker of the activity.
const workerLine = "Worker     HOST (build dev, pid N)\n"

func TestStatusOfARunningOne(t *testing.T) {
	t.Parallel()
	s := setupWithoutWorker(t, atlassim.Config{CreateFor: atlassim.Duration(time.Hour)})
	require.Equal(t, 0, s.run(s.flags("provision-flex")...).code)
	want := output{stdout: header + "Status     RUNNING, " + waitingForAWorker + "\nWeb UI     " + webUILink + "\n"}
	require.Eventually(
		t,
		func() bool { return s.run("status", s.clusterID()) == want },
		testenv.Patience,
		10*time.Millisecond,
	)
	require.Equal(t, output{stdout: `{
  "workflowId": "atlas-cluster-PROJECT-orders",
  "runId": "RUN",
  "status": "RUNNING",
  "progress": {
    "seconds": N,
    "blocker": {
      "reason": "NO_WORKER",
      "message": "no worker polls the task queue \"QUEUE\": start one, or let TEMPORAL_TASK_QUEUE name the queue ` +
		`that the workers poll"
    }
  }
}
`}, s.run("status", s.clusterID(), "--output=json"))

	s.startWorker()
	want = output{stdout: header + "Status     RUNNING, CREATING, Ns, attempt 1\n" + workerLine +
		"Web UI     " + webUILink + "\n"}
	require.Eventually(
		t,
		func() bool { return s.run("status", s.clusterID()) == want },
		testenv.Patience,
		10*time.Millisecond,
	)
	require.Equal(t, output{stdout: `{
  "workflowId": "atlas-cluster-PROJECT-orders",
  "runId": "RUN",
  "status": "RUNNING",
  "progress": {
    "activity": "WaitUntilIdle",
    "clusterState": "CREATING",
    "attempt": 1,
    "worker": "HOST (build dev, pid N)",
    "seconds": N
  }
}
`}, s.run("status", s.clusterID(), "-o", "json"))
}

// Of a completed run every command prints the result.
func TestCompleted(t *testing.T) {
	t.Parallel()
	s := setup(t, atlassim.Config{})
	require.Equal(t, 0, s.run(s.flags("provision-flex", "--wait")...).code)
	for _, command := range []string{"status", "result"} {
		require.Equal(t, output{stdout: created}, s.run(command, s.clusterID()))
		require.Equal(t, output{stdout: createdJSON}, s.run(command, s.clusterID(), "-o", "json"))
	}
	require.Equal(
		t,
		output{stdout: created, stderr: "Following atlas-cluster-PROJECT-orders\n"},
		s.run("watch", s.clusterID()),
	)
	require.Equal(
		t,
		output{stdout: createdJSON, stderr: "Following atlas-cluster-PROJECT-orders\n"},
		s.run("watch", s.clusterID(), "-o", "json"),
	)
	require.Equal(
		t,
		output{
			code: 2,
			stderr: "starter: workflow atlas-cluster-PROJECT-orders has ended already: COMPLETED. 'starter status' " +
				"tells how\n",
		},
		s.run("cancel", s.clusterID()),
	)
}

// watch shows progress; result waits in silence.
func TestWatchAndResult(t *testing.T) {
	t.Parallel()
	s := setupWithoutWorker(t, atlassim.Config{})
	require.Equal(t, 0, s.run(s.flags("provision-flex")...).code)
	watch := s.start("watch", s.clusterID())
	watch.sees("Following atlas-cluster-PROJECT-orders\n" + waitingForAWorker)
	result := s.start("result", s.clusterID())
	resultJSON := s.start("result", s.clusterID(), "-o", "json")
	s.startWorker()
	require.Equal(t, output{stdout: created}, result.end())
	require.Equal(t, output{stdout: createdJSON}, resultJSON.end())
	out := watch.end()
	require.Equal(t, 0, out.code)
	require.Equal(t, created, out.stdout)
	_, rest := s.progress(out.stderr)
	require.Equal(t, "Following atlas-cluster-PROJECT-orders\n", rest)
}

// cancel ends the run and leaves the cluster, which the same request takes up.
func TestCancel(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		flags        []string
		asked, ended string
	}{
		{nil, "Asked workflow atlas-cluster-PROJECT-orders to end. The cluster is left as it is.\n", ""},
		{[]string{"-o", "json"}, runningJSON, ended("CANCELED", "the run was cancelled; what Atlas has begun "+
			"goes on")},
	} {
		name := "text"
		if test.flags != nil {
			name = "json"
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, letGo := setupHeld(t, func(atlassim.Stage, atlassim.Entry) {})
			s.startWorker()
			run := func(command string) output {
				return s.run(append([]string{command, s.clusterID()}, test.flags...)...)
			}
			require.Equal(t, 0, s.run(s.flags("provision-flex")...).code)
			require.Eventually(
				t,
				func() bool { return s.sim.Count(atlassim.Created) == 1 },
				testenv.Patience,
				10*time.Millisecond,
			)
			watch := s.start("watch", s.clusterID())
			watch.sees("Following atlas-cluster-PROJECT-orders")
			require.Equal(t, output{stdout: test.asked}, run("cancel"))

			const complaint = "Web UI     " + webUILink + "\nstarter: CANCELED: the run was cancelled; what " +
				"Atlas has begun goes on\n"
			out := watch.end()
			require.Equal(t, 1, out.code)
			require.Empty(t, out.stdout)
			_, rest := s.progress(out.stderr)
			require.Equal(t, "Following atlas-cluster-PROJECT-orders\n"+complaint, rest)
			require.Equal(t, output{1, test.ended, complaint}, run("result"))
			require.Equal(t, output{1, test.ended, complaint}, run("status"))
			require.Equal(
				t,
				output{
					code: 2,
					stderr: "starter: workflow atlas-cluster-PROJECT-orders has ended already: CANCELED. 'starter " +
						"status' tells how\n",
				},
				run("cancel"),
			)

			letGo()
			out = s.run(s.flags("provision-flex", "--wait")...)
			require.Equal(t, 0, out.code, out.stderr)
			require.Contains(t, out.stdout, " is IDLE: UNCHANGED\n")
			require.Equal(t, 1, s.sim.Count(atlassim.Created))
		})
	}
}

func TestTerminated(t *testing.T) {
	t.Parallel()
	const message = "the run was terminated; what Atlas has begun goes on"
	const complaint = "Web UI     " + webUILink + "\nstarter: TERMINATED: " + message + "\n"
	s := setupWithoutWorker(t, atlassim.Config{})
	require.Equal(t, 0, s.run(s.flags("provision-flex")...).code)
	watch := s.start("watch", s.clusterID())
	watch.sees(waitingForAWorker)
	require.NoError(t, s.temporal().TerminateWorkflow(s.ctx(), s.clusterID(), "", "by hand"))
	require.Equal(
		t,
		output{1, "", "Following atlas-cluster-PROJECT-orders\n" + waitingForAWorker + "\n" + complaint},
		watch.end(),
	)
	require.Equal(t, output{1, "", complaint}, s.run("status", s.clusterID()))
	require.Equal(t, output{1, ended("TERMINATED", message), complaint}, s.run("result", s.clusterID(), "-o", "json"))
}

// The starter sets no time limit with Temporal; somebody else may.
func TestTimedOut(t *testing.T) {
	t.Parallel()
	const message = "the run reached the time limit that Temporal was given for it; what Atlas has begun goes on"
	const complaint = "Web UI     " + webUILink + "\nstarter: TIMED_OUT: " + message + "\n"
	s := setupWithoutWorker(t, atlassim.Config{})
	_, err := s.temporal().ExecuteWorkflow(s.ctx(), client.StartWorkflowOptions{
		ID: s.clusterID(), TaskQueue: s.queue, WorkflowExecutionTimeout: time.Second,
	}, "ProvisionFlexCluster")
	require.NoError(t, err)
	require.Equal(t, output{1, "", complaint}, s.run("result", s.clusterID()))
	require.Equal(t, output{1, ended("TIMED_OUT", message), complaint}, s.run("status", s.clusterID(), "-o", "json"))
}

func TestUnknownWorkflow(t *testing.T) {
	t.Parallel()
	s := setupWithoutWorker(t, atlassim.Config{})
	for _, command := range []string{"status", "watch", "result", "cancel"} {
		for _, flags := range [][]string{nil, {"-o", "json"}} {
			require.Equal(
				t,
				output{
					code: 2,
					stderr: "starter: Temporal knows no such workflow in namespace \"default\": workflow not found " +
						"for ID: atlas-cluster-PROJECT-orders. 'starter list' shows those there are\n",
				},
				s.run(append([]string{command, s.clusterID()}, flags...)...),
			)
		}
	}
}

// A line of progress: state, seconds, attempt, and what held the run up.
func TestLine(t *testing.T) {
	t.Parallel()
	began := time.Date(2026, 8, 10, 3, 2, 55, 0, time.UTC)
	for _, test := range []struct {
		pending *provisioner.PendingActivity
		want    string
	}{
		{nil, "waiting for a worker, 75s"},
		{&provisioner.PendingActivity{Activity: "CreateFlexCluster", Attempt: 1}, "asking Atlas to create the Flex " +
			"cluster, 75s, attempt 1"},
		{&provisioner.PendingActivity{Activity: "UpgradeClusterToServerless", Attempt: 2, LastFailure: "why"},
			"asking Atlas to upgrade the cluster to serverless, 75s, attempt 2: why"},
		{&provisioner.PendingActivity{Activity: "WaitUntilIdle", Attempt: 1}, "waiting until IDLE, 75s, attempt 1"},
		{&provisioner.PendingActivity{Activity: "WaitUntilIdle", Attempt: 1, ClusterState: "CREATING",
			LastFailure: "of no interest"}, "CREATING, 75s, attempt 1"},
		{&provisioner.PendingActivity{Activity: "WaitUntilIdle", Attempt: 9, ClusterState: "REPAIRING",
			LastFailure: "why"}, "REPAIRING, 75s, attempt 9: why"},
		{&provisioner.PendingActivity{Activity: "UpdateFlexCluster", Attempt: 1},
			"asking Atlas to update the Flex cluster, 75s, attempt 1"},
		{&provisioner.PendingActivity{Activity: "UpgradeClusterToFlex", Attempt: 1},
			"asking Atlas to upgrade the cluster to Flex, 75s, attempt 1"},
		{&provisioner.PendingActivity{Activity: "WaitUntilAsAsked", Attempt: 1},
			"waiting until it is as asked, 75s, attempt 1"},
		{&provisioner.PendingActivity{Activity: "WaitUntilAsAsked", Attempt: 2, ClusterState: "UPDATING"},
			"UPDATING, 75s, attempt 2"},
		{&provisioner.PendingActivity{Activity: "WaitUntilAsAsked", Attempt: 2, ClusterState: "IDLE"},
			"IDLE, not yet as asked, 75s, attempt 2"},
		{&provisioner.PendingActivity{Activity: "FindCluster", Attempt: 1},
			"finding out whose the cluster is, 75s, attempt 1"},
		{&provisioner.PendingActivity{Activity: "DeleteCluster", Attempt: 1},
			"asking Atlas to delete the cluster, 75s, attempt 1"},
		{&provisioner.PendingActivity{Activity: "DeleteCluster", Attempt: 3, ClusterState: "IDLE", LastFailure: "why"},
			"asking Atlas to delete the cluster, 75s, attempt 3: why"},
		{&provisioner.PendingActivity{Activity: "DeleteCluster", Attempt: 2, ClusterState: "DELETING"},
			"DELETING, 75s, attempt 2"},
		{&provisioner.PendingActivity{Activity: "OfALaterVersion", Attempt: 1}, "OfALaterVersion, 75s, attempt 1"},
	} {
		s := provisioner.Status{State: provisioner.Running, Started: began, Pending: test.pending}
		if test.pending != nil {
			s.ClusterState = test.pending.ClusterState
		}
		require.Equal(t, test.want, line(s, began.Add(75*time.Second+900*time.Millisecond)))
	}
}
