//go:build unix

package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"syscall"
	"time"

	"github.com/atlas-provisioner/atlas-provisioner/internal/dev/stack"
)

const (
	firstPartKill = 10 * time.Second // after the start of the campaign
	partKillGap   = 15 * time.Second // between two kills of a part of the Temporal server
)

// plannedKills are the parts of the Temporal server that are killed, in the order that the seed gives.
func plannedKills(o options) []stack.Part {
	parts := slices.Repeat([]stack.Part{stack.TemporalServer}, o.serverKills)
	if o.postgres.PostgreSQL != "" {
		parts = append(parts, stack.Database)
	}
	random := rand.New(rand.NewPCG(o.seed, 1))
	random.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
	return parts
}

// makeTrouble kills or stops a worker and revokes every token each few seconds, and kills the parts of the Temporal
// server that are due, until done is closed.
func (c *campaign) makeTrouble(ctx context.Context, done <-chan struct{}) error {
	nextKill := time.Now().Add(firstPartKill)
	for {
		pause := 2*time.Second + time.Duration(c.random.Int64N(int64(2*time.Second)))
		select {
		case <-done:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pause):
		}
		if err := c.troubleWorker(); err != nil {
			return err
		}
		if len(c.dueKills) > 0 && time.Now().After(nextKill) {
			part := c.dueKills[0]
			c.dueKills = c.dueKills[1:]
			c.partKills[part]++
			if err := c.temporal.Restart(ctx, part); err != nil {
				return err
			}
			nextKill = time.Now().Add(partKillGap)
		}
		if err := c.stack.Control(ctx, http.MethodPost, "revoke-tokens", nil, nil); err != nil {
			return err
		}
	}
}

// troubleWorker kills or stops a worker, and starts it again. A worker that found no Temporal when it started has
// ended, and is only started again, as whatever runs a worker does.
func (c *campaign) troubleWorker() error {
	i, kill := c.random.IntN(c.options.workers), c.random.IntN(2) == 0
	switch {
	case c.stack.Process(workerName(i)).Ended():
	case kill:
		c.kills++
		c.stack.Kill(workerName(i))
	default:
		c.stops++
		c.stopWorker(workerName(i))
	}
	return c.startWorker(i)
}

func (c *campaign) stopWorker(name string) {
	worker := c.stack.Process(name)
	begun := time.Now()
	worker.Signal(syscall.SIGTERM)
	<-worker.Done
	if took := time.Since(begun); worker.Err != nil || took > 10*time.Second {
		c.uncleanStops = append(c.uncleanStops, fmt.Sprintf("%s was stopped: it ended after %s, %v",
			name, took.Round(time.Millisecond), worker.Err))
	}
}
