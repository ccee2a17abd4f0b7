package worker

import (
	"time"

	"go.temporal.io/sdk/worker"
)

// stopTimeout is what activities get to end in when the worker stops: waits end
// at once, and a create gets its answer. The SDK's default of 0 would abort
// every one of them. A whole stop takes 10 s at most.
const stopTimeout = 8 * time.Second //mutate:stop-timeout

const (
	// activitySlots bounds the memory of a burst: a wait holds its slot for its
	// first half minute, at about 100 KiB, and for a moment a minute after that.
	// Enough for 100 clusters a second.
	activitySlots = 3000
	// cachedWorkflows is for those that are at something: a run that waits needs
	// its worker once more, at its end, when replaying its 16 events costs one
	// read more. Each cached one takes about 40 KiB, and the SDK's default is
	// 10,000.
	cachedWorkflows = 1000
)

// Options are what the worker tells the Temporal SDK, apart from what its
// configuration says. `make bench` runs the workflow that it compares with
// under the same. The figures were measured by `make bench ONLY=waits`.
func Options() worker.Options {
	worker.SetStickyWorkflowCacheSize(cachedWorkflows) // of the whole process
	return worker.Options{
		WorkerStopTimeout:                  stopTimeout,
		MaxConcurrentActivityExecutionSize: activitySlots,
		// An idle worker keeps few polls open, a busy one as many as it has
		// tasks for.
		WorkflowTaskPollerBehavior: pollers(),
		ActivityTaskPollerBehavior: pollers(),
		// The SDK would send a heartbeat every 8 of the 10 seconds after which
		// it is missed: too close on a busy machine.
		MaxHeartbeatThrottleInterval: 4 * time.Second,
	}
}

func pollers() worker.PollerBehavior {
	return worker.NewPollerBehaviorAutoscaling(worker.PollerBehaviorAutoscalingOptions{
		InitialNumberOfPollers: 4, MinimumNumberOfPollers: 2, MaximumNumberOfPollers: 20,
	})
}
