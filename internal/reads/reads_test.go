package reads

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/atlas-provisioner/atlas-provisioner/atlasclient"
)

const group = "5c0ffee5c0ffee5c0ffee5c0"

// inMemory is an Atlas without a network, so that a test can hold the clock. It counts its requests.
type inMemory struct {
	mu       sync.Mutex
	clusters []string
	lists    int // pages of a list
	gets     int
	answer   func() (status int, body string) // answers lists; nil: with the clusters
	takes    time.Duration                    // each answer
}

func (a *inMemory) RoundTrip(r *http.Request) (*http.Response, error) {
	select {
	case <-time.After(a.takes):
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	status, body := 200, ""
	if name, single := strings.CutPrefix(r.URL.Path, "/api/atlas/v2/groups/"+group+"/flexClusters/"); single {
		a.gets++
		body = clusterJSON(name)
	} else {
		a.lists++
		status, body = a.list()
	}
	return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(body))}, nil
}

func (a *inMemory) list() (status int, body string) {
	if a.answer != nil {
		return a.answer()
	}
	return 200, page(a.clusters[:min(len(a.clusters), atlasclient.MaxPageSize-1)]...) // one page
}

func clusterJSON(name string) string {
	return fmt.Sprintf(`{"id": "0", "name": %q, "stateName": "CREATING"}`, name)
}

func page(names ...string) string {
	var all []string
	for _, name := range names {
		all = append(all, clusterJSON(name))
	}
	return fmt.Sprintf(`{"results": [%s], "totalCount": %d}`, strings.Join(all, ","), len(all))
}

// requests is how many there were since the last call: pages of lists, and single reads.
func (a *inMemory) requests() [2]int {
	a.mu.Lock()
	defer a.mu.Unlock()
	count := [2]int{a.lists, a.gets}
	a.lists, a.gets = 0, 0
	return count
}

func setup(t testing.TB, names ...string) (*inMemory, *Reads) {
	t.Helper()
	atlas := &inMemory{clusters: names, takes: 10 * time.Millisecond}
	client, err := atlasclient.New(atlasclient.Options{Transport: atlas})
	require.NoError(t, err)
	return atlas, New(client)
}

// enter begins a wait for each of the names, and lets a moment pass, so that a list is news to all of them.
func enter(r *Reads, names ...string) []*Wait {
	var waits []*Wait
	for _, name := range names {
		waits = append(waits, r.Enter(group, name, Flex, time.Now()))
	}
	time.Sleep(time.Millisecond)
	return waits
}

func count(r *Reads) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.waits
}

// look looks once and wants to see the cluster.
func look(t *testing.T, w *Wait, maxAge time.Duration) {
	t.Helper()
	c, _, err := w.Look(t.Context(), maxAge)
	require.NoError(t, err)
	require.NotNil(t, c)
	require.Equal(t, w.name, c.Name)
}

// A wait that is alone reads its own cluster. With others, one list answers all, for as long as it is young enough for
// each.
func TestOneListAnswersAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		names := []string{"a", "b", "c", "d"}
		atlas, r := setup(t, names...)
		waits := enter(r, names[0])
		look(t, waits[0], time.Second)
		require.Equal(t, [2]int{0, 1}, atlas.requests())

		waits = append(waits, enter(r, names[1:]...)...)
		for range 3 {
			var wg sync.WaitGroup
			for _, w := range waits {
				wg.Go(func() { look(t, w, time.Second) })
			}
			wg.Wait()
			require.Equal(t, [2]int{1, 0}, atlas.requests(), "one list for all")
			time.Sleep(time.Second)
		}

		// Whoever looks later takes the list that is there, if it is young enough.
		look(t, waits[0], time.Second)
		time.Sleep(500 * time.Millisecond)
		look(t, waits[1], time.Second)
		require.Equal(t, [2]int{1, 0}, atlas.requests())
		look(t, waits[2], 100*time.Millisecond)
		require.Equal(t, [2]int{1, 0}, atlas.requests(), "too old for this one")

		// A wait that ends leaves nothing behind, and the last is alone again.
		for _, w := range waits[1:] {
			w.Leave(0)
		}
		look(t, waits[0], time.Second)
		require.Equal(t, [2]int{0, 1}, atlas.requests())
		waits[0].Leave(0)
		require.Zero(t, count(r))
		time.Sleep(5 * sweepEvery)
		synctest.Wait()
		require.Empty(t, r.projects)
		require.False(t, r.sweeping, "no timer is left")
	})
}

// A sleeping wait is woken by anybody's list.
func TestListWakesOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		atlas, r := setup(t, "a", "b")
		waits := enter(r, "a", "b")
		slept := make(chan time.Duration)
		go func() {
			begun := time.Now()
			waits[1].Sleep(t.Context(), time.Hour)
			look(t, waits[1], time.Second)
			slept <- time.Since(begun)
		}()
		time.Sleep(5 * time.Second)
		look(t, waits[0], time.Second)
		require.Equal(t, 5*time.Second+atlas.takes, <-slept)
		require.Equal(t, [2]int{1, 0}, atlas.requests())

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.False(t, waits[1].Sleep(ctx, time.Hour), "the list that it has seen does not wake it again")
		require.True(t, waits[1].Sleep(t.Context(), time.Second))
	})
}

// A list that fails, or lacks the cluster, is followed by single reads.
func TestSingleReadsFollowAList(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		atlas, r := setup(t, "a")
		waits := enter(r, "a", "hidden")
		look(t, waits[0], time.Second)
		look(t, waits[1], time.Second)
		require.Equal(t, [2]int{1, 1}, atlas.requests())
		atlas.answer = func() (int, string) { return 503, "{}" }
		time.Sleep(time.Second)
		look(t, waits[0], time.Second)
		require.Equal(t, [2]int{1, 1}, atlas.requests())
	})
}

// A wait for the end of a cluster is answered by a list that lacks it, if the list is complete, ended well and began
// after the wait's last look. Any other list is followed by a request of its own.
func TestUntilGone(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name     string
		clusters []string
		answer   func() (int, string) // nil: with the clusters
		absent   bool
		requests [2]int // pages of lists, and single reads
	}{
		{name: "a list that lacks it", clusters: []string{"b"}, absent: true, requests: [2]int{1, 0}},
		{name: "an empty list", absent: true, requests: [2]int{1, 0}},
		{name: "a list that has it", clusters: []string{"a", "b"}, requests: [2]int{1, 0}},
		{name: "a list that fails", answer: func() (int, string) { return 503, "{}" }, requests: [2]int{1, 1}},
		{name: "a list that makes no sense", answer: func() (int, string) { return 200, "{}" }, requests: [2]int{1, 1}},
		{
			name: "a list of several pages: what moves up between two of them is in neither",
			answer: func() func() (int, string) {
				pages := [][]string{numbered(atlasclient.MaxPageSize), {"last"}}
				return func() (int, string) {
					body := page(pages[0]...)
					pages = pages[1:]
					return 200, body
				}
			}(),
			requests: [2]int{2, 1},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				atlas, r := setup(t, test.clusters...)
				atlas.answer = test.answer
				w := enter(r, "a", "b")[0]
				w.UntilGone()
				_, _, err := w.Look(t.Context(), time.Second)
				if test.absent {
					require.ErrorIs(t, err, ErrAbsent)
				} else {
					require.NoError(t, err)
				}
				require.Equal(t, test.requests, atlas.requests())
			})
		})
	}
}

// A list that was under way when the wait began does not say that its cluster is gone: it may be newer than the list.
func TestUntilGoneNeedsANewerList(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		atlas, r := setup(t, "b", "c")
		waits := enter(r, "b", "c")
		go look(t, waits[0], time.Second) // begins a list
		time.Sleep(atlas.takes / 2)
		w := enter(r, "a")[0]
		w.UntilGone()
		_, _, err := w.Look(t.Context(), time.Minute)
		require.ErrorIs(t, err, ErrAbsent)
		require.Equal(t, [2]int{2, 0}, atlas.requests())
		_, _, err = w.Look(t.Context(), time.Minute)
		require.ErrorIs(t, err, ErrAbsent)
		require.Equal(t, [2]int{1, 0}, atlas.requests(), "what it has seen once is no news")
	})
}

// A wait for the end of a cluster that is alone in its project reads the cluster itself.
func TestUntilGoneAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		atlas, r := setup(t)
		w := enter(r, "a")[0]
		w.UntilGone()
		look(t, w, time.Second)
		require.Equal(t, [2]int{0, 1}, atlas.requests())
	})
}

// Anybody's list wakes a wait for the end of a cluster, since one that lacks it is the end.
func TestListThatLacksTheClusterWakes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		atlas, r := setup(t, "b", "c")
		waits := enter(r, "a", "b", "c")
		waits[0].UntilGone()
		slept := make(chan time.Duration)
		go func() {
			begun := time.Now()
			waits[0].Sleep(t.Context(), time.Hour)
			_, _, err := waits[0].Look(t.Context(), time.Second)
			if err != ErrAbsent {
				begun = time.Time{}
			}
			slept <- time.Since(begun)
		}()
		time.Sleep(5 * time.Second)
		look(t, waits[1], time.Second)
		require.Equal(t, 5*time.Second+atlas.takes, <-slept)
		require.Equal(t, [2]int{1, 0}, atlas.requests())
	})
}

// A gateway that drops the query answers the same full page again and again. Then each wait reads by itself, no more
// often than if it were alone, and the list is tried again after a while.
func TestListThatMakesNoSense(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{
		"the same page again": page(numbered(atlasclient.MaxPageSize)...),
		"no list":             `{}`,
		"null":                `null`,
		"HTML":                `<html>`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				atlas, r := setup(t)
				atlas.answer = func() (int, string) { return 200, answer }
				waits := enter(r, numbered(100)...)
				require.Equal(t, 250*time.Millisecond, waits[0].Interval(time.Second))
				for round := range 3 {
					var all sync.WaitGroup
					for _, w := range waits {
						all.Go(func() { look(t, w, time.Second) })
					}
					all.Wait()
					requests := atlas.requests()
					require.Equal(t, 100, requests[1], "single reads")
					if round == 0 {
						require.LessOrEqual(t, requests[0], 2)
						require.Positive(t, requests[0])
					} else {
						require.Zero(t, requests[0])
					}
					require.Equal(t, time.Second, waits[0].Interval(time.Second))
					time.Sleep(time.Second)
				}
				atlas.answer = nil
				atlas.clusters = numbered(100)
				time.Sleep(singleFor)
				look(t, waits[0], time.Second)
				require.Equal(t, [2]int{1, 0}, atlas.requests())
				require.Equal(t, 250*time.Millisecond, waits[0].Interval(time.Second))
			})
		})
	}
}

// numbered are n names.
func numbered(n int) []string {
	var names []string
	for i := range n {
		names = append(names, fmt.Sprintf("cluster-%d", i))
	}
	return names
}

// What was read before a wait began says nothing of its cluster: the name may have been somebody else's.
func TestListFromBeforeTheWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		atlas, r := setup(t, "a", "b", "late")
		waits := enter(r, "a", "b")
		go look(t, waits[0], time.Second) // begins a list
		time.Sleep(atlas.takes / 2)
		look(t, enter(r, "late")[0], time.Minute)
		require.Equal(t, [2]int{2, 0}, atlas.requests())
	})
}

// The last wait of a project, left alone with a list that it has not seen, looks by itself and goes on sleeping.
func TestLastWaitLooksByItself(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		atlas, r := setup(t, "a", "b")
		waits := enter(r, "a", "b")
		look(t, waits[1], time.Second)
		waits[1].Leave(0)
		begun := time.Now()
		for range 10 {
			require.True(t, waits[0].Sleep(t.Context(), time.Second))
			look(t, waits[0], time.Second)
		}
		require.Equal(t, [2]int{1, 10}, atlas.requests())
		require.GreaterOrEqual(t, time.Since(begun), 9*time.Second, "one look a second, but for the first")
	})
}

// A list ends when nobody waits for it any more.
func TestListThatNobodyWaitsFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		atlas, r := setup(t, "a", "b")
		atlas.takes = time.Hour
		waits := enter(r, "a", "b")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begun := time.Now()
		_, _, err := waits[0].Look(ctx, time.Second)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		synctest.Wait()
		require.Equal(t, time.Second, time.Since(begun))
		require.Nil(t, waits[0].project.current)
	})
}

// limiter notes what the context of each request holds under a key.
type limiter struct{ values chan any }

type contextKey struct{}

func (l limiter) Acquire(ctx context.Context, _, _ string) (func(atlasclient.Observation), error) {
	l.values <- ctx.Value(contextKey{})
	return func(atlasclient.Observation) {}, nil
}

// A list has the priority of the look that began it.
func TestListKeepsTheContextsValues(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		values := make(chan any, 1)
		client, err := atlasclient.New(atlasclient.Options{
			Transport: &inMemory{clusters: []string{"a", "b"}}, Limiter: limiter{values},
		})
		require.NoError(t, err)
		waits := enter(New(client), "a", "b")
		_, _, err = waits[0].Look(context.WithValue(t.Context(), contextKey{}, "a look's"), time.Second)
		require.NoError(t, err)
		require.Equal(t, "a look's", <-values)
	})
}

// Where many wait in one project, all are looked at more often. Where the worker holds many waits in many projects, the
// few of one project are looked at less often. The number of requests that a wait costs stays the same.
func TestInterval(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		here, elsewhere int
		want            time.Duration
	}{
		{here: 1, elsewhere: 0, want: time.Second},
		{here: 1, elsewhere: 5000, want: time.Second},
		{here: 2, elsewhere: 0, want: time.Second},
		{here: 20, elsewhere: 0, want: time.Second},
		{here: 25, elsewhere: 175, want: 1414 * time.Millisecond},
		{here: 25, elsewhere: 975, want: 3162 * time.Millisecond},
		{here: 50, elsewhere: 0, want: 500 * time.Millisecond},
		{here: 100, elsewhere: 0, want: 250 * time.Millisecond},
		{here: 1000, elsewhere: 0, want: 250 * time.Millisecond},
		{here: 10, elsewhere: 990, want: 4 * time.Second},
		{here: 2, elsewhere: 998, want: 4 * time.Second},
	} {
		_, r := setup(t)
		var w *Wait
		for i := range test.here {
			w = r.Enter(group, fmt.Sprint(i), Flex, time.Now())
		}
		for i := range test.elsewhere {
			r.Enter("elsewhere", fmt.Sprint(i), Flex, time.Now())
		}
		got := w.Interval(time.Second).Round(time.Millisecond)
		require.Equal(t, test.want, got, "%d here, %d elsewhere", test.here, test.elsewhere)
	}
}

// However many wait, a worker has 80 slow looks a second at most.
func TestTurnaround(t *testing.T) {
	t.Parallel()
	_, r := setup(t)
	var w *Wait
	for i := range 8_000 {
		w = r.Enter(fmt.Sprint(i%100), fmt.Sprint(i), Flex, time.Now())
	}
	require.Equal(t, 100*time.Second, w.Turnaround())
}

// A wait for a cluster that no list covers is always alone, makes nobody's reads shared, and is counted.
func TestUnlisted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		atlas, r := setup(t, "a", "b")
		first, second := r.Enter(group, "a", Unlisted, time.Now()), r.Enter(group, "b", Unlisted, time.Now())
		flex := r.Enter(group, "a", Flex, time.Now())
		for _, w := range []*Wait{first, second, flex} {
			require.True(t, w.Alone())
			require.Equal(t, time.Second, w.Interval(time.Second))
			look(t, w, time.Second)
			require.True(t, w.Sleep(t.Context(), time.Second))
		}
		require.Equal(t, [2]int{0, 3}, atlas.requests())
		first.Saw("UPDATING")
		second.Saw("UPDATING")
		flex.Saw("CREATING")
		require.Equal(t, map[string]int{"UPDATING": 2, "CREATING": 1}, r.Snapshot())
		for _, w := range []*Wait{first, second, flex} {
			w.Leave(0)
		}
		require.Empty(t, r.Snapshot())
		time.Sleep(sweepEvery)
		synctest.Wait()
		require.Empty(t, r.projects)
	})
}

// A snapshot counts a cluster with its last state until its next look is overdue.
func TestSnapshot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, r := setup(t)
		w := r.Enter(group, "a", Flex, time.Now())
		w.Saw("CREATING")
		time.Sleep(time.Hour)
		require.Equal(t, map[string]int{"CREATING": 1}, r.Snapshot(), "an attempt is never overdue")
		w.Leave(10 * time.Second)
		time.Sleep(10 * time.Second)
		w = r.Enter(group, "a", Flex, time.Now())
		require.Equal(t, map[string]int{"CREATING": 1}, r.Snapshot(), "the next attempt knows the state")
		w.Saw("IDLE")
		w.Leave(10 * time.Second)
		time.Sleep(10*time.Second + lookGrace - time.Millisecond)
		require.Equal(t, map[string]int{"IDLE": 1}, r.Snapshot())
		time.Sleep(time.Millisecond)
		require.Empty(t, r.Snapshot(), "another worker has it by now")
		w.Saw("CREATING") // after the end of the attempt
		time.Sleep(10 * sweepEvery)
		synctest.Wait()
		require.Empty(t, r.projects)
	})
}

// An attempt that outlives what is known of its project leaves nothing behind.
func TestLeaveAForgottenProject(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, r := setup(t)
		w := r.Enter(group, "a", Flex, time.Now())
		r.Enter(group, "a", Flex, time.Now()).Leave(0) // another run's
		r.sweep()
		require.Empty(t, r.projects)
		w.Leave(10 * time.Second)
		require.Equal(t, 1, count(r))
		time.Sleep(5 * sweepEvery)
		synctest.Wait()
		require.Zero(t, count(r))
		require.Empty(t, r.projects)
	})
}

// The waits that went on in another worker are forgotten.
func TestSweep(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, r := setup(t)
		r.Enter(group, "a", Flex, time.Now()).Leave(10 * time.Second)
		r.Enter(group, "b", Flex, time.Now()).Leave(10 * time.Minute)
		require.Equal(t, 2, count(r))
		time.Sleep(sweepEvery)
		synctest.Wait()
		require.Equal(t, 1, count(r))
		time.Sleep(30 * time.Minute)
		synctest.Wait()
		require.Empty(t, r.projects)
	})
}

// A look that finds a young list costs no request.
func BenchmarkSharedRead(b *testing.B) {
	for _, n := range []int{2, 400} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			names := numbered(n)
			atlas, r := setup(b, names...)
			atlas.takes = 0
			waits := make([]*Wait, n)
			for i, name := range names {
				waits[i] = r.Enter(group, name, Flex, time.Time{})
			}
			i := 0
			b.ReportAllocs()
			for b.Loop() {
				w := waits[i%n]
				w.after = time.Time{}
				if _, _, err := w.Look(b.Context(), time.Hour); err != nil {
					b.Fatal(err)
				}
				i++
			}
		})
	}
}
