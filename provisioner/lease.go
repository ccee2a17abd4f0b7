package provisioner

import (
	"context"
	"errors"

	"go.temporal.io/api/serviceerror"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
)

// Lease leases a cluster or joins the lease that runs with the same request, as [Client.Start] does, and waits until
// the cluster is IDLE, as [Client.Ready] does. The cluster is deleted when the lease ends. When ctx ends first, the
// lease goes on, and calling again joins it.
func (c *Client) Lease(ctx context.Context, request contract.LeaseFlexClusterInput) (Run, contract.Cluster, error) {
	run, err := c.Start(ctx, request)
	if err != nil {
		return run, contract.Cluster{}, err
	}
	cluster, err := c.Ready(ctx, run.WorkflowID, run.RunID)
	return run, cluster, err
}

// Ready waits until the cluster of a lease is IDLE, and answers it. It fails with a [*Failure] as the provision of the
// cluster did, of type CANCELED where the lease was cancelled or released before, and of type CLUSTER_GONE where it has
// ended since. An empty runID is the newest run.
//
// A worker must be up: without one, Ready waits until ctx ends.
func (c *Client) Ready(ctx context.Context, workflowID, runID string) (contract.Cluster, error) {
	var cluster contract.Cluster
	for {
		err := c.update(ctx, workflowID, runID, contract.ReadyUpdate, &cluster)
		if !endedFirst(err) {
			return cluster, err
		}
		// The run is not there any more: it ended, was reset or continued as new.
		next, nextErr := c.next(ctx, workflowID, runID)
		if nextErr != nil || next == "" {
			return cluster, leaseEnded(nextErr, workflowID)
		}
		runID = next
	}
}

// endedFirst reports whether an update has no answer because its run ended before. A run that had taken the update ends
// so where it is reset or terminated.
func endedFirst(err error) bool {
	var notFound *serviceerror.NotFound
	var failure *Failure
	return errors.As(err, &notFound) ||
		errors.As(err, &failure) && failure.Type == "AcceptedUpdateCompletedWorkflow"
}

func leaseEnded(err error, workflowID string) error {
	if err != nil {
		return err
	}
	return &Failure{
		State: Completed, Type: contract.ClusterGone, Message: "lease " + workflowID + " has ended: see its result",
	}
}

// next is the run that goes on for a lease whose run has ended; "" where none does.
func (c *Client) next(ctx context.Context, workflowID, runID string) (string, error) {
	newest, err := c.temporal.DescribeWorkflowExecution(ctx, workflowID, "")
	if err != nil {
		return "", err
	}
	info := newest.GetWorkflowExecutionInfo()
	if states[info.GetStatus()] != Running || info.GetExecution().GetRunId() == runID {
		return "", nil
	}
	return info.GetExecution().GetRunId(), nil
}

// Release ends a lease now. Its cluster is gone when the run has ended, which [Client.Result] waits for. An empty runID
// is the newest run.
//
// A worker must be up: without one, Release waits until ctx ends, and then the lease may have been ended or not.
func (c *Client) Release(ctx context.Context, workflowID, runID string) error {
	return c.update(ctx, workflowID, runID, contract.ReleaseUpdate, nil)
}
