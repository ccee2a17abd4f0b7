//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"

	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/process"
)

// The service account of the campaign. Its secret must turn up nowhere.
const (
	clientID     = "mdb_sa_id_chaos"
	clientSecret = "mdb_sa_sk_chaos-secret-that-must-stay-in"
)

// startTimeout bounds the start of one program.
const startTimeout = time.Minute

// stack is the programs of a campaign and what they log.
type stack struct {
	options
	dir             string // logs, the server's database, the simulator's configuration
	temporal, atlas string // addresses
	random          *rand.Rand

	mu      sync.Mutex
	server  *process.Process
	sim     *process.Process
	workers []*process.Process
	kills   int      // SIGKILL to a worker
	stops   int      // SIGTERM to a worker
	unclean []string // stops that took more than 10 s or did not exit with 0
	crashes int      // SIGKILL to the server

	connection client.Client
}

func newStack(o options) (*stack, error) {
	dir, err := os.MkdirTemp("", "atlas-chaos-")
	if err != nil {
		return nil, err
	}
	s := &stack{options: o, dir: dir, random: rand.New(rand.NewPCG(o.seed, 0)), workers: make([]*process.Process, o.workers)}
	for _, address := range []*string{&s.temporal, &s.atlas} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		*address = l.Addr().String()
		_ = l.Close()
	}
	return s, nil
}

func (s *stack) start(ctx context.Context) error {
	config, err := json.Marshal(simulator(s.options))
	if err != nil {
		return err
	}
	path := filepath.Join(s.dir, "atlas-sim.json")
	if err := os.WriteFile(path, config, 0o600); err != nil {
		return err
	}
	if s.sim, err = s.launch("atlas-sim", filepath.Join(s.bin, "atlas-sim"), "-addr", s.atlas, "-config", path); err != nil {
		return err
	}
	starting, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := process.Poll(starting, func(ctx context.Context) bool { return s.control(ctx, http.MethodGet, "healthz", nil, nil) == nil }); err != nil {
		return fmt.Errorf("the simulator does not start: %w. %s", err, process.Tail(s.log("atlas-sim")))
	}
	if err := s.startServer(ctx); err != nil {
		return err
	}
	for i := range s.workers {
		if err := s.startWorker(i); err != nil {
			return err
		}
	}
	return nil
}

// startServer starts the Temporal server on its database file, so that a
// restart finds what was there.
func (s *stack) startServer(ctx context.Context) error {
	_, port, _ := net.SplitHostPort(s.temporal)
	server, err := s.launch("temporal", s.options.temporal, "server", "start-dev", "--headless", "--log-level", "error",
		"--ip", "127.0.0.1", "--port", port, "--db-filename", filepath.Join(s.dir, "temporal.db"),
		"--search-attribute", "AtlasProjectId=Keyword", "--search-attribute", "AtlasClusterName=Keyword",
		"--search-attribute", "AtlasClusterState=Keyword")
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.server = server
	s.mu.Unlock()
	starting, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	err = process.Poll(starting, func(ctx context.Context) bool {
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		c, err := client.DialContext(ctx, client.Options{HostPort: s.temporal, Logger: quiet})
		if err != nil {
			return false
		}
		c.Close()
		return true
	})
	if err != nil {
		return fmt.Errorf("the Temporal server does not start: %w. %s", err, process.Tail(s.log("temporal")))
	}
	return nil
}

func (s *stack) startWorker(i int) error {
	w, err := s.launch(fmt.Sprintf("worker-%d", i), filepath.Join(s.bin, "worker"))
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.workers[i] = w
	return nil
}

// launch starts a program whose output is added to a log of its name.
func (s *stack) launch(name, path string, args ...string) (*process.Process, error) {
	log, err := os.OpenFile(s.log(name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(path, args...)
	cmd.Stdout, cmd.Stderr, cmd.Env = log, log, s.env()
	return process.Start(cmd)
}

func (s *stack) env() []string {
	return []string{
		"HOME=" + s.dir, "PATH=" + os.Getenv("PATH"),
		"TEMPORAL_ADDRESS=" + s.temporal, "TEMPORAL_CONFIG_FILE=" + os.DevNull,
		"MONGODB_ATLAS_BASE_URL=http://" + s.atlas, "LOG_LEVEL=debug",
		"MONGODB_ATLAS_CLIENT_ID=" + clientID, "MONGODB_ATLAS_CLIENT_SECRET=" + clientSecret,
	}
}

func (s *stack) log(name string) string { return filepath.Join(s.dir, name+".log") }

func (s *stack) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range append(append([]*process.Process{}, s.workers...), s.server, s.sim) {
		if p != nil {
			p.Stop(10 * time.Second)
		}
	}
}

// trouble kills and stops workers every few seconds, and the server a few
// times, until ctx ends.
func (s *stack) trouble(ctx context.Context) error {
	nextCrash := 10 * time.Second
	begun := time.Now()
	for {
		pause := 2*time.Second + time.Duration(s.random.Int64N(int64(2*time.Second)))
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
		i, kill := s.random.IntN(len(s.workers)), s.random.IntN(2) == 0
		if err := s.hitWorker(i, kill); err != nil {
			return err
		}
		if s.crashes < s.restarts && time.Since(begun) > nextCrash {
			nextCrash += 15 * time.Second
			s.server.Signal(syscall.SIGKILL)
			<-s.server.Done
			s.crashes++
			if err := s.startServer(ctx); err != nil && ctx.Err() == nil {
				return err
			}
		}
		if err := s.control(ctx, http.MethodPost, "revoke-tokens", nil, nil); err != nil && ctx.Err() == nil {
			return err
		}
	}
}

func (s *stack) hitWorker(i int, kill bool) error {
	w := s.workers[i]
	select {
	case <-w.Done:
		// It found no Temporal when it started. Whatever runs it starts it
		// again; here, that is us.
		return s.startWorker(i)
	default:
	}
	if kill {
		s.kills++
		w.Signal(syscall.SIGKILL)
		<-w.Done
		return s.startWorker(i)
	}
	s.stops++
	begun := time.Now()
	w.Signal(syscall.SIGTERM)
	<-w.Done
	if took := time.Since(begun); w.Err != nil || took > 10*time.Second {
		s.unclean = append(s.unclean, fmt.Sprintf("worker-%d was stopped: it ended after %s, %v", i, took.Round(time.Millisecond), w.Err))
	}
	return s.startWorker(i)
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
		{Kind: atlassim.FaultHang, Hang: 20 * time.Second},
		{Kind: atlassim.FaultHang, Hang: 20 * time.Second, AfterEffect: true},
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
	var b bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&b).Encode(body); err != nil {
			return err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://"+s.atlas+"/sim/"+path, &b)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		text, _ := io.ReadAll(resp.Body)
		return fmt.Errorf("%s /sim/%s: %s: %s", method, path, resp.Status, text)
	}
	if into == nil {
		return nil
	}
	return json.NewDecoder(resp.Body).Decode(into)
}

// quiet is for what the SDK logs of a server that is down.
var quiet = log.NewStructuredLogger(slog.New(slog.DiscardHandler))
