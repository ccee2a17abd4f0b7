package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	taskqueuepb "go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"
)

// lastPollLimit is how old the last poll of a worker that runs can be: Temporal lets a poll wait for a minute. It keeps
// workers that are gone on its list for five.
const lastPollLimit = 75 * time.Second

// shownWorkers is how many workers are named.
const shownWorkers = 5

// checkTaskQueue checks who polls the task queue. It reports whether anybody does, for workflows and activities.
func (d *doctor) checkTaskQueue(ctx context.Context, run checkRun) bool {
	workflows, _, err := d.describeTaskQueue(ctx, enumspb.TASK_QUEUE_TYPE_WORKFLOW)
	var activities []*taskqueuepb.PollerInfo
	var config *taskqueuepb.TaskQueueConfig
	if err == nil {
		activities, config, err = d.describeTaskQueue(ctx, enumspb.TASK_QUEUE_TYPE_ACTIVITY)
	}
	if err != nil {
		d.found(checkPollers, Warning, fmt.Sprintf("the task queue %q cannot be read: %v", d.TaskQueue, err),
			"try again")
		d.found(checkFairness, Skipped, "the task queue cannot be read", "")
		return true
	}
	d.describeFairness(config)
	missing := ""
	switch {
	case len(workflows)+len(activities) == 0:
		missing = "no worker polls the task queue %q"
	case len(workflows) == 0:
		missing = "no worker polls the task queue %q for workflows"
	case len(activities) == 0:
		missing = "no worker polls the task queue %q for activities"
	}
	if missing != "" {
		d.found(checkPollers, Failed, fmt.Sprintf(missing, d.TaskQueue),
			"start a worker, or let TEMPORAL_TASK_QUEUE name the queue that the workers poll")
		return false
	}
	who, age := describePollers(append(workflows, activities...), d.Now().Add(-run.ahead))
	message := fmt.Sprintf("the task queue %q is polled by %s, last poll %s ago", d.TaskQueue, who, age)
	if age > lastPollLimit {
		d.found(checkPollers, Warning, message, "see whether these workers still run")
		return true
	}
	d.found(checkPollers, OK, message, "")
	return true
}

func (d *doctor) describeTaskQueue(ctx context.Context, kind enumspb.TaskQueueType) (
	[]*taskqueuepb.PollerInfo, *taskqueuepb.TaskQueueConfig, error,
) {
	ctx, cancel := d.brief(ctx)
	defer cancel()
	answer, err := d.client.WorkflowService().DescribeTaskQueue(ctx, &workflowservice.DescribeTaskQueueRequest{
		Namespace: d.Temporal.Namespace, TaskQueue: &taskqueuepb.TaskQueue{Name: d.TaskQueue}, TaskQueueType: kind,
		ReportConfig: true,
	})
	return answer.GetPollers(), answer.GetConfig(), err
}

// describePollers names the workers, and says how old the newest poll is by the server's clock.
func describePollers(pollers []*taskqueuepb.PollerInfo, now time.Time) (who string, age time.Duration) {
	var names []string
	var newest time.Time
	for _, p := range pollers {
		names = append(names, p.GetIdentity())
		if t := p.GetLastAccessTime().AsTime(); t.After(newest) {
			newest = t
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	count := fmt.Sprintf("%d workers: ", len(names))
	if len(names) == 1 {
		count = "one worker: "
	}
	if more := len(names) - shownWorkers; more > 0 {
		names = append(names[:shownWorkers], fmt.Sprintf("%d more", more))
	}
	return count + strings.Join(names, ", "), max(0, now.Sub(newest)).Round(time.Second)
}

// describeFairness says what is known of fairness. The server tells no client whether it is on, and takes the rate of
// fairness keys also where it is off.
func (d *doctor) describeFairness(config *taskqueuepb.TaskQueueConfig) {
	message := "Temporal tells no client whether fairness is on"
	next := "see that the dynamic configuration of the server has matching.enableFairness: true (docs/production.md)"
	if d.isCloud() {
		next = "see that fairness is on in the settings of the namespace"
	}
	if rate := config.GetFairnessKeysRateLimitDefault().GetRateLimit(); rate != nil {
		message += fmt.Sprintf("; where it is, each project gets %g activities a second at most",
			rate.GetRequestsPerSecond())
	}
	d.found(checkFairness, Skipped, message, next)
}
