package provisioner

import (
	"cmp"
	"context"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/converter"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
)

// Status is how a run stands, as Temporal's server knows it. Reading it needs no worker.
type Status struct {
	WorkflowID string
	RunID      string
	// Workflow is the workflow type.
	Workflow string
	State    State
	Started  time.Time
	// Closed is when the run ended; zero while it runs.
	Closed time.Time
	// ProjectID and ClusterName are search attributes; "" where the server has none.
	ProjectID, ClusterName string
	// ClusterState is the last state of the cluster that is known; "" before Atlas took the request. In a list it is a
	// search attribute. [Client.Status] knows it from the progress of the pending activity first, and where neither
	// has it from the query.
	ClusterState string
	// Deadline is when a lease ends; zero before its cluster is IDLE, after the lease has ended, and of any other run.
	Deadline time.Time
	// Pending is the activity that is under way, in a lease also that of the run that changes its cluster; nil when
	// there is none.
	Pending *PendingActivity
	// Blocker is what holds up the run until somebody acts; nil where nothing is known to. Lists leave it out.
	Blocker *Blocker
}

// PendingActivity is the activity that a run is at.
type PendingActivity struct {
	// Activity is its type.
	Activity string
	// Attempt counts from 1.
	Attempt int
	// ClusterState is the last state of the cluster that it saw; "" for none.
	ClusterState string
	// LastFailure is why the attempt before ended; "" for the first.
	LastFailure string
	// Worker is the identity of the worker that has the activity, or had it last; "" before one did.
	Worker string
	// NextAttempt is when the next attempt begins; zero while one is under way or the activity is paused.
	NextAttempt time.Time
}

// Status reads how a run stands. An empty runID is the newest run.
func (c *Client) Status(ctx context.Context, workflowID, runID string) (Status, error) {
	answer, err := c.temporal.DescribeWorkflowExecution(ctx, workflowID, runID)
	if err != nil {
		return Status{}, err
	}
	info := answer.GetWorkflowExecutionInfo()
	if info.GetStatus() == enumspb.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW && runID != "" {
		return c.Status(ctx, workflowID, "")
	}
	s := c.status(info)
	if s.State != Running {
		return s, nil
	}
	for _, p := range answer.GetPendingActivities() {
		s.Pending = &PendingActivity{
			Activity: p.GetActivityType().GetName(), Attempt: int(p.GetAttempt()),
			ClusterState: c.lastState(p.GetHeartbeatDetails()), LastFailure: p.GetLastFailure().GetMessage(),
			Worker: p.GetLastWorkerIdentity(),
		}
		if t := p.GetNextAttemptScheduleTime(); t != nil && !p.GetPaused() &&
			p.GetState() == enumspb.PENDING_ACTIVITY_STATE_SCHEDULED {
			s.Pending.NextAttempt = t.AsTime()
		}
	}
	s.Blocker = c.blocker(ctx, answer)
	if children := answer.GetPendingChildren(); len(children) > 0 && s.Blocker == nil {
		return c.withChild(ctx, s, children[0])
	}
	s.ClusterState = c.clusterState(ctx, s)
	return s, nil
}

// withChild completes the status of a lease by that of the run that changes its cluster.
func (c *Client) withChild(ctx context.Context, s Status, child *workflowpb.PendingChildExecutionInfo) (Status, error) {
	run, err := c.Status(ctx, child.GetWorkflowId(), child.GetRunId())
	if err != nil || run.State != Running { // it has not begun, or has ended a moment ago
		return s, nil
	}
	s.Pending, s.Blocker, s.ClusterState = run.Pending, run.Blocker, run.ClusterState
	return s, nil
}

// queryTime is how long an answer to the query may take, which only a worker gives.
const queryTime = 2 * time.Second

// clusterState is the newest state that is known of the cluster of a run that is under way.
func (c *Client) clusterState(ctx context.Context, s Status) string {
	if s.Pending == nil {
		return s.ClusterState
	}
	if _, asking := contract.OperationOfActivity(s.Pending.Activity); asking {
		// What the search attribute says is not known to be Atlas's answer to this request.
		return s.Pending.ClusterState
	}
	if state := cmp.Or(s.Pending.ClusterState, s.ClusterState); state != "" || s.Blocker != nil {
		return state
	}
	ctx, cancel := context.WithTimeout(ctx, queryTime)
	defer cancel()
	var known contract.Status
	if answer, err := c.temporal.QueryWorkflow(ctx, s.WorkflowID, s.RunID, contract.StatusQuery); err == nil {
		_ = answer.Get(&known) // an answer of another shape says nothing
	}
	return known.StateName
}

// List reads the runs that a visibility query matches, newest first, limit at most.
// https://docs.temporal.io/list-filter
func (c *Client) List(ctx context.Context, query string, limit int) ([]Status, error) {
	var out []Status
	request := &workflowservice.ListWorkflowExecutionsRequest{Query: query}
	for len(out) < limit {
		request.PageSize = int32(min(limit-len(out), 1000))
		answer, err := c.temporal.ListWorkflow(ctx, request)
		if err != nil {
			return nil, err
		}
		for _, info := range answer.GetExecutions() {
			out = append(out, c.status(info))
		}
		request.NextPageToken = answer.GetNextPageToken()
		if len(request.NextPageToken) == 0 {
			break
		}
	}
	return out, nil
}

func (c *Client) status(info *workflowpb.WorkflowExecutionInfo) Status {
	attribute := func(name string) (s string) {
		if p, ok := info.GetSearchAttributes().GetIndexedFields()[name]; ok {
			_ = converter.GetDefaultDataConverter().FromPayload(p, &s)
		}
		return s
	}
	s := Status{
		WorkflowID: info.GetExecution().GetWorkflowId(), RunID: info.GetExecution().GetRunId(),
		Workflow: info.GetType().GetName(), State: states[info.GetStatus()],
		Started:      info.GetStartTime().AsTime(),
		ProjectID:    attribute(contract.SearchAttributeProjectID),
		ClusterName:  attribute(contract.SearchAttributeClusterName),
		ClusterState: attribute(contract.SearchAttributeClusterState),
	}
	if t := info.GetCloseTime(); t != nil {
		s.Closed = t.AsTime()
	}
	if ends, ok := info.GetMemo().GetFields()[contract.LeaseEndMemo]; ok && s.State == Running {
		_ = c.converter.FromPayload(ends, &s.Deadline) // what cannot be decrypted is left out
	}
	return s
}

var states = map[enumspb.WorkflowExecutionStatus]State{
	enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING:          Running,
	enumspb.WORKFLOW_EXECUTION_STATUS_PAUSED:           Running,
	enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED:        Completed,
	enumspb.WORKFLOW_EXECUTION_STATUS_FAILED:           Failed,
	enumspb.WORKFLOW_EXECUTION_STATUS_CANCELED:         Canceled,
	enumspb.WORKFLOW_EXECUTION_STATUS_TERMINATED:       Terminated,
	enumspb.WORKFLOW_EXECUTION_STATUS_TIMED_OUT:        TimedOut,
	enumspb.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW: Running,
}

func (c *Client) lastState(heartbeat *commonpb.Payloads) string {
	var p contract.WaitProgress
	// Another activity's heartbeat has no state.
	_ = c.converter.FromPayloads(heartbeat, &p)
	return p.StateName
}
