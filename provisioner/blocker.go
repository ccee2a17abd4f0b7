package provisioner

import (
	"context"
	"fmt"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
)

// Reason is the kind of thing that holds up a run.
type Reason string

// The reasons for which a run does not go on.
const (
	// NoWorker: a task of the run waits, and no worker polls its task queue.
	NoWorker Reason = "NO_WORKER"
	// WorkersBusyOrGone: a task of the run waits, although workers poll its task queue or did so lately.
	WorkersBusyOrGone Reason = "WORKERS_BUSY_OR_GONE"
	// WorkflowTaskFails: workers fail at the code of the workflow, or cannot read its payloads.
	WorkflowTaskFails Reason = "WORKFLOW_TASK_FAILS"
	// ActivityPaused: somebody paused the activity that the run is at.
	ActivityPaused Reason = "ACTIVITY_PAUSED"
	// WorkflowPaused: somebody paused the workflow.
	WorkflowPaused Reason = "WORKFLOW_PAUSED"
)

// Blocker is what holds up a run until somebody acts.
type Blocker struct {
	Reason Reason `json:"reason"`
	// Message says what it is, and what to do about it.
	Message string `json:"message"`
}

// A worker with a free slot takes a task within milliseconds.
const (
	// pollersAfter is how long a task waits before the workers are looked for.
	pollersAfter = time.Second
	// busyAfter is how long a task waits before the workers that poll, or did so lately, count as busy or gone.
	busyAfter = 3 * time.Second
)

// blocker finds what holds up a run; nil where nothing is known to.
func (c *Client) blocker(ctx context.Context, run *workflowservice.DescribeWorkflowExecutionResponse) *Blocker {
	id := run.GetWorkflowExecutionInfo().GetExecution().GetWorkflowId()
	if pause := run.GetWorkflowExtendedInfo().GetPauseInfo(); pause != nil {
		return &Blocker{
			WorkflowPaused,
			fmt.Sprintf("the workflow is paused%s. To let it go on: temporal workflow unpause --workflow-id %s",
				byWhom(pause.GetIdentity(), pause.GetReason()), id),
		}
	}
	if task := run.GetPendingWorkflowTask(); task != nil {
		if failure := c.workflowTaskFailure(ctx, run); failure != "" {
			return &Blocker{WorkflowTaskFails, failure}
		}
		if task.GetState() == enumspb.PENDING_WORKFLOW_TASK_STATE_SCHEDULED {
			return c.workers(ctx, run, enumspb.TASK_QUEUE_TYPE_WORKFLOW, task.GetScheduledTime().AsTime())
		}
		return nil
	}
	for _, activity := range run.GetPendingActivities() {
		if activity.GetPaused() {
			pause := activity.GetPauseInfo()
			return &Blocker{ActivityPaused, fmt.Sprintf(
				"its activity %s is paused%s. To let it go on: temporal activity unpause --workflow-id %s "+
					"--activity-id %s", activity.GetActivityType().GetName(),
				byWhom(pause.GetManual().GetIdentity(), pause.GetManual().GetReason()), id, activity.GetActivityId())}
		}
		if activity.GetState() == enumspb.PENDING_ACTIVITY_STATE_SCHEDULED {
			return c.workers(ctx, run, enumspb.TASK_QUEUE_TYPE_ACTIVITY, dueTime(activity))
		}
	}
	return nil
}

// dueTime is when a worker could have taken an attempt that waits.
func dueTime(activity *workflowpb.PendingActivityInfo) time.Time {
	if next := activity.GetNextAttemptScheduleTime(); next != nil {
		return next.AsTime()
	}
	return activity.GetScheduledTime().AsTime()
}

func byWhom(identity, reason string) string {
	out := ""
	if identity != "" {
		out = " by " + identity
	}
	if reason != "" {
		out += " (" + reason + ")"
	}
	return out
}

// workers reports a task that has waited for a worker since it was due.
func (c *Client) workers(ctx context.Context, run *workflowservice.DescribeWorkflowExecutionResponse,
	kind enumspb.TaskQueueType, due time.Time) *Blocker {
	waited := time.Since(due)
	if waited < pollersAfter {
		return nil
	}
	queue := run.GetExecutionConfig().GetTaskQueue().GetName()
	answer, err := c.temporal.DescribeTaskQueue(ctx, queue, kind)
	if err == nil && len(answer.GetPollers()) == 0 {
		return &Blocker{
			NoWorker,
			fmt.Sprintf("no worker polls the task queue %q: start one, or let TEMPORAL_TASK_QUEUE "+
				"name the queue that the workers poll", queue),
		}
	}
	if waited < busyAfter {
		return nil
	}
	return &Blocker{
		WorkersBusyOrGone,
		fmt.Sprintf("no worker has taken its task: those of the task queue %q are busy or gone",
			queue),
	}
}

// workflowTaskFailure says how the last workflow task failed; "" where it did not. The history keeps the first failure
// in a row, and the pending task counts the attempts.
func (c *Client) workflowTaskFailure(ctx context.Context,
	run *workflowservice.DescribeWorkflowExecutionResponse) string {
	attempt := run.GetPendingWorkflowTask().GetAttempt()
	if attempt < 2 {
		return ""
	}
	execution := run.GetWorkflowExecutionInfo().GetExecution()
	events := c.temporal.GetWorkflowHistory(ctx, execution.GetWorkflowId(), execution.GetRunId(), false,
		enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	var failed *historypb.WorkflowTaskFailedEventAttributes
	for events.HasNext() {
		event, err := events.Next()
		if err != nil {
			break
		}
		switch event.GetEventType() {
		case enumspb.EVENT_TYPE_WORKFLOW_TASK_FAILED:
			failed = event.GetWorkflowTaskFailedEventAttributes()
		case enumspb.EVENT_TYPE_WORKFLOW_TASK_COMPLETED, enumspb.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT:
			failed = nil
		}
	}
	if failed == nil {
		return ""
	}
	return fmt.Sprintf(
		"its workflow task fails (attempt %d), %s: %s. It goes on once a worker can run it; the worker's log says more",
		attempt, failed.GetCause(), failed.GetFailure().GetMessage())
}
