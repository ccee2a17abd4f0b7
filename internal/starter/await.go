package starter

import (
	"context"
	"errors"

	"github.com/atlas-provisioner/atlas-provisioner/provisioner"
)

// awaited is what a wait for a run has ended with, and how the run stands then.
type awaited struct {
	end   provisioner.End
	state provisioner.State
}

// result is the result of the run as JSON shows it.
func (a awaited) result() any {
	if a.end.Lease != nil {
		return a.end.Lease
	}
	return &a.end.Cluster
}

// awaitRun waits for a run. It calls onReset with each run that takes the place of the one before.
type awaitRun func(
	ctx context.Context, c *provisioner.Client, run provisioner.Run, onReset func(provisioner.Run),
) (awaited, error)

// awaitEnd waits for the end of a run.
func awaitEnd(
	ctx context.Context, c *provisioner.Client, run provisioner.Run, onReset func(provisioner.Run),
) (awaited, error) {
	end, err := c.Follow(ctx, run, onReset)
	return awaited{end, provisioner.Completed}, err
}

// awaitReady waits until the cluster of a lease is IDLE. Where it will not be, it waits for the end of the lease, which
// says what became of the cluster.
func awaitReady(
	ctx context.Context, c *provisioner.Client, run provisioner.Run, onReset func(provisioner.Run),
) (awaited, error) {
	cluster, err := c.Ready(ctx, run.WorkflowID, run.RunID)
	var notReady *provisioner.Failure
	if !errors.As(err, &notReady) {
		return awaited{provisioner.End{Cluster: cluster}, provisioner.Running}, err
	}
	if _, err := c.Follow(ctx, run, onReset); err != nil {
		return awaited{}, err
	}
	notReady.State = provisioner.Completed // somebody released it
	return awaited{}, notReady
}
