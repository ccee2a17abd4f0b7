package testenv

import (
	"context"
	"fmt"
	"hash/fnv"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/client"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim/atlassimtest"
	"github.com/atlas-provisioner/atlas-provisioner/provisioner"
)

// Project is the Atlas project of the tests that need none of their own.
const Project = "32b6e34b3d91647abb20e7b8"

// The API key that the simulator knows unless its configuration names another credential.
const (
	PublicKey  = "public-key-of-the-tests"
	PrivateKey = "9b1d3c6e-private-key-of-the-tests"
)

// Stack is a simulator, and a task queue that no other test uses.
type Stack struct {
	Sim       *atlassim.Server
	URL       string // of the simulator
	TaskQueue string
	Server    *Server
	// Temporal is a client of the server.
	Temporal client.Client
	// Client starts and follows runs on the task queue.
	Client *provisioner.Client

	config atlassim.Config
	t      TB
}

// New starts a simulator whose creates and upgrades are quick unless its configuration says how long they take, and
// that knows one credential.
func New(t TB, sim atlassim.Config) *Stack {
	t.Helper()
	return NewOn(t, Shared(), t.Name(), sim)
}

// NewOn is New with a server and a task queue of the caller's choice.
func NewOn(t TB, server *Server, taskQueue string, sim atlassim.Config) *Stack {
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
	if sim.ClientID == "" && sim.AccessToken == "" && sim.PublicKey == "" {
		sim.PublicKey, sim.PrivateKey = PublicKey, PrivateKey
	}
	s := &Stack{t: t, config: sim, TaskQueue: taskQueue, Server: server, Temporal: server.Client()}
	s.Sim, s.URL = atlassimtest.Start(t, sim)
	s.Client = provisioner.New(s.Temporal, provisioner.Options{TaskQueue: taskQueue})
	return s
}

// TB is the test of the stack.
func (s *Stack) TB() TB { return s.t }

// Context returns a context that ends with the patience of the tests, or with the test.
func (s *Stack) Context() context.Context { return Context(s.t) }

// TemporalEnv is the environment of a program that reaches Temporal as this stack does.
func (s *Stack) TemporalEnv() []string {
	return []string{
		"TEMPORAL_ADDRESS=" + s.Server.Address(),
		"TEMPORAL_CONFIG_FILE=" + os.DevNull,
		"TEMPORAL_TASK_QUEUE=" + s.TaskQueue,
	}
}

// WorkerEnv is the environment of a worker of this stack: Temporal, the simulator, and the simulator's credential.
func (s *Stack) WorkerEnv() []string {
	env := append(s.TemporalEnv(), "MONGODB_ATLAS_BASE_URL="+s.URL)
	switch {
	case s.config.AccessToken != "":
		return append(env, "MONGODB_ATLAS_ACCESS_TOKEN="+s.config.AccessToken)
	case s.config.ClientID != "":
		return append(
			env,
			"MONGODB_ATLAS_CLIENT_ID="+s.config.ClientID,
			"MONGODB_ATLAS_CLIENT_SECRET="+s.config.ClientSecret,
		)
	default:
		return append(env,
			"MONGODB_ATLAS_PUBLIC_API_KEY="+s.config.PublicKey, "MONGODB_ATLAS_PRIVATE_API_KEY="+s.config.PrivateKey)
	}
}

// Requests counts the requests with a valid credential, a method, and a path that ends in suffix.
func (s *Stack) Requests(method, suffix string) int {
	n := 0
	for _, e := range s.Sim.Ledger() {
		if e.Method == method && strings.HasSuffix(e.Path, suffix) && e.Authenticated {
			n++
		}
	}
	return n
}

// AwaitRequests waits until there have been n such requests.
func (s *Stack) AwaitRequests(n int, method, suffix string) {
	s.t.Helper()
	Eventually(
		s.t,
		func() bool { return s.Requests(method, suffix) >= n },
		"there are no %d requests %s …%s",
		n,
		method,
		suffix,
	)
}

// History returns the events of a run.
func (s *Stack) History(run provisioner.Run) []*historypb.HistoryEvent {
	s.t.Helper()
	var out []*historypb.HistoryEvent
	events := s.Temporal.GetWorkflowHistory(
		s.Context(),
		run.WorkflowID,
		run.RunID,
		false,
		enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT,
	)
	for events.HasNext() {
		e, err := events.Next()
		require.NoError(s.t, err)
		out = append(out, e)
	}
	return out
}

// HistoryJSON returns the history of a run as the Temporal CLI writes it.
func (s *Stack) HistoryJSON(run provisioner.Run) []byte {
	s.t.Helper()
	out, err := exec.Command(s.Server.CLI, "workflow", "show", "--address", s.Server.Address(),
		"--workflow-id", run.WorkflowID, "--run-id", run.RunID, "--output", "json").Output()
	require.NoError(s.t, err)
	return out
}

// ClusterName returns a name that is the test's own, and the same each time that the test runs.
func ClusterName(t TB) string {
	h := fnv.New32()
	_, _ = h.Write([]byte(t.Name()))
	return fmt.Sprintf("t-%08x", h.Sum32())
}

// Flex is a request for a Flex cluster with a tag.
func Flex(name string) contract.ProvisionFlexClusterInput {
	return contract.ProvisionFlexClusterInput{
		GroupID: Project, Name: name,
		ProviderSettings: contract.ProviderSettings{BackingProviderName: "AWS", RegionName: "US_EAST_1"},
		Tags:             []contract.Tag{{Key: "team", Value: "orders"}},
	}
}

// Serverless is a request for the upgrade of a cluster.
func Serverless(name string) contract.UpgradeToServerlessInput {
	return contract.UpgradeToServerlessInput{
		GroupID: Project, Name: name,
		ProviderSettings: contract.ProviderSettings{BackingProviderName: "AWS", RegionName: "US_EAST_1"},
	}
}

// Failure returns the failure that an error is.
func Failure(t TB, err error) *provisioner.Failure {
	t.Helper()
	var failure *provisioner.Failure
	require.ErrorAs(t, err, &failure)
	return failure
}
