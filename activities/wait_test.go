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
	"github.com/atlas-provisioner/atlas-provisioner/internal/reads"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv"
)

const group = "32b6e34b3d91647abb20e7b8"

// waiting is a wait that was scheduled and started some time ago, and has seen the cluster.
func waiting(attemptNumber int32, scheduled, started, left time.Duration) *wait {
	now := time.Now()
	info := activity.Info{Attempt: attemptNumber, ScheduledTime: now.Add(-scheduled), StartedTime: now.Add(-started)}
	shared := reads.New(nil)
	return &wait{
		activities: New(nil, shared, Pace{}),
		attempt:    &attempt{info: info}, // Temporal's clock is ours
		target:     flex,
		shared:     shared.Enter(group, "orders", reads.Flex, info.ScheduledTime),
		in:         WaitInput{Name: "orders", ClusterType: contract.ClusterTypeFlex, Deadline: now.Add(left)},
		progress:   contract.WaitProgress{StateName: contract.StateCreating, Since: now.Add(-scheduled)},
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

// A real failure after fifty NOT_YET attempts is retried in a second, and only failures in a row make that longer.
func TestBackoffCountsFailuresOnly(t *testing.T) {
	t.Parallel()
	w := waiting(51, time.Hour, 0, time.Hour)
	unavailable := &atlasclient.Error{Status: 503}
	delay := func() time.Duration {
		_, _, err := w.evaluate(observation{}, unavailable)
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
	creating := observation{
		cluster:  &atlasclient.Cluster{StateName: "CREATING"},
		response: &atlasclient.Response{},
		kind:     flex,
	}
	_, over, err := w.evaluate(creating, nil)
	require.False(t, over)
	require.NoError(t, err)
	require.Equal(t, time.Second, delay())
}

// Atlas took the request a moment ago, so a look that is refused is asked again a few times, in a row at most.
func TestRefusedLooks(t *testing.T) {
	t.Parallel()
	for status, code := range map[int]string{401: "", 403: atlasclient.CodeIPAddressNotOnAccessList} {
		w := waiting(9, time.Hour, 0, time.Hour)
		refused := func() *temporal.ApplicationError {
			_, _, err := w.evaluate(observation{}, &atlasclient.Error{Status: status, ErrorCode: code})
			var f *temporal.ApplicationError
			require.ErrorAs(t, err, &f)
			return f
		}
		for range maxRefusals {
			require.False(t, refused().NonRetryable())
		}
		creating := observation{
			cluster:  &atlasclient.Cluster{StateName: "CREATING"},
			response: &atlasclient.Response{},
			kind:     flex,
		}
		_, _, err := w.evaluate(creating, nil)
		require.NoError(t, err)
		for range maxRefusals {
			require.False(t, refused().NonRetryable())
		}
		require.True(t, refused().NonRetryable())
	}
	w := waiting(9, time.Hour, 0, time.Hour)
	_, _, err := w.evaluate(observation{}, &atlasclient.Error{Status: 400, ErrorCode: "VALIDATION_ERROR"})
	var f *temporal.ApplicationError
	require.ErrorAs(t, err, &f)
	require.True(t, f.NonRetryable(), "what is wrong with a request stays wrong")
}

// A read can lag behind a create, however long. Only a cluster that Atlas has shown before is known to be gone.
func TestAbsence(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		notFound := &atlasclient.Error{Status: 404, ErrorCode: atlasclient.CodeClusterNotFound}
		w := waiting(9, time.Hour, 0, time.Hour)
		w.progress = contract.WaitProgress{StateName: contract.StateCreating} // by the answer to the create
		for range 10 {
			_, over, err := w.evaluate(observation{}, notFound)
			require.False(t, over)
			require.NoError(t, err)
			require.Equal(t, "Atlas does not show it yet", w.describe(observation{}))
			time.Sleep(time.Minute)
		}
		creating := observation{
			cluster:  &atlasclient.Cluster{StateName: "CREATING"},
			response: &atlasclient.Response{},
			kind:     flex,
		}
		_, _, err := w.evaluate(creating, nil)
		require.NoError(t, err)
		_, _, err = w.evaluate(observation{}, notFound)
		require.NoError(t, err)
		require.Equal(t, "Atlas does not show it", w.describe(observation{}))
		time.Sleep(30 * time.Second)
		_, _, err = w.evaluate(observation{}, notFound)
		var f *temporal.ApplicationError
		require.ErrorAs(t, err, &f)
		require.Equal(t, contract.ClusterGone, f.Type())
		require.Equal(t,
			`cluster "orders": Atlas has known no such cluster for 30s (last state CREATING): to make a new `+
				`one, start the workflow ProvisionFlexCluster`, f.Message())
		var details contract.FailureDetails
		require.NoError(t, f.Details(&details))
		require.Empty(t, details.StateName, "a cluster that is gone has no state")

		w = waiting(9, time.Hour, 0, time.Hour)
		w.in.Shown, w.progress = true, contract.WaitProgress{NotFoundSince: time.Now().Add(-30 * time.Second)}
		_, _, err = w.evaluate(observation{}, notFound)
		require.ErrorAs(t, err, &f, "a cluster that there was before the wait")
		require.Equal(t, contract.ClusterGone, f.Type())

		w.goal = goalGone
		_, over, err := w.evaluate(observation{}, notFound)
		require.NoError(t, err)
		require.True(t, over)
	})
}

// What a look means for each goal.
func TestGoals(t *testing.T) {
	t.Parallel()
	both := contract.ConnectionStrings{Standard: "mongodb://a", StandardSrv: "mongodb+srv://a"}
	onlySrv := contract.ConnectionStrings{StandardSrv: "mongodb+srv://a"}
	inRegion := func(region string) contract.Asked {
		return contract.Asked{Place: contract.ProviderSettings{RegionName: region}}
	}
	tagged := contract.Asked{Owner: "us"}
	for _, test := range []struct {
		name  string
		goal  goal
		kind  kind
		saw   contract.Cluster
		asked contract.Asked
		want  evaluation
	}{
		{name: "creating", kind: flex, saw: contract.Cluster{StateName: "CREATING"}, want: pending},
		{
			name: "repairing is a wait", kind: flex,
			saw: contract.Cluster{StateName: "REPAIRING", ConnectionStrings: both}, want: pending,
		},
		{
			name: "updating is a wait", kind: flex,
			saw: contract.Cluster{StateName: "UPDATING", ConnectionStrings: both}, want: pending,
		},
		{name: "idle", kind: flex, saw: contract.Cluster{StateName: "IDLE", ConnectionStrings: both}, want: reached},
		{
			name: "idle without standard", kind: flex,
			saw: contract.Cluster{StateName: "IDLE", ConnectionStrings: onlySrv}, want: incomplete,
		},
		{name: "idle without any", kind: flex, saw: contract.Cluster{StateName: "IDLE"}, want: incomplete},
		{
			name: "serverless has no standard", kind: serverless,
			saw: contract.Cluster{StateName: "IDLE", ConnectionStrings: onlySrv}, want: reached,
		},
		{name: "serverless without any", kind: serverless, saw: contract.Cluster{StateName: "IDLE"}, want: incomplete},
		{
			name: "idle as it was before the upgrade", kind: shared,
			saw: contract.Cluster{StateName: "IDLE", ConnectionStrings: both}, want: pending,
		},
		{name: "deleting", kind: flex, saw: contract.Cluster{StateName: "DELETING"}, want: lost},
		{name: "deleting before the switch", kind: shared, saw: contract.Cluster{StateName: "DELETING"}, want: lost},
		{
			name: "not as asked", goal: goalAsAsked, kind: flex, asked: inRegion("EU_WEST_1"),
			saw: contract.Cluster{StateName: "IDLE", ConnectionStrings: both}, want: pending,
		},
		{
			name: "as asked", goal: goalAsAsked, kind: flex, asked: inRegion("EU_WEST_1"), saw: contract.Cluster{
				StateName: "IDLE", ConnectionStrings: both,
				ProviderSettings: contract.ProviderSettings{RegionName: "EU_WEST_1"},
			}, want: reached,
		},
		{
			name: "as asked, but updating", goal: goalAsAsked, kind: flex, asked: inRegion("EU_WEST_1"),
			saw: contract.Cluster{
				StateName: "UPDATING", ProviderSettings: contract.ProviderSettings{RegionName: "EU_WEST_1"},
			}, want: pending,
		},
		{
			name: "without what can be changed", goal: goalAsAsked, kind: flex, asked: tagged,
			saw: contract.Cluster{StateName: "IDLE", ConnectionStrings: both}, want: unmet,
		},
		{
			name: "without the tag, and the wait is not for it", kind: flex, asked: tagged,
			saw: contract.Cluster{StateName: "IDLE", ConnectionStrings: both}, want: reached,
		},
		{
			name: "still there", goal: goalGone, kind: flex,
			saw: contract.Cluster{StateName: "IDLE", ConnectionStrings: both}, want: unmet,
		},
		{
			name: "on its way out", goal: goalGone, kind: flex,
			saw: contract.Cluster{StateName: "DELETING"}, want: pending,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			target := test.kind
			if target.clusterType == "" {
				target = serverless // of an upgrade
			}
			test.saw.ClusterType = test.kind.clusterType
			require.Equal(t, test.want, test.goal.evaluate(test.saw, target, test.asked))
		})
	}
}

// A cluster that lacks a connection string for a minute is taken as it is, with a warning.
func TestIncomplete(t *testing.T) {
	t.Parallel()
	w := waiting(1, time.Minute, time.Minute, time.Hour)
	saw := observation{&atlasclient.Cluster{Name: "orders", StateName: "IDLE"}, &atlasclient.Response{}, flex}
	_, over, err := w.evaluate(saw, nil)
	require.NoError(t, err)
	require.False(t, over)
	w.progress.IdleSince = time.Now().Add(-time.Minute)
	cluster, over, err := w.evaluate(saw, nil)
	require.NoError(t, err)
	require.True(t, over)
	require.Equal(t, []string{
		"Atlas answered IDLE but gave no connection string of every kind for 1m0s: read the cluster again for " +
			"the rest",
	}, cluster.Warnings)
}

// When the time is up, a cluster that only lacks a connection string is taken.
func TestExpire(t *testing.T) {
	t.Parallel()
	w := waiting(1, time.Minute, time.Minute, 0)
	saw := observation{&atlasclient.Cluster{Name: "orders", StateName: "IDLE"}, &atlasclient.Response{}, flex}
	_, over, err := w.evaluate(saw, nil)
	require.NoError(t, err)
	require.False(t, over)
	got, err := w.expire(saw)
	require.NoError(t, err)
	require.Len(t, got.Warnings, 1)

	w = waiting(1, time.Minute, time.Minute, 0)
	_, err = w.expire(observation{})
	var f *temporal.ApplicationError
	require.ErrorAs(t, err, &f)
	require.Equal(t, contract.Timeout, f.Type())
	require.Equal(t, `cluster "orders": CREATING for 1m0s`, f.Message())
}

// setup is an environment for one attempt of an activity, on the simulator.
func setup(
	t *testing.T, sim atlassim.Config, pace Pace,
) (*atlassim.Server, *Activities, *testsuite.TestActivityEnvironment) {
	server, url := atlassimtest.Start(t, sim)
	atlas, err := atlasclient.New(atlasclient.Options{BaseURL: url})
	require.NoError(t, err)
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(testenv.Quiet())
	env := suite.NewTestActivityEnvironment()
	a := New(atlas, reads.New(atlas), pace)
	env.RegisterActivity(a)
	return server, a, env
}

func clusterOfOthers(name string) atlassim.FlexRequest {
	return atlassim.FlexRequest{
		Name:             name,
		ProviderSettings: atlassim.FlexProvider{BackingProviderName: "AWS", RegionName: "US_EAST_1"},
	}
}

// What an attempt saw is in its heartbeat, and the next one goes on from there.
func TestProgressTravels(t *testing.T) {
	t.Parallel()
	sim, a, env := setup(t, atlassim.Config{CreateFor: atlassim.Duration(time.Hour)}, Pace{Fast: time.Nanosecond})
	require.NoError(t, sim.CreateFlex(group, clusterOfOthers("orders")))
	in := WaitInput{
		GroupID:     group,
		Name:        "orders",
		ClusterType: "FLEX",
		StateName:   "CREATING",
		Deadline:    time.Now().Add(time.Hour),
	}
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
		require.NoError(t, sim.CreateFlex(group, clusterOfOthers("orders")))
		if hang {
			sim.AddFault(atlassim.Fault{Kind: atlassim.FaultHang, Hang: atlassim.Duration(time.Hour)})
		}
		stop := make(chan struct{})
		env.SetWorkerStopChannel(stop)
		close(stop)
		_, err := env.ExecuteActivity(a.WaitUntilIdle,
			WaitInput{GroupID: group, Name: "orders", ClusterType: "FLEX", Deadline: time.Now().Add(time.Hour)})
		var f *temporal.ApplicationError
		require.ErrorAs(t, err, &f)
		require.Equal(t, contract.NotYet, f.Type())
		require.Equal(t, `cluster "orders": the worker is stopping; another one goes on`, f.Message())
		require.Equal(t, time.Millisecond, f.NextRetryDelay())
	}
}

// A cluster is read where it lives: what was serverless lives on as Flex.
func TestServerlessThatBecameFlex(t *testing.T) {
	t.Parallel()
	sim, a, env := setup(t, atlassim.Config{}, Pace{})
	require.NoError(t, sim.CreateFlex(group, clusterOfOthers("legacy")))
	value, err := env.ExecuteActivity(a.WaitUntilIdle,
		WaitInput{GroupID: group, Name: "legacy", ClusterType: "SERVERLESS", Deadline: time.Now().Add(time.Hour)})
	require.NoError(t, err)
	var c contract.Cluster
	require.NoError(t, value.Get(&c))
	require.Equal(t, "FLEX", c.ClusterType)
	require.Equal(t, "IDLE", c.StateName)
}

// The name can be taken by a cluster that Atlas does not show yet, or no more: nothing is known of it, so Atlas is
// asked again.
func TestTakenButNotShown(t *testing.T) {
	t.Parallel()
	sim, a, env := setup(t, atlassim.Config{HiddenFor: atlassim.Duration(time.Hour)}, Pace{})
	require.NoError(t, sim.CreateFlex(group, clusterOfOthers("orders")))
	_, err := env.ExecuteActivity(a.CreateFlexCluster, CreateInput{
		Request: contract.ProvisionFlexClusterInput{GroupID: group, Name: "orders",
			ProviderSettings: contract.ProviderSettings{BackingProviderName: "AWS", RegionName: "US_EAST_1"}},
	})
	var f *temporal.ApplicationError
	require.ErrorAs(t, err, &f)
	require.Equal(t, contract.NotYet, f.Type())
	require.Equal(t, `cluster "orders": Atlas says that the name is taken, but does not show the cluster`, f.Message())
	require.GreaterOrEqual(t, f.NextRetryDelay(), time.Second)
}

// A cluster's age is taken by Atlas's clock and a run's by Temporal's, so that neither clock need be right. Where the
// whole seconds of Atlas's times do not tell, the run must have asked before.
func TestMadeByThisRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		temporalNow := time.Now()
		started := temporalNow.Add(-10 * time.Second)
		for _, skew := range []time.Duration{0, -time.Hour, time.Hour} {
			atlasNow := temporalNow.Add(skew)
			for age, want := range map[time.Duration]string{
				0: "yes", 9 * time.Second: "yes",
				10 * time.Second: "if asked before", 11 * time.Second: "if asked before",
				12 * time.Second: "no", 24 * time.Hour: "no",
			} {
				saw := observation{
					&atlasclient.Cluster{CreateDate: atlasNow.Add(-age)}, &atlasclient.Response{Date: atlasNow}, flex,
				}
				run := RunInfo{WorkflowStarted: started}
				require.Equal(t, want == "yes", madeByThisRun(saw, run, temporalNow, false), age)
				require.Equal(t, want != "no", madeByThisRun(saw, run, temporalNow, true), age)
			}
		}
		old := observation{&atlasclient.Cluster{CreateDate: started.Add(-time.Minute)}, &atlasclient.Response{}, flex}
		require.False(t, old.youngerThan(time.Minute, temporalNow), "an answer without a Date")
	})
}

// An operator can reset the number of an activity's attempts, and the run.
func TestAskedBefore(t *testing.T) {
	t.Parallel()
	a := New(nil, reads.New(nil), Pace{})
	first := &attempt{info: activity.Info{Attempt: 1}}
	first.info.WorkflowExecution.RunID = "a run"
	second := &attempt{info: activity.Info{Attempt: 2}}
	require.False(t, a.askedBefore(first, RunInfo{}))
	require.False(t, a.askedBefore(first, RunInfo{FirstRunID: "a run"}))
	require.True(t, a.askedBefore(second, RunInfo{}))
	require.True(t, a.askedBefore(first, RunInfo{FirstRunID: "the run before the reset"}))
	a.asked.add("a run")
	require.True(t, a.askedBefore(first, RunInfo{}), "the attempts were reset")
	a.asked.settle("a run", notYet("orders", "later", "", time.Second))
	require.True(t, a.askedBefore(first, RunInfo{}))
	a.asked.settle("a run", nil)
	require.False(t, a.askedBefore(first, RunInfo{}))
}

// An upgrade that was sent a moment ago is not sent again, though an operator has reset attempts and heartbeats.
func TestUpgradeAfterAReset(t *testing.T) {
	t.Parallel()
	config := atlassim.DefaultConfig()
	config.Shared = []atlassim.SharedCluster{{GroupID: group, Name: "legacy"}}
	config.StaleIdleFor = atlassim.Duration(time.Hour)
	sim, a, env := setup(t, config, Pace{})
	sim.AddFault(atlassim.Fault{Kind: atlassim.FaultLost, Method: "POST", Times: 1})
	in := UpgradeToServerlessInput{
		Request: contract.UpgradeToServerlessInput{GroupID: group, Name: "legacy", ProviderSettings: place},
	}
	_, err := env.ExecuteActivity(a.UpgradeClusterToServerless, in)
	requireFailureType(t, err, contract.NotYet)
	second := AttemptEnvironment(a, func(i *activity.Info) { i.Attempt = 2 })
	second.SetHeartbeatDetails(upgradeProgress{IntentBy: 1})
	_, err = second.ExecuteActivity(a.UpgradeClusterToServerless, in)
	requireFailureType(t, err, contract.AtlasUnreachable)
	_, err = AttemptEnvironment(a, func(*activity.Info) {}).ExecuteActivity(a.UpgradeClusterToServerless, in)
	requireFailureType(t, err, contract.NotYet)
	require.ErrorContains(t, err, "looking for 0s whether it took effect")
	require.Equal(t, 1, sim.Count(atlassim.Upgraded))
}

func requireFailureType(t *testing.T, err error, want string) {
	t.Helper()
	var f *temporal.ApplicationError
	require.ErrorAs(t, err, &f)
	require.Equal(t, want, f.Type())
}

// An upgrade that watched for long, too, retries a real failure in a second.
func TestUpgradeBackoffCountsFailuresOnly(t *testing.T) {
	t.Parallel()
	sim, a, env := setup(t, atlassim.Config{}, Pace{})
	sim.AddFault(atlassim.Fault{Kind: atlassim.FaultHTML, Status: 503})
	for failures, want := range map[int]time.Duration{0: time.Second, 3: 8 * time.Second, 40: time.Minute} {
		env.SetHeartbeatDetails(upgradeProgress{MayHaveSent: true, Errors: failures})
		_, err := env.ExecuteActivity(a.UpgradeClusterToServerless, UpgradeToServerlessInput{
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
	_, err := env.ExecuteActivity(a.UpgradeClusterToServerless, UpgradeToServerlessInput{
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
	for failures, want := range map[int]time.Duration{
		0: time.Second, 1: time.Second, 4: 8 * time.Second, 40: time.Minute,
	} {
		delay := backoff(failures, DefaultPace.SlowMax)
		require.GreaterOrEqual(t, delay, want)
		require.LessOrEqual(t, delay, want*11/10+time.Millisecond)
	}
}
