package atlassim_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
)

// What each kind of fault looks like to a client, and whether the request
// takes effect.
func TestFaultKinds(t *testing.T) {
	t.Parallel()
	is := func(status int, text string) func(*testing.T, *reply, error) {
		return func(t *testing.T, r *reply, err error) {
			t.Helper()
			if err != nil || r.status != status || !strings.Contains(r.raw, text) {
				t.Fatalf("got %+v, %v", r, err)
			}
		}
	}
	fails := func(target error) func(*testing.T, *reply, error) {
		return func(t *testing.T, _ *reply, err error) {
			t.Helper()
			if !errors.Is(err, target) {
				t.Fatalf("got %v, want %v", err, target)
			}
		}
	}
	for name, c := range map[string]struct {
		fault  atlassim.Fault
		check  func(*testing.T, *reply, error)
		effect bool
		status int // in the ledger
	}{
		"status": {fault: atlassim.Fault{Kind: "status"}, check: is(503, "UNEXPECTED_ERROR"), status: 503},
		"status, after": {fault: atlassim.Fault{Kind: "status", Status: 500, Reason: "Oops", AfterEffect: true},
			check: is(500, `"reason":"Oops"`), effect: true, status: 500},
		"html": {fault: atlassim.Fault{Kind: "html"}, check: is(502, "<h1>502 Bad Gateway</h1>"), status: 502},
		"html, after": {fault: atlassim.Fault{Kind: "html", Status: 504, AfterEffect: true}, check: is(504, "<html>"),
			effect: true, status: 504},
		"reset": {fault: atlassim.Fault{Kind: "reset"}, check: fails(syscall.ECONNRESET), status: 0},
		"lost":  {fault: atlassim.Fault{Kind: "lost"}, check: fails(syscall.ECONNRESET), effect: true, status: 0},
		"hang, over": {fault: atlassim.Fault{Kind: "hang", Hang: second / 1000}, check: is(201, "CREATING"),
			effect: true, status: 201},
		"hang after, over": {fault: atlassim.Fault{Kind: "hang", Hang: second / 1000, AfterEffect: true},
			check: is(201, "CREATING"), effect: true, status: 201},
		"truncate": {fault: atlassim.Fault{Kind: "truncate"}, check: fails(io.ErrUnexpectedEOF), effect: true,
			status: 201},
		"truncate, before": {fault: atlassim.Fault{Kind: "truncate", BeforeEffect: true},
			check: fails(io.ErrUnexpectedEOF), status: 200},
		"oversize": {fault: atlassim.Fault{Kind: "oversize"}, check: is(200, strings.Repeat("x", 5<<20)),
			status: 200},
		"garbage": {fault: atlassim.Fault{Kind: "garbage"}, check: is(200, "not JSON"), effect: true, status: 200},
		"garbage, before": {fault: atlassim.Fault{Kind: "garbage", BeforeEffect: true}, check: is(200, "not JSON"),
			status: 200},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, atlassim.Config{CreateFor: second, Faults: []atlassim.Fault{c.fault}})
			r, err := b.try(b.request("POST", flexs, flexVersion, flexBody("orders")))
			c.check(t, r, err)
			equal(t, "clusters", len(b.sim.Clusters()), map[bool]int{true: 1}[c.effect])
			equal(t, "effects", b.sim.Count(atlassim.Created), map[bool]int{true: 1}[c.effect])
			e := b.sim.Ledger()[0]
			equal(t, "ledger", []any{e.Fault, e.Status}, []any{c.fault.Kind, c.status})
		})
	}
}

func TestHangUntilTheClientIsGone(t *testing.T) {
	t.Parallel()
	for _, after := range []bool{false, true} {
		answered := make(chan atlassim.Entry, 1)
		arrived := make(chan atlassim.Entry, 1)
		applied := make(chan atlassim.Entry, 1)
		b := setup(t, atlassim.Config{
			Faults: []atlassim.Fault{{Kind: "hang", AfterEffect: after, Times: 1}},
			Hook: func(stage atlassim.Stage, e atlassim.Entry) {
				switch stage {
				case atlassim.Arrived:
					arrived <- e
				case atlassim.Applied:
					applied <- e
				case atlassim.Answered:
					answered <- e
				}
			},
		})
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			<-arrived
			if after {
				<-applied
			}
			cancel()
		}()
		_, err := b.try(b.request("POST", flexs, flexVersion, flexBody("orders")).WithContext(ctx))
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("after=%t: %v", after, err)
		}
		e := <-answered
		equal(t, "status", e.Status, 0)
		equal(t, "took effect", e.Effect == atlassim.Created, after)
	}
}

func TestCloseLetsHangingRequestsGo(t *testing.T) {
	t.Parallel()
	var b *fixture
	b = setup(t, atlassim.Config{
		Faults: []atlassim.Fault{{Kind: "hang", Times: 1}},
		Hook: func(stage atlassim.Stage, _ atlassim.Entry) {
			if stage == atlassim.Arrived {
				b.sim.Close()
			}
		},
	})
	if _, err := b.try(b.request("GET", flexs, flexVersion, "")); err == nil {
		t.Error("a request that hung was answered")
	}
	equal(t, "status", b.sim.Ledger()[0].Status, 0)
}

func TestFaultMatching(t *testing.T) {
	t.Parallel()
	b := setup(t, atlassim.Config{})
	b.create("orders").want(t, 201, nil)
	statuses := func(n int) (out []int) {
		for range n {
			out = append(out, b.do("GET", flexs+"/orders", "").status)
		}
		return out
	}
	b.sim.AddFault(atlassim.Fault{Method: "GET", Path: `flexClusters/[a-z]+$`, Skip: 1, Times: 2, Kind: "status",
		Status:    429,
		ErrorCode: "RATE_LIMITED", Detail: "Slow down.", Parameters: []any{"a", 1}, RetryAfter: "7",
		Header: http.Header{"x-extra": {"1"}}})
	b.do("GET", flexs, "").want(t, 200, nil) // another path
	b.do("PATCH", flexs+"/orders", `{}`).want(t, 200, nil)
	equal(t, "skip 1, times 2", statuses(4), []int{200, 429, 429, 200})

	b.sim.AddFault(atlassim.Fault{Kind: "status", Status: 429, ErrorCode: "RATE_LIMITED", Detail: "Slow down.",
		Parameters: []any{"a", 1}, RetryAfter: "7", Header: http.Header{"x-extra": {"1"}}})
	r := b.do("GET", flexs, "")
	r.wantError(t, 429, "RATE_LIMITED", "Slow down.", "a", 1.0)
	equal(t, "headers", []string{r.header.Get("Retry-After"), r.header.Get("X-Extra")}, []string{"7", "1"})
	b.sim.ClearFaults()
	equal(t, "cleared", statuses(2), []int{200, 200})

	b.sim.AddFault(atlassim.Fault{Auth: atlassim.AuthBearer, Kind: "html"})
	b.do("GET", flexs, "").want(t, 200, nil) // no credential
	bearer := b.request("GET", flexs, flexVersion, "")
	bearer.Header.Set("Authorization", "Bearer any")
	b.send(bearer).want(t, 502, nil)
}

func TestProbabilityIsReproducible(t *testing.T) {
	t.Parallel()
	schedule := func(seed uint64) (out string) {
		b := setup(t, atlassim.Config{Faults: []atlassim.Fault{{Kind: "html", Probability: 0.5, Seed: seed}}})
		for range 40 {
			out += fmt.Sprint(b.do("GET", flexs, "").status == 502, " ")
		}
		return out
	}
	one := schedule(1)
	equal(t, "the same seed", schedule(1), one)
	if schedule(2) == one || !strings.Contains(one, "true") || !strings.Contains(one, "false") {
		t.Errorf("chance has no part in it: %s", one)
	}
}

// A request that only fetches a digest challenge does not use a fault up.
func TestFaultsSpareChallenges(t *testing.T) {
	t.Parallel()
	b := setup(t, atlassim.Config{PublicKey: "abcdefgh", PrivateKey: "s3cret",
		Faults: []atlassim.Fault{{Kind: "lost", Times: 1}}})
	nonce := b.nonce(b.create("orders"))
	r := b.request("POST", flexs, flexVersion, flexBody("orders"))
	digest(r, "abcdefgh", "s3cret", nonce, "00000001")
	if _, err := b.try(r); !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("got %v", err)
	}
	equal(t, "clusters", len(b.sim.Clusters()), 1)
}

func TestHookStages(t *testing.T) {
	t.Parallel()
	var stages []string
	done := make(chan struct{})
	b := setup(t, atlassim.Config{Hook: func(stage atlassim.Stage, e atlassim.Entry) {
		stages = append(stages, fmt.Sprintf("%s %q %d", stage, e.Effect, e.Status))
		if stage == atlassim.Answered {
			close(done)
		}
	}})
	b.create("orders").want(t, 201, nil)
	<-done
	equal(t, "stages", stages, []string{`arrived "" 0`, `applied "created" 0`, `answered "created" 201`})
}

func TestFaultJSON(t *testing.T) {
	t.Parallel()
	in := atlassim.Fault{
		Method:      "POST",
		Path:        "flexClusters",
		Skip:        1,
		Times:       2,
		Probability: 0.5,
		Seed:        9,
		Kind:        "hang",
		AfterEffect: true,
		RetryAfter:  "0",
		Header:      http.Header{"A": {"b"}},
		Hang:        1500 * second / 1000,
	}
	data, err := json.Marshal(in)
	if err != nil || !strings.Contains(string(data), `"hang":"1.5s"`) {
		t.Fatalf("%s %v", data, err)
	}
	var out atlassim.Fault
	if err := json.Unmarshal(data, &out); err != nil || !reflect.DeepEqual(in, out) {
		t.Fatalf("%+v %v", out, err)
	}
	for _, bad := range []string{`{"kind": "lost", "tmes": 1}`, `{"hang": 5}`, `{"hang": "soon"}`} {
		if err := json.Unmarshal([]byte(bad), new(atlassim.Fault)); err == nil {
			t.Errorf("%s is accepted", bad)
		}
	}
}

func TestFaultValidate(t *testing.T) {
	t.Parallel()
	const kinds = "is none of status, html, reset, lost, hang, truncate, oversize, garbage, " +
		"unauthorized, badText, longText, body, rewrite, dropQuery"
	for _, test := range []struct {
		fault atlassim.Fault
		want  string
	}{
		{fault: atlassim.Fault{}, want: `kind: "" ` + kinds},
		{fault: atlassim.Fault{Kind: "explode", Skip: -1}, want: `kind: "explode" ` + kinds +
			"\nskip, times and hang must not be negative"},
		{fault: atlassim.Fault{Kind: "lost", Path: "("}, want: "path: error parsing regexp: missing closing ): `(`"},
		{fault: atlassim.Fault{Kind: "lost", Times: -1}, want: "skip, times and hang must not be negative"},
		{fault: atlassim.Fault{Kind: "lost", Probability: 2}, want: "probability: 2 is not between 0 and 1"},
		{fault: atlassim.Fault{Kind: "rewrite"}, want: "set: the kind rewrite needs the attributes to set"},
		{fault: atlassim.Fault{Kind: "status", Status: 99}, want: "status: 99 is not between 200 and 599"},
		{fault: atlassim.Fault{Kind: "lost", BeforeEffect: true},
			want: "beforeEffect: contradicts afterEffect or the kind lost"},
		{fault: atlassim.Fault{Kind: "html", BeforeEffect: true, AfterEffect: true},
			want: "beforeEffect: contradicts afterEffect or the kind lost"},
	} {
		if err := test.fault.Validate(); err == nil || err.Error() != test.want {
			t.Errorf("%+v: got %v, want %s", test.fault, err, test.want)
		}
	}
}
