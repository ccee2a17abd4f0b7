package workflows_test

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/atlas-provisioner/atlas-provisioner/activities"
	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/workflows"
)

// Every operation in the table has a workflow, an activity, and recorded histories of each way in which it can end.
func TestOperationsAreComplete(t *testing.T) {
	t.Parallel()
	ends := map[string]map[enumspb.EventType]bool{}
	files, err := filepath.Glob("testdata/*.json")
	require.NoError(t, err)
	for _, file := range files {
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		var history historypb.History
		require.NoError(t, protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(data, &history), file)
		events := history.GetEvents()
		workflowType := events[0].GetWorkflowExecutionStartedEventAttributes().GetWorkflowType().GetName()
		if ends[workflowType] == nil {
			ends[workflowType] = map[enumspb.EventType]bool{}
		}
		ends[workflowType][events[len(events)-1].GetEventType()] = true
	}
	for _, operation := range contract.Operations() {
		_, hasWorkflow := reflect.TypeFor[*workflows.Workflows]().MethodByName(operation.WorkflowType)
		require.True(t, hasWorkflow, "package workflows lacks the method %s", operation.WorkflowType)
		if operation.Activity != "" {
			_, hasActivity := reflect.TypeFor[*activities.Activities]().MethodByName(operation.Activity)
			require.True(t, hasActivity, "package activities lacks the method %s", operation.Activity)
		}
		for _, end := range []enumspb.EventType{
			enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED, enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED,
			enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED,
		} {
			require.True(t, ends[operation.WorkflowType][end], "testdata lacks a history of %s that ends with %s",
				operation.WorkflowType, end)
		}
	}
}
