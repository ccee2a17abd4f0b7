package activities

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/atlas-provisioner/atlas-provisioner/atlasclient"
)

const (
	// Atlas gives the Flex endpoints of a project 1200 requests, and 500 back a
	// minute (https://www.mongodb.com/docs/atlas/api/api-rate-limit/). It is
	// what holds until an answer says otherwise; the ratio of the two holds for
	// any other limit.
	defaultLimit, defaultRefill = 1200, 500.0 / 60
	// floorPart of the limit is spent by nobody, since other workers draw on
	// the same bucket between two answers; readFloorPart is left by reads, so
	// that creates go before them.
	floorPart, readFloorPart = 0.02, 0.1
	// underWayPart of what is left may be under way at once: as much as eight
	// workers may, if they all begin together.
	underWayPart = 0.125
	// readPatience bounds how long creates can go before a read: nothing
	// starves.
	readPatience = 5 * time.Second
	// holdFor is how long an attempt waits for its turn with its slot held.
	// One that would wait longer comes back later.
	holdFor = 10 * time.Second
	// minBlock and maxBlock bound what a 429 can do to a project, whatever its
	// Retry-After says: 0 means soon, not at once.
	minBlock, maxBlock = time.Second, 5 * time.Minute
)

// budget keeps the requests of this worker to one project, and to one family of
// its endpoints, within what Atlas gives. It mirrors Atlas's token bucket: each
// answer says how much is left, whoever spent the rest, so that several workers
// stay within one bucket without knowing of each other. For the same reason no
// more is under way at once than a part of what is left.
type budget struct {
	mu     sync.Mutex
	limit  float64   // size of the bucket; 0 until Atlas has answered
	left   float64   // what was in it
	at     time.Time // when
	refill float64   // tokens a second, as far as others leave them to this worker

	waiting   float64       // requests that wait for their turn
	underWay  float64       // requests that have no answer yet
	answered  chan struct{} // closed at the next answer
	blockedTo time.Time     // a 429 told everybody to wait until then

	told   float64   // what an answer a while ago said is left
	toldAt time.Time // when
	spent  float64   // requests answered since
}

type turn int

const (
	write turn = iota // a create or an upgrade, and what it must know to be made
	read              // a look of a wait
)

// errBusy is a budget in which a request has no place for longer than an
// attempt should hold its slot. Nothing was sent.
type errBusy struct {
	after time.Duration
	limit int
}

func (e errBusy) Error() string {
	return fmt.Sprintf("the request budget that Atlas gives the project (%d) is used up; next turn in %s", e.limit, e.after.Round(time.Second))
}

// take waits until a request may be sent, whose answer must be learned. It
// fails with errBusy, or when ctx ends; in both cases nothing may be sent.
func (b *budget) take(ctx context.Context, t turn) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for begun := time.Now(); ; {
		now := time.Now()
		if t == read && now.Sub(begun) >= readPatience {
			t = write
		}
		wait, queue := b.wait(t, now)
		switch {
		case wait <= 0:
			b.underWay++
			return nil
		case queue > holdFor:
			return errBusy{queue, int(b.limit)}
		}
		if b.answered == nil {
			b.answered = make(chan struct{})
		}
		if !b.pause(ctx, min(wait, readPatience)) {
			return ctx.Err()
		}
	}
}

// pause lets others have the lock until an answer has come or d is over. It
// says false when ctx ended.
func (b *budget) pause(ctx context.Context, d time.Duration) bool {
	answered := b.answered
	b.waiting++
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		b.waiting--
	}()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-answered:
	case <-ctx.Done():
		return false
	}
	return true
}

// wait is how long a request has to wait if nobody is before it, 0 for not at
// all, and how long with those who wait already. The caller holds the lock.
func (b *budget) wait(t turn, now time.Time) (wait, queue time.Duration) {
	if blocked := b.blockedTo.Sub(now); blocked > 0 {
		return blocked, blocked
	}
	if b.limit == 0 { // the first request goes alone
		return time.Duration(b.underWay) * time.Second, 0
	}
	have := b.now(now)
	until := func(floor float64) time.Duration {
		return time.Duration((floor + 1 + b.underWay - have) / b.refill * float64(time.Second))
	}
	floor := b.limit * floorPart
	queue = until(floor + b.waiting)
	if t == read {
		floor = b.limit * readFloorPart
	}
	if wait = until(floor); b.underWay >= max(have*underWayPart, 1) {
		wait = max(wait, time.Second) // or until the next answer
	}
	return wait, queue
}

// now is what is in the bucket by now. The caller holds the lock.
func (b *budget) now(now time.Time) float64 {
	return min(b.limit, b.left+b.refill*now.Sub(b.at).Seconds())
}

// learn takes what an answer says of the bucket.
func (b *budget) learn(r *atlasclient.Response, err error) {
	var e *atlasclient.Error
	var said *atlasclient.RateLimit
	if errors.As(err, &e) {
		said = e.RateLimit
	} else if r != nil {
		said = r.RateLimit
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	b.spent++
	b.underWay--
	if b.answered != nil {
		close(b.answered)
		b.answered = nil
	}
	switch {
	case said != nil:
		b.hear(float64(said.Limit), float64(said.Remaining), now)
	case e != nil && e.Status == 0: // no answer: nothing is known to be spent
	case b.limit == 0: // Atlas leaves the headers out at times
		b.hear(defaultLimit, defaultLimit-1, now)
	default:
		b.left, b.at = b.now(now)-1, now
	}
	if e != nil && e.Status == http.StatusTooManyRequests {
		b.empty(e, now)
	}
}

// hear corrects the mirror by what Atlas says is left. The caller holds the
// lock.
func (b *budget) hear(limit, left float64, now time.Time) {
	usual := defaultRefill * limit / defaultLimit
	d := now.Sub(b.toldAt).Seconds()
	switch {
	case b.limit != limit:
		b.limit, b.refill = limit, usual
		b.told, b.toldAt, b.spent = left, now, 0
	case d >= 1:
		if left < limit-1 { // what runs over is not seen
			came := (left - b.told + b.spent) / d // less what others spent
			b.refill = min(max(b.refill+(came-b.refill)/4, usual/10), usual*4)
		}
		b.told, b.toldAt, b.spent = left, now, 0
	}
	b.left, b.at = left, now
}

// empty makes everybody wait as long as a 429 says. The caller holds the lock.
func (b *budget) empty(e *atlasclient.Error, now time.Time) {
	b.left, b.at = 0, now
	wait := minBlock
	if e.RetryAfter != nil {
		wait = min(max(wait, *e.RetryAfter), maxBlock)
	}
	if until := now.Add(later(wait)); until.After(b.blockedTo) {
		b.blockedTo = until
	}
}

// idle reports whether the bucket is full again, so that forgetting it loses
// nothing.
func (b *budget) idle(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.underWay+b.waiting == 0 && now.After(b.blockedTo) && b.now(now) >= b.limit
}

// ask sends a request within the budget.
func ask[T any](ctx context.Context, b *budget, t turn, send func(context.Context) (T, *atlasclient.Response, error)) (T, *atlasclient.Response, error) {
	if err := b.take(ctx, t); err != nil {
		var none T
		return none, nil, err
	}
	v, resp, err := send(ctx)
	b.learn(resp, err)
	return v, resp, err
}
