//go:build unix

package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/atlas-provisioner/atlas-provisioner/internal/dev/stack"
)

// historyFactor is how much faster time goes for the long wait.
const historyFactor = 60

var history = scenario{
	name: "history", title: "History of a run, short wait and long",
	about: fmt.Sprintf("Ten creates of 5 s in real time, and ten of 90 minutes with time scaled by %d: all of the "+
		"worker's intervals (activities.Pace) are that much shorter, and so is the create, so that a run has as "+
		"many looks as one of 90 minutes. What a run's history grows with is the number of looks, if with "+
		"anything. Events and bytes are Temporal's own count.", historyFactor),
	run: runHistory,
}

func runHistory(ctx context.Context, b *bench) (result, error) {
	t := table{Columns: []string{
		"create", "runs", "events, fewest", "most", "bytes, most", "HTTP requests a cluster",
	}}
	var r result
	measure := func(name string, createFor time.Duration, start startFunc) (mostEvents float64, err error) {
		runs, requests, err := b.measureHistories(ctx, createFor, start)
		if err != nil {
			return 0, err
		}
		fewest := runs[0].events
		for _, run := range runs {
			fewest = min(fewest, run.events)
		}
		mostEvents = float64(largest(runs, eventsOf))
		r.Figures = append(r.Figures, figure{
			Name: "history events, " + name + " create, most of any run", Value: mostEvents, Bar: atMost(20),
		})
		t.Rows = append(t.Rows, []string{
			name, fmt.Sprint(len(runs)), fmt.Sprint(fewest), fmt.Sprint(mostEvents), fmt.Sprint(largest(runs, bytesOf)),
			number(requests)})
		return mostEvents, nil
	}
	short, err := measure("5 s", 5*time.Second, b.start)
	if err != nil {
		return r, err
	}
	scaled := func(ctx context.Context, settings stack.Settings) (*deployment, error) {
		return b.startScaled(ctx, settings, historyFactor)
	}
	long, err := measure("90 min", 90*time.Minute/historyFactor, scaled)
	if err != nil {
		return r, err
	}
	r.Tables = []table{t}
	r.Figures = append(r.Figures, figure{
		Name: "history events that 90 min have more than 5 s", Value: long - short, Bar: exactly(0),
	})
	return r, nil
}

// startFunc starts a deployment.
type startFunc func(context.Context, stack.Settings) (*deployment, error)

func (b *bench) measureHistories(ctx context.Context, createFor time.Duration, start startFunc) (
	runs []run, requestsACluster float64, err error,
) {
	d, err := start(ctx, stack.Settings{"createFor": createFor.String()})
	if err != nil {
		return nil, 0, err
	}
	defer d.stop()
	n := b.scaled(10)
	if err := d.provision(ctx, fleetInBlocks(n, n), new(atomic.Int64)); err != nil {
		return nil, 0, err
	}
	if runs, err = d.awaitRuns(ctx, n, createFor+patience); err != nil {
		return nil, 0, err
	}
	ledger, err := d.stack.Ledger(ctx)
	return runs, float64(len(ledger)) / float64(n), err
}
