// Package activities holds the three activities of atlas-provisioner: create,
// upgrade, wait. Each leaves retrying to Temporal; each says in its failure
// what Atlas answered and what to do next.
package activities

import (
	"cmp"
	"context"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/atlas-provisioner/atlas-provisioner/atlasclient"
	"github.com/atlas-provisioner/atlas-provisioner/contract"
)

// Activities are the activities of one worker. Every exported method is one:
// the worker registers them by name.
type Activities struct {
	atlas *atlasclient.Client
	fleet *fleet
	pace  Pace
}

// Pace is how often the activities look and how long they put up with what
// will pass. A zero field takes its default.
type Pace struct {
	// Fast is how long a wait holds its slot and looks every FastEvery, and
	// every eighth of its age later. Default 30 s: a Flex create takes about 8.
	Fast time.Duration
	// FastEvery is the shortest time between two looks of a wait that is alone
	// in its project. Default 1 s.
	FastEvery time.Duration
	// SlowMin and SlowMax bound the time between two slow looks, which grows
	// with the wait. Default 10 s and 60 s.
	SlowMin, SlowMax time.Duration
	// NotFoundFor is how long a 404 is taken for a read that lags behind the
	// create. Default 30 s.
	NotFoundFor time.Duration
	// StandardFor is how long to wait for connectionStrings.standard once the
	// cluster is IDLE. Default 1 min.
	StandardFor time.Duration
	// SettleFor is how long a cluster is watched after an upgrade whose answer
	// was lost, before it is taken for not upgraded: Atlas may still answer
	// IDLE for a moment. Default 30 s.
	SettleFor time.Duration
}

// DefaultPace has the default of each field.
var DefaultPace = Pace{
	Fast: 30 * time.Second, FastEvery: time.Second,
	SlowMin: 10 * time.Second, SlowMax: time.Minute,
	NotFoundFor: 30 * time.Second, StandardFor: time.Minute, SettleFor: 30 * time.Second,
}

func (p Pace) withDefaults() Pace {
	d := DefaultPace
	return Pace{
		Fast: cmp.Or(p.Fast, d.Fast), FastEvery: cmp.Or(p.FastEvery, d.FastEvery),
		SlowMin: cmp.Or(p.SlowMin, d.SlowMin), SlowMax: cmp.Or(p.SlowMax, d.SlowMax),
		NotFoundFor: cmp.Or(p.NotFoundFor, d.NotFoundFor), StandardFor: cmp.Or(p.StandardFor, d.StandardFor),
		SettleFor: cmp.Or(p.SettleFor, d.SettleFor),
	}
}

// New makes the activities of a worker.
func New(atlas *atlasclient.Client, pace Pace) *Activities {
	return &Activities{atlas: atlas, fleet: newFleet(atlas), pace: pace.withDefaults()}
}

// CreateInput is the input of CreateFlexCluster.
type CreateInput struct {
	Request contract.ProvisionFlexClusterInput `json:"request"`
	// WorkflowStarted is when the run began, by Temporal's clock.
	WorkflowStarted time.Time `json:"workflowStarted"`
}

// UpgradeInput is the input of UpgradeClusterToServerless.
type UpgradeInput struct {
	Request contract.UpgradeToServerlessInput `json:"request"`
	// WorkflowStarted is when the run began, by Temporal's clock.
	WorkflowStarted time.Time `json:"workflowStarted"`
}

// WaitInput is the input of WaitUntilIdle.
type WaitInput struct {
	GroupID string `json:"groupId"`
	Name    string `json:"name"`
	// ClusterType is the kind that the cluster is to become: FLEX or
	// SERVERLESS.
	ClusterType string `json:"clusterType"`
	// StateName is the last state seen.
	StateName string `json:"stateName"`
	// Deadline is when the run's time is up, by Temporal's clock.
	Deadline time.Time `json:"deadline"`
}

// clock tells the time by the Temporal server's clock, so that it can be held
// against the start and the deadline of a run, whatever the worker's own says.
type clock struct{ offset time.Duration }

func clockOf(info activity.Info) clock { return clock{time.Until(info.StartedTime)} }

func (c clock) now() time.Time { return time.Now().Add(c.offset) }

// local is a time of the server's by the worker's clock.
func (c clock) local(t time.Time) time.Time { return t.Add(-c.offset) }

// madeByThisRun reports whether a cluster is no older than the run. Its age is
// taken by Atlas's own clock (the answer's Date) and the run's by Temporal's,
// so that the two need not agree; both of Atlas's times are in whole seconds.
func madeByThisRun(c *atlasclient.Cluster, resp *atlasclient.Response, started, now time.Time) bool {
	atlasNow := resp.Date
	if atlasNow.IsZero() {
		atlasNow = now
	}
	return atlasNow.Sub(c.CreateDate) <= now.Sub(started)+time.Second
}

// heartbeatEvery leaves time for two beats within the workflows' heartbeat
// timeout. The first comes after it, so that an activity that is done sooner
// costs none.
const heartbeatEvery = 4 * time.Second

// keepAlive heartbeats in the background until stop is called, so that a
// killed worker is noticed long before the activity's own time limit, and a
// cancellation arrives.
func keepAlive(ctx context.Context, details func() any) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		t := time.NewTicker(heartbeatEvery)
		defer t.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-t.C:
				activity.RecordHeartbeat(ctx, details())
			}
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

// sleep waits for d, and says false when it was cut short by the end of ctx.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// untilStop is a context that also ends when the worker begins to stop, so
// that what can be done elsewhere is let go of at once.
func untilStop(ctx context.Context) (context.Context, context.CancelFunc) {
	stop := activity.GetWorkerStopChannel(ctx)
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		select {
		case <-stop:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// interrupted is why an attempt ends that was not let finish: the worker stops,
// and another one goes on at once, or the activity was cancelled.
func interrupted(ctx context.Context, cluster, state string) error {
	select {
	case <-activity.GetWorkerStopChannel(ctx):
		return notYet(cluster, "the worker is stopping; another one goes on", state, 0)
	default:
		return ctx.Err()
	}
}

// result is the cluster as the contract has it.
func result(c *atlasclient.Cluster, kind string, resp *atlasclient.Response) contract.Cluster {
	out := contract.Cluster{
		ID: c.ID, GroupID: c.GroupID, Name: c.Name, ClusterType: kind,
		StateName: c.StateName, MongoDBVersion: c.MongoDBVersion, CreateDate: c.CreateDate,
		ConnectionStrings:            contract.ConnectionStrings(c.ConnectionStrings),
		ProviderSettings:             contract.ProviderSettings(c.ProviderSettings),
		Tags:                         []contract.Tag{},
		TerminationProtectionEnabled: c.TerminationProtectionEnabled,
		Warnings:                     append([]string{}, resp.Warnings...),
	}
	for _, t := range c.Tags {
		out.Tags = append(out.Tags, contract.Tag(t))
	}
	return out
}

func atlasTags(tags []contract.Tag) []atlasclient.Tag {
	var out []atlasclient.Tag
	for _, t := range tags {
		out = append(out, atlasclient.Tag(t))
	}
	return out
}
