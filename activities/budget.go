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
// stay within one bucket without knowing of each other. A request takes its
// place in time when it comes; there is no queue to hold.
type budget struct {
	mu     sync.Mutex
	limit  float64   // size of the bucket; 0 until Atlas has said anything of it
	tokens float64   // left for those who come now; below 0 for places given away ahead of time
	at     time.Time // when tokens was right
	refill float64   // tokens a second, as far as others leave them to this worker
	out    float64   // places given away whose request has no answer yet

	told      float64   // what the last answer said is left
	toldAt    time.Time // when
	spent     float64   // requests answered since
	blockedTo time.Time // a 429 told everybody to wait until then
}

// turn is what a request is for.
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

// take waits until a request may be sent. It fails with errBusy, or when ctx
// ends; in both cases the request has no place and must not be sent.
func (b *budget) take(ctx context.Context, t turn) error {
	wait := b.place(t, time.Now())
	for wait > 0 {
		if wait > holdFor {
			b.giveBack()
			return errBusy{wait, int(b.limit)}
		}
		if !sleep(ctx, wait) {
			b.giveBack()
			return ctx.Err()
		}
		wait = b.blocked(time.Now()) // a 429 may have come meanwhile
	}
	return nil
}

// place spends a token and tells how long until it is there.
func (b *budget) place(t turn, now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	blocked := b.blockedTo.Sub(now)
	b.out++
	if b.limit == 0 {
		return blocked
	}
	b.tokens = b.left(now) - 1
	b.at = now
	wait := b.until(b.limit * floorPart)
	if t == read {
		wait = max(wait, min(b.until(b.limit*readFloorPart), readPatience))
	}
	return max(wait, blocked)
}

// until is when there will be more than floor tokens. The caller holds the lock.
func (b *budget) until(floor float64) time.Duration {
	return time.Duration((floor - b.tokens) / b.refill * float64(time.Second))
}

func (b *budget) giveBack() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tokens++
	b.out--
}

// left is how many tokens there are now. The caller holds the lock.
func (b *budget) left(now time.Time) float64 {
	return min(b.limit, b.tokens+b.refill*now.Sub(b.at).Seconds())
}

func (b *budget) blocked(now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.blockedTo.Sub(now)
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
	b.out--
	if said != nil {
		b.hear(float64(said.Limit), float64(said.Remaining), now)
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
	b.tokens, b.at = left-b.out, now
}

// empty makes everybody wait as long as a 429 says. The caller holds the lock.
func (b *budget) empty(e *atlasclient.Error, now time.Time) {
	if b.limit == 0 { // Atlas leaves the headers out at times
		b.limit, b.refill = defaultLimit, defaultRefill
	}
	b.tokens, b.at = min(b.tokens, 0), now
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
	return now.After(b.blockedTo) && (b.out == 0 && b.left(now) >= b.limit)
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
