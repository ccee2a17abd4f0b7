package activities

import (
	"context"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
)

// UpdateInput is the input of UpdateFlexCluster.
type UpdateInput struct {
	Request contract.UpdateFlexClusterInput `json:"request"`
	Run     RunInfo                         `json:"run"`
}

// UpdateFlexCluster looks at a Flex cluster, decides what it lacks of what is asked, and asks Atlas for that. It does
// not wait for the cluster.
//
// It fails with CLUSTER_CONFLICT when the cluster is not this workflow's, with CLUSTER_GONE when it is being deleted,
// with NOT_YET while Atlas is making another change to it, and otherwise as Atlas answers.
func (a *Activities) UpdateFlexCluster(ctx context.Context, in UpdateInput) (contract.Cluster, error) {
	at := newAttempt(ctx)
	defer at.close()
	progress := at.readChangeProgress(in.Run)
	ref, workflowID := in.Request.Cluster(), at.owner()

	saw, err := a.lookToUpdate(at, in.Request)
	if err != nil {
		return contract.Cluster{}, a.changeFailed(at, ref.Name, "", err, progress)
	}
	cluster, err := decideUpdate(in.Request, workflowID, saw.result(), progress.Sent)
	if err == nil && cluster.Outcome == "" {
		cluster, err = a.changeNow(at, ref, saw, in.Request.Asked(workflowID), &progress)
	}
	if err != nil {
		return contract.Cluster{}, a.changeFailed(at, ref.Name, saw.cluster.StateName, err, progress)
	}
	return cluster, nil
}

// lookToUpdate reads the cluster. One that is taken over gets a list of tags that holds those that it has, so that it
// is read by a request of its own, right before.
func (a *Activities) lookToUpdate(at *attempt, request contract.UpdateFlexClusterInput) (look, error) {
	if request.Adopt {
		return a.lookAlone(at, flex, request.Cluster())
	}
	return a.lookToChange(at, request.Cluster())
}

// decideUpdate says what becomes of an update: the run goes on with the cluster, fails, or asks for the change, where
// the cluster has no outcome. sent says that the run may have asked before.
func decideUpdate(
	request contract.UpdateFlexClusterInput, workflowID string, existing contract.Cluster, sent bool,
) (contract.Cluster, error) {
	if existing.StateName == contract.StateDeleting {
		return contract.Cluster{}, gone(request.Name, "it is being deleted", existing.StateName)
	}
	if err := checkMayChangeNow(existing, workflowID, request.Adopt); err != nil {
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
