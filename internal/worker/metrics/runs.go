package metrics

import (
	"errors"
	"regexp"

	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
)

// CountRuns is a [interceptor.WorkerInterceptor] that counts how the runs of a worker end.
type CountRuns struct {
	interceptor.WorkerInterceptorBase
}

// InterceptWorkflow wraps the runs of a workflow.
func (*CountRuns) InterceptWorkflow(
	_ workflow.Context, next interceptor.WorkflowInboundInterceptor,
) interceptor.WorkflowInboundInterceptor {
	return &countedRun{interceptor.WorkflowInboundInterceptorBase{Next: next}}
}

type countedRun struct {
	interceptor.WorkflowInboundInterceptorBase
}

// ExecuteWorkflow counts with the workflow's own metrics handler, which does nothing on replay.
func (r *countedRun) ExecuteWorkflow(ctx workflow.Context, in *interceptor.ExecuteWorkflowInput) (any, error) {
	result, err := r.Next.ExecuteWorkflow(ctx, in)
	isCheck := workflow.GetInfo(ctx).WorkflowType.Name == contract.CheckWorker // it is about no cluster
	if isCheck || workflow.IsContinueAsNewError(err) {                         // the lease goes on
		return result, err
	}
	outcome, state := describeEnd(result, err)
	handler := workflow.GetMetricsHandler(ctx)
	handler.WithTags(map[string]string{"outcome": label(outcome), "state": label(state)}).Counter(nameClusters).Inc(1)
	if hasChanged(result, err) {
		handler.Timer(nameRun).Record(workflow.Now(ctx).Sub(workflow.GetInfo(ctx).WorkflowStartTime))
	}
	return result, err
}

// hasChanged reports whether a run has brought Atlas to what was asked. One that found it so took no time.
func hasChanged(result any, err error) bool {
	cluster, _ := result.(*contract.Cluster)
	return err == nil && cluster != nil && cluster.Outcome != contract.Unchanged
}

// describeEnd returns the outcome of a run, or the type of its failure, and the last state of its cluster, "" where no
// state is known.
func describeEnd(result any, err error) (outcome, state string) {
	var failure *temporal.ApplicationError
	var canceled *temporal.CanceledError
	cluster, _ := result.(*contract.Cluster)
	lease, _ := result.(*contract.LeaseResult)
	switch {
	case err == nil && lease != nil:
		return string(lease.Outcome), lease.Cluster.StateName
	case err == nil && cluster != nil:
		return string(cluster.Outcome), cluster.StateName
	case errors.As(err, &canceled):
		return "CANCELED", ""
	case errors.As(err, &failure):
		var details contract.FailureDetails
		if failure.HasDetails() {
			_ = failure.Details(&details) // details of another shape hold no state
		}
		return failure.Type(), details.StateName
	}
	return "OTHER", ""
}

// atlasName matches the names that Atlas gives to states and errors.
var atlasName = regexp.MustCompile(`^[A-Z0-9_]{0,64}$`)

// label is a text from Atlas if it has the form of a name of Atlas's, so that labels have few values.
func label(name string) string {
	if atlasName.MatchString(name) {
		return name
	}
	return "OTHER"
}
