package activities

import (
	"context"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"

	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv"
)

// AttemptEnvironment runs the activities as attempts whose info is edited first.
func AttemptEnvironment(a *Activities, edit func(*activity.Info)) *testsuite.TestActivityEnvironment {
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(testenv.Quiet())
	env := suite.NewTestActivityEnvironment()
	env.SetWorkerOptions(worker.Options{Interceptors: []interceptor.WorkerInterceptor{&attemptInfo{edit: edit}}})
	env.RegisterActivity(a)
	return env
}

// attemptInfo lets a test say which attempt it is, and of what: the SDK's own environment knows the first only.
type attemptInfo struct {
	interceptor.WorkerInterceptorBase
	edit func(*activity.Info)
}

func (a *attemptInfo) InterceptActivity(
	ctx context.Context, next interceptor.ActivityInboundInterceptor,
) interceptor.ActivityInboundInterceptor {
	return &inbound{
		ActivityInboundInterceptorBase: interceptor.ActivityInboundInterceptorBase{Next: next},
		edit:                           a.edit,
	}
}

type inbound struct {
	interceptor.ActivityInboundInterceptorBase
	edit func(*activity.Info)
}

func (i *inbound) Init(next interceptor.ActivityOutboundInterceptor) error {
	return i.Next.Init(
		&outbound{
			ActivityOutboundInterceptorBase: interceptor.ActivityOutboundInterceptorBase{Next: next},
			edit:                            i.edit,
		},
	)
}

type outbound struct {
	interceptor.ActivityOutboundInterceptorBase
	edit func(*activity.Info)
}

func (o *outbound) GetInfo(ctx context.Context) activity.Info {
	info := o.Next.GetInfo(ctx)
	o.edit(&info)
	return info
}
