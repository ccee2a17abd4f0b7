package worker

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/atlas-provisioner/atlas-provisioner/internal/searchattributes"
)

// searchAttributes knows which of the contract's search attributes may be set. A workflow task that sets one which
// the namespace lacks, or has with another type than Keyword, is refused as a whole, and its run would stand still.
// So they are checked at the start, and one that is refused later is no longer set.
type searchAttributes struct {
	logger *zap.Logger

	mu     sync.Mutex
	usable map[string]usability // by name; those that were not there at the start are missing
}

type usability struct {
	refusals int
	until    time.Time // a refused attribute is not set before then
}

const (
	// refusedFor is how long an attribute is not set after its first refusal. A server that was told of an attribute a
	// moment ago refuses it for some 10 s more.
	refusedFor = time.Minute
	// maxRefusals is how many refusals an attribute gets until the worker starts again. Each costs a run a workflow
	// task, which it gets again at once.
	maxRefusals = 2
)

// Usable answers the names of those that may be set now.
func (s *searchAttributes) Usable() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(searchattributes.Names),
		func(name string) bool { return !s.usableLocked(name) })
}

func (s *searchAttributes) usableLocked(name string) bool {
	u, there := s.usable[name]
	return there && u.refusals < maxRefusals && !time.Now().Before(u.until)
}

// check asks the namespace for the attributes. It adds none: that is for whoever runs Temporal.
func (s *searchAttributes) check(ctx context.Context, c client.Client, namespace string) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	types, err := searchattributes.Types(ctx, c, namespace)
	if err != nil {
		s.logger.Warn("The namespace's search attributes cannot be read, so they are set until Temporal refuses them",
			zap.Error(err))
		// Runs that began with them keep them: a Temporal that is slow at the start of a worker changes no history.
		types = map[string]enumspb.IndexedValueType{}
		for _, name := range searchattributes.Names {
			types[name] = enumspb.INDEXED_VALUE_TYPE_KEYWORD
		}
	}
	usable := map[string]usability{}
	var lacking []string
	for _, name := range searchattributes.Names {
		switch got := types[name]; got {
		case enumspb.INDEXED_VALUE_TYPE_KEYWORD:
			usable[name] = usability{}
		case enumspb.INDEXED_VALUE_TYPE_UNSPECIFIED:
			lacking = append(lacking, name)
		default:
			s.logger.Warn("A search attribute has another type than Keyword, so it is not set. "+
				"Remove it, add it as Keyword, then restart the worker",
				zap.String("attribute", name), zap.Stringer("type", got), zap.String("namespace", namespace))
		}
	}
	if len(lacking) > 0 {
		s.logger.Warn("The namespace lacks search attributes, so they are not set. Add them, then restart the worker",
			zap.String("add", searchattributes.AddCommand(namespace, lacking...)))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.usable = usable
}

// intercept is a [grpc.UnaryClientInterceptor] that notices when Temporal refuses a workflow task for its search
// attributes. Temporal gives the task out again at once, and by then they are no longer usable.
func (s *searchAttributes) intercept(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn,
	invoke grpc.UnaryInvoker, options ...grpc.CallOption,
) error {
	err := invoke(ctx, method, req, reply, conn, options...)
	if task, ok := req.(*workflowservice.RespondWorkflowTaskCompletedRequest); ok && err != nil {
		if answer := status.Convert(err); answer.Code() == codes.InvalidArgument &&
			strings.Contains(answer.Message(), refusedSearchAttributes) {
			s.refused(task, answer.Message())
		}
	}
	return err
}

// refusedSearchAttributes begins the server's message for WORKFLOW_TASK_FAILED_CAUSE_BAD_SEARCH_ATTRIBUTES.
var refusedSearchAttributes = enumspb.WORKFLOW_TASK_FAILED_CAUSE_BAD_SEARCH_ATTRIBUTES.String()

// refused gives up the attributes of a task that the message names, or all of them where it names none.
func (s *searchAttributes) refused(task *workflowservice.RespondWorkflowTaskCompletedRequest, message string) {
	var all, named []string
	for _, command := range task.GetCommands() {
		for name := range command.GetUpsertWorkflowSearchAttributesCommandAttributes().GetSearchAttributes().GetIndexedFields() {
			all = append(all, name)
			if strings.Contains(message, name) {
				named = append(named, name)
			}
		}
	}
	if len(named) == 0 {
		named = all
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range named {
		if !s.usableLocked(name) {
			continue // another run was refused before
		}
		refusals := s.usable[name].refusals + 1
		s.usable[name] = usability{refusals, time.Now().Add(refusedFor)}
		if refusals == 1 {
			s.logger.Warn("Temporal refuses a search attribute, so runs go on without it. "+
				"Add it as Keyword, then restart the worker",
				zap.String("attribute", name), zap.String("error", message))
		}
	}
}
