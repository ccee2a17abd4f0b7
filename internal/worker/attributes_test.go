package worker

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	commandpb "go.temporal.io/api/command/v1"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/searchattributes"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv"
	"github.com/atlas-provisioner/atlas-provisioner/workflows"
)

// notAnOperator is a client that may use its namespace and nothing else, as every one of Temporal Cloud.
type notAnOperator struct{}

func (notAnOperator) CheckCallAllowed(_ context.Context, method string, _, _ any) error {
	if strings.Contains(method, "operatorservice") {
		return serviceerror.NewPermissionDenied("Request unauthorized.", "")
	}
	return nil
}

// checked answers the search attributes that a worker takes for usable when it starts, and what it logs of them.
func checked(t *testing.T, options client.Options) (usable []string, logs *observer.ObservedLogs) {
	t.Helper()
	core, logs := observer.New(zap.DebugLevel)
	options.HostPort, options.Logger = testenv.Shared().Address(), testenv.Quiet()
	c, err := client.Dial(options)
	require.NoError(t, err)
	defer c.Close()
	attributes := &searchAttributes{logger: zap.New(core)}
	attributes.check(t.Context(), c, options.Namespace)
	return attributes.Usable(), logs
}

// A worker that is no operator counts workflows to learn which search attributes there are.
func TestSearchAttributesWithoutOperator(t *testing.T) {
	t.Parallel()
	usable, logs := checked(t, client.Options{Namespace: "default", TrafficController: notAnOperator{}})
	require.Equal(t, searchattributes.Names, usable)
	require.Empty(t, logs.All())
}

// Search attributes that cannot be asked for are set until Temporal refuses them, and the log says why.
func TestSearchAttributesUnknown(t *testing.T) {
	t.Parallel()
	usable, logs := checked(t, client.Options{Namespace: "no-such-namespace"})
	require.Equal(t, searchattributes.Names, usable)
	require.Len(t, logs.All(), 1)
	require.Equal(t, "The namespace's search attributes cannot be read, so they are set until Temporal refuses them",
		logs.All()[0].Message)
	require.Contains(t, logs.All()[0].ContextMap()["error"], "no-such-namespace is not found")
}

// attributesServer is a Temporal of its own with the search attributes of the given types; one that is missing here is
// missing there.
func attributesServer(t *testing.T, types map[string]enumspb.IndexedValueType) *testenv.Server {
	t.Helper()
	s, err := testenv.StartBareServer()
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Stop() })
	_, err = s.Client().OperatorService().AddSearchAttributes(t.Context(),
		&operatorservice.AddSearchAttributesRequest{Namespace: "default", SearchAttributes: types})
	require.NoError(t, err)
	// The frontend learns of them some seconds later.
	require.Eventually(t, func() bool {
		for name := range types {
			_,
				err := s.Client().CountWorkflow(t.Context(),
				&workflowservice.CountWorkflowExecutionsRequest{Query: name + " IS NULL"})
			if err != nil {
				return false
			}
		}
		return true
	}, testenv.Patience, 100*time.Millisecond)
	return s
}

// history answers the events of a run, which must replay, and how many of its workflow tasks Temporal refused for the
// search attributes that they set.
func (s *stack) history(workflowID string) (events *historypb.History, refused int) {
	s.t.Helper()
	events = &historypb.History{}
	for i := s.on.Client().GetWorkflowHistory(s.ctx(), workflowID, "", false,
		enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT); i.HasNext(); {
		event, err := i.Next()
		require.NoError(s.t, err)
		events.Events = append(events.Events, event)
		if failed := event.GetWorkflowTaskFailedEventAttributes(); failed != nil {
			require.Equal(s.t, enumspb.WORKFLOW_TASK_FAILED_CAUSE_BAD_SEARCH_ATTRIBUTES, failed.GetCause())
			refused++
		}
	}
	replayer := worker.NewWorkflowReplayer()
	flows := &workflows.Workflows{}
	replayer.RegisterWorkflowWithOptions(flows.ProvisionFlexCluster,
		workflow.RegisterOptions{Name: contract.ProvisionFlexCluster})
	require.NoError(s.t, replayer.ReplayWorkflowHistory(testenv.Quiet(), events))
	return events, refused
}

// attributesOf answers the contract's search attributes of a run.
func (s *stack) attributesOf(workflowID string) map[string]string {
	s.t.Helper()
	d, err := s.on.Client().DescribeWorkflowExecution(s.ctx(), workflowID, "")
	require.NoError(s.t, err)
	out := map[string]string{}
	for name, p := range d.GetWorkflowExecutionInfo().GetSearchAttributes().GetIndexedFields() {
		if strings.HasPrefix(name, "Atlas") {
			out[name] = text(s.t, p)
		}
	}
	return out
}

func text(t *testing.T, p *commonpb.Payload) (out string) {
	t.Helper()
	require.NoError(t, converter.GetDefaultDataConverter().FromPayload(p, &out))
	return out
}

// warnings are the lines of the log at level warn and above.
func (l *logs) warnings(t *testing.T) (out []map[string]any) {
	t.Helper()
	for _, line := range l.lines(t) {
		if line["level"] != "info" && line["level"] != "debug" {
			out = append(out, line)
		}
	}
	return out
}

// A search attribute of another type than Keyword is not set: no run is held up by it, the log warns once and names
// it, and the others are set.
func TestSearchAttributeOfAnotherType(t *testing.T) {
	t.Parallel()
	for _, kind := range []enumspb.IndexedValueType{
		enumspb.INDEXED_VALUE_TYPE_INT, enumspb.INDEXED_VALUE_TYPE_KEYWORD_LIST, enumspb.INDEXED_VALUE_TYPE_TEXT,
	} {
		t.Run(kind.String(), func(t *testing.T) {
			t.Parallel()
			s := setupOn(t, attributesServer(t, map[string]enumspb.IndexedValueType{
				contract.SearchAttributeProjectID:    enumspb.INDEXED_VALUE_TYPE_KEYWORD,
				contract.SearchAttributeClusterName:  enumspb.INDEXED_VALUE_TYPE_KEYWORD,
				contract.SearchAttributeClusterState: kind,
			}), atlassim.Config{})
			p := s.run()
			for _, s.name = range []string{"t-one", "t-two"} {
				id := s.start().WorkflowID
				_, err := s.client.Result(s.ctx(), id, "")
				require.NoError(t, err)
				_, refused := s.history(id)
				require.Zero(t, refused)
				require.Equal(t, map[string]string{"AtlasProjectId": group, "AtlasClusterName": s.name},
					s.attributesOf(id))
			}
			require.Equal(t, []map[string]any{{
				"level": "warn", "msg": "A search attribute has another type than Keyword, so it is not set. " +
					"Remove it, add it as Keyword, then restart the worker",
				"attribute": "AtlasClusterState", "type": kind.String(), "namespace": "default",
			}}, p.logs.warnings(t))
		})
	}
}

// A worker that may not read the types learns of a wrong one from the first workflow task that Temporal refuses. That
// run and those after it go on without.
func TestSearchAttributeOfAnUnknownType(t *testing.T) {
	t.Parallel()
	on := attributesServer(t, map[string]enumspb.IndexedValueType{
		contract.SearchAttributeProjectID:    enumspb.INDEXED_VALUE_TYPE_KEYWORD,
		contract.SearchAttributeClusterName:  enumspb.INDEXED_VALUE_TYPE_INT,
		contract.SearchAttributeClusterState: enumspb.INDEXED_VALUE_TYPE_BOOL,
	})
	s := setupOn(t, on, atlassim.Config{})
	l := &logs{}
	config, err := ReadConfig(s.env)
	require.NoError(t, err)
	config.Temporal.TrafficController = notAnOperator{}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Serve(ctx, config, newLogger(config, l)) }()
	t.Cleanup(func() { stop(); require.NoError(t, <-ended) })
	for i, name := range []string{"t-one", "t-two"} {
		s.name = name
		id := s.start().WorkflowID
		_, err := s.client.Result(s.ctx(), id, "")
		require.NoError(t, err)
		_, refused := s.history(id)
		require.Equal(t, []int{1, 0}[i], refused, "the second refusal in a row leaves no event")
		require.Equal(t, map[string]string{"AtlasProjectId": group}, s.attributesOf(id))
	}
	warnings := l.warnings(t)
	require.Len(t, warnings, 2)
	for _, warning := range warnings {
		require.Equal(t,
			"Temporal refuses a search attribute, so runs go on without it. Add it as Keyword, then restart the worker",
			warning["msg"])
		require.Contains(t, warning["error"], "search attribute "+warning["attribute"].(string)+" of type ")
	}
}

// A search attribute that is removed while a run waits holds up neither that run nor one that starts later.
func TestSearchAttributeRemoved(t *testing.T) {
	t.Parallel()
	on, err := testenv.StartServer()
	require.NoError(t, err)
	t.Cleanup(func() { _ = on.Stop() })
	s := setupOn(t, on, atlassim.Config{})
	p := s.run()
	s.sim.AddFault(atlassim.Fault{Kind: atlassim.FaultStatus, Status: 503, Method: "GET"}) // it waits until then
	id := s.start().WorkflowID
	s.asked("GET")
	remove := func() {
		_,
			err := on.Client().OperatorService().RemoveSearchAttributes(s.ctx(),
			&operatorservice.RemoveSearchAttributesRequest{
				Namespace: "default", SearchAttributes: []string{contract.SearchAttributeClusterState},
			})
		require.NoError(t, err)
		require.Eventually(t, func() bool { // the servers learn of it some seconds later
			_,
				err := on.Client().CountWorkflow(s.ctx(),
				&workflowservice.CountWorkflowExecutionsRequest{Query: "AtlasClusterState = ''"})
			return err != nil
		}, testenv.Patience, 100*time.Millisecond)
	}
	remove()
	s.sim.ClearFaults()
	_, err = s.client.Result(s.ctx(), id, "")
	require.NoError(t, err)
	_, refused := s.history(id)
	require.Equal(t, 1, refused)

	s.name = "t-later"
	id = s.start().WorkflowID
	_, err = s.client.Result(s.ctx(), id, "")
	require.NoError(t, err)
	_, refused = s.history(id)
	require.Zero(t, refused)
	require.Equal(t, map[string]string{"AtlasProjectId": group, "AtlasClusterName": "t-later"}, s.attributesOf(id))

	var warnings []map[string]any
	for _, line := range p.logs.warnings(t) {
		if strings.Contains(line["msg"].(string), "search attribute") {
			warnings = append(warnings, line)
		}
	}
	require.Equal(t, []map[string]any{
		{
			"level": "warn",
			"msg": "Temporal refuses a search attribute, so runs go on without it. Add it as Keyword, then " +
				"restart the worker",
			"attribute": "AtlasClusterState",
			"error": "BadSearchAttributes: Namespace default has no mapping defined for search attribute " +
				"AtlasClusterState",
		},
	}, warnings)
	status, body := p.get("/readyz")
	require.Equal(t, 200, status, body)
}

// A server can refuse an attribute for some seconds after it was added, so the first refusal counts for a minute and
// the second until the worker starts again.
func TestSearchAttributeRefusedTwice(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.DebugLevel)
		attributes := &searchAttributes{logger: zap.New(core),
			usable: map[string]usability{"AtlasProjectId": {}, "AtlasClusterState": {}}}
		refuse := func() {
			upsert := &commandpb.UpsertWorkflowSearchAttributesCommandAttributes{
				SearchAttributes: &commonpb.SearchAttributes{
					IndexedFields: map[string]*commonpb.Payload{"AtlasProjectId": nil, "AtlasClusterState": nil},
				},
			}
			task := &workflowservice.RespondWorkflowTaskCompletedRequest{Commands: []*commandpb.Command{{
				Attributes: &commandpb.Command_UpsertWorkflowSearchAttributesCommandAttributes{
					UpsertWorkflowSearchAttributesCommandAttributes: upsert,
				},
			}}}
			err := attributes.intercept(t.Context(), "", task, nil, nil,
				func(context.Context, string, any, any, *grpc.ClientConn, ...grpc.CallOption) error {
					return status.Error(codes.InvalidArgument,
						"BadSearchAttributes: no mapping defined for search attribute AtlasClusterState")
				})
			require.Error(t, err)
		}
		refuse()
		refuse() // of another run, at the same moment
		require.Equal(t, []string{"AtlasProjectId"}, attributes.Usable())
		time.Sleep(refusedFor)
		require.Equal(t, []string{"AtlasProjectId", "AtlasClusterState"}, attributes.Usable())
		refuse()
		time.Sleep(24 * time.Hour)
		require.Equal(t, []string{"AtlasProjectId"}, attributes.Usable())
		require.Len(t, logs.All(), 1)
	})
}
