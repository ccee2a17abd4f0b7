package worker

import (
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv"
)

// A run ends on the build that it started on, while new runs start on the next one. The test follows the steps of
// docs/deploys.md.
func TestRollingDeploy(t *testing.T) {
	t.Parallel()
	s := setup(t, atlassim.Config{}, "LOG_LEVEL=debug")
	const deployment = "atlas-provisioner"
	temporal := func(args ...string) (string, error) {
		args = append(args, "--address", s.on.Address())
		out, err := exec.CommandContext(s.ctx(), s.on.CLI, args...).CombinedOutput()
		return string(out), err
	}
	build := func(id string) *program {
		s.env = append(s.env, "TEMPORAL_DEPLOYMENT_NAME="+deployment, "TEMPORAL_WORKER_BUILD_ID="+id)
		return s.run()
	}
	// The server knows a build once one of its workers has polled.
	done := func(want, command string, args ...string) {
		t.Helper()
		args = append(strings.Fields("worker deployment "+command+" --deployment-name "+deployment), args...)
		var out string
		require.Eventually(t, func() bool {
			var err error
			out, err = temporal(args...)
			return err == nil && strings.Contains(out, want)
		}, testenv.Patience, 100*time.Millisecond, "%s: %s", args, &out)
	}
	start := func(name string) (workflowID string) {
		s.name = name
		s.sim.AddFault(atlassim.Fault{Kind: atlassim.FaultStatus, Status: 503,
			Method: "GET"}) // it waits until the faults are cleared
		return s.start().WorkflowID
	}

	one := build("one")
	done("", "set-current-version", "--build-id", "one", "--yes")
	first := start("t-first")
	s.asked("GET")

	two := build("two")
	done("", "set-ramping-version", "--build-id", "two", "--percentage", "10", "--yes")
	done("", "set-current-version", "--build-id", "two", "--yes")
	second := start("t-second")
	one.waits(first)
	two.waits(second)
	done("draining", "describe-version", "--build-id", "one")

	// An operator moves a run off a build that does not work.
	third := start("t-third")
	two.waits(third)
	out, err := temporal("workflow", "update-options", "--workflow-id", third,
		"--versioning-override-behavior", "pinned",
		"--versioning-override-deployment-name", deployment, "--versioning-override-build-id", "one")
	require.NoError(t, err, out)
	one.waits(third)

	s.sim.ClearFaults()
	cluster, err := s.client.Result(s.ctx(), third, "")
	require.NoError(t, err)
	require.Equal(t, contract.StateIdle, cluster.StateName)
	for id, want := range map[string]struct {
		build string
		by    *program
		not   *program
	}{first: {"one", one, two}, second: {"two", two, one}} {
		_, err := s.client.Result(s.ctx(), id, "")
		require.NoError(t, err)
		builds := map[string]bool{}
		for i := s.on.Client().GetWorkflowHistory(s.ctx(), id, "", false,
			enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT); i.HasNext(); {
			event, err := i.Next()
			require.NoError(t, err)
			if task := event.GetWorkflowTaskCompletedEventAttributes(); task != nil {
				require.Equal(t, enumspb.VERSIONING_BEHAVIOR_PINNED, task.GetVersioningBehavior())
				builds[task.GetDeploymentVersion().GetBuildId()] = true
			}
		}
		require.Equal(t, map[string]bool{want.build: true}, builds)
		require.Contains(t, want.by.logs.String(), id)
		require.NotContains(t, want.not.logs.String(), id, "activities are the other build's, too")
	}
}

// waits waits until this worker runs the wait of the workflow.
func (p *program) waits(workflowID string) {
	p.t.Helper()
	require.Eventually(p.t, func() bool {
		for _, line := range p.logs.lines(p.t) {
			if line["WorkflowID"] == workflowID && line["ActivityType"] == "WaitUntilIdle" {
				return true
			}
		}
		return false
	}, testenv.Patience, 20*time.Millisecond, "%s is not waited for", workflowID)
}
