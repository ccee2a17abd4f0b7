//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/dev/stack"
)

var waits = scenario{
	name: "waits", title: "10,000 waits on one worker",
	about: "100 projects with Atlas's own limits (1200 requests, 500 back a minute), all starts as fast as they " +
		"go, and creates that last until every cluster waits and has done so for a while. (Where starting takes so " +
		"long that the first would be IDLE too soon, all are held back until the others have waited too.) Then " +
		"nothing is started and nothing ends for a minute and a half: CPU is the worker's in that time, as part of " +
		"one core; writes are the requests of the Temporal server to its database that are no reads, by its own " +
		"metrics; requests are the simulator's ledger. Memory is the worker's peak resident set over the whole run " +
		"(VmHWM), start to last completion.",
	run: runWaits,
}

const (
	// settleTime is how long all wait before the quiet window, so that no wait is in its first half minute there.
	settleTime = 40 * time.Second
	// slowCreates is how many creates a second a slow machine starts, and spareTime what else it may lose.
	slowCreates = 40
	spareTime   = 30 * time.Second
)

// waitsCase is a number of waits, and how long they are measured while nothing starts and nothing ends.
type waitsCase struct {
	waits  int
	window time.Duration
}

const mostWaits = 10_000

var waitsCases = []waitsCase{
	{waits: 100, window: 30 * time.Second},
	{waits: 1000, window: 30 * time.Second},
	{waits: mostWaits, window: 90 * time.Second},
}

func runWaits(ctx context.Context, b *bench) (result, error) {
	t := table{Columns: []string{
		"waits", "projects", "completed", "all started in", "peak memory", "CPU, part of a core",
		"Temporal writes a second", "Atlas requests a minute", "429",
	}}
	writes := table{Columns: []string{"Temporal write, of the largest", "a second"}}
	memoryLine, cpuLine := line{Name: "peak memory"}, line{Name: "CPU"}
	writesLine, requestsLine := line{Name: "writes"}, line{Name: "requests"}
	var largest waitFigures
	for _, c := range waitsCases {
		n, projects := b.scaled(c.waits), b.scaled(c.waits/100)
		w, err := b.measureWaits(ctx, n, projects, c.window)
		if err != nil {
			return result{}, fmt.Errorf("%d waits: %w", n, err)
		}
		t.Rows = append(t.Rows, []string{
			fmt.Sprint(n), fmt.Sprint(projects), fmt.Sprint(w.completed), fmt.Sprintf("%.0f s", w.startedIn),
			number(w.peakMemory) + " MiB", number(w.cpu), number(w.writes), number(w.requests), fmt.Sprint(w.refused)})
		x := float64(n)
		memoryLine.add(x, w.peakMemory)
		cpuLine.add(x, w.cpu)
		writesLine.add(x, w.writes)
		requestsLine.add(x, w.requests)
		largest = w
	}
	operations := slices.SortedFunc(maps.Keys(largest.operations), func(a, b string) int {
		return int(1000 * (largest.operations[b] - largest.operations[a]))
	})
	for _, operation := range operations {
		writes.Rows = append(writes.Rows, []string{operation, number(largest.operations[operation])})
	}
	return result{
		Figures: largest.figures(b.scaled(mostWaits)),
		Tables:  []table{t, writes},
		Plots: []chart{
			{File: "waits-memory", Title: "Peak memory of the worker", X: "waits", Y: "MiB", LogX: true,
				Lines: []line{memoryLine}},
			{File: "waits-cpu", Title: "CPU of the worker while all wait", X: "waits", Y: "part of one core",
				LogX: true, Lines: []line{cpuLine}},
			{File: "waits-writes", Title: "Temporal writes while all wait", X: "waits", Y: "a second", LogX: true,
				Lines: []line{writesLine}},
			{File: "waits-requests", Title: "Atlas requests while all wait", X: "waits", Y: "a minute", LogX: true,
				Lines: []line{requestsLine}},
			{File: "waits-ramp", Title: "Memory of the worker as waits are started", X: "waits started",
				Y: "MiB resident", Lines: []line{largest.memoryByWaits}},
		},
	}, nil
}

// waitFigures are what so many waits were found to cost.
type waitFigures struct {
	atOnce, completed, refused int
	startedIn                  float64            // seconds
	window                     float64            // seconds
	peakMemory                 float64            // MiB
	cpu                        float64            // part of a core
	writes                     float64            // a second
	operations                 map[string]float64 // writes a second, by operation
	requests                   float64            // a minute
	memoryByWaits              line               // MiB, by waits started
}

func (w waitFigures) figures(n int) []figure {
	return []figure{
		{Name: "waits at once", Value: float64(w.atOnce), Bar: exactly(float64(n))},
		{Name: "completed", Value: float64(w.completed), Bar: exactly(float64(n))},
		{Name: "peak memory of the worker", Value: w.peakMemory, Unit: "MiB", Bar: atMost(512)},
		{Name: "CPU of the worker while all wait, part of one core", Value: w.cpu, Bar: atMost(0.25)},
		{Name: "Temporal writes a second while all wait", Value: w.writes},
		{Name: "Atlas requests a minute while all wait", Value: w.requests},
		{Name: "quiet window", Value: w.window, Unit: "s"},
	}
}

func (b *bench) measureWaits(ctx context.Context, n, projects int, window time.Duration) (waitFigures, error) {
	w := waitFigures{}
	createFor := settleTime + window + time.Duration(n)*time.Second/slowCreates + spareTime
	d, err := b.start(ctx, stack.Settings{"createFor": createFor.String()})
	if err != nil {
		return w, err
	}
	defer d.stop()
	clusters := fleetRoundRobin(n, projects)
	begun := time.Now()
	if err := d.startWaits(ctx, &w, clusters); err != nil {
		return w, err
	}
	w.startedIn = time.Since(begun).Seconds()
	firstIdle, err := d.awaitCreated(ctx, n, createFor)
	if err != nil {
		return w, err
	}
	b.logf("%d waits: all started after %.0f s, all created after %.0f s", n, w.startedIn, time.Since(begun).Seconds())
	held := time.Until(firstIdle) < settleTime+window+5*time.Second
	if held {
		b.logf("%d waits: the first would be IDLE too soon, so Atlas holds all back", n)
		if err := d.holdState(ctx, clusters, "CREATING"); err != nil {
			return w, err
		}
	}
	if err := sleep(ctx, settleTime); err != nil {
		return w, err
	}
	from, to, err := d.measureQuietly(ctx, &w, window)
	if err != nil {
		return w, err
	}
	if held {
		if err := d.holdState(ctx, clusters, ""); err != nil {
			return w, err
		}
	}
	b.logf("%d waits: %s of a core, %s writes a second", n, number(w.cpu), number(w.writes))

	runs, err := d.awaitRuns(ctx, n, createFor+2*patience)
	if err != nil {
		return w, err
	}
	w.completed = countCompleted(runs)
	for _, r := range runs {
		if r.closed.After(to) {
			w.atOnce++
		}
	}
	ledger, err := d.stack.Ledger(ctx)
	if err != nil {
		return w, err
	}
	w.requests = float64(countBetween(ledger, from, to)) / to.Sub(from).Minutes()
	w.refused = countRefused(ledger)
	u, err := d.workerUsage()
	w.peakMemory = u.peak
	return w, err
}

func countBetween(ledger []atlassim.Entry, from, to time.Time) (n int) {
	for _, e := range ledger {
		if e.Time.After(from) && e.Time.Before(to) {
			n++
		}
	}
	return n
}

// startWaits starts the runs and notes how the worker grows meanwhile.
func (d *deployment) startWaits(ctx context.Context, w *waitFigures, clusters []cluster) error {
	var started atomic.Int64
	done := make(chan error, 1)
	go func() { done <- d.provision(ctx, clusters, &started) }()
	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	w.memoryByWaits.Name = "memory"
	for {
		u, err := d.workerUsage()
		if err != nil {
			return err
		}
		w.memoryByWaits.add(float64(started.Load()), u.resident)
		select {
		case err := <-done:
			return err
		case <-tick.C:
		}
	}
}

// awaitCreated waits until Atlas has all clusters, and returns when the first of them will be IDLE.
func (d *deployment) awaitCreated(ctx context.Context, n int, createFor time.Duration) (time.Time, error) {
	for deadline := time.Now().Add(createFor); time.Now().Before(deadline); {
		idle, err := d.idleTimes(ctx, createFor)
		if err != nil {
			return time.Time{}, err
		}
		if len(idle) == n {
			return slices.MinFunc(slices.Collect(maps.Values(idle)), time.Time.Compare), nil
		}
		if err := sleep(ctx, 2*time.Second); err != nil {
			return time.Time{}, err
		}
	}
	return time.Time{}, errors.New("not all clusters were created before the first was IDLE: " +
		"this machine is too slow or too busy for so many")
}

// holdState makes Atlas report a state of all clusters, whatever their state is; "" ends that.
func (d *deployment) holdState(ctx context.Context, clusters []cluster, state string) error {
	return forEach(ctx, clusters, concurrentStarts, func(ctx context.Context, c cluster) error {
		body := map[string]string{"groupId": c.groupID, "name": c.name, "state": state}
		return d.stack.Control(ctx, http.MethodPost, "state", body, nil)
	})
}
