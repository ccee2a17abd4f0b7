package activities

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/atlas-provisioner/atlas-provisioner/atlasclient"
	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/reads"
)

const (
	// freshRead is how old a read may be on which a change is decided.
	freshRead = 200 * time.Millisecond
	// decisionHolds is how long after a look a change or a delete may still be sent. In that time no cluster is deleted
	// and another made under its name: a deletion takes 24 s or more (observed 2026-08-10).
	decisionHolds = 2 * time.Second
	// changeAgainAfter is how long until a cluster that is busy is looked at again.
	changeAgainAfter = 5 * time.Second
)

// look is what a look at a cluster saw, and when: a decision that is made on it holds for a short time.
type look struct {
	observation
	at time.Time
}

// lookToChange reads a Flex cluster. Those of a project share the read.
func (a *Activities) lookToChange(at *attempt, ref contract.ClusterRef) (look, error) {
	shared := a.reads.Enter(ref.GroupID, ref.Name, reads.Flex, at.clock.local(at.info.ScheduledTime))
	defer shared.Leave(0)
	cluster, response, err := shared.Look(at.untilStop, freshRead)
	return look{observation{cluster, response, flex}, time.Now()}, err
}

// lookAlone reads a cluster of a kind by a request of its own.
func (a *Activities) lookAlone(at *attempt, k kind, ref contract.ClusterRef) (look, error) {
	saw, err := a.observe(at.untilStop, k, ref.GroupID, ref.Name)
	return look{saw, time.Now()}, err
}

// change asks Atlas for what a cluster lacks of what is asked, and answers the cluster as Atlas shows it then. It fails
// as Atlas answers, and with NOT_YET where what was seen has become too old before the request could be sent.
// beforeSend is called right before.
func (a *Activities) change(
	at *attempt, ref contract.ClusterRef, saw look, asked contract.Asked, beforeSend func(),
) (observation, error) {
	sending, cancel := at.sendingSoon(saw.at, beforeSend)
	defer cancel()
	update := updateFor(saw.result(), asked)
	cluster, response, err := saw.kind.update(a.atlas, sending, ref.GroupID, ref.Name, update)
	return observation{cluster, response, saw.kind}, at.unsent(err, ref.Name, saw.cluster.StateName)
}

// updateFor is the update that brings a cluster to what is asked. It leaves out what the cluster has already, so that
// nobody's change of that is undone. Tags that are sent always hold the ownership tag: Atlas drops what is not sent.
func updateFor(c contract.Cluster, asked contract.Asked) atlasclient.ClusterUpdate {
	var update atlasclient.ClusterUpdate
	if p := asked.TerminationProtectionEnabled; p != nil && *p != c.TerminationProtectionEnabled {
		update.TerminationProtectionEnabled = p
	}
	asked.Place, asked.TerminationProtectionEnabled = contract.ProviderSettings{}, nil
	if len(asked.Differences(c)) == 0 {
		return update
	}
	tags := asked.Completed(c).Tags
	//mutate:keeps-ownership-tag
	if owner := cmp.Or(asked.Owner, c.Owner()); owner != "" {
		tags = append(slices.Clone(tags), contract.Tag{Key: contract.OwnershipTag, Value: owner})
	}
	update.Tags = append([]atlasclient.Tag{}, atlasTags(tags)...)
	return update
}

// changeProgress is the heartbeat of an activity that changes a cluster, for the next attempt.
type changeProgress struct {
	// Sent says that a change may have been sent, so that a cluster that is as asked was made so by the run.
	Sent bool `json:"sent"`
	// Errors counts the attempts in a row that failed.
	Errors int `json:"errors,omitempty"`
}

// readChangeProgress is what the attempts before noted. A run that was reset by an operator may have sent the change
// before that.
//
// An attempt that is lost with its worker has sent nothing before its first heartbeat, since it heartbeats right before
// it sends. After that it may have.
func (a *attempt) readChangeProgress(run RunInfo) changeProgress {
	var p changeProgress
	if activity.HasHeartbeatDetails(a.ctx) {
		_ = activity.GetHeartbeatDetails(a.ctx, &p)
	}
	p.Sent = p.Sent || run.wasReset(a.info.WorkflowExecution.RunID)
	a.note(changeProgress{Sent: true, Errors: p.Errors})
	return p
}

// changeNow asks for a change, and answers the cluster with the outcome UPDATED.
func (a *Activities) changeNow(
	at *attempt, ref contract.ClusterRef, saw look, asked contract.Asked, progress *changeProgress,
) (contract.Cluster, error) {
	sentBefore := progress.Sent
	changed, err := a.change(at, ref, saw, asked, func() { progress.Sent = true })
	if hadNoEffect(err) {
		progress.Sent = sentBefore
	}
	switch state := saw.cluster.StateName; {
	case err == nil:
		cluster := changed.result()
		cluster.Outcome = contract.Updated
		return cluster, nil
	case isBeingDeleted(err):
		return contract.Cluster{}, gone(ref.Name, "it is being deleted", state)
	case saw.kind.isAbsent(err):
		return contract.Cluster{}, notYet(ref.Name, "Atlas does not show it any more; looking again", state,
			2*a.pace.FastEvery)
	}
	return contract.Cluster{}, err
}

// changeFailed ends an attempt that did not get through, and leaves what the next one must know. state is the last
// state seen.
func (a *Activities) changeFailed(at *attempt, cluster, state string, err error, progress changeProgress) error {
	if errors.Is(err, context.Canceled) && at.untilStop.Err() != nil {
		err = at.interrupted(cluster, state)
	}
	progress.Errors = countErrors(progress.Errors, err)
	at.leave(progress)
	return failure(cluster, state, err, backoff(progress.Errors, a.pace.SlowMax))
}

// countErrors counts the requests in a row that failed. err is how the last one ended.
func countErrors(before int, err error) int {
	var answer *atlasclient.Error
	if errors.As(err, &answer) {
		return before + 1
	}
	return 0
}
