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
	"github.com/atlas-provisioner/atlas-provisioner/internal/dev/process"
	"github.com/atlas-provisioner/atlas-provisioner/provisioner"
)

// cluster names one that is to be made.
type cluster struct{ groupID, name string }

func (c cluster) input() contract.ProvisionFlexClusterInput {
	return contract.ProvisionFlexClusterInput{
		GroupID: c.groupID, Name: c.name,
		ProviderSettings: contract.ProviderSettings{BackingProviderName: "AWS", RegionName: "US_EAST_1"},
	}
}

func newCluster(project, i int) cluster {
	return cluster{groupID: fmt.Sprintf("%024x", 0xbe4c0000+project), name: fmt.Sprintf("c-%d", i)}
}

// fleetInBlocks is n clusters, those of one project after those of another.
func fleetInBlocks(n, projects int) []cluster {
	fleet := make([]cluster, n)
	for i := range fleet {
		fleet[i] = newCluster(i*projects/n, i)
	}
	return fleet
}

// fleetRoundRobin is n clusters, each in the project after that of the one before.
func fleetRoundRobin(n, projects int) []cluster {
	fleet := make([]cluster, n)
	for i := range fleet {
		fleet[i] = newCluster(i%projects, i)
	}
	return fleet
}

// concurrentStarts is how many starts are under way at once.
const concurrentStarts = 16

// provision starts a run for each cluster, as fast as it can, and counts them in started.
func (d *deployment) provision(ctx context.Context, clusters []cluster, started *atomic.Int64) error {
	p := provisioner.New(d.temporal, provisioner.Options{})
	return forEach(ctx, clusters, concurrentStarts, func(ctx context.Context, c cluster) error {
		_, err := p.Start(ctx, c.input())
		started.Add(1)
		return err
	})
}

// run is a workflow run that has ended.
type run struct {
	cluster   cluster
	completed bool
	closed    time.Time
	events    int64
	bytes     int64
}

// awaitRuns waits until n runs have ended or a time is over, and returns those that have ended. It asks the server's
// visibility, so that no long poll for each run is part of what is measured.
func (d *deployment) awaitRuns(ctx context.Context, n int, limit time.Duration) ([]run, error) {
	deadline := time.Now().Add(limit)
	for time.Now().Before(deadline) {
		answer, err := d.temporal.CountWorkflow(ctx, &workflowservice.CountWorkflowExecutionsRequest{Query: endedRuns})
		if err != nil {
			return nil, err
		}
		if answer.GetCount() >= int64(n) {
			break
		}
		if err := sleep(ctx, 500*time.Millisecond); err != nil {
			return nil, err
		}
	}
	return d.listEnded(ctx)
}

const endedRuns = "ExecutionStatus != 'Running'"

func (d *deployment) listEnded(ctx context.Context) ([]run, error) {
	var runs []run
	request := &workflowservice.ListWorkflowExecutionsRequest{Query: endedRuns, PageSize: 1000}
	for {
		page, err := d.temporal.ListWorkflow(ctx, request)
		if err != nil {
			return nil, err
		}
		for _, e := range page.GetExecutions() {
			c, ok := contract.ClusterOfWorkflowID(e.GetExecution().GetWorkflowId())
			if !ok {
				continue // a run of the floor
			}
			runs = append(runs, run{
				cluster:   cluster{groupID: c.GroupID, name: c.Name},
				completed: e.GetStatus() == enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED,
				closed:    e.GetCloseTime().AsTime(), events: e.GetHistoryLength(), bytes: e.GetHistorySizeBytes(),
			})
		}
		if request.NextPageToken = page.GetNextPageToken(); len(request.NextPageToken) == 0 {
			break
		}
	}
	if countCompleted(runs) == 0 {
		return nil, fmt.Errorf("no run has completed. %s", process.Tail(d.stack.Log(workerName)))
	}
	return runs, nil
}

func countCompleted(runs []run) (n int) {
	for _, r := range runs {
		if r.completed {
			n++
		}
	}
	return n
}

// completionDelays are the seconds between a cluster's becoming IDLE and the completion of its run, sorted.
func completionDelays(runs []run, idle map[cluster]time.Time) (seconds []float64) {
	for _, r := range runs {
		if at, ok := idle[r.cluster]; ok && r.completed {
			seconds = append(seconds, r.closed.Sub(at).Seconds())
		}
	}
	slices.Sort(seconds)
	return seconds
}

// quantile is the nearest rank of a sorted list; NaN of an empty one.
func quantile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return math.NaN()
	}
	return sorted[max(0, int(math.Ceil(q*float64(len(sorted))))-1)]
}

func median(list []float64) float64 { return quantile(slices.Sorted(slices.Values(list)), 0.5) }

// countRefused is how many requests got 429.
func countRefused(ledger []atlassim.Entry) (n int) {
	for _, e := range ledger {
		if e.Status == http.StatusTooManyRequests {
			n++
		}
	}
	return n
}

// mostOfAGroup is how many requests the project with the most requests got, including those that only fetch a digest
// challenge.
func mostOfAGroup(ledger []atlassim.Entry) (most int) {
	requests := map[string]int{}
	for _, e := range ledger {
		requests[groupOf(e)]++
		most = max(most, requests[groupOf(e)])
	}
	return most
}

func groupOf(e atlassim.Entry) string {
	_, rest, _ := strings.Cut(e.Path, "/groups/")
	group, _, _ := strings.Cut(rest, "/")
	return group
}

// largest is the most of something that any run has.
func largest[N cmp.Ordered](runs []run, value func(run) N) (most N) {
	for _, r := range runs {
		most = max(most, value(r))
	}
	return most
}

func eventsOf(r run) int64 { return r.events }
func bytesOf(r run) int64  { return r.bytes }

// sleep returns the cause when ctx ends before.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

// forEach calls f for all of a list, with so many calls at once.
func forEach[T any](ctx context.Context, list []T, concurrency int, f func(context.Context, T) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(concurrency)
	for _, x := range list {
		g.Go(func() error { return f(ctx, x) })
	}
	return g.Wait()
}
