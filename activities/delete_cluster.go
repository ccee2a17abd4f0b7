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
	before := progress
	found, err := a.find(at, in, &progress)
	if err != nil && progress != before {
		at.leave(progress)
	}
	return found, err
}

// find looks once, and decides.
func (a *Activities) find(at *attempt, in FindInput, progress *findProgress) (FoundCluster, error) {
	request := in.Request
	saw, err := a.lookToDelete(at, request.Cluster())
	progress.Errors = countErrors(progress.Errors, err)
	switch {
	case at.untilStop.Err() != nil:
		return FoundCluster{}, at.interrupted(request.Name, "")
	case atlasclient.IsError(err, atlasclient.CodeServerlessInClusterAPI):
		return FoundCluster{}, untouched(contract.Cluster{Name: request.Name}, "it is a serverless instance, and "+
			deletesOnly, "delete it in Atlas")
	case atlasclient.IsError(err, notThere...):
		progress.Errors = 0
		now := at.clock.now()
		if progress.NotFoundSince.IsZero() {
			progress.NotFoundSince = now
		}
		return decideAbsent(request, now.Sub(progress.NotFoundSince), a.pace)
	case err != nil:
		return FoundCluster{}, failure(request.Name, "", err, backoff(progress.Errors, a.pace.SlowMax))
	}
	progress.NotFoundSince = time.Time{}
	info := at.info.WorkflowExecution
	return decideDelete(request, info.ID, saw.result(), in.Run.wasReset(info.RunID))
}

// lookToDelete reads the cluster, of whatever kind it is. The Flex clusters of a project share the read.
func (a *Activities) lookToDelete(at *attempt, ref contract.ClusterRef) (look, error) {
	saw, err := a.lookToChange(at, ref)
	if flex.isAbsent(err) {
		saw.observation, err = a.observeNonFlex(at.untilStop, ref.GroupID, ref.Name)
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
	return goneAlready(request), nil
}

// goneAlready is what is found where the cluster that is meant is no more. Nothing of it was seen.
func goneAlready(request contract.DeleteClusterInput) FoundCluster {
	return FoundCluster{Cluster: contract.Cluster{
		ID: request.ID, GroupID: request.GroupID, Name: request.Name, StateName: contract.StateDeleted,
		Tags: []contract.Tag{}, Warnings: []string{}, Outcome: contract.Unchanged,
	}}
}

// deletesOnly says in words why a cluster of another kind is not deleted.
const deletesOnly = "this workflow deletes Flex and dedicated clusters"

// decideDelete says what becomes of a delete whose cluster was found. wasReset says that an earlier run, before a reset
// by an operator, may have asked for the delete.
func decideDelete(
	request contract.DeleteClusterInput, workflowID string, existing contract.Cluster, wasReset bool,
) (FoundCluster, error) {
	switch size := existing.ProviderSettings.InstanceSizeName; {
	case existing.ID == "": // it could not be told from a successor
		return FoundCluster{}, notYet(request.Name, "Atlas shows no id of it; looking again", existing.StateName,
			changeAgainAfter)
	//mutate:delete-successor
	case request.ID != "" && existing.ID != request.ID: // the one that was meant is gone, and another has its name
		return goneAlready(request), nil
	case existing.StateName == contract.StateDeleting:
		existing.Outcome = contract.Unchanged
		if wasReset {
			existing.Outcome = contract.Deleted
		}
		return FoundCluster{Cluster: existing}, nil
	case existing.ProviderSettings.ProviderName == atlasclient.ProviderTenant:
		return FoundCluster{}, untouched(existing, "it is a shared-tier cluster ("+size+"), and "+deletesOnly,
			"delete it in Atlas, or upgrade it first")
	}
	if err := checkMayDelete(request, workflowID, existing, request.Adopt); err != nil {
		return FoundCluster{}, err
	}
	existing.Outcome = contract.Deleted
	return FoundCluster{Cluster: existing, Ours: true}, nil
}

// checkMayDelete fails with CLUSTER_CONFLICT where a cluster is not this workflow's, and with CLUSTER_PROTECTED where
// its termination protection is on and may not be removed. adopt lets the run delete one without an ownership tag.
func checkMayDelete(
	request contract.DeleteClusterInput, workflowID string, existing contract.Cluster, adopt bool,
) error {
	if err := checkMayChangeNow(existing, workflowID, adopt); err != nil {
		return err
	}
	//mutate:delete-protected
	if existing.TerminationProtectionEnabled && !request.RemoveTerminationProtection {
		return protected(request.Name, existing.StateName)
	}
	return nil
}

// DeleteCluster asks Atlas to delete a cluster that was found, and waits until it is gone or another cluster has its
// name. A delete that Atlas ignores is sent again. The result says nothing of the cluster, which is no more, but that
// its outcome is DELETED where Atlas has taken the delete.
//
// It fails as WaitUntilIdle does, and with CLUSTER_CONFLICT or CLUSTER_PROTECTED as FindCluster does.
func (a *Activities) DeleteCluster(ctx context.Context, in DeleteInput) (contract.Cluster, error) {
	found := in.Found.Cluster
	w := a.newWait(ctx, WaitInput{
		GroupID: in.Request.GroupID, Name: in.Request.Name, ID: found.ID, ClusterType: found.ClusterType,
		StateName: found.StateName, Shown: true, Deadline: in.Deadline,
	}, goalGone)
	w.ask = func(saw look) error { return w.askToDelete(in, saw) }
	end, err := w.attend(ctx)
	if err != nil {
		return contract.Cluster{}, err
	}
	gone := contract.Cluster{Tags: []contract.Tag{}, Warnings: append([]string{}, end.Warnings...)}
	if !w.progress.AskedAt.IsZero() {
		gone.Outcome = contract.Deleted
	}
	return gone, nil
}

// askToDelete asks for the end of a cluster that was seen a moment ago.
func (w *wait) askToDelete(in DeleteInput, saw look) error {
	if !w.progress.AskedAt.IsZero() { // the last look may be a shared one, and older
		fresh, err := w.activities.lookAlone(w.attempt, saw.kind, in.Request.Cluster())
		if err != nil || !w.isToAsk(fresh) {
			return nil // the next look tells what became of it
		}
		saw = fresh
	}
	// A cluster that was not ours was on its way out when it was found, and has come back. The tags of one that was
	// ours can have vanished since.
	workflowID, adopt := w.attempt.owner(), in.Request.Adopt || in.Found.Ours
	if err := checkMayDelete(in.Request, workflowID, saw.result(), adopt); err != nil {
		return err
	}
	if saw.cluster.TerminationProtectionEnabled {
		unprotected := contract.Asked{TerminationProtectionEnabled: new(false)}
		if _, err := w.activities.change(w.attempt, in.Request.Cluster(), saw, unprotected, func() {}); err != nil {
			return w.askFailed(err)
		}
	}
	return w.sendDelete(in, saw)
}

func (w *wait) sendDelete(in DeleteInput, saw look) error {
	request := in.Request
	sending, cancel := w.attempt.sendingSoon(saw.at, func() {})
	defer cancel()
	_, err := saw.kind.delete(w.activities.atlas, sending, request.GroupID, request.Name)
	switch {
	case err == nil, isBeingDeleted(err):
		w.progress.AskedAt = w.attempt.clock.now()
		return nil
	case isProtected(err) && !request.RemoveTerminationProtection:
		return protected(request.Name, w.progress.StateName)
	case isProtected(err): // somebody has turned it on since the look
		return notYet(request.Name, "its termination protection is on again; turning it off", w.progress.StateName,
			2*w.activities.pace.FastEvery)
	}
	return w.askFailed(w.attempt.unsent(err, request.Name, w.progress.StateName))
}

// isBeingDeleted reports whether Atlas refuses a request for a cluster because it deletes it already.
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
