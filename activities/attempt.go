package activities

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/atlas-provisioner/atlas-provisioner/atlasclient"
	"github.com/atlas-provisioner/atlas-provisioner/contract"
)

// attempt is one attempt of an activity: what Temporal says of it, the server's clock, its heartbeat, and the stop of
// the worker. It must be closed.
type attempt struct {
	ctx   context.Context
	info  activity.Info
	clock clock
	// untilStop is ctx, but ends also when the worker begins to stop, so that another worker can go on at once.
	untilStop context.Context

	cancel context.CancelFunc // ends untilStop
	closed chan struct{}      // closed when the attempt ends
	done   chan struct{}      // closed when the background heartbeats have ended

	mu      sync.Mutex
	details any // of the next heartbeat
}

// heartbeatEvery leaves time for two heartbeats within the workflows' heartbeat timeout. The first comes after it, so
// that an activity that is done sooner costs none. The worker has the SDK throttle heartbeats to the same interval.
const heartbeatEvery = 4 * time.Second

// newAttempt heartbeats in the background, so that a killed worker is noticed long before the activity's own time
// limit, and a cancellation arrives.
func newAttempt(ctx context.Context) *attempt {
	info := activity.GetInfo(ctx)
	a := &attempt{
		ctx: ctx, info: info, clock: clock{time.Until(info.StartedTime)},
		closed: make(chan struct{}), done: make(chan struct{}),
	}
	a.untilStop, a.cancel = context.WithCancel(ctx)
	go a.beat(activity.GetWorkerStopChannel(ctx))
	return a
}

// beat ends untilStop when the worker stops, and goes on to heartbeat until the attempt is closed.
func (a *attempt) beat(workerStop <-chan struct{}) {
	//mutate:no-goroutine-leak
	defer close(a.done)
	t := time.NewTicker(heartbeatEvery)
	defer t.Stop()
	for {
		select {
		case <-a.closed:
			return
		case <-workerStop:
			//mutate:stop-ends-waits
			a.cancel()
			workerStop = nil
		case <-t.C:
			a.mu.Lock()
			activity.RecordHeartbeat(a.ctx, a.details)
			a.mu.Unlock()
		}
	}
}

func (a *attempt) close() {
	close(a.closed)
	a.cancel()
	<-a.done
}

// owner is the workflow id that the ownership tag of this run names.
func (a *attempt) owner() string { return contract.Owner(a.info.WorkflowExecution.ID) }

// note sets the details of the heartbeats from now on.
func (a *attempt) note(details any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.details = details
}

// leave sends a heartbeat with details for the next attempt. The SDK delivers it before it reports the failure of this
// one.
func (a *attempt) leave(details any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.details = details
	activity.RecordHeartbeat(a.ctx, details)
}

// sending is a context for a request that changes something. While the request waits for the request budget, the
// worker's stop or a cancellation ends it. Once it is sent nothing does, since its effect would then be unknown. before
// is called right before it is sent.
func (a *attempt) sending(before func()) (context.Context, context.CancelFunc) {
	return a.sendingIf(func() bool {
		before()
		return true
	})
}

// sendingSoon is sending, for a request that was decided on by what a look saw. The request is not sent where that was
// too long ago, nor where the run has ended meanwhile, as a heartbeat right before tells. See [attempt.unsent].
func (a *attempt) sendingSoon(looked time.Time, before func()) (context.Context, context.CancelFunc) {
	return a.sendingIf(func() bool {
		//mutate:soon-after-look
		if time.Since(looked) > decisionHolds {
			return false
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		//mutate:heartbeat-before-change
		activity.RecordHeartbeat(a.ctx, a.details)
		if a.ctx.Err() != nil {
			return false
		}
		before()
		return true
	})
}

// sendingIf is sending, where before also decides whether the request is sent at all.
func (a *attempt) sendingIf(before func() bool) (context.Context, context.CancelFunc) {
	//mutate:create-takes-its-course
	ctx, cancel := context.WithCancel(context.WithoutCancel(a.ctx))
	unlink := context.AfterFunc(a.untilStop, cancel)
	return atlasclient.BeforeSend(ctx, func() {
		if !unlink() || !before() { // untilStop has ended, or the decision does not hold
			cancel()
		}
	}), cancel
}

// unsent is how an attempt ends whose request was not sent; every other error stays as it is.
func (a *attempt) unsent(err error, cluster, state string) error {
	switch {
	case err == nil || !errors.Is(err, context.Canceled):
		return err
	case a.untilStop.Err() != nil:
		return a.interrupted(cluster, state)
	}
	return notYet(cluster, "what was seen of it has become too old while the request waited for the request budget "+
		"of the project; looking again", state, jittered(time.Second))
}

// interrupted is the error of an attempt that cannot finish, because the worker stops (another one goes on at once), an
// operator has paused the activity, or the activity was cancelled.
func (a *attempt) interrupted(cluster, state string) error {
	switch {
	case errors.Is(context.Cause(a.ctx), activity.ErrActivityPaused):
		return notYet(cluster, "the activity is paused", state, 0)
	case a.ctx.Err() != nil:
		return a.ctx.Err()
	}
	//mutate:stop-goes-on
	return notYet(cluster, "the worker is stopping; another one goes on", state, 0)
}

// clock tells the time by the Temporal server's clock, so that it can be compared with the start and the deadline of a
// run, whatever the worker's own clock says.
type clock struct{ offset time.Duration }

func (c clock) now() time.Time { return time.Now().Add(c.offset) }

// local is a time of the server's by the worker's clock.
func (c clock) local(t time.Time) time.Time { return t.Add(-c.offset) }
