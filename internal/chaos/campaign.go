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
	"path/filepath"
	"sync"
	"time"

	"go.temporal.io/sdk/client"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/provisioner"
)

// projects spreads the clusters, as a fleet is spread.
const projects = 10

func group(i int) string { return fmt.Sprintf("%024x", 0xc0ffee00+i%projects) }

func provisionName(i int) string { return fmt.Sprintf("flex-%d", i) }
func upgradeName(i int) string   { return fmt.Sprintf("shared-%d", i) }
func foreignName(i int) string   { return fmt.Sprintf("theirs-%d", i) }

// job is one request and what became of it.
type job struct {
	kind    string // provision, upgrade or foreign
	group   string
	name    string
	args    []string
	output  string // what the starter printed
	id, run string
	cluster contract.Cluster
	err     error
}

func jobs(o options) []*job {
	var out []*job
	add := func(kind, command, group, name string) {
		out = append(out, &job{kind: kind, group: group, name: name, args: []string{
			command, "--project-id", group, "--name", name, "--provider", "AWS", "--region", "US_EAST_1", "--tag", "team=chaos", "-o", "json",
		}})
	}
	for i := range o.provisions {
		add("provision", "provision-flex", group(i), provisionName(i))
	}
	for i := range o.upgrades {
		add("upgrade", "upgrade-to-serverless", group(i), upgradeName(i))
	}
	for i := range o.foreign {
		add("foreign", "provision-flex", group(i), foreignName(i))
	}
	return out
}

// campaign runs one, prints its table and tells whether anything was lost.
func campaign(ctx context.Context, o options, out io.Writer) (lost bool, err error) {
	s, err := newStack(o)
	if err != nil {
		return true, err
	}
	defer func() {
		s.stop()
		if lost || err != nil {
			fmt.Fprintf(out, "The logs are in %s\n", s.folder)
		} else {
			_ = os.RemoveAll(string(s.folder))
		}
	}()
	begun := time.Now()
	if err := s.start(ctx); err != nil {
		return true, err
	}
	all := jobs(o)
	for i := range o.foreign {
		err := s.control(ctx, http.MethodPost, "flex", map[string]any{"groupId": group(i), "cluster": atlassim.FlexRequest{
			Name: foreignName(i), ProviderSettings: atlassim.FlexProvider{BackingProviderName: "AWS", RegionName: "US_EAST_1"},
			Tags: []atlassim.Tag{{Key: "team", Value: "chaos"}},
		}}, nil)
		if err != nil {
			return true, err
		}
	}
	before, err := s.clusters(ctx)
	if err != nil {
		return true, err
	}

	running, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	calm, troubled := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(troubled)
		if err := s.trouble(running, calm); err != nil {
			fail(err)
		}
	}()
	s.runAll(running, all)
	close(calm)
	<-troubled
	if err := context.Cause(running); err != nil {
		return true, err
	}
	took := time.Since(begun)

	r, err := s.verify(ctx, all, before)
	if err != nil {
		return true, err
	}
	r.took = took
	r.print(out)
	return r.lost(), nil
}

func (s *stack) clusters(ctx context.Context) (map[string]atlassim.Cluster, error) {
	var all []atlassim.Cluster
	if err := s.control(ctx, http.MethodGet, "clusters", nil, &all); err != nil {
		return nil, err
	}
	out := map[string]atlassim.Cluster{}
	for _, c := range all {
		out[c.GroupID+"/"+c.Name] = c
	}
	return out, nil
}

// runAll starts every job by the starter and waits for the end of each.
func (s *stack) runAll(ctx context.Context, all []*job) {
	var wg sync.WaitGroup
	places := make(chan struct{}, 8) // starters at once
	for _, j := range all {
		wg.Go(func() {
			places <- struct{}{}
			j.err = s.startJob(ctx, j)
			<-places
			if j.err == nil {
				j.cluster, j.err = s.await(ctx, j)
			}
		})
	}
	wg.Wait()
}

// startJob runs the starter until it has reached Temporal.
func (s *stack) startJob(ctx context.Context, j *job) error {
	for {
		var stdout, stderr bytes.Buffer
		cmd := exec.CommandContext(ctx, filepath.Join(s.bin, "starter"), j.args...)
		cmd.Env, cmd.Stdout, cmd.Stderr = s.env(), &stdout, &stderr
		err := cmd.Run()
		j.output += stdout.String() + stderr.String()
		var exit *exec.ExitError
		switch {
		case err == nil:
			var answer struct{ WorkflowID, RunID string }
			if err := json.Unmarshal(stdout.Bytes(), &answer); err != nil {
				return fmt.Errorf("the starter printed %q: %w", stdout.String(), err)
			}
			j.id, j.run = answer.WorkflowID, answer.RunID
			return nil
		case errors.As(err, &exit) && exit.ExitCode() == 3: // Temporal is down
			time.Sleep(time.Second)
		default:
			return fmt.Errorf("the starter failed: %w: %s", err, stderr.String())
		}
	}
}

// await is the result of a job. A server that is down is asked again.
func (s *stack) await(ctx context.Context, j *job) (contract.Cluster, error) {
	for {
		cluster, err := s.result(ctx, j)
		var failure *provisioner.Failure
		if err == nil || errors.As(err, &failure) || ctx.Err() != nil {
			return cluster, err
		}
		time.Sleep(time.Second)
	}
}

func (s *stack) result(ctx context.Context, j *job) (contract.Cluster, error) {
	c, err := s.dial()
	if err != nil {
		return contract.Cluster{}, err
	}
	return provisioner.New(c, provisioner.Options{}).Result(ctx, j.id, j.run)
}

// dial is the campaign's one connection to Temporal, which outlives the server.
func (s *stack) dial() (client.Client, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.connection == nil {
		c, err := client.NewLazyClient(client.Options{HostPort: s.temporal, Logger: quiet})
		if err != nil {
			return nil, err
		}
		s.connection = c
	}
	return s.connection, nil
}
