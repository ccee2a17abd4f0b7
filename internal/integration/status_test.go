package integration

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	sdkpb "go.temporal.io/api/sdk/v1"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv"
	"github.com/atlas-provisioner/atlas-provisioner/provisioner"
)

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
		"- Project: `"+project+"`\n- Cluster: `"+in.Name+"`\n- Where: AWS US_EAST_1\n- Tags: `team=orders`\n"+
			"- Time limit: 30m0s",
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
