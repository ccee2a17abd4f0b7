//go:build unix

package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"time"

	"go.temporal.io/sdk/client"

	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/dev/process"
	"github.com/atlas-provisioner/atlas-provisioner/internal/dev/stack"
)

// The API key of the worker, which the simulator accepts. Of all credentials, HTTP digest takes the most requests.
const (
	publicKey  = "benchkey"
	privateKey = "key-of-the-benchmark"
)

// deployment is the real programs: the simulator, a Temporal server and one worker. Each measurement has a deployment
// of its own, so that none finds what another left.
type deployment struct {
	stack         *stack.Stack
	serverMetrics string // address of the Temporal server's metrics
	temporal      client.Client
}

// workerName is the worker that is measured; floorName is the worker of the empty workflow.
const (
	workerName = "worker"
	floorName  = "floor"
)

// start starts a deployment with bin/worker.
func (b *bench) start(ctx context.Context, settings stack.Settings) (*deployment, error) {
	d, err := b.startWithoutWorker(ctx, settings)
	if err != nil {
		return nil, err
	}
	if err := d.startWorker(ctx, workerName, d.stack.Program("worker")); err != nil {
		d.stop()
		return nil, err
	}
	return d, nil
}

// startScaled starts a deployment whose worker's intervals are shorter by a factor.
func (b *bench) startScaled(ctx context.Context, settings stack.Settings, factor int) (*deployment, error) {
	d, err := b.startWithoutWorker(ctx, settings)
	if err != nil {
		return nil, err
	}
	if err := d.startSelf(ctx, workerName, scaledMode, fmt.Sprint(factor)); err != nil {
		d.stop()
		return nil, err
	}
	return d, nil
}

func (b *bench) startWithoutWorker(ctx context.Context, settings stack.Settings) (*deployment, error) {
	metrics, err := process.FreeAddresses("")
	if err != nil {
		return nil, err
	}
	s, err := stack.New(b.bin, b.temporalCLI)
	if err != nil {
		return nil, err
	}
	s.Credential = []string{"MONGODB_ATLAS_PUBLIC_API_KEY=" + publicKey, "MONGODB_ATLAS_PRIVATE_API_KEY=" + privateKey}
	d := &deployment{stack: s, serverMetrics: metrics[0]}
	if err := d.startServices(ctx, settings); err != nil {
		d.stop()
		return nil, err
	}
	return d, nil
}

// startServices starts the simulator, and a Temporal dev server that keeps everything in memory.
func (d *deployment) startServices(ctx context.Context, settings stack.Settings) error {
	settings["publicKey"], settings["privateKey"] = publicKey, privateKey
	if err := d.stack.StartAtlas(ctx, settings, "-quiet"); err != nil {
		return err
	}
	_, metricsPort, err := net.SplitHostPort(d.serverMetrics)
	if err != nil {
		return err
	}
	server := stack.DevServer{Stack: d.stack,
		Args: []string{"--headless", "--log-level", "error", "--metrics-port", metricsPort}}
	if err := server.Start(ctx); err != nil {
		return err
	}
	d.temporal, err = d.stack.Client()
	return err
}

// startSelf starts this program in one of its hidden modes, in which it is a worker.
func (d *deployment) startSelf(ctx context.Context, name, mode string, args ...string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	return d.startWorker(ctx, name, self, append([]string{mode}, args...)...)
}

func (d *deployment) startWorker(ctx context.Context, name, path string, args ...string) error {
	health, err := process.FreeAddresses("")
	if err != nil {
		return err
	}
	return d.stack.StartWorker(ctx, name, health[0], d.stack.WorkerCommand(path, args...))
}

// stop stops the programs and deletes their files.
func (d *deployment) stop() {
	d.stack.Stop()
	_ = os.RemoveAll(d.stack.Folder)
}

// clusters are those that the simulator has, by project and name.
func (d *deployment) clusters(ctx context.Context) (map[cluster]atlassim.Cluster, error) {
	list, err := d.stack.Clusters(ctx)
	clusters := map[cluster]atlassim.Cluster{}
	for _, c := range list {
		clusters[cluster{groupID: c.GroupID, name: c.Name}] = c
	}
	return clusters, err
}

// idleTimes are when each cluster that the simulator has became IDLE.
func (d *deployment) idleTimes(ctx context.Context, createFor time.Duration) (map[cluster]time.Time, error) {
	clusters, err := d.clusters(ctx)
	times := map[cluster]time.Time{}
	for c, state := range clusters {
		times[c] = state.CreateDate.Add(createFor)
	}
	return times, err
}
