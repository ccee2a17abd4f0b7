package integration

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	sdkpb "go.temporal.io/api/sdk/v1"
	"go.temporal.io/sdk/client"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv/testworker"
	"github.com/atlas-provisioner/atlas-provisioner/provisioner"
)

func TestProvisionCreated(t *testing.T) {
	t.Parallel()
	s := setup(t,
		atlassim.Config{
			HiddenFor:     atlassim.Duration(100 * time.Millisecond),
			StandardAfter: atlassim.Duration(200 * time.Millisecond),
			RepairingFor:  atlassim.Duration(50 * time.Millisecond),
			NoStringsYet:  true,
		},
	)
	in := flex(t)
	in.TerminationProtectionEnabled = true
	cluster, err := execute(s, in)
	require.NoError(t, err)
	record(s, "provision-created")

	made := s.Sim.Clusters()
	require.Len(t, made, 1)
	require.Equal(t, contract.Cluster{
		ID: made[0].ID, GroupID: project, Name: in.Name, ClusterType: "FLEX", StateName: "IDLE",
		MongoDBVersion: cluster.MongoDBVersion, CreateDate: made[0].CreateDate.UTC().Truncate(time.Second),
		ConnectionStrings: cluster.ConnectionStrings,
		ProviderSettings: contract.ProviderSettings{
			ProviderName:        "FLEX",
			BackingProviderName: "AWS",
			RegionName:          "US_EAST_1",
			DiskSizeGB:          5,
		},
		Tags: []contract.Tag{
			{Key: "team", Value: "orders"},
			{Key: "atlas-provisioner-workflow", Value: "atlas-cluster-" + project + "-" + in.Name},
		},
		TerminationProtectionEnabled: true, Outcome: contract.Created, Warnings: []string{},
	}, cluster)
	require.Regexp(t, `^mongodb://`, cluster.ConnectionStrings.Standard)
	require.Regexp(t, `^mongodb\+srv://`, cluster.ConnectionStrings.StandardSrv)
	require.Equal(t, 1, s.Requests("POST", "/flexClusters"))
	require.Equal(t, 1, s.Sim.DigestChallenges(), "one challenge for the whole process")
}

func TestProvisionWithoutOwnershipTag(t *testing.T) {
	t.Parallel()
	s := setup(t, atlassim.Config{})
	in := flex(t)
	in.OwnershipTag = new(false)
	cluster, err := execute(s, in)
	require.NoError(t, err)
	require.Equal(t, in.Tags, cluster.Tags)
}

// The same request again returns the cluster that the run before made.
func TestProvisionUnchanged(t *testing.T) {
	t.Parallel()
	s := setup(t, atlassim.Config{})
	first, err := execute(s, flex(t))
	require.NoError(t, err)
	second, err := execute(s, flex(t))
	require.NoError(t, err)
	require.Equal(t, contract.Unchanged, second.Outcome)
	record(s, "provision-unchanged")
	require.Equal(t, first.ID, second.ID)
	require.Equal(t, 1, s.Sim.Count(atlassim.Created))
}

// A run whose cluster name belongs to a cluster that is being deleted waits until the name is free.
func TestProvisionAfterDelete(t *testing.T) {
	t.Parallel()
	s := setup(t,
		atlassim.Config{DeleteFor: atlassim.Duration(time.Second), NameHeldFor: atlassim.Duration(time.Second)},
	)
	_, err := execute(s, flex(t))
	require.NoError(t, err)
	require.NoError(t, s.Sim.Delete(project, flex(t).Name))
	cluster, err := execute(s, flex(t))
	require.NoError(t, err)
	require.Equal(t, contract.Created, cluster.Outcome)
	require.Equal(t, 2, s.Sim.Count(atlassim.Created))
}

// A long wait leaves the same history as a short one, occupies no worker between its attempts, and shows the state of
// the cluster and when Atlas is asked next.
func TestLongWait(t *testing.T) {
	t.Parallel()
	s := setup(t, atlassim.Config{CreateFor: atlassim.Duration(3 * time.Second)})
	run := start(s, flex(t))
	testenv.Eventually(t, func() bool { return s.Sim.SetState(project, flex(t).Name, "CREATING") == nil })
	testenv.Eventually(t, func() bool {
		status, err := s.Client.Status(s.Context(), run.WorkflowID, run.RunID)
		return err == nil && status.Pending != nil && status.Pending.Attempt > 5 &&
			!status.Pending.NextAttempt.IsZero() &&
			status.Pending.ClusterState == "CREATING"
	})
	status, err := s.Client.Status(s.Context(), run.WorkflowID, run.RunID)
	require.NoError(t, err)
	require.Regexp(t, `^cluster "`+flex(t).Name+`": CREATING for \d+s; next look in 0s$`, status.Pending.LastFailure)
	require.Regexp(t,
		`^Atlas is creating Flex cluster "`+flex(t).Name+`"\.`+fmt.Sprintf(waitingDetails, "CREATING"),
		currentDetails(s, run),
	)
	require.NoError(t, s.Sim.SetState(project, flex(t).Name, ""))
	cluster, err := result(s, run)
	require.NoError(t, err)
	require.Equal(t, contract.Created, cluster.Outcome)
	require.Len(t, s.History(run), maxEvents)
}

// Six callers that ask for the same cluster at once get the same cluster.
func TestSixStartsMakeOneCluster(t *testing.T) {
	t.Parallel()
	s := setup(t, atlassim.Config{CreateFor: atlassim.Duration(time.Second)})
	var wg sync.WaitGroup
	clusters := make([]contract.Cluster, 6)
	joined := make([]bool, 6)
	errs := make([]error, 6)
	for i := range clusters {
		wg.Go(func() {
			run, err := s.Client.Start(s.Context(), flex(t))
			if err == nil {
				joined[i] = run.Joined
				clusters[i], err = s.Client.Result(s.Context(), run.WorkflowID, run.RunID)
			}
			errs[i] = err
		})
	}
	wg.Wait()
	starters := 0
	for i := range clusters {
		require.NoError(t, errs[i])
		require.Equal(t, clusters[0], clusters[i])
		if !joined[i] {
			starters++
		}
	}
	require.Equal(t, 1, starters)
	require.Equal(t, contract.Created, clusters[0].Outcome)
	require.Equal(t, 1, s.Requests("POST", "/flexClusters"))
}

func TestRequestConflict(t *testing.T) {
	t.Parallel()
	s := setup(t, atlassim.Config{CreateFor: atlassim.Duration(time.Second)})
	in := flex(t)
	run := start(s, in)

	other := flex(t)
	other.ProviderSettings.RegionName = "EU_WEST_1"
	other.Tags = append(other.Tags, contract.Tag{Key: "stage", Value: "test"})
	_, err := s.Client.Start(s.Context(), other)
	f := testenv.Failure(t, err)
	require.Equal(t, contract.RequestConflict, f.Type)
	require.Equal(t,
		fmt.Sprintf(
			`a different request runs under workflow id %q (ProvisionFlexCluster): providerSettings.regionName is `+
				`"US_EAST_1", requested "EU_WEST_1"; `+
				`tags.stage is none, requested "test". It was left alone: wait for its end, cancel it, or ask for `+
				`the same`,
			run.WorkflowID,
		),
		f.Message,
	)
	require.Equal(t, []contract.Difference{
		{Field: "providerSettings.regionName", Requested: `"EU_WEST_1"`, Existing: `"US_EAST_1"`},
		{Field: "tags.stage", Requested: `"test"`, Existing: "none"},
	}, f.Details.Differences)

	// A request that spells out the defaults is the same request, and so is one with another time limit.
	same := flex(t)
	same.TimeoutSeconds, same.OwnershipTag = new(60), new(true)
	joined, err := s.Client.Start(s.Context(), same)
	require.NoError(t, err)
	require.Equal(t, provisioner.Run{WorkflowID: run.WorkflowID, RunID: run.RunID, Joined: true}, joined)

	cluster, err := result(s, run)
	require.NoError(t, err)
	require.Equal(t, contract.Created, cluster.Outcome)
	require.Equal(t, "US_EAST_1", cluster.ProviderSettings.RegionName)
}

// Two operations on one cluster exclude one another: while one runs, the other is refused with REQUEST_CONFLICT,
// which names the workflow that runs, and the run is left alone. When it has ended, the other can start.
func TestSecondOperationConflicts(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name              string
		first, second     func(*testing.T) contract.Request
		running, refused  string // workflow types
		creates, upgrades int    // requests to Atlas
	}{
		{name: "upgrade during a provision", first: flexRequest, second: serverlessRequest,
			running: "ProvisionFlexCluster", refused: "UpgradeToServerless", creates: 1},
		{name: "provision during an upgrade", first: serverlessRequest, second: flexRequest,
			running: "UpgradeToServerless", refused: "ProvisionFlexCluster", upgrades: 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			config := atlassim.Config{CreateFor: slowCreate.CreateFor, UpgradeFor: slowCreate.CreateFor}
			if test.running == "UpgradeToServerless" {
				config = withShared(t, config)
			}
			s := setup(t, config)
			run := start(s, test.first(t))
			require.Equal(t, "atlas-cluster-"+project+"-"+testenv.ClusterName(t), run.WorkflowID)
			awaitCreatingOrUpgrading(s, run)

			_, err := s.Client.Start(s.Context(), test.second(t))
			f := testenv.Failure(t, err)
			require.Equal(t, contract.RequestConflict, f.Type)
			require.Equal(t,
				fmt.Sprintf("a different request runs under workflow id %q (%s): workflowType is %s, requested %s. "+
					"It was left alone: wait for its end, cancel it, or ask for the same",
					run.WorkflowID, test.running, test.running, test.refused),
				f.Message,
			)
			require.Equal(t, provisioner.Running, f.State)
			require.Equal(t, test.creates, s.Requests("POST", "/flexClusters"))
			require.Equal(t, test.upgrades, s.Requests("POST", upgradePath))

			require.NoError(t, s.Client.Cancel(s.Context(), run.WorkflowID, run.RunID))
			_, err = s.Client.Result(s.Context(), run.WorkflowID, run.RunID)
			require.Equal(t, "CANCELED", testenv.Failure(t, err).Type)
			next := start(s, test.second(t))
			require.Equal(t, run.WorkflowID, next.WorkflowID)
			require.False(t, next.Joined)
		})
	}
}

// awaitCreatingOrUpgrading waits until a run waits for what Atlas does.
func awaitCreatingOrUpgrading(s *testenv.Stack, run provisioner.Run) {
	s.TB().Helper()
	testenv.Eventually(s.TB(), func() bool {
		status, err := s.Client.Status(s.Context(), run.WorkflowID, run.RunID)
		return err == nil && status.Pending != nil && status.Pending.ClusterState != ""
	})
}

func TestStatusQuery(t *testing.T) {
	t.Parallel()
	s := setup(t, atlassim.Config{CreateFor: atlassim.Duration(2 * time.Second)})
	before := time.Now().Add(-time.Minute)
	run := start(s, flex(t))
	query := func() (status contract.Status) {
		answer, err := s.Temporal.QueryWorkflow(s.Context(), run.WorkflowID, run.RunID, contract.StatusQuery)
		require.NoError(t, err)
		require.NoError(t, answer.Get(&status))
		return status
	}
	testenv.Eventually(t, func() bool { return query().Phase == contract.PhaseWaiting })
	status := query()
	require.Equal(t, "CREATING", status.StateName)
	require.True(t, status.Since.After(before))
	_, err := result(s, run)
	require.NoError(t, err)
	status = query()
	require.Equal(t, contract.PhaseDone, status.Phase)
	require.Equal(t, "IDLE", status.StateName)
}

// The Web UI shows sentences, and the search attributes find the run.
func TestWebUITexts(t *testing.T) {
	t.Parallel()
	s := setup(t, atlassim.Config{})
	in := flex(t)
	run := start(s, in)
	_, err := result(s, run)
	require.NoError(t, err)

	described, err := s.Temporal.DescribeWorkflow(s.Context(), run.WorkflowID, run.RunID)
	require.NoError(t, err)
	summary, err := described.GetStaticSummary()
	require.NoError(t, err)
	require.Equal(t, "Provision Flex cluster "+in.Name+" in AWS US_EAST_1", summary)
	details, err := described.GetStaticDetails()
	require.NoError(t, err)
	require.Equal(t,
		"- Project: `"+project+"`\n- Cluster: `"+in.Name+"`\n- Where: AWS US_EAST_1\n- Time limit: 30m0s",
		details,
	)

	require.Equal(t, fmt.Sprintf("Cluster %q is IDLE (CREATED).", in.Name), currentDetails(s, run))

	var summaries []string
	for _, e := range s.History(run) {
		if e.GetEventType() == enumspb.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED {
			summaries = append(summaries, string(e.GetUserMetadata().GetSummary().GetData()))
		}
	}
	require.Equal(t,
		[]string{
			`"Create Flex cluster ` + in.Name + ` in AWS US_EAST_1"`,
			`"Wait until cluster ` + in.Name + ` is IDLE"`,
		},
		summaries,
	)

	testenv.Eventually(t, func() bool {
		found, err := s.Client.List(
			s.Context(),
			fmt.Sprintf(
				`AtlasProjectId = '%s' AND AtlasClusterName = '%s' AND AtlasClusterState = 'IDLE'`,
				project,
				in.Name,
			),
			10,
		)
		return err == nil && len(found) == 1 && found[0].RunID == run.RunID
	})
}

// currentDetails returns the text that the Web UI shows as the run's current details.
func currentDetails(s *testenv.Stack, run provisioner.Run) string {
	s.TB().Helper()
	answer, err := s.Temporal.QueryWorkflow(s.Context(), run.WorkflowID, run.RunID, "__temporal_workflow_metadata")
	require.NoError(s.TB(), err)
	var metadata sdkpb.WorkflowMetadata
	require.NoError(s.TB(), answer.Get(&metadata))
	return metadata.GetCurrentDetails()
}

// waitingDetails is the end of the current details of a run that waits.
const waitingDetails = ` The last answer was %s, at \d\d:\d\d:\d\d UTC on \d{4}-\d\d-\d\d\. Waiting until it is ` +
	`IDLE: newer answers, since when, and the next look stand under Pending Activities\.$`

// A caller in any language can start a workflow: the input is JSON, and the names are those of the contract.
func TestStartWithoutOurClient(t *testing.T) {
	t.Parallel()
	s := setup(t, atlassim.Config{})
	name := flex(t).Name
	run, err := s.Temporal.ExecuteWorkflow(
		s.Context(),
		client.StartWorkflowOptions{ID: "by-hand-" + name, TaskQueue: s.TaskQueue},
		"ProvisionFlexCluster",
		map[string]any{
			"groupId": project, "name": name,
			"providerSettings": map[string]any{"backingProviderName": "GCP", "regionName": "WESTERN_EUROPE"},
			"tags":             []any{}, "terminationProtectionEnabled": false,
			"timeoutSeconds": 1800, "ownershipTag": true,
		},
	)
	require.NoError(t, err)
	var result map[string]any
	require.NoError(t, run.Get(s.Context(), &result))
	require.Equal(t, "CREATED", result["outcome"])
	require.Equal(t, "FLEX", result["clusterType"])
	require.Equal(t, []any{}, result["warnings"])
	require.Equal(t,
		[]any{map[string]any{"key": "atlas-provisioner-workflow", "value": "by-hand-" + name}},
		result["tags"],
	)
}

// A worker that stops ends its attempts of waits, and another worker goes on with them at once.
func TestStopLetsWaitsGoOn(t *testing.T) {
	t.Parallel()
	pace := testworker.Quick
	pace.Fast, pace.FastEvery = time.Hour, 500*time.Millisecond
	s := testenv.New(t, atlassim.Config{CreateFor: atlassim.Duration(time.Hour)})
	w := testworker.Start(s, testworker.WithPace(pace))
	run := start(s, flex(t))
	testenv.Eventually(t, func() bool { return s.Requests("GET", "/"+flex(t).Name) > 1 })
	w.Stop()
	status, err := s.Client.Status(s.Context(), run.WorkflowID, run.RunID)
	require.NoError(t, err)
	require.Equal(t,
		fmt.Sprintf(`cluster %q: the worker is stopping; another one goes on`, flex(t).Name),
		status.Pending.LastFailure,
	)
	require.Equal(t, 2, status.Pending.Attempt)

	testworker.Start(s, testworker.WithPace(pace))
	require.NoError(t, s.Sim.SetState(project, flex(t).Name, "IDLE"))
	cluster, err := result(s, run)
	require.NoError(t, err)
	require.Equal(t, contract.Created, cluster.Outcome)
}

func TestCancel(t *testing.T) {
	t.Parallel()
	t.Run("while waiting", func(t *testing.T) {
		t.Parallel()
		s := setup(t, atlassim.Config{CreateFor: atlassim.Duration(time.Hour)})
		run := start(s, flex(t))
		testenv.Eventually(t, func() bool { return s.Requests("GET", "/"+flex(t).Name) > 1 })
		require.NoError(t, s.Client.Cancel(s.Context(), run.WorkflowID, run.RunID))
		_, err := result(s, run)
		require.Equal(t,
			&provisioner.Failure{
				State:   provisioner.Canceled,
				Type:    "CANCELED",
				Message: "the run was cancelled; what it made is left as it is",
			},
			testenv.Failure(t, err),
		)
		require.Len(t, s.Sim.Clusters(), 1, "the cluster is left")
		record(s, "provision-canceled-while-waiting")
	})
	t.Run("while Atlas is asked", func(t *testing.T) {
		t.Parallel()
		arrived, release := make(chan struct{}), make(chan struct{})
		s := setup(t, atlassim.Config{Hook: func(stage atlassim.Stage, e atlassim.Entry) {
			if stage == atlassim.Arrived && e.Method == "POST" && e.Authenticated {
				close(arrived)
				<-release
			}
		}})
		run := start(s, flex(t))
		<-arrived
		require.NoError(t, s.Client.Cancel(s.Context(), run.WorkflowID, run.RunID))
		close(release)
		_, err := result(s, run)
		require.Equal(t, provisioner.Canceled, testenv.Failure(t, err).State)
		require.Len(t, s.Sim.Clusters(), 1, "the request that was sent is not cancelled")
		record(s, "provision-canceled-while-asking")
	})
	t.Run("before a worker has it", func(t *testing.T) {
		t.Parallel()
		s := testenv.New(t, atlassim.Config{})
		run := start(s, flex(t))
		require.NoError(t, s.Client.Cancel(s.Context(), run.WorkflowID, run.RunID))
		testworker.Start(s)
		_, err := result(s, run)
		require.Equal(t, provisioner.Canceled, testenv.Failure(t, err).State)
		require.Zero(t, s.Requests("POST", "/flexClusters"))
	})
}

// On a server without the search attributes no run sets them, and no run fails.
func TestServerWithoutSearchAttributes(t *testing.T) {
	t.Parallel()
	bare, err := testenv.StartBareServer()
	require.NoError(t, err)
	t.Cleanup(func() { _ = bare.Stop() })
	s := testenv.NewOn(t, bare, t.Name(), atlassim.Config{})
	w := testworker.Start(s)
	cluster, err := execute(s, flex(t))
	require.NoError(t, err)
	require.Equal(t, contract.Created, cluster.Outcome)
	record(s, "provision-without-search-attributes")
	for _, e := range s.History(latestRun(s)) {
		require.NotEqual(t, enumspb.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES, e.GetEventType())
	}
	require.Contains(t, w.Logs.String(),
		"temporal operator search-attribute create --type Keyword --name AtlasProjectId",
	)
}
