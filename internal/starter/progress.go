package starter

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/provisioner"
)

const (
	// refreshInterval is how often progress is read from Temporal.
	refreshInterval = time.Second
	// repeatInterval is when a plain line is printed though nothing changed, so that a log shows that starter lives.
	repeatInterval = 30 * time.Second
)

// progress is the state of a run that is under way, in JSON.
type progress struct {
	Activity     string    `json:"activity,omitempty"`
	ClusterState string    `json:"clusterState,omitempty"`
	Attempt      int       `json:"attempt,omitempty"`
	Worker       string    `json:"worker,omitempty"`
	Seconds      int       `json:"seconds"`
	NextLook     time.Time `json:"nextLook,omitzero"`
	LastFailure  string    `json:"lastFailure,omitempty"`
	// Blocker is what holds up the run until somebody acts.
	Blocker *provisioner.Blocker `json:"blocker,omitempty"`
}

func progressOf(s provisioner.Status) *progress {
	p := &progress{ClusterState: s.ClusterState, Seconds: int(time.Since(s.Started).Seconds()), Blocker: s.Blocker}
	if s.Pending != nil {
		p.Activity, p.Attempt = s.Pending.Activity, s.Pending.Attempt
		p.NextLook, p.LastFailure, p.Worker = s.Pending.NextAttempt, s.Pending.LastFailure, s.Pending.Worker
	}
	return p
}

// doingText says in words what a run is at: the state of the cluster where it waits for that.
func doingText(s provisioner.Status) string {
	switch {
	case lacksWorker(s):
		return "waiting for a worker"
	case s.Pending == nil && s.Blocker != nil:
		return cmp.Or(s.ClusterState, "held up")
	case s.Pending == nil:
		return cmp.Or(s.ClusterState, "waiting for a worker")
	}
	switch s.Pending.Activity {
	case contract.WaitUntilIdleActivity:
		return cmp.Or(s.ClusterState, "waiting until IDLE")
	case contract.WaitUntilAsAskedActivity:
		if s.ClusterState == contract.StateIdle { // as it was before
			return "IDLE, not yet as asked"
		}
		return cmp.Or(s.ClusterState, "waiting until it is as asked")
	case contract.WatchLeaseActivity:
		return cmp.Or(s.ClusterState, "leased")
	case contract.FindLeftoverActivity:
		return "looking for what the provision left behind"
	case contract.AwaitClusterRunActivity:
		return "waiting for another run under the id of the cluster"
	case contract.FindClusterActivity:
		return "finding out whose the cluster is"
	case contract.DeleteClusterActivity:
		// The activity asks, and then waits until the cluster is gone.
		if s.ClusterState == contract.StateDeleting {
			return s.ClusterState
		}
	}
	if operation, ok := contract.OperationOfActivity(s.Pending.Activity); ok {
		return "asking Atlas to " + operation.Verb
	}
	return s.Pending.Activity
}

func lacksWorker(s provisioner.Status) bool {
	b := s.Blocker
	return b != nil && (b.Reason == provisioner.NoWorker || b.Reason == provisioner.WorkersBusyOrGone)
}

// blockerText says what holds up a run; "" where nothing is known to.
func blockerText(s provisioner.Status) string {
	switch {
	case s.Blocker != nil:
		return s.Blocker.Message
	case s.Pending != nil && s.Pending.Attempt > 1:
		return s.Pending.LastFailure
	}
	return ""
}

// line is one line of progress: state, seconds, attempt, and what holds up the run.
func line(s provisioner.Status, now time.Time) string {
	out := fmt.Sprintf("%s, %ds", doingText(s), int(now.Sub(s.Started).Seconds()))
	if s.Pending != nil {
		out += fmt.Sprintf(", attempt %d", s.Pending.Attempt)
	}
	if text := blockerText(s); text != "" {
		out += ": " + text
	}
	return out
}

// progressView shows the progress of one run: as one live line on a terminal, and elsewhere as a plain line for each
// change.
type progressView struct {
	a      *app
	client *provisioner.Client
	await  awaitRun

	mu  sync.Mutex
	run provisioner.Run

	shown string    // what changes in a plain line
	at    time.Time // when a plain line was printed last
}

// follow waits for the run, and shows progress meanwhile.
func (v *progressView) follow(ctx context.Context) (awaited, error) {
	verb := "Following"
	if v.run.Joined {
		verb = "Joined"
	}
	v.a.stderr.Printf("%s %s\n", verb, v.run.WorkflowID)
	looking, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		v.show(looking)
	}()
	defer func() {
		cancel()
		<-done
	}()
	return v.await(ctx, v.client, v.run, func(next provisioner.Run) {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.run = next
	})
}

func (v *progressView) show(ctx context.Context) {
	_, _, live := v.a.stderr.Size()
	ticker := time.NewTicker(refreshInterval)
	defer ticker.Stop()
	first := v.run
	for {
		v.mu.Lock()
		run := v.run
		v.mu.Unlock()
		if run != first && !live {
			v.a.stderr.Printf("The run was reset. Following the new run %s\n", run.RunID)
			first = run
		}
		s, err := v.client.Status(ctx, run.WorkflowID, run.RunID)
		switch {
		case ctx.Err() != nil:
		case err != nil || s.State != provisioner.Running:
			// The wait for the result says what became of it.
		case s.Pending == nil && s.Blocker == nil:
			// It is between two activities, for a moment: what lasts has a blocker.
		case live:
			v.a.stderr.PaintLine(line(s, time.Now()))
		default:
			v.plain(s, time.Now())
		}
		select {
		case <-ctx.Done():
			if live {
				v.a.stderr.EraseLine()
			}
			return
		case <-ticker.C:
		}
	}
}

// plain prints a line where something has changed.
func (v *progressView) plain(s provisioner.Status, now time.Time) {
	attempt := 0
	if s.Pending != nil {
		attempt = s.Pending.Attempt
	}
	if shown := fmt.Sprint(doingText(s), blockerText(s), attempt); shown != v.shown || now.Sub(v.at) > repeatInterval {
		v.a.stderr.Printf("%s\n", line(s, now))
		v.shown, v.at = shown, now
	}
}
