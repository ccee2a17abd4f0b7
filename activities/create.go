package activities

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/atlas-provisioner/atlas-provisioner/atlasclient"
	"github.com/atlas-provisioner/atlas-provisioner/contract"
)

// CreateFlexCluster asks Atlas for a Flex cluster, once in effect: when an
// earlier attempt's answer was lost, the name is taken, and the cluster that
// has it is this request's own if that can be proved. It does not wait.
//
// It fails with CLUSTER_CONFLICT when the name is somebody else's or the
// cluster is not as asked, with CLUSTER_GONE when what this run made is being
// deleted, and otherwise as Atlas answers.
func (a *Activities) CreateFlexCluster(ctx context.Context, in CreateInput) (contract.Cluster, error) {
	c := creation{
		Activities: a, request: in.Request, workflowStarted: in.WorkflowStarted,
		info: activity.GetInfo(ctx), clock: clockOf(activity.GetInfo(ctx)),
	}
	defer keepAlive(ctx, func() any { return nil })()
	c.project = a.fleet.project(c.request.GroupID)

	waiting, cancel := untilStop(ctx)
	defer cancel()
	cluster, resp, err := ask(waiting, &c.project.flex, write, func(context.Context) (*atlasclient.Cluster, *atlasclient.Response, error) {
		// A cancellation must not abort a request whose effect would then be
		// unknown: it takes its course, and the workflow is cancelled after it.
		return a.atlas.CreateFlexCluster(context.WithoutCancel(ctx), c.request.GroupID, c.body())
	})
	switch {
	case err == nil:
		return c.result(cluster, resp, contract.Created), nil
	case errors.Is(err, context.Canceled) && waiting.Err() != nil:
		return contract.Cluster{}, interrupted(ctx, c.request.Name, "")
	case atlasclient.IsError(err, atlasclient.CodeDuplicateClusterName):
		return c.adopt(ctx)
	default:
		return contract.Cluster{}, c.failed(err)
	}
}

type creation struct {
	*Activities
	project         *project
	request         contract.ProvisionFlexClusterInput
	workflowStarted time.Time
	info            activity.Info
	clock           clock
}

// failed is the failure of an attempt. The delay grows with the attempts, since
// each of them failed or was lost.
func (c creation) failed(err error) error {
	return failure(c.request.Name, "", err, backoff(int(c.info.Attempt), c.pace.SlowMax))
}

func (c creation) body() atlasclient.FlexClusterRequest {
	tags := atlasTags(c.request.Tags)
	if c.request.HasOwnershipTag() {
		tags = append(tags, atlasclient.Tag{Key: contract.OwnershipTag, Value: c.info.WorkflowExecution.ID})
	}
	return atlasclient.FlexClusterRequest{
		Name:                         c.request.Name,
		ProviderSettings:             atlasclient.ProviderSettings(c.request.ProviderSettings),
		Tags:                         tags,
		TerminationProtectionEnabled: c.request.TerminationProtectionEnabled,
	}
}

func (c creation) result(cluster *atlasclient.Cluster, resp *atlasclient.Response, outcome contract.Outcome) contract.Cluster {
	out := result(cluster, contract.ClusterTypeFlex, resp)
	out.Outcome = outcome
	return out
}

// adopt takes the cluster that has the name, if it is ours and as asked.
func (c creation) adopt(ctx context.Context) (contract.Cluster, error) {
	name := c.request.Name
	cluster, resp, err := c.find(ctx)
	switch {
	case atlasclient.IsError(err, atlasclient.CodeNonFlexInFlexAPI),
		atlasclient.IsError(err, atlasclient.CodeClusterNotFound):
		return contract.Cluster{}, conflict(name, "the name is taken in this project by a cluster that is not a Flex cluster: choose another name", nil)
	case err != nil:
		return contract.Cluster{}, c.failed(err)
	}

	found := c.result(cluster, resp, contract.Unchanged)
	thisRun := c.info.Attempt > 1 && madeByThisRun(cluster, resp, c.workflowStarted, c.clock.now())
	differences := contract.Differences(c.request.ClusterFields(), found.Fields())
	if !c.ours(found, thisRun, differences) {
		return contract.Cluster{}, c.notOurs(found, differences)
	}
	switch {
	case found.StateName == contract.StateDeleting && thisRun:
		return contract.Cluster{}, gone(name, "it is being deleted, though this run has only just made it", found.StateName)
	case found.StateName == contract.StateDeleting:
		return contract.Cluster{}, notYet(name, "the one that an earlier run made is being deleted; the name is free in half a minute", found.StateName, 5*time.Second)
	case len(differences) > 0:
		return contract.Cluster{}, conflict(name, fmt.Sprintf(
			"this workflow made it, but it is not as asked: %s. Change the cluster in Atlas or the request%s", contract.ListDifferences(differences), again), differences)
	case thisRun:
		found.Outcome = contract.Created
	}
	return found, nil
}

// ours is whether the cluster is this request's own. The ownership tag proves
// it. Without one, only a cluster that an earlier attempt of this run can have
// made and that is as asked in every field counts.
func (c creation) ours(found contract.Cluster, thisRun bool, differences []contract.Difference) bool {
	switch owner := found.Owner(); {
	case owner != "":
		return owner == c.info.WorkflowExecution.ID
	case c.request.HasOwnershipTag():
		return false
	}
	return thisRun && len(differences) == 0
}

func (c creation) notOurs(found contract.Cluster, differences []contract.Difference) error {
	whose := "it carries no tag " + contract.OwnershipTag
	if owner := found.Owner(); owner != "" {
		whose = fmt.Sprintf("workflow %q made it", owner)
	} else if !c.request.HasOwnershipTag() {
		whose = "it is older than this run, or not as asked"
	}
	message := fmt.Sprintf("the name is taken in this project by a cluster that this workflow did not make (%s)", whose)
	if len(differences) > 0 {
		message += " and that differs: " + contract.ListDifferences(differences)
	}
	if found.StateName == contract.StateDeleting {
		message += ". It is being deleted: start the workflow again in a minute"
	} else {
		message += ". It was left untouched: choose another name, or delete that cluster" + again
	}
	return conflict(c.request.Name, message, differences)
}

// find reads the cluster that has the name. A read can lag behind a create, so
// a 404 is asked about again for a while.
func (c creation) find(ctx context.Context) (*atlasclient.Cluster, *atlasclient.Response, error) {
	looking, cancel := untilStop(ctx)
	defer cancel()
	for begun := time.Now(); ; {
		cluster, resp, err := c.project.getFlex(looking, write, c.request.Name)
		lags := atlasclient.IsError(err, atlasclient.CodeClusterNotFound) && time.Since(begun) < c.pace.NotFoundFor
		if err == nil || !lags && looking.Err() == nil {
			return cluster, resp, err
		}
		if !sleep(looking, c.pace.FastEvery) {
			return nil, nil, interrupted(ctx, c.request.Name, "")
		}
	}
}
