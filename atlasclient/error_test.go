package atlasclient_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/atlas-provisioner/atlas-provisioner/atlasclient"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim/atlassimtest"
)

// failing is what a server does that is an error, and the error.
type failing struct {
	name   string
	answer http.HandlerFunc
	want   atlasclient.Error // without Method, Path and Err
	text   string            // after the method and path
	is     error             // what it wraps
}

const html = "<html>\n<head><title>Bad</title></head>\n<body><h1>Bad</h1></body>\n</html>\n"

func failures() []failing {
	return []failing{
		{
			name: "all fields",
			answer: answers(400, `{"detail":"Taken.","error":400,"errorCode":"DUPLICATE_CLUSTER_NAME",
				"parameters":["cluster orders","`+group+`"],"reason":"Bad Request"}`),
			want: atlasclient.Error{
				Status:     400,
				ErrorCode:  "DUPLICATE_CLUSTER_NAME",
				Detail:     "Taken.",
				Reason:     "Bad Request",
				Parameters: []string{"cluster orders", group},
			},
			text: "400 DUPLICATE_CLUSTER_NAME: Taken.",
		},
		{
			name: "null parameters",
			answer: answers(404, `{"detail":"Not there.","error":404,"errorCode":"UNEXPECTED_ERROR","parameters":null,
				"reason":"Not Found"}`),
			want: atlasclient.Error{
				Status:    404,
				ErrorCode: "UNEXPECTED_ERROR",
				Detail:    "Not there.",
				Reason:    "Not Found",
			},
			text: "404 UNEXPECTED_ERROR: Not there.",
		},
		{name: "parameters that are no strings",
			answer: answers(429, `{"errorCode":"RATE_LIMITED_TOKEN_BUCKET",
				"parameters":["a/b",7,1.5,true,null,{"k":[1]},["x"]]}`),
			want: atlasclient.Error{Status: 429, ErrorCode: "RATE_LIMITED_TOKEN_BUCKET",
				Parameters: []string{"a/b", "7", "1.5", "true", "", `{"k":[1]}`, `["x"]`}},
			text: "429 RATE_LIMITED_TOKEN_BUCKET"},
		{name: "mistyped fields do not lose the others",
			answer: answers(400, `{"reason":{"a":1},"errorCode":7,"parameters":"all","detail":"Why."}`,
				"X-Error-Code", "INVALID_ATTRIBUTE"),
			want: atlasclient.Error{Status: 400, ErrorCode: "INVALID_ATTRIBUTE", Detail: "Why."},
			text: "400 INVALID_ATTRIBUTE: Why."},
		{name: "X-Error-Code only", answer: answers(403, "", "X-Error-Code", "IP_ADDRESS_NOT_ON_ACCESS_LIST"),
			want: atlasclient.Error{Status: 403, ErrorCode: "IP_ADDRESS_NOT_ON_ACCESS_LIST"},
			text: "403 IP_ADDRESS_NOT_ON_ACCESS_LIST"},
		{name: "X-Error-Code and HTML", answer: answers(500, html, "X-Error-Code", "UNEXPECTED_ERROR"),
			want: atlasclient.Error{Status: 500, ErrorCode: "UNEXPECTED_ERROR"},
			text: "500 UNEXPECTED_ERROR"},
		{name: "the body's code is the better one",
			answer: answers(409, `{"errorCode":"OUT_OF_CAPACITY"}`, "X-Error-Code", "UNEXPECTED_ERROR"),
			want:   atlasclient.Error{Status: 409, ErrorCode: "OUT_OF_CAPACITY"},
			text:   "409 OUT_OF_CAPACITY"},
		{name: "HTML 502", answer: answers(502, html, "Content-Type", "text/html"),
			want: atlasclient.Error{Status: 502}, text: "502"},
		{name: "HTML 503", answer: answers(503, html, "Content-Type", "text/html", "Retry-After", "7"),
			want: atlasclient.Error{Status: 503, RetryAfter: ptr(7 * time.Second)}, text: "503"},
		{name: "HTML that says it is JSON", answer: answers(504, html, "Content-Type", "application/json"),
			want: atlasclient.Error{Status: 504}, text: "504"},
		{name: "a firewall's HTML", answer: answers(403, html, "Content-Type", "text/html"),
			want: atlasclient.Error{Status: 403}, text: "403"},
		{name: "a gateway's JSON", answer: answers(403, `{"message":"Forbidden"}`),
			want: atlasclient.Error{Status: 403}, text: "403"},
		{name: "no final answer", answer: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Connection", "Upgrade")
			w.WriteHeader(101)
		}, want: atlasclient.Error{Status: 101}, text: "status 101: an answer that announces another, which did " +
			"not come"},
		{name: "empty error", answer: answers(404, ""), want: atlasclient.Error{Status: 404}, text: "404"},
		{name: "another JSON", answer: answers(418, `[1, 2]`), want: atlasclient.Error{Status: 418}, text: "418"},
		{name: "detail only", answer: answers(500, `{"detail":"Oops."}`),
			want: atlasclient.Error{Status: 500, Detail: "Oops."}, text: "500: Oops."},

		{name: "truncated", answer: truncated(200, `{"id":"5f`), want: atlasclient.Error{Status: 200},
			text: "status 200: the body was cut short: unexpected EOF", is: io.ErrUnexpectedEOF},
		{name: "truncated error",
			answer: truncated(429, `{"errorCode":"RAT`, "X-Error-Code", "RATE_LIMITED", "Retry-After", "3"),
			want:   atlasclient.Error{Status: 429, ErrorCode: "RATE_LIMITED", RetryAfter: ptr(3 * time.Second)},
			text:   "status 429: the body was cut short: unexpected EOF", is: io.ErrUnexpectedEOF},
		{name: "over 4 MiB", answer: answers(200, `{"id":"5f"`+strings.Repeat(" ", 4<<20-10)+"}"),
			want: atlasclient.Error{Status: 200},
			text: "status 200: the body has more than 4 MiB"},
		{
			name:   "error over 4 MiB",
			answer: answers(500, strings.Repeat("x", 5<<20)),
			want:   atlasclient.Error{Status: 500},
			text:   "status 500: the body has more than 4 MiB",
		},
		{
			name:   "not JSON",
			answer: answers(200, html),
			want:   atlasclient.Error{Status: 200},
			text: "status 200: the body is not the JSON expected: " +
				"invalid character '<' looking for beginning of value",
		},
		{name: "half JSON", answer: answers(201, `{"id":"5f"`), want: atlasclient.Error{Status: 201},
			text: "status 201: the body is not the JSON expected: unexpected end of JSON input"},
		{name: "empty", answer: answers(200, ""), want: atlasclient.Error{Status: 200},
			text: "status 200: the body is not the JSON expected: unexpected end of JSON input"},
		{name: "not the JSON expected", answer: answers(200, `[]`), want: atlasclient.Error{Status: 200},
			text: "status 200: the body is not the JSON expected: all of it is of type array"},

		redirect(301, "http://elsewhere.example/login?next=1"),
		redirect(302, "/here"),
		redirect(303, "//elsewhere.example"),
		redirect(307, "http://elsewhere.example/"),
		redirect(308, "?"),
		{name: "redirect to nowhere", answer: answers(302, ""), want: atlasclient.Error{Status: 302},
			text: `status 302: a redirect to "", which is not followed`},
		{name: "redirect to what is no URL", answer: answers(302, "", "Location", "http://[bad"),
			want: atlasclient.Error{Status: 302}, text: `status 302: a redirect to "", which is not followed`},

		{name: "closed", answer: func(w http.ResponseWriter, _ *http.Request) { hangUp(w) },
			text: "no answer: EOF", is: io.EOF},
		{name: "hanging", answer: hang,
			text: "no answer: the time limit of 15s ran out: context deadline exceeded", is: context.DeadlineExceeded},
		{name: "hanging in the middle", answer: func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(503)
			_, _ = io.WriteString(w, `{"errorCode":"`)
			_ = http.NewResponseController(w).Flush()
			hang(w, r)
		}, want: atlasclient.Error{Status: 503},
			text: "status 503: the body was cut short: the time limit of 15s ran out: context deadline exceeded",
			is:   context.DeadlineExceeded},
	}
}

// answers is a handler for a status, a body and headers.
func answers(status int, body string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// truncated announces more than it sends.
func truncated(status int, body string, headers ...string) http.HandlerFunc {
	return answers(status, body, append(headers, "Content-Length", strconv.Itoa(2*len(body)))...)
}

func redirect(status int, to string) failing {
	return failing{
		name:   fmt.Sprint("redirect ", status),
		answer: answers(status, "", "Location", to),
		want:   atlasclient.Error{Status: status},
		text:   fmt.Sprintf(`status %d: a redirect to %q, which is not followed`, status, to),
	}
}

// hang answers nothing until the client has gone away.
func hang(_ http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body) // or net/http would not notice
	<-r.Context().Done()
}

func hangUp(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err == nil {
		err = conn.Close()
	}
	if err != nil {
		panic(err)
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	for _, test := range failures() {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := newClient(t, atlasclient.Options{
					BaseURL: "http://localhost",
					Transport: atlassimtest.Pipe(t,
						script(t, step{want: getOrders, instead: test.answer})), // it is not asked twice
				})
				cluster, resp, err := c.GetFlexCluster(t.Context(), group, "orders")
				require.Nil(t, cluster)
				require.Nil(t, resp)
				require.EqualError(t, err, getOrders+": "+test.text)
				got := *asError(t, err)
				require.Equal(t, got.Status == 0 || strings.HasPrefix(test.text, "status "), got.Err != nil)
				if test.is != nil {
					require.ErrorIs(t, err, test.is)
				}
				test.want.Method, test.want.Path, test.want.Err = "GET", flex+"/orders", got.Err
				test.want.FromAtlas = test.want.ErrorCode != ""
				require.Equal(t, test.want, got)
			})
		})
	}
}

// The same answers come to the request for a token. The status is never lost, and the path says what failed.
func TestTokenErrors(t *testing.T) {
	t.Parallel()
	for _, test := range failures() {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := newClient(t, atlasclient.Options{
					BaseURL:   "http://localhost",
					Auth:      atlasclient.ServiceAccount{ClientID: "id", ClientSecret: "secret"},
					Transport: atlassimtest.Pipe(t, script(t, step{want: postToken, instead: test.answer})),
				})
				err := get(c, t.Context())
				got := asError(t, err)
				require.EqualError(t, err, postToken+": "+test.text)
				require.Equal(t, got.Status == 0 || strings.Contains(err.Error(), ": status "), got.Err != nil)
				test.want.Method, test.want.Path, test.want.Err = "POST", "/api/oauth/token", got.Err
				test.want.FromAtlas = test.want.ErrorCode != ""
				require.Equal(t, &test.want, got)
			})
		})
	}
}

// A body of 4 MiB is read, and a longer one is an error.
func TestBodyLimit(t *testing.T) {
	t.Parallel()
	body := ordersAnswer + strings.Repeat(" ", 4<<20-len(ordersAnswer))
	require.Equal(t, 4<<20, len(body))
	c := setup(t, step{want: getOrders, answer: body}, step{want: getOrders, answer: body + " "})
	cluster, _, err := c.GetFlexCluster(t.Context(), group, "orders")
	require.NoError(t, err)
	require.Equal(t, "orders", cluster.Name)
	require.EqualError(t, get(c, t.Context()), getOrders+": status 200: the body has more than 4 MiB")
}

// No redirect is followed, so that no credential goes to another host.
func TestRedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	for _, status := range []int{301, 302, 303, 307, 308} {
		for name, auth := range credentials() {
			t.Run(fmt.Sprint(status, " ", name), func(t *testing.T) {
				t.Parallel()
				elsewhere := serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
					t.Errorf("%s %s was followed, with Authorization %q", r.Method, r.URL,
						r.Header.Get("Authorization"))
				}))
				away := answers(status, "", "Location", elsewhere+"/away")
				c := newClient(t, atlasclient.Options{Auth: auth, BaseURL: serve(t, guard(auth, away, away))})
				require.Equal(t, status, asError(t, get(c, t.Context())).Status)
				_, _, err := c.CreateFlexCluster(t.Context(), group, orders)
				require.Equal(t, status, asError(t, err).Status)
				c = newClient(t, atlasclient.Options{Auth: auth, BaseURL: serve(t, guard(auth, nil, away))})
				require.EqualError(t, get(c, t.Context()), fmt.Sprintf(
					`%s: status %d: a redirect to "%s/away", which is not followed`, getOrders, status, elsewhere))
			})
		}
	}
}

// The time limit is the client's or the caller's, and the error says which.
func TestTimeLimit(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name            string
		timeout, caller time.Duration
		after           time.Duration
		text            string
	}{
		{"default", 0, 0, 15 * time.Second, "no answer: the time limit of 15s ran out: context deadline exceeded"},
		{"set", 40 * time.Millisecond, 0, 40 * time.Millisecond,
			"no answer: the time limit of 40ms ran out: context deadline exceeded"},
		{"set longer", 2 * time.Minute, time.Hour, 2 * time.Minute,
			"no answer: the time limit of 2m0s ran out: context deadline exceeded"},
		{"the caller's", 0, 3 * time.Second, 3 * time.Second, "no answer: context deadline exceeded"},
	} {
		for name, auth := range credentials() {
			t.Run(test.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					ctx := t.Context()
					if test.caller > 0 {
						var cancel context.CancelFunc
						ctx, cancel = context.WithTimeout(ctx, test.caller)
						defer cancel()
					}
					c := newClient(t, atlasclient.Options{
						BaseURL: "http://localhost", Timeout: test.timeout, Auth: auth,
						Transport: atlassimtest.Pipe(t, guard(auth, nil, hang)),
					})
					begun := time.Now()
					err := get(c, ctx)
					require.EqualError(t, err, getOrders+": "+test.text)
					require.ErrorIs(t, err, context.DeadlineExceeded)
					require.Equal(t, test.after, time.Since(begun))
				})
			})
		}
	}
}

func TestCancellation(t *testing.T) {
	t.Parallel()
	for name, auth := range credentials() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			arrived := make(chan struct{})
			c := overServer(t, auth, guard(auth, nil, func(_ http.ResponseWriter, r *http.Request) {
				close(arrived)
				<-r.Context().Done()
			}))
			ctx, cancel := context.WithCancel(t.Context())
			go func() {
				<-arrived
				cancel()
			}()
			err := get(c, ctx)
			require.EqualError(t, err, getOrders+": no answer: context canceled")
			require.ErrorIs(t, err, context.Canceled)
			require.EqualError(t, get(c, ctx), getOrders+": no answer: context canceled", "nothing is sent any more")
		})
	}
}

// A context that was cancelled before sends nothing, not even a request for a token.
func TestCancelledBefore(t *testing.T) {
	t.Parallel()
	for name, auth := range credentials() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := setupAuth(t, auth)
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			for range 20 { // a select takes any way that is open
				require.EqualError(t, get(c, ctx), getOrders+": no answer: context canceled")
			}
		})
	}
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	t.Run("refused", func(t *testing.T) {
		t.Parallel()
		// The near end of a connection has a port on which nobody listens and which nobody else can get meanwhile.
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		t.Cleanup(func() { _ = l.Close() })
		conn, err := net.Dial("tcp", l.Addr().String())
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		address := conn.LocalAddr().String()
		for name, auth := range credentials() {
			err := get(newClient(t, atlasclient.Options{BaseURL: "http://" + address, Auth: auth}), t.Context())
			request := getOrders
			if name == "service account" {
				request = postToken
			}
			require.EqualError(t, err,
				fmt.Sprintf("%s: no answer: dial tcp %s: connect: connection refused", request, address))
			require.ErrorIs(t, err, syscall.ECONNREFUSED)
			require.Zero(t, asError(t, err).Status)
		}
	})

	// No request is sent to a server that cannot prove who it is.
	for name, start := range map[string]func(*httptest.Server){
		"not verified": (*httptest.Server).StartTLS, "no TLS": (*httptest.Server).Start,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				t.Errorf("%s %s was sent, with Authorization %q", r.Method, r.URL, r.Header.Get("Authorization"))
			}))
			server.Config.ErrorLog = log.New(io.Discard, "", 0)
			start(server)
			t.Cleanup(server.Close)
			text := map[string]string{
				"not verified": "no answer: tls: failed to verify certificate: x509: certificate signed by " +
					"unknown authority",
				"no TLS": "no answer: http: server gave HTTP response to HTTPS client",
			}[name]
			for _, auth := range credentials() {
				c := newClient(t,
					atlasclient.Options{BaseURL: "https://" + server.Listener.Addr().String(), Auth: auth})
				require.ErrorContains(t, get(c, t.Context()), ": "+text)
			}
		})
	}
}

func TestIsError(t *testing.T) {
	t.Parallel()
	gone := &atlasclient.Error{Status: 404, ErrorCode: "CLUSTER_NOT_FOUND"}
	for _, test := range []struct {
		name  string
		err   error
		codes []string
		want  bool
	}{
		{"nil", nil, []string{"CLUSTER_NOT_FOUND"}, false},
		{"another error", errors.New("CLUSTER_NOT_FOUND"), []string{"CLUSTER_NOT_FOUND"}, false},
		{"the code", gone, []string{"CLUSTER_NOT_FOUND"}, true},
		{"one of the codes", gone, []string{"GROUP_NOT_FOUND", "CLUSTER_NOT_FOUND"}, true},
		{"wrapped", fmt.Errorf("cluster orders: %w", gone), []string{"CLUSTER_NOT_FOUND"}, true},
		{"another code", gone, []string{"GROUP_NOT_FOUND"}, false},
		{"another case", gone, []string{"cluster_not_found"}, false},
		{"no code asked for", gone, nil, false},
		{"no code", &atlasclient.Error{Status: 502}, []string{"CLUSTER_NOT_FOUND"}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, test.want, atlasclient.IsError(test.err, test.codes...))
		})
	}
}

// Callers compare with these, and read them in Atlas's documentation.
func TestCodes(t *testing.T) {
	t.Parallel()
	for want, got := range map[string]string{
		"DUPLICATE_CLUSTER_NAME":                        atlasclient.CodeDuplicateClusterName,
		"CLUSTER_NOT_FOUND":                             atlasclient.CodeClusterNotFound,
		"SERVERLESS_INSTANCE_NOT_FOUND":                 atlasclient.CodeServerlessInstanceNotFound,
		"CANNOT_USE_FLEX_CLUSTER_IN_CLUSTER_API":        atlasclient.CodeFlexInClusterAPI,
		"CANNOT_USE_NON_FLEX_CLUSTER_IN_FLEX_API":       atlasclient.CodeNonFlexInFlexAPI,
		"CANNOT_USE_CLUSTER_IN_SERVERLESS_INSTANCE_API": atlasclient.CodeClusterInServerlessAPI,
		"CANNOT_USE_SERVERLESS_INSTANCE_IN_CLUSTER_API": atlasclient.CodeServerlessInClusterAPI,
		"ATLAS_GENERAL_ERROR":                           atlasclient.CodeGeneralError,
		"NOT_IN_GROUP":                                  atlasclient.CodeNotInGroup,
		"VERSION_GONE":                                  atlasclient.CodeVersionGone,
		"NO_PAYMENT_INFORMATION_FOUND":                  atlasclient.CodeNoPaymentInformationFound,
		"IP_ADDRESS_NOT_ON_ACCESS_LIST":                 atlasclient.CodeIPAddressNotOnAccessList,
	} {
		require.Equal(t, want, got)
	}
}

// What a body says of the request or the status is not believed.
func TestErrorBodyIsOnlyABody(t *testing.T) {
	t.Parallel()
	c := setup(t, step{want: getOrders, status: 500,
		answer: `{"Status":200,"status":200,"error":200,"Method":"X","Path":"/x","RetryAfter":1,"errorCode":"E"}`})
	err := get(c, t.Context())
	want := &atlasclient.Error{Status: 500, ErrorCode: "E", FromAtlas: true, Method: "GET", Path: flex + "/orders"}
	assert.Equal(t, want, err)
}
