package ratelimit

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/atlas-provisioner/atlas-provisioner/atlasclient"
)

// answered is a request that was answered, with what the answer says of the bucket.
func answered(limit, remaining int) atlasclient.Observation {
	return atlasclient.Observation{Status: 200, RateLimit: &atlasclient.RateLimit{Limit: limit, Remaining: remaining}}
}

// silent is a request whose answer says nothing of the bucket.
var silent = atlasclient.Observation{Status: 200}

// refused is a request that was answered with a 429.
func refused(retryAfter time.Duration, limit *atlasclient.RateLimit) atlasclient.Observation {
	return atlasclient.Observation{Status: 429, RetryAfter: &retryAfter, RateLimit: limit}
}

// bucketAfter is a bucket after its first answer.
func bucketAfter(t *testing.T, first atlasclient.Observation) *bucket {
	t.Helper()
	var b bucket
	require.NoError(t, b.acquire(t.Context(), Write))
	b.release(first)
	return &b
}

// waited is how long a request waited until it might be sent.
func waited(t *testing.T, b *bucket, p Priority) time.Duration {
	t.Helper()
	begun := time.Now()
	require.NoError(t, b.acquire(t.Context(), p))
	return time.Since(begun)
}

// Before Atlas has said anything, one request goes alone. Where Atlas says nothing of its limit, the documented limit
// holds.
func TestFirstRequestGoesAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var b bucket
		require.Zero(t, waited(t, &b, Write))
		second := make(chan error)
		go func() { second <- b.acquire(t.Context(), Write) }()
		synctest.Wait()
		require.Equal(t, 1, b.inFlight)
		b.release(atlasclient.Observation{}) // no answer: nothing is learned
		require.NoError(t, <-second)
		require.Equal(t, 1, b.inFlight)
		b.release(silent)
		require.Equal(t, 1200.0, b.limit)
		require.Zero(t, waited(t, &b, Write))
	})
}

// Writes spend the bucket down to its floor at once, and then as fast as Atlas refills it. Reads leave a tenth of the
// limit to writes, but do not wait for ever.
func TestWritesGoBeforeReads(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		spend := func(b *bucket, p Priority) time.Duration {
			d := waited(t, b, p)
			b.release(silent)
			return d
		}
		b := bucketAfter(t, answered(1200, 1200))
		for range 1176 {
			require.Zero(t, spend(b, Write))
		}
		for range 20 { // 500 a minute are one each 120 ms
			require.InDelta(t, 0.12, spend(b, Write).Seconds(), 0.001)
		}

		b = bucketAfter(t, answered(1200, 130))
		for range 10 {
			require.Zero(t, spend(b, Read))
		}
		require.InDelta(t, 0.12, spend(b, Read).Seconds(), 0.001, "a read waits for the refill")
		require.Zero(t, spend(b, Write), "a write need not")

		b = bucketAfter(t, answered(1200, 25))
		require.InDelta(t, readPatience.Seconds(), spend(b, Read).Seconds(), 0.001, "a read waits no longer for writes")
	})
}

// A 429 stops all requests to the bucket for as long as it says, whoever met it.
func TestRefusalStopsAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, limit := range []*atlasclient.RateLimit{nil, {Limit: 1200}} {
			b := bucketAfter(t, refused(7*time.Second, limit))
			var wg sync.WaitGroup
			for _, p := range []Priority{Read, Write} {
				wg.Go(func() {
					require.GreaterOrEqual(t, waited(t, b, p), 7*time.Second)
					b.release(answered(1200, 1200))
				})
			}
			wg.Wait()
		}
		// A Retry-After of 0 is a second, and one of an hour is five minutes.
		b := bucketAfter(t, refused(0, nil))
		require.GreaterOrEqual(t, waited(t, b, Write), time.Second)
		b.release(refused(time.Hour, nil))
		var busy BusyError
		require.ErrorAs(t, b.acquire(t.Context(), Read), &busy)
		require.InDelta(t, maxBlock.Seconds(), busy.After.Seconds(), 2)
		require.Equal(t, "the request budget that Atlas gives the project (1200) is used up; next turn in "+
			busy.After.Round(time.Second).String(), busy.Error())
	})
}

// A request that cannot be sent soon holds no place in the bucket.
func TestRequestThatIsNotSentHoldsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := bucketAfter(t, answered(120, 3)) // 50 come back a minute
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.NoError(t, b.acquire(ctx, Write), "the last above the floor")
		require.ErrorIs(t, b.acquire(ctx, Write), context.DeadlineExceeded)
		b.refill = 0.01
		var busy BusyError
		require.ErrorAs(t, b.acquire(t.Context(), Write), &busy)
		require.Equal(t, 1, b.inFlight)
		require.Zero(t, b.waiting)
		b.release(answered(120, 120))
		require.Zero(t, b.inFlight)
	})
}

// Three workers that know nothing of each other stay within one bucket of Atlas, and all their requests are sent.
func TestWorkersShareABucket(t *testing.T) {
	t.Parallel()
	for seed := range uint64(5) {
		synctest.Test(t, func(t *testing.T) {
			const limit, refill = 100, 100.0 / 60
			random := rand.New(rand.NewPCG(seed, 1))
			var mu sync.Mutex
			tokens, at, refusals := float64(limit), time.Now(), 0
			atlas := func() atlasclient.Observation {
				mu.Lock()
				takes := time.Duration(20+random.IntN(100)) * time.Millisecond
				mu.Unlock()
				time.Sleep(takes)
				mu.Lock()
				defer mu.Unlock()
				tokens, at = min(limit, tokens+refill*time.Since(at).Seconds()), time.Now()
				if tokens < 1 {
					refusals++
					return refused(time.Second, &atlasclient.RateLimit{Limit: limit})
				}
				tokens--
				return answered(limit, int(tokens))
			}
			var wg sync.WaitGroup
			for range 3 {
				limiter := New()
				for i := range 60 {
					wg.Go(func() {
						ctx := t.Context()
						if i%2 == 0 {
							ctx = WithPriority(ctx, Read)
						}
						for {
							release, err := limiter.Acquire(ctx, "group", "flexClusters")
							var busy BusyError
							if !errors.As(err, &busy) {
								require.NoError(t, err)
								release(atlas())
								return
							}
							time.Sleep(busy.After)
						}
					})
				}
			}
			wg.Wait()
			require.Zero(t, refusals)
			time.Sleep(time.Hour)
			synctest.Wait() // the limiters have forgotten all, and no timer is left
		})
	}
}

func BenchmarkAcquire(b *testing.B) {
	limiter := New()
	ctx := WithPriority(b.Context(), Read)
	answer := answered(1<<30, 1<<30)
	b.ReportAllocs()
	for b.Loop() {
		release, err := limiter.Acquire(ctx, "group", "flexClusters")
		if err != nil {
			b.Fatal(err)
		}
		release(answer)
	}
}
