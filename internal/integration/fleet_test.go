package integration

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/atlas-provisioner/atlas-provisioner/activities"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
)

// provisionAll provisions clusters of one project at once.
func (s *stack) provisionAll(t *testing.T, clusters int) {
	t.Helper()
	var wg sync.WaitGroup
	errs := make([]error, clusters)
	for i := range clusters {
		wg.Go(func() {
			in := flex(t)
			in.Name += fmt.Sprintf("-%d", i)
			run, err := s.client.Start(s.ctx(), in)
			if err == nil {
				_, err = s.client.Result(s.ctx(), run.WorkflowID, run.RunID)
			}
			errs[i] = err
		})
	}
	wg.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
	require.Equal(t, clusters, s.sim.Count(atlassim.Created))
}

// spent counts every HTTP request, of which none was refused for the rate.
func (s *stack) spent(t *testing.T) int {
	t.Helper()
	ledger := s.sim.Ledger()
	for _, e := range ledger {
		require.NotEqual(t, 429, e.Status, "%s %s", e.Method, e.Path)
	}
	return len(ledger)
}

// The bars of docs/benchmarks.md as counts, at the real pace: who waits in one
// project shares the reads.
func TestFleet(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		clusters, limit, most int
		create                time.Duration
	}{
		{clusters: 1, limit: 1200, most: 6, create: 5 * time.Second},
		{clusters: 20, limit: 100, most: 60, create: 30 * time.Second},
		{clusters: 100, limit: 1200, most: 200, create: 8 * time.Second},
	} {
		t.Run(fmt.Sprint(test.clusters), func(t *testing.T) {
			t.Parallel()
			s := setup(t, atlassim.Config{CreateFor: atlassim.Duration(test.create), RateLimit: test.limit, RefillPerMinute: test.limit}, withPace(activities.Pace{}))
			s.provisionAll(t, test.clusters)
			n := s.spent(t)
			t.Logf("%d clusters: %d requests", test.clusters, n)
			require.LessOrEqual(t, n, test.most)
		})
	}
}

// Three workers know nothing of each other, and stay within one bucket that is
// hardly larger than what they are asked to make.
func TestFleetOfWorkers(t *testing.T) {
	t.Parallel()
	s := setupWithoutWorker(t, atlassim.Config{CreateFor: atlassim.Duration(8 * time.Second), RateLimit: 30, RefillPerMinute: 30})
	for range 3 {
		s.startWorker(withPace(activities.Pace{}))
	}
	s.provisionAll(t, 20)
	t.Logf("%d requests", s.spent(t))
}
