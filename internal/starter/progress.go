package starter

import (
	"context"
	"fmt"
	"time"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/provisioner"
)

const (
	// lookEvery is how often progress is read from Temporal.
	lookEvery = time.Second
	// grace is for a worker to take up what was started.
	grace = 3 * time.Second
	// repeatEvery is when a plain line is printed though nothing changed, so
	// that a log shows life.
	repeatEvery = 30 * time.Second
)

// progress is the state of a run that is under way, in JSON.
type progress struct {
	Activity     string    `json:"activity,omitempty"`
	ClusterState string    `json:"clusterState,omitempty"`
	Attempt      int       `json:"attempt,omitempty"`
	Seconds      int       `json:"seconds"`
	NextLook     time.Time `json:"nextLook,omitzero"`
	LastFailure  string    `json:"lastFailure,omitempty"`
}

func progressOf(s provisioner.Status) *progress {
	p := &progress{Seconds: int(time.Since(s.Started).Seconds())}
	if s.Pending != nil {
		p.Activity, p.Attempt, p.NextLook, p.LastFailure = s.Pending.Activity, s.Pending.Attempt, s.Pending.NextAttempt, s.Pending.LastFailure
		// Not the search attribute, which says CREATING before Atlas was asked.
		p.ClusterState = s.Pending.ClusterState
	}
	return p
}

// what says in words what a run is at, and its state; why, what held it up.
func what(s provisioner.Status) (doing, why string) {
	p := s.Pending
	if p == nil {
		return "waiting for a worker", ""
	}
	switch p.Activity {
	case contract.WaitUntilIdleActivity:
		doing = p.ClusterState
		if doing == "" {
			doing = "waiting until IDLE"
		}
	default:
		doing = p.Activity
		if operation, ok := contract.OperationOfActivity(p.Activity); ok {
			doing = "asking Atlas to " + operation.Verb
		}
	}
	if p.Attempt > 1 {
		why = p.LastFailure
	}
	return doing, why
}

// line is one line of progress: state, seconds, attempt.
func line(s provisioner.Status, now time.Time) string {
	doing, why := what(s)
	out := fmt.Sprintf("%s, %ds", doing, int(now.Sub(s.Started).Seconds()))
	if s.Pending != nil {
		out += fmt.Sprintf(", attempt %d", s.Pending.Attempt)
	}
	if why != "" {
		out += ": " + why
	}
	return out
}

// showProgress shows a run's progress until stop is called: as one live line on
// a terminal, and elsewhere as a plain line for each change.
func (a *app) showProgress(ctx context.Context, c *provisioner.Client, run provisioner.Run) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	width, _, live := a.screen(a.stderr)
	show := func(format string, args ...any) { fmt.Fprintf(a.stderr, format+"\n", args...) }
	verb := "Following"
	if run.Joined {
		verb = "Joined"
	}
	show("%s %s", verb, run.WorkflowID)
	go func() {
		defer close(done)
		ticker := time.NewTicker(lookEvery)
		defer ticker.Stop()
		shown, at := "", time.Time{}
		for {
			s, err := c.Status(ctx, run.WorkflowID, run.RunID)
			switch {
			case ctx.Err() != nil:
			case err != nil || s.State != provisioner.Running:
				// The wait for the result says what became of it.
			case s.Pending == nil && time.Since(s.Started) < grace:
				// A worker that is there takes a moment.
			case live:
				fmt.Fprintf(a.stderr, "\r\033[K%s", cut(line(s, time.Now()), width))
			default:
				doing, why := what(s)
				attempt := 0
				if s.Pending != nil {
					attempt = s.Pending.Attempt
				}
				if now := fmt.Sprint(doing, why, attempt); now != shown || time.Since(at) > repeatEvery {
					show("%s", line(s, time.Now()))
					shown, at = now, time.Now()
				}
			}
			select {
			case <-ctx.Done():
				if live {
					fmt.Fprint(a.stderr, "\r\033[K")
				}
				return
			case <-ticker.C:
			}
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

// cut keeps a live line on one line.
func cut(s string, width int) string {
	if r := []rune(s); width > 1 && len(r) >= width {
		return string(r[:width-2]) + "…"
	}
	return s
}
