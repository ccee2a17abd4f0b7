// Package provisioner starts and follows the workflows of atlas-provisioner
// through a Temporal client. It is for other services, and for the starter; it
// needs no Atlas credentials.
//
// A request is known by its project and cluster name: asking for the same thing
// twice is one run. So a caller that crashed, or stopped waiting, calls again.
package provisioner

import (
	"context"
	"errors"
	"fmt"
	"strings"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"

	"github.com/atlas-provisioner/atlas-provisioner/codec"
	"github.com/atlas-provisioner/atlas-provisioner/contract"
)

// Options configure a [Client].
type Options struct {
	// TaskQueue of the workers. Default [contract.TaskQueue].
	TaskQueue string
	// DataConverter reads what the Temporal client's own would: the input of a
	// run that is joined, and the progress of one that is under way. Set it to
	// the one in that client's options, which the client does not show. Default
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

// StartProvision starts the workflow [contract.ProvisionFlexCluster], or joins
// the one that runs with the same request.
//
// It fails with a [*Failure] of type INVALID_INPUT, before anything is started,
// or REQUEST_CONFLICT, when a different request runs under the workflow id; that
// one is left alone. Any other error is Temporal's.
func (c *Client) StartProvision(ctx context.Context, in contract.ProvisionFlexClusterInput) (Run, error) {
	id := contract.ProvisionFlexClusterID(in.GroupID, in.Name)
	if err := in.Validate(id); err != nil {
		return Run{}, Invalid(err)
	}
	return c.start(ctx, request{
		id: id, workflow: contract.ProvisionFlexCluster, input: in, fields: in.Fields(),
		summary: fmt.Sprintf("Provision Flex cluster %s in %s %s", in.Name, in.ProviderSettings.BackingProviderName, in.ProviderSettings.RegionName),
		details: details(in.GroupID, in.Name, in.ProviderSettings, in.Timeout().String()),
		parse: func(data []byte) (contract.Fields, error) {
			running, err := contract.ParseProvisionFlexCluster(data, id)
			return running.Fields(), err
		},
	})
}

// Provision provisions a Flex cluster: it starts the workflow or joins the one
// that runs with the same request, as [Client.StartProvision] does, and waits for
// the end, as [Client.Result] does. When ctx ends first, the run goes on, and
// calling again joins it.
func (c *Client) Provision(ctx context.Context, in contract.ProvisionFlexClusterInput) (contract.Cluster, error) {
	run, err := c.StartProvision(ctx, in)
	if err != nil {
		return contract.Cluster{}, err
	}
	return c.Result(ctx, run.WorkflowID, run.RunID)
}

// StartUpgrade starts the workflow [contract.UpgradeToServerless], or joins the
// one that runs with the same request. It fails as [Client.StartProvision]
// does.
func (c *Client) StartUpgrade(ctx context.Context, in contract.UpgradeToServerlessInput) (Run, error) {
	if err := in.Validate(); err != nil {
		return Run{}, Invalid(err)
	}
	return c.start(ctx, request{
		id: contract.UpgradeToServerlessID(in.GroupID, in.Name), workflow: contract.UpgradeToServerless, input: in, fields: in.Fields(),
		summary: fmt.Sprintf("Upgrade cluster %s to serverless", in.Name),
		details: details(in.GroupID, in.Name, in.ProviderSettings, in.Timeout().String()),
		parse: func(data []byte) (contract.Fields, error) {
			running, err := contract.ParseUpgradeToServerless(data)
			return running.Fields(), err
		},
	})
}

// Upgrade upgrades a shared-tier cluster to serverless: it starts or joins the
// workflow, as [Client.StartUpgrade] does, and waits for the end, as
// [Client.Provision] does.
func (c *Client) Upgrade(ctx context.Context, in contract.UpgradeToServerlessInput) (contract.Cluster, error) {
	run, err := c.StartUpgrade(ctx, in)
	if err != nil {
		return contract.Cluster{}, err
	}
	return c.Result(ctx, run.WorkflowID, run.RunID)
}

// request is what the two workflows' starts have in common.
type request struct {
	id, workflow     string
	input            any
	fields           contract.Fields
	summary, details string
	parse            func([]byte) (contract.Fields, error)
}

func (c *Client) start(ctx context.Context, r request) (Run, error) {
	run, err := c.temporal.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID:        r.id,
		TaskQueue: c.taskQueue,
		// A run that is there is compared with the request before it is joined.
		WorkflowIDConflictPolicy:                 enumspb.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
		WorkflowExecutionErrorWhenAlreadyStarted: true,
		StaticSummary:                            r.summary,
		StaticDetails:                            r.details,
	}, r.workflow, r.input)
	var running *serviceerror.WorkflowExecutionAlreadyStarted
	switch {
	case errors.As(err, &running):
		return c.join(ctx, r, running.RunId)
	case err != nil:
		return Run{}, err
	}
	return Run{WorkflowID: run.GetID(), RunID: run.GetRunID()}, nil
}

// join holds the request against the one that the run was started with, which
// is in the first event of its history.
func (c *Client) join(ctx context.Context, r request, runID string) (Run, error) {
	events := c.temporal.GetWorkflowHistory(ctx, r.id, runID, false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	event, err := events.Next()
	if err != nil {
		return Run{}, err
	}
	run := Run{WorkflowID: r.id, RunID: runID, Joined: true}
	started := event.GetWorkflowExecutionStartedEventAttributes()
	if other := started.GetWorkflowType().GetName(); other != r.workflow {
		return run, requestConflict(run, []contract.Difference{{Field: "workflow type", Requested: r.workflow, Existing: other}})
	}
	var input converter.RawValue
	if payloads := started.GetInput().GetPayloads(); len(payloads) > 0 {
		if err := c.converter.FromPayload(payloads[0], &input); err != nil {
			return run, err
		}
	}
	fields, err := r.parse(input.Payload().GetData())
	if err != nil {
		// It is about to fail by itself, and is not this request.
		return run, requestConflict(run, []contract.Difference{{Field: "input", Requested: "a valid request", Existing: "an invalid one"}})
	}
	if d := contract.Differences(r.fields, fields); len(d) > 0 {
		return run, requestConflict(run, d)
	}
	return run, nil
}

// Cancel asks a run to end. What it made is left as it is. An empty runID is
// the newest run.
func (c *Client) Cancel(ctx context.Context, workflowID, runID string) error {
	return c.temporal.CancelWorkflow(ctx, workflowID, runID)
}

// Result waits for the end of a run and answers its cluster. It fails with a
// [*Failure] when the run ended otherwise. Any other error says nothing of the
// run, which goes on: it is Temporal's, or that of ctx. An empty runID is the
// newest run.
func (c *Client) Result(ctx context.Context, workflowID, runID string) (contract.Cluster, error) {
	var cluster contract.Cluster
	err := c.temporal.GetWorkflow(ctx, workflowID, runID).Get(ctx, &cluster)
	return cluster, ended(err)
}

func details(groupID, name string, p contract.ProviderSettings, timeout string) string {
	return strings.Join([]string{
		"- Project: `" + groupID + "`",
		"- Cluster: `" + name + "`",
		"- Where: " + p.BackingProviderName + " " + p.RegionName,
		"- Time limit: " + timeout,
	}, "\n")
}
