package workflows_test

import (
	"context"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/atlas-provisioner/atlas-provisioner/activities"
	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/reads"
	"github.com/atlas-provisioner/atlas-provisioner/workflows"
)

// environment is the SDK's test environment, which skips time: the only way to
// reach a time limit of 90 minutes.
func environment(t *testing.T) *testsuite.TestWorkflowEnvironment {
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(quiet())
	env := suite.NewTestWorkflowEnvironment()
	env.SetTestTimeout(time.Minute)
	env.SetWorkerOptions(worker.Options{Interceptors: []interceptor.WorkerInterceptor{&unlimited{}}})
	flows := &workflows.Workflows{}
	flows.Register(env)
	env.RegisterActivity(activities.New(nil, reads.New(nil), activities.Pace{}))
	t.Cleanup(func() { env.AssertExpectations(t) })
	return env
}

// unlimited lets activities be tried as often as on a real server: the test
// environment takes no maximum for 10.
type unlimited struct {
	interceptor.WorkerInterceptorBase
	interceptor.WorkflowInboundInterceptorBase
	interceptor.WorkflowOutboundInterceptorBase
}

func (u *unlimited) InterceptWorkflow(
	_ workflow.Context, next interceptor.WorkflowInboundInterceptor,
) interceptor.WorkflowInboundInterceptor {
	return &unlimited{WorkflowInboundInterceptorBase: interceptor.WorkflowInboundInterceptorBase{Next: next}}
}

func (u *unlimited) Init(next interceptor.WorkflowOutboundInterceptor) error {
	u.WorkflowOutboundInterceptorBase.Next = next
	return u.WorkflowInboundInterceptorBase.Init(u)
}

func (u *unlimited) ExecuteActivity(ctx workflow.Context, name string, args ...any) workflow.Future {
	options := workflow.GetActivityOptions(ctx)
	options.RetryPolicy.MaximumAttempts = math.MaxInt32
	return u.WorkflowOutboundInterceptorBase.ExecuteActivity(workflow.WithActivityOptions(ctx, options), name, args...)
}

func request(timeoutSeconds *int) map[string]any {
	in := map[string]any{
		"groupId": "32b6e34b3d91647abb20e7b8", "name": "orders",
		"providerSettings": map[string]any{"backingProviderName": "AWS", "regionName": "US_EAST_1"},
	}
	if timeoutSeconds != nil {
		in["timeoutSeconds"] = *timeoutSeconds
	}
	return in
}

// What waits for ever ends at the time limit, by default after 30 and 90
// minutes, however the last attempt ended.
func TestTimeLimit(t *testing.T) {
	t.Parallel()
	day := contract.MaxTimeoutSeconds
	for _, test := range []struct {
		name           string
		workflow       string
		timeoutSeconds *int
		want           time.Duration
		last           error
	}{
		{"provision", contract.ProvisionFlexCluster, nil, 30 * time.Minute, notYet()},
		{"upgrade", contract.UpgradeToServerless, nil, 90 * time.Minute, notYet()},
		{"a day", contract.ProvisionFlexCluster, &day, 24 * time.Hour, notYet()},
		{"while Atlas fails", contract.ProvisionFlexCluster, nil, 30 * time.Minute,
			temporal.NewApplicationErrorWithOptions("Atlas answered 503", "HTTP_503", temporal.ApplicationErrorOptions{
				NextRetryDelay: time.Minute,
				Details:        []any{contract.FailureDetails{Status: 503, StateName: "CREATING"}},
			})},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			env := environment(t)
			made := contract.Cluster{Name: "orders", StateName: "CREATING", Outcome: contract.Created}
			if test.workflow == contract.UpgradeToServerless {
				env.OnActivity(contract.UpgradeToServerlessActivity, mock.Anything, mock.Anything).
					Return(activities.UpgradingCluster{Cluster: made}, nil).
					Once()
			} else {
				env.OnActivity(contract.CreateFlexClusterActivity, mock.Anything, mock.Anything).
					Return(made, nil).
					Once()
			}
			began := env.Now()
			var attempts int32
			env.OnActivity(contract.WaitUntilIdleActivity, mock.Anything, mock.Anything).Return(
				func(ctx context.Context, in activities.WaitInput) (contract.Cluster, error) {
					attempts = activity.GetInfo(ctx).Attempt
					require.Equal(t, began.Add(test.want).Unix(), in.Deadline.Unix())
					return contract.Cluster{}, test.last
				})
			env.ExecuteWorkflow(test.workflow, request(test.timeoutSeconds))
			var f *temporal.ApplicationError
			require.ErrorAs(t, env.GetWorkflowError(), &f)
			require.Equal(t, contract.Timeout, f.Type())
			require.Contains(t, f.Message(),
				`cluster "orders" was not IDLE within `+test.want.String()+" (timeoutSeconds): the last state "+
					"seen was CREATING")
			var details contract.FailureDetails
			require.NoError(t, f.Details(&details))
			require.Equal(t, "CREATING", details.StateName)
			require.LessOrEqual(t, env.Now().Sub(began), test.want)
			require.Greater(t, attempts, int32(25))
		})
	}
}

func notYet() error {
	return temporal.NewApplicationErrorWithOptions("CREATING", contract.NotYet, temporal.ApplicationErrorOptions{
		NextRetryDelay: time.Minute, Category: temporal.ApplicationErrorCategoryBenign,
		Details: []any{contract.FailureDetails{StateName: "CREATING"}},
	})
}

// A request that was never sent, for want of a turn, ends as TIMEOUT and says
// what it waited for.
func TestTimeLimitBeforeAsking(t *testing.T) {
	t.Parallel()
	env := environment(t)
	env.OnActivity(contract.CreateFlexClusterActivity, mock.Anything, mock.Anything).Return(contract.Cluster{},
		temporal.NewApplicationErrorWithOptions(`cluster "orders": no turn`, contract.NotYet,
			temporal.ApplicationErrorOptions{NextRetryDelay: time.Minute}),
	)
	env.ExecuteWorkflow(contract.ProvisionFlexCluster, request(nil))
	var f *temporal.ApplicationError
	require.ErrorAs(t, env.GetWorkflowError(), &f)
	require.Equal(t, contract.Timeout, f.Type())
	require.Equal(t, `cluster "orders": no turn, for which no time was left within 30m0s (timeoutSeconds). `+
		"Nothing is known to have been made: start the workflow again under the same id to make sure", f.Message())
}

// A worker that is killed over and over leaves a time-out without a cause.
func TestOnlyTimeouts(t *testing.T) {
	t.Parallel()
	env := environment(t)
	env.OnActivity(contract.CreateFlexClusterActivity, mock.Anything, mock.Anything).
		Return(contract.Cluster{}, temporal.NewTimeoutError(3, nil))
	env.ExecuteWorkflow(contract.ProvisionFlexCluster, request(nil))
	var f *temporal.ApplicationError
	require.ErrorAs(t, env.GetWorkflowError(), &f)
	require.Equal(t, contract.Timeout, f.Type())
	require.Equal(t,
		`cluster "orders" was not IDLE within 30m0s (timeoutSeconds): no worker finished the request in that time. `+
			"Nothing is known to have been made: start the workflow again under the same id to make sure", f.Message())
}

// A run that is cancelled when nothing is under way ends cancelled.
func TestCanceledAtTheStart(t *testing.T) {
	t.Parallel()
	env := environment(t)
	env.OnActivity(contract.CreateFlexClusterActivity, mock.Anything, mock.Anything).
		Return(contract.Cluster{}, errors.New("not reached")).
		Maybe()
	env.RegisterDelayedCallback(env.CancelWorkflow, 0)
	env.ExecuteWorkflow(contract.ProvisionFlexCluster, request(nil))
	var canceled *temporal.CanceledError
	require.ErrorAs(t, env.GetWorkflowError(), &canceled)
}
