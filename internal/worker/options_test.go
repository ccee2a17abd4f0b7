package worker

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	commandpb "go.temporal.io/api/command/v1"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.uber.org/zap"
	"google.golang.org/grpc"

	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/env"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv"
)

// What polls the task queue, and what a run's history names, says which worker it is: the host, the build and the
// process.
func TestIdentity(t *testing.T) {
	t.Parallel()
	host, err := os.Hostname()
	require.NoError(t, err)
	for _, test := range []struct {
		build string
		env   []string
	}{
		{build: "dev"}, // the version of this program
		{build: "a1b2c3", env: []string{"TEMPORAL_DEPLOYMENT_NAME=identity", "TEMPORAL_WORKER_BUILD_ID=a1b2c3"}},
	} {
		t.Run(test.build, func(t *testing.T) {
			t.Parallel()
			s := setup(t, atlassim.Config{}, test.env...)
			s.run()
			want := fmt.Sprintf("%s (build %s, pid %d)", host, test.build, os.Getpid())
			for _, kind := range []enumspb.TaskQueueType{
				enumspb.TASK_QUEUE_TYPE_WORKFLOW, enumspb.TASK_QUEUE_TYPE_ACTIVITY,
			} {
				require.Eventually(t, func() bool {
					answer, err := s.on.Client().DescribeTaskQueue(s.ctx(), s.queue, kind)
					require.NoError(t, err)
					pollers := answer.GetPollers()
					return len(pollers) == 1 && pollers[0].GetIdentity() == want
				}, testenv.Patience, 20*time.Millisecond, "%s does not poll", want)
			}
		})
	}
}

// Every activity goes through the task queue, where the rate of its project counts, although the server would hand the
// first one over with the workflow task.
func TestNoEagerActivities(t *testing.T) {
	t.Parallel()
	s := setup(t, atlassim.Config{})
	config, err := ReadConfig(env.Env(s.env))
	require.NoError(t, err)
	sent := &scheduled{}
	config.Temporal.ConnectionOptions.DialOptions = append(config.Temporal.ConnectionOptions.DialOptions,
		grpc.WithChainUnaryInterceptor(sent.intercept))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Serve(ctx, config, zap.NewNop()) }()
	_, err = s.client.Result(s.ctx(), s.start().WorkflowID, "")
	require.NoError(t, err)
	cancel()
	require.NoError(t, <-ended)
	require.NotEmpty(t, sent.activities)
	for _, activity := range sent.activities {
		require.False(t, activity.GetRequestEagerExecution(), "%s is asked for eagerly", activity.GetActivityType())
	}
}

// scheduled collects the activities that a worker schedules.
type scheduled struct {
	mu         sync.Mutex
	activities []*commandpb.ScheduleActivityTaskCommandAttributes
}

func (s *scheduled) intercept(ctx context.Context, method string, request, reply any, conn *grpc.ClientConn,
	invoke grpc.UnaryInvoker, options ...grpc.CallOption) error {
	if completed, ok := request.(*workflowservice.RespondWorkflowTaskCompletedRequest); ok {
		s.mu.Lock()
		for _, command := range completed.GetCommands() {
			if activity := command.GetScheduleActivityTaskCommandAttributes(); activity != nil {
				s.activities = append(s.activities, activity)
			}
		}
		s.mu.Unlock()
	}
	return invoke(ctx, method, request, reply, conn, options...)
}
