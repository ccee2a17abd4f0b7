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

// UpgradeClusterToServerless asks Atlas to upgrade a shared-tier cluster, once
// in effect: it looks before it asks, and after an attempt whose answer was
// lost it watches for the upgrade's first signs before it asks again. It does
// not wait for the upgrade.
//
// It fails with CLUSTER_CONFLICT when an instance of the name is not as asked,
// and otherwise as Atlas answers; 410 VERSION_GONE is an Atlas that has retired
// the endpoint.
func (a *Activities) UpgradeClusterToServerless(ctx context.Context, in UpgradeInput) (contract.Cluster, error) {
	info := activity.GetInfo(ctx)
	u := &upgrade{
		Activities: a, project: a.fleet.project(in.Request.GroupID), request: in.Request, workflowStarted: in.WorkflowStarted,
		info: info, clock: clockOf(info),
	}
	if activity.HasHeartbeatDetails(ctx) {
		// Without them a request could be sent twice. Another worker may have
		// the key that this one lacks.
		if err := activity.GetHeartbeatDetails(ctx, &u.sent); err != nil {
			return contract.Cluster{}, fmt.Errorf("what the attempt before noted cannot be read: %w", err)
		}
	}
	before := u.sent
	stop := keepAlive(ctx, func() any { return before })
	done, err := u.already(ctx)
	if done == nil && err == nil {
		done, err = u.underWay(ctx)
	}
	stop()
	if done == nil && err == nil {
		done, err = u.ask(ctx)
	}
	var answer *atlasclient.Error
	if errors.As(err, &answer) {
		u.sent.Errors++
		activity.RecordHeartbeat(ctx, u.sent)
		return contract.Cluster{}, failure(in.Request.Name, "", err, backoff(u.sent.Errors, a.pace.SlowMax))
	}
	if err != nil && u.sent.Errors > 0 {
		u.sent.Errors = 0
		activity.RecordHeartbeat(ctx, u.sent)
	}
	return value(done), failure(in.Request.Name, "", err, 0)
}

// upgradeSent is the heartbeat of the upgrade.
type upgradeSent struct {
	// At is when a request was sent whose effect is unknown; zero for none.
	At time.Time `json:"at,omitzero"`
	// Errors counts the attempts in a row that failed.
	Errors int `json:"errors,omitempty"`
}

type upgrade struct {
	*Activities
	project         *project
	request         contract.UpgradeToServerlessInput
	workflowStarted time.Time
	info            activity.Info
	clock           clock
	sent            upgradeSent
}

// already answers the instance, if there is one of the name and as asked.
func (u *upgrade) already(ctx context.Context) (*contract.Cluster, error) {
	name := u.request.Name
	instance, resp, err := u.project.getServerless(ctx, write, name)
	switch {
	case noSuch(err):
		return nil, nil
	case err != nil:
		return nil, err
	}
	found := result(instance, contract.ClusterTypeServerless, resp)
	if found.StateName == contract.StateDeleting {
		return nil, conflict(name, "a serverless instance of that name is being deleted: start the workflow again in a minute", nil)
	}
	requested, existing := u.request.ClusterFields(), found.Fields()
	if found.StateName != contract.StateIdle {
		// Tags vanish and come back while an upgrade runs (observed 2026-08-10).
		requested, existing = untagged(u.request, found)
	}
	if d := contract.Differences(requested, existing); len(d) > 0 {
		return nil, conflict(name, "it is serverless already, but not as asked: "+contract.ListDifferences(d)+
			". Change the instance in Atlas or the request"+again, d)
	}
	found.Warnings = append(found.Warnings, u.backupWarning(instance)...)
	found.Outcome = contract.Unchanged
	if u.info.Attempt > 1 && madeByThisRun(instance, resp, u.workflowStarted, u.clock.now()) {
		found.Outcome = contract.Upgraded
	}
	return &found, nil
}

// underWay looks at the cluster before it is asked to upgrade. It answers the
// cluster when the request of an earlier attempt took effect, and fails for
// now when that cannot be told yet.
func (u *upgrade) underWay(ctx context.Context) (*contract.Cluster, error) {
	name := u.request.Name
	cluster, resp, err := u.project.getCluster(ctx, write, name)
	var answered *atlasclient.Error
	switch {
	case atlasclient.IsError(err, atlasclient.CodeServerlessInClusterAPI):
		return u.already(ctx) // it switched between the two reads
	case errors.As(err, &answered) && !retryable(answered):
		// Atlas refuses the upgrade itself in better words.
		return nil, nil
	case err != nil:
		return nil, err
	case cluster.StateName == contract.StateUpdating && !u.sent.At.IsZero():
		out := result(cluster, contract.ClusterTypeServerless, resp)
		out.Outcome = contract.Upgraded
		return &out, nil
	case cluster.StateName == contract.StateUpdating:
		return nil, notYet(name, "Atlas is making another change to it (UPDATING); the upgrade is asked for after that",
			cluster.StateName, u.pace.SlowMin)
	}
	if since := u.clock.now().Sub(u.sent.At); since < u.pace.SettleFor {
		return nil, notYet(name, fmt.Sprintf(
			"the answer to the upgrade was lost %s ago; looking whether it took effect", since.Round(time.Second)),
			cluster.StateName, 2*u.pace.FastEvery)
	}
	return nil, nil
}

// ask sends the upgrade. That it was sent is on record with Temporal before
// it goes, and taken back if Atlas says that it had no effect.
func (u *upgrade) ask(ctx context.Context) (*contract.Cluster, error) {
	r := u.request
	r.ProviderSettings.ProviderName = contract.ClusterTypeServerless
	if err := u.project.other.take(ctx, write); err != nil {
		return nil, err
	}
	u.sent.At = u.clock.now()
	activity.RecordHeartbeat(ctx, u.sent)
	stop := keepAlive(ctx, func() any { return u.sent })
	// A cancellation must not abort a request whose effect would then be
	// unknown.
	cluster, resp, err := u.atlas.UpgradeToServerless(context.WithoutCancel(ctx), r.GroupID, atlasclient.ServerlessUpgradeRequest{
		Name:                         r.Name,
		ProviderSettings:             atlasclient.ProviderSettings(r.ProviderSettings),
		ServerlessBackupOptions:      (*atlasclient.ServerlessBackupOptions)(r.ServerlessBackupOptions),
		Tags:                         atlasTags(r.Tags),
		TerminationProtectionEnabled: r.TerminationProtectionEnabled,
	})
	stop()
	u.project.other.learn(resp, err)
	if err != nil {
		if refused(err) {
			u.sent.At = time.Time{}
		}
		return nil, err
	}
	out := result(cluster, contract.ClusterTypeServerless, resp)
	out.Outcome = contract.Upgraded
	return &out, nil
}

// refused is whether Atlas said that a request had no effect. A 5xx or 408 does
// not say so.
func refused(err error) bool {
	var e *atlasclient.Error
	return errors.As(err, &e) && e.Err == nil && e.Status < 500 && e.Status != http.StatusRequestTimeout
}

// noSuch is an answer that there is no cluster of the name, or none of the kind
// yet.
func noSuch(err error) bool {
	return atlasclient.IsError(err, atlasclient.CodeServerlessInstanceNotFound,
		atlasclient.CodeClusterNotFound, atlasclient.CodeClusterInServerlessAPI)
}

func untagged(request contract.UpgradeToServerlessInput, found contract.Cluster) (requested, existing contract.Fields) {
	request.Tags, found.Tags = nil, nil
	return request.ClusterFields(), found.Fields()
}

// backupWarning says that continuous backup is not as asked. It is no conflict:
// Atlas takes the setting but no longer applies it
// (https://www.mongodb.com/docs/api/doc/atlas-admin-api-v2/, getServerlessInstance).
func (u *upgrade) backupWarning(instance *atlasclient.Cluster) []string {
	asked, o := u.request.ContinuousBackup(), instance.ServerlessBackupOptions
	if asked == "" || o == nil || o.ServerlessContinuousBackupEnabled == nil ||
		asked == fmt.Sprint(*o.ServerlessContinuousBackupEnabled) {
		return nil
	}
	return []string{fmt.Sprintf("serverlessContinuousBackupEnabled is %t, requested %s: Atlas no longer applies it",
		*o.ServerlessContinuousBackupEnabled, asked)}
}

func value(c *contract.Cluster) contract.Cluster {
	if c == nil {
		return contract.Cluster{}
	}
	return *c
}
