//go:build unix

package main

import (
	"context"
	"fmt"
	"time"
)

var fleet20 = scenario{
	name: "fleet-20", title: "20 clusters in one project, 30 s creates, 100 requests a minute",
	about: "The case in which whoever polls cluster by cluster fails. Every HTTP request that reaches the API counts, those for a digest challenge included.",
	run: func(ctx context.Context, b *bench) (result, error) {
		f, err := b.fleet(ctx, fleetCase{clusters: b.n(20), projects: 1, createFor: 30 * time.Second, perMinute: 100})
		if err != nil {
			return result{}, err
		}
		return result{Figures: []figure{
			{Name: fmt.Sprintf("completed, of %d", f.clusters), Value: float64(f.completed), Bar: exactly(float64(f.clusters))},
			{Name: "answered 429", Value: float64(f.refused), Bar: exactly(0)},
			{Name: "HTTP requests", Value: float64(f.requests), Bar: atMost(60)},
			{Name: "delay from IDLE to completion, median", Value: f.median, Unit: "s"},
			{Name: "delay, longest", Value: f.longest, Unit: "s"},
		}}, nil
	},
}

var requests = scenario{
	name: "requests", title: "HTTP requests a cluster, by the size of the fleet",
	about: "8 s creates, 1200 requests a minute for each project, all starts as fast as they go, 16 at once. " +
		"Over 40 projects once project after project and once round robin. Requests count as above; the delay is from the moment the cluster is IDLE to the end of the workflow.",
	run: runRequests,
}

func runRequests(ctx context.Context, b *bench) (result, error) {
	var r result
	t := table{Columns: []string{"clusters", "projects", "completed", "HTTP requests", "a cluster", "429", "delay, median", "p99", "events", "bytes of history", "all started in"}}
	plots := []chart{
		{File: "requests", Title: "HTTP requests a cluster", X: "clusters", Y: "requests a cluster", LogX: true},
		{File: "fleet-delay", Title: "From IDLE to the end of the workflow", X: "clusters", Y: "seconds", LogX: true},
		{File: "fleet-history", Title: "History of a run, the largest", X: "clusters", Y: "events", LogX: true},
	}
	one := []line{{Name: "one project"}, {Name: "one project, median"}, {Name: "one project"}}
	p99 := line{Name: "one project, p99"}
	var hundred float64
	for _, c := range []fleetCase{
		{clusters: 1, projects: 1}, {clusters: b.n(20), projects: 1}, {clusters: b.n(100), projects: 1}, {clusters: b.n(1000), projects: 1},
		{clusters: b.n(1000), projects: b.n(40)}, {clusters: b.n(1000), projects: b.n(40), roundRobin: true},
	} {
		c.createFor, c.perMinute = 8*time.Second, 1200
		f, err := b.fleet(ctx, c)
		if err != nil {
			return r, err
		}
		b.say("%s: %d of %d completed, %s requests a cluster, %d times 429", c, f.completed, c.clusters, number(f.aCluster), f.refused)
		t.Rows = append(t.Rows, []string{
			fmt.Sprint(c.clusters), c.spread(), fmt.Sprint(f.completed), fmt.Sprint(f.requests), number(f.aCluster), fmt.Sprint(f.refused),
			fmt.Sprintf("%.2f s", f.median), fmt.Sprintf("%.2f s", f.p99), fmt.Sprint(f.events), fmt.Sprint(f.bytes), fmt.Sprintf("%.0f s", f.startedIn)})
		var limit *bar
		all := figure{Name: fmt.Sprintf("completed, of %s", c), Value: float64(f.completed), Bar: exactly(float64(c.clusters))}
		switch {
		case c.projects > 1:
			limit = atMost(hundred)
		case c.clusters == b.n(100):
			hundred, limit = f.aCluster, atMost(2)
		}
		r.Figures = append(r.Figures, all, figure{Name: fmt.Sprintf("HTTP requests a cluster, %s", c), Value: f.aCluster, Bar: limit})
		if x := float64(c.clusters); c.projects == 1 {
			one[0].add(x, f.aCluster)
			one[1].add(x, f.median)
			one[2].add(x, float64(f.events))
			p99.add(x, f.p99)
		} else if c.roundRobin {
			plots[0].Lines = append(plots[0].Lines, line{Name: fmt.Sprintf("%d projects", c.projects), Points: [][2]float64{{x, f.aCluster}}})
		}
	}
	for i := range plots {
		plots[i].Lines = append([]line{one[i]}, plots[i].Lines...)
	}
	plots[1].Lines = append(plots[1].Lines, p99)
	r.Tables, r.Plots = []table{t}, plots
	return r, nil
}

// fleetCase is a fleet to be made, and the Atlas that makes it.
type fleetCase struct {
	clusters, projects int
	roundRobin         bool
	createFor          time.Duration
	perMinute          int
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

// String says which it is.
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

// fleetRun is what became of a fleet.
type fleetRun struct {
	fleetCase
	completed, requests, refused int
	aCluster                     float64
	median, p99, longest         float64 // seconds
	startedIn                    float64
	events, bytes                int64 // the most of any
}

// patience is how long a fleet may take beyond its creates.
const patience = 5 * time.Minute

// fleet makes a fleet on a stack of its own.
func (b *bench) fleet(ctx context.Context, c fleetCase) (fleetRun, error) {
	f := fleetRun{fleetCase: c}
	s, err := b.start(ctx, settings{"createFor": c.createFor.String(), "rateLimit": c.perMinute, "refillPerMinute": c.perMinute})
	if err != nil {
		return f, err
	}
	defer s.stop()
	begun := time.Now()
	if err := s.provision(ctx, fleet(c.clusters, c.projects, c.roundRobin), nil); err != nil {
		return f, err
	}
	f.startedIn = time.Since(begun).Seconds()
	runs, err := s.await(ctx, c.clusters, c.createFor+patience)
	if err != nil {
		return f, err
	}
	ledger, err := s.ledger(ctx)
	if err != nil {
		return f, err
	}
	idle, err := s.idleAt(ctx, c.createFor)
	if err != nil {
		return f, err
	}
	late := lateness(runs, idle)
	f.completed, f.requests, f.refused = completed(runs), len(ledger), refused(ledger)
	f.aCluster = float64(f.requests) / float64(c.clusters)
	f.median, f.p99, f.longest = quantile(late, 0.5), quantile(late, 0.99), quantile(late, 1)
	f.events, f.bytes = largest(runs, events), largest(runs, bytesOf)
	return f, nil
}
