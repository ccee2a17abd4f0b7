package integration

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/atlas-provisioner/atlas-provisioner/activities"
	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv/testworker"
)

// provisionAll provisions clusters of one project at once.
func provisionAll(s *testenv.Stack, clusters int) {
	s.TB().Helper()
	executeAll(s, clusters, contract.Created, func(name string) contract.Request { return testenv.Flex(name) })
	require.Equal(s.TB(), clusters, s.Sim.Count(atlassim.Created))
}

// executeAll executes a request for each of a number of clusters of one project at once.
func executeAll(s *testenv.Stack, clusters int, want contract.Outcome, request func(name string) contract.Request) {
	t := s.TB()
	t.Helper()
	name := testenv.ClusterName(t)
	var wg sync.WaitGroup
	errs, outcomes := make([]error, clusters), make([]contract.Outcome, clusters)
	for i := range clusters {
		wg.Go(func() {
			run, err := s.Client.Start(s.Context(), request(fmt.Sprintf("%s-%d", name, i)))
			if err == nil {
				var cluster contract.Cluster
				cluster, err = s.Client.Result(s.Context(), run.WorkflowID, run.RunID)
				outcomes[i] = cluster.Outcome
			}
			errs[i] = err
		})
	}
	wg.Wait()
	for i, err := range errs {
		require.NoError(t, err)
		require.Equal(t, want, outcomes[i])
	}
}

// countRequests counts all HTTP requests, and requires that the simulator has refused none of them with 429.
func countRequests(s *testenv.Stack) int {
	t := s.TB()
	t.Helper()
	ledger := s.Sim.Ledger()
	for _, e := range ledger {
		require.NotEqual(t, 429, e.Status, "%s %s", e.Method, e.Path)
	}
	return len(ledger)
}

// Waits of one project share their reads, so that a fleet of clusters makes few requests. The limits are those of
// docs/benchmarks.md, and the pace is that of production.
func TestFleet(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		clusters    int
		rateLimit   int // requests each minute
		maxRequests int
		createFor   time.Duration
	}{
		{clusters: 1, rateLimit: 1200, maxRequests: 6, createFor: 5 * time.Second},
		{clusters: 20, rateLimit: 100, maxRequests: 60, createFor: 30 * time.Second},
		{clusters: 100, rateLimit: 1200, maxRequests: 200, createFor: 8 * time.Second},
	} {
		t.Run(fmt.Sprint(test.clusters), func(t *testing.T) {
			t.Parallel()
			config := atlassim.Config{
				CreateFor: atlassim.Duration(test.createFor),
				RateLimit: test.rateLimit, RefillPerMinute: test.rateLimit,
			}
			s := setup(t, config, testworker.WithPace(activities.Pace{}))
			provisionAll(s, test.clusters)
			n := countRequests(s)
			t.Logf("%d clusters: %d requests", test.clusters, n)
			require.LessOrEqual(t, n, test.maxRequests)
		})
	}
}

// Changes and deletes of one project share their reads as well. A delete takes as long as one of Atlas.
func TestFleetOfChanges(t *testing.T) {
	t.Parallel()
	const clusters = 100
	config := atlassim.Config{
		RateLimit: 1200, RefillPerMinute: 500, DeleteFor: atlassim.Duration(30 * time.Second),
	}
	s := setup(t, config, testworker.WithPace(activities.Pace{}))
	for i := range clusters {
		in := testenv.Flex(fmt.Sprintf("%s-%d", testenv.ClusterName(t), i))
		createByOthers(s, in, atlassim.Tag{Key: contract.OwnershipTag, Value: contract.WorkflowID(in)})
	}
	executeAll(s, clusters, contract.Updated, func(name string) contract.Request {
		return contract.UpdateFlexClusterInput{
			GroupID: project, Name: name, Tags: []contract.Tag{{Key: "team", Value: "billing"}},
		}
	})
	updates := countRequests(s)
	executeAll(s, clusters, contract.Deleted, func(name string) contract.Request {
		return contract.DeleteClusterInput{GroupID: project, Name: name}
	})
	deletes := countRequests(s) - updates
	t.Logf("%d clusters: %d requests to update them, %d to delete them", clusters, updates, deletes)
	require.LessOrEqual(t, updates, 3*clusters)
	require.LessOrEqual(t, deletes, 2*clusters)
	require.Empty(t, s.Sim.Clusters())
}

// Three workers that know nothing of each other keep the rate limit of their project, although it allows hardly more
// requests than the clusters that they make.
func TestFleetOfWorkers(t *testing.T) {
	t.Parallel()
	s := testenv.New(t,
		atlassim.Config{CreateFor: atlassim.Duration(8 * time.Second), RateLimit: 30, RefillPerMinute: 30},
	)
	for range 3 {
		testworker.Start(s, testworker.WithPace(activities.Pace{}))
	}
	provisionAll(s, 20)
	t.Logf("%d requests", countRequests(s))
}

// Sixty provisions at once succeed though Atlas refuses replays of a digest, ends nonces after a few uses and takes one
// of twenty well-signed requests for a replay: a key that was right a moment ago is not wrong.
func TestSixtyProvisionsByDigest(t *testing.T) {
	t.Parallel()
	s := setup(t, atlassim.Config{
		CreateFor: atlassim.Duration(time.Second), RefuseReplays: true, NonceUses: 20,
		NonceTTL: atlassim.Duration(5 * time.Second),
		Faults:   []atlassim.Fault{{Kind: atlassim.FaultUnauthorized, Probability: 0.05}},
	})
	provisionAll(s, 60)
}

// Reads that lag 40 seconds behind the create say nothing of the cluster, and the run waits until Atlas shows it.
func TestReadsThatLag(t *testing.T) {
	t.Parallel()
	s := setup(t, atlassim.Config{HiddenFor: atlassim.Duration(40 * time.Second)})
	cluster, err := execute(s, flex(t))
	require.NoError(t, err)
	require.Equal(t, contract.Created, cluster.Outcome)
	require.Equal(t, 1, s.Sim.Count(atlassim.Created))
}

// A create whose answer was lost finds its name taken by a cluster that Atlas does not show for 40 seconds: it is its
// own.
func TestLostCreateAndReadsThatLag(t *testing.T) {
	t.Parallel()
	s := setup(t, atlassim.Config{
		HiddenFor: atlassim.Duration(40 * time.Second),
		Faults:    []atlassim.Fault{{Kind: atlassim.FaultLost, Method: "POST", Times: 1}},
	})
	cluster, err := execute(s, flex(t))
	require.NoError(t, err)
	require.Equal(t, contract.Created, cluster.Outcome)
	require.Equal(t, 1, s.Sim.Count(atlassim.Created))
}
