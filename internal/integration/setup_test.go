// Package integration tests the whole: workflows and activities in a worker, on
// a real Temporal dev server, over real HTTP against the simulator.
package integration

import (
	"context"
	"flag"
	"fmt"
	"hash/fnv"
	"io"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/client"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/atlas-provisioner/atlas-provisioner/activities"
	"github.com/atlas-provisioner/atlas-provisioner/atlasclient"
	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim/atlassimtest"
	"github.com/atlas-provisioner/atlas-provisioner/internal/temporaltest"
	"github.com/atlas-provisioner/atlas-provisioner/internal/worker"
	"github.com/atlas-provisioner/atlas-provisioner/provisioner"
)

// record writes the histories that the replay test of package workflows reads:
//
//	go test ./internal/integration -record
var record = flag.Bool("record", false, "write the histories of these tests to workflows/testdata")

var server *temporaltest.Server

func TestMain(m *testing.M) {
	flag.Parse()
	temporaltest.Main(m, &server)
}

const (
	group      = "32b6e34b3d91647abb20e7b8"
	publicKey  = "integration"
	privateKey = "9b1d3c6e-private-key-of-the-tests"
)

// patience bounds what a test waits for. It is far beyond what is needed: no
// test passes or fails by speed.
const patience = 2 * time.Minute

// quick is a pace at which a test sees in a second what takes minutes.
var quick = activities.Pace{
	Fast: time.Second, FastEvery: 50 * time.Millisecond,
	SlowMin: 200 * time.Millisecond, SlowMax: 400 * time.Millisecond,
	NotFoundFor: time.Second, StandardFor: time.Second, SettleFor: time.Second,
}

// stack is a simulator and a worker that is set on it, with a task queue of
// their own.
type stack struct {
	t        *testing.T
	sim      *atlassim.Server
	url      string
	queue    string
	client   *provisioner.Client
	temporal client.Client
	logs     *logs
	stop     func() // stops the worker, and waits for it
	address  string // of Temporal
	last     provisioner.Run
}

type option func(*worker.Config)

func withPace(p activities.Pace) option { return func(c *worker.Config) { c.Pace = p } }
func withRequestTimeout(d time.Duration) option {
	return func(c *worker.Config) { c.RequestTimeout = d }
}
func withBaseURL(url string) option         { return func(c *worker.Config) { c.BaseURL = url } }
func withAuth(auth atlasclient.Auth) option { return func(c *worker.Config) { c.Auth = auth } }

// setup starts a simulator, and a worker with a quick pace unless told
// otherwise.
func setup(t *testing.T, sim atlassim.Config, options ...option) *stack {
	t.Helper()
	s := setupWithoutWorker(t, sim)
	s.startWorker(options...)
	return s
}

func setupWithoutWorker(t *testing.T, sim atlassim.Config) *stack {
	t.Helper()
	if sim.CreateFor == 0 {
		sim.CreateFor = atlassim.Duration(100 * time.Millisecond)
	}
	if sim.UpgradeFor == 0 {
		sim.UpgradeFor = atlassim.Duration(200 * time.Millisecond)
	}
	if sim.TokenTTL == 0 {
		sim.TokenTTL = atlassim.Duration(time.Hour)
	}
	if sim.ClientID == "" && sim.AccessToken == "" {
		sim.PublicKey, sim.PrivateKey = publicKey, privateKey
	}
	s := &stack{t: t, queue: t.Name(), temporal: server.Client(), address: server.FrontendHostPort(), logs: &logs{}, stop: func() {}}
	s.sim, s.url = atlassimtest.Start(t, sim)
	s.client = provisioner.New(s.temporal, provisioner.Options{TaskQueue: s.queue})
	return s
}

func (s *stack) startWorker(options ...option) {
	s.t.Helper()
	config := worker.Config{
		Temporal:  client.Options{HostPort: s.address, Namespace: "default"},
		TaskQueue: s.queue, BaseURL: s.url, Pace: quick,
		Auth: atlasclient.APIKey{PublicKey: publicKey, PrivateKey: privateKey},
	}
	for _, o := range options {
		o(&config)
	}
	logger := zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.AddSync(s.logs), zapcore.DebugLevel))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- worker.Serve(ctx, config, logger) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			s.t.Errorf("the worker failed: %v", err)
		}
	})
	s.stop = stop
	s.t.Cleanup(func() {
		stop()
		if s.t.Failed() {
			s.t.Logf("log of the worker:\n%s", s.logs)
		}
	})
}

// logs collects what a worker logs.
type logs = temporaltest.Buffer

// flex is a request for a Flex cluster whose name, and so whose workflow id, is
// the test's own.
func flex(t *testing.T) contract.ProvisionFlexClusterInput {
	return contract.ProvisionFlexClusterInput{
		GroupID: group, Name: clusterName(t),
		ProviderSettings: contract.ProviderSettings{BackingProviderName: "AWS", RegionName: "US_EAST_1"},
		Tags:             []contract.Tag{{Key: "team", Value: "orders"}},
	}
}

// serverless is a request for an upgrade.
func serverless(t *testing.T) contract.UpgradeToServerlessInput {
	return contract.UpgradeToServerlessInput{
		GroupID: group, Name: clusterName(t),
		ProviderSettings: contract.ProviderSettings{BackingProviderName: "AWS", RegionName: "US_EAST_1"},
	}
}

func clusterName(t *testing.T) string {
	h := fnv.New32()
	_, _ = h.Write([]byte(t.Name()))
	return fmt.Sprintf("t-%08x", h.Sum32())
}

// theirs is the cluster of a request as the simulator takes it from somebody
// else.
func theirs(in contract.ProvisionFlexClusterInput, tags ...atlassim.Tag) atlassim.FlexRequest {
	for _, t := range in.Tags {
		tags = append(tags, atlassim.Tag(t))
	}
	return atlassim.FlexRequest{
		Name: in.Name,
		ProviderSettings: atlassim.FlexProvider{
			BackingProviderName: in.ProviderSettings.BackingProviderName, RegionName: in.ProviderSettings.RegionName,
		},
		Tags: tags, TerminationProtectionEnabled: in.TerminationProtectionEnabled,
	}
}

func (s *stack) ctx() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	s.t.Cleanup(cancel)
	return ctx
}

// provision runs a request to its end.
func (s *stack) provision(in contract.ProvisionFlexClusterInput) (contract.Cluster, error) {
	s.t.Helper()
	run, err := s.client.Start(s.ctx(), in)
	require.NoError(s.t, err)
	return s.result(run)
}

// upgrade runs an upgrade to its end.
func (s *stack) upgrade(in contract.UpgradeToServerlessInput) (contract.Cluster, error) {
	s.t.Helper()
	run, err := s.client.Start(s.ctx(), in)
	require.NoError(s.t, err)
	return s.result(run)
}

// result waits for the end of a run, whose history has 20 events at most
// whatever happened.
func (s *stack) result(run provisioner.Run) (contract.Cluster, error) {
	s.t.Helper()
	cluster, err := s.client.Result(s.ctx(), run.WorkflowID, run.RunID)
	require.NoError(s.t, s.ctx().Err())
	events := s.history(run)
	require.LessOrEqual(s.t, len(events), 20, "history events")
	s.last = run
	return cluster, err
}

func (s *stack) history(run provisioner.Run) []*historypb.HistoryEvent {
	s.t.Helper()
	var out []*historypb.HistoryEvent
	i := s.temporal.GetWorkflowHistory(s.ctx(), run.WorkflowID, run.RunID, false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for i.HasNext() {
		e, err := i.Next()
		require.NoError(s.t, err)
		out = append(out, e)
	}
	return out
}

// record keeps the history of the run that ended last, as the Temporal CLI
// writes it, under -record.
func (s *stack) record(name string) {
	s.t.Helper()
	if *record {
		require.NoError(s.t, os.WriteFile(filepath.Join("..", "..", "workflows", "testdata", name+".json"), s.show(s.last), 0o644))
	}
}

// show is the history of a run as the Temporal CLI writes it.
func (s *stack) show(run provisioner.Run) []byte {
	s.t.Helper()
	out, err := exec.Command(server.CLI, "workflow", "show", "--address", s.address,
		"--workflow-id", run.WorkflowID, "--run-id", run.RunID, "--output", "json").Output()
	require.NoError(s.t, err)
	return out
}

// requests counts the requests with a method and a path that ends so.
func (s *stack) requests(method, suffix string) int {
	n := 0
	for _, e := range s.sim.Ledger() {
		if e.Method == method && strings.HasSuffix(e.Path, suffix) && e.Authenticated {
			n++
		}
	}
	return n
}

// failure takes an error apart.
func failure(t *testing.T, err error) *provisioner.Failure {
	t.Helper()
	var f *provisioner.Failure
	require.ErrorAs(t, err, &f)
	return f
}

func ptr[T any](v T) *T { return &v }

// named puts the name of a cluster into a pattern.
func named(pattern, name string) string { return strings.ReplaceAll(pattern, "NAME", name) }

var discardLog = log.New(io.Discard, "", 0)
