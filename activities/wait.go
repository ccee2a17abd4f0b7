package activities

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"github.com/atlas-provisioner/atlas-provisioner/atlasclient"
	"github.com/atlas-provisioner/atlas-provisioner/contract"
)

// WaitUntilIdle waits until the cluster is of the kind asked for and IDLE, with
// its connection strings.
//
// For the first half minute it looks every few seconds. After that each attempt
// looks once and ends with a benign, retryable NOT_YET, so that a long wait
// holds no slot and adds no history; Temporal brings it back after 10 s at first
// and 60 s at last, or later where a worker holds more than 4,800 waits. What it
// knows travels in the heartbeat ([contract.WaitProgress]). All waits of a
// project in a worker share their reads.
//
// It fails with CLUSTER_GONE when the cluster is deleted meanwhile, with
// TIMEOUT when the deadline is reached, and otherwise as Atlas answers.
func (a *Activities) WaitUntilIdle(ctx context.Context, in WaitInput) (contract.Cluster, error) {
	info := activity.GetInfo(ctx)
	w := &wait{Activities: a, in: in, info: info, clock: clockOf(info)}
	w.progress.StateName = in.StateName
	if activity.HasHeartbeatDetails(ctx) {
		// Details that cannot be read are as good as none.
		_ = activity.GetHeartbeatDetails(ctx, &w.progress)
	}
	w.known = w.progress
	defer keepAlive(ctx, func() any { return w.snapshot() })()

	looking, cancel := untilStop(ctx)
	defer cancel()
	w.project = a.fleet.project(in.GroupID)
	if in.ClusterType == contract.ClusterTypeFlex {
		// Atlas lists no serverless instances any more.
		w.others = w.project.watch(in.Name, w.clock.local(info.ScheduledTime))
	}
	done, err := w.run(ctx, looking)
	w.others.leave(comesBack(err))
	if p := w.snapshot(); err != nil && p != w.known {
		activity.RecordHeartbeat(ctx, p) // or the next attempt would not know
	}
	return done, err
}

// run looks until the end of the wait, or until another attempt is to follow.
func (w *wait) run(ctx, looking context.Context) (contract.Cluster, error) {
	stopped := func() (contract.Cluster, error) {
		return contract.Cluster{}, interrupted(ctx, w.in.Name, w.snapshot().StateName)
	}
	// What was created a moment ago is not IDLE: the others' next look is soon
	// enough.
	if w.info.Attempt == 1 && w.in.StateName != contract.StateIdle && !w.others.alone() &&
		!w.others.sleep(looking, w.others.interval(w.pace.FastEvery)) {
		return stopped()
	}
	for {
		s, err := w.look(looking)
		if looking.Err() != nil {
			return stopped()
		}
		if done, err := w.judge(s, err); done != nil || err != nil {
			return value(done), err
		}
		delay, last := w.delay()
		switch {
		case last:
			return w.expired(s)
		case !w.fast():
			return contract.Cluster{}, w.notYet(delay)
		case !w.others.sleep(looking, delay):
			return stopped()
		}
	}
}

type wait struct {
	*Activities
	in      WaitInput
	info    activity.Info
	clock   clock
	project *project
	others  *watch // the waits that it shares its reads with; nil for none

	mu       sync.Mutex
	progress contract.WaitProgress
	known    contract.WaitProgress // what Temporal knew of it when the attempt began
}

// sight is what a look saw.
type sight struct {
	cluster *atlasclient.Cluster
	resp    *atlasclient.Response
	kind    string // FLEX or SERVERLESS; "" while it is neither yet
}

// look asks Atlas about the cluster.
func (w *wait) look(ctx context.Context) (sight, error) {
	name := w.in.Name
	if w.in.ClusterType == contract.ClusterTypeServerless {
		c, resp, err := w.project.getServerless(ctx, read, name)
		if !noSuch(err) {
			return sight{c, resp, contract.ClusterTypeServerless}, err
		}
		// Until the switch only the cluster API knows it.
		c, resp, err = w.project.getCluster(ctx, read, name)
		switch {
		case atlasclient.IsError(err, atlasclient.CodeServerlessInClusterAPI):
			// It switched between the two reads.
			c, resp, err = w.project.getServerless(ctx, read, name)
			return sight{c, resp, contract.ClusterTypeServerless}, err
		case !atlasclient.IsError(err, atlasclient.CodeFlexInClusterAPI):
			return sight{c, resp, ""}, err
		}
		// What was serverless lives on as Flex.
	}
	var c *atlasclient.Cluster
	var resp *atlasclient.Response
	var err error
	if w.others == nil {
		c, resp, err = w.project.getFlex(ctx, read, name)
	} else {
		every := w.every()
		c, resp, err = w.others.look(ctx, min(every, w.others.interval(every)))
	}
	return sight{c, resp, contract.ClusterTypeFlex}, err
}

// judge makes of a look either the end of the wait or the progress of it.
func (w *wait) judge(s sight, err error) (*contract.Cluster, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p, now, name := &w.progress, w.clock.now(), w.in.Name

	if noSuch(err) {
		p.Errors = 0
		if p.NotFoundSince.IsZero() {
			p.NotFoundSince = now
		}
		if now.Sub(p.NotFoundSince) >= w.pace.NotFoundFor {
			return nil, gone(name, fmt.Sprintf("it was deleted: Atlas has known no such cluster for %s (last state %s)",
				now.Sub(p.NotFoundSince).Round(time.Second), orUnknown(p.StateName)), p.StateName)
		}
		return nil, nil
	}
	if err != nil {
		return nil, w.lookFailed(err)
	}

	p.Errors, p.NotFoundSince = 0, time.Time{}
	if p.StateName != s.cluster.StateName || p.Since.IsZero() {
		p.StateName, p.Since = s.cluster.StateName, now
	}
	switch {
	case p.StateName == contract.StateDeleting:
		return nil, gone(name, "it is being deleted", p.StateName)
	case p.StateName != contract.StateIdle || s.kind == "":
		p.IdleSince = time.Time{}
		return nil, nil
	}
	// IDLE can be answered before the connection string is there.
	if p.IdleSince.IsZero() {
		p.IdleSince = now
	}
	out := result(s.cluster, s.kind, s.resp)
	switch {
	case out.Ready():
	case now.Sub(p.IdleSince) < w.pace.StandardFor:
		return nil, nil
	default:
		out.Warnings = append(out.Warnings, missing(now.Sub(p.IdleSince)))
	}
	return &out, nil
}

// lookFailed is the failure of a look. The delay of the next one grows with
// the looks in a row that failed, and not with the attempts: after fifty that
// ended in NOT_YET the retry policy would have its longest.
func (w *wait) lookFailed(err error) error {
	var busy errBusy
	if errors.As(err, &busy) {
		return notYet(w.in.Name, busy.Error(), w.progress.StateName, w.within(busy.after))
	}
	w.progress.Errors++
	delay := w.within(backoff(w.progress.Errors, w.pace.SlowMax))
	return failure(w.in.Name, w.progress.StateName, err, delay)
}

func missing(after time.Duration) string {
	return fmt.Sprintf("Atlas answered IDLE but gave no connection string of every kind for %s: read the cluster again for the rest",
		after.Round(time.Second))
}

// begun is when the wait was scheduled, or when it began if nobody took it up
// before.
func (w *wait) begun() time.Time {
	if w.info.Attempt == 1 {
		return w.info.StartedTime
	}
	return w.info.ScheduledTime
}

// fast is whether the wait still holds its slot: for the first half minute.
func (w *wait) fast() bool { return w.clock.now().Sub(w.begun()) < w.pace.Fast }

// every is how long a wait that is alone leaves until its next look. It begins
// with three times FastEvery, since no cluster is made in less, and grows with
// the wait: nobody who waits for minutes minds seconds.
func (w *wait) every() time.Duration {
	now := w.clock.now()
	if !w.fast() {
		d := min(max(now.Sub(w.info.ScheduledTime)/6, w.pace.SlowMin), w.pace.SlowMax)
		d = max(d, w.others.turnaround())
		return d + rand.N(d/5) - d/10
	}
	d := max(now.Sub(w.begun())/8, w.pace.FastEvery)
	if now.Sub(w.begun()) < w.pace.FastEvery {
		d = 3 * w.pace.FastEvery
	}
	return d + rand.N(d/20)
}

// delay is how long until the next look; last says that there is no time for
// one. The final look is a second before the deadline.
func (w *wait) delay() (d time.Duration, last bool) {
	d = w.every()
	if w.fast() {
		d = w.others.interval(d)
	}
	left := w.in.Deadline.Sub(w.clock.now()) - time.Second
	if left < 200*time.Millisecond {
		return 0, true
	}
	return min(d, left), false
}

// within is a delay that leaves time for another attempt before the deadline.
func (w *wait) within(d time.Duration) time.Duration {
	if left := w.in.Deadline.Sub(w.clock.now()); d > left {
		return max(left/2, 100*time.Millisecond)
	}
	return d
}

func (w *wait) notYet(delay time.Duration) error {
	p := w.snapshot()
	return notYet(w.in.Name, fmt.Sprintf("%s; next look in %s", w.seen(p), delay.Round(time.Second)), p.StateName, delay)
}

// expired ends a wait whose time is up: with the cluster, if all that it lacks
// is a connection string, and with TIMEOUT otherwise.
func (w *wait) expired(s sight) (contract.Cluster, error) {
	p := w.snapshot()
	if !p.IdleSince.IsZero() && s.cluster != nil {
		out := result(s.cluster, s.kind, s.resp)
		out.Warnings = append(out.Warnings, missing(w.clock.now().Sub(p.IdleSince)))
		return out, nil
	}
	return contract.Cluster{}, temporal.NewApplicationErrorWithOptions(
		fmt.Sprintf("cluster %q: %s", w.in.Name, w.seen(p)), contract.Timeout, temporal.ApplicationErrorOptions{
			NonRetryable: true,
			Details:      []any{contract.FailureDetails{StateName: p.StateName}},
		})
}

// seen says in words what the last look saw.
func (w *wait) seen(p contract.WaitProgress) string {
	switch now := w.clock.now(); {
	case !p.NotFoundSince.IsZero():
		return "Atlas does not show it yet"
	case !p.IdleSince.IsZero():
		return fmt.Sprintf("IDLE for %s, connection strings still missing", now.Sub(p.IdleSince).Round(time.Second))
	case p.StateName == contract.StateIdle:
		return "IDLE as it was before the upgrade"
	default:
		return fmt.Sprintf("%s for %s", orUnknown(p.StateName), now.Sub(p.Since).Round(time.Second))
	}
}

func (w *wait) snapshot() contract.WaitProgress {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.progress
}

func orUnknown(state string) string {
	if state == "" {
		return "unknown"
	}
	return state
}
