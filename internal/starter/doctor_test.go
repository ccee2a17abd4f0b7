package starter

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/serviceerror"
	taskqueuepb "go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/env"
	"github.com/atlas-provisioner/atlas-provisioner/internal/searchattributes"
	"github.com/atlas-provisioner/atlas-provisioner/internal/starter/doctor"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv/testworker"
)

// Where everything is fine the doctor says so of each check, and changes nothing in Atlas.
func TestDoctorFindsNothing(t *testing.T) {
	t.Parallel()
	s := workerWith()(setupWithoutWorker(t, atlassim.Config{}))
	got := s.doctor(asAlways, "--project-id", s.project)
	require.Equal(t, output{stdout: got.stdout}, got)
	testenv.Golden(t, "doctor-finds-nothing.txt", got.stdout)
	require.Equal(t, 1, s.on.Requests(http.MethodGet, "/flexClusters"))
	for _, e := range s.sim.Ledger() {
		require.Equal(t, http.MethodGet, e.Method, "nothing is changed in Atlas")
	}
}

func asAlways(*app) {}

// doctor runs the doctor of a starter that alter has changed.
func (s *stack) doctor(alter func(*app), args ...string) output {
	var stdout, stderr bytes.Buffer
	a := newApp(s.env, strings.NewReader(""), &stdout, &stderr)
	a.doctorLimit = testenv.Patience
	alter(a)
	code := a.run(s.ctx(), append([]string{"doctor"}, args...))
	clean := func(text string) string {
		text = strings.ReplaceAll(s.clean(text), strings.TrimPrefix(s.url, "http://"), "ATLAS")
		text = regexp.MustCompile(`last poll \d+s ago`).ReplaceAllString(text, "last poll Ns ago")
		return regexp.MustCompile(`the Temporal server is \d+\.\d+\.\d+`).ReplaceAllString(text,
			"the Temporal server is VERSION")
	}
	return output{code, clean(stdout.String()), clean(stderr.String())}
}

// with is a stack whose programs have more in their environment.
func (s *stack) with(environ ...string) *stack {
	other := *s
	other.env = append(append([]string{}, s.env...), environ...)
	return &other
}

// payloadKeys is the environment of a program with a payload key.
func payloadKeys(id string) string {
	return "TEMPORAL_PAYLOAD_KEYS=" + id + ":" + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("1"), 32))
}

// fault is something that is wrong before the first run.
type fault struct {
	name string
	sim  atlassim.Config
	// make makes it, and answers the stack on which the doctor runs.
	make func(s *stack) *stack
	// alter changes the starter; nil for nothing.
	alter func(*app)
	// withoutProject runs the doctor without --project-id.
	withoutProject bool
	code           int
	// want are the findings that are neither fine nor skipped.
	want []doctor.Finding
}

// workerWith starts a worker that has more, or something else, in its environment.
func workerWith(environ ...string) func(*stack) *stack {
	return func(s *stack) *stack {
		testworker.StartWithEnv(s.on, append(s.env, environ...))
		s.awaitPollers()
		return s
	}
}

// awaitPollers waits until a worker polls the task queue, for workflows and for activities.
func (s *stack) awaitPollers() {
	s.t.Helper()
	testenv.Eventually(s.t, func() bool {
		return s.polled(enumspb.TASK_QUEUE_TYPE_WORKFLOW) && s.polled(enumspb.TASK_QUEUE_TYPE_ACTIVITY)
	}, "no worker polls")
}

func (s *stack) polled(kind enumspb.TaskQueueType) bool {
	answer, err := s.on.Temporal.WorkflowService().DescribeTaskQueue(s.ctx(), &workflowservice.DescribeTaskQueueRequest{
		Namespace: env.Env(s.env).Get("TEMPORAL_NAMESPACE", "default"),
		TaskQueue: &taskqueuepb.TaskQueue{Name: s.queue}, TaskQueueType: kind,
	})
	return err == nil && len(answer.GetPollers()) > 0
}

// starterWith gives the starter more, or something else, in its environment.
func starterWith(environ ...string) func(*stack) *stack {
	return func(s *stack) *stack { return s.with(environ...) }
}

var faults = []fault{
	{
		name: "Temporal does not run", make: starterWith("TEMPORAL_ADDRESS=127.0.0.1:1"), code: 3,
		want: []doctor.Finding{{
			Check: "temporal", Status: doctor.Failed,
			Message: "Temporal could not be reached at ADDRESS: failed reaching server: connection error: desc = " +
				`"transport: Error while dialing: dial tcp ADDRESS: connect: connection refused"`,
			Next: "start Temporal, or set TEMPORAL_ADDRESS to where it is",
		}},
	},
	{
		name: "another server answers", code: 3,
		make: func(s *stack) *stack {
			other := httptest.NewServer(http.NotFoundHandler())
			s.t.Cleanup(other.Close)
			return s.with("TEMPORAL_ADDRESS=" + other.Listener.Addr().String())
		},
		want: []doctor.Finding{{
			Check: "temporal", Status: doctor.Failed, Message: "what answers at ADDRESS is no Temporal server",
			Next: "set TEMPORAL_ADDRESS to the frontend of Temporal, whose port is 7233 by default",
		}},
	},
	{
		name: "another gRPC server answers", code: 3,
		make: func(s *stack) *stack { return s.grpcServer(codes.Unimplemented, "unknown service") },
		want: []doctor.Finding{{
			Check: "temporal", Status: doctor.Failed, Message: "what answers at ADDRESS is no Temporal server",
			Next: "set TEMPORAL_ADDRESS to the frontend of Temporal, whose port is 7233 by default",
		}},
	},
	{
		name: "Temporal refuses the API key", code: 3,
		make: func(s *stack) *stack { return s.grpcServer(codes.PermissionDenied, "Request unauthorized.") },
		want: []doctor.Finding{{
			Check: "temporal", Status: doctor.Failed,
			Message: "Temporal at ADDRESS refuses this client: failed reaching server: Request unauthorized.",
			Next:    "check TEMPORAL_API_KEY, or the client certificate (TEMPORAL_TLS_CLIENT_CERT_PATH)",
		}},
	},
	{
		name: "Temporal has no TLS", make: starterWith("TEMPORAL_TLS=true"), code: 3,
		want: []doctor.Finding{{
			Check: "temporal", Status: doctor.Failed,
			Message: "Temporal at ADDRESS is not reached by TLS: failed reaching server: connection error: desc = " +
				`"transport: authentication handshake failed: tls: first record does not look like a TLS handshake"`,
			Next: "check TEMPORAL_TLS_SERVER_CA_CERT_PATH, TEMPORAL_TLS_SERVER_NAME and TEMPORAL_TLS",
		}},
	},
	{
		name: "the namespace is missing", make: starterWith("TEMPORAL_NAMESPACE=nowhere"), code: 1,
		want: []doctor.Finding{{
			Check: "namespace", Status: doctor.Failed, Message: `Temporal has no namespace "nowhere"`,
			Next: "set TEMPORAL_NAMESPACE, or run 'temporal operator namespace create --retention 30d " +
				"--namespace nowhere'",
		}},
	},
	{
		name: "search attributes are missing", code: 1,
		make: func(s *stack) *stack { return s.inNamespace() },
		want: []doctor.Finding{{
			Check: "search attributes", Status: doctor.Failed,
			Message: "the namespace lacks AtlasProjectId, AtlasClusterName, AtlasClusterState: runs go on, " +
				"but cannot be found by project, cluster or state",
			Next: "run 'temporal operator search-attribute create --type Keyword --name AtlasProjectId --name " +
				"AtlasClusterName --name AtlasClusterState --namespace doctor-PROJECT', then restart the workers",
		}},
	},
	{
		name: "a search attribute is of another type", code: 1,
		make: func(s *stack) *stack {
			return s.inNamespace(enumspb.INDEXED_VALUE_TYPE_KEYWORD, enumspb.INDEXED_VALUE_TYPE_KEYWORD,
				enumspb.INDEXED_VALUE_TYPE_INT)
		},
		want: []doctor.Finding{{
			Check: "search attributes", Status: doctor.Failed,
			Message: "AtlasClusterState is of type Int and must be Keyword: runs go on, but cannot be found by " +
				"project, cluster or state",
			Next: "run 'temporal operator search-attribute remove --name AtlasClusterState --namespace " +
				"doctor-PROJECT', then 'temporal operator search-attribute create --type Keyword --name " +
				"AtlasClusterState --namespace doctor-PROJECT', then restart the workers",
		}},
	},
	{
		name: "no worker runs", make: func(s *stack) *stack { return s }, code: 1,
		want: []doctor.Finding{noWorker},
	},
	{
		name: "the worker polls another task queue", code: 1,
		make: func(s *stack) *stack {
			workerWith()(s)
			other := s.with("TEMPORAL_TASK_QUEUE=another-" + s.project)
			other.queue = "another-" + s.project
			return other
		},
		want: []doctor.Finding{noWorker},
	},
	{
		name: "the worker takes no activities", code: 1,
		make: func(s *stack) *stack {
			s.otherWorker(worker.Options{LocalActivityWorkerOnly: true})
			testenv.Eventually(s.t, func() bool { return s.polled(enumspb.TASK_QUEUE_TYPE_WORKFLOW) })
			return s
		},
		want: []doctor.Finding{{
			Check: "task queue", Status: doctor.Failed,
			Message: `no worker polls the task queue "QUEUE" for activities`,
			Next:    "start a worker, or let TEMPORAL_TASK_QUEUE name the queue that the workers poll",
		}},
	},
	{
		name: "the worker is another program, or an old one", code: 1,
		make: func(s *stack) *stack {
			s.otherWorker(worker.Options{}).awaitPollers()
			return s
		},
		want: []doctor.Finding{{
			Check: "worker", Status: doctor.Failed,
			Message: "the worker does not know the workflow CheckWorker: it is older than this starter, or no worker " +
				"of atlas-provisioner",
			Next: "update the worker, or let TEMPORAL_TASK_QUEUE name another task queue",
		}},
	},
	{
		name: "the worker has gone a moment ago", code: 1,
		make: func(s *stack) *stack {
			w := testworker.StartWithEnv(s.on, s.env)
			s.awaitPollers()
			w.Stop()
			return s
		},
		alter: func(a *app) { a.doctorLimit = 12 * time.Second },
		want: []doctor.Finding{{
			Check: "worker", Status: doctor.Failed,
			Message: "no worker has answered within 6s: those that poll the task queue are busy or gone",
			Next:    "look at the workers' logs",
		}},
	},
	{
		name: "the worker is of another version", make: workerWith(), alter: func(a *app) { a.version = "v2.0.0" },
		want: []doctor.Finding{{
			Check: "worker", Status: doctor.Warning,
			Message: "HOST (build dev, pid N) answers: version dev, Atlas at ATLAS with its API key; this starter is " +
				"of version v2.0.0",
			Next: "bring both to one version",
		}},
	},
	{
		name: "the worker has no payload key", code: 1,
		make: func(s *stack) *stack {
			workerWith()(s)
			return s.with(payloadKeys("one"))
		},
		want: []doctor.Finding{{
			Check: "payload keys", Status: doctor.Failed,
			Message: `the worker cannot read what this starter sends: a payload is encrypted with the key "one", ` +
				`which the worker lacks`,
			Next: "give the worker the payload keys of this starter (TEMPORAL_PAYLOAD_KEYS), then restart it",
		}},
	},
	{
		name: "the starter has no payload key", make: workerWith(payloadKeys("one")), code: 1,
		want: []doctor.Finding{{
			Check: "payload keys", Status: doctor.Failed,
			Message: `the worker encrypts, and its answer cannot be read here: a payload is encrypted with the key ` +
				`"one", which is not configured: add it to TEMPORAL_PAYLOAD_KEYS or the file that ` +
				`TEMPORAL_PAYLOAD_KEYS_FILE names`,
			Next: "give this starter the payload keys of the worker",
		}},
	},
	{
		name: "the API key is wrong", make: workerWith("MONGODB_ATLAS_PRIVATE_API_KEY=wrong"), code: 1,
		want: atlasFault("API key: Atlas answered 401 UNEXPECTED_ERROR (You are not authorized for this resource.)",
			"check the worker's Atlas credential (MONGODB_ATLAS_…)"),
	},
	{
		name: "the service account is wrong", withoutProject: true, code: 1,
		sim:  atlassim.Config{ClientID: "mdb_sa_id_1", ClientSecret: "right"},
		make: workerWith("MONGODB_ATLAS_CLIENT_SECRET=wrong"),
		want: atlasFault("service account: Atlas answered 401 Unauthorized (invalid_client)",
			"check the worker's Atlas credential (MONGODB_ATLAS_…)"),
	},
	{
		name: "the worker's address is not on the access list", make: workerWith(), code: 1,
		sim: atlassim.Config{Faults: []atlassim.Fault{{
			Kind: atlassim.FaultStatus, Status: 403, ErrorCode: "IP_ADDRESS_NOT_ON_ACCESS_LIST",
		}}},
		want: atlasFault("API key: Atlas answered 403 IP_ADDRESS_NOT_ON_ACCESS_LIST",
			"add the worker's address to the API access list of its key or service account"),
	},
	{
		name: "there is no such project", make: workerWith(), code: 1,
		sim: atlassim.Config{Groups: []string{"32b6e34b3d91647abb20e7b8"}},
		want: atlasFault("API key: Atlas answered 404 GROUP_NOT_FOUND (No group with ID PROJECT exists.)",
			"correct groupId"),
	},
	{
		name: "the credential has no part in the project", make: workerWith(), code: 1,
		sim: atlassim.Config{Faults: []atlassim.Fault{{
			Kind: atlassim.FaultStatus, Status: 401, ErrorCode: "NOT_IN_GROUP",
		}}},
		want: atlasFault("API key: Atlas answered 401 NOT_IN_GROUP",
			"give the worker's key or service account the role Project Owner in this project, or correct groupId"),
	},
	{
		name: "the worker does not reach Atlas", make: workerWith("MONGODB_ATLAS_BASE_URL=http://127.0.0.1:1"), code: 1,
		want: atlasFault("API key: no answer from Atlas to GET /api/atlas/v2/groups/PROJECT/flexClusters (dial tcp "+
			"127.0.0.1:1: connect: connection refused)", "let the worker reach Atlas: check DNS, firewalls, "+
			"HTTPS_PROXY and MONGODB_ATLAS_BASE_URL of the worker"),
	},
	{
		name: "Atlas fails", make: workerWith(), code: 1,
		sim:  atlassim.Config{Faults: []atlassim.Fault{{Kind: atlassim.FaultStatus, Status: 503}}},
		want: atlasFault("API key: Atlas answered 503 UNEXPECTED_ERROR", "try again later"),
	},
	{
		name: "a proxy answers for Atlas", make: workerWith(), code: 1,
		sim: atlassim.Config{Faults: []atlassim.Fault{{Kind: atlassim.FaultHTML, Status: 403}}},
		want: atlasFault("API key: Atlas answered 403 Forbidden",
			"this answer names no errorCode, as those of Atlas do: look for a proxy or firewall between the worker "+
				"and Atlas, and check MONGODB_ATLAS_BASE_URL"),
	},
	{
		name: "the clock is wrong", make: workerWith(),
		alter: func(a *app) { a.now = func() time.Time { return time.Now().Add(-5 * time.Minute) } },
		want: []doctor.Finding{{
			Check: "clock", Status: doctor.Warning, Message: "this machine's clock is 5m0s behind Temporal's",
			Next: "set the clocks by NTP: times in logs and results cannot be compared otherwise",
		}},
	},
}

var noWorker = doctor.Finding{
	Check: "task queue", Status: doctor.Failed, Message: `no worker polls the task queue "QUEUE"`,
	Next: "start a worker, or let TEMPORAL_TASK_QUEUE name the queue that the workers poll",
}

// atlasFault is what is found where Atlas does not do as the worker asks with a kind of credential.
func atlasFault(answer, next string) []doctor.Finding {
	return []doctor.Finding{{
		Check: "atlas", Status: doctor.Failed, Message: "the worker asked with its " + answer, Next: next,
	}}
}

// inNamespace is a stack in a namespace of its own, whose search attributes are of these types.
func (s *stack) inNamespace(types ...enumspb.IndexedValueType) *stack {
	s.t.Helper()
	namespace := "doctor-" + s.project
	c := s.temporal()
	_, err := c.WorkflowService().RegisterNamespace(s.ctx(), &workflowservice.RegisterNamespaceRequest{
		Namespace: namespace, WorkflowExecutionRetentionPeriod: durationpb.New(24 * time.Hour),
	})
	require.NoError(s.t, err)
	attributes := map[string]enumspb.IndexedValueType{}
	for i, t := range types {
		attributes[searchattributes.Names[i]] = t
	}
	testenv.Eventually(s.t, func() bool { // the namespace is known after some time
		if len(attributes) == 0 {
			_, err = c.OperatorService().ListSearchAttributes(s.ctx(),
				&operatorservice.ListSearchAttributesRequest{Namespace: namespace})
			return err == nil
		}
		_, err = c.OperatorService().AddSearchAttributes(s.ctx(),
			&operatorservice.AddSearchAttributesRequest{Namespace: namespace, SearchAttributes: attributes})
		var exists *serviceerror.AlreadyExists
		return err == nil || errors.As(err, &exists)
	})
	out := s.with("TEMPORAL_NAMESPACE=" + namespace)
	return workerWith()(out)
}

// grpcServer starts a server that answers every call with an error.
func (s *stack) grpcServer(code codes.Code, message string) *stack {
	s.t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(s.t, err)
	server := grpc.NewServer(grpc.UnknownServiceHandler(func(any, grpc.ServerStream) error {
		return status.Error(code, message)
	}))
	go func() { _ = server.Serve(listener) }()
	s.t.Cleanup(server.Stop)
	return s.with("TEMPORAL_ADDRESS=" + listener.Addr().String())
}

// otherWorker starts a worker that is none of ours.
func (s *stack) otherWorker(options worker.Options) *stack {
	s.t.Helper()
	w := worker.New(s.temporal(), s.queue, options)
	w.RegisterWorkflowWithOptions(func(workflow.Context) error { return nil },
		workflow.RegisterOptions{Name: "SomethingElse"})
	w.RegisterActivityWithOptions(func(context.Context) error { return nil },
		activity.RegisterOptions{Name: "SomethingElse"})
	require.NoError(s.t, w.Start())
	s.t.Cleanup(w.Stop)
	return s
}

// The doctor finds each fault, says what to do, and nothing else is wrong.
func TestDoctorFindsEachFault(t *testing.T) {
	t.Parallel()
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			on := f.make(setupWithoutWorker(t, f.sim))
			args := []string{"-o", "json"}
			if !f.withoutProject {
				args = append(args, "--project-id", on.project)
			}
			alter := f.alter
			if alter == nil {
				alter = asAlways
			}
			got := on.doctor(alter, args...)
			require.Equal(t, f.code, got.code, "%s%s", got.stdout, got.stderr)
			var answer struct {
				Checks []doctor.Finding `json:"checks"`
			}
			require.NoError(t, json.Unmarshal([]byte(got.stdout), &answer), got.stdout)
			require.Len(t, answer.Checks, 11, "each check has one finding")
			wrong := slices.DeleteFunc(answer.Checks, func(found doctor.Finding) bool {
				return found.Status == doctor.OK || found.Status == doctor.Skipped
			})
			require.Equal(t, f.want, wrong)
			require.Equal(t, map[int]string{0: "", 1: "starter: 1 of 11 checks failed\n",
				3: "starter: Temporal could not be reached\n"}[f.code], got.stderr)
		})
	}
}

// The versions of the server that the doctor takes for tested are those that the documentation names.
func TestTestedServers(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/production.md")
	require.NoError(t, err)
	require.Contains(t, string(page), fmt.Sprintf("Tested with Temporal server %s and %s.", doctor.OldestServer,
		doctor.NewestServer))
}

// An id that is none is refused before anything is dialled, and an interruption ends the checks.
func TestDoctorEndsEarly(t *testing.T) {
	t.Parallel()
	require.Equal(t, output{code: 2, stderr: "starter: --project-id must be the project's id of 24 hexadecimal " +
		"digits (0-9, a-f), got \"x\"\nSee 'starter doctor --help'\n"}, run(nowhere, "doctor", "--project-id", "x"))
	require.Equal(t, output{code: 2, stderr: "starter: --project-id must not be empty\nSee 'starter doctor --help'\n"},
		run(nowhere, "doctor", "--project-id="))
	require.Equal(t, output{code: 2, stderr: "starter: TEMPORAL_TLS must be true or false, got \"yes\"\n"},
		run(append(nowhere, "TEMPORAL_TLS=yes"), "doctor"))

	s := setupWithoutWorker(t, atlassim.Config{})
	silent, err := net.Listen("tcp", "127.0.0.1:0") // it takes connections and says nothing
	require.NoError(t, err)
	defer silent.Close()
	b := s.with("TEMPORAL_ADDRESS=" + silent.Addr().String()).start("doctor")
	b.interrupt()
	require.Equal(t, output{code: 130, stderr: "starter: interrupted before all checks were made\n"}, b.end())
}
