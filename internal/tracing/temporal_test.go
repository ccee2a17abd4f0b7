package tracing_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv"
)

// The lines that workflows and activities log name their spans. A run that goes on as a new one has not failed.
func TestLogsAndSpans(t *testing.T) {
	t.Parallel()
	collector := testenv.StartCollector(t)
	traces := newTracing(t, nil, collector.Env()...)
	interceptors, err := traces.Interceptors(nil)
	require.NoError(t, err)

	var logs bytes.Buffer
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.NewJSONHandler(&logs, nil))))
	env := suite.NewTestWorkflowEnvironment()
	env.SetWorkerOptions(worker.Options{
		Interceptors: []interceptor.WorkerInterceptor{interceptors[0].(interceptor.WorkerInterceptor)},
	})
	look := func(ctx context.Context) error {
		activity.GetLogger(ctx).Info("from the activity")
		return nil
	}
	env.RegisterActivityWithOptions(look, activity.RegisterOptions{Name: "Look"})
	renew := func(ctx workflow.Context) error {
		workflow.GetLogger(ctx).Info("from the workflow")
		ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: testenv.Patience})
		if err := workflow.ExecuteActivity(ctx, "Look").Get(ctx, nil); err != nil {
			return err
		}
		return workflow.NewContinueAsNewError(ctx, "Renew")
	}
	env.RegisterWorkflowWithOptions(renew, workflow.RegisterOptions{Name: "Renew"})
	env.ExecuteWorkflow("Renew")
	require.True(t, workflow.IsContinueAsNewError(env.GetWorkflowError()))
	require.NoError(t, traces.Close())

	var names []string
	spans := map[string]testenv.Span{}
	for _, span := range collector.Spans() {
		names = append(names, span.Name)
		spans[span.Name] = span
		require.Equal(t, collector.Spans()[0].TraceID, span.TraceID)
		require.False(t, span.Failed, span.Name)
	}
	require.ElementsMatch(t, []string{"RunWorkflow:Renew", "StartActivity:Look", "RunActivity:Look"}, names)
	lines := map[string]map[string]any{}
	for text := range strings.Lines(logs.String()) {
		var line map[string]any
		require.NoError(t, json.Unmarshal([]byte(text), &line))
		lines[line["msg"].(string)] = line
	}
	for message, name := range map[string]string{
		"from the workflow": "RunWorkflow:Renew", "from the activity": "RunActivity:Look",
	} {
		require.Equal(t, spans[name].TraceID, lines[message]["trace_id"])
		require.Equal(t, spans[name].ID, lines[message]["span_id"])
	}
}
