package workflows

import (
	"strconv"
	"strings"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/atlas-provisioner/atlas-provisioner/activities"
	"github.com/atlas-provisioner/atlas-provisioner/contract"
)

// keep keeps the cluster until the lease ends, and reports whether the lease is to continue as new before.
func (l *lease) keep() (goesOn bool) {
	r := l.run
	r.note(l.state.Cluster.StateName)
	r.enter(contract.PhaseLeased, "")
	l.showDeadline()
	disconnected, _ := workflow.NewDisconnectedContext(r.ctx)
	watching, stopWatching := workflow.WithCancel(disconnected)
	watch := workflow.ExecuteActivity(
		l.activityContext(watching, "Look now and then whether cluster "+r.cluster.Name+" is there"),
		activityMethods.WatchLease,
		activities.WatchInput{GroupID: r.cluster.GroupID, Name: r.cluster.Name, ID: l.state.Cluster.ID})
	for l.state.End == nil {
		left := l.state.Deadline.Sub(workflow.Now(r.ctx))
		if left <= 0 {
			l.state.End = &leaseEnd{}
			break
		}
		// An extension does not stop the timer: when it fires, what is left is counted anew. That saves two events
		// each.
		_, err := workflow.AwaitWithTimeout(r.ctx, left, func() bool {
			return l.released || watch.IsReady() || l.isLong()
		})
		switch {
		case l.released:
			l.state.End = &leaseEnd{}
		case err != nil:
			l.state.End = &leaseEnd{Canceled: true}
		case watch.IsReady():
			l.state.End = l.endOfWatch(watch)
		case l.isLong():
			return true
		}
	}
	stopWatching()
	return false
}

// endOfWatch is the end of a lease whose cluster is gone.
func (l *lease) endOfWatch(watch workflow.Future) *leaseEnd {
	var reason string
	if err := watch.Get(l.run.ctx, &reason); err != nil {
		failure := l.failureOf(err)
		return &leaseEnd{Failure: &failure}
	}
	return &leaseEnd{Failure: &leaseFailure{
		Type: contract.ClusterGone,
		Message: "cluster " + quote(l.run.cluster.Name) + " with the id " + l.state.Cluster.ID +
			", which was leased until " + l.deadlineText() + ", is gone: " + reason +
			". The lease has ended: start it again for another cluster",
	}}
}

// showDeadline shows when the lease ends: in the memo for lists, in the status, and in the Web UI.
func (l *lease) showDeadline() {
	l.run.status.Deadline = l.state.Deadline
	l.upsertDeadline(l.state.Deadline)
	workflow.SetCurrentDetails(l.run.ctx, "Cluster "+quote(l.run.cluster.Name)+" is leased until "+l.deadlineText()+
		". Then it is deleted. The update extend moves the end, and release ends the lease now.")
}

// upsertDeadline sets the memo; nil takes it away.
func (l *lease) upsertDeadline(deadline any) {
	if err := workflow.UpsertMemo(l.run.ctx, map[string]any{contract.LeaseEndMemo: deadline}); err != nil {
		workflow.GetLogger(l.run.ctx).Warn("The memo was not set", "error", err)
	}
}

func (l *lease) deadlineText() string {
	return l.state.Deadline.UTC().Format("15:04:05 UTC on 2006-01-02")
}

// room is by how much the end of the lease can still be moved.
func (l *lease) room() (time.Duration, string) {
	switch {
	case !l.valid:
		return 0, "the input of the run is invalid"
	case l.state.End != nil:
		return 0, "the lease has ended"
	}
	return contract.MaxLease - l.left(), "the lease ends in " + l.left().String() + ", and may end in " +
		contract.MaxLease.String() + " at the latest"
}

// left is for how long the cluster is still kept: once it is IDLE, where it is not yet.
func (l *lease) left() time.Duration {
	if l.state.LeasedAt.IsZero() {
		return l.state.LeaseFor
	}
	return l.state.Deadline.Sub(workflow.Now(l.run.ctx)).Round(time.Second)
}

// extend moves the end of the lease. Before the cluster is IDLE, the answer is the earliest time at which it can end.
func (l *lease) extend(by time.Duration) time.Time {
	if l.state.LeasedAt.IsZero() {
		l.state.LeaseFor += by
		return workflow.Now(l.run.ctx).Add(l.state.LeaseFor)
	}
	l.state.Deadline = l.state.Deadline.Add(by)
	l.showDeadline()
	return l.state.Deadline
}

// takeReady lets callers wait until the cluster is IDLE.
func (l *lease) takeReady() error {
	return workflow.SetUpdateHandlerWithOptions(l.run.ctx, contract.ReadyUpdate,
		func(ctx workflow.Context) (*contract.Cluster, error) {
			ctx, _ = workflow.NewDisconnectedContext(ctx) // a cancellation ends the provision first
			err := workflow.Await(ctx, func() bool { return !l.state.LeasedAt.IsZero() || l.state.End != nil })
			if err != nil {
				return nil, err
			}
			return l.ready()
		},
		workflow.UpdateHandlerOptions{
			Description: "Wait until the cluster is IDLE, and answer it. Fails as its provision did.",
			Validator: func(workflow.Context) error {
				if l.state.End == nil || l.state.LeasedAt.IsZero() {
					return nil
				}
				_, err := l.ready()
				return err
			},
		})
}

// ready answers the cluster, or says why there is none.
func (l *lease) ready() (*contract.Cluster, error) {
	name, end := quote(l.run.cluster.Name), l.state.End
	const canceled = "CANCELED"
	switch {
	case end == nil:
		return &l.state.Cluster, nil
	case !l.state.LeasedAt.IsZero():
		return nil, leaseFailure{
			Type: contract.ClusterGone, Message: "the lease of cluster " + name + " has ended",
		}.err()
	case end.Failure != nil:
		return nil, end.Failure.err()
	case end.Canceled:
		return nil, leaseFailure{
			Type: canceled, Message: "the lease was cancelled before cluster " + name + " was IDLE",
		}.err()
	}
	return nil, leaseFailure{
		Type: canceled, Message: "the lease was released before cluster " + name + " was IDLE",
	}.err()
}

// takeRelease lets callers end the lease.
func (l *lease) takeRelease() error {
	return workflow.SetUpdateHandlerWithOptions(l.run.ctx, contract.ReleaseUpdate,
		func(workflow.Context) error {
			l.released = true
			return nil
		},
		workflow.UpdateHandlerOptions{Description: "End the lease now, and delete its cluster."})
}

// release deletes the cluster, however often that fails, and reports whether the lease is to continue as new before.
func (l *lease) release() (goesOn bool) {
	r := l.run
	r.enter(contract.PhaseReleasing, "Deleting cluster "+quote(r.cluster.Name)+".")
	if !r.status.Deadline.IsZero() {
		r.status.Deadline = time.Time{}
		l.upsertDeadline(nil)
	}
	if l.state.End.Leftover && l.state.Cluster.ID == "" {
		l.findLeftover()
	}
	if l.state.Cluster.ID == "" {
		return false
	}
	r.note(contract.StateDeleting)
	disconnected, _ := workflow.NewDisconnectedContext(r.ctx)
	for {
		gone, err := l.deleteByChild()
		//mutate:lease-deletes-again
		if err == nil {
			c := &l.state.Cluster
			c.StateName, c.Outcome, c.Warnings = contract.StateDeleted, gone.Outcome, union(c.Warnings, gone.Warnings)
			return false
		}
		l.state.FailedDeletes++
		delay := min(firstDeleteDelay<<min(l.state.FailedDeletes-1, 10), lastDeleteDelay)
		workflow.SetCurrentDetails(r.ctx, l.failedDeleteText(err, delay))
		_ = workflow.Sleep(disconnected, delay)
		if l.isLong() {
			return true
		}
	}
}

// findLeftover finds the cluster that a provision made which did not end with it.
func (l *lease) findLeftover() {
	if l.wasReset() {
		// What the run before the reset has started may still be at it.
		_ = l.awaitOther(nil, never)
	}
	r := l.run
	workflow.SetCurrentDetails(r.ctx, "Looking for what the provision of cluster "+quote(r.cluster.Name)+
		" left behind, to delete it.")
	var found contract.Cluster
	input := activities.LeftoverInput{Request: l.request, Began: l.state.Began}
	err := l.executeActivity(activityMethods.FindLeftover, input,
		"Find what the provision of cluster "+r.cluster.Name+" left behind", never, &found)
	if err != nil { // it goes on whatever Atlas answers, so this is somebody's doing
		workflow.GetLogger(r.ctx).Warn("What the provision left behind is not known", "error", err)
	}
	l.state.Cluster = found
}

// deleteByChild deletes the cluster by a child workflow. A run that is there is waited for first.
func (l *lease) deleteByChild() (gone contract.Cluster, err error) {
	for {
		err := l.executeChild(l.request.Delete(l.state.Cluster.ID), "Delete cluster "+l.run.cluster.Name, never, &gone)
		if !isRunning(err) {
			return gone, err
		}
		if err := l.awaitOther(nil, never); err != nil {
			return gone, err
		}
	}
}

// failedDeleteText says why a delete failed, and when the next one begins.
func (l *lease) failedDeleteText(err error, delay time.Duration) string {
	f, r := l.failureOf(err), l.run
	next := workflow.Now(r.ctx).Add(delay).UTC().Format("15:04:05 UTC on 2006-01-02")
	return "Cluster " + quote(r.cluster.Name) + " with the id " + l.state.Cluster.ID + " is still to be deleted. " +
		"Delete number " + strconv.Itoa(l.state.FailedDeletes) + " failed with " + f.Type + ": " + f.Message +
		". The next one begins at " + next + ", and they go on until one succeeds."
}

// end is the end of a lease that has nothing left to do.
func (l *lease) end() (*contract.LeaseResult, error) {
	r, end, cluster := l.run, l.state.End, l.state.Cluster
	what := "Cluster " + quote(r.cluster.Name) + " with the id " + cluster.ID + " is deleted"
	if cluster.ID == "" {
		what = "There was no cluster to delete"
		cluster = contract.Cluster{
			GroupID: r.cluster.GroupID, Name: r.cluster.Name, StateName: contract.StateDeleted,
			Tags: []contract.Tag{}, Warnings: []string{}, Outcome: contract.Unchanged,
		}
		r.note("")
	} else {
		r.note(cluster.StateName)
	}
	switch {
	case end.Failure != nil:
		f := *end.Failure
		if end.Leftover {
			f.Message += ". The lease has ended: " + strings.ToLower(what[:1]) + what[1:]
		}
		r.enter(contract.PhaseFailed, f.Type+": "+f.Message+".")
		return nil, f.err()
	case end.Canceled:
		r.enter(contract.PhaseFailed, "Cancelled. "+what+".")
		return nil, temporal.NewCanceledError()
	}
	r.enter(contract.PhaseDone, "The lease has ended. "+what+".")
	return &contract.LeaseResult{
		Cluster: cluster, LeasedAt: l.state.LeasedAt, ReleasedAt: workflow.Now(r.ctx), Outcome: contract.Released,
	}, nil
}
