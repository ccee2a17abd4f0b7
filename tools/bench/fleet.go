//go:build unix

package main

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"golang.org/x/sync/errgroup"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/process"
	"github.com/atlas-provisioner/atlas-provisioner/provisioner"
)

// cluster is one to be made.
type cluster struct{ group, name string }

func (c cluster) input() contract.ProvisionFlexClusterInput {
	return contract.ProvisionFlexClusterInput{
		GroupID: c.group, Name: c.name,
		ProviderSettings: contract.ProviderSettings{BackingProviderName: "AWS", RegionName: "US_EAST_1"},
	}
}

// fleet is n clusters over the projects, one project after another or round
// robin.
func fleet(n, projects int, roundRobin bool) []cluster {
	out := make([]cluster, n)
	for i := range out {
		p := i * projects / n
		if roundRobin {
			p = i % projects
		}
		out[i] = cluster{fmt.Sprintf("%024x", 0xbe4c0000+p), fmt.Sprintf("c-%d", i)}
	}
	return out
}

// atOnce is how many starts are under way at once.
const atOnce = 16

// provision starts a run for each, as fast as it goes. started counts them.
func (s *stack) provision(ctx context.Context, clusters []cluster, started *atomic.Int64) error {
	c := provisioner.New(s.client, provisioner.Options{})
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for _, each := range clusters {
		g.Go(func() error {
			_, err := c.Start(ctx, each.input())
			if started != nil {
				started.Add(1)
			}
			return err
		})
	}
	return g.Wait()
}

// run is one that ended.
type run struct {
	cluster
	completed bool
	closed    time.Time
	events    int64
	bytes     int64
}

// await waits until n runs have ended, or patience is over, and answers those
// that have. It asks the server's visibility, so that no long poll for each
// run is part of what is measured.
func (s *stack) await(ctx context.Context, n int, patience time.Duration) ([]run, error) {
	until := time.Now().Add(patience)
	for time.Now().Before(until) {
		answer, err := s.client.CountWorkflow(ctx, &workflowservice.CountWorkflowExecutionsRequest{Query: ended})
		if err != nil {
			return nil, err
		}
		if answer.GetCount() >= int64(n) {
			break
		}
		if !pause(ctx, 500*time.Millisecond) {
			return nil, context.Cause(ctx)
		}
	}
	return s.ended(ctx)
}

const ended = "ExecutionStatus != 'Running'"

func (s *stack) ended(ctx context.Context) ([]run, error) {
	var out []run
	for token := []byte(nil); ; {
		page, err := s.client.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{Query: ended, PageSize: 1000, NextPageToken: token})
		if err != nil {
			return nil, err
		}
		for _, e := range page.GetExecutions() {
			id := strings.TrimPrefix(e.GetExecution().GetWorkflowId(), "atlas-cluster-")
			group, name, _ := strings.Cut(id, "-")
			out = append(out, run{
				cluster: cluster{group, name}, completed: e.GetStatus() == enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED,
				closed: e.GetCloseTime().AsTime(), events: e.GetHistoryLength(), bytes: e.GetHistorySizeBytes(),
			})
		}
		if token = page.GetNextPageToken(); len(token) == 0 {
			break
		}
	}
	if completed(out) == 0 {
		return nil, fmt.Errorf("no run has completed. %s", process.Tail(s.workerLog))
	}
	return out, nil
}

func completed(runs []run) int {
	return len(slices.DeleteFunc(slices.Clone(runs), func(r run) bool { return !r.completed }))
}

// lateness is how long after its cluster was IDLE each run completed, in
// seconds, given when that was.
func lateness(runs []run, idle map[cluster]time.Time) (out []float64) {
	for _, r := range runs {
		if at, ok := idle[r.cluster]; ok && r.completed {
			out = append(out, r.closed.Sub(at).Seconds())
		}
	}
	slices.Sort(out)
	return out
}

// idleAt is when each cluster that the simulator has was IDLE.
func (s *stack) idleAt(ctx context.Context, createFor time.Duration) (map[cluster]time.Time, error) {
	clusters, err := s.clusters(ctx)
	out := map[cluster]time.Time{}
	for c, there := range clusters {
		out[c] = there.CreateDate.Add(createFor)
	}
	return out, err
}

// quantile is the nearest rank of a sorted list; NaN of an empty one.
func quantile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return math.NaN()
	}
	return sorted[max(0, int(math.Ceil(q*float64(len(sorted))))-1)]
}

func median(list []float64) float64 { return quantile(slices.Sorted(slices.Values(list)), 0.5) }

// refused is how many requests got 429.
func refused(ledger []atlassim.Entry) (n int) {
	for _, e := range ledger {
		if e.Status == http.StatusTooManyRequests {
			n++
		}
	}
	return n
}

// perGroup counts the requests by project, those included that only fetch a
// digest challenge.
func perGroup(ledger []atlassim.Entry) map[string]int {
	out := map[string]int{}
	for _, e := range ledger {
		out[groupOf(e)]++
	}
	return out
}

func groupOf(e atlassim.Entry) string {
	_, rest, _ := strings.Cut(e.Path, "/groups/")
	group, _, _ := strings.Cut(rest, "/")
	return group
}

// largest is the most of something that any run has.
func largest[T any, N cmp.Ordered](list []T, of func(T) N) (most N) {
	for _, x := range list {
		most = max(most, of(x))
	}
	return most
}

func events(r run) int64  { return r.events }
func bytesOf(r run) int64 { return r.bytes }

// pause waits, and says false when ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// each calls f for all of list, with so many calls at once.
func each[T any](ctx context.Context, list []T, limit int, f func(context.Context, T) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(limit)
	for _, x := range list {
		g.Go(func() error { return f(ctx, x) })
	}
	return g.Wait()
}
