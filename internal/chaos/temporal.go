//go:build unix

package main

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"

	"github.com/atlas-provisioner/atlas-provisioner/internal/process"
)

// temporalServer is the Temporal server under test and what it keeps its data
// in, which outlives every crash.
type temporalServer interface {
	// start starts it with the namespace "default" and the contract's search
	// attributes, and returns when it answers.
	start(ctx context.Context) error
	// crash kills a part of it with SIGKILL and starts that part again.
	crash(ctx context.Context, p part) error
	// stop stops whatever of it runs.
	stop()
}

// part is a part of a Temporal server that can crash by itself.
type part string

const (
	serverPart   part = "Temporal server"
	databasePart part = "PostgreSQL"
)

func newTemporalServer(o options, f folder, address string) (temporalServer, error) {
	if o.postgres == "" {
		return &devServer{folder: f, cli: o.temporal, address: address}, nil
	}
	return newPostgresServer(o, f, address)
}

// devServer is Temporal's dev server on a database file.
type devServer struct {
	folder
	cli, address string
	running      *process.Process
}

func (d *devServer) start(ctx context.Context) error {
	_, port, _ := net.SplitHostPort(d.address)
	cmd := exec.Command(d.cli, "server", "start-dev", "--headless", "--log-level", "error",
		"--ip", "127.0.0.1", "--port", port, "--db-filename", d.path("temporal.db"),
		"--search-attribute", "AtlasProjectId=Keyword", "--search-attribute", "AtlasClusterName=Keyword",
		"--search-attribute", "AtlasClusterState=Keyword")
	cmd.Env = baseEnv(d.folder)
	var err error
	if d.running, err = d.launch("temporal", cmd); err != nil {
		return err
	}
	return d.awaitStart(ctx, "temporal", answers(d.address))
}

func (d *devServer) crash(ctx context.Context, _ part) error {
	kill(d.running)
	return d.start(ctx)
}

func (d *devServer) stop() { stop(d.running) }

// answers tells whether a Temporal server answers there.
func answers(address string) func(context.Context) bool {
	return func(ctx context.Context) bool {
		c, err := client.DialContext(ctx, client.Options{HostPort: address, Logger: quiet})
		if err != nil {
			return false
		}
		c.Close()
		return true
	}
}

func kill(p *process.Process) {
	p.Signal(syscall.SIGKILL)
	<-p.Done
}

func stop(p *process.Process) {
	if p != nil {
		p.Stop(10 * time.Second)
	}
}

// baseEnv is what every program gets of the environment.
func baseEnv(f folder) []string {
	return []string{"HOME=" + string(f), "PATH=" + os.Getenv("PATH")}
}

// freeAddresses are n addresses of loopback. Their ports are below those that
// the system gives to outgoing connections: one of these could otherwise take
// the port of a program that is killed before it starts again.
func freeAddresses(n int) ([]string, error) {
	preferred := make([]string, n)
	for i := range preferred {
		preferred[i] = strconv.Itoa(15000 + rand.IntN(15000))
	}
	ports, err := process.FreePorts(preferred...)
	if err != nil {
		return nil, err
	}
	for i, port := range ports {
		ports[i] = "127.0.0.1:" + port
	}
	return ports, nil
}

// quiet is for what the SDK logs of a server that is down.
var quiet = log.NewStructuredLogger(slog.New(slog.DiscardHandler))
