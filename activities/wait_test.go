package activities

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"github.com/atlas-provisioner/atlas-provisioner/atlasclient"
	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim/atlassimtest"
	"github.com/atlas-provisioner/atlas-provisioner/internal/temporaltest"
)

const group = "32b6e34b3d91647abb20e7b8"

// waiting is a wait that was scheduled and started some time ago.
func waiting(attempt int32, scheduled, started, left time.Duration) *wait {
	now := time.Now()
	info := activity.Info{Attempt: attempt, ScheduledTime: now.Add(-scheduled), StartedTime: now.Add(-started)}
	return &wait{
		Activities: New(nil, Pace{}), info: info, // the clock's offset is 0: Temporal's clock is ours
		in:       WaitInput{Name: "orders", Deadline: now.Add(left)},
		progress: contract.WaitProgress{StateName: contract.StateCreating, Since: now.Add(-scheduled)},
	}
}

// In the first half minute a wait alone looks after three seconds, then every
// second, then every eighth of its age; after that the time between looks grows
// from 10 to 60 seconds. The last look is a second before the deadline.
func TestDelay(t *testing.T) {
	t.Parallel()
	const s, m, h = time.Second, time.Minute, time.Hour
	for _, test := range []struct {
		name                     string
		attempt                  int32
		scheduled, started, left time.Duration
		fast                     bool
		atLeast, atMost          time.Duration
	}{
		{"at first", 1, 0, 0, h, true, 3 * s, 3150 * time.Millisecond},
		{"then", 1, 3 * s, 3 * s, h, true, s, 1050 * time.Millisecond},
		{"first attempt that began late", 1, 10 * m, 10 * s, h, true, 1250 * time.Millisecond, 1313 * time.Millisecond},
		{"second attempt within half a minute", 2, 24 * s, 0, h, true, 3 * s, 3150 * time.Millisecond},
		{"after half a minute", 1, 31 * s, 31 * s, h, false, 9 * s, 11 * s},
		{"after two minutes", 9, 2 * m, 0, h, false, 18 * s, 22 * s},
		{"after an hour", 99, h, 0, h, false, 54 * s, 66 * s},
		{"near the deadline", 99, h, 0, 20 * s, false, 19 * s, 19 * s},
		{"no time for another look", 99, h, 0, s, false, 0, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := waiting(test.attempt, test.scheduled, test.started, test.left)
				for range 100 {
					d, last := w.delay()
					require.Equal(t, test.atMost == 0, last)
					require.Equal(t, test.fast, w.fast())
					require.GreaterOrEqual(t, d, test.atLeast)
					require.LessOrEqual(t, d, test.atMost)
				}
			})
		})
	}
}

// A real failure after fifty NOT_YET attempts is retried in a second, and only
// failures in a row make that longer.
func TestBackoffCountsFailuresOnly(t *testing.T) {
	t.Parallel()
	w := waiting(51, time.Hour, 0, time.Hour)
	unavailable := &atlasclient.Error{Status: 503}
	delay := func() time.Duration {
		_, err := w.judge(sight{}, unavailable)
		var f *temporal.ApplicationError
		require.ErrorAs(t, err, &f)
		require.Equal(t, "HTTP_503", f.Type())
		return f.NextRetryDelay().Truncate(time.Second / 2)
	}
	for _, want := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60} {
		got := delay()
		require.GreaterOrEqual(t, got, want*time.Second)
		require.LessOrEqual(t, got, want*time.Second*11/10)
	}
	done, err := w.judge(sight{cluster: &atlasclient.Cluster{StateName: "CREATING"}, resp: &atlasclient.Response{}, kind: contract.ClusterTypeFlex}, nil)
	require.Nil(t, done)
	require.NoError(t, err)
	require.Equal(t, time.Second, delay())
}

// IDLE means that the target kind is IDLE, with its connection strings.
func TestJudge(t *testing.T) {
	t.Parallel()
	both := atlasclient.ConnectionStrings{Standard: "mongodb://a", StandardSrv: "mongodb+srv://a"}
	srv := atlasclient.ConnectionStrings{StandardSrv: "mongodb+srv://a"}
	for _, test := range []struct {
		name     string
		state    string
		strings  atlasclient.ConnectionStrings
		kind     string
		idleFor  time.Duration
		done     bool
		warned   bool
		failure  string
		progress string
	}{
		{name: "creating", state: "CREATING", kind: "FLEX"},
		{name: "repairing is a wait", state: "REPAIRING", strings: both, kind: "FLEX"},
		{name: "updating is a wait", state: "UPDATING", strings: both, kind: "FLEX"},
		{name: "idle", state: "IDLE", strings: both, kind: "FLEX", done: true},
		{name: "idle without standard", state: "IDLE", strings: srv, kind: "FLEX"},
		{name: "idle without any", state: "IDLE", kind: "FLEX"},
		{name: "idle without standard for a minute", state: "IDLE", strings: srv, kind: "FLEX", idleFor: time.Minute, done: true, warned: true},
		{name: "serverless has no standard", state: "IDLE", strings: srv, kind: "SERVERLESS", done: true},
		{name: "serverless without any", state: "IDLE", kind: "SERVERLESS"},
		{name: "idle as it was before the upgrade", state: "IDLE", strings: both, kind: ""},
		{name: "deleting", state: "DELETING", kind: "FLEX", failure: contract.ClusterGone},
		{name: "deleting before the switch", state: "DELETING", kind: "", failure: contract.ClusterGone},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := waiting(1, time.Minute, time.Minute, time.Hour)
			if test.idleFor > 0 {
				w.progress.StateName, w.progress.IdleSince = "IDLE", w.clock.now().Add(-test.idleFor)
			}
			c := &atlasclient.Cluster{Name: "orders", StateName: test.state, ConnectionStrings: test.strings}
			done, err := w.judge(sight{c, &atlasclient.Response{}, test.kind}, nil)
			if test.failure != "" {
				var f *temporal.ApplicationError
				require.ErrorAs(t, err, &f)
				require.Equal(t, test.failure, f.Type())
				require.True(t, f.NonRetryable())
				return
			}
			require.NoError(t, err)
			require.Equal(t, test.done, done != nil)
			if test.done {
				require.Equal(t, test.warned, len(done.Warnings) == 1)
			}
		})
	}
}

// When the time is up, a cluster that only lacks a connection string is taken.
func TestExpired(t *testing.T) {
	t.Parallel()
	w := waiting(1, time.Minute, time.Minute, 0)
	s := sight{&atlasclient.Cluster{Name: "orders", StateName: "IDLE"}, &atlasclient.Response{}, contract.ClusterTypeFlex}
	done, err := w.judge(s, nil)
	require.NoError(t, err)
	require.Nil(t, done)
	got, err := w.expired(s)
	require.NoError(t, err)
	require.Len(t, got.Warnings, 1)

	w = waiting(1, time.Minute, time.Minute, 0)
	_, err = w.expired(sight{})
	var f *temporal.ApplicationError
	require.ErrorAs(t, err, &f)
	require.Equal(t, contract.Timeout, f.Type())
	require.Equal(t, `cluster "orders": CREATING for 1m0s`, f.Message())
}

// setup is an environment for one attempt of an activity, on the simulator.
func setup(t *testing.T, sim atlassim.Config, pace Pace) (*atlassim.Server, *Activities, *testsuite.TestActivityEnvironment) {
	server, url := atlassimtest.Start(t, sim)
	atlas, err := atlasclient.New(atlasclient.Options{BaseURL: url})
	require.NoError(t, err)
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(temporaltest.Quiet())
	env := suite.NewTestActivityEnvironment()
	a := New(atlas, pace)
	env.RegisterActivity(a)
	return server, a, env
}

func theirs(name string) atlassim.FlexRequest {
	return atlassim.FlexRequest{Name: name, ProviderSettings: atlassim.FlexProvider{BackingProviderName: "AWS", RegionName: "US_EAST_1"}}
}

// What an attempt saw is in its heartbeat, and the next one goes on from there.
func TestProgressTravels(t *testing.T) {
	t.Parallel()
	sim, a, env := setup(t, atlassim.Config{CreateFor: atlassim.Duration(time.Hour)}, Pace{Fast: time.Nanosecond})
	require.NoError(t, sim.CreateFlex(group, theirs("orders")))
	in := WaitInput{GroupID: group, Name: "orders", ClusterType: "FLEX", StateName: "CREATING", Deadline: time.Now().Add(time.Hour)}
	since := time.Now().Add(-10 * time.Minute).UTC()
	env.SetHeartbeatDetails(contract.WaitProgress{StateName: "CREATING", Since: since, Errors: 3})
	var beats []contract.WaitProgress
	env.SetOnActivityHeartbeatListener(func(_ *activity.Info, details converter.EncodedValues) {
		var p contract.WaitProgress
		if details.Get(&p) == nil {
			beats = append(beats, p)
		}
	})
	_, err := env.ExecuteActivity(a.WaitUntilIdle, in)
	var f *temporal.ApplicationError
	require.ErrorAs(t, err, &f)
	require.Equal(t, contract.NotYet, f.Type())
	require.Equal(t, temporal.ApplicationErrorCategoryBenign, f.Category())
	require.Regexp(t, `^cluster "orders": CREATING for 10m0s; next look in \d+s$`, f.Message())
	require.Len(t, beats, 1)
	require.Equal(t, contract.WaitProgress{StateName: "CREATING", Since: since}, beats[0])
}

// A worker that stops lets go of a wait, and of a look under way, at once.
func TestStopEndsAWait(t *testing.T) {
	t.Parallel()
	for _, hang := range []bool{false, true} {
		sim, a, env := setup(t, atlassim.Config{CreateFor: atlassim.Duration(time.Hour)}, Pace{FastEvery: time.Hour})
		require.NoError(t, sim.CreateFlex(group, theirs("orders")))
		if hang {
			sim.AddFault(atlassim.Fault{Kind: atlassim.FaultHang, Hang: atlassim.Duration(time.Hour)})
		}
		stop := make(chan struct{})
		env.SetWorkerStopChannel(stop)
		close(stop)
		_, err := env.ExecuteActivity(a.WaitUntilIdle, WaitInput{GroupID: group, Name: "orders", ClusterType: "FLEX", Deadline: time.Now().Add(time.Hour)})
		var f *temporal.ApplicationError
		require.ErrorAs(t, err, &f)
		require.Equal(t, contract.NotYet, f.Type())
		require.Equal(t, `cluster "orders": the worker is stopping; another one goes on`, f.Message())
		require.Equal(t, time.Millisecond, f.NextRetryDelay())
	}
}

// What became of it is read where it lives: what was serverless lives on as
// Flex.
func TestServerlessThatBecameFlex(t *testing.T) {
	t.Parallel()
	sim, a, env := setup(t, atlassim.Config{}, Pace{})
	require.NoError(t, sim.CreateFlex(group, theirs("legacy")))
	value, err := env.ExecuteActivity(a.WaitUntilIdle, WaitInput{GroupID: group, Name: "legacy", ClusterType: "SERVERLESS", Deadline: time.Now().Add(time.Hour)})
	require.NoError(t, err)
	var c contract.Cluster
	require.NoError(t, value.Get(&c))
	require.Equal(t, "FLEX", c.ClusterType)
	require.Equal(t, "IDLE", c.StateName)
}

// The name can be taken by something that no read shows yet.
func TestTakenButNotShown(t *testing.T) {
	t.Parallel()
	sim, a, env := setup(t, atlassim.Config{HiddenFor: atlassim.Duration(time.Hour)}, Pace{NotFoundFor: 50 * time.Millisecond, FastEvery: 10 * time.Millisecond})
	require.NoError(t, sim.CreateFlex(group, theirs("orders")))
	_, err := env.ExecuteActivity(a.CreateFlexCluster, CreateInput{
		Request: contract.ProvisionFlexClusterInput{GroupID: group, Name: "orders",
			ProviderSettings: contract.ProviderSettings{BackingProviderName: "AWS", RegionName: "US_EAST_1"}},
	})
	var f *temporal.ApplicationError
	require.ErrorAs(t, err, &f)
	require.Equal(t, contract.ClusterConflict, f.Type())
}

// A cluster's age is taken by Atlas's clock and a run's by Temporal's, so that
// neither clock need be right.
func TestMadeByThisRun(t *testing.T) {
	t.Parallel()
	temporalNow := time.Date(2026, 8, 10, 3, 0, 0, 0, time.UTC)
	started := temporalNow.Add(-10 * time.Second)
	for _, skew := range []time.Duration{0, -time.Hour, time.Hour} {
		atlasNow := temporalNow.Add(skew)
		age := func(d time.Duration) bool {
			return madeByThisRun(&atlasclient.Cluster{CreateDate: atlasNow.Add(-d)}, &atlasclient.Response{Date: atlasNow}, started, temporalNow)
		}
		require.True(t, age(0), skew)
		require.True(t, age(10*time.Second), skew)
		require.True(t, age(11*time.Second), "both of Atlas's times are in whole seconds")
		require.False(t, age(12*time.Second), skew)
		require.False(t, age(24*time.Hour), skew)
	}
	require.False(t, madeByThisRun(&atlasclient.Cluster{CreateDate: started.Add(-time.Minute)}, &atlasclient.Response{}, started, temporalNow), "an answer without a Date")
}

// An upgrade that watched for long, too, retries a real failure in a second.
func TestUpgradeBackoffCountsFailuresOnly(t *testing.T) {
	t.Parallel()
	sim, a, env := setup(t, atlassim.Config{}, Pace{})
	sim.AddFault(atlassim.Fault{Kind: atlassim.FaultHTML, Status: 503})
	for failures, want := range map[int]time.Duration{0: time.Second, 3: 8 * time.Second, 40: time.Minute} {
		env.SetHeartbeatDetails(upgradeSent{At: time.Now(), Errors: failures})
		_, err := env.ExecuteActivity(a.UpgradeClusterToServerless, UpgradeInput{
			Request: contract.UpgradeToServerlessInput{GroupID: group, Name: "legacy"},
		})
		var f *temporal.ApplicationError
		require.ErrorAs(t, err, &f)
		require.Equal(t, "HTTP_503", f.Type())
		require.GreaterOrEqual(t, f.NextRetryDelay(), want)
		require.LessOrEqual(t, f.NextRetryDelay(), want*11/10+time.Millisecond)
	}
}

// What the attempt before noted says whether a request was sent: where it
// cannot be read, as by a worker that lacks a key, nothing is.
func TestUpgradeReadsWhatWasNoted(t *testing.T) {
	t.Parallel()
	sim, a, env := setup(t, atlassim.Config{}, Pace{})
	env.SetHeartbeatDetails("not what an attempt notes")
	_, err := env.ExecuteActivity(a.UpgradeClusterToServerless, UpgradeInput{
		Request: contract.UpgradeToServerlessInput{GroupID: group, Name: "legacy"},
	})
	var f *temporal.ApplicationError
	require.ErrorAs(t, err, &f)
	require.False(t, f.NonRetryable(), "another worker may read it")
	require.ErrorContains(t, err, "what the attempt before noted cannot be read: ")
	require.Empty(t, sim.Ledger())
}

// A create is asked for again after a second, and less and less often.
func TestCreateBackoff(t *testing.T) {
	t.Parallel()
	for attempt, want := range map[int32]time.Duration{1: time.Second, 4: 8 * time.Second, 40: time.Minute} {
		c := creation{Activities: New(nil, Pace{}), info: activity.Info{Attempt: attempt}}
		var f *temporal.ApplicationError
		require.ErrorAs(t, c.failed(&atlasclient.Error{Status: 503}), &f)
		require.GreaterOrEqual(t, f.NextRetryDelay(), want)
		require.LessOrEqual(t, f.NextRetryDelay(), want*11/10+time.Millisecond)
	}
}
