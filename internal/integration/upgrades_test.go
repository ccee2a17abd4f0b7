package integration

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv/testworker"
	"github.com/atlas-provisioner/atlas-provisioner/provisioner"
)

// upgradeKind is one of the upgrades to Flex and to dedicated, and what their tests differ in.
type upgradeKind struct {
	// name begins the names of its histories.
	name string
	// post is the end of the path of the request, old and new those of the reads, in which NAME stands for the
	// cluster's name.
	post, old, new string
	clusterType    string
	// becomes and text name the target in a failure, and in the current details.
	becomes, text string
	// request asks for the upgrade of the test's own cluster to that place, within the default time limit for 0.
	request func(t *testing.T, where contract.ProviderSettings, seconds int) contract.Request
	// make makes the cluster to upgrade, with these tags.
	make func(t *testing.T, s *testenv.Stack, tags ...atlassim.Tag)
}

var (
	toFlex = upgradeKind{
		name: "to-flex", post: "/clusters/tenantUpgrade", old: "/clusters/NAME", new: "/flexClusters/NAME",
		clusterType: contract.ClusterTypeFlex, becomes: "Flex", text: "Flex",
		request: func(t *testing.T, where contract.ProviderSettings, seconds int) contract.Request {
			in := contract.UpgradeToFlexInput{
				GroupID: project, Name: testenv.ClusterName(t), ProviderSettings: where, Tags: flex(t).Tags,
			}
			if seconds > 0 {
				in.TimeoutSeconds = &seconds
			}
			return in
		},
		make: func(t *testing.T, s *testenv.Stack, tags ...atlassim.Tag) {
			s.Sim.SeedShared(atlassim.SharedCluster{GroupID: project, Name: testenv.ClusterName(t), Tags: tags})
		},
	}
	toDedicated = upgradeKind{
		name: "to-dedicated", post: "/flexClusters:tenantUpgrade", old: "/flexClusters/NAME", new: "/clusters/NAME",
		clusterType: contract.ClusterTypeDedicated, becomes: "dedicated", text: "dedicated M10",
		request: func(t *testing.T, where contract.ProviderSettings, seconds int) contract.Request {
			where.InstanceSizeName = "M10"
			in := contract.UpgradeToDedicatedInput{
				GroupID: project, Name: testenv.ClusterName(t), ProviderSettings: where,
			}
			if seconds > 0 {
				in.TimeoutSeconds = &seconds
			}
			return in
		},
		make: func(t *testing.T, s *testenv.Stack, tags ...atlassim.Tag) { createByOthers(s, flex(t), tags...) },
	}
	upgradeKinds = []upgradeKind{toFlex, toDedicated}
)

// here is the place of the cluster, and elsewhere another one.
func here(t *testing.T) contract.ProviderSettings { return flex(t).ProviderSettings }

func elsewhere(t *testing.T) contract.ProviderSettings {
	where := here(t)
	where.RegionName = "EU_WEST_1"
	return where
}

// ownTag is the ownership tag of the test's own workflow.
func ownTag(t *testing.T) atlassim.Tag {
	return atlassim.Tag{Key: contract.OwnershipTag, Value: contract.ClusterWorkflowID(project, testenv.ClusterName(t))}
}

// prepare makes the cluster to upgrade, and waits until it is IDLE.
func (k upgradeKind) prepare(t *testing.T, s *testenv.Stack) {
	k.make(t, s, ownTag(t))
	testenv.Eventually(t, func() bool { return s.Sim.Clusters()[0].State == contract.StateIdle })
}

// setup starts a simulator, with the cluster to upgrade, and a worker.
func (k upgradeKind) setup(t *testing.T, sim atlassim.Config, options ...testworker.Option) *testenv.Stack {
	s := setup(t, sim, options...)
	k.prepare(t, s)
	return s
}

// each runs a test for each kind of upgrade.
func eachUpgrade(t *testing.T, test func(*testing.T, upgradeKind)) {
	t.Parallel()
	for _, kind := range upgradeKinds {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			test(t, kind)
		})
	}
}

// slowUpgrade never ends, and what is deleted is gone at once.
var slowUpgrade = atlassim.Config{
	UpgradeFor: atlassim.Duration(time.Hour), DeleteFor: atlassim.Duration(time.Nanosecond),
	DeleteSharedFor: atlassim.Duration(time.Nanosecond),
}

// An upgrade ends when the target kind is IDLE, with the tags as asked and the ownership tag.
func TestUpgrades(t *testing.T) {
	eachUpgrade(t, func(t *testing.T, kind upgradeKind) {
		s := kind.setup(t, atlassim.Config{UpgradeFor: atlassim.Duration(2 * time.Second), StaleIdleReads: 2})
		before := s.Sim.Clusters()[0]
		cluster, err := execute(s, kind.request(t, here(t), 0))
		require.NoError(t, err)
		record(s, kind.name+"-upgraded")
		require.Equal(t, contract.Upgraded, cluster.Outcome)
		require.Equal(t, kind.clusterType, cluster.ClusterType)
		require.Equal(t, contract.StateIdle, cluster.StateName)
		require.NotEqual(t, before.ID, cluster.ID, "an upgrade gives a new id")
		require.ElementsMatch(t, append(flex(t).Tags, contract.Tag(ownTag(t))), cluster.Tags)
		require.Regexp(t, `^mongodb://`, cluster.ConnectionStrings.Standard)
		require.Regexp(t, `^mongodb\+srv://`, cluster.ConnectionStrings.StandardSrv)
		if kind.clusterType == contract.ClusterTypeDedicated {
			require.Equal(t, "M10", cluster.ProviderSettings.InstanceSizeName)
		}
		require.Equal(t, 1, s.Requests("POST", kind.post))
		require.Zero(t, s.Sim.Count(atlassim.Updated), "the tags came with the upgrade")
	})
}

// A cluster that is upgraded already is left as it is.
func TestUpgradesUnchanged(t *testing.T) {
	eachUpgrade(t, func(t *testing.T, kind upgradeKind) {
		s := kind.setup(t, atlassim.Config{})
		_, err := execute(s, kind.request(t, here(t), 0))
		require.NoError(t, err)
		cluster, err := execute(s, kind.request(t, here(t), 0))
		require.NoError(t, err)
		record(s, kind.name+"-unchanged")
		require.Equal(t, contract.Unchanged, cluster.Outcome)
		require.Equal(t, 1, s.Requests("POST", kind.post))

		_, err = execute(s, kind.request(t, elsewhere(t), 0))
		f := testenv.Failure(t, err)
		record(s, kind.name+"-conflict")
		require.Equal(t, contract.ClusterConflict, f.Type)
		require.Equal(t, withName(`cluster "NAME": it is `+kind.becomes+` already, but not as asked: `+
			`providerSettings.regionName is "US_EAST_1", requested "EU_WEST_1". Change the cluster in Atlas or the `+
			`request, then start the workflow again`, cluster.Name), f.Message)
		require.Equal(t, 1, s.Requests("POST", kind.post))
		require.Zero(t, s.Sim.Count(atlassim.Updated))
	})
}

// What is not there, not ours, or of the wrong kind is left untouched.
func TestUpgradesOfOthers(t *testing.T) {
	t.Parallel()
	const untouched = `. It was left untouched: `
	others := atlassim.Tag{Key: contract.OwnershipTag, Value: "another-workflow"}
	free := toFlex.make
	dedicated := func(t *testing.T, s *testenv.Stack, _ ...atlassim.Tag) {
		toDedicated.prepare(t, s)
		_, err := execute(s, toDedicated.request(t, here(t), 0))
		require.NoError(t, err)
	}
	for _, test := range []struct {
		name     string
		kind     upgradeKind
		make     func(*testing.T, *testenv.Stack, ...atlassim.Tag)
		tags     []atlassim.Tag
		wantType string
		want     string // follows the name of the cluster
	}{
		{
			name: "none to Flex", kind: toFlex, wantType: "CLUSTER_NOT_FOUND",
			want: `Atlas answered 404 CLUSTER_NOT_FOUND (No cluster named NAME exists in group ` + project + `.): ` +
				`check that the project has a cluster of this name, then start the workflow again`,
		},
		{
			name: "none to dedicated", kind: toDedicated, wantType: "CLUSTER_NOT_FOUND",
			want: `Atlas answered 404 CLUSTER_NOT_FOUND (No cluster named NAME exists in group ` + project + `.): ` +
				`check that the project has a cluster of this name, then start the workflow again`,
		},
		{
			name: "another workflow's M0", kind: toFlex, make: toFlex.make, tags: []atlassim.Tag{others},
			wantType: contract.ClusterConflict,
			want: `it is not this workflow's (workflow "another-workflow" made it)` + untouched + `use the workflow ` +
				`id that made it`,
		},
		{
			name: "another workflow's Flex cluster",
			kind: toDedicated, make: toDedicated.make, tags: []atlassim.Tag{others},
			wantType: contract.ClusterConflict,
			want: `it is not this workflow's (workflow "another-workflow" made it)` + untouched + `use the workflow ` +
				`id that made it`,
		},
		{
			name: "a Flex cluster without a tag, to Flex", kind: toFlex, make: toDedicated.make,
			wantType: contract.ClusterConflict,
			want: `it is Flex already, and not known to be this workflow's (it carries no tag ` +
				`atlas-provisioner-workflow)` + untouched + `to take it over, use the workflow UpdateFlexCluster ` +
				`with adopt, then start the workflow again`,
		},
		{
			name: "a Flex cluster without a tag, to dedicated", kind: toDedicated, make: toDedicated.make,
			wantType: contract.ClusterConflict,
			want: `it is not known to be this workflow's (it carries no tag atlas-provisioner-workflow)` + untouched +
				`to take it over, set adopt, then start the workflow again`,
		},
		{
			name: "an M0, to dedicated", kind: toDedicated, make: free, wantType: contract.ClusterConflict,
			want: `it is a shared-tier cluster (M0), and only a Flex cluster can be upgraded to dedicated` + untouched +
				`upgrade it to Flex first, then start the workflow again`,
		},
		{
			name: "a dedicated cluster, to Flex", kind: toFlex, make: dedicated, wantType: contract.ClusterConflict,
			want: `its size is M10, and only an M0 can be upgraded to Flex` + untouched + `correct the name, then ` +
				`start the workflow again`,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := setup(t, atlassim.Config{})
			if test.make != nil {
				test.make(t, s, test.tags...)
				testenv.Eventually(t, func() bool { return s.Sim.Clusters()[0].State == contract.StateIdle })
			}
			before, posts := s.Sim.Clusters(), s.Requests("POST", test.kind.post)
			_, err := execute(s, test.kind.request(t, here(t), 0))
			f := testenv.Failure(t, err)
			require.Equal(t, test.wantType, f.Type)
			require.Equal(t, withName(`cluster "NAME": `+test.want, testenv.ClusterName(t)), f.Message)
			require.Equal(t, before, s.Sim.Clusters())
			require.Equal(t, posts, s.Requests("POST", test.kind.post))
		})
	}
}

// A Flex cluster without the ownership tag is upgraded where the request says that it is to be taken over, and carries
// the tag then.
func TestUpgradeToDedicatedAdopts(t *testing.T) {
	t.Parallel()
	s := setup(t, atlassim.Config{})
	toDedicated.make(t, s)
	in := toDedicated.request(t, here(t), 0).(contract.UpgradeToDedicatedInput)
	in.Adopt, in.Tags, in.TerminationProtectionEnabled = true, []contract.Tag{{Key: "env", Value: "prod"}}, new(true)
	cluster, err := execute(s, in)
	require.NoError(t, err)
	require.Equal(t, contract.Upgraded, cluster.Outcome)
	require.ElementsMatch(t, append(in.Tags, contract.Tag(ownTag(t))), cluster.Tags)
	require.True(t, cluster.TerminationProtectionEnabled)
}

// An upgrade that loses all tags gets them back, with the ownership tag, also where the request does not ask for tags.
func TestUpgradesThatLoseTags(t *testing.T) {
	eachUpgrade(t, func(t *testing.T, kind upgradeKind) {
		var s *testenv.Stack
		ready := make(chan struct{})
		s = kind.setup(t, atlassim.Config{Hook: func(stage atlassim.Stage, e atlassim.Entry) {
			if stage == atlassim.Applied && e.Effect == atlassim.Updated {
				<-ready
				s.Sim.ClearFaults()
			}
		}})
		close(ready)
		s.Sim.AddFault(atlassim.Fault{
			Kind: atlassim.FaultRewrite, Method: http.MethodGet, Path: withName(kind.new, testenv.ClusterName(t)) + "$",
			Set: map[string]any{"tags": []any{}},
		})
		cluster, err := execute(s, kind.request(t, here(t), 0))
		require.NoError(t, err)
		require.ElementsMatch(t, append(flex(t).Tags, contract.Tag(ownTag(t))), cluster.Tags)
		require.Equal(t, 1, s.Sim.Count(atlassim.Updated))
	})
}

// What does not pass by itself fails at once.
func TestUpgradesRefused(t *testing.T) {
	eachUpgrade(t, func(t *testing.T, kind upgradeKind) {
		for _, test := range []struct {
			name           string
			fault          atlassim.Fault
			wantType, want string // want follows `cluster "name": Atlas answered `
		}{
			{"402", statusFault(402, "NO_PAYMENT_INFORMATION_FOUND"), "NO_PAYMENT_INFORMATION_FOUND",
				"402 NO_PAYMENT_INFORMATION_FOUND: add a payment method to the organization, then start the workflow " +
					"again"},
			{"400", statusFault(400, "INVALID_REGION"), "INVALID_REGION",
				"400 INVALID_REGION: choose a region that Atlas offers for this provider, then start the workflow " +
					"again"},
			{"409", statusFault(409, "OUT_OF_CAPACITY"), "OUT_OF_CAPACITY",
				"409 OUT_OF_CAPACITY: choose another region, or wait, then start the workflow again"},
			{"403 HTML", htmlFault(403), "HTTP_403", "403 Forbidden: this answer names no errorCode, as those of " +
				"Atlas do: look for a proxy or firewall between the worker and Atlas, and check " +
				"MONGODB_ATLAS_BASE_URL, then start the workflow again"},
			{"410", statusFault(410, "VERSION_GONE"), "VERSION_GONE", "410 VERSION_GONE: Atlas has retired this " +
				"endpoint: look for a newer release of atlas-provisioner"},
		} {
			t.Run(test.name, func(t *testing.T) {
				t.Parallel()
				s := kind.setup(t, atlassim.Config{})
				test.fault.Method = http.MethodPost
				s.Sim.AddFault(test.fault)
				_, err := execute(s, kind.request(t, here(t), 0))
				f := testenv.Failure(t, err)
				require.Equal(t, test.wantType, f.Type)
				require.Regexp(t, `^cluster "`+testenv.ClusterName(t)+`": Atlas answered `, f.Message)
				require.Contains(t, f.Message, test.want[len("400 "):])
				require.Equal(t, 1, s.Requests("POST", kind.post))
				if test.name == "402" {
					record(s, kind.name+"-refused")
				}
			})
		}
	})
}

// What passes by itself is asked again until it has passed, and whatever becomes of an answer, the cluster is upgraded
// once.
func TestUpgradesRetried(t *testing.T) {
	eachUpgrade(t, func(t *testing.T, kind upgradeKind) {
		for _, test := range []struct {
			name    string
			retried string // the failure type that the activity shows meanwhile
			fault   atlassim.Fault
			posts   int
		}{
			{"408", "REQUEST_TIMEOUT", statusFault(408, "REQUEST_TIMEOUT"), 2},
			{"429", "RATE_LIMITED", withRetryAfter(statusFault(429, "RATE_LIMITED"), "0"), 2},
			{"app upgrade", "WRITES_NOT_ALLOWED_DURING_APP_UPGRADES",
				statusFault(405, "WRITES_NOT_ALLOWED_DURING_APP_UPGRADES"), 2},
			{"500 before", "UNEXPECTED_ERROR", statusFault(500, "UNEXPECTED_ERROR"), 2},
			{"500 after", "UNEXPECTED_ERROR", afterEffect(statusFault(500, "UNEXPECTED_ERROR")), 1},
			{"503 HTML", "HTTP_503", withRetryAfter(htmlFault(503), "2"), 2},
			{"reset before", "ATLAS_UNREACHABLE", atlassim.Fault{Kind: atlassim.FaultReset}, 2},
			{"lost answer", "ATLAS_UNREACHABLE", atlassim.Fault{Kind: atlassim.FaultLost}, 1},
			{"hang after", "ATLAS_UNREACHABLE", afterEffect(hangFault()), 1},
			{"truncated", "ATLAS_BAD_RESPONSE", atlassim.Fault{Kind: atlassim.FaultTruncate}, 1},
			{"garbage", "ATLAS_BAD_RESPONSE", atlassim.Fault{Kind: atlassim.FaultGarbage}, 1},
		} {
			t.Run(test.name, func(t *testing.T) {
				t.Parallel()
				pace := testworker.Quick
				pace.SettleFor = 3 * time.Second
				s := kind.setup(t, atlassim.Config{
					UpgradeFor: atlassim.Duration(6 * time.Second), StaleIdleFor: atlassim.Duration(time.Second),
				}, withRequestTimeout(5*time.Second), testworker.WithPace(pace))
				test.fault.Method, test.fault.Times = http.MethodPost, 1
				s.Sim.AddFault(test.fault)
				run := start(s, kind.request(t, here(t), 0))
				shown := awaitFailure(s, run, test.retried)
				cluster, err := result(s, run)
				require.NoError(t, err)
				require.True(t, <-shown, "the failure %s was not shown", test.retried)
				require.Equal(t, contract.Upgraded, cluster.Outcome)
				require.Equal(t, 1, s.Sim.Count(atlassim.Upgraded))
				require.Equal(t, test.posts, s.Requests("POST", kind.post))
			})
		}
	})
}

// awaitFailure answers whether the Web UI shows a failure of a type of a pending activity before the run ends.
func awaitFailure(s *testenv.Stack, run provisioner.Run, failureType string) <-chan bool {
	shown := make(chan bool, 1)
	go func() {
		defer close(shown)
		for s.Context().Err() == nil {
			d, err := s.Temporal.DescribeWorkflowExecution(s.Context(), run.WorkflowID, run.RunID)
			if err != nil || d.GetWorkflowExecutionInfo().GetCloseTime() != nil {
				return
			}
			for _, p := range d.GetPendingActivities() {
				if p.GetLastFailure().GetApplicationFailureInfo().GetType() == failureType {
					shown <- true
					return
				}
			}
		}
	}()
	return shown
}

// A run that ends early says what it leaves behind, and a later run goes on with it: the upgrade is asked for once.
func TestUpgradesTimeout(t *testing.T) {
	eachUpgrade(t, func(t *testing.T, kind upgradeKind) {
		s := kind.setup(t, atlassim.Config{UpgradeFor: atlassim.Duration(20 * time.Second)})
		_, err := execute(s, kind.request(t, here(t), 8))
		f := testenv.Failure(t, err)
		record(s, kind.name+"-timeout")
		require.Equal(t, contract.Timeout, f.Type)
		require.Equal(t, contract.FailureDetails{StateName: "UPDATING"}, f.Details)
		require.Equal(t, withName(`cluster "NAME" was not IDLE and as asked within 8s (timeoutSeconds): the last `+
			`state seen was UPDATING. The cluster is left as it is (UPDATING): start the workflow again under the `+
			`same id to go on`, testenv.ClusterName(t)), f.Message)
		cluster, err := execute(s, kind.request(t, here(t), 0))
		require.NoError(t, err)
		require.Equal(t, contract.StateIdle, cluster.StateName)
		require.Equal(t, kind.clusterType, cluster.ClusterType)
		require.Equal(t, 1, s.Requests("POST", kind.post))
	})
}

// The cluster is deleted while Atlas upgrades it.
func TestUpgradesGone(t *testing.T) {
	eachUpgrade(t, func(t *testing.T, kind upgradeKind) {
		s := kind.setup(t, slowUpgrade)
		run := start(s, kind.request(t, here(t), 0))
		awaitLooks(t, s, run)
		require.Regexp(t, `^Atlas is upgrading cluster "`+testenv.ClusterName(t)+`" to `+kind.text+`\. The last `+
			`answer was UPDATING, at .* Waiting until it is IDLE and as asked: `, currentDetails(s, run))
		deleteCluster(t, s)
		_, err := result(s, run)
		f := testenv.Failure(t, err)
		record(s, kind.name+"-gone")
		require.Equal(t, contract.ClusterGone, f.Type)
		require.Regexp(t, withName(`^cluster "NAME": Atlas has known no such cluster for \d+s \(last state `+
			`UPDATING\): to make a new one, start the workflow ProvisionFlexCluster$`, testenv.ClusterName(t)),
			f.Message)
	})
}

// A run is cancelled before Atlas has taken the request, and while it waits.
func TestUpgradesCanceled(t *testing.T) {
	eachUpgrade(t, func(t *testing.T, kind upgradeKind) {
		t.Run("waiting", func(t *testing.T) {
			t.Parallel()
			s := kind.setup(t, slowUpgrade)
			run := start(s, kind.request(t, here(t), 0))
			cancelDuringWait(t, s, run)
			_, err := result(s, run)
			record(s, kind.name+"-canceled-while-waiting")
			require.Equal(t, "CANCELED", testenv.Failure(t, err).Type)
			require.Equal(t, withName(`Cancelled. The cluster is left as it is (UPDATING): start the workflow again `+
				`under the same id to go on.`, testenv.ClusterName(t)), currentDetails(s, run))
		})
		t.Run("asking", func(t *testing.T) {
			t.Parallel()
			arrived, proceed := make(chan struct{}, 10), make(chan struct{})
			s := kind.setup(t, atlassim.Config{
				UpgradeFor: atlassim.Duration(2 * time.Second),
				Hook: func(stage atlassim.Stage, e atlassim.Entry) {
					if stage == atlassim.Arrived && e.Method == "POST" && e.Authenticated {
						arrived <- struct{}{}
						<-proceed
					}
				},
			})
			run := start(s, kind.request(t, here(t), 0))
			<-arrived
			require.NoError(t, s.Client.Cancel(s.Context(), run.WorkflowID, run.RunID))
			close(proceed)
			_, err := result(s, run)
			record(s, kind.name+"-canceled-while-asking")
			require.Equal(t, "CANCELED", testenv.Failure(t, err).Type)
			require.Equal(t, 1, s.Sim.Count(atlassim.Upgraded), "the request takes its course")
			end := ""
			for _, point := range finishedTasks(s, run) {
				end = ending(s, reset(s, run, point))
				require.Contains(t, []string{"CANCELED", "UPGRADED"}, end)
			}
			require.Equal(t, "UPGRADED", end, "the first point, before the cancellation")
			require.Equal(t, 1, s.Sim.Count(atlassim.Upgraded))
		})
		t.Run("somebody else's change", func(t *testing.T) {
			t.Parallel()
			s := kind.setup(t, atlassim.Config{})
			require.NoError(t, s.Sim.SetState(project, testenv.ClusterName(t), contract.StateUpdating))
			run := start(s, kind.request(t, here(t), 0))
			require.True(t, <-awaitFailure(s, run, contract.NotYet))
			require.NoError(t, s.Client.Cancel(s.Context(), run.WorkflowID, run.RunID))
			_, err := result(s, run)
			require.Equal(t, "CANCELED", testenv.Failure(t, err).Type)
			require.Zero(t, s.Requests("POST", kind.post))
		})
	})
}

// A long upgrade costs one request a look, not one for each kind of cluster.
func TestUpgradesCostOneRequestALook(t *testing.T) {
	eachUpgrade(t, func(t *testing.T, kind upgradeKind) {
		s := kind.setup(t, slowUpgrade)
		run := start(s, kind.request(t, here(t), 0))
		awaitLooks(t, s, run)
		name := testenv.ClusterName(t)
		before := s.Requests("GET", withName(kind.new, name))
		s.AwaitRequests(s.Requests("GET", withName(kind.old, name))+10, "GET", withName(kind.old, name))
		require.Equal(t, before, s.Requests("GET", withName(kind.new, name)))
		require.NoError(t, s.Client.Cancel(s.Context(), run.WorkflowID, run.RunID))
		_, err := result(s, run)
		require.Equal(t, "CANCELED", testenv.Failure(t, err).Type)
	})
}
