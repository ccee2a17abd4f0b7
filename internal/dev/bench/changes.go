//go:build unix

package main

import (
	"context"
	"fmt"
	"time"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/dev/stack"
	"github.com/atlas-provisioner/atlas-provisioner/provisioner"
)

var changes = scenario{
	name: "changes", title: "100 updates and 100 deletes in one project",
	about: "The clusters are there and IDLE. An update is IDLE at once, a delete takes 30 s; 1200 requests a minute. " +
		"All starts as fast as they go, 16 at once. Requests count as above.",
	run: runChanges,
}

func runChanges(ctx context.Context, b *bench) (result, error) {
	var r result
	d, err := b.start(ctx, stack.Settings{"createFor": "1s", "deleteFor": "30s"})
	if err != nil {
		return r, err
	}
	defer d.stop()
	fleet := fleetInBlocks(b.scaled(100), 1)
	for _, change := range []struct {
		name    string
		request func(cluster) contract.Request
		bar     float64
	}{
		{name: "create", request: func(c cluster) contract.Request { return c.input() }},
		{name: "update", bar: 3, request: func(c cluster) contract.Request {
			return contract.UpdateFlexClusterInput{
				GroupID: c.groupID, Name: c.name, Tags: []contract.Tag{{Key: "team", Value: "changed"}},
			}
		}},
		{name: "delete", bar: 2, request: func(c cluster) contract.Request {
			return contract.DeleteClusterInput{GroupID: c.groupID, Name: c.name}
		}},
	} {
		before, err := d.stack.Ledger(ctx)
		if err != nil {
			return r, err
		}
		took, err := d.execute(ctx, fleet, change.request)
		if err != nil {
			return r, fmt.Errorf("%s: %w", change.name, err)
		}
		after, err := d.stack.Ledger(ctx)
		if err != nil {
			return r, err
		}
		f := figure{
			Name:  "HTTP requests a cluster, " + change.name,
			Value: float64(len(after)-len(before)) / float64(len(fleet)),
		}
		if change.bar > 0 {
			f.Bar = atMost(change.bar)
		}
		r.Figures = append(r.Figures, f,
			figure{Name: "all done in, " + change.name, Value: took.Seconds(), Unit: "s"})
	}
	return r, nil
}

// execute runs a request for each cluster, and waits until all have completed.
func (d *deployment) execute(
	ctx context.Context, fleet []cluster, request func(cluster) contract.Request,
) (time.Duration, error) {
	begun := time.Now()
	p := provisioner.New(d.temporal, provisioner.Options{})
	err := forEach(ctx, fleet, len(fleet), func(ctx context.Context, c cluster) error {
		_, err := p.Execute(ctx, request(c))
		return err
	})
	return time.Since(begun), err
}
