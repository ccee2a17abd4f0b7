package integration

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv"
	"github.com/atlas-provisioner/atlas-provisioner/provisioner"
)

// schedule makes a Schedule that runs a request each night, under the workflow id of the request and the time that
// Temporal adds to it. The answer triggers it, and returns the run that it has started.
func schedule(s *testenv.Stack, request contract.Request) (trigger func() provisioner.Run) {
	s.TB().Helper()
	handle, err := s.Temporal.ScheduleClient().Create(s.Context(), client.ScheduleOptions{
		ID:   strings.ReplaceAll(s.TB().Name(), "/", "-"),
		Spec: client.ScheduleSpec{CronExpressions: []string{"0 22 * * *"}},
		Action: &client.ScheduleWorkflowAction{
			ID: contract.WorkflowID(request), Workflow: request.Operation().WorkflowType, Args: []any{request},
			TaskQueue: s.TaskQueue,
		},
	})
	require.NoError(s.TB(), err)
	s.TB().Cleanup(func() { _ = handle.Delete(context.Background()) })
	started := 0
	return func() provisioner.Run {
		s.TB().Helper()
		require.NoError(s.TB(), handle.Trigger(s.Context(), client.ScheduleTriggerOptions{}))
		var run provisioner.Run
		testenv.Eventually(s.TB(), func() bool {
			described, err := handle.Describe(s.Context())
			if err != nil || len(described.Info.RecentActions) <= started {
				return false
			}
			action := described.Info.RecentActions[started].StartWorkflowResult
			run = provisioner.Run{WorkflowID: action.WorkflowID, RunID: action.FirstExecutionRunID}
			return true
		}, "the Schedule starts a run")
		started++
		require.Regexp(s.TB(), "^"+contract.WorkflowID(request)+`-\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$`, run.WorkflowID)
		return run
	}
}

// A Schedule leases a cluster each night. The workflow id of the lease has a time at its end, and the cluster carries
// its own id all the same.
func TestScheduledLease(t *testing.T) {
	t.Parallel()
	s := setup(t, quickDelete)
	in := lease(t)
	trigger := schedule(s, in)
	for night := range 2 {
		run := trigger()
		cluster, err := s.Client.Ready(s.Context(), run.WorkflowID, run.RunID)
		require.NoError(t, err)
		require.Equal(t, contract.Created, cluster.Outcome)
		require.True(t, cluster.OwnedBy(contract.ClusterWorkflowID(project, in.Name)))
		require.NoError(t, s.Client.Release(s.Context(), run.WorkflowID, run.RunID))
		result, err := endOfLease(s, run)
		require.NoError(t, err)
		require.Equal(t, contract.Released, result.Outcome)
		requireNothingLeft(s, night+1)
	}
}

// A Schedule compares a cluster with its request: a run of it ends with UNCHANGED where it is as asked, fails with
// CLUSTER_CONFLICT where it is not, and makes a cluster that is missing.
func TestScheduledDriftCheck(t *testing.T) {
	t.Parallel()
	s := setup(t, quickDelete)
	in := flex(t)
	executeBefore(flexRequest)(t, s)
	trigger := schedule(s, in)
	check := func() (contract.Cluster, error) {
		run := trigger()
		return s.Client.Result(s.Context(), run.WorkflowID, run.RunID)
	}
	cluster, err := check()
	require.NoError(t, err)
	require.Equal(t, contract.Unchanged, cluster.Outcome)

	_, err = execute(s, contract.UpdateFlexClusterInput{
		GroupID: project, Name: in.Name, Tags: []contract.Tag{{Key: "team", Value: "billing"}},
	})
	require.NoError(t, err)
	_, err = check()
	failure := testenv.Failure(t, err)
	require.Equal(t, contract.ClusterConflict, failure.Type)
	require.Equal(t, []contract.Difference{
		{Field: "tags.team", Requested: `"orders"`, Existing: `"billing"`},
	}, failure.Details.Differences)

	_, err = execute(s, contract.DeleteClusterInput{GroupID: project, Name: in.Name})
	require.NoError(t, err)
	cluster, err = check()
	require.NoError(t, err)
	require.Equal(t, contract.Created, cluster.Outcome)
	require.True(t, cluster.OwnedBy(contract.ClusterWorkflowID(project, in.Name)))
	require.Equal(t, 2, s.Sim.Count(atlassim.Created))
}
