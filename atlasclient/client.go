// Package atlasclient is a small client of the MongoDB Atlas Admin API: the few
// endpoints that provisioning needs, one error type, and nothing that retries
// or sleeps. Retrying is Temporal's job, where people can see it.
//
// Endpoints and schemas: https://www.mongodb.com/docs/api/doc/atlas-admin-api-v2/
package atlasclient

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/atlas-provisioner/atlas-provisioner/internal/version"
)

const (
	// DefaultBaseURL is where Atlas is.
	DefaultBaseURL = "https://cloud.mongodb.com"
	// DefaultTimeout bounds one request with all its round trips. The slowest
	// create seen took 0.6 s.
	DefaultTimeout = 15 * time.Second
	// maxBody bounds how much of an answer is read. A list of 500 clusters
	// has about 0.5 MiB.
	maxBody = 4 << 20
)

// Options configure a [Client].
type Options struct {
	// BaseURL is the root of the API. Default [DefaultBaseURL].
	BaseURL string
	// AllowHTTP permits a plain-http BaseURL off the loopback interface, over
	// which credentials travel in the clear.
	AllowHTTP bool
	// Auth signs the requests. nil sends none.
	Auth Auth
	// Timeout bounds each request. Default [DefaultTimeout].
	Timeout time.Duration
	// Transport carries the requests. Default: one with enough idle
	// connections that a busy worker reuses them.
	Transport http.RoundTripper
	// Limiter is asked before each request goes out. nil: no limit.
	Limiter Limiter
	// Observe is told of each request once it is over, for metrics. It must be
	// safe for concurrent use, and quick. nil tells nobody.
	Observe func(Observation)
}

// Client talks to one Atlas. It is safe for concurrent use.
type Client struct {
	base    string
	http    *http.Client
	timeout time.Duration
	limiter Limiter
	observe func(Observation)
}

// New makes a client. It fails when the base URL cannot be used; see
// [CheckBaseURL]. It sends nothing.
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
		t := http.DefaultTransport.(*http.Transport).Clone()
		// Go keeps 2 idle connections a host, which makes a busy worker dial
		// anew for almost every request.
		t.MaxIdleConnsPerHost = t.MaxIdleConns
		o.Transport = t
	}
	base := strings.TrimRight(o.BaseURL, "/")
	transport := http.RoundTripper(wire{o.Transport})
	if o.Auth != nil {
		transport = o.Auth.transport(base, transport)
	}
	return &Client{
		base:    base,
		timeout: o.Timeout,
		limiter: o.Limiter,
		observe: o.Observe,
		http:    &http.Client{Transport: transport, CheckRedirect: stay},
	}, nil
}

// CheckBaseURL says what is wrong with the root of an API: it must be absolute
// and https, or http to a loopback address unless allowHTTP, and hold neither
// credentials nor a query.
func CheckBaseURL(raw string, allowHTTP bool) error {
	u, err := url.Parse(raw)
	switch {
	case err != nil, u.Hostname() == "", u.Scheme != "https" && u.Scheme != "http":
		return errors.New("must be an absolute https URL, such as " + DefaultBaseURL)
	case u.User != nil:
		return errors.New("must not hold a user name or password: they would show up in errors and logs")
	case strings.ContainsAny(raw, "?#"):
		return errors.New("must not hold a query or fragment")
	case u.Scheme == "http" && !allowHTTP && !loopback(u.Hostname()):
		return fmt.Errorf("must be https: plain http to %s would send the credential in the clear", u.Hostname())
	}
	return nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// stay follows no redirect: the API answers where it is asked, and a credential
// must never travel to another host.
func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// wire is what every request passes last, signed, and every answer first.
type wire struct{ next http.RoundTripper }

func (t wire) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Header.Set("User-Agent", "atlas-provisioner/"+version.Version)
	resp, err := t.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	resp.Request = req // a Transport of the caller's may leave it out
	if _, err := resp.Location(); err != nil {
		resp.Header.Del("Location") // or http.Client would fail and lose the status
	}
	return resp, nil
}

// Response is what an answer says beside its body.
type Response struct {
	Status int
	// Date is the time by Atlas's own clock, in whole seconds; zero where the
	// answer does not say.
	Date time.Time
	// Warnings carry the Deprecation and Sunset of the endpoint.
	Warnings []string
	// RateLimit is what is left to ask for, nil where the answer does not say.
	RateLimit *RateLimit
}

// call is one request.
type call struct {
	method   string
	endpoint string   // such as /groups/{groupId}/flexClusters/{name}
	params   []string // of the endpoint, in order; the project is the first
	version  string   // the resource version, a date
	query    url.Values
	body     any // sent as JSON, nil for none
}

// path is the endpoint under the API's root with its params, each escaped.
func (c call) path() string { return path(c.endpoint, c.params...) }

// resource is the first path segment after the project, such as flexClusters.
func (c call) resource() string {
	_, resource, _ := strings.Cut(c.endpoint, "{groupId}/")
	if end := strings.IndexAny(resource, "/:"); end >= 0 {
		resource = resource[:end]
	}
	return resource
}

// do is the path that every request goes through. It decodes a 2xx answer into into, unless that is nil, and turns
// everything else into an [*Error]. Only what the limiter says, and the end of ctx before anything is sent, come back as
// they are.
func (c *Client) do(ctx context.Context, call call, into any) (*Response, error) {
	release := func(Observation) {}
	if c.limiter != nil {
		var err error
		if release, err = c.limiter.Acquire(ctx, call.params[0], call.resource()); err != nil {
			return nil, err
		}
	}
	observation := Observation{Method: call.method, Endpoint: call.endpoint, GroupID: call.params[0]}
	if err := beforeSend(ctx); err != nil {
		release(observation)
		return nil, err
	}
	begun := time.Now()
	defer func() {
		observation.Duration = time.Since(begun)
		release(observation)
		if c.observe != nil {
			c.observe(observation)
		}
	}()
	return c.send(ctx, call, into, &observation)
}

// send sends a request, and notes in the observation what came back.
func (c *Client) send(ctx context.Context, call call, into any, seen *Observation) (*Response, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, c.timeout,
		fmt.Errorf("the time limit of %s ran out: %w", c.timeout, context.DeadlineExceeded))
	defer cancel()

	failed := &Error{Method: call.method, Path: call.path()}
	req, err := c.request(ctx, call)
	if err != nil {
		return nil, failed.because(err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		var own *Error // the token endpoint's
		if errors.As(err, &own) {
			seen.Method, seen.Endpoint, seen.GroupID = own.Method, own.Path, ""
			seen.Status, seen.RetryAfter = own.Status, own.RetryAfter
			return nil, own
		}
		return nil, failed.because(reason(ctx, err))
	}
	defer resp.Body.Close()

	failed.read(resp)
	seen.Status, seen.RateLimit, seen.RetryAfter = failed.Status, failed.RateLimit, failed.RetryAfter
	_, credential, _ := strings.Cut(resp.Request.Header.Get("Authorization"), " ")
	defer failed.redact(credential)
	body, err := readBounded(ctx, resp.Body)
	switch {
	case err != nil:
		return nil, failed.because(err)
	case resp.StatusCode >= 400:
		failed.parse(body)
		return nil, failed
	case resp.StatusCode >= 300:
		return nil, failed.because(fmt.Errorf("a redirect to %q, which is not followed", resp.Header.Get("Location")))
	case into != nil:
		if err := json.Unmarshal(body, into); err != nil {
			return nil, failed.because(fmt.Errorf("the body is not the JSON expected: %w", err))
		}
	}
	return response(call, resp), nil
}

func (c *Client) request(ctx context.Context, call call) (*http.Request, error) {
	var body io.Reader
	if call.body != nil {
		b, err := json.Marshal(call.body)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(b)
	}
	target := c.base + call.path()
	if len(call.query) > 0 {
		target += "?" + call.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, call.method, target, body)
	if err != nil {
		return nil, err
	}
	// Atlas serves the newest version of a resource at or before the date.
	mediaType := "application/vnd.atlas." + call.version + "+json"
	req.Header.Set("Accept", mediaType)
	if body != nil {
		req.Header.Set("Content-Type", mediaType)
	}
	return req, nil
}

// reason is why there is no answer, or only a part of one: the time limit that
// ran out, ours or the caller's, or the error without the URL, which the [Error]
// names itself.
func reason(ctx context.Context, err error) error {
	var outer *url.Error
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return context.Cause(ctx)
	case errors.As(err, &outer):
		return outer.Err
	}
	return err
}

func readBounded(ctx context.Context, r io.Reader) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r, maxBody+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("the body was cut short: %w", reason(ctx, err))
	case len(body) > maxBody:
		return nil, fmt.Errorf("the body has more than %d MiB", maxBody>>20)
	}
	return body, nil
}

func response(call call, resp *http.Response) *Response {
	r := &Response{Status: resp.StatusCode, RateLimit: rateLimit(resp.Header)}
	r.Date, _ = http.ParseTime(resp.Header.Get("Date"))
	var says []string
	for _, name := range []string{"Deprecation", "Sunset"} {
		if v := resp.Header.Get(name); v != "" {
			says = append(says, name+" "+v)
		}
	}
	if len(says) > 0 {
		r.Warnings = []string{fmt.Sprintf("Atlas says of %s %s (version %s): %s", call.method, call.path(), call.version, strings.Join(says, ", "))}
	}
	return r
}

// path is an endpoint under the API's root, with each {…} replaced by its param,
// escaped.
func path(endpoint string, params ...string) string {
	var b strings.Builder
	b.WriteString("/api/atlas/v2")
	for segment := range strings.SplitSeq(endpoint[1:], "/") {
		b.WriteByte('/')
		if !strings.HasPrefix(segment, "{") {
			b.WriteString(segment)
			continue
		}
		s := url.PathEscape(params[0])
		params = params[1:]
		if s == "." || s == ".." {
			// The one thing that PathEscape leaves and that changes a path.
			s = strings.ReplaceAll(s, ".", "%2E")
		}
		b.WriteString(s)
	}
	return b.String()
}
