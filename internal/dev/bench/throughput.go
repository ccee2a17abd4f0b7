//go:build unix

package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"go.temporal.io/sdk/client"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/dev/stack"
)

var throughput = scenario{
	name: "throughput", title: "Provisions a second, against a workflow of two empty activities",
	about: "Atlas answers at once, and a new cluster is IDLE at once. The floor is a workflow of two activities " +
		"that do nothing, on the same server, with the same worker settings, in a worker process of its own. Both " +
		"are started by the Temporal client alone, and so many are kept in flight until 300 have ended; the two " +
		"take turns, and which goes first alternates. The ratio is the median of the rounds' ratios. All programs " +
		"share the cores, the server's most of all.",
	run: runThroughput,
}

// runsPerRound is how many runs a round has of each kind.
const runsPerRound = 300

func runThroughput(ctx context.Context, b *bench) (result, error) {
	d, err := b.start(ctx, stack.Settings{
		"createFor": "0s", "deleteFor": "0s", "rateLimit": 1 << 30, "refillPerMinute": 1 << 30,
	})
	if err != nil {
		return result{}, err
	}
	defer d.stop()
	if err := d.startSelf(ctx, floorName, floorMode); err != nil {
		return result{}, err
	}
	c := &comparison{deployment: d, runs: b.scaled(runsPerRound)}
	if _, err := c.round(ctx, 64); err != nil { // to warm up
		return result{}, err
	}
	var r result
	t := table{Columns: []string{
		"in flight", "floor, a second", "provisions a second", "ratio, median of rounds", "ratios",
	}}
	floorLine, provisionLine := line{Name: "floor"}, line{Name: "provisions"}
	for _, step := range []struct{ inFlight, rounds int }{{16, 3}, {64, 7}, {256, 3}} {
		var floors, provisions, ratios []float64
		for range step.rounds {
			rate, err := c.round(ctx, step.inFlight)
			if err != nil {
				return result{}, err
			}
			floors, provisions = append(floors, rate.floor), append(provisions, rate.provisions)
			ratios = append(ratios, rate.provisions/rate.floor)
		}
		b.logf("%d in flight: ratio %.2f", step.inFlight, median(ratios))
		t.Rows = append(t.Rows, []string{
			fmt.Sprint(step.inFlight), number(median(floors)), number(median(provisions)), number(median(ratios)),
			fmt.Sprintf("%.2f", ratios)})
		floorLine.add(float64(step.inFlight), median(floors))
		provisionLine.add(float64(step.inFlight), median(provisions))
		if step.inFlight == 64 {
			r.Figures = []figure{
				{Name: "provisions a second, against the floor", Value: median(ratios), Bar: atLeast(0.85)},
				{Name: "provisions a second", Value: median(provisions)},
				{Name: "two empty activities, a second", Value: median(floors)},
			}
		}
	}
	r.Tables = []table{t}
	r.Plots = []chart{{
		File: "throughput", Title: "Runs a second", X: "runs in flight", Y: "a second", LogX: true,
		Lines: []line{floorLine, provisionLine},
	}}
	return r, nil
}

// comparison lets the empty workflow and provisions take turns.
type comparison struct {
	deployment *deployment
	runs       int // of each kind in a round
	rounds     int // so far
}

// rates are how many runs of each kind end in a second.
type rates struct{ floor, provisions float64 }

func (c *comparison) round(ctx context.Context, inFlight int) (rates, error) {
	c.rounds++
	clusters := fleetRoundRobin(c.runs, 10)
	var r rates
	turns := []struct {
		rate *float64
		run  func(context.Context, cluster) error
	}{{&r.floor, c.runFloor}, {&r.provisions, c.runProvision}}
	if c.rounds%2 == 1 {
		turns[0], turns[1] = turns[1], turns[0]
	}
	for _, turn := range turns {
		begun := time.Now()
		if err := forEach(ctx, clusters, inFlight, turn.run); err != nil {
			return r, err
		}
		*turn.rate = float64(c.runs) / time.Since(begun).Seconds()
	}
	// The simulator would become slower as it fills.
	return r, forEach(ctx, clusters, concurrentStarts, func(ctx context.Context, cl cluster) error {
		return c.deployment.stack.Control(ctx, http.MethodDelete, "clusters/"+cl.groupID+"/"+cl.name, nil, nil)
	})
}

func (c *comparison) runFloor(ctx context.Context, cl cluster) error {
	id := fmt.Sprintf("floor-%d-%s-%s", c.rounds, cl.groupID, cl.name)
	return c.execute(ctx, client.StartWorkflowOptions{ID: id, TaskQueue: floorQueue}, floorWorkflow)
}

func (c *comparison) runProvision(ctx context.Context, cl cluster) error {
	id := contract.ClusterWorkflowID(cl.groupID, cl.name)
	options := client.StartWorkflowOptions{ID: id, TaskQueue: contract.TaskQueue}
	return c.execute(ctx, options, contract.ProvisionFlexCluster, cl.input())
}

func (c *comparison) execute(
	ctx context.Context, options client.StartWorkflowOptions, workflow string, args ...any,
) error {
	run, err := c.deployment.temporal.ExecuteWorkflow(ctx, options, workflow, args...)
	if err != nil {
		return err
	}
	return run.Get(ctx, nil)
}
