//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/procfs"
)

var waits = scenario{
	name: "waits", title: "10,000 waits on one worker",
	about: "100 projects with Atlas's own limits (1200 requests, 500 back a minute), all starts as fast as they go, and creates that last until every cluster waits and has done so for a while. " +
		"(Where starting takes so long that the first would be IDLE too soon, all are held back until the others have waited too.) " +
		"Then nothing is started and nothing ends for a minute and a half: CPU is the worker's in that time, as part of one core; writes are the requests of the Temporal server to its database that are no reads, " +
		"by its own metrics; requests are the simulator's ledger. Memory is the worker's peak resident set over the whole run (VmHWM), start to last completion.",
	run: runWaits,
}

const (
	settle = 40 * time.Second // so that no wait of the window is in its first half minute
	slow   = 40               // creates a second, on a machine that is slow
	slack  = 30 * time.Second // and what else it may lose
)

func runWaits(ctx context.Context, b *bench) (result, error) {
	r := result{Tables: []table{
		{Columns: []string{"waits", "projects", "completed", "all started in", "peak memory", "CPU, part of a core", "Temporal writes a second", "Atlas requests a minute", "429"}},
		{Columns: []string{"Temporal write, of the largest", "a second"}},
	}}
	plots := []chart{
		{File: "waits-memory", Title: "Peak memory of the worker", X: "waits", Y: "MiB", LogX: true, Lines: []line{{Name: "peak memory"}}},
		{File: "waits-cpu", Title: "CPU of the worker while all wait", X: "waits", Y: "part of one core", LogX: true, Lines: []line{{Name: "CPU"}}},
		{File: "waits-writes", Title: "Temporal writes while all wait", X: "waits", Y: "a second", LogX: true, Lines: []line{{Name: "writes"}}},
		{File: "waits-requests", Title: "Atlas requests while all wait", X: "waits", Y: "a minute", LogX: true, Lines: []line{{Name: "requests"}}},
		{File: "waits-ramp", Title: "Memory of the worker as waits are started", X: "waits started", Y: "MiB resident"},
	}
	for _, size := range []struct {
		n      int
		window time.Duration
	}{{100, 30 * time.Second}, {1000, 30 * time.Second}, {10_000, 90 * time.Second}} {
		n, projects := b.n(size.n), b.n(size.n/100)
		w, err := b.waits(ctx, n, projects, size.window)
		if err != nil {
			return r, fmt.Errorf("%d waits: %w", n, err)
		}
		r.Tables[0].Rows = append(r.Tables[0].Rows, []string{
			fmt.Sprint(n), fmt.Sprint(projects), fmt.Sprint(w.completed), fmt.Sprintf("%.0f s", w.startedIn), number(w.peak) + " MiB",
			number(w.cpu), number(w.writes), number(w.requests), fmt.Sprint(w.refused)})
		for i, y := range []float64{w.peak, w.cpu, w.writes, w.requests} {
			plots[i].Lines[0].add(float64(n), y)
		}
		if size.n == 10_000 {
			r.Figures = w.figures(n)
			for _, operation := range slices.SortedFunc(maps.Keys(w.operations), func(a, b string) int { return int(1000 * (w.operations[b] - w.operations[a])) }) {
				r.Tables[1].Rows = append(r.Tables[1].Rows, []string{operation, number(w.operations[operation])})
			}
			plots[4].Lines = []line{w.ramp}
		}
	}
	r.Plots = plots
	return r, nil
}

// waiting is what so many waits were found to cost.
type waiting struct {
	atOnce, completed, refused int
	startedIn                  float64 // seconds
	window                     float64 // seconds
	peak                       float64 // MiB
	cpu                        float64 // part of a core
	writes                     float64 // a second
	operations                 map[string]float64
	requests                   float64 // a minute
	ramp                       line
}

func (w waiting) figures(n int) []figure {
	return []figure{
		{Name: "waits at once", Value: float64(w.atOnce), Bar: exactly(float64(n))},
		{Name: "completed", Value: float64(w.completed), Bar: exactly(float64(n))},
		{Name: "peak memory of the worker", Value: w.peak, Unit: "MiB", Bar: atMost(512)},
		{Name: "CPU of the worker while all wait, part of one core", Value: w.cpu, Bar: atMost(0.25)},
		{Name: "Temporal writes a second while all wait", Value: w.writes},
		{Name: "Atlas requests a minute while all wait", Value: w.requests},
		{Name: "quiet window", Value: w.window, Unit: "s"},
	}
}

func (b *bench) waits(ctx context.Context, n, projects int, window time.Duration) (waiting, error) {
	w := waiting{}
	createFor := settle + window + time.Duration(n)*time.Second/slow + slack
	s, err := b.start(ctx, settings{"createFor": createFor.String()})
	if err != nil {
		return w, err
	}
	defer s.stop()
	begun := time.Now()
	if err := s.startAll(ctx, &w, fleet(n, projects, true)); err != nil {
		return w, err
	}
	w.startedIn = time.Since(begun).Seconds()
	firstIdle, err := s.allCreated(ctx, n, createFor)
	if err != nil {
		return w, err
	}
	b.say("%d waits: all started after %.0f s, all created after %.0f s", n, w.startedIn, time.Since(begun).Seconds())
	late := time.Until(firstIdle) < settle+window+5*time.Second
	if late {
		b.say("%d waits: the first would be IDLE too soon, so Atlas holds all back", n)
		if err := s.hold(ctx, fleet(n, projects, true), "CREATING"); err != nil {
			return w, err
		}
	}
	if !pause(ctx, settle) {
		return w, context.Cause(ctx)
	}
	from, to, err := s.quiet(ctx, &w, window)
	if err != nil {
		return w, err
	}
	if late {
		if err := s.hold(ctx, fleet(n, projects, true), ""); err != nil {
			return w, err
		}
	}
	b.say("%d waits: %s of a core, %s writes a second", n, number(w.cpu), number(w.writes))

	runs, err := s.await(ctx, n, createFor+2*patience)
	if err != nil {
		return w, err
	}
	w.completed = completed(runs)
	for _, r := range runs {
		if r.closed.After(to) {
			w.atOnce++
		}
	}
	ledger, err := s.ledger(ctx)
	if err != nil {
		return w, err
	}
	inWindow := 0
	for _, e := range ledger {
		if e.Time.After(from) && e.Time.Before(to) {
			inWindow++
		}
	}
	w.requests, w.refused = float64(inWindow)/to.Sub(from).Minutes(), refused(ledger)
	u, err := s.usage()
	w.peak = u.peak
	return w, err
}

// startAll starts the runs and notes how the worker grows meanwhile.
func (s *stack) startAll(ctx context.Context, w *waiting, clusters []cluster) error {
	var started atomic.Int64
	done := make(chan error, 1)
	go func() { done <- s.provision(ctx, clusters, &started) }()
	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	w.ramp.Name = "memory"
	for {
		u, err := s.usage()
		if err != nil {
			return err
		}
		w.ramp.add(float64(started.Load()), u.resident)
		select {
		case err := <-done:
			return err
		case <-tick.C:
		}
	}
}

// allCreated waits until Atlas has all clusters, and tells when the first of
// them will be IDLE.
func (s *stack) allCreated(ctx context.Context, n int, createFor time.Duration) (firstIdle time.Time, err error) {
	for until := time.Now().Add(createFor); time.Now().Before(until); {
		idle, err := s.idleAt(ctx, createFor)
		if err != nil {
			return firstIdle, err
		}
		if len(idle) == n {
			return slices.MinFunc(slices.Collect(maps.Values(idle)), time.Time.Compare), nil
		}
		if !pause(ctx, 2*time.Second) {
			return firstIdle, context.Cause(ctx)
		}
	}
	return firstIdle, errors.New("not all clusters were created before the first was IDLE: this machine is too slow or too busy for so many")
}

// hold has Atlas report a state of all clusters, whatever they are; "" lets go.
func (s *stack) hold(ctx context.Context, clusters []cluster, state string) error {
	return each(ctx, clusters, atOnce, func(ctx context.Context, c cluster) error {
		return s.control(ctx, http.MethodPost, "state", map[string]string{"groupId": c.group, "name": c.name, "state": state}, nil)
	})
}

// quiet measures while nothing starts and nothing ends.
func (s *stack) quiet(ctx context.Context, w *waiting, window time.Duration) (from, to time.Time, err error) {
	read := func() (u usage, writes map[string]float64, at time.Time) {
		if err == nil {
			u, err = s.usage()
		}
		at = time.Now()
		if err == nil {
			writes, err = s.writes(ctx)
		}
		return u, writes, at
	}
	before, writesBefore, from := read()
	if err == nil && !pause(ctx, window) {
		err = context.Cause(ctx)
	}
	after, writesAfter, to := read()
	if err != nil {
		return from, to, err
	}
	w.window = to.Sub(from).Seconds()
	w.cpu = (after.cpu - before.cpu) / w.window
	w.operations = map[string]float64{}
	for operation, count := range writesAfter {
		if more := count - writesBefore[operation]; more > 0 {
			w.operations[operation] = more / w.window
			w.writes += more / w.window
		}
	}
	return from, to, nil
}

// usage is what the worker has used.
type usage struct {
	cpu            float64 // seconds
	resident, peak float64 // MiB
}

func (s *stack) usage() (u usage, err error) {
	p, err := procfs.NewProc(s.worker.Cmd.Process.Pid)
	if err != nil {
		return u, fmt.Errorf("the worker has ended or this system has no /proc: %w", err)
	}
	stat, err := p.Stat()
	if err != nil {
		return u, err
	}
	status, err := p.NewStatus()
	return usage{cpu: stat.CPUTime(), resident: float64(status.VmRSS) / (1 << 20), peak: float64(status.VmHWM) / (1 << 20)}, err
}

// readOperations begin the names of the persistence operations that write
// nothing.
var readOperations = []string{"Get", "List", "Read", "Count", "Scan", "Assert"}

// writes are the Temporal server's requests to its database that write, by
// operation, since it started.
func (s *stack) writes(ctx context.Context) (map[string]float64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.metrics+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("the metrics of the Temporal server: %w", err)
	}
	out := map[string]float64{}
	for _, family := range []string{"persistence_requests", "visibility_persistence_requests"} {
		for _, m := range families[family].GetMetric() {
			for _, l := range m.GetLabel() {
				reads := slices.ContainsFunc(readOperations, func(p string) bool { return strings.HasPrefix(l.GetValue(), p) })
				if l.GetName() == "operation" && !reads {
					out[l.GetValue()] += m.GetCounter().GetValue()
				}
			}
		}
	}
	return out, nil
}
