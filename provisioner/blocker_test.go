package provisioner_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	taskqueuepb "go.temporal.io/api/taskqueue/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/provisioner"
)

// described is a Temporal client that knows of one run what the dev server cannot be brought to say.
type described struct {
	client.Client
	run     *workflowservice.DescribeWorkflowExecutionResponse
	pollers []*taskqueuepb.PollerInfo
}

func (d described) DescribeWorkflowExecution(
	context.Context,
	string,
	string,
) (*workflowservice.DescribeWorkflowExecutionResponse, error) {
	return d.run, nil
}

func (d described) DescribeTaskQueue(
	context.Context,
	string,
	enumspb.TaskQueueType,
) (*workflowservice.DescribeTaskQueueResponse, error) {
	return &workflowservice.DescribeTaskQueueResponse{Pollers: d.pollers}, nil
}

// What holds up a run, where no server of the tests gets into that state or not at will: the dev server does not know
// the pause of a workflow, and forgets workers that have stopped.
func TestBlocker(t *testing.T) {
	t.Parallel()
	ago := func(d time.Duration) *timestamppb.Timestamp { return timestamppb.New(time.Now().Add(-d)) }
	// scheduled is a task that has waited for so long when it is asked for.
	scheduled := func(d time.Duration) func() *workflowpb.PendingWorkflowTaskInfo {
		return func() *workflowpb.PendingWorkflowTaskInfo {
			return &workflowpb.PendingWorkflowTaskInfo{
				State: enumspb.PENDING_WORKFLOW_TASK_STATE_SCHEDULED, ScheduledTime: ago(d), Attempt: 1,
			}
		}
	}
	underWay := func() *workflowpb.PendingWorkflowTaskInfo {
		return &workflowpb.PendingWorkflowTaskInfo{State: enumspb.PENDING_WORKFLOW_TASK_STATE_STARTED, Attempt: 1}
	}
	paused := &workflowpb.WorkflowExecutionExtendedInfo{
		PauseInfo: &workflowpb.WorkflowExecutionPauseInfo{Identity: "ann", Reason: "a freeze"},
	}
	for _, test := range []struct {
		name     string
		status   enumspb.WorkflowExecutionStatus
		extended *workflowpb.WorkflowExecutionExtendedInfo
		task     func() *workflowpb.PendingWorkflowTaskInfo
		activity *workflowpb.PendingActivityInfo
		pollers  []*taskqueuepb.PollerInfo
		want     *provisioner.Blocker
	}{
		{name: "nothing"},
		{
			name: "a paused workflow", status: enumspb.WORKFLOW_EXECUTION_STATUS_PAUSED, extended: paused,
			task: scheduled(time.Hour),
			want: &provisioner.Blocker{Reason: "WORKFLOW_PAUSED",
				Message: "the workflow is paused by ann (a freeze). To let it go on: temporal workflow unpause " +
					"--workflow-id id"},
		},
		{name: "a task that was just scheduled", task: scheduled(0)},
		{
			name: "a task that no worker polls for", task: scheduled(2 * time.Second),
			want: &provisioner.Blocker{Reason: "NO_WORKER",
				Message: `no worker polls the task queue "q": start one, or let TEMPORAL_TASK_QUEUE name the queue ` +
					`that the workers poll`},
		},
		{name: "a task that waits a little", task: scheduled(2 * time.Second), pollers: []*taskqueuepb.PollerInfo{{}}},
		{
			name: "a task that waits for long", task: scheduled(time.Minute), pollers: []*taskqueuepb.PollerInfo{{}},
			want: &provisioner.Blocker{Reason: "WORKERS_BUSY_OR_GONE",
				Message: `no worker has taken its task: those of the task queue "q" are busy or gone`},
		},
		{name: "a task under way", task: underWay},
		{name: "an activity under way", activity: &workflowpb.PendingActivityInfo{
			State: enumspb.PENDING_ACTIVITY_STATE_STARTED, ScheduledTime: ago(time.Hour)}},
		{name: "an activity whose next attempt is due later", activity: &workflowpb.PendingActivityInfo{
			State: enumspb.PENDING_ACTIVITY_STATE_SCHEDULED, ScheduledTime: ago(time.Hour),
			NextAttemptScheduleTime: ago(-time.Minute)}},
		{
			name: "an activity that no worker polls for", activity: &workflowpb.PendingActivityInfo{
				State: enumspb.PENDING_ACTIVITY_STATE_SCHEDULED, ScheduledTime: ago(time.Minute)},
			want: &provisioner.Blocker{Reason: "NO_WORKER",
				Message: `no worker polls the task queue "q": start one, or let TEMPORAL_TASK_QUEUE name the queue ` +
					`that the workers poll`},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			status := test.status
			if status == enumspb.WORKFLOW_EXECUTION_STATUS_UNSPECIFIED {
				status = enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING
			}
			run := &workflowservice.DescribeWorkflowExecutionResponse{
				ExecutionConfig: &workflowpb.WorkflowExecutionConfig{TaskQueue: &taskqueuepb.TaskQueue{Name: "q"}},
				WorkflowExecutionInfo: &workflowpb.WorkflowExecutionInfo{
					Execution: &commonpb.WorkflowExecution{WorkflowId: "id", RunId: "run"}, Status: status,
				},
				WorkflowExtendedInfo: test.extended,
			}
			if test.task != nil {
				run.PendingWorkflowTask = test.task()
			}
			if test.activity != nil {
				test.activity.ActivityType = &commonpb.ActivityType{Name: contract.CreateFlexClusterActivity}
				run.PendingActivities = append(run.PendingActivities, test.activity)
			}
			c := provisioner.New(described{run: run, pollers: test.pollers}, provisioner.Options{})
			s, err := c.Status(t.Context(), "id", "")
			require.NoError(t, err)
			require.Equal(t, provisioner.Running, s.State)
			require.Equal(t, test.want, s.Blocker)
		})
	}
}
