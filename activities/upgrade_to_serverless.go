package activities

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/atlas-provisioner/atlas-provisioner/atlasclient"
	"github.com/atlas-provisioner/atlas-provisioner/contract"
)

// UpgradeInput is the input of UpgradeClusterToServerless.
type UpgradeInput struct {
	Request contract.UpgradeToServerlessInput `json:"request"`
	Run     RunInfo                           `json:"run"`
}

// upgradeProgress is the heartbeat of an upgrade, for the next attempt.
//
// An attempt can be lost with its worker, and a heartbeat with the connection to Temporal. So the attempt that sends
// the request is the one that was given the intent by Temporal: the attempt before has put it on record, and has ended.
type upgradeProgress struct {
	// IntentBy is the number of the attempt that put on record that the next one sends the request; 0 for none.
	IntentBy int32 `json:"intentBy,omitempty"`
	// WatchedSince is since when the cluster is watched for the effect of a request that may have been sent; zero for
	// none.
	WatchedSince time.Time `json:"watchedSince,omitzero"`
	// RefusedSince is since when the cluster is watched because Atlas refused the request in general words, as it does
	// where an upgrade is under way already; zero for none.
	RefusedSince time.Time `json:"refusedSince,omitzero"`
	// Errors counts the attempts in a row that failed.
	Errors int `json:"errors,omitempty"`
}

// UpgradeClusterToServerless asks Atlas to upgrade a shared-tier cluster, once in effect: it looks before it asks, and
// after an attempt whose answer was lost it watches for the upgrade's first signs before it asks again. It does not
// wait for the upgrade.
//
// It fails with CLUSTER_CONFLICT when an instance of the name is not as asked, and otherwise as Atlas answers; 410
// VERSION_GONE is an Atlas that has retired the endpoint.
func (a *Activities) UpgradeClusterToServerless(ctx context.Context, in UpgradeInput) (contract.Cluster, error) {
	u := &upgrade{activities: a, request: in.Request, runInfo: in.Run}
	if activity.HasHeartbeatDetails(ctx) {
		// Without them a request could be sent twice. Another worker may have the key that this one lacks.
		if err := activity.GetHeartbeatDetails(ctx, &u.progress); err != nil {
			return contract.Cluster{}, fmt.Errorf("what the attempt before noted cannot be read: %w", err)
		}
	}
	u.attempt = newAttempt(ctx)
	defer u.attempt.close()
	// Until it is known how this attempt ends, the next one must see what this one saw.
	u.attempt.note(u.progress)

	before, runID := u.progress, u.attempt.info.WorkflowExecution.RunID
	u.askedBefore = a.askedBefore(u.attempt, in.Run)
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
	if err != nil && u.progress != before {
		u.attempt.leave(u.progress)
	}
	//mutate:backoff
	err = failure(in.Request.Name, "", err, backoff(u.progress.Errors, a.pace.SlowMax))
	a.asked.settle(runID, err)
	return cluster, err
}

// isFirstOfAnother reports whether this is the first attempt of an activity that follows another one of the run.
func (u *upgrade) isFirstOfAnother() bool {
	return u.runInfo.AskedBefore && u.attempt.info.Attempt == 1
}

type upgrade struct {
	activities  *Activities
	attempt     *attempt
	request     contract.UpgradeToServerlessInput
	runInfo     RunInfo
	askedBefore bool // the run has asked before this attempt
	maySend     bool // this attempt is the one that was given the intent
	progress    upgradeProgress
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
		return decision.cluster, decision.err
	case u.maySend:
		return u.send()
	}
	u.progress = upgradeProgress{IntentBy: u.attempt.info.Attempt, RefusedSince: u.progress.RefusedSince}
	return contract.Cluster{}, notYet(u.request.Name,
		"the upgrade is asked for next; that is put on record first", "", 0)
}

// upgradeFound is what an upgrade found before it asks.
type upgradeFound struct {
	// instance is the serverless instance of the name; nil for none.
	instance *observation
	// madeByThisRun says that the instance is no older than the run.
	madeByThisRun bool
	// cluster is the cluster of the name, where there is no instance; nil where Atlas refuses to show it.
	cluster *observation
	// mayHaveSent says that an earlier attempt may have sent a request whose effect is unknown. The cluster is watched
	// for it since watchedFor.
	mayHaveSent bool
	watchedFor  time.Duration
	// refused says that Atlas refused the request, maybe since an upgrade is under way that it does not show yet, such
	// as that of an earlier run. The cluster is watched for it since refusedFor.
	refused    bool
	refusedFor time.Duration
}

// look reads the instance, and where there is none the cluster that is to become one.
func (u *upgrade) look() (upgradeFound, error) {
	now := u.attempt.clock.now()
	found := upgradeFound{
		mayHaveSent: !u.progress.WatchedSince.IsZero(), watchedFor: now.Sub(u.progress.WatchedSince),
		refused: !u.progress.RefusedSince.IsZero(), refusedFor: now.Sub(u.progress.RefusedSince),
	}
	ctx := u.attempt.ctx
	instance, err := u.activities.observe(ctx, serverless, u.request.GroupID, u.request.Name)
	if serverless.isAbsent(err) {
		var cluster observation
		cluster, err = u.activities.observe(ctx, shared, u.request.GroupID, u.request.Name)
		var answered *atlasclient.Error
		switch {
		case err == nil:
			found.cluster = &cluster
			return found, nil
		case atlasclient.IsError(err, atlasclient.CodeServerlessInClusterAPI): // it switched between the two reads
			instance, err = u.activities.observe(ctx, serverless, u.request.GroupID, u.request.Name)
		case errors.As(err, &answered) && !retryable(answered):
			return found, nil // Atlas refuses the upgrade itself in better words
		}
	}
	if err != nil {
		return found, err
	}
	found.instance = &instance
	found.madeByThisRun = madeByThisRun(instance, u.runInfo, u.attempt.clock.now(), u.askedBefore)
	return found, nil
}

// upgradeDecision says what is to be done: ask Atlas for the upgrade, go on with the cluster, or fail.
type upgradeDecision struct {
	send    bool
	cluster contract.Cluster
	err     error
}

// decideUpgrade decides by what was found and what is asked.
func decideUpgrade(request contract.UpgradeToServerlessInput, found upgradeFound, pace Pace) upgradeDecision {
	switch {
	case found.instance != nil:
		cluster, err := decideInstance(request, found)
		return upgradeDecision{cluster: cluster, err: err}
	case found.cluster == nil:
		return upgradeDecision{send: true}
	}
	state := found.cluster.cluster.StateName
	switch {
	case state == contract.StateUpdating && found.mayHaveSent:
		cluster := resultOf(found.cluster.cluster, contract.ClusterTypeServerless, found.cluster.response)
		cluster.Outcome = contract.Upgraded
		return upgradeDecision{cluster: cluster}
	case state == contract.StateUpdating:
		return upgradeDecision{err: notYet(request.Name,
			"Atlas is making another change to it (UPDATING); the upgrade is asked for after that", state,
			pace.SlowMin)}
	//mutate:upgrade-watches-first
	case found.mayHaveSent && found.watchedFor < pace.SettleFor:
		return upgradeDecision{err: notYet(request.Name, fmt.Sprintf(
			"the answer to the upgrade was lost; looking for %s whether it took effect",
			found.watchedFor.Round(time.Second)), state, 2*pace.FastEvery)}
	//mutate:upgrade-refused
	case found.refused && found.refusedFor < pace.SettleFor:
		return upgradeDecision{err: notYet(request.Name, fmt.Sprintf(
			"Atlas refused the upgrade; looking for %s whether one is under way already",
			found.refusedFor.Round(time.Second)), state, 2*pace.FastEvery)}
	}
	return upgradeDecision{send: true}
}

// decideInstance takes the instance that there is already, if it is as asked.
func decideInstance(request contract.UpgradeToServerlessInput, found upgradeFound) (contract.Cluster, error) {
	instance := found.instance.result()
	if instance.StateName == contract.StateDeleting {
		return contract.Cluster{}, conflict(request.Name,
			"a serverless instance of that name is being deleted: start the workflow again in a minute", nil)
	}
	asked, existing := request, instance
	if existing.StateName != contract.StateIdle {
		// Tags vanish and come back while an upgrade runs (observed 2026-08-10).
		asked.Tags, existing.Tags = nil, nil
	}
	if differences := contract.Differences(asked.ClusterFields(), existing.Fields()); len(differences) > 0 {
		return contract.Cluster{}, conflict(request.Name, "it is serverless already, but not as asked: "+
			contract.ListDifferences(differences)+". Change the instance in Atlas or the request"+again, differences)
	}
	instance.Warnings = append(instance.Warnings, backupWarning(request, found.instance.cluster)...)
	instance.Outcome = contract.Unchanged
	if found.madeByThisRun {
		instance.Outcome = contract.Upgraded
	}
	return instance, nil
}

// send asks for the upgrade.
func (u *upgrade) send() (contract.Cluster, error) {
	r, runID, sent := u.request, u.attempt.info.WorkflowExecution.RunID, false
	r.ProviderSettings.ProviderName = contract.ClusterTypeServerless
	sending, cancel := u.attempt.sending(func() {
		sent = true
		u.activities.asked.add(runID)
	})
	defer cancel()
	body := atlasclient.ServerlessUpgradeRequest{
		Name:                         r.Name,
		ProviderSettings:             atlasclient.ProviderSettings(r.ProviderSettings),
		ServerlessBackupOptions:      (*atlasclient.ServerlessBackupOptions)(r.ServerlessBackupOptions),
		Tags:                         atlasTags(r.Tags),
		TerminationProtectionEnabled: r.TerminationProtectionEnabled,
	}
	cluster, response, err := u.activities.atlas.UpgradeToServerless(sending, r.GroupID, body)
	switch {
	case err == nil:
		upgrading := resultOf(cluster, contract.ClusterTypeServerless, response)
		upgrading.Outcome = contract.Upgraded
		return upgrading, nil
	case !sent && u.attempt.untilStop.Err() != nil:
		return contract.Cluster{}, u.attempt.interrupted(r.Name, "")
	case sent && hadNoEffect(err):
		u.activities.asked.remove(runID)
		if atlasclient.IsError(err, atlasclient.CodeGeneralError) && u.progress.RefusedSince.IsZero() {
			u.progress.RefusedSince = u.attempt.clock.now()
			return contract.Cluster{}, notYet(r.Name, "Atlas refused the upgrade, maybe since one is under way: "+
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

// backupWarning says that continuous backup is not as asked. It is no conflict: Atlas takes the setting but no longer
// applies it (https://www.mongodb.com/docs/api/doc/atlas-admin-api-v2/, getServerlessInstance).
func backupWarning(request contract.UpgradeToServerlessInput, instance *atlasclient.Cluster) []string {
	asked, options := request.ContinuousBackup(), instance.ServerlessBackupOptions
	if asked == "" || options == nil || options.ServerlessContinuousBackupEnabled == nil ||
		asked == fmt.Sprint(*options.ServerlessContinuousBackupEnabled) {
		return nil
	}
	return []string{fmt.Sprintf("serverlessContinuousBackupEnabled is %t, requested %s: Atlas no longer applies it",
		*options.ServerlessContinuousBackupEnabled, asked)}
}
