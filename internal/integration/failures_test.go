package integration

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv"
	"github.com/atlas-provisioner/atlas-provisioner/provisioner"
)

const createPath = "/api/atlas/v2/groups/" + project + "/flexClusters"

// The row INVALID_INPUT: everything that is wrong is named at once, and no request is made.
func TestInvalidInput(t *testing.T) {
	t.Parallel()
	s := setup(t, atlassim.Config{})
	for _, test := range []struct {
		name  string
		args  []any
		wants []contract.Violation
	}{
		{"no input", nil, []contract.Violation{
			{Field: "input", Problem: "must be one JSON object"},
			{Field: "groupId", Problem: `must be the project's id of 24 hexadecimal digits (0-9, a-f), got ""`},
			{Field: "name", Problem: `must begin with a letter or digit and hold only letters, digits and hyphens, ` +
				`got ""`},
			{Field: "providerSettings.backingProviderName", Problem: `must be AWS, AZURE or GCP, got ""`},
			{Field: "providerSettings.regionName", Problem: "must name a region, such as US_EAST_1"},
		}},
		{"not an object", []any{"orders"}, nil},
		{"not JSON", []any{[]byte("\x00\x01")}, nil},
		{"mistyped", []any{map[string]any{
			"groupId": project, "name": 7,
			"providerSettings": map[string]any{"backingProviderName": "AWS", "regionName": "US_EAST_1"},
			"timeoutSeconds":   "30m", "tag": map[string]any{},
		}}, []contract.Violation{
			{Field: "name", Problem: "must be a string, got a JSON number"},
			{Field: "tag", Problem: "is not a known field"},
			{Field: "timeoutSeconds", Problem: "must be a whole number, got a JSON string"},
		}},
	} {
		for _, operation := range contract.Operations() {
			workflow := operation.WorkflowType
			t.Run(test.name+"/"+workflow, func(t *testing.T) {
				// The ownership tag must be able to hold the id.
				id := strings.NewReplacer("/", ".", " ", "-").Replace(t.Name())
				options := client.StartWorkflowOptions{ID: id, TaskQueue: s.TaskQueue}
				started, err := s.Temporal.ExecuteWorkflow(s.Context(), options, workflow, test.args...)
				require.NoError(t, err)
				run := provisioner.Run{WorkflowID: started.GetID(), RunID: started.GetRunID()}
				_, err = result(s, run)
				f := testenv.Failure(t, err)
				require.Equal(t, contract.InvalidInput, f.Type)
				require.Regexp(t,
					`^invalid input: .*\. Nothing was sent to Atlas: correct the input and start the workflow again$`,
					f.Message,
				)
				if test.name == "mistyped" {
					recordRun(s, run, "invalid-input-"+workflow)
				}
				if test.wants != nil && workflow == contract.ProvisionFlexCluster {
					require.Equal(t, test.wants, f.Details.Violations)
				}
			})
		}
	}
	require.Empty(t, s.Sim.Ledger(), "requests")
}

// The row CLUSTER_CONFLICT.
func TestClusterConflict(t *testing.T) {
	t.Parallel()
	t.Run("somebody's twin", func(t *testing.T) {
		t.Parallel()
		for _, tagged := range []bool{true, false} {
			t.Run(fmt.Sprintf("tag %t", tagged), func(t *testing.T) {
				t.Parallel()
				s := setup(t, atlassim.Config{})
				in := flex(t)
				in.OwnershipTag = new(tagged)
				createByOthers(s, in)
				before := s.Sim.Clusters()
				_, err := execute(s, in)
				f := testenv.Failure(t, err)
				require.Equal(t, contract.ClusterConflict, f.Type)
				why := "it carries no tag atlas-provisioner-workflow"
				if !tagged {
					why = "it is older than this run, or not as asked"
				}
				require.Equal(t,
					fmt.Sprintf(
						"cluster %q: the name is taken in this project by a cluster that this workflow did not "+
							"make (%s). "+
							"It was left untouched: choose another name, delete that cluster, or set adopt to take "+
							"it over, then start the workflow again",
						in.Name,
						why,
					),
					f.Message,
				)
				require.Equal(t, before[0].ID, s.Sim.Clusters()[0].ID)
				require.Equal(t, 0,
					s.Sim.Count(atlassim.Created)+s.Sim.Count(atlassim.Deleted)+s.Sim.Count(atlassim.Updated),
				)
			})
		}
	})
	t.Run("somebody's twin after a lost answer", func(t *testing.T) {
		t.Parallel()
		s := setup(t, atlassim.Config{})
		in := flex(t)
		s.Sim.AddFault(atlassim.Fault{Method: http.MethodPost, Kind: atlassim.FaultReset, Times: 1})
		createByOthers(s, in, atlassim.Tag{Key: contract.OwnershipTag, Value: "another-workflow"})
		_, err := execute(s, in)
		f := testenv.Failure(t, err)
		require.Equal(t, contract.ClusterConflict, f.Type)
		require.Contains(t, f.Message,
			`by a cluster that this workflow did not make (workflow "another-workflow" made it). It was left untouched`,
		)
	})
	t.Run("ours but otherwise", func(t *testing.T) {
		t.Parallel()
		s := setup(t, atlassim.Config{})
		_, err := execute(s, flex(t))
		require.NoError(t, err)
		in := flex(t)
		in.ProviderSettings.RegionName, in.TerminationProtectionEnabled, in.Tags = "EU_WEST_1", true, nil
		_, err = execute(s, in)
		f := testenv.Failure(t, err)
		require.Equal(t, contract.ClusterConflict, f.Type)
		require.Equal(t,
			fmt.Sprintf(
				`cluster %q: this workflow made it, but it is not as asked: providerSettings.regionName is `+
					`"US_EAST_1", requested "EU_WEST_1"; `+
					`tags.team is "orders", requested none; terminationProtectionEnabled is "false", requested `+
					`"true". Change the cluster in Atlas or the request, then start the workflow again`,
				in.Name,
			),
			f.Message,
		)
		require.Len(t, f.Details.Differences, 3)
		record(s, "provision-conflict")
	})
	t.Run("another kind", func(t *testing.T) {
		t.Parallel()
		in := flex(t)
		s := setup(t, atlassim.Config{Shared: []atlassim.SharedCluster{{GroupID: project, Name: in.Name}}})
		_, err := execute(s, in)
		f := testenv.Failure(t, err)
		require.Equal(t, contract.ClusterConflict, f.Type)
		require.Equal(t,
			fmt.Sprintf(
				"cluster %q: the name is taken in this project by a cluster that is not a Flex cluster: choose "+
					"another name",
				in.Name,
			),
			f.Message,
		)
	})
}

// The row TIMEOUT.
func TestTimeout(t *testing.T) {
	t.Parallel()
	t.Run("while Atlas creates", func(t *testing.T) {
		t.Parallel()
		s := setup(t, atlassim.Config{CreateFor: atlassim.Duration(time.Hour)})
		in := flex(t)
		in.TimeoutSeconds = new(8)
		_, err := execute(s, in)
		f := testenv.Failure(t, err)
		require.Equal(t, contract.Timeout, f.Type)
		require.Equal(t, contract.FailureDetails{StateName: "CREATING"}, f.Details)
		require.Equal(t,
			fmt.Sprintf("cluster %q was not IDLE within 8s (timeoutSeconds): the last state seen was CREATING. "+
				"The cluster is left as it is (CREATING): start the workflow again under the same id to go on "+
				"waiting, or delete it with the workflow DeleteCluster", in.Name),
			f.Message,
		)
		record(s, "provision-timeout")
	})
	t.Run("without the ownership tag", func(t *testing.T) {
		t.Parallel()
		s := setup(t, atlassim.Config{CreateFor: atlassim.Duration(time.Hour)})
		in := flex(t)
		in.TimeoutSeconds, in.OwnershipTag = new(8), new(false)
		_, err := execute(s, in)
		require.Equal(t,
			fmt.Sprintf("cluster %q was not IDLE within 8s (timeoutSeconds): the last state seen was CREATING. "+
				"The cluster is left as it is (CREATING): without the ownership tag no later run takes it up, so "+
				"wait for it "+
				"or delete it in Atlas", in.Name),
			testenv.Failure(t, err).Message,
		)
	})
	t.Run("while Atlas fails", func(t *testing.T) {
		t.Parallel()
		s := setup(t, atlassim.Config{CreateFor: atlassim.Duration(time.Hour)})
		s.Sim.AddFault(atlassim.Fault{Method: http.MethodGet, Kind: atlassim.FaultHTML, Status: 503})
		in := flex(t)
		in.TimeoutSeconds = new(15)
		_, err := execute(s, in)
		f := testenv.Failure(t, err)
		require.Equal(t, contract.Timeout, f.Type)
		require.Equal(t, 503, f.Details.Status)
		require.Equal(t, "CREATING", f.Details.StateName)
		require.Contains(t, f.Message, "the last state seen was CREATING; the last answer was: ")
		require.Contains(t, f.Message, "Atlas answered 503 Service Unavailable: trying again")
	})
	t.Run("asks to wait too long", func(t *testing.T) {
		t.Parallel()
		s := setup(t, atlassim.Config{CreateFor: atlassim.Duration(time.Hour)})
		s.Sim.AddFault(
			atlassim.Fault{Method: http.MethodGet, Kind: atlassim.FaultHTML, Status: 503, RetryAfter: "3600", Skip: 1},
		)
		_, err := execute(s, flex(t))
		require.Equal(t, contract.Timeout, testenv.Failure(t, err).Type)
	})
	t.Run("no worker", func(t *testing.T) {
		t.Parallel()
		s := setup(t, atlassim.Config{})
		s.Sim.AddFault(
			atlassim.Fault{Method: http.MethodPost, Kind: atlassim.FaultHang, Hang: atlassim.Duration(time.Minute)},
		)
		in := flex(t)
		in.TimeoutSeconds = new(2)
		_, err := execute(s, in)
		f := testenv.Failure(t, err)
		require.Equal(t, contract.Timeout, f.Type)
		require.Equal(t,
			fmt.Sprintf(
				"cluster %q was not IDLE within 2s (timeoutSeconds): no worker finished the request in that time. "+
					"Nothing is known to have been made: start the workflow again under the same id to make sure",
				in.Name,
			),
			f.Message,
		)
		record(s, "provision-timeout-while-asking")
	})
}

// The row CLUSTER_GONE.
func TestClusterGone(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name      string
		deleteFor time.Duration
		want      string
	}{
		{"being deleted", time.Hour, `^cluster "NAME": it is being deleted: to make a new one, start the ` +
			`workflow ProvisionFlexCluster$`},
		{"deleted", time.Nanosecond, `^cluster "NAME": Atlas has known no such cluster for \d+s ` +
			`\(last state CREATING\): to make a new one, start the workflow ProvisionFlexCluster$`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := setup(t,
				atlassim.Config{CreateFor: atlassim.Duration(time.Hour), DeleteFor: atlassim.Duration(test.deleteFor)},
			)
			in := flex(t)
			run := start(s, in)
			testenv.Eventually(t, func() bool { return s.Requests("GET", "/"+in.Name) > 1 })
			require.NoError(t, s.Sim.Delete(project, in.Name))
			_, err := result(s, run)
			f := testenv.Failure(t, err)
			require.Equal(t, contract.ClusterGone, f.Type)
			require.Regexp(t, withName(test.want, in.Name), f.Message)
			record(s, "provision-gone")
		})
	}
}

// Atlas can answer IDLE and never give the connection string.
func TestIdleWithoutStandard(t *testing.T) {
	t.Parallel()
	s := setup(t, atlassim.Config{StandardAfter: atlassim.Duration(time.Hour)})
	cluster, err := execute(s, flex(t))
	require.NoError(t, err)
	require.Empty(t, cluster.ConnectionStrings.Standard)
	require.NotEmpty(t, cluster.ConnectionStrings.StandardSrv)
	require.Len(t, cluster.Warnings, 1)
	require.Regexp(t,
		`^Atlas answered IDLE but gave no connection string of every kind for \d+s: read the cluster again for the `+
			`rest$`,
		cluster.Warnings[0],
	)
	record(s, "provision-idle-without-standard")
}
