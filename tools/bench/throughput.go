//go:build unix

package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"go.temporal.io/sdk/client"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
)

var throughput = scenario{
	name: "throughput", title: "Provisions a second, against a workflow of two empty activities",
	about: "Atlas answers at once, and a new cluster is IDLE at once. The floor is a workflow of two activities that do nothing, " +
		"on the same server, with the same worker settings, in a worker process of its own. Both are started by the Temporal client alone, " +
		"and so many are kept in flight until 300 have ended; the two take turns, and which goes first alternates. " +
		"The ratio is the median of the rounds' ratios. All programs share the cores, the server's most of all.",
	run: runThroughput,
}

// perRound is how many runs a round has of each kind.
const perRound = 300

func runThroughput(ctx context.Context, b *bench) (result, error) {
	s, err := b.start(ctx, settings{"createFor": "0s", "deleteFor": "0s", "rateLimit": 1 << 30, "refillPerMinute": 1 << 30})
	if err != nil {
		return result{}, err
	}
	defer s.stop()
	if _, err := s.startWorker(ctx, []string{floorMode}); err != nil {
		return result{}, err
	}
	t := &turns{stack: s}
	if _, _, err := t.round(ctx, b.n(perRound), 64); err != nil { // to warm up
		return result{}, err
	}
	r := result{Tables: []table{{Columns: []string{"in flight", "floor, a second", "provisions a second", "ratio, median of rounds", "ratios"}}}}
	plot := chart{File: "throughput", Title: "Runs a second", X: "runs in flight", Y: "a second", LogX: true, Lines: []line{{Name: "floor"}, {Name: "provisions"}}}
	for _, step := range []struct{ inFlight, rounds int }{{16, 3}, {64, 7}, {256, 3}} {
		var floors, ours, ratios []float64
		for range step.rounds {
			floor, our, err := t.round(ctx, b.n(perRound), step.inFlight)
			if err != nil {
				return result{}, err
			}
			floors, ours, ratios = append(floors, floor), append(ours, our), append(ratios, our/floor)
		}
		b.say("%d in flight: ratio %.2f", step.inFlight, median(ratios))
		r.Tables[0].Rows = append(r.Tables[0].Rows, []string{
			fmt.Sprint(step.inFlight), number(median(floors)), number(median(ours)), number(median(ratios)), fmt.Sprintf("%.2f", ratios)})
		plot.Lines[0].add(float64(step.inFlight), median(floors))
		plot.Lines[1].add(float64(step.inFlight), median(ours))
		if step.inFlight == 64 {
			r.Figures = []figure{
				{Name: "provisions a second, against the floor", Value: median(ratios), Bar: atLeast(0.85)},
				{Name: "provisions a second", Value: median(ours)},
				{Name: "two empty activities, a second", Value: median(floors)},
			}
		}
	}
	r.Plots = []chart{plot}
	return r, nil
}

// turns lets the floor and ours take turns.
type turns struct {
	*stack
	rounds int
}

// round is how many runs of each kind end in a second.
func (t *turns) round(ctx context.Context, n, inFlight int) (floor, ours float64, err error) {
	t.rounds++
	clusters := fleet(n, 10, true)
	measure := func(f func(context.Context, cluster) error) (float64, error) {
		begun := time.Now()
		err := each(ctx, clusters, inFlight, f)
		return float64(n) / time.Since(begun).Seconds(), err
	}
	both := []func(){
		func() {
			if err == nil {
				floor, err = measure(t.runFloor)
			}
		},
		func() {
			if err == nil {
				ours, err = measure(t.runOurs)
			}
		},
	}
	first := t.rounds % 2
	both[first]()
	both[1-first]()
	if err != nil {
		return 0, 0, err
	}
	// So that the simulator does not slow down as it fills.
	err = each(ctx, clusters, atOnce, func(ctx context.Context, c cluster) error {
		return t.control(ctx, http.MethodDelete, "clusters/"+c.group+"/"+c.name, nil, nil)
	})
	return floor, ours, err
}

func (t *turns) runFloor(ctx context.Context, c cluster) error {
	return t.execute(ctx, client.StartWorkflowOptions{ID: fmt.Sprintf("floor-%d-%s-%s", t.rounds, c.group, c.name), TaskQueue: floorQueue}, floorWorkflow)
}

func (t *turns) runOurs(ctx context.Context, c cluster) error {
	return t.execute(ctx, client.StartWorkflowOptions{ID: contract.ClusterWorkflowID(c.group, c.name), TaskQueue: contract.TaskQueue}, contract.ProvisionFlexCluster, c.input())
}

func (t *turns) execute(ctx context.Context, o client.StartWorkflowOptions, workflow string, args ...any) error {
	run, err := t.client.ExecuteWorkflow(ctx, o, workflow, args...)
	if err != nil {
		return err
	}
	return run.Get(ctx, nil)
}
