package activities

import (
	"errors"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/atlas-provisioner/atlas-provisioner/atlasclient"
	"github.com/atlas-provisioner/atlas-provisioner/internal/ratelimit"
)

// begun is when the wait was scheduled, or when it began if nobody took it up before.
func (w *wait) begun() time.Time {
	if w.attempt.info.Attempt == 1 {
		return w.attempt.info.StartedTime
	}
	return w.attempt.info.ScheduledTime
}

// fast reports whether the wait still holds its slot: for the first half minute.
func (w *wait) fast() bool { return w.attempt.clock.now().Sub(w.begun()) < w.activities.pace.Fast }

// every is how long a wait that is alone leaves until its next look. It begins with three times FastEvery, since no
// cluster is made in less, and grows with the wait: nobody who waits for minutes minds seconds.
func (w *wait) every() time.Duration {
	now, pace := w.attempt.clock.now(), w.activities.pace
	if !w.fast() {
		d := min(max(now.Sub(w.attempt.info.ScheduledTime)/6, pace.SlowMin), pace.SlowMax)
		d = max(d, w.shared.Turnaround())
		return d + rand.N(d/5) - d/10
	}
	d := max(now.Sub(w.begun())/8, pace.FastEvery)
	switch {
	case w.goal == goalGone: // no deletion takes less than 24 s (observed 2026-08-10)
		d = max(d, 4*pace.FastEvery)
	case now.Sub(w.begun()) < pace.FastEvery:
		d = 3 * pace.FastEvery
	}
	return d + rand.N(d/20)
}

// delay is how long until the next look; last says that there is no time for one. The final look is a second before the
// deadline.
func (w *wait) delay() (d time.Duration, last bool) {
	d = w.every()
	if w.fast() {
		d = w.shared.Interval(d)
	}
	left := w.in.Deadline.Sub(w.attempt.clock.now()) - time.Second
	if left < 200*time.Millisecond {
		return 0, true
	}
	return min(d, left), false
}

// beforeDeadline is a delay that leaves time for another attempt before the deadline.
func (w *wait) beforeDeadline(d time.Duration) time.Duration {
	if left := w.in.Deadline.Sub(w.attempt.clock.now()); d > left {
		return max(left/2, 100*time.Millisecond)
	}
	return d
}

// maxRefusals is how many looks in a row may be refused. Atlas took the request a moment ago, so the credential is
// right; a worker that leaves through several addresses can be refused at one and answered at the next.
const maxRefusals = 5

// lookFailed is the failure of a look. The delay of the next one grows with the looks in a row that failed, and not
// with the attempts: after fifty that ended in NOT_YET the retry policy would have its longest.
func (w *wait) lookFailed(err error) error {
	var busy ratelimit.BusyError
	if errors.As(err, &busy) {
		return notYet(w.in.Name, busy.Error(), w.progress.StateName, w.beforeDeadline(busy.After))
	}
	w.progress.Errors++
	delay := w.beforeDeadline(backoff(w.progress.Errors, w.activities.pace.SlowMax))
	var answer *atlasclient.Error
	if errors.As(err, &answer) && !retryable(answer) &&
		(answer.Status == http.StatusUnauthorized || answer.Status == http.StatusForbidden) {
		//mutate:refused-look
		if w.progress.Refusals++; w.progress.Refusals <= maxRefusals {
			return retryableFailure(w.in.Name, w.progress.StateName, answer, delay)
		}
	}
	return failure(w.in.Name, w.progress.StateName, err, delay)
}
