package activities

import (
	"context"
	"errors"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/reads"
)

// UpdateInput is the input of UpdateFlexCluster.
type UpdateInput struct {
	Request contract.UpdateFlexClusterInput `json:"request"`
	Run     RunInfo                         `json:"run"`
}

// changeProgress is the heartbeat of an activity that changes a cluster, for the next attempt.
type changeProgress struct {
	// Sent says that a change may have been sent, so that a cluster that is as asked was made so by the run.
	Sent bool `json:"sent"`
	// Errors counts the attempts in a row that failed.
	Errors int `json:"errors,omitempty"`
}

// readChangeProgress is what the attempts before noted. One that is lost with its worker noted nothing: it may have
// sent the change.
func readChangeProgress(ctx context.Context, at *attempt) changeProgress {
	p := changeProgress{Sent: at.info.Attempt > 1}
	if activity.HasHeartbeatDetails(ctx) {
		_ = activity.GetHeartbeatDetails(ctx, &p)
	}
	return p
}

// UpdateFlexCluster looks at a Flex cluster, decides what it lacks of what is asked, and asks Atlas for that. It does
// not wait for the cluster.
//
// It fails with CLUSTER_CONFLICT when the cluster is not this workflow's, with CLUSTER_GONE when it is being deleted,
// with NOT_YET while Atlas is making another change to it, and otherwise as Atlas answers.
func (a *Activities) UpdateFlexCluster(ctx context.Context, in UpdateInput) (cluster contract.Cluster, err error) {
	at := newAttempt(ctx)
	defer at.close()
	progress := readChangeProgress(ctx, at)
	progress.Sent = progress.Sent || a.askedBefore(at, in.Run) && at.info.Attempt == 1
	at.note(progress)
	workflowID := at.info.WorkflowExecution.ID
	asked := in.Request.Asked(workflowID)

	saw, err := a.lookToChange(at, in.Request.GroupID, in.Request.Name)
	if err == nil {
		cluster, err = decideUpdate(in.Request, workflowID, saw.result(), progress.Sent)
	}
	if err == nil && cluster.Outcome == "" {
		cluster, err = a.changeNow(at, saw, asked, &progress)
	}
	if err != nil {
		return contract.Cluster{}, a.changeFailed(at, in.Request.Name, saw, err, &progress)
	}
	return cluster, nil
}

// lookToChange reads a Flex cluster. Those of a project share the read.
func (a *Activities) lookToChange(at *attempt, groupID, name string) (observation, error) {
	shared := a.reads.Enter(groupID, name, reads.Flex, at.clock.local(at.info.ScheduledTime))
	defer shared.Leave(0)
	cluster, response, err := shared.Look(at.untilStop, freshRead)
	return observation{cluster, response, flex}, err
}

// decideUpdate says what becomes of an update: the run goes on with the cluster, fails, or asks for the change, where
// the cluster has no outcome. sent says that the run may have asked before.
func decideUpdate(
	request contract.UpdateFlexClusterInput, workflowID string, existing contract.Cluster, sent bool,
) (contract.Cluster, error) {
	if existing.StateName == contract.StateDeleting {
		return contract.Cluster{}, gone(request.Name, "it is being deleted", existing.StateName)
	}
	if err := checkMayChange(existing, workflowID, request.Adopt); err != nil {
		return contract.Cluster{}, err
	}
	switch differs := len(request.Asked(workflowID).Differences(existing)) > 0; {
	case differs:
		return toBeChanged(existing)
	case sent:
		existing.Outcome = contract.Updated
	default:
		existing.Outcome = contract.Unchanged
	}
	return existing, nil
}

// changeNow asks for a change, and answers the cluster.
func (a *Activities) changeNow(
	at *attempt, saw observation, asked contract.Asked, progress *changeProgress,
) (contract.Cluster, error) {
	runID := at.info.WorkflowExecution.RunID
	changed, err := a.change(at, saw, asked, func() {
		progress.Sent = true
		a.asked.add(runID)
		at.leave(*progress)
	})
	if err != nil {
		return contract.Cluster{}, err
	}
	cluster := changed.result()
	cluster.Outcome = contract.Updated
	return cluster, nil
}

// changeFailed ends an attempt that did not get through.
func (a *Activities) changeFailed(
	at *attempt, name string, saw observation, err error, progress *changeProgress,
) error {
	if at.untilStop.Err() != nil && errors.Is(err, context.Canceled) {
		err = at.interrupted(name, "")
	}
	state := ""
	if saw.cluster != nil {
		state = saw.cluster.StateName
	}
	progress.Errors++
	err = failure(name, state, err, backoff(progress.Errors, a.pace.SlowMax))
	at.leave(*progress)
	a.asked.settle(at.info.WorkflowExecution.RunID, err)
	return err
}

const (
	// freshRead is how old a read may be on which a change is decided.
	freshRead = 200 * time.Millisecond
	// changeAgainAfter is how long until a cluster that is busy is looked at again.
	changeAgainAfter = 5 * time.Second
)
