package ratelimit

import (
	"context"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/atlas-provisioner/atlas-provisioner/atlasclient"
)

const (
	// defaultLimit and defaultRefill are what Atlas gives the Flex endpoints of a project: 1200 requests, and 500 more
	// each minute (https://www.mongodb.com/docs/atlas/api/api-rate-limit/). They hold until an answer says otherwise;
	// another limit is expected to refill in the same proportion. defaultRefill is in requests a second.
	defaultLimit, defaultRefill = 1200, 500.0 / 60
	// writeFloor is the part of the limit that this worker never spends, because other workers take from the same
	// bucket between two answers.
	writeFloor = 0.02
	// readFloor is the part of the limit that reads leave, so that writes go before them.
	readFloor = 0.1
	// inFlightPart is the part of what remains that this worker may have in flight at once. With an eighth, eight
	// workers that begin together stay within the bucket.
	inFlightPart = 0.125 //mutate:budget-concurrency
	// readPatience is how long writes can go before a read. After it a read is treated like a write.
	readPatience = 5 * time.Second
	// holdFor is how long a request waits while its sender holds a slot. One that would wait longer gets a BusyError.
	holdFor = 10 * time.Second
	// minBlock and maxBlock bound how long a 429 stops the requests to a bucket, whatever its Retry-After says: 0 means
	// soon, not at once.
	minBlock, maxBlock = time.Second, 5 * time.Minute
)

// bucket mirrors one token bucket of Atlas. Each answer says how much remains, whoever spent the rest, so that several
// workers stay within one bucket without knowing of each other. For the same reason only a part of what remains may be
// in flight at once. The zero value is a bucket of which Atlas has said nothing.
type bucket struct {
	users int // requests that wait or are in flight; guarded by Limiter.mu

	mu           sync.Mutex
	limit        float64 // size of the bucket in requests; 0 until Atlas has answered
	remaining    float64 // what was in it at the time asOf
	asOf         time.Time
	refill       float64       // requests a second that come back to this worker, less what other workers take
	waiting      int           // requests that wait until they may be sent
	inFlight     int           // requests that were sent and have no answer yet
	answered     chan struct{} // closed at the next answer; nil while nobody waits
	blockedUntil time.Time     // nothing is sent until then, because of a 429

	// The refill is learned from two answers that are at least a second apart.
	sampleRemaining float64   // what the first of the two said remains
	sampleAt        time.Time // when it came
	sampleSpent     float64   // requests that were answered since

	said   *atlasclient.RateLimit // what Atlas last said; nil if it has said nothing
	saidAt time.Time
}

// acquire waits until a request may be sent, which must be released then. It fails with a BusyError, or when ctx ends.
func (b *bucket) acquire(ctx context.Context, p Priority) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for begun := time.Now(); ; {
		now := time.Now()
		if p == Read && now.Sub(begun) >= readPatience {
			p = Write
		}
		wait, queue := b.waitLocked(p, now)
		switch {
		case wait <= 0:
			b.inFlight++
			return nil
		case queue > holdFor:
			return BusyError{After: queue, Limit: int(b.limit)}
		}
		if err := b.pauseLocked(ctx, min(wait, readPatience)); err != nil {
			return err
		}
	}
}

// pauseLocked gives up the lock until an answer has come or d is over, and takes it again. It fails when ctx ends.
func (b *bucket) pauseLocked(ctx context.Context, d time.Duration) error {
	if b.answered == nil {
		b.answered = make(chan struct{})
	}
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
		return ctx.Err()
	}
	return nil
}

// waitLocked says how long a request has to wait if no other request is before it (0: not at all), and how long if all
// that wait already go before it.
func (b *bucket) waitLocked(p Priority, now time.Time) (wait, queue time.Duration) {
	if blocked := b.blockedUntil.Sub(now); blocked > 0 {
		return blocked, blocked
	}
	if b.limit == 0 { // nothing is known yet: the first request goes alone
		return time.Duration(b.inFlight) * time.Second, 0
	}
	available := b.availableLocked(now)
	until := func(floor float64) time.Duration {
		return time.Duration((floor + 1 + float64(b.inFlight) - available) / b.refill * float64(time.Second))
	}
	floor := b.limit * writeFloor
	queue = until(floor + float64(b.waiting))
	if p == Read {
		floor = b.limit * readFloor
	}
	wait = until(floor)
	if float64(b.inFlight) >= max(available*inFlightPart, 1) {
		wait = max(wait, time.Second) // an answer ends this wait sooner
	}
	return wait, queue
}

// availableLocked is how many requests are in the bucket by now.
func (b *bucket) availableLocked(now time.Time) float64 {
	return min(b.limit, b.remaining+b.refill*now.Sub(b.asOf).Seconds())
}

// release takes note of what became of a request: that it is no longer in flight, and what its answer says of the
// bucket.
func (b *bucket) release(o atlasclient.Observation) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	b.sampleSpent++
	b.inFlight--
	if b.answered != nil {
		close(b.answered)
		b.answered = nil
	}
	switch {
	case o.RateLimit != nil:
		b.said, b.saidAt = o.RateLimit, now
		b.correctLocked(float64(o.RateLimit.Limit), float64(o.RateLimit.Remaining), now)
	case o.Status == 0: // no answer: nobody knows whether it was spent
	case b.limit == 0: // Atlas leaves the headers out at times
		b.correctLocked(defaultLimit, defaultLimit-1, now)
	default:
		b.remaining, b.asOf = b.availableLocked(now)-1, now
	}
	if o.Status == http.StatusTooManyRequests {
		b.blockLocked(o.RetryAfter, now)
	}
}

// correctLocked sets the mirror to what Atlas says, and learns the refill from it.
func (b *bucket) correctLocked(limit, remaining float64, now time.Time) {
	usual := defaultRefill * limit / defaultLimit
	elapsed := now.Sub(b.sampleAt).Seconds()
	switch {
	case b.limit != limit:
		b.limit, b.refill = limit, usual
		b.sampleRemaining, b.sampleAt, b.sampleSpent = remaining, now, 0
	case elapsed >= 1:
		if remaining < limit-1 { // a full bucket does not show what it was refilled with
			came := (remaining - b.sampleRemaining + b.sampleSpent) / elapsed // less what other workers spent
			b.refill = min(max(b.refill+(came-b.refill)/4, usual/10), usual*4)
		}
		b.sampleRemaining, b.sampleAt, b.sampleSpent = remaining, now, 0
	}
	b.remaining, b.asOf = remaining, now
}

// blockLocked makes all requests wait for as long as a 429 says.
func (b *bucket) blockLocked(retryAfter *time.Duration, now time.Time) {
	b.remaining, b.asOf = 0, now
	wait := minBlock
	if retryAfter != nil {
		wait = min(max(wait, *retryAfter), maxBlock)
	}
	// A tenth more, and a second at most, keeps workers that were told the same from coming back together.
	wait += rand.N(min(wait/10, time.Second) + time.Millisecond)
	if until := now.Add(wait); until.After(b.blockedUntil) {
		//mutate:budget-429
		b.blockedUntil = until
	}
}

// full reports whether forgetting the bucket loses nothing: it is full again, and what Atlas said of it is old.
func (b *bucket) full(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return now.After(b.blockedUntil) && b.availableLocked(now) >= b.limit && now.Sub(b.saidAt) > usageFor
}

func (b *bucket) lastSaid() (*atlasclient.RateLimit, time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.said, b.saidAt
}
