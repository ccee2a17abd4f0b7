package activities

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"github.com/atlas-provisioner/atlas-provisioner/atlasclient"
	"github.com/atlas-provisioner/atlas-provisioner/contract"
)

// WatchInput is the input of WatchLease.
type WatchInput struct {
	GroupID string `json:"groupId"`
	Name    string `json:"name"`
	// ID is the Atlas id of the cluster that is leased.
	ID string `json:"id"`
}

// LeftoverInput is the input of FindLeftover.
type LeftoverInput struct {
	Request contract.LeaseFlexClusterInput `json:"request"`
	// Began is when the lease began, by Temporal's clock. It made no cluster that is older.
	Began time.Time `json:"began"`
}

// WatchLease looks now and then whether the cluster of a lease is there. It ends when the cluster is gone, and says why
// it is taken to be; whatever else Atlas answers, it goes on.
//
// Each attempt looks once and ends with a benign, retryable NOT_YET, so that a watch of days adds no history. What it
// knows travels in the heartbeat ([contract.WaitProgress]).
func (a *Activities) WatchLease(ctx context.Context, in WatchInput) (string, error) {
	at := newAttempt(ctx)
	defer at.close()
	progress := readWaitProgress(ctx)
	saw, err := a.observeAny(at.untilStop, in.GroupID, in.Name)
	if at.untilStop.Err() != nil {
		at.leave(progress)
		return "", at.interrupted(in.Name, progress.StateName)
	}
	reason, err := a.evaluateWatch(in, saw, err, at.clock.now(), &progress)
	if err != nil {
		at.leave(progress)
	}
	return reason, err
}

func readWaitProgress(ctx context.Context) (progress contract.WaitProgress) {
	if activity.HasHeartbeatDetails(ctx) {
		// Details that cannot be read are as good as none.
		_ = activity.GetHeartbeatDetails(ctx, &progress)
	}
	return progress
}

// evaluateWatch makes of a look the reason why the cluster is gone, or the error that brings the activity back.
func (a *Activities) evaluateWatch(
	in WatchInput, saw observation, err error, now time.Time, p *contract.WaitProgress,
) (string, error) {
	switch {
	case atlasclient.IsError(err, notThere...):
		p.Errors = 0
		return a.evaluateAbsentLease(in, now, p)
	case err != nil:
		p.Errors++
		return "", lookAgain(in.Name, p.StateName, err, backoff(p.Errors, a.pace.LeaseEvery))
	}
	p.Errors, p.NotFoundSince = 0, time.Time{}
	//mutate:lease-successor
	if saw.cluster.ID != in.ID {
		return fmt.Sprintf("another cluster has its name, with the id %s", saw.cluster.ID), nil
	}
	if p.StateName != saw.cluster.StateName || p.Since.IsZero() {
		p.StateName, p.Since = saw.cluster.StateName, now
	}
	if p.StateName == contract.StateDeleting {
		return "", notYet(in.Name, "it is being deleted; looking until it is gone", p.StateName, a.pace.SlowMin)
	}
	return "", notYet(in.Name, "it is "+p.StateName+"; next look in "+a.pace.LeaseEvery.String(), p.StateName,
		jittered(a.pace.LeaseEvery))
}

// evaluateAbsentLease takes a cluster to be gone that Atlas has not shown for a while.
func (a *Activities) evaluateAbsentLease(
	in WatchInput, now time.Time, p *contract.WaitProgress,
) (string, error) {
	if p.NotFoundSince.IsZero() {
		p.NotFoundSince = now
	}
	absentFor := now.Sub(p.NotFoundSince)
	//mutate:lease-lagging-read
	if absentFor < a.pace.NotFoundFor {
		return "", notYet(in.Name, "Atlas shows no such cluster; looking until that is certain", p.StateName,
			2*a.pace.FastEvery)
	}
	return fmt.Sprintf("Atlas has known no such cluster for %s (last state %s)", absentFor.Round(time.Second),
		orUnknown(p.StateName)), nil
}

// lookAgain is the failure for a look that is taken again whatever Atlas answered.
func lookAgain(cluster, state string, err error, delay time.Duration) error {
	var answer *atlasclient.Error
	if !errors.As(err, &answer) || retryable(answer) {
		return failure(cluster, state, err, delay)
	}
	return atlasFailure(cluster, state, answer, strings.TrimSuffix(advice(answer), again)+". It is tried again",
		temporal.ApplicationErrorOptions{NextRetryDelay: delay})
}

// FindLeftover finds what a provision of a lease left behind that did not end with its cluster: a cluster that the
// lease can have made. The answer has no id where there is none. Whatever Atlas answers else, it goes on.
func (a *Activities) FindLeftover(ctx context.Context, in LeftoverInput) (contract.Cluster, error) {
	at := newAttempt(ctx)
	defer at.close()
	progress := readWaitProgress(ctx)
	request := in.Request
	saw, err := a.observe(at.untilStop, flex, request.GroupID, request.Name)
	now := at.clock.now()
	found, decided := contract.Cluster{}, error(nil)
	switch {
	case at.untilStop.Err() != nil:
		decided = at.interrupted(request.Name, progress.StateName)
	case atlasclient.IsError(err, notThere...):
		if progress.NotFoundSince.IsZero() {
			progress.NotFoundSince = now
		}
		//mutate:leftover-lagging-read
		if now.Sub(progress.NotFoundSince) < a.pace.NotFoundFor {
			decided = notYet(request.Name, "Atlas shows no such cluster; looking until that is certain", "",
				2*a.pace.FastEvery)
		}
	case err != nil:
		progress.Errors++
		decided = lookAgain(request.Name, progress.StateName, err, backoff(progress.Errors, a.pace.SlowMax))
	default:
		progress = contract.WaitProgress{StateName: saw.cluster.StateName}
		// Atlas's times are in whole seconds.
		youngEnough := saw.youngerThan(now.Sub(in.Began)+time.Second, now)
		found, decided = decideLeftover(request, saw.result(), youngEnough)
	}
	if decided != nil {
		at.leave(progress)
	}
	return found, decided
}

// decideLeftover says whether a cluster is what a lease made and left behind. youngEnough says that the lease can have
// made it, by its age.
func decideLeftover(
	request contract.LeaseFlexClusterInput, existing contract.Cluster, youngEnough bool,
) (contract.Cluster, error) {
	provision := request.Provision()
	asAsked := len(contract.Differences(provision.ClusterFields(), existing.Fields())) == 0
	owner := ownershipOf(existing, contract.ClusterWorkflowID(request.GroupID, request.Name))
	switch {
	case owner == unreadable:
		return contract.Cluster{}, notYet(request.Name, "it is being deleted; looking until it is gone",
			existing.StateName, 5*time.Second)
	//mutate:leftover-age
	case !youngEnough: // it was there before
	//mutate:leftover-owner
	case owner == ours, owner == untagged && asAsked && !provision.HasOwnershipTag():
		return existing, nil
	}
	return contract.Cluster{}, nil
}

// ClusterRunInput is the input of the activity [contract.AwaitClusterRunActivity], which package worker has: it asks
// Temporal, and not Atlas.
type ClusterRunInput struct {
	WorkflowID string `json:"workflowId"`
	// Request is what the run must have been asked for; nil where it may have been anything.
	Request *contract.ProvisionFlexClusterInput `json:"request,omitempty"`
}
