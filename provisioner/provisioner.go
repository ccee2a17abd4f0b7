// Package provisioner starts and follows the workflows of atlas-provisioner through a Temporal client. It is for other
// services, and for the starter; it needs no Atlas credentials.
//
// A request is known by its project and cluster name: asking for the same thing twice is one run. So a caller that
// crashed, or stopped waiting, calls again.
//
// For traces, give the Temporal client the interceptor of go.temporal.io/sdk/contrib/opentelemetry: the worker's spans,
// down to each request to Atlas, are then below the span in the context of [Client.Start].
package provisioner

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"

	"github.com/atlas-provisioner/atlas-provisioner/codec"
	"github.com/atlas-provisioner/atlas-provisioner/contract"
)

// Options configure a [Client].
type Options struct {
	// TaskQueue of the workers. Default [contract.TaskQueue].
	TaskQueue string
	// DataConverter reads what the Temporal client's own would: the input of a run that is joined, and the progress of
	// one that is under way. Set it to the one in that client's options, which the client does not show. Default
	// Temporal's, which encrypts nothing.
	DataConverter converter.DataConverter
}

// Client starts and follows runs. It is safe for concurrent use.
type Client struct {
	temporal  client.Client
	taskQueue string
	converter converter.DataConverter
}

// New makes a client of a Temporal client, which stays the caller's to close.
func New(temporal client.Client, o Options) *Client {
	if o.TaskQueue == "" {
		o.TaskQueue = contract.TaskQueue
	}
	if o.DataConverter == nil {
		// Like Temporal's, but that it says so of what it cannot decrypt.
		o.DataConverter = codec.Codec{}.DataConverter()
	}
	return &Client{temporal: temporal, taskQueue: o.TaskQueue, converter: o.DataConverter}
}

// Run names one run of a workflow.
type Run struct {
	WorkflowID string
	RunID      string
	// Joined says that the run was there already, with the same request.
	Joined bool
}

// Start starts the workflow of a request, or joins the one that runs with the same request.
//
// It fails with a [*Failure] of type INVALID_INPUT, before anything is started, or REQUEST_CONFLICT, when another
// workflow or a different request runs under the workflow id; that one is left alone. Any other error is Temporal's.
func (c *Client) Start(ctx context.Context, request contract.Request) (Run, error) {
	id := contract.WorkflowID(request)
	if err := contract.Validate(request, id); err != nil {
		return Run{}, Invalid(err)
	}
	options := StartOptions(request)
	options.TaskQueue = c.taskQueue
	run, err := c.temporal.ExecuteWorkflow(ctx, options, request.Operation().WorkflowType, request)
	var running *serviceerror.WorkflowExecutionAlreadyStarted
	switch {
	case errors.As(err, &running):
		return Run{WorkflowID: id, RunID: running.RunId, Joined: true}, c.Compare(ctx, request, running.RunId)
	case err != nil:
		return Run{}, err
	}
	return Run{WorkflowID: run.GetID(), RunID: run.GetRunID()}, nil
}

// StartOptions are the options with which the workflow of a request is started, but for the task queue. Where a run is
// there, the start fails: it is compared with the request before it is joined.
func StartOptions(request contract.Request) client.StartWorkflowOptions {
	return client.StartWorkflowOptions{
		ID:                                       contract.WorkflowID(request),
		WorkflowIDConflictPolicy:                 enumspb.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
		WorkflowExecutionErrorWhenAlreadyStarted: true,
		StaticSummary:                            shorten(request.Summary()),
		StaticDetails:                            details(request),
	}
}

// Execute starts the workflow of a request or joins the one that runs with the same request, as [Client.Start] does,
// and waits for the end, as [Client.Result] does. When ctx ends first, the run goes on, and calling again joins it.
func (c *Client) Execute(ctx context.Context, request contract.Request) (contract.Cluster, error) {
	run, err := c.Start(ctx, request)
	if err != nil {
		return contract.Cluster{}, err
	}
	return c.Result(ctx, run.WorkflowID, run.RunID)
}

// Compare holds the request against the one that a run of its workflow id was started with, which is in the first event
// of the run's history. It fails with a [*Failure] of type REQUEST_CONFLICT where they differ.
//
// The update [contract.JoinUpdate] does the same. But it needs a worker, and it makes the history longer.
func (c *Client) Compare(ctx context.Context, request contract.Request, runID string) error {
	running := contract.Running{WorkflowID: contract.WorkflowID(request)}
	events := c.temporal.GetWorkflowHistory(ctx,
		running.WorkflowID, runID, false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	event, err := events.Next()
	if err != nil {
		return err
	}
	started := event.GetWorkflowExecutionStartedEventAttributes()
	running.WorkflowType = started.GetWorkflowType().GetName()
	if payloads := started.GetInput().GetPayloads(); len(payloads) > 0 {
		var input converter.RawValue
		if err := c.converter.FromPayload(payloads[0], &input); err != nil {
			return err
		}
		running.Input = input.Payload().GetData()
	}
	return conflict(running.Join(request))
}

// Cancel asks a run to end. The cluster is left as it is, but that of a lease is deleted. An empty runID is the newest
// run.
func (c *Client) Cancel(ctx context.Context, workflowID, runID string) error {
	return c.temporal.CancelWorkflow(ctx, workflowID, runID)
}

// Result waits for the end of a run and answers its cluster: of a lease, the one that it deleted. It fails with a
// [*Failure] when the run ended otherwise. Any other error says nothing of the run, which goes on: it is Temporal's, or
// that of ctx. An empty runID is the newest run. A run that is reset meanwhile goes on as another, whose end it is
// then.
func (c *Client) Result(ctx context.Context, workflowID, runID string) (contract.Cluster, error) {
	end, err := c.Follow(ctx, Run{WorkflowID: workflowID, RunID: runID}, func(Run) {})
	return end.Cluster, err
}

// End is what a run ended with.
type End struct {
	// Cluster is the result, and that of a lease the cluster in it.
	Cluster contract.Cluster
	// Lease is the result of a lease; nil for any other run.
	Lease *contract.LeaseResult
}

// UnmarshalJSON reads the result of any workflow.
func (e *End) UnmarshalJSON(data []byte) error {
	var lease contract.LeaseResult
	if err := json.Unmarshal(data, &lease); err != nil {
		return err
	}
	if lease.Outcome == contract.Released { // no other run ends so
		*e = End{Cluster: lease.Cluster, Lease: &lease}
		return nil
	}
	return json.Unmarshal(data, &e.Cluster)
}

// Follow is [Client.Result] for callers that want to know of a reset: it calls onReset with each run that takes the
// place of the one before.
func (c *Client) Follow(ctx context.Context, run Run, onReset func(Run)) (End, error) {
	for {
		waited := c.temporal.GetWorkflow(ctx, run.WorkflowID, run.RunID)
		var end End
		err := ended(waited.Get(ctx, &end))
		var failure *Failure
		if !errors.As(err, &failure) || failure.State != Terminated {
			return end, err
		}
		// Temporal resets a run by terminating it and starting another.
		answer, describeErr := c.temporal.DescribeWorkflowExecution(ctx, run.WorkflowID, waited.GetRunID())
		next := answer.GetWorkflowExtendedInfo().GetResetRunId()
		if next == "" {
			next = c.successor(ctx, answer.GetWorkflowExecutionInfo())
		}
		if describeErr != nil || next == "" || next == waited.GetRunID() {
			return end, err
		}
		run.RunID = next
		onReset(run)
	}
}

// successor is the run that goes on for a lease whose run has continued as new, when a later run of it was reset; ""
// where none does.
func (c *Client) successor(ctx context.Context, run *workflowpb.WorkflowExecutionInfo) string {
	if run.GetStatus() != enumspb.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW {
		return ""
	}
	answer, err := c.temporal.DescribeWorkflowExecution(ctx, run.GetExecution().GetWorkflowId(), "")
	newest := answer.GetWorkflowExecutionInfo()
	if err != nil || newest.GetFirstRunId() != run.GetFirstRunId() || states[newest.GetStatus()] == Terminated {
		return ""
	}
	return newest.GetExecution().GetRunId()
}

// shorten keeps what the Web UI shows of a request to a line: a region can have any length, since Atlas decides which
// exist, and is not to be sent three times.
func shorten(text string) string {
	const most = 200
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}

// details are what the Web UI shows of the request, in Markdown.
func details(r contract.Request) string {
	cluster := r.Cluster()
	lines := []string{"- Project: `" + cluster.GroupID + "`", "- Cluster: `" + cluster.Name + "`"}
	fields := r.Fields()
	if id := fields["id"]; id != "" {
		lines = append(lines, "- Id: `"+id+"`")
	}
	if cloud := fields["providerSettings.backingProviderName"]; cloud != "" {
		lines = append(lines, "- Where: "+shorten(cloud+" "+fields["providerSettings.regionName"]))
	}
	if size := fields["providerSettings.instanceSizeName"]; size != "" {
		lines = append(lines, "- Size: "+shorten(size))
	}
	if tags := tagsText(fields); tags != "" {
		lines = append(lines, "- Tags: "+tags)
	}
	const protection = "terminationProtectionEnabled"
	if byDefault := r.Operation().Input.Fields()[protection]; fields[protection] != byDefault {
		lines = append(lines, "- Termination protection: "+fields[protection])
	}
	return strings.Join(append(lines, "- Time limit: "+r.Timeout().String()), "\n")
}

// tagsText is the tags that a request asks for; "" where it asks for none.
func tagsText(fields contract.Fields) string {
	var tags []string
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		switch key, isTag := strings.CutPrefix(name, "tags."); {
		case isTag:
			tags = append(tags, key+"="+fields[name])
		case name == "tags":
			return fields[name]
		}
	}
	if len(tags) == 0 {
		return ""
	}
	return "`" + shorten(strings.Join(tags, ", ")) + "`"
}
