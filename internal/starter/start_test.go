package starter

import (
	"context"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/env"
)

const (
	webUILink = "http://localhost:8233/namespaces/default/workflows/atlas-cluster-PROJECT-orders/RUN/history"

	// created is what standard output has of a cluster that a run has made.
	created = `Cluster    orders (FLEX, MongoDB VERSION) is IDLE: CREATED
Connect    mongodb+srv://orders.SIM
Where      AWS US_EAST_1
Id         ID
Workflow   atlas-cluster-PROJECT-orders
Web UI     ` + webUILink + "\n"

	createdJSON = `{
  "workflowId": "atlas-cluster-PROJECT-orders",
  "runId": "RUN",
  "status": "COMPLETED",
  "result": {
    "id": "ID",
    "groupId": "PROJECT",
    "name": "orders",
    "clusterType": "FLEX",
    "stateName": "IDLE",
    "mongoDBVersion": "VERSION",
    "createDate": "TIME",
    "connectionStrings": {
      "standard": "mongodb://STANDARD",
      "standardSrv": "mongodb+srv://orders.SIM"
    },
    "providerSettings": {
      "providerName": "FLEX",
      "backingProviderName": "AWS",
      "regionName": "US_EAST_1",
      "diskSizeGB": 5
    },
    "tags": [
      {
        "key": "atlas-provisioner-workflow",
        "value": "atlas-cluster-PROJECT-orders"
      }
    ],
    "terminationProtectionEnabled": false,
    "outcome": "CREATED",
    "warnings": []
  }
}
`
	runningJSON = `{
  "workflowId": "atlas-cluster-PROJECT-orders",
  "runId": "RUN",
  "status": "RUNNING"
}
`
)

// started is what standard output has of a start without --wait.
func started(verb, link string) string {
	return verb + " workflow atlas-cluster-PROJECT-orders\nRun        RUN\nWeb UI     " + link +
		"\nFollow it with: starter watch atlas-cluster-PROJECT-orders\n"
}

// Without --wait a start answers at once, whether there is a worker or not, and
// a second one joins the first.
func TestStart(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"provision-flex", "upgrade-to-serverless"} {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			s := setupWithoutWorker(t, atlassim.Config{})
			args := s.flags(command)
			require.Equal(t, output{stdout: started("Started", webUILink)}, s.run(args...))
			require.Equal(t, output{stdout: started("Joined", webUILink)}, s.run(args...))
			// The time limit is no part of what makes two requests the same.
			require.Equal(t, output{stdout: started("Joined", webUILink)}, s.run(append(args, "--timeout", "17m")...))
			require.Equal(t, output{stdout: runningJSON}, s.run(append(args, "-o", "json")...))
			require.Empty(t, s.sim.Ledger())
		})
	}
}

func TestWait(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		flags []string
		want  string
	}{
		{"text", nil, created},
		{"json", []string{"-o", "json"}, createdJSON},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := setup(t, atlassim.Config{})
			args := append(s.flags("provision-flex", "--wait"), test.flags...)
			out := s.run(args...)
			require.Equal(t, 0, out.code)
			require.Equal(t, test.want, out.stdout)
			_, rest := s.progress(out.stderr)
			require.Equal(t, "Following atlas-cluster-PROJECT-orders\n", rest)
			require.Equal(t, 1, s.sim.Count(atlassim.Created))

			// Once more: the cluster is there.
			out = s.run(args...)
			require.Equal(t, 0, out.code)
			require.Equal(t, strings.Replace(test.want, "CREATED", "UNCHANGED", 1), out.stdout)
			_, rest = s.progress(out.stderr)
			require.Equal(t, "Following atlas-cluster-PROJECT-orders\n", rest, "a new run, which joins nothing")
			require.Equal(t, 1, s.sim.Count(atlassim.Created))
		})
	}
}

// Warnings, which an upgrade always has, are a row each.
func TestWaitForAnUpgrade(t *testing.T) {
	t.Parallel()
	s := setup(t, atlassim.Config{})
	s.sim.SeedShared(atlassim.SharedCluster{GroupID: s.project, Name: "orders"})
	out := s.run(s.flags("upgrade-to-serverless", "--wait")...)
	require.Equal(t, 0, out.code, out.stderr)
	require.Equal(t, `Cluster    orders (SERVERLESS, MongoDB VERSION) is IDLE: UPGRADED
Connect    mongodb+srv://orders.SIM
Where      AWS US_EAST_1
Id         ID
Workflow   atlas-cluster-PROJECT-orders
Web UI     `+webUILink+`
Warning    Atlas says of POST /api/atlas/v2/groups/PROJECT/clusters/tenantUpgradeToServerless (version `+
		`2023-01-01): Deprecation Wed, 5 Feb 2025 00:00:00 GMT, Sunset Wed, 5 Feb 2025 00:00:00 GMT
Warning    Atlas says of GET /api/atlas/v2/groups/PROJECT/serverless/orders (version 2023-01-01): Deprecation `+
		`Wed, 5 Feb 2025 00:00:00 GMT, Sunset Mon, 18 Jan 2027 00:00:00 GMT
`, out.stdout)
	_, rest := s.progress(out.stderr)
	require.Equal(t, "Following atlas-cluster-PROJECT-orders\n", rest)
}

// Progress tells each thing that happens, from the lack of a worker on.
func TestProgress(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	s, letGo := setupHeld(t, func(stage atlassim.Stage, e atlassim.Entry) {
		if stage == atlassim.Arrived && e.Method == http.MethodPost {
			<-release
		}
	})
	answer := sync.OnceFunc(func() { close(release) })
	t.Cleanup(answer)

	first := s.start(s.flags("provision-flex", "--wait")...)
	first.sees("Following atlas-cluster-PROJECT-orders\n" + waitingForAWorker)
	second := s.start(s.flags("provision-flex", "--wait", "-o", "json")...)
	second.sees("Joined atlas-cluster-PROJECT-orders\n" + waitingForAWorker)
	s.startWorker()
	first.sees("asking Atlas to create the Flex cluster, Ns, attempt 1")
	answer()
	first.sees("CREATING, Ns, attempt 1")
	second.sees("CREATING, Ns, attempt 1")
	letGo()

	out := first.end()
	require.Equal(t, 0, out.code)
	require.Equal(t, created, out.stdout)
	lines, rest := s.progress(out.stderr)
	require.Equal(t, "Following atlas-cluster-PROJECT-orders\n", rest)
	for i := 1; i < len(lines); i++ {
		require.NotEqual(t, lines[i-1], lines[i], "a line is printed when something changes")
	}

	out = second.end()
	require.Equal(t, 0, out.code)
	require.Equal(t, createdJSON, out.stdout)
	_, rest = s.progress(out.stderr)
	require.Equal(t, "Joined atlas-cluster-PROJECT-orders\n", rest)
	require.Equal(t, 1, s.sim.Count(atlassim.Created))
}

// What holds a run up is part of its progress.
func TestProgressOfWhatIsRetried(t *testing.T) {
	t.Parallel()
	s := setup(
		t,
		atlassim.Config{
			Faults: []atlassim.Fault{{Kind: atlassim.FaultHTML, Status: 503, RetryAfter: "3600", Method: "POST"}},
		},
	)
	const held = `asking Atlas to create the Flex cluster, Ns, attempt 2: cluster "orders": Atlas answered 503 ` +
		`Service Unavailable: trying again after 1h0m0s, as Atlas asks`
	b := s.start(s.flags("provision-flex", "--wait", "--timeout", "2h")...)
	b.sees(held)
	b.interrupt()
	require.Equal(t, 130, b.end().code)

	require.Equal(
		t,
		output{
			stdout: "Workflow   atlas-cluster-PROJECT-orders\nRun        RUN\nStatus     RUNNING, " +
				"" + held + "\nNext look  in N\n" + workerLine + "Web UI     " + webUILink + "\n",
		},
		s.run("status", s.clusterID()),
	)
	require.Equal(t, output{stdout: `{
  "workflowId": "atlas-cluster-PROJECT-orders",
  "runId": "RUN",
  "status": "RUNNING",
  "progress": {
    "activity": "CreateFlexCluster",
    "attempt": 2,
    "worker": "HOST (build dev, pid N)",
    "seconds": N,
    "nextLook": "TIME",
    "lastFailure": "cluster \"orders\": Atlas answered 503 Service Unavailable: trying again after 1h0m0s, as ` +
		`Atlas asks"
  }
}
`}, s.run("status", s.clusterID(), "-o", "json"))
}

// A different request for a cluster that is being made is refused, and what
// runs is left alone.
func TestRequestConflict(t *testing.T) {
	t.Parallel()
	s := setupWithoutWorker(t, atlassim.Config{})
	require.Equal(t, 0, s.run(s.flags("provision-flex")...).code)
	const complaint = `starter: REQUEST_CONFLICT: a different request runs under workflow id ` +
		`"atlas-cluster-PROJECT-orders" (ProvisionFlexCluster): tags.team is none, requested "x"; ` +
		`terminationProtectionEnabled is "false", requested "true". It was left alone: wait for its end, cancel ` +
		`it, or ask for the same` + "\n"
	other := s.flags("provision-flex", "--tag", "team=x", "--termination-protection")
	require.Equal(t, output{code: 2, stderr: complaint}, s.run(other...))
	require.Equal(t, output{code: 2, stderr: complaint}, s.run(append(other, "--wait")...))
	require.Equal(t, output{code: 2, stderr: complaint, stdout: `{
  "workflowId": "atlas-cluster-PROJECT-orders",
  "runId": "RUN",
  "status": "RUNNING",
  "failure": {
    "type": "REQUEST_CONFLICT",
    "message": "a different request runs under workflow id \"atlas-cluster-PROJECT-orders\" ` +
		`(ProvisionFlexCluster): tags.team is none, requested \"x\"; terminationProtectionEnabled is \"false\", ` +
		`requested \"true\". It was left alone: wait for its end, cancel it, or ask for the same",
    "details": {
      "status": 0,
      "errorCode": "",
      "reason": "",
      "detail": "",
      "method": "",
      "path": "",
      "differences": [
        {
          "field": "tags.team",
          "requested": "\"x\"",
          "existing": "none"
        },
        {
          "field": "terminationProtectionEnabled",
          "requested": "\"true\"",
          "existing": "\"false\""
        }
      ]
    }
  }
}
`}, s.run(append(other, "--wait", "-o", "json")...))

	s.startWorker()
	require.Equal(t, output{stdout: created}, s.run("result", s.clusterID()))
	require.Equal(t, 1, s.sim.Count(atlassim.Created))
}

// A workflow that fails is told by type and message, and to programs with all
// that Atlas said.
func TestFailure(t *testing.T) {
	t.Parallel()
	const (
		message = `cluster "orders": Atlas answered 402 NO_PAYMENT_INFORMATION_FOUND (No payment information was ` +
			`found.): add a payment method to the organization, then start the workflow again`
		complaint = "Web UI     " + webUILink + "\nstarter: NO_PAYMENT_INFORMATION_FOUND: " + message + "\n"
	)
	s := setup(
		t,
		atlassim.Config{
			Faults: []atlassim.Fault{
				{Kind: atlassim.FaultStatus, Status: 402, ErrorCode: "NO_PAYMENT_INFORMATION_FOUND",
					Reason: "Payment Required", Detail: "No payment information was " +
						"found.", Parameters: []any{"a", "b"}},
			},
		},
	)
	failed := `{
  "workflowId": "atlas-cluster-PROJECT-orders",
  "runId": "RUN",
  "status": "FAILED",
  "failure": {
    "type": "NO_PAYMENT_INFORMATION_FOUND",
    "message": "` + strings.ReplaceAll(message, `"`, `\"`) + `",
    "details": {
      "status": 402,
      "errorCode": "NO_PAYMENT_INFORMATION_FOUND",
      "reason": "Payment Required",
      "detail": "No payment information was found.",
      "method": "POST",
      "path": "/api/atlas/v2/groups/PROJECT/flexClusters",
      "parameters": [
        "a",
        "b"
      ]
    }
  }
}
`
	for _, test := range []struct {
		flags  []string
		stdout string
	}{{nil, ""}, {[]string{"-o", "json"}, failed}} {
		out := s.run(append(s.flags("provision-flex", "--wait"), test.flags...)...)
		require.Equal(t, 1, out.code)
		require.Equal(t, test.stdout, out.stdout)
		_, rest := s.progress(out.stderr)
		require.Equal(t, "Following atlas-cluster-PROJECT-orders\n"+complaint, rest)
		for _, command := range []string{"status", "result"} {
			require.Equal(
				t,
				output{1, test.stdout, complaint},
				s.run(append([]string{command, s.clusterID()}, test.flags...)...),
			)
		}
		require.Equal(t, output{1, test.stdout, "Following atlas-cluster-PROJECT-orders\n" + complaint},
			s.run(append([]string{"watch", s.clusterID()}, test.flags...)...))
	}
}

// A workflow that was started by hand with a wrong input fails in the same
// form, without a stack trace.
func TestInvalidInputOfAWorkflow(t *testing.T) {
	t.Parallel()
	s := setup(t, atlassim.Config{})
	_, err := s.temporal().
		ExecuteWorkflow(s.ctx(), client.StartWorkflowOptions{ID: s.clusterID(), TaskQueue: s.queue},
			"ProvisionFlexCluster",
			map[string]any{
				"groupId":          s.project,
				"name":             7,
				"providerSettings": map[string]any{"backingProviderName": "AWS", "regionName": "US_EAST_1"},
			})
	require.NoError(t, err)
	const message = "invalid input: name must be a string, got a JSON number. Nothing was sent to Atlas: correct " +
		"the input and start the workflow again"
	const complaint = "Web UI     " + webUILink + "\nstarter: INVALID_INPUT: " + message + "\n"
	require.Equal(t, output{code: 1, stderr: complaint}, s.run("result", s.clusterID()))
	require.Equal(t, output{code: 1, stderr: complaint, stdout: `{
  "workflowId": "atlas-cluster-PROJECT-orders",
  "runId": "RUN",
  "status": "FAILED",
  "failure": {
    "type": "INVALID_INPUT",
    "message": "` + message + `",
    "details": {
      "status": 0,
      "errorCode": "",
      "reason": "",
      "detail": "",
      "method": "",
      "path": "",
      "violations": [
        {
          "field": "name",
          "problem": "must be a string, got a JSON number"
        }
      ]
    }
  }
}
`}, s.run("status", "-o", "json", s.clusterID()))
}

// The input that goes to Temporal is the one that is documented, to the letter:
// what is not asked for is left to the worker's defaults.
func TestInput(t *testing.T) {
	t.Parallel()
	const where = `"groupId": "PROJECT", "name": "orders", "providerSettings": {"backingProviderName": "AWS", ` +
		`"regionName": "US_EAST_1"}`
	for _, test := range []struct {
		name, command string
		flags         []string
		want          string
	}{
		{"least", "provision-flex", nil, `{` + where + `}`},
		{"all", "provision-flex", []string{"--tag", "team=orders", "--tag", "note=a b; " +
			"c", "--termination-protection", "--no-ownership-tag", "--timeout", "90s"},
			`{` + where + `, "tags": [{"key": "team", "value": "orders"}, {"key": "note", "value": "a b; c"}],
			"terminationProtectionEnabled": true, "timeoutSeconds": 90, "ownershipTag": false}`},
		{"part of a second", "provision-flex", []string{"--timeout", "1500ms"}, `{` + where + `, "timeoutSeconds": 2}`},
		{"a day", "provision-flex", []string{"--timeout", "24h"}, `{` + where + `, "timeoutSeconds": 86400}`},
		{"least", "upgrade-to-serverless", nil, `{` + where + `}`},
		{"all", "upgrade-to-serverless", []string{"--tag", "team=orders", "--termination-protection",
			"--no-ownership-tag", "--timeout", "2h", "--continuous-backup"},
			`{` + where + `, "serverlessBackupOptions": {"serverlessContinuousBackupEnabled": true}, "tags": ` +
				`[{"key": "team", "value": "orders"}],
			"terminationProtectionEnabled": true, "timeoutSeconds": 7200, "ownershipTag": false}`},
		{"basic backup", "upgrade-to-serverless", []string{"--continuous-backup=false"}, `{` + where + `, ` +
			`"serverlessBackupOptions": {"serverlessContinuousBackupEnabled": false}}`},
	} {
		t.Run(test.command+"/"+test.name, func(t *testing.T) {
			t.Parallel()
			s := setupWithoutWorker(t, atlassim.Config{})
			out := s.run(append(s.flags(test.command), test.flags...)...)
			require.Equal(t, 0, out.code, out.stderr)
			events := s.temporal().
				GetWorkflowHistory(s.ctx(), s.clusterID(), "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
			first, err := events.Next()
			require.NoError(t, err)
			started := first.GetWorkflowExecutionStartedEventAttributes()
			require.Equal(
				t,
				map[string]string{"provision-flex": "ProvisionFlexCluster",
					"upgrade-to-serverless": "UpgradeToServerless"}[test.command],
				started.GetWorkflowType().GetName(),
			)
			require.Equal(t, s.queue, started.GetTaskQueue().GetName())
			require.Len(t, started.GetInput().GetPayloads(), 1)
			payload := started.GetInput().GetPayloads()[0]
			require.Equal(t, "json/plain", string(payload.GetMetadata()["encoding"]))
			require.JSONEq(t, strings.ReplaceAll(test.want, "PROJECT", s.project), string(payload.GetData()))
			require.Zero(t, started.GetWorkflowExecutionTimeout().AsDuration(), "the workflow bounds itself")
		})
	}
}

// Whoever stops waiting is told how to go on, and the workflow does.
func TestInterrupt(t *testing.T) {
	t.Parallel()
	const complaint = "starter: interrupted; the workflow goes on. Follow it with: starter watch " +
		"atlas-cluster-PROJECT-orders\n"
	s := setupWithoutWorker(t, atlassim.Config{})
	for _, test := range []struct {
		args         []string
		says, stdout string
	}{
		{s.flags("provision-flex", "--wait"), "Following", ""},
		{s.flags("provision-flex", "--wait", "-o", "json"), "Joined", runningJSON},
		{[]string{"watch", s.clusterID()}, "Following", ""},
		{[]string{"watch", "-o", "json", s.clusterID()}, "Following", runningJSON},
	} {
		b := s.start(test.args...)
		b.sees(test.says + " atlas-cluster-PROJECT-orders\n" + waitingForAWorker)
		b.interrupt()
		require.Equal(
			t,
			output{
				130,
				test.stdout,
				test.says + " atlas-cluster-PROJECT-orders\n" + waitingForAWorker + "\n" + complaint,
			},
			b.end(),
		)
	}
	s.startWorker()
	require.Equal(t, output{stdout: created}, s.run("result", s.clusterID()))
}

// An interrupt that comes before Temporal has answered is no failure to reach it.
func TestInterruptBeforeTheStart(t *testing.T) {
	t.Parallel()
	s := setupWithoutWorker(t, atlassim.Config{})
	for _, args := range [][]string{s.flags("provision-flex", "--wait"), {"list"}, {"status", "x"}} {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		var stdout, stderr stream
		require.Equal(t, 130, Run(ctx, args, s.env, nil, &stdout, &stderr))
		require.Equal(
			t,
			"starter: interrupted before Temporal answered. 'starter list' shows what runs\n",
			stderr.String(),
		)
		require.Empty(t, stdout.String())
	}
}

func TestUnknownNamespace(t *testing.T) {
	t.Parallel()
	s := setupWithoutWorker(t, atlassim.Config{})
	s.env = append(s.env, "TEMPORAL_NAMESPACE=nowhere")
	for _, args := range [][]string{s.flags("provision-flex"), s.flags("provision-flex", "--wait", "-o", "json"),
		{"status", "x"}, {"result", "x"}, {"cancel", "x"}, {"list"}} {
		require.Equal(
			t,
			output{
				code:   3,
				stderr: "starter: Temporal at ADDRESS has no namespace \"nowhere\": set TEMPORAL_NAMESPACE\n",
			},
			s.run(args...),
		)
	}
}

func TestNotPermitted(t *testing.T) {
	t.Parallel()
	require.Equal(
		t,
		"Temporal at a.b.tmprl.cloud:7233 does not permit it (Request unauthorized.): check TEMPORAL_API_KEY and "+
			"TEMPORAL_TLS_…",
		unreachable(
			client.Options{HostPort: "a.b.tmprl.cloud:7233"},
			serviceerror.NewPermissionDenied("Request unauthorized.", ""),
		),
	)
}

// What Temporal refuses is told as a refusal: it was reached.
func TestRefusedByTemporal(t *testing.T) {
	t.Parallel()
	s := setupWithoutWorker(t, atlassim.Config{})
	s.env = append(s.env, "TEMPORAL_TASK_QUEUE=/_sys/x")
	require.Equal(
		t,
		output{
			code: 2,
			stderr: "starter: Temporal at ADDRESS refuses the request: task queue name cannot start with reserved " +
				"prefix /_sys/\n",
		},
		s.run(s.flags("provision-flex")...),
	)
}

// The link to the Web UI is printed where it is known where that is.
func TestWebUI(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		address, namespace, ui string
		want                   string
	}{
		{address: "localhost:7233", want: "http://localhost:8233/namespaces/default/workflows/id/run/history"},
		{address: "127.0.0.1:1", want: "http://localhost:8233/namespaces/default/workflows/id/run/history"},
		{address: "127.9.9.9:1", want: "http://localhost:8233/namespaces/default/workflows/id/run/history"},
		{address: "[::1]:7233", want: "http://localhost:8233/namespaces/default/workflows/id/run/history"},
		{address: "a.b.tmprl.cloud:7233", namespace: "a.b",
			want: "https://cloud.temporal.io/namespaces/a.b/workflows/id/run/history"},
		{address: "us-east-1.aws.api.temporal.io:7233", namespace: "a.b",
			want: "https://cloud.temporal.io/namespaces/a.b/workflows/id/run/history"},
		{address: "temporal.example.com:7233"},
		{address: "temporal.example.com"},
		{address: "10.0.0.1:7233"},
		{address: "tmprl.cloud.example.com:7233"},
		{address: "localhost.example.com:7233"},
		{address: "temporal.example.com:7233", ui: "https://ui.example.com/", namespace: "a " +
			"b", want: "https://ui.example.com/namespaces/a%20b/workflows/id/run/history"},
		{address: "localhost:7233", ui: "http://localhost:8080/temporal",
			want: "http://localhost:8080/temporal/namespaces/default/workflows/id/run/history"},
		{address: "a.b.tmprl.cloud:7233", ui: "https://ui.example.com",
			want: "https://ui.example.com/namespaces/default/workflows/id/run/history"},
	} {
		t.Run(test.address+" "+test.ui, func(t *testing.T) {
			t.Parallel()
			e := env.Env{
				"TEMPORAL_ADDRESS=" + test.address,
				"TEMPORAL_NAMESPACE=" + test.namespace,
				"TEMPORAL_UI_URL=" + test.ui,
				"TEMPORAL_CONFIG_FILE=" + os.DevNull,
			}
			options, err := e.TemporalOptions()
			require.NoError(t, err)
			require.Equal(t, test.want, (&app{env: e, options: options}).webUI("id", "run"))
		})
	}
	t.Run("printed", func(t *testing.T) {
		t.Parallel()
		s := setupWithoutWorker(t, atlassim.Config{})
		s.env = append(s.env, "TEMPORAL_UI_URL=https://ui.example.com")
		require.Equal(
			t,
			output{
				stdout: started(
					"Started",
					"https://ui.example.com/namespaces/default/workflows/atlas-cluster-PROJECT-orders/RUN/history",
				),
			},
			s.run(s.flags("provision-flex")...),
		)
	})
}
