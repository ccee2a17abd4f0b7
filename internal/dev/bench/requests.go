//go:build unix

package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/atlas-provisioner/atlas-provisioner/internal/dev/stack"
)

var fleet20 = scenario{
	name: "fleet-20", title: "20 clusters in one project, 30 s creates, 100 requests a minute",
	about: "The case in which whoever polls cluster by cluster fails. Every HTTP request that reaches the API " +
		"counts, those for a digest challenge included.",
	run: runFleet20,
}

func runFleet20(ctx context.Context, b *bench) (result, error) {
	f, err := b.measureFleet(ctx, fleetCase{
		clusters: b.scaled(20), projects: 1, createFor: 30 * time.Second, requestsPerMinute: 100,
	})
	if err != nil {
		return result{}, err
	}
	n := float64(f.fleet.clusters)
	return result{Figures: []figure{
		{Name: fmt.Sprintf("completed, of %.0f", n), Value: float64(f.completed), Bar: exactly(n)},
		{Name: "answered 429", Value: float64(f.refused), Bar: exactly(0)},
		{Name: "HTTP requests", Value: float64(f.requests), Bar: atMost(60)},
		{Name: "delay from IDLE to completion, median", Value: f.median, Unit: "s"},
		{Name: "delay, longest", Value: f.longest, Unit: "s"},
	}}, nil
}

var requests = scenario{
	name: "requests", title: "HTTP requests a cluster, by the size of the fleet",
	about: "8 s creates, 1200 requests a minute for each project, all starts as fast as they go, 16 at once. Over " +
		"40 projects once project after project and once round robin. Requests count as above; the delay is from " +
		"the moment the cluster is IDLE to the end of the workflow.",
	run: runRequests,
}

// requestCases are the fleets of the scenario requests.
func requestCases(b *bench) []fleetCase {
	cases := []fleetCase{
		{clusters: 1, projects: 1},
		{clusters: b.scaled(20), projects: 1},
		{clusters: b.scaled(100), projects: 1},
		{clusters: b.scaled(1000), projects: 1},
		{clusters: b.scaled(1000), projects: b.scaled(40)},
		{clusters: b.scaled(1000), projects: b.scaled(40), roundRobin: true},
	}
	for i := range cases {
		cases[i].createFor, cases[i].requestsPerMinute = 8*time.Second, 1200
	}
	return cases
}

func runRequests(ctx context.Context, b *bench) (result, error) {
	var measured []fleetFigures
	var r result
	t := table{Columns: []string{
		"clusters", "projects", "completed", "HTTP requests", "a cluster", "429", "delay, median", "p99", "events",
		"bytes of history", "all started in",
	}}
	hundred := 0.0 // requests a cluster of 100 clusters in one project
	for _, c := range requestCases(b) {
		f, err := b.measureFleet(ctx, c)
		if err != nil {
			return r, err
		}
		b.logf("%s: %d of %d completed, %s requests a cluster, %d times 429",
			c, f.completed, c.clusters, number(f.requestsACluster), f.refused)
		measured = append(measured, f)
		t.Rows = append(t.Rows, f.row())
		requests := figure{Name: fmt.Sprintf("HTTP requests a cluster, %s", c), Value: f.requestsACluster}
		switch {
		case c.projects > 1:
			requests.Bar = atMost(hundred)
		case c.clusters == b.scaled(100):
			hundred, requests.Bar = f.requestsACluster, atMost(2)
		}
		n := float64(c.clusters)
		r.Figures = append(r.Figures,
			figure{Name: fmt.Sprintf("completed, of %s", c), Value: float64(f.completed), Bar: exactly(n)}, requests)
	}
	r.Tables, r.Plots = []table{t}, requestPlots(measured)
	return r, nil
}

// requestPlots draw what grows with the number of clusters in one project, and the fleet over many projects as a point.
func requestPlots(measured []fleetFigures) []chart {
	requests, events := line{Name: "one project"}, line{Name: "one project"}
	median, p99 := line{Name: "one project, median"}, line{Name: "one project, p99"}
	var manyProjects []line
	for _, f := range measured {
		x := float64(f.fleet.clusters)
		if f.fleet.projects == 1 {
			requests.add(x, f.requestsACluster)
			median.add(x, f.median)
			p99.add(x, f.p99)
			events.add(x, float64(f.events))
		} else if f.fleet.roundRobin {
			manyProjects = append(manyProjects, line{
				Name: fmt.Sprintf("%d projects", f.fleet.projects), Points: [][2]float64{{x, f.requestsACluster}},
			})
		}
	}
	return []chart{
		{File: "requests", Title: "HTTP requests a cluster", X: "clusters", Y: "requests a cluster", LogX: true,
			Lines: append([]line{requests}, manyProjects...)},
		{File: "fleet-delay", Title: "From IDLE to the end of the workflow", X: "clusters", Y: "seconds", LogX: true,
			Lines: []line{median, p99}},
		{File: "fleet-history", Title: "History of a run, the largest", X: "clusters", Y: "events", LogX: true,
			Lines: []line{events}},
	}
}

// fleetCase is a fleet to be made, and the Atlas that makes it.
type fleetCase struct {
	clusters, projects int
	roundRobin         bool // else the clusters of one project after those of another
	createFor          time.Duration
	requestsPerMinute  int // that Atlas grants to a project
}

func (c fleetCase) fleet() []cluster {
	if c.roundRobin {
		return fleetRoundRobin(c.clusters, c.projects)
	}
	return fleetInBlocks(c.clusters, c.projects)
}

func (c fleetCase) spread() string {
	switch {
	case c.projects == 1:
		return "1"
	case c.roundRobin:
		return fmt.Sprintf("%d, round robin", c.projects)
	default:
		return fmt.Sprintf("%d, one after another", c.projects)
	}
}

// String describes the fleet.
func (c fleetCase) String() string {
	switch {
	case c.clusters == 1:
		return "1 cluster"
	case c.projects == 1:
		return fmt.Sprintf("%d clusters in one project", c.clusters)
	default:
		return fmt.Sprintf("%d clusters over %s", c.clusters, c.spread())
	}
}

// fleetFigures are what was measured of a fleet.
type fleetFigures struct {
	fleet                        fleetCase
	completed, requests, refused int
	requestsACluster             float64
	median, p99, longest         float64 // seconds from IDLE to the end of the run
	startedIn                    float64 // seconds
	events, bytes                int64   // of the largest history
}

func (f fleetFigures) row() []string {
	return []string{
		fmt.Sprint(f.fleet.clusters), f.fleet.spread(), fmt.Sprint(f.completed), fmt.Sprint(f.requests),
		number(f.requestsACluster), fmt.Sprint(f.refused),
		fmt.Sprintf("%.2f s", f.median), fmt.Sprintf("%.2f s", f.p99), fmt.Sprint(f.events),
		fmt.Sprint(f.bytes), fmt.Sprintf("%.0f s", f.startedIn),
	}
}

// patience is how long a fleet may take beyond its creates.
const patience = 5 * time.Minute

// measureFleet makes a fleet on a deployment of its own.
func (b *bench) measureFleet(ctx context.Context, c fleetCase) (fleetFigures, error) {
	f := fleetFigures{fleet: c}
	d, err := b.start(ctx, stack.Settings{
		"createFor": c.createFor.String(), "rateLimit": c.requestsPerMinute, "refillPerMinute": c.requestsPerMinute,
	})
	if err != nil {
		return f, err
	}
	defer d.stop()
	begun := time.Now()
	if err := d.provision(ctx, c.fleet(), new(atomic.Int64)); err != nil {
		return f, err
	}
	f.startedIn = time.Since(begun).Seconds()
	runs, err := d.awaitRuns(ctx, c.clusters, c.createFor+patience)
	if err != nil {
		return f, err
	}
	ledger, err := d.stack.Ledger(ctx)
	if err != nil {
		return f, err
	}
	idle, err := d.idleTimes(ctx, c.createFor)
	if err != nil {
		return f, err
	}
	delays := completionDelays(runs, idle)
	f.completed, f.requests, f.refused = countCompleted(runs), len(ledger), countRefused(ledger)
	f.requestsACluster = float64(f.requests) / float64(c.clusters)
	f.median, f.p99, f.longest = quantile(delays, 0.5), quantile(delays, 0.99), quantile(delays, 1)
	f.events, f.bytes = largest(runs, eventsOf), largest(runs, bytesOf)
	return f, nil
}
