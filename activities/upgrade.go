package activities

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/atlas-provisioner/atlas-provisioner/atlasclient"
	"github.com/atlas-provisioner/atlas-provisioner/contract"
)

// upgradeRequest is what one kind of upgrade asks for, and what it does in its own way.
type upgradeRequest struct {
	cluster contract.ClusterRef
	// target is the kind that the cluster is to become.
	target kind
	// becomes names the target in a sentence, such as "serverless".
	becomes string
	// decideTarget decides on a cluster of the target kind that there is already.
	decideTarget func(found upgradeFound) (contract.Cluster, error)
	// checkSource fails where the cluster is not to be upgraded; nil leaves that to Atlas.
	checkSource func(source contract.Cluster) error
	// send asks Atlas for the upgrade of a cluster as it was found; nil where Atlas refuses to show it.
	send func(ctx context.Context, source *contract.Cluster) (*atlasclient.Cluster, *atlasclient.Response, error)
}

// upgradeProgress is the heartbeat of an upgrade, for the next attempt.
//
// An attempt can be lost with its worker, and a heartbeat with the connection to Temporal. So the attempt that sends
// the request is the one that was given the intent by Temporal: the attempt before has put it on record, and has ended.
type upgradeProgress struct {
	// IntentBy is the number of the attempt that put on record that the next one sends the request; 0 for none.
	IntentBy int32 `json:"intentBy,omitempty"`
	// Source is the cluster as it was before the request. While an upgrade runs, its tags vanish.
	Source *contract.Cluster `json:"source,omitempty"`
	// WatchedSince is since when the cluster is watched for the effect of a request that may have been sent; zero for
	// none.
	WatchedSince time.Time `json:"watchedSince,omitzero"`
	// RefusedSince is since when the cluster is watched because Atlas refused the request in general words, as it does
	// where an upgrade is under way already; zero for none.
	RefusedSince time.Time `json:"refusedSince,omitzero"`
	// Errors counts the attempts in a row that failed.
	Errors int `json:"errors,omitempty"`
}

// upgrade is one attempt of an activity that asks Atlas for an upgrade, once in effect: it looks before it asks, and
// after an attempt whose answer was lost it watches for the upgrade's first signs before it asks again.
type upgrade struct {
	activities  *Activities
	attempt     *attempt
	request     upgradeRequest
	runInfo     RunInfo
	askedBefore bool // the run has asked before this attempt
	maySend     bool // this attempt is the one that was given the intent
	progress    upgradeProgress
}

// upgrade makes an attempt at an upgrade.
func (a *Activities) upgrade(
	ctx context.Context, run RunInfo, makeRequest func(workflowID string) upgradeRequest,
) (contract.Cluster, error) {
	u := &upgrade{activities: a, runInfo: run}
	if activity.HasHeartbeatDetails(ctx) {
		// Without them a request could be sent twice. Another worker may have the key that this one lacks.
		if err := activity.GetHeartbeatDetails(ctx, &u.progress); err != nil {
			return contract.Cluster{}, fmt.Errorf("what the attempt before noted cannot be read: %w", err)
		}
	}
	u.attempt = newAttempt(ctx)
	defer u.attempt.close()
	u.request = makeRequest(u.attempt.info.WorkflowExecution.ID)
	// Until it is known how this attempt ends, the next one must see what this one saw.
	u.attempt.note(u.progress)

	before, runID := u.progress, u.attempt.info.WorkflowExecution.RunID
	u.askedBefore = a.askedBefore(u.attempt, run)
	//mutate:upgrade-on-record
	u.maySend = u.progress.IntentBy != 0 && u.attempt.info.Attempt == u.progress.IntentBy+1
	// The attempt that might send was lost, or an operator has reset the heartbeats, or they are those of an earlier
	// activity.
	mayHaveSent := !u.maySend && (u.progress.IntentBy != 0 || a.asked.has(runID) || u.isFirstOfAnother())
	if mayHaveSent && u.progress.WatchedSince.IsZero() {
		u.progress.WatchedSince = u.attempt.clock.now()
	}
	u.progress.IntentBy = 0

	cluster, err := u.run()
	var answer *atlasclient.Error
	if errors.As(err, &answer) {
		u.progress.Errors++
	} else {
		u.progress.Errors = 0
	}
	if err != nil && !reflect.DeepEqual(u.progress, before) {
		u.attempt.leave(u.progress)
	}
	//mutate:backoff
	err = failure(u.request.cluster.Name, "", err, backoff(u.progress.Errors, a.pace.SlowMax))
	a.asked.settle(runID, err)
	return cluster, err
}

// isFirstOfAnother reports whether this is the first attempt of an activity that follows another one of the run.
func (u *upgrade) isFirstOfAnother() bool {
	return u.runInfo.AskedBefore && u.attempt.info.Attempt == 1
}

// run looks, decides, and asks.
func (u *upgrade) run() (contract.Cluster, error) {
	found, err := u.look()
	if err != nil {
		return contract.Cluster{}, err
	}
	decision := decideUpgrade(u.request, found, u.activities.pace)
	switch {
	case !decision.send:
		return u.asItWas(decision.cluster), decision.err
	case u.maySend:
		return u.send(found)
	}
	u.progress = upgradeProgress{
		IntentBy: u.attempt.info.Attempt, Source: found.shownSource(), RefusedSince: u.progress.RefusedSince,
	}
	return contract.Cluster{}, notYet(u.request.cluster.Name,
		"the upgrade is asked for next; that is put on record first", "", 0)
}

// asItWas gives a cluster whose upgrade is under way the tags and the protection from before: while it runs, they vanish
// and come back (observed 2026-08-10).
func (u *upgrade) asItWas(c contract.Cluster) contract.Cluster {
	if before := u.progress.Source; before != nil && c.Outcome == contract.Upgraded {
		c.Tags, c.TerminationProtectionEnabled = before.Tags, before.TerminationProtectionEnabled
	}
	return c
}

// upgradeFound is what an upgrade found before it asks.
type upgradeFound struct {
	// target is the cluster of the name, where it is of the target kind already; nil for none.
	target *observation
	// madeByThisRun says that the target is no older than the run.
	madeByThisRun bool
	// source is the cluster of the name, where there is no target; nil where Atlas refuses to show it.
	source *observation
	// mayHaveSent says that an earlier attempt may have sent a request whose effect is unknown. The cluster is watched
	// for it since watchedFor.
	mayHaveSent bool
	watchedFor  time.Duration
	// refused says that Atlas refused the request, maybe since an upgrade is under way that it does not show yet, such
	// as that of an earlier run. The cluster is watched for it since refusedFor.
	refused    bool
	refusedFor time.Duration
}

// shownSource is the cluster to upgrade; nil where Atlas refuses to show it.
func (f upgradeFound) shownSource() *contract.Cluster {
	if f.source == nil {
		return nil
	}
	return new(f.source.result())
}

// look reads the cluster as one of the target kind, and where there is none as what is to become one.
func (u *upgrade) look() (upgradeFound, error) {
	now := u.attempt.clock.now()
	found := upgradeFound{
		mayHaveSent: !u.progress.WatchedSince.IsZero(), watchedFor: now.Sub(u.progress.WatchedSince),
		refused: !u.progress.RefusedSince.IsZero(), refusedFor: now.Sub(u.progress.RefusedSince),
	}
	ctx, ref, kind := u.attempt.ctx, u.request.cluster, u.request.target
	target, err := u.activities.observe(ctx, kind, ref.GroupID, ref.Name)
	if kind.isAbsent(err) {
		var source observation
		source, err = u.activities.observe(ctx, *kind.from, ref.GroupID, ref.Name)
		notFound := atlasclient.IsError(err, atlasclient.CodeClusterNotFound)
		var answered *atlasclient.Error
		switch {
		case err == nil:
			found.source = &source
			return found, nil
		case kind.from.isAbsent(err) && !notFound: // it switched between the two reads
			target, err = u.activities.observe(ctx, kind, ref.GroupID, ref.Name)
		case u.request.checkSource == nil && errors.As(err, &answered) && !retryable(answered):
			return found, nil // Atlas refuses the upgrade itself in better words
		case notFound && found.mayHaveSent: // it is between the two kinds
			return found, notYet(ref.Name, "Atlas does not show it at the moment", "", 2*u.activities.pace.FastEvery)
		}
	}
	if err != nil {
		return found, err
	}
	found.target = &target
	found.madeByThisRun = madeByThisRun(target, u.runInfo, u.attempt.clock.now(), u.askedBefore)
	return found, nil
}

// upgradeDecision says what is to be done: ask Atlas for the upgrade, go on with the cluster, or fail.
type upgradeDecision struct {
	send    bool
	cluster contract.Cluster
	err     error
}

// decideUpgrade decides by what was found and what is asked.
func decideUpgrade(request upgradeRequest, found upgradeFound, pace Pace) upgradeDecision {
	name := request.cluster.Name
	switch {
	case found.target != nil:
		cluster, err := request.decideTarget(found)
		return upgradeDecision{cluster: cluster, err: err}
	case found.source == nil:
		return upgradeDecision{send: true}
	}
	state := found.source.cluster.StateName
	if state == contract.StateUpdating && found.mayHaveSent {
		cluster := resultOf(found.source.cluster, request.target.clusterType, found.source.response)
		cluster.Outcome = contract.Upgraded
		return upgradeDecision{cluster: cluster}
	}
	if request.checkSource != nil {
		if err := request.checkSource(found.source.result()); err != nil {
			return upgradeDecision{err: err}
		}
	}
	switch {
	case state == contract.StateUpdating:
		return upgradeDecision{err: notYet(name,
			"Atlas is making another change to it (UPDATING); the upgrade is asked for after that", state,
			pace.SlowMin)}
	//mutate:upgrade-watches-first
	case found.mayHaveSent && found.watchedFor < pace.SettleFor:
		return upgradeDecision{err: notYet(name, fmt.Sprintf(
			"the answer to the upgrade was lost; looking for %s whether it took effect",
			found.watchedFor.Round(time.Second)), state, 2*pace.FastEvery)}
	//mutate:upgrade-refused
	case found.refused && found.refusedFor < pace.SettleFor:
		return upgradeDecision{err: notYet(name, fmt.Sprintf(
			"Atlas refused the upgrade; looking for %s whether one is under way already",
			found.refusedFor.Round(time.Second)), state, 2*pace.FastEvery)}
	}
	return upgradeDecision{send: true}
}

// send asks for the upgrade.
func (u *upgrade) send(found upgradeFound) (contract.Cluster, error) {
	name, runID, sent := u.request.cluster.Name, u.attempt.info.WorkflowExecution.RunID, false
	sending, cancel := u.attempt.sending(func() {
		sent = true
		u.activities.asked.add(runID)
	})
	defer cancel()
	cluster, response, err := u.request.send(sending, found.shownSource())
	switch {
	case err == nil:
		upgrading := resultOf(cluster, u.request.target.clusterType, response)
		upgrading.Outcome = contract.Upgraded
		return u.asItWas(upgrading), nil
	case !sent && u.attempt.untilStop.Err() != nil:
		return contract.Cluster{}, u.attempt.interrupted(name, "")
	case sent && hadNoEffect(err):
		u.activities.asked.remove(runID)
		if atlasclient.IsError(err, atlasclient.CodeGeneralError) && u.progress.RefusedSince.IsZero() {
			u.progress.RefusedSince = u.attempt.clock.now()
			return contract.Cluster{}, notYet(name, "Atlas refused the upgrade, maybe since one is under way: "+
				err.Error(), "", 2*u.activities.pace.FastEvery)
		}
	case sent:
		u.progress.WatchedSince = u.attempt.clock.now()
	}
	return contract.Cluster{}, err
}

// hadNoEffect reports whether Atlas said that a request had no effect. A 5xx or 408 does not say so.
func hadNoEffect(err error) bool {
	var e *atlasclient.Error
	return errors.As(err, &e) && e.Err == nil && e.Status < 500 && e.Status != http.StatusRequestTimeout
}

// upgradedAlready is what an upgrade to Flex or dedicated decides by where the cluster is of the target kind already.
type upgradedAlready struct {
	asked      contract.Asked
	workflowID string
	becomes    string
	// adopt lets the run take over a cluster that carries no ownership tag.
	adopt bool
}

// decide goes on with the cluster if it is this run's, or this workflow's and as asked. What a run's own upgrade lacks,
// such as tags that vanished, it asks for later.
func (u upgradedAlready) decide(found upgradeFound) (contract.Cluster, error) {
	target := found.target.result()
	differences := u.asked.Differences(target)
	switch owner := ownershipOf(target, u.workflowID); {
	case owner == unreadable:
		return contract.Cluster{}, gone(target.Name, "it is being deleted", target.StateName)
	case owner == anothers:
		return contract.Cluster{}, checkMayChange(target, u.workflowID, u.adopt)
	//mutate:upgrade-of-this-run
	case (found.mayHaveSent || owner == ours && found.madeByThisRun) && !slices.ContainsFunc(differences, isPlace):
		target.Outcome = contract.Upgraded
		return target, nil
	case owner == untagged && target.StateName != contract.StateIdle:
		// Tags vanish while an upgrade runs, such as that of an earlier run.
		return contract.Cluster{}, notYet(target.Name, "it is "+u.becomes+" already and "+target.StateName+
			"; whose it is shows once it is IDLE", target.StateName, changeAgainAfter)
	case owner == untagged && u.asked.Owner != "" && !u.adopt:
		return contract.Cluster{}, checkMayChange(target, u.workflowID, false)
	}
	withoutTag := u.asked
	withoutTag.Owner = ""
	if differences := withoutTag.Differences(target); len(differences) > 0 {
		return contract.Cluster{}, conflict(target.Name, "it is "+u.becomes+" already, but not as asked: "+
			contract.ListDifferences(differences)+". Change the cluster in Atlas or the request"+again, differences)
	}
	target.Outcome = contract.Unchanged
	if found.madeByThisRun {
		target.Outcome = contract.Upgraded
	}
	return target, nil
}
