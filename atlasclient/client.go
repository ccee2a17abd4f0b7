// Package atlasclient is a small client of the MongoDB Atlas Admin API: the few endpoints that provisioning needs, one
// error type, and nothing that retries or sleeps. Retrying is Temporal's job, where people can see it.
//
// Endpoints and schemas: https://www.mongodb.com/docs/api/doc/atlas-admin-api-v2/
package atlasclient

import (
	"context"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/atlas-provisioner/atlas-provisioner/internal/version"
)

const (
	// DefaultBaseURL is where Atlas is.
	DefaultBaseURL = "https://cloud.mongodb.com"
	// DefaultTimeout bounds one request with all its round trips. The slowest create seen took 0.6 s.
	DefaultTimeout = 15 * time.Second
)

// Options configure a [Client].
type Options struct {
	// BaseURL is the root of the API. Default [DefaultBaseURL].
	BaseURL string
	// AllowHTTP permits a plain-http BaseURL off the loopback interface, over which credentials travel in the clear.
	AllowHTTP bool
	// Auth signs the requests. nil: they are not signed.
	Auth Auth
	// Timeout bounds each request, from the moment that the limiter has granted it. Default [DefaultTimeout].
	Timeout time.Duration
	// Transport carries the requests, each round trip of their authentication included. Default: that of
	// [NewTransport].
	Transport http.RoundTripper
	// Limiter is asked before each request goes out. nil: no limit.
	Limiter Limiter
	// Observe is told of each request once it is over, with the context of its caller, for logs and metrics. It must be
	// safe for concurrent use, and quick. nil tells nobody.
	Observe func(context.Context, Observation)
}

// Client talks to one Atlas. It is safe for concurrent use.
type Client struct {
	base    string
	http    *http.Client
	digest  *digestTransport // nil unless the credential is an API key
	token   *sharedToken     // nil unless the credential is a service account
	timeout time.Duration
	limiter Limiter
	observe func(context.Context, Observation)
}

// New makes a client. It fails when the base URL or the proxy of the environment cannot be used; see [CheckBaseURL] and
// [CheckProxy]. It sends nothing.
func New(o Options) (*Client, error) {
	if o.BaseURL == "" {
		o.BaseURL = DefaultBaseURL
	}
	if err := CheckBaseURL(o.BaseURL, o.AllowHTTP); err != nil {
		return nil, err
	}
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	if o.Transport == nil {
		t, err := NewTransport()
		if err != nil {
			return nil, err
		}
		o.Transport = t
	}
	base := strings.TrimRight(o.BaseURL, "/")
	transport := http.RoundTripper(wire{o.Transport})
	if o.Auth != nil {
		transport = o.Auth.transport(base, transport)
	}
	digest, _ := transport.(*digestTransport)
	token, _ := transport.(*sharedToken)
	return &Client{
		base:    base,
		http:    &http.Client{Transport: transport, CheckRedirect: stay}, //mutate:no-redirect
		digest:  digest,
		token:   token,
		timeout: o.Timeout,
		limiter: o.Limiter,
		observe: o.Observe,
	}, nil
}

// NewTransport makes a transport that takes the proxy from the environment and keeps enough idle connections that a
// busy worker reuses them. It fails when the proxy cannot be used; see [CheckProxy].
func NewTransport() (*http.Transport, error) {
	if err := CheckProxy(os.Getenv); err != nil {
		return nil, err
	}
	t := http.DefaultTransport.(*http.Transport).Clone()
	// Go keeps 2 idle connections a host, which makes a busy worker dial anew for almost every request.
	//mutate:tls
	t.MaxIdleConnsPerHost = t.MaxIdleConns
	return t, nil
}

// stay follows no redirect: the API answers where it is asked, and a credential must never travel to another host.
func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// wire is the transport that each request passes last, when it is signed, and each answer first.
type wire struct{ next http.RoundTripper }

func (t wire) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Header.Set("User-Agent", "atlas-provisioner/"+version.Version)
	resp, err := t.next.RoundTrip(req)
	if err != nil {
		// An answer that is no HTTP is part of the error, and may repeat the credential.
		_, credential, _ := strings.Cut(req.Header.Get("Authorization"), " ")
		return nil, redactError(err, credential)
	}
	resp.Request = req // a Transport of the caller's may leave it out
	if _, err := resp.Location(); err != nil {
		resp.Header.Del("Location") // http.Client would fail and lose the status
	}
	return resp, nil
}
