//go:build unix

package main

import (
	"context"
	"fmt"
	"time"
)

// historyFactor is how much faster time goes for the long wait.
const historyFactor = 60

var history = scenario{
	name: "history", title: "History of a run, short wait and long",
	about: fmt.Sprintf("Ten creates of 5 s in real time, and ten of 90 minutes with time scaled by %d: all of the worker's intervals (activities.Pace) are that much shorter, and so is the create, "+
		"so that a run has as many looks as one of 90 minutes. What a run's history grows with is the number of looks, if with anything. Events and bytes are Temporal's own count.", historyFactor),
	run: runHistory,
}

func runHistory(ctx context.Context, b *bench) (result, error) {
	r := result{Tables: []table{{Columns: []string{"create", "runs", "events, fewest", "most", "bytes, most", "HTTP requests a cluster"}}}}
	var most [2]float64
	for i, c := range []struct {
		name      string
		createFor time.Duration
		mode      []string
	}{
		{"5 s", 5 * time.Second, nil},
		{"90 min", 90 * time.Minute / historyFactor, []string{scaledMode, fmt.Sprint(historyFactor)}},
	} {
		runs, requests, err := b.histories(ctx, c.createFor, c.mode)
		if err != nil {
			return r, err
		}
		fewest := runs[0].events
		for _, run := range runs {
			fewest = min(fewest, run.events)
		}
		most[i] = float64(largest(runs, events))
		r.Figures = append(r.Figures, figure{Name: "history events, " + c.name + " create, most of any run", Value: most[i], Bar: atMost(20)})
		r.Tables[0].Rows = append(r.Tables[0].Rows, []string{
			c.name, fmt.Sprint(len(runs)), fmt.Sprint(fewest), fmt.Sprint(most[i]), fmt.Sprint(largest(runs, bytesOf)), number(requests)})
	}
	r.Figures = append(r.Figures, figure{Name: "history events that 90 min have more than 5 s", Value: most[1] - most[0], Bar: exactly(0)})
	return r, nil
}

func (b *bench) histories(ctx context.Context, createFor time.Duration, mode []string) ([]run, float64, error) {
	s, err := b.start(ctx, settings{"createFor": createFor.String()}, mode...)
	if err != nil {
		return nil, 0, err
	}
	defer s.stop()
	n := b.n(10)
	if err := s.provision(ctx, fleet(n, n, false), nil); err != nil {
		return nil, 0, err
	}
	runs, err := s.await(ctx, n, createFor+patience)
	if err != nil {
		return nil, 0, err
	}
	ledger, err := s.ledger(ctx)
	return runs, float64(len(ledger)) / float64(n), err
}
