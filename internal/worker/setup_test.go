package worker

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv"
	"github.com/atlas-provisioner/atlas-provisioner/provisioner"
)

func TestMain(m *testing.M) { testenv.Main(m) }

const (
	group = testenv.Project
	// stopBound is how long a worker may take to stop, by the contract.
	stopBound = 10 * time.Second
)

// stack is a simulator and the environment of a worker that uses it, with its own task queue.
type stack struct {
	t      *testing.T
	sim    *atlassim.Server
	env    []string
	on     *testenv.Server
	client *provisioner.Client
	name   string // of the cluster
	queue  string
}

func setup(t *testing.T, sim atlassim.Config, more ...string) *stack {
	t.Helper()
	return setupOn(t, testenv.Shared(), sim, more...)
}

func setupOn(t *testing.T, on *testenv.Server, sim atlassim.Config, more ...string) *stack {
	t.Helper()
	if sim.ClientID == "" && sim.PublicKey == "" && sim.AccessToken == "" {
		sim.AccessToken = "token-of-the-tests"
	}
	name := "t-" + strings.ToLower(rand.Text()[:10])
	e := testenv.NewOn(t, on, t.Name()+"-"+name, sim)
	return &stack{
		t: t, sim: e.Sim, on: on, client: e.Client, name: name, queue: e.TaskQueue,
		env: slices.Concat(e.WorkerEnv(), []string{"WORKER_HTTP_ADDRESS=127.0.0.1:0"}, more),
	}
}

// start starts a provision of a cluster whose name no other test uses.
func (s *stack) start() provisioner.Run {
	s.t.Helper()
	run, err := s.client.Start(s.ctx(), s.request())
	require.NoError(s.t, err)
	return run
}

func (s *stack) request() contract.ProvisionFlexClusterInput { return testenv.Flex(s.name) }

func (s *stack) ctx() context.Context { return testenv.Context(s.t) }

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
	}, testenv.Patience, 5*time.Millisecond, "Atlas is not asked: %s", method)
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
type logs struct{ testenv.Buffer }

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
	if !assert.Eventually(t, func() bool { return full.MatchString(l.String()) }, testenv.Patience,
		5*time.Millisecond) {
		t.Fatalf("no line %q in the log:\n%s", message, l)
	}
	lines := l.lines(t)
	i := slices.IndexFunc(lines,
		func(line map[string]any) bool { return strings.HasPrefix(line["msg"].(string), message) })
	require.NotEqual(t, -1, i)
	return lines[i]
}
