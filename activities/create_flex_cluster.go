package activities

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/atlas-provisioner/atlas-provisioner/atlasclient"
	"github.com/atlas-provisioner/atlas-provisioner/contract"
)

// CreateInput is the input of CreateFlexCluster.
type CreateInput struct {
	Request contract.ProvisionFlexClusterInput `json:"request"`
	Run     RunInfo                            `json:"run"`
}

// CreateFlexCluster asks Atlas for a Flex cluster, once in effect: when an earlier attempt's answer was lost, the name
// is taken, and the cluster that has it is this request's own if that can be proved. It does not wait for the cluster.
//
// Where the request says so, a cluster of this workflow that is not as asked is changed, and one that carries no
// ownership tag is taken over.
//
// It fails with CLUSTER_CONFLICT when the name is somebody else's or the cluster is not as asked, with NOT_YET while
// the name is taken by a cluster that goes or that Atlas does not show, and otherwise as Atlas answers.
func (a *Activities) CreateFlexCluster(ctx context.Context, in CreateInput) (cluster contract.Cluster, err error) {
	attempt := newAttempt(ctx)
	defer attempt.close()
	runID, workflowID := attempt.info.WorkflowExecution.RunID, attempt.owner()
	var progress changeProgress
	if mayChange(in.Request) {
		progress = attempt.readChangeProgress(in.Run)
	}
	defer func() {
		a.asked.settle(runID, err)
		if err != nil && mayChange(in.Request) {
			attempt.leave(progress)
		}
	}()
	// The delay grows with the attempts, since each of them failed or was lost.
	delay := backoff(int(attempt.info.Attempt), a.pace.SlowMax)

	request, askedBefore := in.Request, a.askedBefore(attempt, in.Run)
	sending, cancel := attempt.sending(func() { a.asked.add(runID) })
	defer cancel()
	made, response, err := a.atlas.CreateFlexCluster(sending, request.GroupID, flexClusterRequest(request, workflowID))
	switch {
	case err == nil:
		cluster = resultOf(made, contract.ClusterTypeFlex, response)
		cluster.Outcome = contract.Created
		return cluster, nil
	case attempt.untilStop.Err() != nil && errors.Is(err, context.Canceled):
		return contract.Cluster{}, attempt.interrupted(request.Name, "")
	//mutate:adopt
	case !atlasclient.IsError(err, atlasclient.CodeDuplicateClusterName):
		return contract.Cluster{}, failure(request.Name, "", err, delay)
	}

	existing, err := a.lookAtTaken(attempt, request, delay)
	if err != nil {
		return contract.Cluster{}, err
	}
	cluster, err = decideCreate(request, workflowID, existing.result(),
		madeByThisRun(existing.observation, in.Run, attempt.clock.now(), askedBefore), progress.Sent)
	if err == nil && cluster.Outcome == "" {
		cluster, err = a.changeNow(attempt, request.Cluster(), existing, request.Asked(workflowID), &progress)
	}
	return cluster, failure(request.Name, existing.cluster.StateName, err, delay)
}

// mayChange reports whether a cluster that is there already may be changed.
func mayChange(request contract.ProvisionFlexClusterInput) bool {
	return request.UpdatesIfDifferent() || request.Adopt
}

// lookAtTaken reads the cluster that has the name. delay is that of the next attempt.
func (a *Activities) lookAtTaken(
	at *attempt, request contract.ProvisionFlexClusterInput, delay time.Duration,
) (look, error) {
	saw, err := a.lookAlone(at, flex, request.Cluster())
	switch {
	case at.untilStop.Err() != nil:
		return saw, at.interrupted(request.Name, "")
	case atlasclient.IsError(err, atlasclient.CodeNonFlexInFlexAPI):
		return saw, conflict(request.Name,
			"the name is taken in this project by a cluster that is not a Flex cluster: choose another name", nil)
	//mutate:lagging-read
	case flex.isAbsent(err):
		// A read can lag behind a create, and the cluster can have gone between the two answers.
		return saw, notYet(request.Name,
			"Atlas says that the name is taken, but does not show the cluster", "", min(delay, 5*time.Second))
	}
	return saw, failure(request.Name, "", err, delay)
}

func flexClusterRequest(request contract.ProvisionFlexClusterInput, workflowID string) atlasclient.FlexClusterRequest {
	tags := atlasTags(request.Tags)
	if request.HasOwnershipTag() {
		tags = append(tags, atlasclient.Tag{Key: contract.OwnershipTag, Value: workflowID})
	}
	return atlasclient.FlexClusterRequest{
		Name:                         request.Name,
		ProviderSettings:             atlasclient.ProviderSettings(request.ProviderSettings),
		Tags:                         tags,
		TerminationProtectionEnabled: request.TerminationProtectionEnabled,
	}
}

// decideCreate says what becomes of a create whose name is taken by an existing cluster: the run goes on with the
// cluster, fails, or changes it, where the cluster has no outcome. madeByThisRun says that the run can have made it, by
// its age; sent, that the run may have changed it before.
func decideCreate(
	request contract.ProvisionFlexClusterInput, workflowID string, existing contract.Cluster, madeByThisRun, sent bool,
) (contract.Cluster, error) {
	differences := contract.Differences(request.ClusterFields(), existing.Fields())
	owner := ownershipOf(existing, workflowID)
	existing.Outcome = contract.Unchanged
	switch {
	case madeByThisRun:
		existing.Outcome = contract.Created
	case sent && mayChange(request):
		existing.Outcome = contract.Updated
	}
	switch {
	case owner == unreadable:
		return contract.Cluster{}, notYet(request.Name,
			"a cluster of that name is being deleted; the name is free within a minute", existing.StateName,
			5*time.Second)
	case owner == ours && len(differences) == 0:
		return existing, nil
	case owner == ours && request.UpdatesIfDifferent() && !slices.ContainsFunc(differences, isPlace):
		return toBeChanged(existing)
	case owner == ours:
		return contract.Cluster{}, conflict(request.Name, fmt.Sprintf(
			"this workflow made it, but it is not as asked: %s. Change the cluster in Atlas or the request%s",
			contract.ListDifferences(differences), again), differences)
	//mutate:owner-no-tag
	//mutate:untagged-as-asked
	//mutate:untagged-age
	case owner == untagged && !request.HasOwnershipTag() && madeByThisRun && len(differences) == 0:
		// Without a tag, only a cluster that this run can have made and that is as asked in every field is its own.
		return existing, nil
	//mutate:adopt-as-asked
	case owner == untagged && request.Adopt && len(differences) == 0:
		if !request.HasOwnershipTag() {
			existing.Outcome = contract.Unchanged
			return existing, nil
		}
		return toBeChanged(existing)
	}
	return contract.Cluster{}, nameTaken(request, existing, owner, differences)
}

// toBeChanged is a cluster that Atlas is asked to change, once it is IDLE.
func toBeChanged(existing contract.Cluster) (contract.Cluster, error) {
	if existing.StateName != contract.StateIdle {
		return contract.Cluster{}, notYet(existing.Name, "it is "+existing.StateName+"; it is changed once it is IDLE",
			existing.StateName, changeAgainAfter)
	}
	existing.Outcome = ""
	return existing, nil
}

// nameTaken is the failure for a name that somebody else's cluster has.
func nameTaken(
	request contract.ProvisionFlexClusterInput, existing contract.Cluster, owner ownership,
	differences []contract.Difference,
) error {
	whose := owner.whose(existing)
	if owner == untagged && !request.HasOwnershipTag() {
		whose = "it is older than this run, or not as asked"
	}
	message := fmt.Sprintf("the name is taken in this project by a cluster that this workflow did not make (%s)", whose)
	if len(differences) > 0 {
		message += " and that differs: " + contract.ListDifferences(differences)
	}
	next := "choose another name, or delete that cluster"
	if owner == untagged && len(differences) == 0 {
		next = "choose another name, delete that cluster, or set adopt to take it over"
	}
	return conflict(request.Name, message+". It was left untouched: "+next+again, differences)
}
