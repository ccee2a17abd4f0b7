//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/dev/process"
	"github.com/atlas-provisioner/atlas-provisioner/provisioner"
)

// projects is how many projects the clusters are spread over.
const projects = 10

func groupID(i int) string { return fmt.Sprintf("%024x", 0xc0ffee00+i%projects) }

func provisionName(i int) string { return fmt.Sprintf("flex-%d", i) }
func upgradeName(i int) string   { return fmt.Sprintf("shared-%d", i) }
func takenName(i int) string     { return fmt.Sprintf("theirs-%d", i) }

// runCampaign runs a campaign and prints its table. It removes the campaign's folder only if nothing was lost.
func runCampaign(ctx context.Context, o options, out io.Writer) (r *report, err error) {
	c, err := newCampaign(o)
	if err != nil {
		return nil, err
	}
	defer func() {
		c.stack.Stop()
		if err != nil || r.lost() {
			fmt.Fprintf(out, "The logs are in %s\n", c.stack.Folder)
		} else {
			_ = os.RemoveAll(c.stack.Folder)
		}
	}()
	begun := time.Now()
	if err := c.start(ctx); err != nil {
		return nil, err
	}
	if err := c.takeNames(ctx); err != nil {
		return nil, err
	}
	before, err := c.clusters(ctx)
	if err != nil {
		return nil, err
	}
	jobs := newJobs(o)
	if err := c.runJobs(ctx, jobs); err != nil {
		return nil, err
	}
	took := time.Since(begun)
	if r, err = c.verify(ctx, jobs, before); err != nil {
		return nil, err
	}
	r.took = took
	r.print(out)
	return r, nil
}

// crowd is how many clusters of others the first project has, more than a page that Atlas sends by itself.
const crowd = 110

// takeNames makes the clusters that somebody else has already.
func (c *campaign) takeNames(ctx context.Context) error {
	for i := range c.options.taken {
		if err := c.makeTheirs(ctx, groupID(i), takenName(i)); err != nil {
			return err
		}
	}
	for i := range c.options.lives {
		if lives[i%len(lives)].begins == theirLife {
			if err := c.makeTheirs(ctx, groupID(i), lifeName(i)); err != nil {
				return err
			}
		}
	}
	for i := range crowd {
		if err := c.makeTheirs(ctx, groupID(0), fmt.Sprintf("crowd-%d", i)); err != nil {
			return err
		}
	}
	return nil
}

// makeTheirs makes a cluster of somebody else.
func (c *campaign) makeTheirs(ctx context.Context, groupID, name string) error {
	return c.stack.Control(ctx, http.MethodPost, "flex", map[string]any{
		"groupId": groupID,
		"cluster": atlassim.FlexRequest{
			Name:             name,
			ProviderSettings: atlassim.FlexProvider{BackingProviderName: "AWS", RegionName: "US_EAST_1"},
			Tags:             []atlassim.Tag{{Key: "team", Value: "chaos"}},
		},
	}, nil)
}

// clusters are those that the simulator has, by the key of their job.
func (c *campaign) clusters(ctx context.Context) (map[string]atlassim.Cluster, error) {
	list, err := c.stack.Clusters(ctx)
	clusters := map[string]atlassim.Cluster{}
	for _, cluster := range list {
		clusters[cluster.GroupID+"/"+cluster.Name] = cluster
	}
	return clusters, err
}

// runJobs starts every job by the starter and waits for the end of each, while everything is in trouble.
func (c *campaign) runJobs(ctx context.Context, jobs []*job) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	done := make(chan struct{})
	var trouble, wg sync.WaitGroup
	trouble.Go(func() {
		if err := c.makeTrouble(ctx, done); err != nil {
			fail(err)
		}
	})
	trouble.Go(func() {
		if err := c.operator.operate(ctx, jobs, done); err != nil {
			fail(err)
		}
	})
	starters := make(chan struct{}, 8) // so many run at once
	for _, j := range jobs {
		wg.Go(func() {
			for _, s := range j.steps {
				starters <- struct{}{}
				j.err = c.startStep(ctx, j, s)
				<-starters
				if j.err != nil {
					return
				}
				var end provisioner.End
				end, s.err = c.awaitJob(ctx, j)
				s.cluster, s.lease = end.Cluster, end.Lease
			}
		})
	}
	wg.Wait()
	close(done)
	trouble.Wait()
	if err := context.Cause(ctx); err != nil {
		return err
	}
	return c.awaitCalm(ctx)
}

// awaitCalm waits until Atlas changes no cluster any more: one that is done can go back to UPDATING by itself.
func (c *campaign) awaitCalm(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, time.Minute, errors.New("a cluster of Atlas still changes"))
	defer cancel()
	return process.Poll(ctx, func(ctx context.Context) bool {
		clusters, err := c.stack.Clusters(ctx)
		isUpdating := func(cluster atlassim.Cluster) bool { return cluster.State == "UPDATING" }
		return err == nil && !slices.ContainsFunc(clusters, isUpdating)
	})
}
