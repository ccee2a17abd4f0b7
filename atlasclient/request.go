package atlasclient

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	// apiPath is where the endpoints are, under the API's root.
	apiPath = "/api/atlas/v2"
	// maxBody bounds how much of an answer is read. A list of 500 clusters has about 0.5 MiB.
	maxBody = 4 << 20 //mutate:body-limit
)

// call is one request.
type call struct {
	method   string
	endpoint string   // such as /groups/{groupId}/flexClusters/{name}
	params   []string // of the endpoint, in order; the project is the first
	version  string   // the resource version, a date
	query    url.Values
	body     any          // sent as JSON; nil: no body
	into     any          // what the body of a 2xx answer is decoded into; nil: it is not looked at
	needed   any          // the fields of it that must be of their type; nil: all
	check    func() error // says what is wrong with what was decoded; nil: nothing can be
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

// do is the path that every request goes through. It turns everything but a good answer into an [*Error]; only what
// the limiter says, and the end of ctx before the request was sent, come back as they are. All texts that it answers
// are plain, whatever Atlas or a proxy sent.
func (c *Client) do(ctx context.Context, call call) (*Response, error) {
	release := func(Observation) {}
	if c.limiter != nil {
		var err error
		if release, err = c.limiter.Acquire(ctx, call.params[0], call.resource()); err != nil {
			return nil, err
		}
	}
	seen := Observation{Method: call.method, Endpoint: call.endpoint, GroupID: call.params[0]}
	if err := beforeSend(ctx); err != nil {
		release(seen)
		return nil, err
	}
	begun := time.Now()
	defer func() {
		seen.Duration = time.Since(begun)
		release(seen)
		if c.observe != nil {
			c.observe(ctx, seen)
		}
	}()
	resp, failed := c.send(ctx, call, &seen)
	if failed != nil {
		//mutate:plain-errors
		failed.makePlain()
		return nil, failed
	}
	makePlain(call.into, maxText)
	makePlain(resp, maxText)
	return resp, nil
}

// send sends a request, and notes in the observation what came back.
func (c *Client) send(ctx context.Context, call call, seen *Observation) (*Response, *Error) {
	//mutate:no-memory-leak
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
		if token := (*Error)(nil); errors.As(err, &token) { // there is no token to send the request with
			seen.Method, seen.Endpoint, seen.GroupID = token.Method, token.Path, ""
			seen.Status, seen.RetryAfter = token.Status, token.RetryAfter
			return nil, token
		}
		return nil, failed.because(reason(ctx, err))
	}
	defer resp.Body.Close()

	failed.readHeader(resp)
	seen.Status, seen.RateLimit, seen.RetryAfter = failed.Status, failed.RateLimit, failed.RetryAfter
	_, credential, _ := strings.Cut(resp.Request.Header.Get("Authorization"), " ")
	//mutate:redact-request
	defer failed.redact(credential)
	body, ok := failed.readBody(ctx, resp)
	if !ok {
		failed.Transient = c.digest != nil && c.digest.passes(resp, failed.ErrorCode)
		return nil, failed
	}
	if call.into != nil {
		if err := decode(body, call.into, call.needed); err != nil {
			return nil, failed.because(err)
		}
	}
	if call.check != nil {
		if err := call.check(); err != nil {
			return nil, failed.because(err)
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
	req, err := http.NewRequestWithContext(withEndpoint(ctx, call.endpoint), call.method, target, body)
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

// reason is why there is no answer, or only a part of one: the time limit that ran out, ours or the caller's, or the
// error without the URL, which the [Error] names itself.
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

// decode decodes a body. A field of another type is left empty, unless it is among the needed ones (nil: all are). The
// errors are for people, who know nothing of our types.
func decode(body []byte, into, needed any) error {
	err := json.Unmarshal(body, into)
	var mistyped *json.UnmarshalTypeError
	if needed != nil && errors.As(err, &mistyped) {
		err = json.Unmarshal(body, needed) // the first error says nothing of the other fields
	}
	switch {
	case errors.As(err, &mistyped):
		return fmt.Errorf("the body is not the JSON expected: %s is of type %s",
			cmp.Or(mistyped.Field, "all of it"), mistyped.Value)
	case err != nil:
		return fmt.Errorf("the body is not the JSON expected: %w", err)
	}
	return nil
}

// Response is what an answer says beside its body.
type Response struct {
	Status int
	// Date is the time by Atlas's own clock, in whole seconds; zero where the answer does not say.
	Date time.Time
	// Warnings carry the Deprecation and Sunset of the endpoint.
	Warnings []string
	// RateLimit is what is left to ask for, nil where the answer does not say.
	RateLimit *RateLimit
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
		r.Warnings = []string{fmt.Sprintf("Atlas says of %s %s (version %s): %s",
			call.method, call.path(), call.version, strings.Join(says, ", "))}
	}
	return r
}

// path is an endpoint under the API's root, with each {…} replaced by its param, escaped.
func path(endpoint string, params ...string) string {
	var b strings.Builder
	b.WriteString(apiPath)
	for segment := range strings.SplitSeq(endpoint[1:], "/") {
		b.WriteByte('/')
		if !strings.HasPrefix(segment, "{") {
			b.WriteString(segment)
			continue
		}
		//mutate:path-escape
		s := url.PathEscape(params[0])
		params = params[1:]
		//mutate:path-dots
		if s == "." || s == ".." {
			// PathEscape leaves these, and they change a path.
			s = strings.ReplaceAll(s, ".", "%2E")
		}
		b.WriteString(s)
	}
	return b.String()
}
