package atlasclient_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/atlas-provisioner/atlas-provisioner/atlasclient"
)

// recorder is a limiter that notes what it is asked and told. It refuses the request with the number refuse.
type recorder struct {
	events []string
	asked  int
	refuse int
	err    error
}

func (r *recorder) note(format string, args ...any) {
	r.events = append(r.events, fmt.Sprintf(format, args...))
}

func (r *recorder) Acquire(_ context.Context, groupID, resource string) (func(atlasclient.Observation), error) {
	r.asked++
	if r.asked == r.refuse {
		return nil, r.err
	}
	r.note("acquire %s of %s", resource, groupID)
	return func(o atlasclient.Observation) {
		wait := "nothing"
		if o.RetryAfter != nil {
			wait = o.RetryAfter.String()
		}
		r.note("release: %s %s %d, wait %s", o.Method, o.Endpoint, o.Status, wait)
	}, nil
}

// The limiter is asked before each request and told how it ended, and what stands in BeforeSend comes between.
func TestLimiter(t *testing.T) {
	t.Parallel()
	limiter := &recorder{}
	c := newClient(t, atlasclient.Options{Limiter: limiter, BaseURL: serve(t, script(t,
		step{want: "POST " + flex, status: 201, answer: flexAnswer},
		step{want: "GET " + root + "/serverless/orders", status: 429, with: map[string]string{"Retry-After": "7"}},
		step{want: "GET " + root + "/clusters/orders", status: 503},
	))})
	ctx := atlasclient.BeforeSend(t.Context(), func() { limiter.note("before send") })
	_, _, err := c.CreateFlexCluster(ctx, group, orders)
	require.NoError(t, err)
	_, _, err = c.GetServerlessInstance(ctx, group, "orders")
	require.Error(t, err)
	_, _, err = c.GetCluster(t.Context(), group, "orders")
	require.Error(t, err)
	require.Equal(t, []string{
		"acquire flexClusters of " + group,
		"before send",
		"release: POST /groups/{groupId}/flexClusters 201, wait nothing",
		"acquire serverless of " + group,
		"before send",
		"release: GET /groups/{groupId}/serverless/{name} 429, wait 7s",
		"acquire clusters of " + group,
		"release: GET /groups/{groupId}/clusters/{name} 503, wait nothing",
	}, limiter.events)
}

// Each page of a list is a request. What the limiter says of one comes back as it is, and nothing is sent.
func TestLimiterAndPages(t *testing.T) {
	t.Parallel()
	busy := errors.New("busy")
	limiter := &recorder{refuse: 3, err: busy}
	sent := 0
	c := newClient(t, atlasclient.Options{Limiter: limiter, Transport: roundTrip(func(r *http.Request) *http.Response {
		sent++
		var all []string
		for i := range atlasclient.MaxPageSize {
			all = append(all, fmt.Sprintf(`{"name":"c%d-%s","stateName":"IDLE"}`, i, r.URL.Query().Get("pageNum")))
		}
		return reply(200, nil, `{"results":[`+strings.Join(all, ",")+`]}`)
	})})
	before := 0
	_, _, err := c.ListFlexClusters(atlasclient.BeforeSend(t.Context(), func() { before++ }), group)
	require.Equal(t, busy, err)
	require.Equal(t, 2, sent)
	require.Equal(t, 2, before)
	asked, told := "acquire flexClusters of "+group, "release: GET /groups/{groupId}/flexClusters 200, wait nothing"
	require.Equal(t, []string{asked, told, asked, told}, limiter.events)
}

// The time limit of a request begins once the limiter has granted it.
func TestLimiterTakesNoTimeFromTheRequest(t *testing.T) {
	t.Parallel()
	var deadline bool
	slow := limiterFunc(func(ctx context.Context) { _, deadline = ctx.Deadline() })
	c := newClient(t, atlasclient.Options{Limiter: slow, BaseURL: serve(t, answers(200, flexAnswer))})
	require.NoError(t, get(c, t.Context()))
	require.False(t, deadline)
}

type limiterFunc func(ctx context.Context)

func (f limiterFunc) Acquire(ctx context.Context, _, _ string) (func(atlasclient.Observation), error) {
	f(ctx)
	return func(atlasclient.Observation) {}, nil
}

// A context that ends just before its request goes sends nothing, and the limiter learns of it.
func TestBeforeSendEndsTheContext(t *testing.T) {
	t.Parallel()
	limiter := &recorder{}
	observed := 0
	c := newClient(t, atlasclient.Options{Limiter: limiter, BaseURL: serve(t, script(t)),
		Observe: func(context.Context, atlasclient.Observation) { observed++ }})
	ctx, cancel := context.WithCancel(t.Context())
	require.Equal(t, context.Canceled, get(c, atlasclient.BeforeSend(ctx, cancel)))
	require.Zero(t, observed)
	require.Equal(t, []string{"acquire flexClusters of " + group,
		"release: GET /groups/{groupId}/flexClusters/{name} 0, wait nothing"}, limiter.events)
}
