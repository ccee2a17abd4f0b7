package integration

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv/testworker"
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
