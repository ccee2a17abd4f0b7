package atlasclient_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/atlas-provisioner/atlas-provisioner/atlasclient"
)

func TestCheckBaseURL(t *testing.T) {
	t.Parallel()
	const (
		absolute = "must be an absolute https URL, such as https://cloud.mongodb.com"
		userinfo = "must not hold a user name or password: they would show up in errors and logs"
		query    = "must not hold a query or fragment"
		apiPath  = "must be the root of the API, without a path such as /api/atlas/v2, such as " +
			"https://cloud.mongodb.com"
		port  = "must have a port from 1 to 65535, not %s"
		plain = "must be https: plain http to %s would send the credential in the clear"
	)
	for _, test := range []struct {
		url       string
		allowHTTP bool
		want      string
	}{
		{url: atlasclient.DefaultBaseURL},
		{url: "https://cloud.mongodb.com/"},
		{url: "https://cloud.mongodb.com:8443/atlas"},
		{url: "HTTPS://CLOUD.MONGODB.COM"},
		{url: "https://[2001:db8::1]"},
		{url: "http://localhost"},
		{url: "http://localhost:8080/"},
		{url: "http://127.0.0.1:8080"},
		{url: "http://127.8.9.10"},
		{url: "http://[::1]"},
		{url: "http://[::1]:8080"},
		{url: "http://atlas-sim:8080", allowHTTP: true},
		{url: "http://192.0.2.1", allowHTTP: true},
		{url: "https://cloud.mongodb.com", allowHTTP: true},

		{url: "http://cloud.mongodb.com", want: fmt.Sprintf(plain, "cloud.mongodb.com")},
		{url: "http://atlas-sim:8080/", want: fmt.Sprintf(plain, "atlas-sim")},
		{url: "http://localhost.example.com", want: fmt.Sprintf(plain, "localhost.example.com")},
		{url: "http://127.0.0.1.example.com", want: fmt.Sprintf(plain, "127.0.0.1.example.com")},
		{url: "http://0.0.0.0:80", want: fmt.Sprintf(plain, "0.0.0.0")},
		{url: "http://192.0.2.1", want: fmt.Sprintf(plain, "192.0.2.1")},
		{url: "http://[::2]:80", want: fmt.Sprintf(plain, "::2")},

		{url: "https://key:secret@cloud.mongodb.com", want: userinfo},
		{url: "https://key@cloud.mongodb.com", want: userinfo},
		{url: "https://@cloud.mongodb.com", want: userinfo},
		{url: "http://key:secret@localhost", allowHTTP: true, want: userinfo},

		{url: "https://cloud.mongodb.com?pretty=true", want: query},
		{url: "https://cloud.mongodb.com/?", want: query},
		{url: "https://cloud.mongodb.com?", want: query},
		{url: "https://cloud.mongodb.com#top", want: query},
		{url: "https://cloud.mongodb.com#", want: query},

		{url: "https://cloud.mongodb.com/api/atlas/v2", want: apiPath},
		{url: "https://cloud.mongodb.com/api/atlas/v2/", want: apiPath},
		{url: "https://cloud.mongodb.com/api/atlas/v1.0", want: apiPath},
		{url: "https://cloud.mongodb.com/api/atlas", want: apiPath},
		{url: "https://cloud.mongodb.com//api//atlas/v2", want: apiPath},
		{url: "https://cloud.mongodb.com/API/Atlas/v2", want: apiPath},
		{url: "https://cloud.mongodb.com/%61pi/atlas/v2", want: apiPath},
		{url: "https://cloud.mongodb.com/api/atlas/v2/groups/" + group, want: apiPath},
		{url: "https://cloud.mongodb.com/api", want: apiPath},
		{url: "https://cloud.mongodb.com/api/oauth/token", want: apiPath},
		{url: "https://cloud.mongodb.com/api/public/v1.0", want: apiPath},
		{url: "https://gateway.example/atlas/api/atlas/v2", want: apiPath},
		{url: "http://localhost:8080/api/atlas/v2", want: apiPath},
		{url: "https://gateway.example/apis/atlas"},
		{url: "https://gateway.example/mongodb/api"},

		{url: "https://cloud.mongodb.com:99999", want: fmt.Sprintf(port, "99999")},
		{url: "https://cloud.mongodb.com:65536", want: fmt.Sprintf(port, "65536")},
		{url: "https://cloud.mongodb.com:0", want: fmt.Sprintf(port, "0")},
		{url: "http://localhost:99999", want: fmt.Sprintf(port, "99999")},
		{url: "https://cloud.mongodb.com:65535"},

		{url: "", want: absolute},
		{url: "cloud.mongodb.com", want: absolute},
		{url: "cloud.mongodb.com:443", want: absolute},
		{url: "localhost:8080", allowHTTP: true, want: absolute},
		{url: "/api/atlas", want: absolute},
		{url: "//cloud.mongodb.com", want: absolute},
		{url: "https:cloud.mongodb.com", want: absolute},
		{url: "https://", want: absolute},
		{url: "https:///api", want: absolute},
		{url: "https://:443", want: absolute},
		{url: "ftp://cloud.mongodb.com", want: absolute},
		{url: "file:///etc/passwd", allowHTTP: true, want: absolute},
		{url: " https://cloud.mongodb.com", want: absolute},
		{url: "https://cloud.mongodb.com\n", want: absolute},
		{url: "https://cloud mongodb com", want: absolute},
		{url: "https://[::1", want: absolute},
		{url: "https://key:secret@%zz", want: absolute},
		{url: "https://cloud.mongodb.com:https", want: absolute},
	} {
		t.Run(fmt.Sprintf("%q %t", test.url, test.allowHTTP), func(t *testing.T) {
			t.Parallel()
			err := atlasclient.CheckBaseURL(test.url, test.allowHTTP)
			if test.want == "" {
				require.NoError(t, err)
			} else {
				require.EqualError(t, err, test.want)
			}
			if test.url != "" { // for which New has a default
				c, newErr := atlasclient.New(atlasclient.Options{BaseURL: test.url, AllowHTTP: test.allowHTTP})
				require.Equal(t, err, newErr)
				require.Equal(t, err == nil, c != nil)
			}
		})
	}
}

func TestCheckProxy(t *testing.T) {
	t.Parallel()
	for value, good := range map[string]bool{
		"":                                  true,
		"http://proxy.example:3128":         true,
		"https://proxy.example":             true,
		"socks5://proxy.example:1080":       true,
		"socks5h://127.0.0.1:1080":          true,
		"http://user:pass@proxy.example:80": true,
		"proxy.example:3128":                true,
		"proxy.example":                     true,
		"[::1]:3128":                        true,
		"user:pass@proxy.example:3128":      true,

		"http://":                    false,
		"http://:3128":               false,
		":3128":                      false,
		"ftp://proxy.example":        false,
		"http:/proxy.example":        false,
		"http://proxy.example:99999": false,
		"http://proxy.example:port":  false,
		"http://proxy.example\n":     false,
		" http://proxy.example":      false,
		"http://user:p%zz@proxy":     false,
		"http://[::1":                false,
		"://proxy.example":           false,
		"proxy example":              false,
	} {
		for _, name := range []string{"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"} {
			t.Run(fmt.Sprintf("%s=%q", name, value), func(t *testing.T) {
				t.Parallel()
				err := atlasclient.CheckProxy(func(asked string) string {
					return map[string]string{name: value, "NO_PROXY": "http://"}[asked]
				})
				if good {
					require.NoError(t, err)
				} else {
					require.EqualError(t, err, name+" must be the URL of a proxy, such as http://proxy.example:3128")
				}
			})
		}
	}
}

// A proxy that cannot be used is an error before anything is sent; Go would send the requests past it.
func TestProxyThatCannotBeUsed(t *testing.T) {
	t.Setenv("HTTPS_PROXY", "http://user:secret@:3128")
	c, err := atlasclient.New(atlasclient.Options{})
	require.Nil(t, c)
	require.EqualError(t, err, "HTTPS_PROXY must be the URL of a proxy, such as http://proxy.example:3128")
	// A transport of the caller's is the caller's affair.
	newClient(t, atlasclient.Options{Transport: http.DefaultTransport})
}

func TestBaseURL(t *testing.T) {
	t.Parallel()
	for base, want := range map[string]string{
		"":                              "https://cloud.mongodb.com" + flex + "/orders",
		"https://atlas.example/":        "https://atlas.example" + flex + "/orders",
		"https://atlas.example:444///":  "https://atlas.example:444" + flex + "/orders",
		"http://localhost:8080/gov/us/": "http://localhost:8080/gov/us" + flex + "/orders",
	} {
		t.Run(base, func(t *testing.T) {
			t.Parallel()
			var got []string
			c := newClient(t,
				atlasclient.Options{BaseURL: base, Transport: roundTrip(func(r *http.Request) *http.Response {
					got = append(got, r.URL.String())
					return reply(404, nil, "")
				})})
			require.EqualError(t, get(c, t.Context()), getOrders+": 404")
			require.Equal(t, []string{want}, got)
		})
	}
}

// The client does without what a transport may leave out of an answer.
func TestBareTransport(t *testing.T) {
	t.Parallel()
	for name, auth := range credentials() {
		for _, status := range []int{200, 302, 401, 500} {
			t.Run(fmt.Sprint(name, " ", status), func(t *testing.T) {
				t.Parallel()
				c := overTransport(t, auth, func(r *http.Request) *http.Response {
					body, code := `{"access_token":"t","name":"orders","stateName":"IDLE"}`, status
					if r.URL.Path == "/api/oauth/token" {
						code = 200
					}
					return reply(code, nil, body)
				})
				cluster, resp, err := c.GetFlexCluster(t.Context(), group, "orders")
				if status == 200 {
					require.NoError(t, err)
					require.Equal(t, "orders", cluster.Name)
					require.Equal(t, &atlasclient.Response{Status: 200}, resp)
					return
				}
				require.Equal(t, status, asError(t, err).Status)
			})
		}
	}
}

// A busy worker has as many connections as it has requests at the same time, and no more.
func TestConnectionsAreReused(t *testing.T) {
	t.Parallel()
	const many = 20
	type gate struct{ arrived, open chan struct{} }
	for name, auth := range credentials() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var dialed, asked atomic.Int32
			var current atomic.Pointer[gate]
			statuses := []int{200, 404, 503, 204, 400}
			server := httptest.NewUnstartedServer(guard(auth, nil, func(w http.ResponseWriter, r *http.Request) {
				if g := current.Load(); g != nil {
					g.arrived <- struct{}{}
					<-g.open
				}
				answers(statuses[int(asked.Add(1))%len(statuses)], `{"errorCode":"E"}`)(w, r)
			}))
			server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
				if s == http.StateNew {
					dialed.Add(1)
				}
			}
			server.Start()
			t.Cleanup(server.Close)
			c := newClient(t, atlasclient.Options{BaseURL: server.URL, Auth: auth})

			ask := func(i int) { // without an error or with one, with a body or without
				var err error
				switch i % 3 {
				case 0:
					err = get(c, t.Context())
				case 1:
					_, err = c.DeleteFlexCluster(t.Context(), group, "orders")
				default:
					_, _, err = c.CreateFlexCluster(t.Context(), group, orders)
				}
				if err != nil {
					assert.NotZero(t, asError(t, err).Status)
				}
			}
			for i := range 50 {
				ask(i)
			}
			require.EqualValues(t, 50, asked.Load())
			require.EqualValues(t, 1, dialed.Load())

			var after int32 // the first round
			for round := range 3 {
				g := &gate{make(chan struct{}, many), make(chan struct{})}
				current.Store(g)
				go func() {
					for range many {
						<-g.arrived
					}
					close(g.open)
				}()
				atOnce(many, ask)
				if round == 0 {
					after = dialed.Load()
					require.GreaterOrEqual(t, after, int32(many))
					require.LessOrEqual(t, after, int32(2*many), "twice as many where each fetches a challenge")
				}
				require.Equal(t, after, dialed.Load())
			}
		})
	}
}

// Each of many concurrent requests gets its own answer.
func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	for name, auth := range credentials() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := overServer(t, auth, guard(auth, nil, func(w http.ResponseWriter, r *http.Request) {
				fmt.Fprintf(w, `{"name":%q,"stateName":"IDLE"}`, r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:])
			}))
			atOnce(50, func(i int) {
				cluster, _, err := c.GetFlexCluster(context.WithoutCancel(t.Context()), group, fmt.Sprint("c", i))
				if assert.NoError(t, err) {
					assert.Equal(t, fmt.Sprint("c", i), cluster.Name)
				}
			})
		})
	}
}
