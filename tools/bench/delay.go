//go:build unix

package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/provisioner"
)

var delay = scenario{
	name: "delay", title: "From IDLE to the end of the workflow, for one cluster in a project",
	about: "The delay is from the moment the cluster is IDLE, by the simulator's clock, to the end of the workflow, by Temporal's; both run on one machine. " +
		"Alone: one run after another, each in a project of its own, with nothing else under way. Beside others: 48 runs in 48 projects, one started every quarter of a second; of 48, the p99 is the longest. " +
		"Requests are those of a cluster's project, the digest challenge of the first included.",
	run: runDelay,
}

func runDelay(ctx context.Context, b *bench) (result, error) {
	r := result{Tables: []table{{Columns: []string{"create", "runs", "delay, median", "p99", "longest", "requests a cluster", "most"}}}}
	plot := chart{File: "delay", Title: "From IDLE to the end of the workflow", X: "seconds that the create takes", Y: "seconds",
		Lines: []line{{Name: "alone, median"}, {Name: "beside 47 others, median"}, {Name: "beside 47 others, p99"}}}
	for _, c := range []struct {
		createFor time.Duration
		alone     int
	}{{5 * time.Second, 11}, {12 * time.Second, 4}, {30 * time.Second, 2}} {
		for i, sample := range []func(context.Context, *bench, time.Duration, int) (delays, error){alone, beside} {
			n := []int{c.alone, 48}[i]
			d, err := sample(ctx, b, c.createFor, b.n(n))
			if err != nil {
				return r, err
			}
			how := []string{"alone", "beside others"}[i]
			name := fmt.Sprintf("%s create, %s", c.createFor, how)
			b.say("%s: %.2f s in the median, %.2f s at most, %d requests at most", name, quantile(d.late, 0.5), quantile(d.late, 1), d.most)
			r.Tables[0].Rows = append(r.Tables[0].Rows, []string{
				c.createFor.String(), fmt.Sprintf("%d %s", len(d.late), how), fmt.Sprintf("%.2f s", quantile(d.late, 0.5)), fmt.Sprintf("%.2f s", quantile(d.late, 0.99)),
				fmt.Sprintf("%.2f s", quantile(d.late, 1)), number(d.requests), fmt.Sprint(d.most)})
			x := c.createFor.Seconds()
			plot.Lines[i].add(x, quantile(d.late, 0.5))
			if i == 1 {
				plot.Lines[2].add(x, quantile(d.late, 0.99))
			} else if c.createFor == 5*time.Second {
				r.Figures = []figure{
					{Name: "one 5 s create noticed after, median", Value: quantile(d.late, 0.5), Unit: "s", Bar: atMost(1)},
					{Name: "one 5 s create, HTTP requests, most of any run", Value: float64(d.most), Bar: atMost(6)},
				}
			}
		}
	}
	r.Plots = []chart{plot}
	return r, nil
}

// delays are what a sample found.
type delays struct {
	late     []float64 // seconds, sorted
	requests float64   // a cluster
	most     int       // of any cluster
}

// alone runs one after another, with nothing else under way.
func alone(ctx context.Context, b *bench, createFor time.Duration, n int) (delays, error) {
	s, err := b.start(ctx, settings{"createFor": createFor.String()})
	if err != nil {
		return delays{}, err
	}
	defer s.stop()
	c := provisioner.New(s.client, provisioner.Options{})
	for _, each := range fleet(n, n, false) {
		run, err := c.Start(ctx, each.input())
		if err != nil {
			return delays{}, err
		}
		if _, err := c.Result(ctx, run.WorkflowID, run.RunID); err != nil {
			return delays{}, err
		}
	}
	return s.delays(ctx, n, createFor)
}

// beside runs all at once, with their starts spread out.
func beside(ctx context.Context, b *bench, createFor time.Duration, n int) (delays, error) {
	s, err := b.start(ctx, settings{"createFor": createFor.String()})
	if err != nil {
		return delays{}, err
	}
	defer s.stop()
	c := provisioner.New(s.client, provisioner.Options{})
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for _, each := range fleet(n, n, false) {
		if _, err := c.Start(ctx, each.input()); err != nil {
			return delays{}, err
		}
		<-tick.C
	}
	return s.delays(ctx, n, createFor)
}

func (s *stack) delays(ctx context.Context, n int, createFor time.Duration) (delays, error) {
	runs, err := s.await(ctx, n, createFor+patience)
	if err != nil {
		return delays{}, err
	}
	idle, err := s.idleAt(ctx, createFor)
	if err != nil {
		return delays{}, err
	}
	return s.against(ctx, runs, idle)
}

func (s *stack) against(ctx context.Context, runs []run, idle map[cluster]time.Time) (delays, error) {
	ledger, err := s.ledger(ctx)
	d := delays{late: lateness(runs, idle), requests: float64(len(ledger)) / float64(len(runs))}
	for _, n := range perGroup(ledger) {
		d.most = max(d.most, n)
	}
	return d, err
}

// upgradeFactor is how much faster time goes in the scenario upgrade.
const upgradeFactor = 30

var upgrade = scenario{
	name: "upgrade", title: "From IDLE to the end of the workflow, for an upgrade of 25 minutes",
	about: fmt.Sprintf("24 upgrades in 24 projects, with time scaled: the worker is ours in every line, but all of its intervals (activities.Pace) are a %dth of what they are, and so is the upgrade. "+
		"What is measured is multiplied again, and with it what is not scaled, the round trips to Temporal and to the simulator: the real delay is shorter by that much.", upgradeFactor),
	run: runUpgrade,
}

func runUpgrade(ctx context.Context, b *bench) (result, error) {
	const lasts = 25 * time.Minute / upgradeFactor
	clusters := fleet(b.n(24), b.n(24), false)
	var shared []atlassim.SharedCluster
	for _, c := range clusters {
		shared = append(shared, atlassim.SharedCluster{GroupID: c.group, Name: c.name})
	}
	s, err := b.start(ctx, settings{"upgradeFor": lasts.String(), "shared": shared}, scaledMode, fmt.Sprint(upgradeFactor))
	if err != nil {
		return result{}, err
	}
	defer s.stop()
	c := provisioner.New(s.client, provisioner.Options{})
	for _, each := range clusters {
		in := each.input()
		if _, err := c.Start(ctx, contract.UpgradeToServerlessInput{GroupID: in.GroupID, Name: in.Name, ProviderSettings: in.ProviderSettings}); err != nil {
			return result{}, err
		}
	}
	runs, err := s.await(ctx, len(clusters), lasts+patience)
	if err != nil {
		return result{}, err
	}
	// The upgrade's path names the project only, and each has one cluster.
	ledger, err := s.ledger(ctx)
	if err != nil {
		return result{}, err
	}
	began := map[string]time.Time{}
	for _, e := range ledger {
		if e.Method == http.MethodPost && e.Effect == atlassim.Upgraded {
			began[groupOf(e)] = e.Time
		}
	}
	idle := map[cluster]time.Time{}
	for _, c := range clusters {
		idle[c] = began[c.group].Add(lasts)
	}
	d, err := s.against(ctx, runs, idle)
	if err != nil {
		return result{}, err
	}
	return result{Figures: []figure{
		{Name: fmt.Sprintf("completed, of %d", len(clusters)), Value: float64(completed(runs)), Bar: exactly(float64(len(clusters)))},
		{Name: "delay, median", Value: quantile(d.late, 0.5) * upgradeFactor, Unit: "s"},
		{Name: "delay, p99 (the longest)", Value: quantile(d.late, 0.99) * upgradeFactor, Unit: "s"},
		{Name: "HTTP requests a cluster", Value: d.requests},
		{Name: "history events of a run, most of any", Value: float64(largest(runs, events))},
	}}, nil
}
