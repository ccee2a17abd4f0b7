package worker

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim/atlassimtest"
	"github.com/atlas-provisioner/atlas-provisioner/internal/temporaltest"
	"github.com/atlas-provisioner/atlas-provisioner/provisioner"
)

// update rewrites the golden files: go test ./internal/worker -run Help -update
var update = flag.Bool("update", false, "write testdata")

var server *temporaltest.Server

func TestMain(m *testing.M) {
	flag.Parse()
	temporaltest.Main(m, &server)
}

const (
	group = "32b6e34b3d91647abb20e7b8"
	// patience bounds how long a test waits for something. It is far more than is needed, so that a slow machine fails
	// no test.
	patience = 2 * time.Minute
	// stopBound is how long a worker may take to stop, by the contract.
	stopBound = 10 * time.Second
)

// stack is a simulator and the environment of a worker that uses it, with its own task queue.
type stack struct {
	t      *testing.T
	sim    *atlassim.Server
	env    []string
	on     *temporaltest.Server
	client *provisioner.Client
	name   string // of the cluster
	queue  string
}

func setup(t *testing.T, sim atlassim.Config, more ...string) *stack {
	t.Helper()
	return setupOn(t, server, sim, more...)
}

func setupOn(t *testing.T, on *temporaltest.Server, sim atlassim.Config, more ...string) *stack {
	t.Helper()
	if sim.CreateFor == 0 {
		sim.CreateFor = atlassim.Duration(100 * time.Millisecond)
	}
	if sim.TokenTTL == 0 {
		sim.TokenTTL = atlassim.Duration(time.Hour)
	}
	s := &stack{t: t, on: on, name: "t-" + strings.ToLower(rand.Text()[:10])}
	s.queue = t.Name() + "-" + s.name
	s.client = provisioner.New(on.Client(), provisioner.Options{TaskQueue: s.queue})
	var url string
	s.sim, url = atlassimtest.Start(t, sim)
	s.env = append([]string{
		"TEMPORAL_ADDRESS=" + on.FrontendHostPort(), "TEMPORAL_CONFIG_FILE=" + os.DevNull,
		"TEMPORAL_TASK_QUEUE=" + s.queue,
		"MONGODB_ATLAS_BASE_URL=" + url, "MONGODB_ATLAS_ACCESS_TOKEN=token-of-the-tests",
		"WORKER_HTTP_ADDRESS=127.0.0.1:0",
	}, more...)
	return s
}

// start starts a provision of a cluster whose name no other test uses.
func (s *stack) start() provisioner.Run {
	s.t.Helper()
	run, err := s.client.Start(s.ctx(), s.request())
	require.NoError(s.t, err)
	return run
}

func (s *stack) request() contract.ProvisionFlexClusterInput {
	return contract.ProvisionFlexClusterInput{
		GroupID: group, Name: s.name,
		ProviderSettings: contract.ProviderSettings{BackingProviderName: "AWS", RegionName: "US_EAST_1"},
	}
}

func (s *stack) ctx() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	s.t.Cleanup(cancel)
	return ctx
}

// asked waits until the simulator has got a request of the method.
func (s *stack) asked(method string) {
	s.t.Helper()
	require.Eventually(s.t, func() bool {
		for _, e := range s.sim.Ledger() {
			if e.Method == method {
				return true
			}
		}
		return false
	}, patience, 5*time.Millisecond, "Atlas is not asked: %s", method)
}

// program is a run of the whole worker.
type program struct {
	t    *testing.T
	logs *logs
	url  string // of the health endpoints
	stop context.CancelFunc
	code chan int
}

// run starts the worker and waits until it works.
func (s *stack) run() *program {
	s.t.Helper()
	p := s.begin()
	p.url = "http://" + p.logs.line(s.t, "The health endpoints are served")["address"].(string)
	p.logs.line(s.t, "The worker runs")
	return p
}

// begin starts the worker, which runs until stop is called or the test ends.
func (s *stack) begin() *program {
	s.t.Helper()
	p := &program{t: s.t, logs: &logs{}, code: make(chan int, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	p.stop = cancel
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		p.code <- Run(ctx, nil, s.env, p.logs, p.logs)
	}()
	s.t.Cleanup(func() {
		cancel()
		<-ended
		if s.t.Failed() {
			s.t.Logf("log of the worker:\n%s", p.logs)
		}
	})
	return p
}

// end stops the worker and returns its exit code and how long the stop took.
func (p *program) end() (code int, took time.Duration) {
	begun := time.Now()
	p.stop()
	return <-p.code, time.Since(begun)
}

// get requests a path of the health endpoints and returns status and body.
func (p *program) get(path string) (int, string) {
	p.t.Helper()
	resp, err := http.Get(p.url + path)
	require.NoError(p.t, err)
	defer resp.Body.Close()
	var body bytes.Buffer
	_, err = body.ReadFrom(resp.Body)
	require.NoError(p.t, err)
	return resp.StatusCode, body.String()
}

// logs collects what a worker logs.
type logs struct{ temporaltest.Buffer }

// lines returns the lines so far, without their times.
func (l *logs) lines(t *testing.T) (out []map[string]any) {
	t.Helper()
	for text := range strings.Lines(l.String()) {
		if !strings.HasSuffix(text, "\n") {
			break // it is being written
		}
		var line map[string]any
		require.NoError(t, json.Unmarshal([]byte(text), &line), "%q is no JSON", text)
		_, err := time.Parse(time.RFC3339Nano, line["ts"].(string))
		require.NoError(t, err)
		delete(line, "ts")
		out = append(out, line)
	}
	return out
}

// line waits for a line whose message begins with the text.
func (l *logs) line(t *testing.T, message string) map[string]any {
	t.Helper()
	full := regexp.MustCompile(`"msg":"` + regexp.QuoteMeta(message) + `.*\n`)
	if !assert.Eventually(t, func() bool { return full.MatchString(l.String()) }, patience, 5*time.Millisecond) {
		t.Fatalf("no line %q in the log:\n%s", message, l)
	}
	lines := l.lines(t)
	i := slices.IndexFunc(lines,
		func(line map[string]any) bool { return strings.HasPrefix(line["msg"].(string), message) })
	require.NotEqual(t, -1, i)
	return lines[i]
}

// golden compares a text with a file in testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), got)
}
