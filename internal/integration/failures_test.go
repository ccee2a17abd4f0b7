package integration

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/atlas-provisioner/atlas-provisioner/atlasclient"
	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv/testworker"
	"github.com/atlas-provisioner/atlas-provisioner/provisioner"
)

const createPath = "/api/atlas/v2/groups/" + project + "/flexClusters"

// Row 1 of the contract's table: any 4xx that does not pass by itself fails at once, with Atlas's errorCode or
// HTTP_<status> as its type.
func TestFinal4xx(t *testing.T) {
	t.Parallel()
	const noErrorCode = "this answer names no errorCode, as those of Atlas do: look for a proxy or firewall between " +
		"the worker and Atlas, and check MONGODB_ATLAS_BASE_URL, then start the workflow again"
	for _, test := range []struct {
		name           string
		fault          atlassim.Fault
		wantType, want string // want follows `cluster "name": Atlas answered `
	}{
		{
			name: "402",
			fault: atlassim.Fault{
				Kind: atlassim.FaultStatus, Status: 402, ErrorCode: "NO_PAYMENT_INFORMATION_FOUND",
				Detail: "No payment information was found.", Reason: "Payment Required", Parameters: []any{"6a79"},
			},
			wantType: "NO_PAYMENT_INFORMATION_FOUND",
			want: "402 NO_PAYMENT_INFORMATION_FOUND (No payment information was found.): add a payment method " +
				"to the organization, then start the workflow again",
		},
		{
			name: "400",
			fault: atlassim.Fault{
				Kind: atlassim.FaultStatus, Status: 400, ErrorCode: "VALIDATION_ERROR",
				Detail: "Invalid.", Reason: "Bad Request",
			},
			wantType: "VALIDATION_ERROR",
			want:     "400 VALIDATION_ERROR (Invalid.): correct the request, then start the workflow again",
		},
		{
			name: "403",
			fault: atlassim.Fault{
				Kind: atlassim.FaultStatus, Status: 403, ErrorCode: "IP_ADDRESS_NOT_ON_ACCESS_LIST",
				Reason: "Forbidden", Detail: "IP address 10.0.0.1 is not allowed to access this resource.",
			},
			wantType: "IP_ADDRESS_NOT_ON_ACCESS_LIST",
			want: "403 IP_ADDRESS_NOT_ON_ACCESS_LIST (IP address 10.0.0.1 is not allowed to access this " +
				"resource.): add the worker's address to the API access list of its key or service account, then " +
				"start the workflow again",
		},
		{
			name: "409",
			fault: atlassim.Fault{
				Kind: atlassim.FaultStatus, Status: 409, ErrorCode: "OUT_OF_CAPACITY", Reason: "Conflict",
			},
			wantType: "OUT_OF_CAPACITY",
			want:     "409 OUT_OF_CAPACITY: choose another region, or wait, then start the workflow again",
		},
		{
			name:     "HTML",
			fault:    atlassim.Fault{Kind: atlassim.FaultHTML, Status: 403},
			wantType: "HTTP_403",
			want:     "403 Forbidden: " + noErrorCode,
		},
		{
			name:     "no such status",
			fault:    atlassim.Fault{Kind: atlassim.FaultHTML, Status: 499},
			wantType: "HTTP_499",
			want:     "499: " + noErrorCode,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := setup(t, atlassim.Config{})
			test.fault.Method = http.MethodPost
			s.Sim.AddFault(test.fault)
			run := start(s, flex(t))
			_, err := result(s, run)
			f := testenv.Failure(t, err)
			require.Equal(t, test.wantType, f.Type)
			require.Equal(t, fmt.Sprintf("cluster %q: Atlas answered %s", flex(t).Name, test.want), f.Message)
			require.Equal(t, test.fault.Status, f.Details.Status)
			require.Equal(t, test.fault.ErrorCode, f.Details.ErrorCode)
			require.Equal(t, test.fault.Detail, f.Details.Detail)
			require.Equal(t, test.fault.Reason, f.Details.Reason)
			require.Equal(t, "POST", f.Details.Method)
			require.Equal(t, createPath, f.Details.Path)
			require.Equal(t, 1, s.Requests("POST", "/flexClusters"), "requests")
			if test.name == "402" {
				record(s, "provision-refused")
			}

			// The workflow's own failure is an application failure of the type, and the activity's is its cause.
			err = s.Temporal.GetWorkflow(s.Context(), run.WorkflowID, run.RunID).Get(s.Context(), nil)
			var own, cause *temporal.ApplicationError
			require.ErrorAs(t, err, &own)
			require.Equal(t, test.wantType, own.Type())
			require.True(t, own.NonRetryable())
			var activity *temporal.ActivityError
			require.ErrorAs(t, errors.Unwrap(own), &activity)
			require.ErrorAs(t, activity, &cause)
			require.Equal(t, test.wantType, cause.Type())
		})
	}
}

// The simulator's own refusals, which are Atlas's.
func TestProjectAndKey(t *testing.T) {
	t.Parallel()
	t.Run("no such project", func(t *testing.T) {
		t.Parallel()
		s := setup(t, atlassim.Config{Groups: []string{"111111111111111111111111"}})
		_, err := execute(s, flex(t))
		require.Equal(t, "GROUP_NOT_FOUND", testenv.Failure(t, err).Type)
		require.Equal(t,
			fmt.Sprintf(
				"cluster %q: Atlas answered 404 GROUP_NOT_FOUND (No group with ID %s exists.): correct groupId, "+
					"then start the workflow again",
				flex(t).Name,
				project,
			),
			testenv.Failure(t, err).Message,
		)
	})
	t.Run("not the key's project", func(t *testing.T) {
		t.Parallel()
		s := setup(t, atlassim.Config{ForeignGroups: []string{project}})
		_, err := execute(s, flex(t))
		require.Equal(t, "NOT_IN_GROUP", testenv.Failure(t, err).Type)
		require.Contains(t,
			testenv.Failure(t, err).Message,
			"give the worker's key or service account the role Project Owner in this project, or correct groupId",
		)
	})
	t.Run("wrong key", func(t *testing.T) {
		t.Parallel()
		s := setup(t,
			atlassim.Config{},
			withAuth(atlasclient.APIKey{PublicKey: testenv.PublicKey, PrivateKey: "wrong"}),
		)
		_, err := execute(s, flex(t))
		require.Equal(t, 401, testenv.Failure(t, err).Details.Status)
		require.Contains(t,
			testenv.Failure(t, err).Message,
			"check the worker's Atlas credential (MONGODB_ATLAS_…), then start the workflow again",
		)
	})
	t.Run("wrong client secret", func(t *testing.T) {
		t.Parallel()
		s := setup(t,
			atlassim.Config{ClientID: "mdb_sa_id_1", ClientSecret: "right"},
			withAuth(atlasclient.ServiceAccount{ClientID: "mdb_sa_id_1", ClientSecret: "wrong"}),
		)
		_, err := execute(s, flex(t))
		f := testenv.Failure(t, err)
		require.Equal(t, 401, f.Details.Status)
		require.Equal(t, "/api/oauth/token", f.Details.Path)
		require.Contains(t, f.Message, "check the worker's Atlas credential (MONGODB_ATLAS_…)")
	})
}

// Rows 2, 3 and 4: what passes by itself is asked again until it has passed, and makes one cluster.
func TestRetried(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		retried string // the failure type that the activity shows meanwhile
		fault   atlassim.Fault
	}{
		{name: "408", retried: "REQUEST_TIMEOUT", fault: statusFault(408, "REQUEST_TIMEOUT")},
		{name: "425", retried: "HTTP_425", fault: htmlFault(425)},
		{name: "429", retried: "RATE_LIMITED", fault: statusFault(429, "RATE_LIMITED")},
		{name: "429 Retry-After 0", retried: "RATE_LIMITED_TOKEN_BUCKET",
			fault: withRetryAfter(statusFault(429, "RATE_LIMITED_TOKEN_BUCKET"), "0")},
		{name: "429 Retry-After 2", retried: "RATE_LIMITED",
			fault: withRetryAfter(statusFault(429, "RATE_LIMITED"), "2")},
		{name: "name held", retried: "CONTAINER_WAITING_FOR_FAST_RECORD_CLEAN_UP",
			fault: statusFault(400, "CONTAINER_WAITING_FOR_FAST_RECORD_CLEAN_UP")},
		{name: "app upgrade", retried: "WRITES_NOT_ALLOWED_DURING_APP_UPGRADES",
			fault: statusFault(405, "WRITES_NOT_ALLOWED_DURING_APP_UPGRADES")},
		{name: "config limit", retried: "DEFAULT_CONFIG_LIMIT_EXCEPTION",
			fault: statusFault(400, "DEFAULT_CONFIG_LIMIT_EXCEPTION")},
		{name: "500", retried: "UNEXPECTED_ERROR", fault: statusFault(500, "UNEXPECTED_ERROR")},
		{name: "500 after the effect", retried: "UNEXPECTED_ERROR",
			fault: afterEffect(statusFault(500, "UNEXPECTED_ERROR"))},
		{name: "502 HTML", retried: "HTTP_502", fault: htmlFault(502)},
		{name: "503 Retry-After", retried: "HTTP_503", fault: withRetryAfter(htmlFault(503), "2")},
		{name: "504", retried: "HTTP_504", fault: htmlFault(504)},
		{name: "599", retried: "HTTP_599", fault: htmlFault(599)},
		{name: "reset before", retried: "ATLAS_UNREACHABLE",
			fault: atlassim.Fault{Kind: atlassim.FaultReset}},
		{name: "lost answer", retried: "ATLAS_UNREACHABLE", fault: atlassim.Fault{Kind: atlassim.FaultLost}},
		{name: "hang before", retried: "ATLAS_UNREACHABLE", fault: hangFault()},
		{name: "hang after", retried: "ATLAS_UNREACHABLE", fault: afterEffect(hangFault())},
		{name: "truncated", retried: "ATLAS_BAD_RESPONSE",
			fault: atlassim.Fault{Kind: atlassim.FaultTruncate}},
		{name: "oversize", retried: "ATLAS_BAD_RESPONSE",
			fault: atlassim.Fault{Kind: atlassim.FaultOversize, AfterEffect: true}},
		{name: "garbage", retried: "ATLAS_BAD_RESPONSE", fault: atlassim.Fault{Kind: atlassim.FaultGarbage}},
	} {
		for _, tagged := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/tag %t", test.name, tagged), func(t *testing.T) {
				t.Parallel()
				s := setup(t, atlassim.Config{}, withRequestTimeout(5*time.Second))
				fault := test.fault
				fault.Method, fault.Times = http.MethodPost, 1
				s.Sim.AddFault(fault)
				in := flex(t)
				in.OwnershipTag = new(tagged)
				run := start(s, in)
				shown := watchRetry(s, run.WorkflowID)
				cluster, err := result(s, run)
				require.NoError(t, err)
				require.Equal(t, contract.Created, cluster.Outcome)
				require.Equal(t, 1, s.Sim.Count(atlassim.Created))
				require.Len(t, s.Sim.Clusters(), 1)
				require.Equal(t, 2, s.Requests("POST", "/flexClusters"), "requests")
				require.Equal(t, test.retried, <-shown)

				if fault.RetryAfter == "2" {
					var posts []time.Time
					for _, e := range s.Sim.Ledger() {
						if e.Method == "POST" && e.Authenticated {
							posts = append(posts, e.Time)
						}
					}
					require.GreaterOrEqual(t, posts[1].Sub(posts[0]), 2*time.Second, "Retry-After")
				}
			})
		}
	}
}

// watchRetry answers the type of the failure that the Web UI shows of a pending activity while it is retried.
func watchRetry(s *testenv.Stack, workflowID string) <-chan string {
	shown := make(chan string, 1)
	go func() {
		defer close(shown)
		for s.Context().Err() == nil {
			d, err := s.Temporal.DescribeWorkflowExecution(s.Context(), workflowID, "")
			if err != nil {
				return
			}
			for _, p := range d.GetPendingActivities() {
				if f := p.GetLastFailure(); f != nil {
					shown <- f.GetApplicationFailureInfo().GetType()
					return
				}
			}
			if d.GetWorkflowExecutionInfo().GetCloseTime() != nil {
				return
			}
		}
	}()
	return shown
}

// What does not pass ends with the time limit, as what it is: Atlas never took the request, so there is no state to
// speak of.
func TestRetriedUntilTheTimeLimit(t *testing.T) {
	t.Parallel()
	refused := func(t *testing.T) string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer l.Close()
		return "http://" + l.Addr().String()
	}
	plain := func(t *testing.T) string { // TLS is spoken to a server that does not
		server := httptest.NewServer(http.NotFoundHandler())
		t.Cleanup(server.Close)
		return "https" + server.URL[len("http"):]
	}
	untrusted := func(t *testing.T) string { // a certificate that nobody vouches for
		server := httptest.NewUnstartedServer(http.NotFoundHandler())
		server.Config.ErrorLog = discardLog
		server.StartTLS()
		t.Cleanup(server.Close)
		return server.URL
	}
	for _, test := range []struct {
		name     string
		fault    atlassim.Fault
		url      func(*testing.T) string
		wantType string
		want     string
	}{
		{name: "503", fault: atlassim.Fault{Kind: atlassim.FaultHTML, Status: 503}, wantType: "HTTP_503",
			want: `^cluster "NAME": Atlas answered 503 Service Unavailable: trying again, for which no time was ` +
				`left within 8s \(timeoutSeconds\)\. Nothing is known to have been made: start the workflow again ` +
				`under the same id to make sure\. If Atlas goes on answering so, check providerSettings\.regionName, ` +
				`since it does not refuse every region that it does not have, and https://status\.mongodb\.com$`},
		{name: "429", fault: withRetryAfter(statusFault(429, "RATE_LIMITED"), "60"), wantType: "RATE_LIMITED",
			want: `^cluster "NAME": Atlas answered 429 RATE_LIMITED: trying again after 1m0s, as Atlas asks, for ` +
				`which no time was left within 8s`},
		{name: "refused", url: refused, wantType: "ATLAS_UNREACHABLE",
			want: `^cluster "NAME": no answer from Atlas to POST ` + createPath + ` \(dial tcp 127.0.0.1:\d+: ` +
				`connect: connection refused\): trying again, for which no time was left within 8s`},
		{name: "no TLS", url: plain, wantType: "ATLAS_UNREACHABLE", want: `server gave HTTP response to HTTPS ` +
			`client\): trying again, for which no time was left within 8s`},
		{name: "untrusted", url: untrusted, wantType: "ATLAS_UNREACHABLE", want: `certificate signed by unknown ` +
			`authority\): trying again, for which no time was left within 8s`},
		{name: "garbage", fault: atlassim.Fault{Kind: atlassim.FaultGarbage, BeforeEffect: true},
			wantType: "ATLAS_BAD_RESPONSE",
			want: `^cluster "NAME": Atlas answered POST ` + createPath + ` with 200, but the body is not the JSON ` +
				`expected: .*: trying again, for which no time was left within 8s`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var options []testworker.Option
			if test.url != nil {
				options = append(options, withBaseURL(test.url(t)))
			}
			s := setup(t, atlassim.Config{}, options...)
			if test.fault.Kind != "" {
				test.fault.Method = http.MethodPost
				s.Sim.AddFault(test.fault)
			}
			in := flex(t)
			in.TimeoutSeconds = new(8)
			_, err := execute(s, in)
			f := testenv.Failure(t, err)
			require.Equal(t, test.wantType, f.Type)
			require.Regexp(t, withName(test.want, in.Name), f.Message)
			require.Empty(t, s.Sim.Clusters())
			if test.name == "503" {
				record(s, "provision-given-up")
			}
		})
	}
}

// The row INVALID_INPUT: everything that is wrong is named at once, and no request is made.
func TestInvalidInput(t *testing.T) {
	t.Parallel()
	s := setup(t, atlassim.Config{})
	for _, test := range []struct {
		name  string
		args  []any
		wants []contract.Violation
	}{
		{"no input", nil, []contract.Violation{
			{Field: "input", Problem: "must be one JSON object"},
			{Field: "groupId", Problem: `must be the project's id of 24 hexadecimal digits (0-9, a-f), got ""`},
			{Field: "name", Problem: `must begin with a letter or digit and hold only letters, digits and hyphens, ` +
				`got ""`},
			{Field: "providerSettings.backingProviderName", Problem: `must be AWS, AZURE or GCP, got ""`},
			{Field: "providerSettings.regionName", Problem: "must name a region, such as US_EAST_1"},
		}},
		{"not an object", []any{"orders"}, nil},
		{"not JSON", []any{[]byte("\x00\x01")}, nil},
		{"mistyped", []any{map[string]any{
			"groupId": project, "name": 7,
			"providerSettings": map[string]any{"backingProviderName": "AWS", "regionName": "US_EAST_1"},
			"timeoutSeconds":   "30m", "tag": map[string]any{},
		}}, []contract.Violation{
			{Field: "name", Problem: "must be a string, got a JSON number"},
			{Field: "tag", Problem: "is not a known field"},
			{Field: "timeoutSeconds", Problem: "must be a whole number, got a JSON string"},
		}},
	} {
		for _, workflow := range []string{contract.ProvisionFlexCluster, contract.UpgradeToServerless} {
			t.Run(test.name+"/"+workflow, func(t *testing.T) {
				// The ownership tag must be able to hold the id.
				id := strings.NewReplacer("/", ".", " ", "-").Replace(t.Name())
				options := client.StartWorkflowOptions{ID: id, TaskQueue: s.TaskQueue}
				started, err := s.Temporal.ExecuteWorkflow(s.Context(), options, workflow, test.args...)
				require.NoError(t, err)
				run := provisioner.Run{WorkflowID: started.GetID(), RunID: started.GetRunID()}
				_, err = result(s, run)
				f := testenv.Failure(t, err)
				require.Equal(t, contract.InvalidInput, f.Type)
				require.Regexp(t,
					`^invalid input: .*\. Nothing was sent to Atlas: correct the input and start the workflow again$`,
					f.Message,
				)
				if test.name == "mistyped" {
					recordRun(s, run, "invalid-input-"+workflow)
				}
				if test.wants != nil {
					require.Equal(t, test.wants, f.Details.Violations)
				}
			})
		}
	}
	require.Empty(t, s.Sim.Ledger(), "requests")
}

// The row CLUSTER_CONFLICT.
func TestClusterConflict(t *testing.T) {
	t.Parallel()
	t.Run("somebody's twin", func(t *testing.T) {
		t.Parallel()
		for _, tagged := range []bool{true, false} {
			t.Run(fmt.Sprintf("tag %t", tagged), func(t *testing.T) {
				t.Parallel()
				s := setup(t, atlassim.Config{})
				in := flex(t)
				in.OwnershipTag = new(tagged)
				createByOthers(s, in)
				before := s.Sim.Clusters()
				_, err := execute(s, in)
				f := testenv.Failure(t, err)
				require.Equal(t, contract.ClusterConflict, f.Type)
				why := "it carries no tag atlas-provisioner-workflow"
				if !tagged {
					why = "it is older than this run, or not as asked"
				}
				require.Equal(t,
					fmt.Sprintf(
						"cluster %q: the name is taken in this project by a cluster that this workflow did not "+
							"make (%s). "+
							"It was left untouched: choose another name, or delete that cluster, then start the "+
							"workflow again",
						in.Name,
						why,
					),
					f.Message,
				)
				require.Equal(t, before[0].ID, s.Sim.Clusters()[0].ID)
				require.Equal(t, 0,
					s.Sim.Count(atlassim.Created)+s.Sim.Count(atlassim.Deleted)+s.Sim.Count(atlassim.Updated),
				)
			})
		}
	})
	t.Run("somebody's twin after a lost answer", func(t *testing.T) {
		t.Parallel()
		s := setup(t, atlassim.Config{})
		in := flex(t)
		s.Sim.AddFault(atlassim.Fault{Method: http.MethodPost, Kind: atlassim.FaultReset, Times: 1})
		createByOthers(s, in, atlassim.Tag{Key: contract.OwnershipTag, Value: "another-workflow"})
		_, err := execute(s, in)
		f := testenv.Failure(t, err)
		require.Equal(t, contract.ClusterConflict, f.Type)
		require.Contains(t, f.Message,
			`by a cluster that this workflow did not make (workflow "another-workflow" made it). It was left untouched`,
		)
	})
	t.Run("ours but otherwise", func(t *testing.T) {
		t.Parallel()
		s := setup(t, atlassim.Config{})
		_, err := execute(s, flex(t))
		require.NoError(t, err)
		in := flex(t)
		in.ProviderSettings.RegionName, in.TerminationProtectionEnabled, in.Tags = "EU_WEST_1", true, nil
		_, err = execute(s, in)
		f := testenv.Failure(t, err)
		require.Equal(t, contract.ClusterConflict, f.Type)
		require.Equal(t,
			fmt.Sprintf(
				`cluster %q: this workflow made it, but it is not as asked: providerSettings.regionName is `+
					`"US_EAST_1", requested "EU_WEST_1"; `+
					`tags.team is "orders", requested none; terminationProtectionEnabled is "false", requested `+
					`"true". Change the cluster in Atlas or the request, then start the workflow again`,
				in.Name,
			),
			f.Message,
		)
		require.Len(t, f.Details.Differences, 3)
		record(s, "provision-conflict")
	})
	t.Run("another kind", func(t *testing.T) {
		t.Parallel()
		in := flex(t)
		s := setup(t, atlassim.Config{Shared: []atlassim.SharedCluster{{GroupID: project, Name: in.Name}}})
		_, err := execute(s, in)
		f := testenv.Failure(t, err)
		require.Equal(t, contract.ClusterConflict, f.Type)
		require.Equal(t,
			fmt.Sprintf(
				"cluster %q: the name is taken in this project by a cluster that is not a Flex cluster: choose "+
					"another name",
				in.Name,
			),
			f.Message,
		)
	})
}

// The row TIMEOUT.
func TestTimeout(t *testing.T) {
	t.Parallel()
	t.Run("while Atlas creates", func(t *testing.T) {
		t.Parallel()
		s := setup(t, atlassim.Config{CreateFor: atlassim.Duration(time.Hour)})
		in := flex(t)
		in.TimeoutSeconds = new(8)
		_, err := execute(s, in)
		f := testenv.Failure(t, err)
		require.Equal(t, contract.Timeout, f.Type)
		require.Equal(t, contract.FailureDetails{StateName: "CREATING"}, f.Details)
		require.Equal(t,
			fmt.Sprintf("cluster %q was not IDLE within 8s (timeoutSeconds): the last state seen was CREATING. "+
				"The cluster is left as it is (CREATING): start the workflow again under the same id to go on "+
				"waiting, or "+
				"delete it in Atlas", in.Name),
			f.Message,
		)
		record(s, "provision-timeout")
	})
	t.Run("without the ownership tag", func(t *testing.T) {
		t.Parallel()
		s := setup(t, atlassim.Config{CreateFor: atlassim.Duration(time.Hour)})
		in := flex(t)
		in.TimeoutSeconds, in.OwnershipTag = new(8), new(false)
		_, err := execute(s, in)
		require.Equal(t,
			fmt.Sprintf("cluster %q was not IDLE within 8s (timeoutSeconds): the last state seen was CREATING. "+
				"The cluster is left as it is (CREATING): without the ownership tag no later run takes it up, so "+
				"wait for it "+
				"or delete it in Atlas", in.Name),
			testenv.Failure(t, err).Message,
		)
	})
	t.Run("while Atlas fails", func(t *testing.T) {
		t.Parallel()
		s := setup(t, atlassim.Config{CreateFor: atlassim.Duration(time.Hour)})
		s.Sim.AddFault(atlassim.Fault{Method: http.MethodGet, Kind: atlassim.FaultHTML, Status: 503})
		in := flex(t)
		in.TimeoutSeconds = new(8)
		_, err := execute(s, in)
		f := testenv.Failure(t, err)
		require.Equal(t, contract.Timeout, f.Type)
		require.Equal(t, 503, f.Details.Status)
		require.Equal(t, "CREATING", f.Details.StateName)
		require.Contains(t, f.Message, "the last state seen was CREATING; the last answer was: ")
		require.Contains(t, f.Message, "Atlas answered 503 Service Unavailable: trying again")
	})
	t.Run("asks to wait too long", func(t *testing.T) {
		t.Parallel()
		s := setup(t, atlassim.Config{CreateFor: atlassim.Duration(time.Hour)})
		s.Sim.AddFault(
			atlassim.Fault{Method: http.MethodGet, Kind: atlassim.FaultHTML, Status: 503, RetryAfter: "3600", Skip: 1},
		)
		_, err := execute(s, flex(t))
		require.Equal(t, contract.Timeout, testenv.Failure(t, err).Type)
	})
	t.Run("no worker", func(t *testing.T) {
		t.Parallel()
		s := setup(t, atlassim.Config{})
		s.Sim.AddFault(
			atlassim.Fault{Method: http.MethodPost, Kind: atlassim.FaultHang, Hang: atlassim.Duration(time.Minute)},
		)
		in := flex(t)
		in.TimeoutSeconds = new(2)
		_, err := execute(s, in)
		f := testenv.Failure(t, err)
		require.Equal(t, contract.Timeout, f.Type)
		require.Equal(t,
			fmt.Sprintf(
				"cluster %q was not IDLE within 2s (timeoutSeconds): no worker finished the request in that time. "+
					"Nothing is known to have been made: start the workflow again under the same id to make sure",
				in.Name,
			),
			f.Message,
		)
		record(s, "provision-timeout-while-asking")
	})
}

// The row CLUSTER_GONE.
func TestClusterGone(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name      string
		deleteFor time.Duration
		want      string
	}{
		{"being deleted", time.Hour, `^cluster "NAME": it is being deleted: start the workflow again to make a new ` +
			`one$`},
		{"deleted", time.Nanosecond, `^cluster "NAME": Atlas has known no such cluster for \d+s ` +
			`\(last state CREATING\): start the workflow again to make a new one$`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := setup(t,
				atlassim.Config{CreateFor: atlassim.Duration(time.Hour), DeleteFor: atlassim.Duration(test.deleteFor)},
			)
			in := flex(t)
			run := start(s, in)
			testenv.Eventually(t, func() bool { return s.Requests("GET", "/"+in.Name) > 1 })
			require.NoError(t, s.Sim.Delete(project, in.Name))
			_, err := result(s, run)
			f := testenv.Failure(t, err)
			require.Equal(t, contract.ClusterGone, f.Type)
			require.Regexp(t, withName(test.want, in.Name), f.Message)
			record(s, "provision-gone")
		})
	}
}

// Atlas can answer IDLE and never give the connection string.
func TestIdleWithoutStandard(t *testing.T) {
	t.Parallel()
	s := setup(t, atlassim.Config{StandardAfter: atlassim.Duration(time.Hour)})
	cluster, err := execute(s, flex(t))
	require.NoError(t, err)
	require.Empty(t, cluster.ConnectionStrings.Standard)
	require.NotEmpty(t, cluster.ConnectionStrings.StandardSrv)
	require.Len(t, cluster.Warnings, 1)
	require.Regexp(t,
		`^Atlas answered IDLE but gave no connection string of every kind for \d+s: read the cluster again for the `+
			`rest$`,
		cluster.Warnings[0],
	)
	record(s, "provision-idle-without-standard")
}
