package worker

import (
	"time"

	"go.temporal.io/sdk/worker"
)

// stopTimeout is what activities get to end in when the worker stops: waits end
// at once, and a create gets its answer. The SDK's default of 0 would abort
// every one of them. A whole stop takes 10 s at most.
const stopTimeout = 8 * time.Second

// Options are what the worker tells the Temporal SDK, apart from what its
// configuration says. `make bench` runs the workflow that it compares with
// under the same.
func Options() worker.Options {
	return worker.Options{
		WorkerStopTimeout: stopTimeout,
		// A wait holds its slot for half a minute (then it comes back for a
		// moment each minute), and a slot costs a few goroutines: enough for 100
		// clusters a second.
		MaxConcurrentActivityExecutionSize: 4000,
		// An idle worker polls little, a busy one enough.
		WorkflowTaskPollerBehavior: pollers(),
		ActivityTaskPollerBehavior: pollers(),
		// The SDK would send a heartbeat every 8 of the 10 seconds after which
		// it is missed: too close on a busy machine.
		MaxHeartbeatThrottleInterval: 4 * time.Second,
	}
}

func pollers() worker.PollerBehavior {
	return worker.NewPollerBehaviorAutoscaling(worker.PollerBehaviorAutoscalingOptions{InitialNumberOfPollers: 4, MinimumNumberOfPollers: 2, MaximumNumberOfPollers: 20})
}
