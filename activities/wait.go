package activities

import (
	"context"
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
// For the first half minute it looks every second or two. After that each
// attempt looks once and ends with a benign, retryable NOT_YET, so that a long
// wait holds no slot and adds no history; Temporal brings it back after 10 s
// at first and 60 s at last. What it knows travels in the heartbeat
// ([contract.WaitProgress]).
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
	defer keepAlive(ctx, func() any { return w.snapshot() })()

	looking, cancel := untilStop(ctx)
	defer cancel()
	for {
		s, err := w.look(looking)
		if looking.Err() != nil {
			return contract.Cluster{}, interrupted(ctx, in.Name, w.snapshot().StateName)
		}
		done, err := w.judge(s, err)
		activity.RecordHeartbeat(ctx, w.snapshot())
		if done != nil || err != nil {
			return value(done), err
		}
		delay, last := w.delay()
		switch {
		case last:
			return w.expired(s)
		case !w.fast():
			return contract.Cluster{}, w.notYet(delay)
		case !sleep(looking, delay):
			return contract.Cluster{}, interrupted(ctx, in.Name, w.snapshot().StateName)
		}
	}
}

type wait struct {
	*Activities
	in    WaitInput
	info  activity.Info
	clock clock

	mu       sync.Mutex
	progress contract.WaitProgress
}

// sight is what a look saw.
type sight struct {
	cluster *atlasclient.Cluster
	resp    *atlasclient.Response
	kind    string // FLEX or SERVERLESS; "" while it is neither yet
}

// look asks Atlas about the cluster.
func (w *wait) look(ctx context.Context) (sight, error) {
	group, name := w.in.GroupID, w.in.Name
	if w.in.ClusterType == contract.ClusterTypeServerless {
		c, resp, err := w.atlas.GetServerlessInstance(ctx, group, name)
		if !noSuch(err) {
			return sight{c, resp, contract.ClusterTypeServerless}, err
		}
		// Until the switch only the cluster API knows it.
		c, resp, err = w.atlas.GetCluster(ctx, group, name)
		switch {
		case atlasclient.IsError(err, atlasclient.CodeServerlessInClusterAPI):
			// It switched between the two reads.
			c, resp, err = w.atlas.GetServerlessInstance(ctx, group, name)
			return sight{c, resp, contract.ClusterTypeServerless}, err
		case !atlasclient.IsError(err, atlasclient.CodeFlexInClusterAPI):
			return sight{c, resp, ""}, err
		}
		// What was serverless lives on as Flex.
	}
	c, resp, err := w.atlas.GetFlexCluster(ctx, group, name)
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
		p.Errors++
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
	case complete(out):
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
	delay := backoff(w.progress.Errors, w.pace.SlowMax)
	if left := w.in.Deadline.Sub(w.clock.now()); delay > left {
		delay = max(left/2, 100*time.Millisecond)
	}
	return failureAfter(w.in.Name, w.progress.StateName, err, delay)
}

// complete is whether all connection strings are there. A serverless instance
// has no other than standardSrv
// (https://www.mongodb.com/docs/api/doc/atlas-admin-api-v2/, ServerlessInstanceDescription).
func complete(c contract.Cluster) bool {
	s := c.ConnectionStrings
	return s.StandardSrv != "" && (s.Standard != "" || c.ClusterType == contract.ClusterTypeServerless)
}

func missing(after time.Duration) string {
	return fmt.Sprintf("Atlas answered IDLE but gave no connection string of every kind for %s: read the cluster again for the rest",
		after.Round(time.Second))
}

// fast is whether the wait still holds its slot: for the first half minute
// since it was scheduled, or since it began if nobody took it up before.
func (w *wait) fast() bool {
	since := w.info.ScheduledTime
	if w.info.Attempt == 1 {
		since = w.info.StartedTime
	}
	return w.clock.now().Sub(since) < w.pace.Fast
}

// delay is how long until the next look; last says that there is no time for
// one. The final look is a second before the deadline.
func (w *wait) delay() (d time.Duration, last bool) {
	if w.fast() {
		d = w.pace.FastEvery + rand.N(w.pace.FastEvery)
	} else {
		// A sixth of what it has taken so far: nobody who waits for minutes
		// minds seconds.
		d = min(max(w.clock.now().Sub(w.info.ScheduledTime)/6, w.pace.SlowMin), w.pace.SlowMax)
		d += rand.N(d/5) - d/10
	}
	left := w.in.Deadline.Sub(w.clock.now()) - time.Second
	if left < 200*time.Millisecond {
		return 0, true
	}
	return min(d, left), false
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
