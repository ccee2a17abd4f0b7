package starter

import (
	"context"
	"errors"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv"
)

// cli runs Temporal's own program, as an operator does.
func (s *stack) cli(args ...string) {
	s.t.Helper()
	args = append(args, "--address", testenv.Shared().Address())
	out, err := exec.CommandContext(s.ctx(), testenv.Shared().CLI, args...).
		CombinedOutput()
	require.NoError(s.t, err, "%s", out)
}

// startOtherWorker starts a worker with a workflow of the test's own under the name of ours, and an activity under that
// of a wait.
func (s *stack) startOtherWorker(flow any, wait func(context.Context) error) (stop func()) {
	s.t.Helper()
	activities := map[string]any{}
	if wait != nil {
		activities[contract.WaitUntilIdleActivity] = wait
	}
	return s.startFakes(map[string]any{contract.ProvisionFlexCluster: flow}, activities)
}

// startFakes starts a worker with functions of the test's own as workflows and activities, by type.
func (s *stack) startFakes(flows, activities map[string]any) (stop func()) {
	s.t.Helper()
	w := worker.New(s.temporal(), s.queue, worker.Options{WorkerStopTimeout: time.Second})
	for name, flow := range flows {
		w.RegisterWorkflowWithOptions(flow, workflow.RegisterOptions{Name: name})
	}
	for name, function := range activities {
		w.RegisterActivityWithOptions(function, activity.RegisterOptions{Name: name})
	}
	require.NoError(s.t, w.Start())
	s.t.Cleanup(w.Stop)
	return w.Stop
}

// waits is a workflow that runs the activity of a wait.
func waits(ctx workflow.Context, _ contract.ProvisionFlexClusterInput) (contract.Cluster, error) {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: time.Hour})
	return contract.Cluster{Name: "orders"}, workflow.ExecuteActivity(ctx, contract.WaitUntilIdleActivity).Get(ctx, nil)
}

// An activity that somebody has paused is told as such, by status, watch and --wait, with the way to let it go on.
func TestPausedActivity(t *testing.T) {
	t.Parallel()
	s := setupWithoutWorker(t, atlassim.Config{})
	s.startOtherWorker(waits, func(ctx context.Context) error {
		activity.RecordHeartbeat(ctx, contract.WaitProgress{StateName: "CREATING"})
		return temporal.NewApplicationErrorWithOptions(
			"not yet",
			"NOT_YET",
			temporal.ApplicationErrorOptions{NextRetryDelay: time.Second},
		)
	})
	require.Equal(t, 0, s.run(s.flags("provision-flex")...).code)
	watch, wait := s.start("watch", s.clusterID()), s.start(s.flags("provision-flex", "--wait")...)
	wait.sees("Joined atlas-cluster-PROJECT-orders")
	s.cli("activity", "pause", "--workflow-id", s.clusterID(), "--activity-type", "WaitUntilIdle")

	const paused = `: its activity WaitUntilIdle is paused by \S+\. To let it go on: temporal activity unpause ` +
		`--workflow-id atlas-cluster-PROJECT-orders --activity-id \d+\n`
	seen := func(b *background) {
		require.Eventually(t, func() bool {
			return regexp.MustCompile(paused).MatchString(s.clean(b.stderr.String()))
		}, testenv.Patience, 50*time.Millisecond)
	}
	seen(watch)
	seen(wait)
	out := s.run("status", s.clusterID())
	require.Regexp(t, `\nStatus     RUNNING, CREATING, Ns, attempt \d+`+paused, out.stdout)
	require.NotContains(t, out.stdout, "Next look")
	out = s.run("status", s.clusterID(), "-o", "json")
	require.Contains(t, out.stdout, `"reason": "ACTIVITY_PAUSED"`)
	require.Contains(t, out.stdout, `"clusterState": "CREATING"`)
	require.NotContains(t, out.stdout, "nextLook")

	many := s.start("watch", "--project-id", s.project)
	require.Eventually(t, func() bool {
		return regexp.MustCompile("-orders: RUNNING" + paused).MatchString(s.clean(many.stderr.String()))
	}, testenv.Patience, 50*time.Millisecond)
	s.cli("workflow", "terminate", "--workflow-id", s.clusterID())
	require.Equal(t, 1, watch.end().code)
	require.Equal(t, 1, wait.end().code)
	require.Equal(t, 1, many.end().code)
}

// A workflow task that fails on every worker is told with what Temporal knows of it.
func TestFailingWorkflowTask(t *testing.T) {
	t.Parallel()
	s := setupWithoutWorker(t, atlassim.Config{})
	s.startOtherWorker(func(workflow.Context, contract.ProvisionFlexClusterInput) error { panic("a mistake") }, nil)
	wait := s.start(s.flags("provision-flex", "--wait")...)
	const message = `its workflow task fails \(attempt \d+\), WorkflowWorkerUnhandledFailure: a mistake\. It goes ` +
		`on once a worker can run it; the worker's log says more`
	require.Eventually(t, func() bool {
		return regexp.MustCompile(`held up, Ns: ` + message + "\n").
			MatchString(s.clean(wait.stderr.String()))
	}, testenv.Patience, 50*time.Millisecond)
	require.Regexp(
		t,
		"Status     RUNNING, held up, Ns: "+message+"\n",
		s.run("status", s.clusterID()).stdout,
	)
	require.Contains(t, s.run("status", s.clusterID(), "-o", "json").stdout, `"reason": "WORKFLOW_TASK_FAILS"`)
	s.cli("workflow", "terminate", "--workflow-id", s.clusterID())
	require.Equal(t, 1, wait.end().code)
}

// A worker that is gone, after it was there, is told once it should have taken something.
func TestWorkerGone(t *testing.T) {
	t.Parallel()
	s := setupWithoutWorker(t, atlassim.Config{})
	stop := s.startOtherWorker(waits, func(context.Context) error {
		return temporal.NewApplicationErrorWithOptions(
			"not yet",
			"NOT_YET",
			temporal.ApplicationErrorOptions{NextRetryDelay: time.Second},
		)
	})
	wait := s.start(s.flags("provision-flex", "--wait")...)
	wait.sees("waiting until IDLE, Ns, attempt 3: not yet")
	stop()
	require.Eventually(t, func() bool {
		return regexp.MustCompile(`waiting for a worker, Ns, attempt \d+: no worker (polls the task queue|has ` +
			`taken its task: those of the task queue) "QUEUE"`).
			MatchString(s.clean(wait.stderr.String()))
	}, testenv.Patience, 50*time.Millisecond)
	wait.interrupt()
	require.Equal(t, 130, wait.end().code)
}

// From the moment that Atlas took the request, status tells the state of the cluster: by the search attribute, or by
// the query, where the wait has not yet reported it. Before, it tells none.
func TestStateInTheFirstSeconds(t *testing.T) {
	t.Parallel()
	state := temporal.NewSearchAttributeKeyKeyword(contract.SearchAttributeClusterState)
	for _, test := range []struct {
		name, activity string
		attribute      bool
		want           string
	}{
		{"search attribute", contract.WaitUntilIdleActivity, true, "CREATING"},
		{"query", contract.WaitUntilIdleActivity, false, "UPDATING"},
		{"while Atlas is asked", contract.CreateFlexClusterActivity, true, "asking Atlas to create the Flex cluster"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := setupWithoutWorker(t, atlassim.Config{})
			release := make(chan struct{})
			begun := make(chan struct{})
			w := worker.New(s.temporal(), s.queue, worker.Options{Identity: "another worker"})
			w.RegisterWorkflowWithOptions(func(ctx workflow.Context, _ contract.ProvisionFlexClusterInput) error {
				err := workflow.SetQueryHandler(ctx, contract.StatusQuery, func() (contract.Status, error) {
					return contract.Status{StateName: "UPDATING"}, nil
				})
				if test.attribute {
					err = errors.Join(err, workflow.UpsertTypedSearchAttributes(ctx, state.ValueSet("CREATING")))
				}
				ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: time.Hour})
				return errors.Join(err, workflow.ExecuteActivity(ctx, test.activity).Get(ctx, nil))
			}, workflow.RegisterOptions{Name: contract.ProvisionFlexCluster})
			w.RegisterActivityWithOptions(func(context.Context) error {
				close(begun)
				<-release
				return nil
			}, activity.RegisterOptions{Name: test.activity})
			require.NoError(t, w.Start())
			t.Cleanup(w.Stop)
			t.Cleanup(func() { close(release) })
			require.Equal(t, 0, s.run(s.flags("provision-flex")...).code)
			<-begun
			require.Equal(
				t,
				output{
					stdout: header + "Status     RUNNING, " + test.want + ", Ns, attempt 1\n" +
						"Worker     another worker\nWeb UI     " + webUILink + "\n",
				},
				s.run("status", s.clusterID()),
			)
			out := s.run("status", s.clusterID(), "-o", "json")
			if test.activity == contract.WaitUntilIdleActivity {
				require.Contains(t, out.stdout, `"clusterState": "`+test.want+`"`)
			} else {
				require.NotContains(t, out.stdout, "clusterState")
			}
		})
	}
}

// Whoever waits for a run that is reset waits for the new run.
func TestReset(t *testing.T) {
	t.Parallel()
	s, letGo := setupHeld(t, func(atlassim.Stage, atlassim.Entry) {})
	s.startWorker()
	wait := s.start(s.flags("provision-flex", "--wait", "-o", "json")...)
	wait.sees("CREATING, Ns, attempt 1")
	many := s.start("watch", "--project-id", s.project)
	many.sees("Following 1 workflow")
	result := s.start("result", s.clusterID())
	require.Eventually(
		t,
		func() bool { return strings.Contains(many.stderr.String(), ": RUNNING, CREATING") },
		testenv.Patience,
		50*time.Millisecond,
	)

	answer, err := s.temporal().ResetWorkflowExecution(s.ctx(), &workflowservice.ResetWorkflowExecutionRequest{
		Namespace: "default", WorkflowExecution: &commonpb.WorkflowExecution{WorkflowId: s.clusterID()},
		Reason: "by hand", WorkflowTaskFinishEventId: 4, RequestId: t.Name(),
	})
	require.NoError(t, err)
	wait.sees("The run was reset. Following the new run RUN")
	letGo()
	require.Equal(t, 0, many.end().code)
	out := result.end()
	require.Equal(t, 0, out.code, out.stderr)
	require.Equal(t, 0, wait.end().code)
	require.Contains(t, wait.stdout.String(), `"runId": "`+answer.GetRunId()+`"`)
	require.Equal(t, 1, s.sim.Count(atlassim.Created))
}

// What is none of ours is not cancelled, and has no cluster to tell of.
func TestWorkflowOfAnotherType(t *testing.T) {
	t.Parallel()
	s := setupWithoutWorker(t, atlassim.Config{})
	const id = "billing"
	_, err := s.temporal().
		ExecuteWorkflow(s.ctx(), client.StartWorkflowOptions{ID: id + s.project, TaskQueue: s.queue}, "Other")
	require.NoError(t, err)
	for _, command := range []string{"cancel", "status", "result", "watch"} {
		require.Equal(
			t,
			output{
				code: 2,
				stderr: "starter: workflow billingPROJECT is of the type Other, which is no workflow of " +
					"atlas-provisioner. 'starter list' shows those there are\n",
			},
			s.run(command, id+s.project),
			command,
		)
	}
	require.Equal(t, 2, s.run("watch", id+s.project, s.clusterID()).code)
	run, err := s.temporal().DescribeWorkflowExecution(s.ctx(), id+s.project, "")
	require.NoError(t, err)
	require.False(t, run.GetWorkflowExtendedInfo().GetCancelRequested())
}

// Another verb for a cluster for which one runs is refused, naming what runs, which is left alone.
func TestAnotherVerb(t *testing.T) {
	t.Parallel()
	s := setupWithoutWorker(t, atlassim.Config{})
	require.Equal(t, 0, s.run(s.flags("provision-flex")...).code)
	const failure = `REQUEST_CONFLICT: a different request runs under workflow id "atlas-cluster-PROJECT-orders" ` +
		`(ProvisionFlexCluster): ` +
		"workflowType is ProvisionFlexCluster, requested UpgradeToServerless. It was left alone: wait for its end, " +
		"cancel it, or ask for the same\n"
	require.Equal(t, output{code: 2, stderr: "starter: " + failure}, s.run(s.flags("upgrade-to-serverless")...))
	require.Equal(
		t,
		output{
			code:   1,
			stdout: "REFUSED  atlas-cluster-PROJECT-orders  " + failure + "STARTED  atlas-cluster-PROJECT-stock\n",
			stderr: "starter: 1 of 2 failed; each says why and what to do\n",
		},
		s.run("upgrade-to-serverless", "-f", s.file("orders", "stock")),
	)
	require.Equal(
		t,
		output{stdout: started("Joined", webUILink)},
		s.run(s.flags("provision-flex", "--timeout", "2h")...),
	)
}
