package integration

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	workflowpb "go.temporal.io/api/workflow/v1"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv/testworker"
	"github.com/atlas-provisioner/atlas-provisioner/provisioner"
)

// update asks for another tag than the request for the cluster has.
func update(t *testing.T) contract.UpdateFlexClusterInput {
	return contract.UpdateFlexClusterInput{
		GroupID: project, Name: testenv.ClusterName(t), Tags: []contract.Tag{{Key: "team", Value: "billing"}},
	}
}

func deletion(t *testing.T) contract.DeleteClusterInput {
	return contract.DeleteClusterInput{GroupID: project, Name: testenv.ClusterName(t)}
}

func updateRequest(t *testing.T) contract.Request   { return update(t) }
func deletionRequest(t *testing.T) contract.Request { return deletion(t) }

// ownerTag is the ownership tag of the test's own cluster.
func ownerTag(t *testing.T) atlassim.Tag {
	return atlassim.Tag{Key: contract.OwnershipTag, Value: contract.WorkflowID(flex(t))}
}

// makeOurs makes the test's own cluster as an earlier run left it: IDLE.
func makeOurs(t *testing.T, s *testenv.Stack) {
	makeCreating(t, s)
	awaitIdle(s)
}

// makeCreating is makeOurs, but Atlas is creating the cluster still.
func makeCreating(t *testing.T, s *testenv.Stack) { createByOthers(s, flex(t), ownerTag(t)) }

// makeProtected is makeOurs, and turns its termination protection on.
func makeProtected(t *testing.T, s *testenv.Stack) {
	in := flex(t)
	in.TerminationProtectionEnabled = true
	createByOthers(s, in, ownerTag(t))
	awaitIdle(s)
}

// makeUntagged makes a cluster that carries no ownership tag.
func makeUntagged(t *testing.T, s *testenv.Stack) {
	createByOthers(s, flex(t))
	awaitIdle(s)
}

// makeAnothers makes a cluster that another workflow made.
func makeAnothers(t *testing.T, s *testenv.Stack) {
	createByOthers(s, flex(t), atlassim.Tag{Key: contract.OwnershipTag, Value: "another-workflow"})
	awaitIdle(s)
}

// awaitIdle waits until Atlas has created the cluster.
func awaitIdle(s *testenv.Stack) {
	s.TB().Helper()
	testenv.Eventually(s.TB(), func() bool { return s.Sim.Clusters()[0].State == contract.StateIdle })
}

// deleting is a simulator whose deletions take a time.
func deleting(d time.Duration) atlassim.Config {
	return atlassim.Config{DeleteFor: atlassim.Duration(d)}
}

func TestUpdated(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name      string
		updateFor time.Duration
		prepare   func(*testing.T, *testenv.Stack)
		edit      func(*contract.UpdateFlexClusterInput)
		outcome   contract.Outcome
		tags      []contract.Tag // beside the ownership tag
		protected bool
		patches   int
	}{
		{
			name: "tags", prepare: makeOurs, outcome: contract.Updated, patches: 1,
			tags: []contract.Tag{{Key: "team", Value: "billing"}},
		},
		{
			name: "tags of a cluster that Atlas changes for a while", updateFor: time.Second, prepare: makeOurs,
			outcome: contract.Updated, patches: 1, tags: []contract.Tag{{Key: "team", Value: "billing"}},
		},
		{
			name: "no tags", prepare: makeOurs, outcome: contract.Updated, patches: 1,
			edit: func(in *contract.UpdateFlexClusterInput) { in.Tags = []contract.Tag{} },
		},
		{
			name: "protection alone", prepare: makeOurs, outcome: contract.Updated, patches: 1, protected: true,
			edit: func(in *contract.UpdateFlexClusterInput) {
				in.Tags, in.TerminationProtectionEnabled = nil, new(true)
			},
			tags: []contract.Tag{{Key: "team", Value: "orders"}},
		},
		{
			name: "adopted", prepare: makeUntagged, outcome: contract.Updated, patches: 1, protected: true,
			edit: func(in *contract.UpdateFlexClusterInput) {
				in.Tags, in.TerminationProtectionEnabled, in.Adopt = nil, new(true), true
			},
			tags: []contract.Tag{{Key: "team", Value: "orders"}},
		},
		{
			name: "as asked already", prepare: makeOurs, outcome: contract.Unchanged,
			edit: func(in *contract.UpdateFlexClusterInput) { in.Tags[0].Value = "orders" },
			tags: []contract.Tag{{Key: "team", Value: "orders"}},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := setup(t, atlassim.Config{UpdateFor: atlassim.Duration(test.updateFor)})
			test.prepare(t, s)
			in := update(t)
			if test.edit != nil {
				test.edit(&in)
			}
			cluster, err := execute(s, in)
			require.NoError(t, err)
			require.Equal(t, test.outcome, cluster.Outcome)
			require.Equal(t, contract.StateIdle, cluster.StateName)
			require.Equal(t, test.protected, cluster.TerminationProtectionEnabled)
			require.ElementsMatch(t, append(test.tags, contract.Tag(ownerTag(t))), cluster.Tags)
			require.Equal(t, test.patches, s.Requests("PATCH", "/"+in.Name))
			switch {
			case test.updateFor > 0:
				record(s, "update-updated")
			case test.patches == 0:
				record(s, "update-unchanged")
			}
		})
	}
}

// A provision brings a cluster to what is asked, or takes it over, where the request says so.
func TestProvisionUpdates(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		prepare func(*testing.T, *testenv.Stack)
		edit    func(*contract.ProvisionFlexClusterInput)
	}{
		{"updated", makeProtected, func(in *contract.ProvisionFlexClusterInput) {
			in.IfDifferent, in.Tags = contract.UpdateIfDifferent, []contract.Tag{{Key: "team", Value: "billing"}}
		}},
		{"adopted", makeUntagged, func(in *contract.ProvisionFlexClusterInput) { in.Adopt = true }},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := setup(t, atlassim.Config{UpdateFor: atlassim.Duration(time.Second)})
			test.prepare(t, s)
			awaitAge(s)
			in := flex(t)
			test.edit(&in)
			cluster, err := execute(s, in)
			require.NoError(t, err)
			require.Equal(t, contract.Updated, cluster.Outcome)
			require.ElementsMatch(t, append(in.Tags, contract.Tag(ownerTag(t))), cluster.Tags)
			require.False(t, cluster.TerminationProtectionEnabled)
			require.Zero(t, s.Sim.Count(atlassim.Created))
			record(s, "provision-"+test.name)

			cluster, err = execute(s, in)
			require.NoError(t, err)
			require.Equal(t, contract.Unchanged, cluster.Outcome)
			require.Equal(t, 1, s.Sim.Count(atlassim.Updated))
		})
	}
}

func TestDeleted(t *testing.T) {
	t.Parallel()
	type edit func(*testing.T, *testenv.Stack, *contract.DeleteClusterInput)
	for _, test := range []struct {
		name    string
		sim     atlassim.Config
		prepare func(*testing.T, *testenv.Stack)
		edit    edit
		outcome contract.Outcome
		deletes int
	}{
		{name: "ours", sim: deleting(2 * time.Second), prepare: makeOurs, outcome: contract.Deleted, deletes: 1},
		{
			name: "while Atlas creates it", prepare: makeCreating, outcome: contract.Deleted, deletes: 1,
			sim: atlassim.Config{CreateFor: atlassim.Duration(time.Hour), DeleteFor: atlassim.Duration(time.Second)},
		},
		{
			name: "adopted", sim: deleting(time.Second), prepare: makeUntagged, outcome: contract.Deleted, deletes: 1,
			edit: func(_ *testing.T, _ *testenv.Stack, in *contract.DeleteClusterInput) { in.Adopt = true },
		},
		{
			name: "protected", sim: deleting(time.Second), prepare: makeProtected, outcome: contract.Deleted,
			deletes: 1,
			edit: func(_ *testing.T, _ *testenv.Stack, in *contract.DeleteClusterInput) {
				in.RemoveTerminationProtection = true
			},
		},
		{
			name: "ignored twice", prepare: makeOurs, outcome: contract.Deleted, deletes: 3,
			sim: atlassim.Config{DeleteFor: atlassim.Duration(time.Second), IgnoredDeletes: 2},
		},
		{
			name: "IDLE for a while after it", prepare: makeOurs, outcome: contract.Deleted, deletes: 1,
			sim: atlassim.Config{
				DeleteFor: atlassim.Duration(2 * time.Second), DeletingAfter: atlassim.Duration(500 * time.Millisecond),
			},
		},
		{
			name: "gone already", outcome: contract.Unchanged,
			prepare: func(*testing.T, *testenv.Stack) {},
		},
		{
			name: "somebody deletes it", sim: deleting(3 * time.Second), outcome: contract.Unchanged,
			prepare: makeDeleting,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := setup(t, test.sim)
			test.prepare(t, s)
			in := deletion(t)
			before := atlassim.Cluster{}
			if all := s.Sim.Clusters(); len(all) > 0 {
				before = all[0]
			}
			if test.edit != nil {
				test.edit(t, s, &in)
			}
			cluster, err := execute(s, in)
			require.NoError(t, err)
			require.Equal(t, test.outcome, cluster.Outcome)
			require.Equal(t, contract.StateDeleted, cluster.StateName)
			require.Equal(t, before.ID, cluster.ID)
			require.Equal(t, in.Name, cluster.Name)
			require.Equal(t, test.deletes, s.Requests("DELETE", "/"+in.Name))
			require.Empty(t, s.Sim.Clusters())
			switch test.name {
			case "ours":
				record(s, "delete-deleted")
			case "gone already":
				record(s, "delete-unchanged")
			}
		})
	}
}

// A dedicated cluster that an M0 is upgraded to is deleted by the cluster API, which takes 15 minutes at most.
func TestDeletedDedicated(t *testing.T) {
	t.Parallel()
	s := setup(t, atlassim.Config{DeleteDedicatedFor: atlassim.Duration(2 * time.Second)})
	makeProtected(t, s)
	place := flex(t).ProviderSettings
	place.InstanceSizeName = "M10"
	dedicated, err := execute(s, contract.UpgradeToDedicatedInput{
		GroupID: project, Name: testenv.ClusterName(t), ProviderSettings: place,
	})
	require.NoError(t, err)
	in := deletion(t)
	in.RemoveTerminationProtection, in.ID = true, dedicated.ID
	cluster, err := execute(s, in)
	require.NoError(t, err)
	require.Equal(t, contract.Deleted, cluster.Outcome)
	require.Equal(t, contract.ClusterTypeDedicated, cluster.ClusterType)
	require.Equal(t, dedicated.ID, cluster.ID)
	require.Equal(t, 1, s.Requests("DELETE", "/clusters/"+in.Name))
	require.Empty(t, s.Sim.Clusters())
}

// A successor of the cluster that is meant is never deleted, whenever it takes the name.
func TestSuccessorIsNotDeleted(t *testing.T) {
	t.Parallel()
	t.Run("before the run", func(t *testing.T) {
		t.Parallel()
		s := setup(t, atlassim.Config{})
		makeOurs(t, s)
		in := deletion(t)
		in.ID = "0123456789abcdef01234567"
		cluster, err := execute(s, in)
		require.NoError(t, err)
		require.Equal(t, contract.Unchanged, cluster.Outcome)
		require.Equal(t, in.ID, cluster.ID)
		require.Empty(t, cluster.Tags, "it is not the successor's")
		require.Len(t, s.Sim.Clusters(), 1)
		require.Zero(t, s.Requests("DELETE", "/"+in.Name))
	})
	t.Run("during the wait", func(t *testing.T) {
		t.Parallel()
		s := setup(t, deleting(2*time.Second), longAttempts())
		makeOurs(t, s)
		before := s.Sim.Clusters()[0].ID
		run := start(s, deletion(t))
		s.AwaitRequests(1, "DELETE", "/"+testenv.ClusterName(t))
		testenv.Eventually(t, func() bool {
			all := s.Sim.Clusters()
			if len(all) == 0 {
				makeOurs(t, s)
			}
			return len(all) == 0
		})
		cluster, err := result(s, run)
		require.NoError(t, err)
		require.Equal(t, contract.Deleted, cluster.Outcome)
		require.Equal(t, before, cluster.ID)
		require.Len(t, s.Sim.Clusters(), 1)
		require.Equal(t, 1, s.Requests("DELETE", "/"+testenv.ClusterName(t)))
	})
}

// Each row of the contract's table of failures, for an update and for a delete: nothing is changed.
func TestChangeFails(t *testing.T) {
	t.Parallel()
	const notOurs = `cluster "NAME": it is not this workflow's (workflow "another-workflow" made it). It was left ` +
		`untouched: use the workflow id that made it`
	const untagged = `cluster "NAME": it is not known to be this workflow's (it carries no tag ` +
		`atlas-provisioner-workflow). It was left untouched: to take it over, set adopt, then start the workflow again`
	const refused = `cluster "NAME": Atlas answered 402 NO_PAYMENT_INFORMATION_FOUND: add a payment method to the ` +
		`organization, then start the workflow again`
	const leftIdle = `The cluster is left as it is (IDLE): start the workflow again under the same id to go on`
	payment := statusFault(402, "NO_PAYMENT_INFORMATION_FOUND")
	for _, test := range []struct {
		history string // its name, if it is recorded; else that of the case
		sim     atlassim.Config
		prepare func(*testing.T, *testenv.Stack)
		request func(*testing.T) contract.Request
		fault   atlassim.Fault
		want    string
		message string
		state   string // at the end
	}{
		{history: "update-conflict", prepare: makeAnothers, request: updateRequest, want: contract.ClusterConflict,
			message: notOurs, state: "IDLE"},
		{history: "update untagged", prepare: makeUntagged, request: updateRequest, want: contract.ClusterConflict,
			message: untagged, state: "IDLE"},
		{history: "delete-conflict", prepare: makeAnothers, request: deletionRequest, want: contract.ClusterConflict,
			message: notOurs, state: "IDLE"},
		{history: "delete untagged", prepare: makeUntagged, request: deletionRequest, want: contract.ClusterConflict,
			message: untagged, state: "IDLE"},
		{history: "delete-protected", prepare: makeProtected, request: deletionRequest, want: contract.ClusterProtected,
			message: `cluster "NAME": its termination protection is on. It was left untouched: set ` +
				`removeTerminationProtection, or turn it off, then start the workflow again`, state: "IDLE"},
		{history: "update-gone", sim: deleting(time.Hour), request: updateRequest, want: contract.ClusterGone,
			prepare: makeDeleting,
			message: `cluster "NAME": it is being deleted: to make a new one, start the workflow ` +
				`ProvisionFlexCluster`, state: "DELETING"},
		{history: "update-not-found", request: updateRequest, want: "CLUSTER_NOT_FOUND",
			message: `cluster "NAME": Atlas answered 404 CLUSTER_NOT_FOUND (No cluster named NAME exists in group ` +
				project + `.): check that the project has a cluster of this name, then start the workflow again`},
		{history: "update of another kind", request: updateRequest, want: "CANNOT_USE_NON_FLEX_CLUSTER_IN_FLEX_API",
			prepare: func(t *testing.T, s *testenv.Stack) {
				s.Sim.SeedShared(atlassim.SharedCluster{GroupID: project, Name: testenv.ClusterName(t)})
			},
			message: `cluster "NAME": Atlas answered 400 CANNOT_USE_NON_FLEX_CLUSTER_IN_FLEX_API (Cannot use ` +
				`non-flex cluster NAME in the flex API.): this operation is for Flex clusters, and the cluster of ` +
				`this name is of another kind: correct the name, or choose another operation, then start the ` +
				`workflow again`},
		{history: "delete of an M0", request: deletionRequest, want: contract.ClusterConflict,
			prepare: func(t *testing.T, s *testenv.Stack) {
				s.Sim.SeedShared(atlassim.SharedCluster{GroupID: project, Name: testenv.ClusterName(t)})
			},
			message: `cluster "NAME": it is a shared-tier cluster (M0), and this workflow deletes Flex and dedicated ` +
				`clusters. It was left untouched: delete it in Atlas, or upgrade it first`, state: "IDLE"},
		{history: "update refused", prepare: makeOurs, request: updateRequest, want: "NO_PAYMENT_INFORMATION_FOUND",
			fault: withMethod(payment, "PATCH"), message: refused, state: "IDLE"},
		{history: "delete refused", prepare: makeOurs, request: deletionRequest, want: "NO_PAYMENT_INFORMATION_FOUND",
			fault: withMethod(payment, "DELETE"), message: refused + ". " + leftIdle, state: "IDLE"},
		{history: "delete refused by 403 is not asked again", prepare: makeOurs, request: deletionRequest,
			want: "FORBIDDEN_HERE", fault: withMethod(statusFault(403, "FORBIDDEN_HERE"), "DELETE"),
			message: `cluster "NAME": Atlas answered 403 FORBIDDEN_HERE: give the worker's key or service account ` +
				`the role Project Owner in this project, then start the workflow again. ` + leftIdle, state: "IDLE"},
		{history: "update-timeout", sim: atlassim.Config{UpdateFor: atlassim.Duration(time.Hour)}, prepare: makeOurs,
			request: withTimeLimit(updateRequest, 5), want: contract.Timeout,
			message: `cluster "NAME" was not IDLE and as asked within 5s (timeoutSeconds): the last state seen was ` +
				`UPDATING. The cluster is left as it is (UPDATING): start the workflow again under the same id to go ` +
				`on`, state: "UPDATING"},
		{history: "update of a cluster that is busy", sim: atlassim.Config{CreateFor: atlassim.Duration(time.Hour)},
			prepare: makeCreating, request: withTimeLimit(updateRequest, 3), want: contract.Timeout,
			message: `cluster "NAME": it is CREATING; it is changed once it is IDLE, for which no time was left ` +
				`within 3s (timeoutSeconds). The cluster is left as it is (CREATING): start the workflow again under ` +
				`the same id to go on`, state: "CREATING"},
		{history: "delete-timeout", sim: deleting(time.Hour), prepare: makeOurs,
			request: withTimeLimit(deletionRequest, 5), want: contract.Timeout,
			message: `cluster "NAME" was not gone within 5s (timeoutSeconds): the last state seen was DELETING. ` +
				`Atlas goes on deleting the cluster: start the workflow again under the same id to wait ` +
				`for its end`,
			state: "DELETING"},
		{history: "delete while Atlas fails", prepare: makeOurs, request: withTimeLimit(deletionRequest, 4),
			fault: withMethod(htmlFault(503), "DELETE"), want: contract.Timeout,
			message: `cluster "NAME" was not gone within 4s (timeoutSeconds): the last state seen was IDLE; the last ` +
				`answer was: cluster "NAME": Atlas answered 503 Service Unavailable: trying again. ` + leftIdle,
			state: "IDLE"},
		{history: "update while Atlas fails", prepare: makeOurs, request: withTimeLimit(updateRequest, 4),
			fault: withMethod(htmlFault(503), "PATCH"), want: "HTTP_503",
			message: `cluster "NAME": Atlas answered 503 Service Unavailable: trying again, for which no time was ` +
				`left within 4s (timeoutSeconds). ` + leftIdle + `. If Atlas goes on answering so, check ` +
				`https://status.mongodb.com`, state: "IDLE"},
	} {
		t.Run(test.history, func(t *testing.T) {
			t.Parallel()
			s := setup(t, test.sim)
			if test.prepare != nil {
				test.prepare(t, s)
			}
			if test.fault.Kind != "" {
				s.Sim.AddFault(test.fault)
			}
			run := start(s, test.request(t))
			_, err := result(s, run)
			f := testenv.Failure(t, err)
			require.Equal(t, test.want, f.Type)
			require.Equal(t, withName(test.message, testenv.ClusterName(t)), f.Message)
			status, err := s.Client.Status(s.Context(), run.WorkflowID, run.RunID)
			require.NoError(t, err)
			require.Equal(t, test.state, status.ClusterState, "at the end")
			if test.want != contract.Timeout {
				require.Zero(t, s.Sim.Count(atlassim.Updated)+s.Sim.Count(atlassim.Deleted))
			}
			if test.want == "FORBIDDEN_HERE" {
				require.Equal(t, 1, s.Requests("DELETE", "/"+testenv.ClusterName(t)))
			}
			if hasHistory(test.history) {
				record(s, test.history)
			}
		})
	}
}

// hasHistory reports whether a case is one whose history is recorded.
func hasHistory(name string) bool {
	switch name {
	case "update-conflict", "update-gone", "update-timeout", "delete-conflict", "delete-protected", "delete-timeout":
		return true
	}
	return false
}

// withMethod lets a fault strike requests of one method.
func withMethod(fault atlassim.Fault, method string) atlassim.Fault {
	fault.Method = method
	return fault
}

// What passes by itself is asked again until it has passed, and the cluster is changed, or deleted.
func TestChangeRetried(t *testing.T) {
	t.Parallel()
	for _, fault := range []struct {
		name string
		atlassim.Fault
	}{
		{"408", statusFault(408, "REQUEST_TIMEOUT")},
		{"429", withRetryAfter(statusFault(429, "RATE_LIMITED"), "1")},
		{"app upgrade", statusFault(405, "WRITES_NOT_ALLOWED_DURING_APP_UPGRADES")},
		{"500", statusFault(500, "UNEXPECTED_ERROR")},
		{"500 after the effect", afterEffect(statusFault(500, "UNEXPECTED_ERROR"))},
		{"502 HTML", htmlFault(502)},
		{"reset before", atlassim.Fault{Kind: atlassim.FaultReset}},
		{"lost answer", atlassim.Fault{Kind: atlassim.FaultLost}},
		{"hang after", afterEffect(hangFault())},
		{"truncated", atlassim.Fault{Kind: atlassim.FaultTruncate}},
		{"garbage", atlassim.Fault{Kind: atlassim.FaultGarbage}},
	} {
		for _, method := range []string{"GET", "PATCH", "DELETE"} {
			t.Run(method+"/"+fault.name, func(t *testing.T) {
				t.Parallel()
				s := setup(t, deleting(2*time.Second), withRequestTimeout(3*time.Second))
				makeOurs(t, s)
				struck := withMethod(fault.Fault, method)
				struck.Times = 1
				s.Sim.AddFault(struck)
				if method != "DELETE" {
					cluster, err := execute(s, update(t))
					require.NoError(t, err)
					require.Equal(t, contract.Updated, cluster.Outcome)
					require.Contains(t, cluster.Tags, contract.Tag{Key: "team", Value: "billing"})
				}
				if method != "PATCH" {
					s.Sim.ClearFaults()
					s.Sim.AddFault(struck)
					cluster, err := execute(s, deletion(t))
					require.NoError(t, err)
					require.Equal(t, contract.Deleted, cluster.Outcome)
					require.Equal(t, 1, s.Sim.Count(atlassim.Deleted))
					require.Empty(t, s.Sim.Clusters())
				}
			})
		}
	}
}

// A run is cancelled in each of its phases, and leaves the state that is true then.
func TestChangeCanceled(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		history  string
		sim      atlassim.Config
		request  func(*testing.T) contract.Request
		activity string // that is under way
		method   string // of the request that is held back, "" for none
		state    string
	}{
		{history: "update-canceled", sim: atlassim.Config{UpdateFor: atlassim.Duration(time.Hour)},
			request: updateRequest, activity: contract.WaitUntilAsAskedActivity, state: "UPDATING"},
		{history: "update while it looks", request: updateRequest, activity: contract.UpdateFlexClusterActivity,
			method: "GET", state: "IDLE"},
		{history: "update while it asks", sim: atlassim.Config{UpdateFor: atlassim.Duration(time.Hour)},
			request: updateRequest, activity: contract.UpdateFlexClusterActivity, method: "PATCH", state: "UPDATING"},
		{history: "delete-canceled", sim: deleting(time.Hour), request: deletionRequest,
			activity: contract.DeleteClusterActivity, state: "DELETING"},
		{history: "delete while it looks", request: deletionRequest, activity: contract.FindClusterActivity,
			method: "GET", state: "IDLE"},
	} {
		t.Run(test.history, func(t *testing.T) {
			t.Parallel()
			arrived, proceed := make(chan struct{}, 100), make(chan struct{})
			test.sim.Hook = func(stage atlassim.Stage, e atlassim.Entry) {
				if stage == atlassim.Arrived && e.Method == test.method && e.Authenticated {
					arrived <- struct{}{}
					<-proceed
				}
			}
			s := setup(t, test.sim)
			makeOurs(t, s)
			run := start(s, test.request(t))
			awaitPending(s, run, func(a *workflowpb.PendingActivityInfo) bool {
				return a.GetActivityType().GetName() == test.activity
			})
			switch {
			case test.method != "":
				<-arrived
			case test.state == "DELETING":
				s.AwaitRequests(1, "DELETE", "/"+testenv.ClusterName(t))
			}
			require.NoError(t, s.Client.Cancel(s.Context(), run.WorkflowID, run.RunID))
			if test.method != "" { // the activity is told, and then Atlas answers
				awaitEvent(s, run, enumspb.EVENT_TYPE_ACTIVITY_TASK_CANCEL_REQUESTED)
			}
			close(proceed)
			_, err := result(s, run)
			require.Equal(t, provisioner.Canceled, testenv.Failure(t, err).State)
			status, err := s.Client.Status(s.Context(), run.WorkflowID, run.RunID)
			require.NoError(t, err)
			require.Equal(t, test.state, status.ClusterState)
			if test.method == "GET" {
				require.Zero(t, s.Sim.Count(atlassim.Updated)+s.Sim.Count(atlassim.Deleted))
			}
			if test.method == "" {
				record(s, test.history)
			}
		})
	}
}

// awaitEvent waits until the history of a run has an event of a type.
func awaitEvent(s *testenv.Stack, run provisioner.Run, want enumspb.EventType) {
	s.TB().Helper()
	testenv.Eventually(s.TB(), func() bool {
		return slices.ContainsFunc(s.History(run), func(e *historypb.HistoryEvent) bool {
			return e.GetEventType() == want
		})
	})
}

// A run that ends while its last attempt is about to delete deletes nothing any more: the attempt asks Temporal first.
func TestNothingIsDeletedAfterTheEnd(t *testing.T) {
	t.Parallel()
	looks, arrived, proceed := 0, make(chan struct{}), make(chan struct{})
	s := setup(t, atlassim.Config{Hook: func(stage atlassim.Stage, e atlassim.Entry) {
		if stage != atlassim.Arrived || e.Method != http.MethodGet || !e.Authenticated {
			return
		}
		if looks++; looks == 2 { // the first one finds it, and the second is that on which the delete is decided
			close(arrived)
			<-proceed
		}
	}})
	makeOurs(t, s)
	run := start(s, deletion(t))
	<-arrived
	require.NoError(t, s.Temporal.TerminateWorkflow(s.Context(), run.WorkflowID, run.RunID, "test"))
	close(proceed)
	cluster, err := execute(s, flex(t)) // the name is used again at once
	require.NoError(t, err)
	require.Equal(t, contract.Unchanged, cmp.Or(cluster.Outcome, contract.Unchanged))
	require.Zero(t, s.Requests("DELETE", "/"+testenv.ClusterName(t)))
	require.Len(t, s.Sim.Clusters(), 1)
}

// Somebody undoes a change while the run waits for it: it is asked for again. Where another workflow has taken the
// cluster over, it is left to it.
func TestChangeIsAskedForAgain(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		tags  func(*testing.T) []atlassim.Tag // that somebody puts in place of those that were asked for
		want  string
		count int // changes
	}{
		{"undone", func(t *testing.T) []atlassim.Tag { return []atlassim.Tag{ownerTag(t)} }, "UPDATED", 2},
		{"undone, and the ownership tag with it", func(*testing.T) []atlassim.Tag { return []atlassim.Tag{} },
			"UPDATED", 2},
		{"taken over", func(*testing.T) []atlassim.Tag {
			return []atlassim.Tag{{Key: contract.OwnershipTag, Value: "another-workflow"}}
		}, contract.ClusterConflict, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := setup(t, atlassim.Config{UpdateFor: atlassim.Duration(time.Second)})
			makeOurs(t, s)
			run := start(s, update(t))
			s.AwaitRequests(1, "PATCH", "/"+testenv.ClusterName(t))
			testenv.Eventually(t, func() bool { return s.Sim.Count(atlassim.Updated) == 1 })
			require.NoError(t, s.Sim.Update(project, testenv.ClusterName(t), test.tags(t), nil))
			require.Equal(t, test.want, ending(s, run))
			require.Equal(t, test.count, s.Sim.Count(atlassim.Updated))
		})
	}
}

// Protection that somebody turns on during a delete is turned off again only where the request says so.
func TestProtectedMeanwhile(t *testing.T) {
	t.Parallel()
	for _, remove := range []bool{true, false} {
		t.Run(fmt.Sprintf("to be removed %t", remove), func(t *testing.T) {
			t.Parallel()
			var s *testenv.Stack
			made := make(chan struct{})
			protected := false
			s = testenv.New(t, atlassim.Config{
				DeleteFor: atlassim.Duration(time.Second),
				Hook: func(stage atlassim.Stage, e atlassim.Entry) {
					if stage == atlassim.Arrived && e.Method == http.MethodDelete && e.Authenticated && !protected {
						<-made
						protected = true
						_ = s.Sim.Update(project, testenv.ClusterName(t), nil, new(true))
					}
				},
			})
			makeOurs(t, s)
			close(made)
			testworker.Start(s)
			in := deletion(t)
			in.RemoveTerminationProtection = remove
			_, err := execute(s, in)
			if !remove {
				require.Equal(t, contract.ClusterProtected, testenv.Failure(t, err).Type)
				require.Len(t, s.Sim.Clusters(), 1)
				return
			}
			require.NoError(t, err)
			require.Empty(t, s.Sim.Clusters())
		})
	}
}
