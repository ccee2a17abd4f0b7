package activities

import (
	"context"
	"errors"
	"strings"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/atlas-provisioner/atlas-provisioner/atlasclient"
	"github.com/atlas-provisioner/atlas-provisioner/contract"
)

// FindInput is the input of FindCluster.
type FindInput struct {
	Request contract.DeleteClusterInput `json:"request"`
	Run     RunInfo                     `json:"run"`
}

// FoundCluster is the result of FindCluster. It stands in the history before the delete goes: a cluster in DELETING no
// longer shows whose it is.
type FoundCluster struct {
	Cluster contract.Cluster `json:"cluster"`
	// Ours says that the cluster is this workflow's to delete. One that was found in DELETING shows no tags.
	Ours bool `json:"ours"`
}

// DeleteInput is the input of DeleteCluster.
type DeleteInput struct {
	Request contract.DeleteClusterInput `json:"request"`
	Found   FoundCluster                `json:"found"`
	// Deadline is when the run's time is up, by Temporal's clock.
	Deadline time.Time `json:"deadline"`
}

// findProgress is the heartbeat of FindCluster, for the next attempt.
type findProgress struct {
	// NotFoundSince is since when Atlas has answered that there is no such cluster; zero while there is one.
	NotFoundSince time.Time `json:"notFoundSince,omitzero"`
	// Errors counts the attempts in a row that failed.
	Errors int `json:"errors,omitempty"`
}

// FindCluster finds the cluster to delete, and whose it is. The outcome is DELETED where the cluster is to be deleted,
// and UNCHANGED where it is gone already (with the state DELETED) or somebody deletes it.
//
// It fails with CLUSTER_CONFLICT when the cluster is not this workflow's, with CLUSTER_PROTECTED when its termination
// protection is on and may not be removed, with NOT_YET until it is certain that there is no such cluster, and
// otherwise as Atlas answers.
func (a *Activities) FindCluster(ctx context.Context, in FindInput) (FoundCluster, error) {
	at := newAttempt(ctx)
	defer at.close()
	var progress findProgress
	if activity.HasHeartbeatDetails(ctx) {
		_ = activity.GetHeartbeatDetails(ctx, &progress)
	}
	request, now := in.Request, at.clock.now()
	saw, err := a.findToDelete(at, request)
	found, decided := FoundCluster{}, error(nil)
	switch {
	case at.untilStop.Err() != nil:
		decided = at.interrupted(request.Name, "")
	case atlasclient.IsError(err, notThere...):
		if progress.NotFoundSince.IsZero() {
			progress.NotFoundSince = now
		}
		found, decided = decideAbsent(request, now.Sub(progress.NotFoundSince), a.pace)
	case err != nil:
		progress.Errors++
		decided = failure(request.Name, "", err, backoff(progress.Errors, a.pace.SlowMax))
	default:
		progress = findProgress{}
		wasReset := in.Run.FirstRunID != "" && in.Run.FirstRunID != at.info.WorkflowExecution.RunID
		found, decided = decideDelete(request, at.info.WorkflowExecution.ID, saw, wasReset)
	}
	if decided != nil {
		at.leave(progress)
	}
	return found, decided
}

// findToDelete reads the cluster, of whatever kind it is. The Flex clusters of a project share the read.
func (a *Activities) findToDelete(at *attempt, request contract.DeleteClusterInput) (observation, error) {
	saw, err := a.lookToChange(at, request.GroupID, request.Name)
	if flex.isAbsent(err) {
		return a.observeAny(at.untilStop, request.GroupID, request.Name)
	}
	return saw, err
}

// decideAbsent says what becomes of a delete where there is no such cluster. A read can lag behind a create, whose
// answer may have been lost: only after a while there is certainly none.
func decideAbsent(request contract.DeleteClusterInput, absentFor time.Duration, pace Pace) (FoundCluster, error) {
	//mutate:delete-lagging-read
	if absentFor < pace.NotFoundFor {
		return FoundCluster{}, notYet(request.Name, "Atlas shows no such cluster; looking until that is certain", "",
			2*pace.FastEvery)
	}
	return FoundCluster{Cluster: contract.Cluster{
		ID: request.ID, GroupID: request.GroupID, Name: request.Name, StateName: contract.StateDeleted,
		Tags: []contract.Tag{}, Warnings: []string{}, Outcome: contract.Unchanged,
	}}, nil
}

// decideDelete says what becomes of a delete whose cluster was found. wasReset says that an earlier run, before a reset
// by an operator, may have asked for the delete.
func decideDelete(
	request contract.DeleteClusterInput, workflowID string, saw observation, wasReset bool,
) (FoundCluster, error) {
	found := FoundCluster{Cluster: saw.result()}
	c := &found.Cluster
	switch {
	//mutate:delete-successor
	case request.ID != "" && c.ID != request.ID:
		// The one that was meant is gone, and another has its name.
		c.ID, c.StateName, c.Outcome = request.ID, contract.StateDeleted, contract.Unchanged
		return found, nil
	case c.StateName == contract.StateDeleting:
		c.Outcome = contract.Unchanged
		if wasReset {
			c.Outcome = contract.Deleted
		}
		return found, nil
	case c.ProviderSettings.ProviderName == atlasclient.ProviderTenant:
		return FoundCluster{}, conflict(request.Name, "it is a shared-tier cluster ("+
			c.ProviderSettings.InstanceSizeName+"), and this workflow deletes Flex and dedicated clusters. It was left "+
			"untouched: delete it in Atlas, or upgrade it first", nil)
	}
	if err := checkMayChange(*c, workflowID, request.Adopt); err != nil {
		return FoundCluster{}, err
	}
	//mutate:delete-protected
	if c.TerminationProtectionEnabled && !request.RemoveTerminationProtection {
		return FoundCluster{}, protected(request.Name, c.StateName)
	}
	found.Ours, c.Outcome = true, contract.Deleted
	return found, nil
}

// DeleteCluster asks Atlas to delete a cluster that was found, and waits until it is gone or another cluster has its
// name. A delete that Atlas ignores is sent again. The result says nothing of the cluster, which is no more.
//
// It fails as WaitUntilIdle does, and with CLUSTER_CONFLICT or CLUSTER_PROTECTED as FindCluster does.
func (a *Activities) DeleteCluster(ctx context.Context, in DeleteInput) (contract.Cluster, error) {
	found := in.Found.Cluster
	w := a.newWait(ctx, WaitInput{
		GroupID: in.Request.GroupID, Name: in.Request.Name, ClusterType: found.ClusterType,
		StateName: found.StateName, Shown: true, Deadline: in.Deadline,
	}, goalGone)
	w.isAnother = func(saw observation) bool { return saw.cluster.ID != found.ID }
	w.ask = func(saw observation) error { return w.askToDelete(in, saw) }
	return w.attend(ctx)
}

// askToDelete asks for the end of a cluster that was seen a moment ago.
func (w *wait) askToDelete(in DeleteInput, saw observation) error {
	if !w.progress.AskedAt.IsZero() {
		// It was asked for before, and the last look may be a shared one.
		fresh, err := w.activities.observe(w.attempt.untilStop, saw.kind, in.Request.GroupID, in.Request.Name)
		if err != nil || fresh.cluster.ID != in.Found.Cluster.ID || fresh.cluster.StateName == contract.StateDeleting {
			return nil // the next look tells what became of it
		}
		saw = fresh
	}
	if err := w.checkMayDelete(in, saw.result()); err != nil {
		return err
	}
	if saw.cluster.TerminationProtectionEnabled {
		unprotected := contract.Asked{TerminationProtectionEnabled: new(false)}
		if _, err := w.activities.change(w.attempt, saw, unprotected, func() {}); err != nil {
			return w.lookFailed(err)
		}
	}
	return w.sendDelete(in)
}

func (w *wait) checkMayDelete(in DeleteInput, c contract.Cluster) error {
	if !in.Found.Ours { // it was on its way out when it was found, and has come back
		if err := checkMayChange(c, w.attempt.info.WorkflowExecution.ID, in.Request.Adopt); err != nil {
			return err
		}
	}
	if c.TerminationProtectionEnabled && !in.Request.RemoveTerminationProtection {
		return protected(in.Request.Name, c.StateName)
	}
	return nil
}

func (w *wait) sendDelete(in DeleteInput) error {
	var cancel context.CancelFunc
	decided, tooLate := time.Now(), false
	sending, cancel := w.attempt.sending(func() {
		//mutate:delete-soon-after-look
		if tooLate = time.Since(decided) > decisionHolds; tooLate {
			cancel()
		}
	})
	defer cancel()
	_, err := w.target.delete(w.activities.atlas, sending, in.Request.GroupID, in.Request.Name)
	switch {
	//mutate:delete-in-progress
	case err == nil, isBeingDeleted(err), w.isAbsent(err):
		w.progress.AskedAt = w.attempt.clock.now()
		return nil
	case tooLate:
		return notYet(in.Request.Name, "the delete waited for the request budget of its project; looking again first",
			w.progress.StateName, 0)
	case w.attempt.untilStop.Err() != nil && errors.Is(err, context.Canceled):
		return w.attempt.interrupted(in.Request.Name, w.progress.StateName)
	case isProtected(err) && !in.Request.RemoveTerminationProtection:
		return protected(in.Request.Name, w.progress.StateName)
	case isProtected(err): // somebody has turned it on since the look
		return notYet(in.Request.Name, "its termination protection is on again; turning it off", w.progress.StateName,
			2*w.activities.pace.FastEvery)
	}
	return w.lookFailed(err)
}

// decisionHolds is how long after a look a delete or an upgrade may still be sent. In that time no cluster is deleted and another
// made under its name: a deletion takes 24 s or more (observed 2026-08-10).
const decisionHolds = 2 * time.Second

// isBeingDeleted reports whether Atlas refuses to delete a cluster that it deletes already.
func isBeingDeleted(err error) bool {
	return atlasclient.IsError(err, atlasclient.CodeGeneralError) && mentions(err, "requested to be deleted")
}

// isProtected reports whether Atlas refuses to delete a cluster because of its termination protection: by a code of its
// own for a dedicated cluster, and for a Flex cluster by the text of a general error.
func isProtected(err error) bool {
	return atlasclient.IsError(err, atlasclient.CodeTerminationProtection) ||
		atlasclient.IsError(err, atlasclient.CodeGeneralError) && mentions(err, "termination protection")
}

func mentions(err error, words string) bool {
	var e *atlasclient.Error
	return errors.As(err, &e) && strings.Contains(strings.ToLower(e.Detail), words)
}
