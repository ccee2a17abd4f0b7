package activities

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
	"go.temporal.io/sdk/activity"

	"github.com/atlas-provisioner/atlas-provisioner/atlasclient"
)

// inMemory is an Atlas without a network, so that a test can hold the clock. It
// counts its requests.
type inMemory struct {
	mu       sync.Mutex
	clusters []string
	lists    int
	gets     int
	fail     bool          // lists fail
	takes    time.Duration // each answer
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
	if name, one := strings.CutPrefix(r.URL.Path, "/api/atlas/v2/groups/"+group+"/flexClusters/"); one {
		a.gets++
		body = fmt.Sprintf(`{"name": %q, "stateName": "CREATING"}`, name)
	} else {
		a.lists++
		var all []string
		for _, name := range a.clusters[:min(len(a.clusters), atlasclient.MaxPageSize-1)] { // one page
			all = append(all, fmt.Sprintf(`{"name": %q, "stateName": "CREATING"}`, name))
		}
		body = fmt.Sprintf(`{"results": [%s], "totalCount": %d}`, strings.Join(all, ","), len(all))
		if a.fail {
			status, body = 503, "{}"
		}
	}
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

// requests is how many there were since the last time.
func (a *inMemory) requests() (lists, gets int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	lists, gets = a.lists, a.gets
	a.lists, a.gets = 0, 0
	return lists, gets
}

func newInMemory(t testing.TB, names ...string) (*inMemory, *fleet) {
	t.Helper()
	atlas := &inMemory{clusters: names, takes: 10 * time.Millisecond}
	client, err := atlasclient.New(atlasclient.Options{Transport: atlas})
	require.NoError(t, err)
	return atlas, newFleet(client)
}

// held is how many waits the fleet knows of.
func held(f *fleet) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.waits
}

// look looks once and wants to see the cluster.
func look(t *testing.T, w *watch, maxAge time.Duration) {
	t.Helper()
	c, _, err := w.look(t.Context(), maxAge)
	require.NoError(t, err)
	require.NotNil(t, c)
	require.Equal(t, w.name, c.Name)
}

// Alone a wait reads its own cluster; with others one list answers all, for as
// long as it is young enough for each.
func TestSharedReads(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		names := []string{"a", "b", "c", "d"}
		atlas, f := newInMemory(t, names...)
		alone := f.project(group).watch("a", time.Now())
		look(t, alone, time.Second)
		lists, gets := atlas.requests()
		require.Equal(t, []int{0, 1}, []int{lists, gets})

		watches := []*watch{alone}
		for _, name := range names[1:] {
			watches = append(watches, f.project(group).watch(name, time.Now()))
		}
		time.Sleep(time.Millisecond)
		for range 3 {
			var wg sync.WaitGroup
			for _, w := range watches {
				wg.Go(func() { look(t, w, time.Second) })
			}
			wg.Wait()
			lists, gets = atlas.requests()
			require.Equal(t, []int{1, 0}, []int{lists, gets}, "one list for all")
			time.Sleep(time.Second)
		}

		// Whoever comes back later takes what is there, if it is young enough.
		look(t, watches[0], time.Second)
		time.Sleep(500 * time.Millisecond)
		look(t, watches[1], time.Second)
		lists, _ = atlas.requests()
		require.Equal(t, 1, lists)
		look(t, watches[2], 100*time.Millisecond)
		lists, _ = atlas.requests()
		require.Equal(t, 1, lists, "too old for this one")

		// One that ends leaves nothing, and the last is alone again.
		for _, w := range watches[1:] {
			w.leave(0)
		}
		look(t, alone, time.Second)
		lists, gets = atlas.requests()
		require.Equal(t, []int{0, 1}, []int{lists, gets})
		alone.leave(0)
		require.Zero(t, held(f))
		time.Sleep(5 * sweepEvery)
		synctest.Wait()
		require.Empty(t, f.projects)
		require.False(t, f.sweeping, "no timer is left")
	})
}

// A sleeping wait is woken by anybody's list.
func TestSharedWake(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		atlas, f := newInMemory(t, "a", "b")
		a, b := f.project(group).watch("a", time.Now()), f.project(group).watch("b", time.Now())
		time.Sleep(time.Millisecond)
		woken := make(chan time.Duration)
		go func() {
			begun := time.Now()
			b.sleep(t.Context(), time.Hour)
			look(t, b, time.Second)
			woken <- time.Since(begun)
		}()
		time.Sleep(5 * time.Second)
		look(t, a, time.Second)
		require.Equal(t, 5*time.Second+atlas.takes, <-woken)
		lists, gets := atlas.requests()
		require.Equal(t, []int{1, 0}, []int{lists, gets})

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.False(t, b.sleep(ctx, time.Hour), "what it has seen does not wake it again")
		require.True(t, b.sleep(t.Context(), time.Second))
	})
}

// A list that fails, or lacks the cluster, is followed by single reads.
func TestSharedFallsBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		atlas, f := newInMemory(t, "a")
		a, hidden := f.project(group).watch("a", time.Now()), f.project(group).watch("hidden", time.Now())
		time.Sleep(time.Millisecond)
		look(t, a, time.Second)
		look(t, hidden, time.Second)
		lists, gets := atlas.requests()
		require.Equal(t, []int{1, 1}, []int{lists, gets})
		atlas.fail = true
		time.Sleep(time.Second)
		look(t, a, time.Second)
		lists, gets = atlas.requests()
		require.Equal(t, []int{1, 1}, []int{lists, gets})
	})
}

// What was read before a wait began says nothing of its cluster: the name may
// have been somebody else's.
func TestSharedNotFromBefore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		atlas, f := newInMemory(t, "a", "b", "late")
		a := f.project(group).watch("a", time.Now())
		f.project(group).watch("b", time.Now())
		time.Sleep(time.Millisecond)
		go look(t, a, time.Second) // begins a list
		time.Sleep(atlas.takes / 2)
		late := f.project(group).watch("late", time.Now())
		time.Sleep(time.Millisecond)
		look(t, late, time.Minute)
		lists, gets := atlas.requests()
		require.Equal(t, []int{2, 0}, []int{lists, gets})
	})
}

// The last of a project, left alone with a list that it has not seen, looks by
// itself and goes on sleeping.
func TestSharedLastOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		atlas, f := newInMemory(t, "a", "b")
		a, b := f.project(group).watch("a", time.Now()), f.project(group).watch("b", time.Now())
		time.Sleep(time.Millisecond)
		look(t, b, time.Second)
		b.leave(0)
		begun := time.Now()
		for range 10 {
			require.True(t, a.sleep(t.Context(), time.Second))
			look(t, a, time.Second)
		}
		lists, gets := atlas.requests()
		require.Equal(t, []int{1, 10}, []int{lists, gets})
		require.GreaterOrEqual(t, time.Since(begun), 9*time.Second, "one look a second, but for the first")
	})
}

// A list ends when nobody waits for it any more.
func TestSharedNobodyWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		atlas, f := newInMemory(t, "a", "b")
		atlas.takes = time.Hour
		a := f.project(group).watch("a", time.Now())
		f.project(group).watch("b", time.Now())
		time.Sleep(time.Millisecond)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begun := time.Now()
		_, _, err := a.look(ctx, time.Second)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		synctest.Wait()
		require.Equal(t, time.Second, time.Since(begun))
		require.Nil(t, a.listing)
	})
}

// Where many wait in one project, all are looked at more often; where the
// worker holds a fleet, the few of a project are looked at less often. What a
// wait pays for its reads stays the same.
func TestSharedInterval(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		here, elsewhere int
		want            time.Duration
	}{
		{1, 0, time.Second},
		{1, 5000, time.Second},
		{2, 0, time.Second},
		{20, 0, time.Second},
		{25, 175, 1414 * time.Millisecond},
		{25, 975, 3162 * time.Millisecond},
		{50, 0, 500 * time.Millisecond},
		{100, 0, 250 * time.Millisecond},
		{1000, 0, 250 * time.Millisecond},
		{10, 990, 4 * time.Second},
		{2, 998, 4 * time.Second},
	} {
		_, f := newInMemory(t)
		var w *watch
		for i := range test.here {
			w = f.project(group).watch(fmt.Sprint(i), time.Now())
		}
		for i := range test.elsewhere {
			f.project("elsewhere").watch(fmt.Sprint(i), time.Now())
		}
		require.Equal(t, test.want, w.interval(time.Second).Round(time.Millisecond), "%d here, %d elsewhere", test.here, test.elsewhere)
	}
}

// However many wait, a worker has 80 slow looks a second at most.
func TestSharedTurnaround(t *testing.T) {
	t.Parallel()
	_, f := newInMemory(t)
	var w *watch
	require.Zero(t, w.turnaround())
	for i := range 8_000 {
		w = f.project(fmt.Sprint(i%100)).watch(fmt.Sprint(i), time.Now())
	}
	require.Equal(t, 100*time.Second, w.turnaround())
	now := time.Now()
	wait := &wait{Activities: New(nil, Pace{}), others: w, info: activity.Info{Attempt: 9, ScheduledTime: now.Add(-time.Hour), StartedTime: now}}
	require.GreaterOrEqual(t, wait.every(), 90*time.Second)
	require.LessOrEqual(t, wait.every(), 110*time.Second)
}

// A project that is forgotten while a wait is about to enter it is one again.
func TestSharedForgotten(t *testing.T) {
	t.Parallel()
	_, f := newInMemory(t)
	p := f.project(group)
	f.sweep()
	w := p.watch("a", time.Now())
	require.Same(t, f.project(group), w.project)
	require.NotSame(t, p, w.project)
	w.leave(0)
	require.Zero(t, held(f))
}

// The waits that went on in another worker are forgotten.
func TestSharedSweep(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, f := newInMemory(t)
		f.project(group).watch("a", time.Now()).leave(10 * time.Second)
		f.project(group).watch("b", time.Now()).leave(10 * time.Minute)
		require.Equal(t, 2, held(f))
		time.Sleep(sweepEvery)
		synctest.Wait()
		require.Equal(t, 1, held(f))
		time.Sleep(30 * time.Minute)
		synctest.Wait()
		require.Empty(t, f.projects)
	})
}

// A look that finds a young list costs no request.
func BenchmarkSharedRead(b *testing.B) {
	for _, waits := range []int{2, 400} {
		b.Run(fmt.Sprint(waits), func(b *testing.B) {
			names := make([]string, waits)
			for i := range names {
				names[i] = fmt.Sprintf("cluster-%d", i)
			}
			atlas, f := newInMemory(b, names...)
			atlas.takes = 0
			watches := make([]*watch, waits)
			for i, name := range names {
				watches[i] = f.project(group).watch(name, time.Time{})
			}
			i := 0
			b.ReportAllocs()
			for b.Loop() {
				w := watches[i%waits]
				w.after = time.Time{}
				if _, _, err := w.look(b.Context(), time.Hour); err != nil {
					b.Fatal(err)
				}
				i++
			}
		})
	}
}
