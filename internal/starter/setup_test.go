package starter

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/env"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv/testworker"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// nowhere is an environment in which every contact with Temporal fails.
var nowhere = []string{"TEMPORAL_ADDRESS=127.0.0.1:1", "TEMPORAL_CONFIG_FILE=" + os.DevNull}

// output is what a run of the program left behind.
type output struct {
	code           int
	stdout, stderr string
}

// run runs the program to its end.
func run(environ []string, args ...string) output { return runWith("", environ, args...) }

// runWith is run with something on standard input.
func runWith(stdin string, environ []string, args ...string) output {
	var stdout, stderr bytes.Buffer
	ctx, cancel := context.WithTimeout(context.Background(), testenv.Patience)
	defer cancel()
	code := Run(ctx, args, environ, strings.NewReader(stdin), &stdout, &stderr)
	return output{code, stdout.String(), stderr.String()}
}

// stack is a simulator, a task queue of its own with or without a worker, and
// an Atlas project that no other test has: workflow ids and lists are its own.
type stack struct {
	t       *testing.T
	env     []string
	sim     *atlassim.Server
	url     string
	project string
	queue   string
	on      *testenv.Stack
}

// setup starts a simulator and a worker.
func setup(t *testing.T, sim atlassim.Config) *stack {
	t.Helper()
	s := setupWithoutWorker(t, sim)
	s.startWorker()
	return s
}

func setupWithoutWorker(t *testing.T, sim atlassim.Config) *stack {
	t.Helper()
	return setupOn(t, testenv.Shared(), sim)
}

// setupHeld starts a simulator whose cluster "orders" stays CREATING until it
// is let go.
func setupHeld(t *testing.T, hook func(atlassim.Stage, atlassim.Entry)) (s *stack, letGo func()) {
	t.Helper()
	s = setupWithoutWorker(t, atlassim.Config{Hook: func(stage atlassim.Stage, e atlassim.Entry) {
		hook(stage, e)
		if stage == atlassim.Applied && e.Effect == atlassim.Created {
			_ = s.sim.SetState(s.project, "orders", "CREATING")
		}
	}})
	return s, func() { require.NoError(t, s.sim.SetState(s.project, "orders", "")) }
}

func setupOn(t *testing.T, on *testenv.Server, sim atlassim.Config) *stack {
	t.Helper()
	project := make([]byte, 12)
	_, _ = rand.Read(project)
	s := &stack{t: t, project: hex.EncodeToString(project)}
	s.on = testenv.NewOn(t, on, t.Name()+"-"+s.project, sim)
	s.env, s.sim, s.url, s.queue = s.on.TemporalEnv(), s.on.Sim, s.on.URL, s.on.TaskQueue
	return s
}

// startWorker starts a worker that runs until the test ends, or stop is called. It looks often, but otherwise has the
// pace of production.
func (s *stack) startWorker() (stop func()) {
	s.t.Helper()
	return testworker.StartWithEnv(s.on, s.env, testworker.WithPaceOfProduction()).Stop
}

// setupQuick is setup with a worker that sees in a second what takes minutes, such as that a cluster is missing.
func setupQuick(t *testing.T) *stack {
	t.Helper()
	s := setupWithoutWorker(t, atlassim.Config{})
	testworker.StartWithEnv(s.on, s.env)
	return s
}

// run runs the program to its end, with ids, times and addresses replaced.
func (s *stack) run(args ...string) output { return s.runWith("", args...) }

func (s *stack) runWith(stdin string, args ...string) output {
	out := runWith(stdin, s.env, args...)
	return output{out.code, s.clean(out.stdout), s.clean(out.stderr)}
}

// flags are those that the two workflows require, and more.
func (s *stack) flags(command string, more ...string) []string {
	return append(
		[]string{command, "--project-id", s.project, "--name", "orders", "--provider", "AWS", "--region", "US_EAST_1"},
		more...)
}

// clusterID is the workflow id of whatever is asked for the cluster "orders".
func (s *stack) clusterID() string { return contract.ClusterWorkflowID(s.project, "orders") }

// temporal is a client of its own, for what the program cannot do.
func (s *stack) temporal() client.Client {
	s.t.Helper()
	options, err := env.Env(s.env).TemporalOptions()
	require.NoError(s.t, err)
	options.Logger = testenv.Quiet()
	c, err := client.DialContext(s.ctx(), options)
	require.NoError(s.t, err)
	s.t.Cleanup(c.Close)
	return c
}

func (s *stack) ctx() context.Context { return testenv.Context(s.t) }

// placeholders, in order.
var placeholders = []struct {
	pattern *regexp.Regexp
	with    string
}{
	{regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`), "RUN"},
	{regexp.MustCompile(`\d{4}-\d{2}-\d{2}T[0-9:.]+Z`), "TIME"},
	{regexp.MustCompile(`  \d+s +`), "  Ns  "},
	{regexp.MustCompile(` in [0-9hms]+\n`), " in N\n"},
	{regexp.MustCompile(`[0-9a-f]{7}\.atlas-sim\.invalid`), "SIM"},
	{regexp.MustCompile(`mongodb://[^"]*`), "mongodb://STANDARD"},
	{regexp.MustCompile(`\b[0-9a-f]{24}\b`), "ID"},
	{regexp.MustCompile(`MongoDB [0-9.]+`), "MongoDB VERSION"},
	{regexp.MustCompile(`"mongoDBVersion": "[0-9.]+"`), `"mongoDBVersion": "VERSION"`},
	{regexp.MustCompile(`, \d+s`), ", Ns"},
	{regexp.MustCompile(`"seconds": \d+`), `"seconds": N`},
	{regexp.MustCompile(`[^\s"]+ \(build dev, pid \d+\)`), "HOST (build dev, pid N)"},
}

// clean puts placeholders in place of what differs from run to run.
func (s *stack) clean(text string) string {
	address, _ := env.Env(s.env).LookupEnv("TEMPORAL_ADDRESS")
	text = strings.NewReplacer(s.queue, "QUEUE", s.project, "PROJECT", address, "ADDRESS").Replace(text)
	for _, p := range placeholders {
		text = p.pattern.ReplaceAllString(text, p.with)
	}
	return text
}

// waitingForAWorker is a line of progress while no worker polls the task queue.
const waitingForAWorker = `waiting for a worker, Ns: no worker polls the task queue "QUEUE": start one, or let ` +
	`TEMPORAL_TASK_QUEUE name the queue that the workers poll`

// background is a run of the program that is under way.
type background struct {
	s              *stack
	stdout, stderr stream
	interrupt      context.CancelFunc
	code           chan int
}

// start begins a run of the program.
func (s *stack) start(args ...string) *background {
	b := &background{s: s, code: make(chan int, 1)}
	ctx, cancel := context.WithTimeout(context.Background(), testenv.Patience)
	b.interrupt = cancel
	s.t.Cleanup(cancel)
	go func() { b.code <- Run(ctx, args, s.env, strings.NewReader(""), &b.stdout, &b.stderr) }()
	return b
}

// sees waits until the program has written a line to standard error.
func (b *background) sees(line string) {
	b.s.t.Helper()
	require.Eventually(b.s.t, func() bool {
		return strings.Contains(b.s.clean(b.stderr.String()), line+"\n")
	}, testenv.Patience, 10*time.Millisecond, "%s", line)
}

// end waits for the end of the program.
func (b *background) end() output {
	b.s.t.Helper()
	code := <-b.code
	return output{code, b.s.clean(b.stdout.String()), b.s.clean(b.stderr.String())}
}

// stream is what a command that runs has written so far.
type stream = testenv.Buffer

// progress takes the lines of progress out of what went to standard error, and
// holds each against the form that they have.
func (s *stack) progress(stderr string) (lines []string, rest string) {
	s.t.Helper()
	form := regexp.MustCompile(
		`^(waiting for a worker, Ns(: no worker .+)?|held up, Ns: .+|` +
			`(asking Atlas to [a-zA-Z ]+|waiting until [a-zA-Z ]+|finding out whose the cluster is|` +
			`[A-Z]+(, not yet as asked)?), Ns, ` +
			`attempt \d+(: .+)?)$`,
	)
	for line := range strings.Lines(stderr) {
		if form.MatchString(strings.TrimSuffix(line, "\n")) {
			lines = append(lines, line)
		} else {
			rest += line
		}
	}
	return lines, rest
}
