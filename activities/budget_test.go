package activities

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

func says(limit, remaining int) *atlasclient.Response {
	return &atlasclient.Response{RateLimit: &atlasclient.RateLimit{Limit: limit, Remaining: remaining}}
}

func refusedFor(after time.Duration, limit *atlasclient.RateLimit) error {
	return &atlasclient.Error{Status: 429, RetryAfter: &after, RateLimit: limit}
}

// after is a budget after its first answer.
func after(t *testing.T, answer *atlasclient.Response, err error) *budget {
	t.Helper()
	var b budget
	require.NoError(t, b.take(t.Context(), write))
	b.learn(answer, err)
	return &b
}

// took is how long a request waited for its turn.
func took(t *testing.T, b *budget, kind turn) time.Duration {
	t.Helper()
	begun := time.Now()
	require.NoError(t, b.take(t.Context(), kind))
	return time.Since(begun)
}

// Before Atlas has said anything, one request goes alone. Where it says nothing
// of its limit, the documented one is taken for granted.
func TestBudgetUnknown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var b budget
		require.Zero(t, took(t, &b, write))
		second := make(chan error)
		go func() { second <- b.take(t.Context(), write) }()
		synctest.Wait()
		require.Equal(t, 1.0, b.underWay)
		b.learn(nil, &atlasclient.Error{}) // no answer, nothing learned
		require.NoError(t, <-second)
		require.Equal(t, 1.0, b.underWay)
		b.learn(&atlasclient.Response{}, nil)
		require.Equal(t, 1200.0, b.limit)
		require.Zero(t, took(t, &b, write))
	})
}

// Creates go down to the floor at once, and then at the pace at which Atlas
// refills; reads leave a tenth to them, but not for ever.
func TestBudgetTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		spend := func(b *budget, kind turn) time.Duration {
			d := took(t, b, kind)
			b.learn(&atlasclient.Response{}, nil)
			return d
		}
		b := after(t, says(1200, 1200), nil)
		for range 1176 {
			require.Zero(t, spend(b, write))
		}
		// 500 a minute are one each 120 ms.
		for range 20 {
			require.InDelta(t, 0.12, spend(b, write).Seconds(), 0.001)
		}

		b = after(t, says(1200, 130), nil)
		for range 10 {
			require.Zero(t, spend(b, read))
		}
		require.InDelta(t, 0.12, spend(b, read).Seconds(), 0.001, "a tenth is left")
		require.Zero(t, spend(b, write), "to creates")

		b = after(t, says(1200, 25), nil)
		require.InDelta(t, readPatience.Seconds(), spend(b, read).Seconds(), 0.001, "a read waits no longer for creates")
	})
}

// A 429 stops the whole project for as long as it says, whoever met it.
func TestBudgetRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, limit := range []*atlasclient.RateLimit{nil, {Limit: 1200}} {
			b := after(t, nil, refusedFor(7*time.Second, limit))
			var wg sync.WaitGroup
			for _, kind := range []turn{read, write} {
				wg.Go(func() {
					require.GreaterOrEqual(t, took(t, b, kind), 7*time.Second)
					b.learn(says(1200, 1200), nil)
				})
			}
			wg.Wait()
		}
		// 0 means soon, not at once; an hour means a while, not for ever.
		b := after(t, nil, refusedFor(0, nil))
		require.GreaterOrEqual(t, took(t, b, write), time.Second)
		b.learn(nil, refusedFor(time.Hour, nil))
		var busy errBusy
		require.ErrorAs(t, b.take(t.Context(), read), &busy)
		require.InDelta(t, maxBlock.Seconds(), busy.after.Seconds(), 2)
		require.Equal(t, "the request budget that Atlas gives the project (1200) is used up; next turn in "+busy.after.Round(time.Second).String(), busy.Error())
	})
}

// What cannot be sent soon holds no slot and no place.
func TestBudgetGivesBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := after(t, says(120, 3), nil) // 50 a minute
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.NoError(t, b.take(ctx, write), "the last above the floor")
		require.ErrorIs(t, b.take(ctx, write), context.DeadlineExceeded)
		b.refill = 0.01
		var busy errBusy
		require.ErrorAs(t, b.take(t.Context(), write), &busy)
		require.Equal(t, 1.0, b.underWay)
		require.Zero(t, b.waiting)
		require.False(t, b.idle(time.Now()))
		b.learn(says(120, 120), nil)
		require.True(t, b.idle(time.Now()))
	})
}

// Three workers that know nothing of each other keep within one bucket, and
// all that they want to send is sent.
func TestBudgetsShareABucket(t *testing.T) {
	t.Parallel()
	for seed := range uint64(5) {
		synctest.Test(t, func(t *testing.T) {
			const limit, refill = 100, 100.0 / 60
			random := rand.New(rand.NewPCG(seed, 1))
			var mu sync.Mutex
			tokens, at, refusals := float64(limit), time.Now(), 0
			atlas := func(context.Context) (int, *atlasclient.Response, error) {
				mu.Lock()
				takes := time.Duration(20+random.IntN(100)) * time.Millisecond
				mu.Unlock()
				time.Sleep(takes)
				mu.Lock()
				defer mu.Unlock()
				tokens, at = min(limit, tokens+refill*time.Since(at).Seconds()), time.Now()
				if tokens < 1 {
					refusals++
					return 0, nil, refusedFor(time.Second, &atlasclient.RateLimit{Limit: limit})
				}
				tokens--
				return 0, says(limit, int(tokens)), nil
			}
			var wg sync.WaitGroup
			for range 3 {
				var b budget
				for i := range 60 {
					wg.Go(func() {
						for {
							kind := write
							if i%2 == 0 {
								kind = read
							}
							_, _, err := ask(t.Context(), &b, kind, atlas)
							var busy errBusy
							if !errors.As(err, &busy) {
								return
							}
							time.Sleep(busy.after)
						}
					})
				}
			}
			wg.Wait()
			require.Zero(t, refusals)
		})
	}
}

func BenchmarkBudget(b *testing.B) {
	var spend budget
	answer := says(1<<30, 1<<30)
	b.ReportAllocs()
	for b.Loop() {
		if err := spend.take(b.Context(), read); err != nil {
			b.Fatal(err)
		}
		spend.learn(answer, nil)
	}
}
