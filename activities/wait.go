package activities

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/atlas-provisioner/atlas-provisioner/atlasclient"
	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/ratelimit"
	"github.com/atlas-provisioner/atlas-provisioner/internal/reads"
)

// WaitInput is the input of WaitUntilIdle and WaitUntilAsAsked.
type WaitInput struct {
	GroupID string `json:"groupId"`
	Name    string `json:"name"`
	// ID is the id of the cluster; "" where it changes, as an upgrade does, or is not known. Another cluster that has
	// the name is not the one that is waited for.
	ID string `json:"id,omitempty"`
	// ClusterType is the kind that the cluster is to become: FLEX, DEDICATED or SERVERLESS.
	ClusterType string `json:"clusterType"`
	// Upgraded says that the cluster becomes so by an upgrade from another kind.
	Upgraded bool `json:"upgraded,omitempty"`
	// StateName is the last state seen.
	StateName string `json:"stateName"`
	// Shown says that Atlas has shown the cluster before the wait, so that it is known to be gone once it is not there.
	Shown bool `json:"shown,omitempty"`
	// Deadline is when the run's time is up, by Temporal's clock.
	Deadline time.Time `json:"deadline"`
	// Asked is what WaitUntilAsAsked waits for.
	Asked contract.Asked `json:"asked,omitzero"`
	// ShownAt is when Atlas had shown the cluster to upgrade, by Atlas's own clock; zero where that is not known.
	ShownAt time.Time `json:"shownAt,omitzero"`
	// Before is what an upgraded cluster had before, where nothing is asked. It is asked for if the upgrade loses all
	// tags. As long as there are tags, what differs has been changed by somebody since, and is left so.
	Before contract.Asked `json:"before,omitzero"`
}

// WaitUntilIdle waits until the cluster is of the kind asked for and IDLE, with its connection strings.
//
// For the first half minute it looks every few seconds. After that each attempt looks once and ends with a benign,
// retryable NOT_YET, so that a long wait holds no slot and adds no history; Temporal brings it back after 10 s at first
// and 60 s at last, or later where a worker holds more than 4,800 waits. What it knows travels in the heartbeat
// ([contract.WaitProgress]). All waits of a project in a worker share their reads.
//
// It fails with CLUSTER_GONE when the cluster is deleted meanwhile, with TIMEOUT when the deadline is reached, and
// otherwise as Atlas answers.
func (a *Activities) WaitUntilIdle(ctx context.Context, in WaitInput) (contract.Cluster, error) {
	w := a.newWait(ctx, in, goalIdle)
	return w.attend(ctx)
}

// WaitUntilAsAsked waits as WaitUntilIdle does, until the cluster also has what was asked for. A cluster that stays
// IDLE without it is asked for it again: the change may have been ignored, undone by somebody, or lost in an upgrade.
// It fails with CLUSTER_CONFLICT, too, when somebody else's cluster has taken the place of the one it waits for.
func (a *Activities) WaitUntilAsAsked(ctx context.Context, in WaitInput) (contract.Cluster, error) {
	w := a.newWait(ctx, in, goalAsAsked)
	// Atlas was asked right before the wait.
	w.progress.AskedAt = w.attempt.info.ScheduledTime
	w.ask = w.askForChange
	return w.attend(ctx)
}

// wait is one attempt of an activity that waits.
type wait struct {
	activities *Activities
	attempt    *attempt
	in         WaitInput
	goal       goal
	target     kind
	shared     *reads.Wait // the waits that it shares its reads with
	progress   contract.WaitProgress
	// ask asks Atlas for what the cluster lacks; nil where the wait only looks.
	ask func(saw look) error
}

// newWait begins an attempt, which must attend to the wait.
func (a *Activities) newWait(ctx context.Context, in WaitInput, goal goal) *wait {
	w := &wait{
		activities: a, in: in, goal: goal, target: kindOf(in.ClusterType, in.Upgraded), attempt: newAttempt(ctx),
	}
	w.progress.StateName = in.StateName
	return w
}

// attend goes on from what the attempts before noted, and notes what this one saw.
func (w *wait) attend(ctx context.Context) (contract.Cluster, error) {
	defer w.attempt.close()
	if activity.HasHeartbeatDetails(ctx) {
		// Details that cannot be read are as good as none.
		_ = activity.GetHeartbeatDetails(ctx, &w.progress)
	}
	before := w.progress
	w.attempt.note(w.progress)
	w.shared = w.activities.reads.Enter(w.in.GroupID, w.in.Name, w.target.listed,
		w.attempt.clock.local(w.attempt.info.ScheduledTime))
	if w.goal == goalGone {
		w.shared.UntilGone()
	}
	w.shared.Saw(w.progress.StateName)

	cluster, err := w.run()
	w.shared.Leave(comesBackAfter(err))
	if err != nil && w.progress != before {
		w.attempt.leave(w.progress) // or the next attempt would not know
	}
	return cluster, err
}

// run looks until the end of the wait, or until another attempt is to follow.
func (w *wait) run() (contract.Cluster, error) {
	ctx := w.attempt.untilStop
	stopped := func() (contract.Cluster, error) {
		return contract.Cluster{}, w.attempt.interrupted(w.in.Name, w.progress.StateName)
	}
	// A cluster that was created a moment ago is not IDLE yet: it is soon enough to look when the other waits of the
	// project look next.
	if w.attempt.info.Attempt == 1 && w.goal == goalIdle && w.in.StateName != contract.StateIdle && !w.shared.Alone() &&
		!w.shared.Sleep(ctx, w.shared.Interval(w.activities.pace.FastEvery)) {
		return stopped()
	}
	for {
		saw, err := w.look(ratelimit.WithPriority(ctx, ratelimit.Read))
		if ctx.Err() != nil {
			return stopped()
		}
		cluster, over, err := w.evaluate(saw.observation, err)
		if err == nil && !over && w.isToAsk(saw) {
			if err = w.ask(saw); err == nil {
				w.progress.Errors = 0
			}
		}
		w.shared.Saw(w.progress.StateName)
		w.attempt.note(w.progress)
		if over || err != nil {
			return cluster, err
		}
		delay, last := w.delay()
		switch {
		case last:
			return w.expire(saw.observation)
		case !w.fast():
			return contract.Cluster{}, notYet(w.in.Name,
				fmt.Sprintf("%s; next look in %s", w.describe(saw.observation), delay.Round(time.Second)),
				w.progress.StateName, delay)
		case !w.shared.Sleep(ctx, delay):
			return stopped()
		}
	}
}

// look asks Atlas about the cluster, as what it is to become and otherwise as what it still is.
func (w *wait) look(ctx context.Context) (look, error) {
	saw, err := w.observe(ctx)
	return look{saw, time.Now()}, err
}

func (w *wait) observe(ctx context.Context) (observation, error) {
	switch {
	//mutate:one-request-a-look
	case w.progress.OldKind:
		return w.activities.observeWhileUpgrading(ctx, w.target, w.in.GroupID, w.in.Name)
	case w.target.listed != reads.Flex:
		return w.activities.observeUntilItBecomes(ctx, w.target, w.in.GroupID, w.in.Name)
	}
	every := w.every()
	maxAge := min(every, w.shared.Interval(every))
	if w.goal == goalGone && w.progress.AskedAt.IsZero() { // a delete is decided on it
		maxAge = freshRead
	}
	cluster, response, err := w.shared.Look(ctx, maxAge)
	//mutate:list-may-lag
	if errors.Is(err, reads.ErrAbsent) && w.progress.StateName != contract.StateDeleting {
		// A list can lag behind a create: it proves the end of a cluster only where that was seen to begin.
		return w.activities.observe(ctx, flex, w.in.GroupID, w.in.Name)
	}
	return observation{cluster, response, flex}, err
}

// evaluate makes of a look the end of the wait or the progress of it.
func (w *wait) evaluate(saw observation, err error) (cluster contract.Cluster, over bool, failed error) {
	p, now := &w.progress, w.attempt.clock.now()
	switch {
	case errors.Is(err, errBetweenKinds):
		return contract.Cluster{}, false, nil
	case w.isAbsent(err):
		return w.evaluateAbsence(now)
	case err != nil:
		return contract.Cluster{}, false, w.lookFailed(err)
	}
	if w.isAnother(saw) {
		if w.goal == goalGone {
			return contract.Cluster{}, true, nil
		}
		return contract.Cluster{}, false, gone(w.in.Name, "another cluster has its name", "")
	}
	p.Refusals, p.NotFoundSince = 0, time.Time{}
	if p.StateName != saw.cluster.StateName || p.Since.IsZero() {
		p.StateName, p.Since = saw.cluster.StateName, now
	}
	cluster = saw.result()
	p.OldKind = w.in.Upgraded && !w.target.becomes(cluster.ClusterType)
	if w.in.Upgraded && w.goal == goalAsAsked {
		if err := w.checkStillOurs(saw); err != nil {
			return contract.Cluster{}, false, err
		}
	}
	evaluation := w.goal.evaluate(cluster, w.target, w.in.Asked)
	if evaluation != unmet { // else requests for what it lacks may be failing
		p.Errors = 0
	}
	switch evaluation {
	case lost:
		return contract.Cluster{}, false, gone(w.in.Name, "it is being deleted", p.StateName)
	case reached:
		return cluster, true, nil
	case unmet:
		if p.IdleSince.IsZero() {
			p.IdleSince = now
		}
	case incomplete: // IDLE can be answered before the connection string is there
		if p.IdleSince.IsZero() {
			p.IdleSince = now
		}
		if idleFor := now.Sub(p.IdleSince); idleFor >= w.activities.pace.StandardFor {
			cluster.Warnings = append(cluster.Warnings, missingStrings(idleFor))
			return cluster, true, nil
		}
	default:
		p.IdleSince = time.Time{}
	}
	return contract.Cluster{}, false, nil
}

// isAnother reports whether the cluster that has the name is another one than is waited for.
func (w *wait) isAnother(saw observation) bool {
	//mutate:wait-for-successor
	return w.in.ID != "" && saw.cluster.ID != "" && saw.cluster.ID != w.in.ID
}

// isToAsk reports whether Atlas is to be asked: the cluster lacks what the wait is for, and has lacked it for so long
// that no earlier request can still be on its way.
func (w *wait) isToAsk(saw look) bool {
	if w.ask == nil || saw.cluster == nil || saw.cluster.ID == "" || w.isAnother(saw.observation) ||
		w.goal.evaluate(saw.result(), w.target, w.in.Asked) != unmet {
		return false
	}
	p, now, settleFor := w.progress, w.attempt.clock.now(), w.activities.pace.SettleFor
	return p.AskedAt.IsZero() || now.Sub(p.AskedAt) >= settleFor && now.Sub(p.IdleSince) >= settleFor
}

// checkStillOurs fails where somebody else's cluster has taken the place of the one that Atlas was asked to change. An
// upgrade gives a cluster a new id and lets its tags vanish, so that there the age tells of a cluster without the
// ownership tag: one that was made after Atlas had shown the cluster to upgrade is another.
func (w *wait) checkStillOurs(saw observation) error {
	const inaccuracy = 2 * time.Second // Atlas tells its times to the second
	cluster, workflowID, shownAt := saw.result(), w.attempt.owner(), w.in.ShownAt
	isNew := !shownAt.IsZero() && cluster.CreateDate.After(shownAt.Add(inaccuracy))
	//mutate:upgrade-successor
	if isNew && ownershipOf(cluster, workflowID) == untagged {
		return untouched(cluster, "a cluster that was made since has taken its place ("+untagged.whose(cluster)+")",
			"look in Atlas who made it")
	}
	return checkMayChange(cluster, workflowID, true)
}

// askForChange asks for what the cluster lacks. A shared look can be a minute old, so that it looks again first.
func (w *wait) askForChange(look) error {
	ref := contract.ClusterRef{GroupID: w.in.GroupID, Name: w.in.Name}
	saw, err := w.activities.lookAlone(w.attempt, w.target, ref)
	if err != nil || !w.isToAsk(saw) {
		return nil // the next look tells what became of it
	}
	//mutate:ask-again-anothers
	if err := w.checkStillOurs(saw.observation); err != nil {
		return err
	}
	asked := w.in.Asked
	//mutate:upgrade-loses-tags
	if w.in.Upgraded && len(saw.cluster.Tags) == 0 {
		asked = w.in.Before
	}
	_, err = w.activities.change(w.attempt, ref, saw, asked, func() {
		w.progress.AskedAt = w.attempt.clock.now()
	})
	return w.askFailed(err)
}

// askFailed is the failure of a request for what the cluster lacks. One that Atlas refuses is final, as it is not for a
// look; where the cluster is gone or going, the next look tells.
func (w *wait) askFailed(err error) error {
	//mutate:delete-in-progress
	if err == nil || isBeingDeleted(err) || w.target.isAbsent(err) {
		return nil
	}
	var answer *atlasclient.Error
	if errors.As(err, &answer) {
		w.progress.Errors++
	}
	delay := w.beforeDeadline(backoff(w.progress.Errors, w.activities.pace.SlowMax))
	return failure(w.in.Name, w.progress.StateName, err, delay)
}

// isAbsent reports whether an answer says that there is no such cluster, of any kind that the wait looks for.
func (w *wait) isAbsent(err error) bool {
	if errors.Is(err, reads.ErrAbsent) {
		return true
	}
	otherKind := atlasclient.IsError(err, atlasclient.CodeNonFlexInFlexAPI)
	return w.target.isAbsent(err) && (!otherKind || w.goal == goalGone)
}

// evaluateAbsence makes of an answer that there is no such cluster what is known by it. A read can lag behind a create,
// for however long; so only a cluster that Atlas has shown before is taken to be gone.
func (w *wait) evaluateAbsence(now time.Time) (cluster contract.Cluster, over bool, failed error) {
	p := &w.progress
	p.Errors, p.Refusals = 0, 0
	if p.NotFoundSince.IsZero() {
		p.NotFoundSince = now
	}
	absentFor := now.Sub(p.NotFoundSince)
	switch {
	//mutate:gone-once-deleting
	case w.goal == goalGone && p.StateName == contract.StateDeleting:
		return contract.Cluster{}, true, nil
	case p.Since.IsZero() && !w.in.Shown || absentFor < w.activities.pace.NotFoundFor:
		return contract.Cluster{}, false, nil
	case w.goal == goalGone:
		return contract.Cluster{}, true, nil
	}
	reason := fmt.Sprintf("Atlas has known no such cluster for %s (last state %s)",
		absentFor.Round(time.Second), orUnknown(p.StateName))
	return contract.Cluster{}, false, gone(w.in.Name, reason, "")
}

func missingStrings(after time.Duration) string {
	return fmt.Sprintf("Atlas answered IDLE but gave no connection string of every kind for %s: "+
		"read the cluster again for the rest", after.Round(time.Second))
}

// expire ends a wait whose time is up: with the cluster, if all that it lacks is a connection string, and with TIMEOUT
// otherwise.
func (w *wait) expire(saw observation) (contract.Cluster, error) {
	if !w.progress.IdleSince.IsZero() && saw.cluster != nil &&
		w.goal.evaluate(saw.result(), w.target, w.in.Asked) == incomplete {
		cluster := saw.result()
		cluster.Warnings = append(cluster.Warnings, missingStrings(w.attempt.clock.now().Sub(w.progress.IdleSince)))
		return cluster, nil
	}
	return contract.Cluster{}, timedOut(w.in.Name, w.describe(saw), w.progress.StateName)
}

// describe says in words what the last look saw.
func (w *wait) describe(saw observation) string {
	p := w.progress
	unmetNow := saw.cluster != nil && w.goal.evaluate(saw.result(), w.target, w.in.Asked) == unmet
	switch now := w.attempt.clock.now(); {
	case !p.NotFoundSince.IsZero() && p.Since.IsZero():
		return "Atlas does not show it yet"
	case !p.NotFoundSince.IsZero():
		return "Atlas does not show it"
	case unmetNow && w.goal == goalGone:
		return p.StateName + ", though Atlas was asked to delete it"
	case unmetNow:
		return "IDLE, but not as asked: " + contract.ListDifferences(w.in.Asked.Differences(saw.result()))
	case !p.IdleSince.IsZero():
		return fmt.Sprintf("IDLE for %s, connection strings still missing", now.Sub(p.IdleSince).Round(time.Second))
	case p.StateName == contract.StateIdle:
		return "IDLE as it was before the upgrade"
	default:
		return fmt.Sprintf("%s for %s", orUnknown(p.StateName), now.Sub(p.Since).Round(time.Second))
	}
}

func orUnknown(state string) string {
	if state == "" {
		return "unknown"
	}
	return state
}
