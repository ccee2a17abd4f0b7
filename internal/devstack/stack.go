//go:build unix

package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"github.com/atlas-provisioner/atlas-provisioner/internal/process"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	startTimeout = time.Minute      // for one program to become ready
	stopGrace    = 10 * time.Second // for one program to stop before it is killed
	lookTimeout  = 5 * time.Second  // for one look whether a program is ready

	projectID = "32b6e34b3d91647abb20e7b8"

	// The starter's arguments, as a user would type them. The simulator has
	// the shared-tier cluster "legacy" from the start.
	provision = "provision-flex --project-id " + projectID + " --name orders" +
		" --provider AWS --region US_EAST_1 --tag team=orders --wait"
	upgrade = "upgrade-to-serverless --project-id " + projectID + " --name legacy" +
		" --provider AWS --region US_EAST_1 --wait"
)

// stack is the running programs.
type stack struct {
	logs        string // folder of the programs' logs
	out, errOut io.Writer
	fail        context.CancelCauseFunc // called when a program ends by itself

	temporal, ui, atlas, worker string // addresses, host:port
	publicKey, privateKey       string
	env                         []string // every program's
	processes                   []*process.Process
}

// start starts Temporal, the simulator and the worker, each when the one
// before it is ready.
func (s *stack) start(ctx context.Context, env []string) error {
	ports, err := process.FreePorts("7233", "8233", "8080", "8081")
	if err != nil {
		return err
	}
	const host = "127.0.0.1:"
	s.temporal, s.ui, s.atlas, s.worker = host+ports[0], host+ports[1], host+ports[2], host+ports[3]
	s.publicKey, s.privateKey = rand.Text(), rand.Text()
	s.env = s.childEnv(env)

	err = s.launch(ctx, s.temporalReady, "temporal", "server", "start-dev",
		"--ip", "127.0.0.1", "--port", ports[0], "--ui-port", ports[1],
		"--search-attribute", "AtlasProjectId=Keyword",
		"--search-attribute", "AtlasClusterName=Keyword",
		"--search-attribute", "AtlasClusterState=Keyword")
	if err != nil {
		return err
	}
	err = s.launch(ctx, s.atlasReady, "atlas-sim", "-addr", s.atlas, "-seed-shared", projectID+"/legacy")
	if err != nil {
		return err
	}
	if err := s.launch(ctx, s.workerReady, "worker"); err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.out, `
  Temporal         %s
  Temporal Web UI  http://%s
  Atlas simulator  http://%s
  Worker           http://%s/readyz
  Logs             %s
`, s.temporal, s.ui, s.atlas, s.worker, s.logs)
	return err
}

// childEnv is env with our settings in place of the user's own for Temporal
// and Atlas, which may point to production.
func (s *stack) childEnv(env []string) []string {
	theirs := func(v string) bool {
		return strings.HasPrefix(v, "TEMPORAL_") || strings.HasPrefix(v, "MONGODB_ATLAS_")
	}
	return append(slices.DeleteFunc(slices.Clone(env), theirs),
		"TEMPORAL_ADDRESS="+s.temporal,
		"TEMPORAL_CONFIG_FILE="+os.DevNull,
		"TEMPORAL_UI_URL=http://"+s.ui,
		"MONGODB_ATLAS_BASE_URL=http://"+s.atlas,
		"MONGODB_ATLAS_PUBLIC_API_KEY="+s.publicKey,
		"MONGODB_ATLAS_PRIVATE_API_KEY="+s.privateKey,
		"WORKER_HTTP_ADDRESS="+s.worker,
		"LOG_FORMAT=console",
	)
}

// launch starts a program that runs until stop, logging to a file, and waits
// until it is ready.
func (s *stack) launch(ctx context.Context, ready func(context.Context) bool, name string, args ...string) error {
	fmt.Fprintf(s.out, "Starting %s…\n", name)
	log, err := os.Create(s.log(name))
	if err != nil {
		return err
	}
	defer log.Close() // the program has its own
	cmd := s.command(name, args...)
	cmd.Stdout, cmd.Stderr = log, log
	p, err := process.Start(cmd)
	if err != nil {
		return err
	}
	s.processes = append(s.processes, p)
	go func() {
		<-p.Done
		s.fail(fmt.Errorf("%s ended unexpectedly (%s). %s", name, cmd.ProcessState, process.Tail(log.Name())))
	}()
	slow := fmt.Errorf("%s is not ready after %s", name, startTimeout)
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout, slow)
	defer cancel()
	err = process.Poll(ctx, ready)
	if errors.Is(err, slow) {
		return fmt.Errorf("%w. %s", slow, process.Tail(log.Name()))
	}
	return err
}

func (s *stack) log(name string) string { return filepath.Join(s.logs, name+".log") }

func (s *stack) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join("bin", name), args...)
	cmd.Env = s.env
	return cmd
}

// temporalReady asks for what the dev server sets up last.
func (s *stack) temporalReady(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join("bin", "temporal"), "operator", "search-attribute", "list",
		"--namespace", "default", "--address", s.temporal)
	cmd.Env = s.env
	out, err := cmd.Output()
	return err == nil && strings.Contains(string(out), "AtlasClusterState")
}

func (s *stack) atlasReady(context.Context) bool {
	log, _ := os.ReadFile(s.log("atlas-sim"))
	return strings.HasPrefix(string(log), "atlas-sim listening on ")
}

func (s *stack) workerReady(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	return process.Serves(ctx, "http://"+s.worker+"/readyz")
}

// stop stops the programs in the reverse order of their start.
func (s *stack) stop() {
	for _, p := range slices.Backward(s.processes) {
		p.Stop(stopGrace)
	}
}

// demo runs both workflows.
func (s *stack) demo(ctx context.Context) error {
	if err := s.starter(ctx, provision, "atlas-cluster-"+projectID+"-orders"); err != nil {
		return err
	}
	fmt.Fprintln(s.out, "\nAn upgrade takes the simulator about 20 seconds.")
	if err := s.starter(ctx, upgrade, "atlas-cluster-"+projectID+"-legacy"); err != nil {
		return err
	}
	fmt.Fprintln(s.out, "\nBoth workflows succeeded. To look around: make up")
	return nil
}

// starter runs bin/starter with its output on ours.
func (s *stack) starter(ctx context.Context, args, workflowID string) error {
	fmt.Fprintf(s.out, "\nhttp://%s/namespaces/default/workflows/%s\n$ %sbin/starter %s\n", s.ui, workflowID, s.prefix(), args)
	cmd := s.command("starter", strings.Fields(args)...)
	cmd.Stdout, cmd.Stderr = s.out, s.errOut
	p, err := process.Start(cmd)
	if err != nil {
		return err
	}
	select {
	case <-p.Done:
	case <-ctx.Done():
		p.Stop(stopGrace)
		return context.Cause(ctx)
	}
	if p.Err != nil {
		return fmt.Errorf("bin/starter failed (%w). As for the worker: %s", p.Err, process.Tail(s.log("worker")))
	}
	return nil
}

// prefix is what a command line needs in front of it to find this Temporal.
func (s *stack) prefix() string {
	if s.temporal == "127.0.0.1:7233" {
		return "" // the default
	}
	return "TEMPORAL_ADDRESS=" + s.temporal + " "
}

// stay says how to use the stack, and waits until ctx ends.
func (s *stack) stay(ctx context.Context) error {
	fmt.Fprintf(s.out, `
In another terminal:

  export TEMPORAL_ADDRESS=%s
  bin/starter %s
  bin/starter %s
  bin/starter list

A worker of your own, in a debugger say, needs this as well:

  export MONGODB_ATLAS_BASE_URL=http://%s
  export MONGODB_ATLAS_PUBLIC_API_KEY=%s
  export MONGODB_ATLAS_PRIVATE_API_KEY=%s

Ctrl-C stops everything.
`, s.temporal, provision, upgrade, s.atlas, s.publicKey, s.privateKey)
	<-ctx.Done()
	return context.Cause(ctx)
}
