//go:build unix

package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"slices"
	"strings"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/dev/process"
	"github.com/atlas-provisioner/atlas-provisioner/internal/dev/stack"
)

const (
	// bin is where make leaves the programs, in the folder where this one runs.
	bin = "bin"

	projectID = "32b6e34b3d91647abb20e7b8"

	// The starter's arguments, as a user would type them. The simulator has the shared-tier cluster "legacy" from the
	// start.
	provision = "provision-flex --project-id " + projectID + " --name orders" +
		" --provider AWS --region US_EAST_1 --tag team=orders --wait"
	upgrade = "upgrade-to-serverless --project-id " + projectID + " --name legacy" +
		" --provider AWS --region US_EAST_1 --wait"
	upgradeToFlex = "upgrade-to-flex --project-id " + projectID + " --name legacy" +
		" --provider AWS --region US_EAST_1 --wait"

	// The life of the cluster that the first command has made.
	update  = "update-flex --project-id " + projectID + " --name orders --tag team=billing --wait"
	enlarge = "upgrade-to-dedicated --project-id " + projectID + " --name orders" +
		" --provider AWS --region US_EAST_1 --instance-size M10 --wait"
	remove = "delete --project-id " + projectID + " --name orders --yes --wait"

	defaultTemporal = "127.0.0.1:7233"
)

// demo is the stack that a user tries everything out on.
type demo struct {
	stack                 *stack.Stack
	stdout, stderr        io.Writer
	uiAddress, workerHTTP string
}

// newDemo prefers the ports that a user expects.
func newDemo(env []string, stdout, stderr io.Writer) (*demo, error) {
	addresses, err := process.FreeAddresses("7233", "8233", "8080", "8081")
	if err != nil {
		return nil, err
	}
	s, err := stack.New(bin, filepath.Join(bin, "temporal"))
	if err != nil {
		return nil, err
	}
	d := &demo{stack: s, stdout: stdout, stderr: stderr, uiAddress: addresses[1], workerHTTP: addresses[3]}
	s.TemporalAddress, s.AtlasAddress = addresses[0], addresses[2]
	s.Env = append(withoutTheirs(env), "TEMPORAL_UI_URL=http://"+d.uiAddress)
	s.Credential = []string{
		"MONGODB_ATLAS_PUBLIC_API_KEY=" + rand.Text(), "MONGODB_ATLAS_PRIVATE_API_KEY=" + rand.Text(),
	}
	return d, nil
}

// withoutTheirs is env without the user's own settings for Temporal and Atlas, which may point to production.
func withoutTheirs(env []string) []string {
	return slices.DeleteFunc(slices.Clone(env), func(variable string) bool {
		return strings.HasPrefix(variable, "TEMPORAL_") || strings.HasPrefix(variable, "MONGODB_ATLAS_")
	})
}

// start starts Temporal, the simulator and the worker, each when the one before it is ready.
func (d *demo) start(ctx context.Context) error {
	_, uiPort, err := net.SplitHostPort(d.uiAddress)
	if err != nil {
		return err
	}
	fmt.Fprintln(d.stdout, "Starting temporal…")
	if err := (stack.DevServer{Stack: d.stack, Args: []string{"--ui-port", uiPort}}).Start(ctx); err != nil {
		return err
	}
	fmt.Fprintln(d.stdout, "Starting atlas-sim…")
	// Where Atlas takes minutes, nobody who tries it out should.
	quick := stack.Settings{
		"upgradeFor": "8s", "updateDedicatedFor": "1s", "deleteFor": "5s", "deleteDedicatedFor": "5s",
	}
	if err := d.stack.StartAtlas(ctx, quick, "-seed-shared", projectID+"/legacy"); err != nil {
		return err
	}
	fmt.Fprintln(d.stdout, "Starting worker…")
	worker := d.stack.WorkerCommand(d.stack.Program("worker"))
	worker.Env = append(worker.Env, "LOG_FORMAT=console")
	if err := d.stack.StartWorker(ctx, "worker", d.workerHTTP, worker); err != nil {
		return err
	}
	_, err = fmt.Fprintf(d.stdout, `
  Temporal         %s
  Temporal Web UI  http://%s
  Atlas simulator  http://%s
  Worker           http://%s/readyz
  Logs             %s
`, d.stack.TemporalAddress, d.uiAddress, d.stack.AtlasAddress, d.workerHTTP, d.stack.Folder)
	return err
}

// runWorkflows runs a provision and an upgrade, and then the rest of a cluster's life.
func (d *demo) runWorkflows(ctx context.Context) error {
	orders := contract.ClusterWorkflowID(projectID, "orders")
	for _, run := range []struct{ before, args, workflowID string }{
		{args: provision, workflowID: orders},
		{
			before: "An upgrade takes the simulator about 10 seconds.",
			args:   upgrade, workflowID: contract.ClusterWorkflowID(projectID, "legacy"),
		},
		{before: "The rest of the life of cluster orders: update, upgrade, delete.", args: update, workflowID: orders},
		{args: enlarge, workflowID: orders},
		{args: remove, workflowID: orders},
	} {
		if run.before != "" {
			fmt.Fprintln(d.stdout, "\n"+run.before)
		}
		if err := d.runStarter(ctx, run.args, run.workflowID); err != nil {
			return err
		}
	}
	fmt.Fprintln(d.stdout, "\nAll workflows succeeded. To look around: make up")
	return nil
}

// runStarter runs bin/starter with its output on ours.
func (d *demo) runStarter(ctx context.Context, args, workflowID string) error {
	fmt.Fprintf(d.stdout, "\nhttp://%s/namespaces/default/workflows/%s\n$ %sbin/starter %s\n",
		d.uiAddress, workflowID, d.addressPrefix(), args)
	cmd := d.stack.Command(d.stack.Program("starter"), strings.Fields(args)...)
	cmd.Stdout, cmd.Stderr = d.stdout, d.stderr
	if err := process.Run(ctx, cmd); err != nil {
		return fmt.Errorf("bin/starter failed (%w). As for the worker: %s", err, process.Tail(d.stack.Log("worker")))
	}
	return nil
}

// addressPrefix is what a command line needs in front of it to find this Temporal.
func (d *demo) addressPrefix() string {
	if d.stack.TemporalAddress == defaultTemporal {
		return ""
	}
	return "TEMPORAL_ADDRESS=" + d.stack.TemporalAddress + " "
}

// waitForInterrupt says how to use the stack, and waits until ctx ends.
func (d *demo) waitForInterrupt(ctx context.Context) error {
	fmt.Fprint(d.stdout, d.guide())
	<-ctx.Done()
	return context.Cause(ctx)
}
