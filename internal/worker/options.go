package worker

import (
	"cmp"
	"fmt"
	"os"
	"time"

	"go.temporal.io/sdk/worker"

	"github.com/atlas-provisioner/atlas-provisioner/internal/version"
)

// stopTimeout is how long the activities have to end when the worker stops: waits end at once, and a create gets its
// answer. The SDK's default of 0 would abort every activity. A whole stop takes 10 s at most.
const stopTimeout = 8 * time.Second //mutate:stop-timeout

const (
	// activitySlots bounds the memory of a burst: a wait holds its slot, and about 100 KiB, for its first half minute,
	// and then for a moment each minute. This is enough for 100 new clusters a second.
	activitySlots = 3000
	// cachedWorkflows is how many workflows stay in memory, at about 40 KiB each. A run that waits needs its worker
	// only once more, at its end, when a replay of its 16 events costs one read. The SDK's default is 10,000.
	cachedWorkflows = 1000
)

// Options are the options for the Temporal SDK that do not depend on the configuration. `make bench` runs the workflow
// that it compares with under the same options. The figures were measured with `make bench ONLY=waits`.
func Options() worker.Options {
	worker.SetStickyWorkflowCacheSize(cachedWorkflows) // for the whole process
	return worker.Options{
		WorkerStopTimeout:                  stopTimeout,
		MaxConcurrentActivityExecutionSize: activitySlots,
		// An idle worker keeps few polls open, and a busy one more.
		WorkflowTaskPollerBehavior: pollers(),
		ActivityTaskPollerBehavior: pollers(),
		NexusTaskPollerBehavior:    pollers(),
		// By default the SDK sends a heartbeat every 8 s, which is too close to the heartbeat timeout of 10 s on a busy
		// machine.
		MaxHeartbeatThrottleInterval: 4 * time.Second,
		// A first activity that the server hands over together with the workflow task would pass by the task queue,
		// and with it by the rate of its project, by the turns that projects take and by the priorities.
		DisableEagerActivities: true,
	}
}

// identity names this worker to Temporal, which shows it in the Web UI and to `starter status`: by the host, the build
// and, since one host may run several, the process.
func identity(v worker.WorkerDeploymentVersion) string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown host"
	}
	return fmt.Sprintf("%s (build %s, pid %d)", host, cmp.Or(v.BuildID, version.Version), os.Getpid())
}

func pollers() worker.PollerBehavior {
	return worker.NewPollerBehaviorAutoscaling(worker.PollerBehaviorAutoscalingOptions{
		InitialNumberOfPollers: 4, MinimumNumberOfPollers: 2, MaximumNumberOfPollers: 20,
	})
}
