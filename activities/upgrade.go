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
	// decideTarget decides on a cluster of the target kind that there is already.
	decideTarget func(found upgradeFound, pace Pace) (contract.Cluster, error)
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
	// MayHaveSent says that a request may have been sent whose effect is unknown.
	MayHaveSent bool `json:"mayHaveSent,omitempty"`
	// Refused says that Atlas refused the request, maybe since an upgrade is under way that it does not show yet, such
	// as that of an earlier run.
	Refused bool `json:"refused,omitempty"`
	// Saw is what the last look saw: a kind of cluster and its state, or "" for none. Since is since when the looks see
	// that, or since when the cluster is watched for the effect of a request, whichever is later.
	Saw   string    `json:"saw,omitempty"`
	Since time.Time `json:"since,omitzero"`
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
	shownAt     time.Time // see [UpgradingCluster]
}

// UpgradingCluster is a cluster whose upgrade Atlas has taken, or that is upgraded already.
type UpgradingCluster struct {
	contract.Cluster // its fields stand beside shownAt
	// ShownAt is when Atlas showed the cluster last, by Atlas's own clock; zero where it did not tell.
	ShownAt time.Time `json:"shownAt,omitzero"`
}

// upgrade makes an attempt at an upgrade.
func (a *Activities) upgrade(
	ctx context.Context, run RunInfo, makeRequest func(workflowID string) upgradeRequest,
) (UpgradingCluster, error) {
	u := &upgrade{activities: a, runInfo: run}
	if activity.HasHeartbeatDetails(ctx) {
		// Without them a request could be sent twice. Another worker may have the key that this one lacks.
		if err := activity.GetHeartbeatDetails(ctx, &u.progress); err != nil {
			return UpgradingCluster{}, fmt.Errorf("what the attempt before noted cannot be read: %w", err)
		}
	}
	u.attempt = newAttempt(ctx)
	defer u.attempt.close()
	u.request = makeRequest(u.attempt.owner())
	// Until it is known how this attempt ends, the next one must see what this one saw.
	u.attempt.note(u.progress)

	before, runID := u.progress, u.attempt.info.WorkflowExecution.RunID
	u.askedBefore = a.askedBefore(u.attempt, run)
	//mutate:upgrade-on-record
	u.maySend = u.progress.IntentBy != 0 && u.attempt.info.Attempt == u.progress.IntentBy+1
	// The attempt that might send was lost, or an operator has reset the heartbeats, or they are those of an earlier
	// activity.
	mayHaveSent := !u.maySend && (u.progress.IntentBy != 0 || a.asked.has(runID) || u.isFirstOfAnother())
	if mayHaveSent && !u.progress.MayHaveSent {
		u.progress.MayHaveSent, u.progress.Since = true, u.attempt.clock.now()
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
	return UpgradingCluster{cluster, u.shownAt}, err
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
	looked, decision := time.Now(), decideUpgrade(u.request, found, u.activities.pace)
	if !decision.send {
		return u.asItWas(decision.cluster), decision.err
	}
	u.progress.Source = found.shownSource()
	if u.maySend {
		return u.send(found, looked)
	}
	u.progress.IntentBy, u.progress.MayHaveSent = u.attempt.info.Attempt, false
	return contract.Cluster{}, notYet(u.request.cluster.Name,
		"the upgrade is asked for next; that is put on record first", "", 0)
}

// asItWas gives a cluster whose upgrade is under way the tags and the protection from before: while it runs, they
// vanish and come back (observed 2026-08-10).
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
	// before is the source as it was when an earlier attempt was about to ask for the upgrade; nil where that is not
	// known.
	before *contract.Cluster
	// mayHaveSent says that an earlier attempt may have sent a request whose effect is unknown.
	mayHaveSent bool
	// refused says that Atlas refused the request, maybe since an upgrade is under way that it does not show yet.
	refused bool
	// watchedFor is for how long the looks have seen the same since the request.
	watchedFor time.Duration
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
	found := upgradeFound{
		mayHaveSent: u.progress.MayHaveSent, refused: u.progress.Refused, before: u.progress.Source,
	}
	ref, pace := u.request.cluster, u.activities.pace
	saw, err := u.activities.observeUntilItBecomes(u.attempt.ctx, u.request.target, ref.GroupID, ref.Name)
	var answered *atlasclient.Error
	switch {
	case errors.Is(err, errBetweenKinds):
		return found, notYet(ref.Name, err.Error(), "", 2*pace.FastEvery)
	case atlasclient.IsError(err, atlasclient.CodeClusterNotFound) && found.mayHaveSent &&
		u.sameFor("") < pace.NotFoundFor:
		return found, notYet(ref.Name, "Atlas does not show it at the moment", "", 2*pace.FastEvery)
	case u.request.checkSource == nil && saw.kind.clusterType != u.request.target.clusterType &&
		errors.As(err, &answered) && !retryable(answered):
		return found, nil // Atlas refuses the upgrade itself in better words
	case err != nil:
		return found, err
	}
	u.shownAt = saw.response.Date
	found.watchedFor = u.sameFor(saw.kind.clusterType + " " + saw.cluster.StateName)
	switch saw.kind.clusterType {
	case u.request.target.clusterType:
		found.target = &saw
		found.madeByThisRun = madeByThisRun(saw, u.runInfo, u.attempt.clock.now(), u.askedBefore)
	case u.request.target.from.clusterType:
		found.source = &saw
	}
	return found, nil
}

// sameFor takes note of what a look saw, and answers for how long the looks have seen that.
func (u *upgrade) sameFor(saw string) time.Duration {
	now := u.attempt.clock.now()
	if u.progress.Saw != saw || u.progress.Since.IsZero() {
		u.progress.Saw, u.progress.Since = saw, now
	}
	return now.Sub(u.progress.Since)
}

// upgradeDecision says what is to be done: ask Atlas for the upgrade, go on with the cluster, or fail.
type upgradeDecision struct {
	send    bool
	cluster contract.Cluster
	err     error
}

// decideUpgrade decides by what was found and what is asked.
func decideUpgrade(request upgradeRequest, found upgradeFound, pace Pace) upgradeDecision {
	switch {
	case found.target != nil:
		cluster, err := request.decideTarget(found, pace)
		return upgradeDecision{cluster: cluster, err: err}
	case found.source == nil:
		return upgradeDecision{send: true}
	}
	name, state, watchedFor := request.cluster.Name, found.source.cluster.StateName, found.watchedFor.Round(time.Second)
	settled := found.watchedFor >= pace.SettleFor
	if request.checkSource != nil {
		if err := request.checkSource(found.source.result()); err != nil {
			return upgradeDecision{err: err}
		}
	}
	wait := func(delay time.Duration, format string, args ...any) upgradeDecision {
		return upgradeDecision{err: notYet(name, fmt.Sprintf(format, args...), state, delay)}
	}
	switch {
	//mutate:upgrade-lasts-longer
	case state == contract.StateUpdating && found.mayHaveSent && found.before != nil && settled:
		// No other change of such a cluster takes so long.
		cluster := resultOf(found.source.cluster, request.target.clusterType, found.source.response)
		cluster.Outcome = contract.Upgraded
		return upgradeDecision{cluster: cluster}
	case state == contract.StateUpdating && found.mayHaveSent && found.before != nil:
		return wait(2*pace.FastEvery, "the answer to the upgrade was lost, and the cluster is UPDATING for %s; "+
			"looking whether that is the upgrade", watchedFor)
	case state != contract.StateIdle:
		return wait(pace.SlowMin, "it is %s; the upgrade is asked for once it is IDLE", state)
	//mutate:upgrade-watches-first
	case found.mayHaveSent && !settled:
		return wait(2*pace.FastEvery, "the answer to the upgrade was lost; looking for %s whether it took effect",
			watchedFor)
	//mutate:upgrade-refused
	case found.refused && !settled:
		return wait(2*pace.FastEvery, "Atlas refused the upgrade; looking for %s whether one is under way already",
			watchedFor)
	}
	return upgradeDecision{send: true}
}

// send asks for the upgrade of a cluster that was looked at then.
func (u *upgrade) send(found upgradeFound, looked time.Time) (contract.Cluster, error) {
	name, runID := u.request.cluster.Name, u.attempt.info.WorkflowExecution.RunID
	sent := false
	sending, cancel := u.attempt.sendingSoon(looked, func() {
		sent = true
		u.activities.asked.add(runID)
	})
	defer cancel()
	cluster, response, err := u.request.send(sending, found.shownSource())
	switch {
	case err == nil:
		u.shownAt = response.Date
		upgrading := resultOf(cluster, u.request.target.clusterType, response)
		upgrading.Outcome = contract.Upgraded
		return u.asItWas(upgrading), nil
	case !sent:
		return contract.Cluster{}, u.attempt.unsent(err, name, "")
	case hadNoEffect(err):
		u.activities.asked.remove(runID)
		isUnderWay := atlasclient.IsError(err, atlasclient.CodeGeneralError) ||
			isOfAnotherKind(err) && found.source != nil // it was of the kind to upgrade a moment ago
		if isUnderWay && !u.progress.Refused {
			u.progress.Refused, u.progress.Since = true, u.attempt.clock.now()
			return contract.Cluster{}, notYet(name, "Atlas refused the upgrade, maybe since one is under way: "+
				err.Error(), "", 2*u.activities.pace.FastEvery)
		}
	default:
		u.progress.MayHaveSent, u.progress.Since = true, u.attempt.clock.now()
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
	// adopt lets the run take over a cluster that carries no ownership tag. takeOver says how a person has that done.
	adopt    bool
	takeOver string
}

// decide goes on with the cluster if it is this run's, or this workflow's and as asked. What a run's own upgrade lacks,
// such as tags that it has lost, is asked for later.
func (u upgradedAlready) decide(found upgradeFound, pace Pace) (contract.Cluster, error) {
	target := found.target.result()
	owner, withoutTag := ownershipOf(target, u.workflowID), u.asked
	withoutTag.Owner = ""
	differences := withoutTag.Differences(target)
	// Without the tag, or with leave to take over what has none, the age tells.
	mayLackTag := owner == untagged && (u.asked.Owner == "" || u.adopt)
	ofThisRun := owner == ours && (found.madeByThisRun || found.mayHaveSent) ||
		mayLackTag && found.madeByThisRun && found.mayHaveSent
	switch {
	case owner == unreadable:
		return contract.Cluster{}, gone(target.Name, "it is being deleted", target.StateName)
	case owner == anothers:
		return contract.Cluster{}, checkMayChange(target, u.workflowID, u.adopt)
	//mutate:upgrade-of-this-run
	case ofThisRun && !slices.ContainsFunc(differences, isPlace):
		target.Outcome = contract.Upgraded
		return target, nil
	//mutate:upgrade-tags-come-back
	case owner == untagged && (target.StateName != contract.StateIdle ||
		found.mayHaveSent && found.watchedFor < pace.SettleFor):
		return contract.Cluster{}, notYet(target.Name, "it is "+u.becomes+" already and "+target.StateName+
			", and shows no tag "+contract.OwnershipTag+"; tags vanish during an upgrade and come back",
			target.StateName, changeAgainAfter)
	//mutate:upgrade-untagged
	case owner == untagged && !mayLackTag:
		return contract.Cluster{}, untouched(target, "it is "+u.becomes+" already, and not known to be this "+
			"workflow's ("+untagged.whose(target)+")", "to take it over, "+u.takeOver+again)
	case len(differences) > 0:
		return contract.Cluster{}, conflict(target.Name, "it is "+u.becomes+" already, but not as asked: "+
			contract.ListDifferences(differences)+". Change the cluster in Atlas or the request"+again, differences)
	}
	target.Outcome = contract.Unchanged
	if found.madeByThisRun {
		target.Outcome = contract.Upgraded
	}
	return target, nil
}
