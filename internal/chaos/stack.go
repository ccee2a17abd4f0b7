//go:build unix

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"go.temporal.io/sdk/client"

	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/process"
)

// The service account of the campaign. Its secret must turn up nowhere.
const (
	clientID     = "mdb_sa_id_chaos"
	clientSecret = "mdb_sa_sk_chaos-secret-that-must-stay-in"
)

// stack is the programs of a campaign and what they log.
type stack struct {
	options
	folder
	temporal, atlas string // addresses
	random          *rand.Rand

	server  temporalServer
	sim     *process.Process
	workers []*process.Process
	kills   int          // SIGKILL to a worker
	stops   int          // SIGTERM to a worker
	unclean []string     // stops that took more than 10 s or did not exit with 0
	due     []part       // parts of the Temporal server that are still to be killed
	crashed map[part]int // SIGKILL to a part of the Temporal server

	mu         sync.Mutex
	connection client.Client
}

func newStack(o options) (*stack, error) {
	addresses, err := freeAddresses(2)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "atlas-chaos-")
	if err != nil {
		return nil, err
	}
	server, err := newTemporalServer(o, folder(dir), addresses[0])
	if err != nil {
		_ = os.Remove(dir)
		return nil, err
	}
	return &stack{
		options: o, folder: folder(dir), temporal: addresses[0], atlas: addresses[1],
		random: rand.New(rand.NewPCG(o.seed, 0)),
		server: server, workers: make([]*process.Process, o.workers), due: crashes(o), crashed: map[part]int{},
	}, nil
}

func (s *stack) start(ctx context.Context) error {
	config, err := json.Marshal(simulator(s.options))
	if err != nil {
		return err
	}
	path := s.path("atlas-sim.json")
	if err := os.WriteFile(path, config, 0o600); err != nil {
		return err
	}
	if s.sim, err = s.launch("atlas-sim", s.command("atlas-sim", "-addr", s.atlas, "-config", path)); err != nil {
		return err
	}
	err = s.awaitStart(ctx, "atlas-sim", func(ctx context.Context) bool { return s.control(ctx, http.MethodGet, "healthz", nil, nil) == nil })
	if err != nil {
		return err
	}
	if err := s.server.start(ctx); err != nil {
		return err
	}
	for i := range s.workers {
		if err := s.startWorker(i); err != nil {
			return err
		}
	}
	return nil
}

func (s *stack) startWorker(i int) error {
	w, err := s.launch(fmt.Sprintf("worker-%d", i), s.command("worker"))
	if err == nil {
		s.workers[i] = w
	}
	return err
}

// command is one of our own programs.
func (s *stack) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(s.bin, name), args...)
	cmd.Env = s.env()
	return cmd
}

func (s *stack) env() []string {
	return append(baseEnv(s.folder),
		"TEMPORAL_ADDRESS="+s.temporal, "TEMPORAL_CONFIG_FILE="+os.DevNull,
		"MONGODB_ATLAS_BASE_URL=http://"+s.atlas, "LOG_LEVEL=debug",
		"MONGODB_ATLAS_CLIENT_ID="+clientID, "MONGODB_ATLAS_CLIENT_SECRET="+clientSecret)
}

func (s *stack) stop() {
	for _, w := range s.workers {
		stop(w)
	}
	s.server.stop()
	stop(s.sim)
}

// simulator is an Atlas that fails as often as asked, in every way it can.
func simulator(o options) map[string]any {
	shared := []atlassim.SharedCluster{}
	for i := range o.upgrades {
		shared = append(shared, atlassim.SharedCluster{GroupID: group(i), Name: upgradeName(i)})
	}
	var faults []atlassim.Fault
	// Each of the 15 that a read can meet has its turn if none before it struck.
	each := 1 - math.Pow(1-o.faults, 1.0/15)
	for i, f := range []atlassim.Fault{
		{Kind: atlassim.FaultStatus, Status: 500, ErrorCode: "UNEXPECTED_ERROR", Detail: "Unexpected error."},
		{Kind: atlassim.FaultStatus, Status: 500, ErrorCode: "UNEXPECTED_ERROR", AfterEffect: true},
		{Kind: atlassim.FaultHTML, Status: 502},
		{Kind: atlassim.FaultHTML, Status: 503, RetryAfter: "1"},
		{Kind: atlassim.FaultStatus, Status: 429, ErrorCode: "RATE_LIMITED", RetryAfter: "2"},
		{Kind: atlassim.FaultStatus, Status: 429, ErrorCode: "RATE_LIMITED_TOKEN_BUCKET", RetryAfter: "0"},
		{Kind: atlassim.FaultReset},
		{Kind: atlassim.FaultLost},
		{Kind: atlassim.FaultHang, Hang: atlassim.Duration(20 * time.Second)},
		{Kind: atlassim.FaultHang, Hang: atlassim.Duration(20 * time.Second), AfterEffect: true},
		{Kind: atlassim.FaultTruncate},
		{Kind: atlassim.FaultOversize, AfterEffect: true},
		{Kind: atlassim.FaultGarbage},
		{Kind: atlassim.FaultStatus, Status: 408, ErrorCode: "REQUEST_TIMEOUT", AfterEffect: true},
		{Kind: atlassim.FaultStatus, Status: 425},
		{Method: http.MethodPost, Kind: atlassim.FaultStatus, Status: 405, ErrorCode: "WRITES_NOT_ALLOWED_DURING_APP_UPGRADES"},
		{Method: http.MethodPost, Kind: atlassim.FaultStatus, Status: 400, ErrorCode: "CONTAINER_WAITING_FOR_FAST_RECORD_CLEAN_UP"},
	} {
		f.Path, f.Probability, f.Seed = "/groups/", each, o.seed<<8+uint64(i)
		faults = append(faults, f)
	}
	return map[string]any{
		"clientId": clientID, "clientSecret": clientSecret,
		// Real Atlas gives 10 a minute; workers that are restarted every three
		// seconds need more.
		"tokensPerMinute": 120,
		"createFor":       "3s", "hiddenFor": "500ms", "standardAfter": "1s",
		"upgradeFor": "20s", "staleIdleFor": "1s",
		"shared": shared, "faults": faults,
	}
}

// control asks the simulator's control interface.
func (s *stack) control(ctx context.Context, method, path string, body, into any) error {
	return atlassim.Control(ctx, "http://"+s.atlas, method, path, body, into)
}
