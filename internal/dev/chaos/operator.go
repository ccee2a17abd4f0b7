//go:build unix

package main

import (
	"context"
	crand "crypto/rand"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/grpc/codes"

	"github.com/atlas-provisioner/atlas-provisioner/internal/dev/stack"
)

// verb is something that an operator does to a run with the Temporal CLI or the Web UI.
type verb string

// The verbs. What is terminated or cancelled is started again.
const (
	resetRun        verb = "runs reset"
	pauseActivity   verb = "activities paused"
	resetActivity   verb = "activities reset"
	resetHeartbeats verb = "activities reset with their heartbeats"
	terminateRun    verb = "runs terminated"
	cancelRun       verb = "runs cancelled"
)

var verbs = []verb{resetRun, pauseActivity, resetActivity, resetHeartbeats, terminateRun, cancelRun}

// endsRun reports whether the verb ends a run. A lease that is terminated leaves its cluster, and one that is cancelled
// or reset has ended or begins again, so that the campaign does not do that to leases at random.
func (v verb) endsRun() bool { return v == resetRun || v == terminateRun || v == cancelRun }

// maxVerbs is how often the operator does something to one job, so that each comes to its end.
const maxVerbs = 3

// namespace is the one in which the runs are.
const namespace = client.DefaultNamespace

// operator does what an operator does to random runs that are under way.
type operator struct {
	stack  *stack.Stack
	random *rand.Rand
	done   map[verb]int // how often each was carried out
	// unpausing are the activities that are paused and will be unpaused.
	unpausing sync.WaitGroup
}

func newOperator(s *stack.Stack, seed uint64) *operator {
	return &operator{stack: s, random: rand.New(rand.NewPCG(seed, 2)), done: map[verb]int{}}
}

// operate does something to a random job once or twice a second, one verb after another, until done is closed.
func (o *operator) operate(ctx context.Context, jobs []*job, done <-chan struct{}) error {
	defer o.unpausing.Wait()
	temporal, err := o.stack.Client()
	if err != nil {
		return err
	}
	for turn := 0; ; turn++ {
		pause := 400*time.Millisecond + time.Duration(o.random.Int64N(int64(600*time.Millisecond)))
		select {
		case <-done:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pause):
		}
		v := verbs[turn%len(verbs)]
		for _, i := range o.random.Perm(len(jobs)) {
			if tried := o.tryJob(ctx, temporal, jobs[i], v); tried {
				break
			}
		}
	}
}

// tryJob does something to a job, and reports whether it tried: not to a job that is not under way. An error says that
// the server is down, or that the run or its activity has just ended.
func (o *operator) tryJob(ctx context.Context, temporal client.Client, j *job, v verb) bool {
	if !j.mu.TryLock() {
		return false
	}
	defer j.mu.Unlock()
	if !j.isUnderWay() || j.verbs == maxVerbs || j.kind == leaseJob && v.endsRun() {
		return false
	}
	j.verbs++
	if v == resetRun || v == resetHeartbeats || v == terminateRun || v == cancelRun {
		j.step.recordLost++ // also if the answer is lost
	}
	if err := o.do(ctx, temporal, j, v); err == nil {
		o.done[v]++
	}
	return true
}

// callTimeout bounds each thing that the operator does, so that a server that is down holds no job up.
const callTimeout = 5 * time.Second

// do does something to the newest run of a job.
func (o *operator) do(ctx context.Context, temporal client.Client, j *job, v verb) error {
	run := &commonpb.WorkflowExecution{WorkflowId: j.workflowID, RunId: j.step.newest().id}
	campaign := ctx
	ctx, cancel := context.WithTimeout(campaign, callTimeout)
	defer cancel()
	switch v {
	case resetRun:
		return o.resetRun(ctx, temporal, j, run)
	case terminateRun:
		return temporal.TerminateWorkflow(ctx, run.WorkflowId, run.RunId, "chaos")
	case cancelRun:
		return temporal.CancelWorkflow(ctx, run.WorkflowId, run.RunId)
	}
	activity, err := pendingActivity(ctx, temporal, run)
	if err != nil {
		return err
	}
	if v == pauseActivity {
		// It is unpaused also if the answer to the pause is lost.
		defer o.unpauseLater(campaign, temporal, run, activity)
		_, err := temporal.WorkflowService().PauseActivity(ctx, &workflowservice.PauseActivityRequest{
			Namespace: namespace, Execution: run, Reason: "chaos",
			Activity: &workflowservice.PauseActivityRequest_Type{Type: activity},
		})
		return err
	}
	_, err = temporal.WorkflowService().ResetActivity(ctx, &workflowservice.ResetActivityRequest{
		Namespace: namespace, Execution: run, ResetHeartbeat: v == resetHeartbeats,
		Activity: &workflowservice.ResetActivityRequest_Type{Type: activity},
	})
	return err
}

// resetRun resets a run to one of its workflow tasks that are done.
func (o *operator) resetRun(
	ctx context.Context, temporal client.Client, j *job, run *commonpb.WorkflowExecution,
) error {
	events, err := readHistory(ctx, temporal, run.WorkflowId, run.RunId)
	if err != nil {
		return err
	}
	var points []int64
	for _, e := range events {
		if e.GetEventType() == enumspb.EVENT_TYPE_WORKFLOW_TASK_COMPLETED {
			points = append(points, e.GetEventId())
		}
	}
	if len(points) == 0 {
		return errors.New("no workflow task is done yet")
	}
	request := &workflowservice.ResetWorkflowExecutionRequest{
		Namespace: namespace, WorkflowExecution: run, WorkflowTaskFinishEventId: points[o.random.IntN(len(points))],
		Reason: "chaos", RequestId: crand.Text(),
	}
	answer, err := temporal.WorkflowService().ResetWorkflowExecution(ctx, request)
	if err == nil {
		j.step.runs = append(j.step.runs, jobRun{id: answer.GetRunId(), afterReset: true})
	}
	return err
}

// pendingActivity is the type of the activity that a run is waiting for.
func pendingActivity(ctx context.Context, temporal client.Client, run *commonpb.WorkflowExecution) (string, error) {
	described, err := temporal.DescribeWorkflowExecution(ctx, run.WorkflowId, run.RunId)
	if err != nil {
		return "", err
	}
	if len(described.GetPendingActivities()) == 0 {
		return "", fmt.Errorf("workflow %s waits for no activity", run.WorkflowId)
	}
	return described.GetPendingActivities()[0].GetActivityType().GetName(), nil
}

// unpauseLater unpauses an activity in a few seconds.
func (o *operator) unpauseLater(
	ctx context.Context, temporal client.Client, run *commonpb.WorkflowExecution, activity string,
) {
	pausedFor := 2*time.Second + time.Duration(o.random.Int64N(int64(3*time.Second)))
	o.unpausing.Go(func() {
		time.Sleep(pausedFor)
		for ctx.Err() == nil && !unpause(ctx, temporal, run, activity) {
			time.Sleep(time.Second)
		}
	})
}

// unpause unpauses an activity, and reports whether the server answered: that it is done, or that the run has ended.
func unpause(
	ctx context.Context, temporal client.Client, run *commonpb.WorkflowExecution, activity string,
) (answered bool) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_, err := temporal.WorkflowService().UnpauseActivity(ctx, &workflowservice.UnpauseActivityRequest{
		Namespace: namespace, Execution: run,
		Activity: &workflowservice.UnpauseActivityRequest_Type{Type: activity},
	})
	switch serviceerror.ToStatus(err).Code() {
	case codes.OK, codes.NotFound, codes.FailedPrecondition, codes.InvalidArgument:
		return true
	}
	return false
}
