//go:build unix

package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/dev/stack"
	"github.com/atlas-provisioner/atlas-provisioner/provisioner"
)

var delay = scenario{
	name: "delay", title: "From IDLE to the end of the workflow, for one cluster in a project",
	about: "The delay is from the moment the cluster is IDLE, by the simulator's clock, to the end of the " +
		"workflow, by Temporal's; both run on one machine. Alone: one run after another, each in a project of its " +
		"own, with nothing else under way. Beside others: 48 runs in 48 projects, one started every quarter of a " +
		"second; of 48, the p99 is the longest. Requests are those of a cluster's project, the digest challenge of " +
		"the first included.",
	run: runDelay,
}

// delaySample is a number of runs of which the delay is measured.
type delaySample struct {
	createFor time.Duration
	runs      int
	how       string
	start     func(context.Context, *deployment, []cluster) error
}

func (s delaySample) isAlone() bool { return s.how == alone }

const (
	alone        = "alone"
	besideOthers = "beside others"
)

func delaySamples() []delaySample {
	return []delaySample{
		{createFor: 5 * time.Second, runs: 11, how: alone, start: runOneAfterAnother},
		{createFor: 5 * time.Second, runs: 48, how: besideOthers, start: startQuarterSecondApart},
		{createFor: 12 * time.Second, runs: 4, how: alone, start: runOneAfterAnother},
		{createFor: 12 * time.Second, runs: 48, how: besideOthers, start: startQuarterSecondApart},
		{createFor: 30 * time.Second, runs: 2, how: alone, start: runOneAfterAnother},
		{createFor: 30 * time.Second, runs: 48, how: besideOthers, start: startQuarterSecondApart},
	}
}

func runDelay(ctx context.Context, b *bench) (result, error) {
	t := table{Columns: []string{
		"create", "runs", "delay, median", "p99", "longest", "requests a cluster", "most",
	}}
	aloneMedian := line{Name: "alone, median"}
	othersMedian := line{Name: "beside 47 others, median"}
	othersP99 := line{Name: "beside 47 others, p99"}
	var r result
	for _, sample := range delaySamples() {
		d, err := b.measureDelays(ctx, sample)
		if err != nil {
			return r, err
		}
		median, p99, longest := quantile(d.seconds, 0.5), quantile(d.seconds, 0.99), quantile(d.seconds, 1)
		b.logf("%s create, %s: %.2f s in the median, %.2f s at most, %d requests at most",
			sample.createFor, sample.how, median, longest, d.mostRequests)
		t.Rows = append(t.Rows, []string{
			sample.createFor.String(), fmt.Sprintf("%d %s", len(d.seconds), sample.how),
			fmt.Sprintf("%.2f s", median), fmt.Sprintf("%.2f s", p99), fmt.Sprintf("%.2f s", longest),
			number(d.requests), fmt.Sprint(d.mostRequests)})
		x := sample.createFor.Seconds()
		if !sample.isAlone() {
			othersMedian.add(x, median)
			othersP99.add(x, p99)
			continue
		}
		aloneMedian.add(x, median)
		if sample.createFor == 5*time.Second {
			r.Figures = []figure{
				{Name: "one 5 s create noticed after, median", Value: median, Unit: "s", Bar: atMost(1)},
				{Name: "one 5 s create, HTTP requests, most of any run", Value: float64(d.mostRequests),
					Bar: atMost(6)},
			}
		}
	}
	r.Tables = []table{t}
	r.Plots = []chart{{
		File: "delay", Title: "From IDLE to the end of the workflow", X: "seconds that the create takes", Y: "seconds",
		Lines: []line{aloneMedian, othersMedian, othersP99},
	}}
	return r, nil
}

// delays are what was measured of a sample.
type delays struct {
	seconds      []float64 // from IDLE to the end of each run, sorted
	requests     float64   // a cluster
	mostRequests int       // of any project
}

func (b *bench) measureDelays(ctx context.Context, sample delaySample) (delays, error) {
	d, err := b.start(ctx, stack.Settings{"createFor": sample.createFor.String()})
	if err != nil {
		return delays{}, err
	}
	defer d.stop()
	n := b.scaled(sample.runs)
	if err := sample.start(ctx, d, fleetInBlocks(n, n)); err != nil {
		return delays{}, err
	}
	runs, err := d.awaitRuns(ctx, n, sample.createFor+patience)
	if err != nil {
		return delays{}, err
	}
	idle, err := d.idleTimes(ctx, sample.createFor)
	if err != nil {
		return delays{}, err
	}
	ledger, err := d.stack.Ledger(ctx)
	return newDelays(runs, idle, ledger), err
}

func newDelays(runs []run, idle map[cluster]time.Time, ledger []atlassim.Entry) delays {
	return delays{
		seconds:      completionDelays(runs, idle),
		requests:     float64(len(ledger)) / float64(len(runs)),
		mostRequests: mostOfAGroup(ledger),
	}
}

// runOneAfterAnother waits for the end of each run before it starts the next.
func runOneAfterAnother(ctx context.Context, d *deployment, clusters []cluster) error {
	p := provisioner.New(d.temporal, provisioner.Options{})
	for _, c := range clusters {
		if _, err := p.Execute(ctx, c.input()); err != nil {
			return err
		}
	}
	return nil
}

// startQuarterSecondApart starts all runs without waiting for their ends.
func startQuarterSecondApart(ctx context.Context, d *deployment, clusters []cluster) error {
	p := provisioner.New(d.temporal, provisioner.Options{})
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for _, c := range clusters {
		if _, err := p.Start(ctx, c.input()); err != nil {
			return err
		}
		<-tick.C
	}
	return nil
}

// upgradeFactor is how much faster time goes in the scenario upgrade.
const upgradeFactor = 30

var upgrade = scenario{
	name: "upgrade", title: "From IDLE to the end of the workflow, for an upgrade of 25 minutes",
	about: fmt.Sprintf("24 upgrades in 24 projects, with time scaled: the worker is ours in every line, but all of "+
		"its intervals (activities.Pace) are a %dth of what they are, and so is the upgrade. What is measured is "+
		"multiplied again, and with it what is not scaled, the round trips to Temporal and to the simulator: the "+
		"real delay is shorter by that much.", upgradeFactor),
	run: runUpgrade,
}

func runUpgrade(ctx context.Context, b *bench) (result, error) {
	const upgradeFor = 25 * time.Minute / upgradeFactor
	n := b.scaled(24)
	clusters := fleetInBlocks(n, n)
	var shared []atlassim.SharedCluster
	for _, c := range clusters {
		shared = append(shared, atlassim.SharedCluster{GroupID: c.groupID, Name: c.name})
	}
	settings := stack.Settings{"upgradeFor": upgradeFor.String(), "shared": shared}
	d, err := b.startScaled(ctx, settings, upgradeFactor)
	if err != nil {
		return result{}, err
	}
	defer d.stop()
	p := provisioner.New(d.temporal, provisioner.Options{})
	for _, c := range clusters {
		in := c.input()
		_, err := p.Start(ctx, contract.UpgradeToServerlessInput{
			GroupID: in.GroupID, Name: in.Name, ProviderSettings: in.ProviderSettings,
		})
		if err != nil {
			return result{}, err
		}
	}
	runs, err := d.awaitRuns(ctx, n, upgradeFor+patience)
	if err != nil {
		return result{}, err
	}
	ledger, err := d.stack.Ledger(ctx)
	if err != nil {
		return result{}, err
	}
	measured := newDelays(runs, upgradeIdleTimes(clusters, ledger, upgradeFor), ledger)
	return result{Figures: []figure{
		{Name: fmt.Sprintf("completed, of %d", n), Value: float64(countCompleted(runs)), Bar: exactly(float64(n))},
		{Name: "delay, median", Value: quantile(measured.seconds, 0.5) * upgradeFactor, Unit: "s"},
		{Name: "delay, p99 (the longest)", Value: quantile(measured.seconds, 0.99) * upgradeFactor, Unit: "s"},
		{Name: "HTTP requests a cluster", Value: measured.requests},
		{Name: "history events of a run, most of any", Value: float64(largest(runs, eventsOf))},
	}}, nil
}

// upgradeIdleTimes are when each upgraded cluster became IDLE. The path of an upgrade names the project alone, and each
// project has one cluster.
func upgradeIdleTimes(clusters []cluster, ledger []atlassim.Entry, upgradeFor time.Duration) map[cluster]time.Time {
	begun := map[string]time.Time{}
	for _, e := range ledger {
		if e.Method == http.MethodPost && e.Effect == atlassim.Upgraded {
			begun[groupOf(e)] = e.Time
		}
	}
	idle := map[cluster]time.Time{}
	for _, c := range clusters {
		idle[c] = begun[c.groupID].Add(upgradeFor)
	}
	return idle
}
