//go:build unix

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"go.temporal.io/sdk/client"

	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/process"
	"github.com/atlas-provisioner/atlas-provisioner/internal/temporaltest"
)

// The API key of the stack, which the simulator accepts: HTTP digest is what
// asks for the most requests.
const (
	publicKey  = "benchkey"
	privateKey = "key-of-the-benchmark"
)

// startTimeout is how long a program may take to start.
const startTimeout = 2 * time.Minute

// settings are the simulator's, by the names of its configuration file.
type settings map[string]any

// stack is the real programs: simulator, Temporal server, worker. Each
// measurement has one of its own, so that none finds what another left.
type stack struct {
	*bench
	dir       string
	temporal  string // the addresses
	metrics   string
	atlas     string
	client    client.Client
	worker    *process.Process
	workerLog string
	all       []*process.Process // in the order of their start
}

// start starts a stack with one worker: bin/worker, or this program in one of
// its hidden modes.
func (b *bench) start(ctx context.Context, sim settings, mode ...string) (s *stack, err error) {
	s = &stack{bench: b}
	defer func() {
		if err != nil {
			s.stop()
		}
	}()
	if s.dir, err = os.MkdirTemp("", "atlas-bench-"); err != nil {
		return s, err
	}
	for _, address := range []*string{&s.temporal, &s.metrics, &s.atlas} {
		if *address, err = freeAddress(); err != nil {
			return s, err
		}
	}
	if err = s.startSimulator(ctx, sim); err != nil {
		return s, err
	}
	if err = s.startServer(ctx); err != nil {
		return s, err
	}
	s.worker, err = s.startWorker(ctx, mode)
	return s, err
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

func (s *stack) startSimulator(ctx context.Context, sim settings) error {
	sim["publicKey"], sim["privateKey"] = publicKey, privateKey
	config, err := json.Marshal(sim)
	if err != nil {
		return err
	}
	path := filepath.Join(s.dir, "atlas-sim.json")
	if err := os.WriteFile(path, config, 0o600); err != nil {
		return err
	}
	_, err = s.launch(ctx, "atlas-sim", func(ctx context.Context) bool { return s.control(ctx, http.MethodGet, "healthz", nil, nil) == nil },
		nil, filepath.Join(s.bin, "atlas-sim"), "-quiet", "-addr", s.atlas, "-config", path)
	return err
}

// startServer starts a Temporal dev server, which keeps everything in memory.
func (s *stack) startServer(ctx context.Context) error {
	_, port, _ := net.SplitHostPort(s.temporal)
	_, metrics, _ := net.SplitHostPort(s.metrics)
	_, err := s.launch(ctx, "temporal", func(ctx context.Context) bool {
		c, err := client.DialContext(ctx, client.Options{HostPort: s.temporal, Logger: temporaltest.Quiet()})
		s.client = c
		return err == nil
	}, nil, s.bench.temporal, "server", "start-dev", "--headless", "--log-level", "error",
		"--ip", "127.0.0.1", "--port", port, "--metrics-port", metrics,
		"--search-attribute", "AtlasProjectId=Keyword", "--search-attribute", "AtlasClusterName=Keyword",
		"--search-attribute", "AtlasClusterState=Keyword")
	return err
}

// startWorker starts bin/worker, or this program in a hidden mode, and waits
// until it works.
func (s *stack) startWorker(ctx context.Context, mode []string) (*process.Process, error) {
	health, err := freeAddress()
	if err != nil {
		return nil, err
	}
	name, args := filepath.Join(s.bin, "worker"), mode
	if len(mode) > 0 {
		if name, err = os.Executable(); err != nil {
			return nil, err
		}
	}
	log := fmt.Sprintf("worker-%d", len(s.all))
	if s.workerLog == "" {
		s.workerLog = filepath.Join(s.dir, log+".log")
	}
	return s.launch(ctx, log, func(ctx context.Context) bool {
		return process.Serves(ctx, "http://"+health+"/readyz")
	}, []string{"WORKER_HTTP_ADDRESS=" + health}, name, args...)
}

// launch starts a program, its output in a log, and waits until it is ready.
func (s *stack) launch(ctx context.Context, name string, ready func(context.Context) bool, env []string, path string, args ...string) (*process.Process, error) {
	log, err := os.Create(filepath.Join(s.dir, name+".log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(path, args...)
	cmd.Stdout, cmd.Stderr, cmd.Env = log, log, append(s.env(), env...)
	p, err := process.Start(cmd)
	if err != nil {
		return nil, err
	}
	s.all = append(s.all, p)
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	err = process.Poll(ctx, func(ctx context.Context) bool {
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		return ready(ctx)
	})
	if err != nil {
		return nil, fmt.Errorf("%s does not start: %w. %s", path, err, process.Tail(log.Name()))
	}
	return p, nil
}

func (s *stack) env() []string {
	return []string{
		"HOME=" + s.dir, "PATH=" + os.Getenv("PATH"),
		"TEMPORAL_ADDRESS=" + s.temporal, "TEMPORAL_CONFIG_FILE=" + os.DevNull,
		"MONGODB_ATLAS_BASE_URL=http://" + s.atlas,
		"MONGODB_ATLAS_PUBLIC_API_KEY=" + publicKey, "MONGODB_ATLAS_PRIVATE_API_KEY=" + privateKey,
	}
}

// stop ends the programs, the last first, and deletes their files.
func (s *stack) stop() {
	if s.client != nil {
		s.client.Close()
	}
	for i := len(s.all) - 1; i >= 0; i-- {
		s.all[i].Stop(10 * time.Second)
	}
	_ = os.RemoveAll(s.dir)
}

// ledger is every request that the simulator got.
func (s *stack) ledger(ctx context.Context) (entries []atlassim.Entry, err error) {
	return entries, s.control(ctx, http.MethodGet, "ledger", nil, &entries)
}

// clusters are what the simulator has, by project and name.
func (s *stack) clusters(ctx context.Context) (map[cluster]atlassim.Cluster, error) {
	var list []atlassim.Cluster
	if err := s.control(ctx, http.MethodGet, "clusters", nil, &list); err != nil {
		return nil, err
	}
	out := map[cluster]atlassim.Cluster{}
	for _, c := range list {
		out[cluster{c.GroupID, c.Name}] = c
	}
	return out, nil
}

// control asks the simulator's control interface.
func (s *stack) control(ctx context.Context, method, path string, body, into any) error {
	return atlassim.Control(ctx, "http://"+s.atlas, method, path, body, into)
}
