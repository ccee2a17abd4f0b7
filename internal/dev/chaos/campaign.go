//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"sync"
	"time"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
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

// jobKind is what a job asks for.
type jobKind string

const (
	provisionJob jobKind = "provision"
	upgradeJob   jobKind = "upgrade"
	takenJob     jobKind = "provision of a taken name"
)

// job is one request, and what became of it.
type job struct {
	kind              jobKind
	groupID, name     string
	args              []string // the starter's
	output            string   // what the starter printed, to both streams
	workflowID, runID string
	cluster           contract.Cluster
	err               error
}

func (j *job) key() string { return j.groupID + "/" + j.name }

func newJob(kind jobKind, command, groupID, name string) *job {
	return &job{kind: kind, groupID: groupID, name: name, args: []string{
		command, "--project-id", groupID, "--name", name, "--provider", "AWS", "--region", "US_EAST_1",
		"--tag", "team=chaos", "-o", "json",
	}}
}

func newJobs(o options) []*job {
	var jobs []*job
	for i := range o.provisions {
		jobs = append(jobs, newJob(provisionJob, "provision-flex", groupID(i), provisionName(i)))
	}
	for i := range o.upgrades {
		jobs = append(jobs, newJob(upgradeJob, "upgrade-to-serverless", groupID(i), upgradeName(i)))
	}
	for i := range o.taken {
		jobs = append(jobs, newJob(takenJob, "provision-flex", groupID(i), takenName(i)))
	}
	return jobs
}

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

// takeNames makes the clusters that somebody else has already.
func (c *campaign) takeNames(ctx context.Context) error {
	for i := range c.options.taken {
		err := c.stack.Control(ctx, http.MethodPost, "flex", map[string]any{
			"groupId": groupID(i),
			"cluster": atlassim.FlexRequest{
				Name:             takenName(i),
				ProviderSettings: atlassim.FlexProvider{BackingProviderName: "AWS", RegionName: "US_EAST_1"},
				Tags:             []atlassim.Tag{{Key: "team", Value: "chaos"}},
			},
		}, nil)
		if err != nil {
			return err
		}
	}
	return nil
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
	done, calm := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(calm)
		if err := c.makeTrouble(ctx, done); err != nil {
			fail(err)
		}
	}()
	var wg sync.WaitGroup
	starters := make(chan struct{}, 8) // so many run at once
	for _, j := range jobs {
		wg.Go(func() {
			starters <- struct{}{}
			j.err = c.startJob(ctx, j)
			<-starters
			if j.err == nil {
				j.cluster, j.err = c.awaitJob(ctx, j)
			}
		})
	}
	wg.Wait()
	close(done)
	<-calm
	return context.Cause(ctx)
}

// startJob runs the starter again and again until it has reached Temporal.
func (c *campaign) startJob(ctx context.Context, j *job) error {
	const temporalUnreachable = 3 // exit code
	for {
		var stdout, stderr bytes.Buffer
		cmd := c.stack.Command(c.stack.Program("starter"), j.args...)
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		err := process.Run(ctx, cmd)
		j.output += stdout.String() + stderr.String()
		var exit *exec.ExitError
		switch {
		case err == nil:
			var answer struct{ WorkflowID, RunID string }
			if err := json.Unmarshal(stdout.Bytes(), &answer); err != nil {
				return fmt.Errorf("the starter printed %q: %w", stdout.String(), err)
			}
			j.workflowID, j.runID = answer.WorkflowID, answer.RunID
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.As(err, &exit) && exit.ExitCode() == temporalUnreachable:
			time.Sleep(time.Second)
		default:
			return fmt.Errorf("the starter failed: %w: %s", err, stderr.String())
		}
	}
}

// awaitJob returns the result of a job. A server that is down is asked again.
func (c *campaign) awaitJob(ctx context.Context, j *job) (contract.Cluster, error) {
	temporal, err := c.stack.Client()
	if err != nil {
		return contract.Cluster{}, err
	}
	p := provisioner.New(temporal, provisioner.Options{})
	for {
		cluster, err := p.Result(ctx, j.workflowID, j.runID)
		var failure *provisioner.Failure
		if err == nil || errors.As(err, &failure) || ctx.Err() != nil {
			return cluster, err
		}
		time.Sleep(time.Second)
	}
}
