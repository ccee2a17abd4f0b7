package atlassim_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim/atlassimtest"
)

const (
	second = atlassim.Duration(time.Second)
	minute = 60 * second

	group   = "64a1b2c3d4e5f60718293a4b"
	other   = "64a1b2c3d4e5f60718293a4c"
	foreign = "64a1b2c3d4e5f60718293a4d"

	flexVersion = "2024-11-13"
	oldVersion  = "2023-01-01"
)

var (
	root  = "/api/atlas/v2/groups/" + group
	flexs = root + "/flexClusters"
)

// fixture is a simulator under test, with a clock that only the test moves.
type fixture struct {
	t     *testing.T
	sim   *atlassim.Server
	url   string
	clock *atlassimtest.Clock
	http  *http.Client
}

func setup(t *testing.T, cfg atlassim.Config) *fixture {
	t.Helper()
	clock := atlassimtest.NewClock()
	if cfg.Now == nil {
		cfg.Now = clock.Now
	}
	sim, url := atlassimtest.Start(t, cfg)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &fixture{t: t, sim: sim, url: url, clock: clock, http: &http.Client{Transport: transport,
		Timeout: 5 * time.Second}}
}

// attrs are attributes of a JSON object.
type attrs = map[string]any

// reply is an answer, read to its end.
type reply struct {
	status int
	header http.Header
	raw    string
	json   map[string]any
}

// request makes a request whose Accept and Content-Type ask for the version.
func (b *fixture) request(method, path, version, body string) *http.Request {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), method, b.url+path, bytes.NewBufferString(body))
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Accept", "application/vnd.atlas."+version+"+json")
	if body != "" {
		r.Header.Set("Content-Type", "application/vnd.atlas."+version+"+json")
	}
	return r
}

func (b *fixture) try(r *http.Request) (*reply, error) {
	res, err := b.http.Do(r)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	out := &reply{status: res.StatusCode, header: res.Header, raw: string(raw)}
	_ = json.Unmarshal(raw, &out.json)
	return out, err
}

func (b *fixture) send(r *http.Request) *reply {
	b.t.Helper()
	out, err := b.try(r)
	if err != nil {
		b.t.Fatalf("%s %s: %v", r.Method, r.URL.Path, err)
	}
	return out
}

// do sends a request in the version that fits the endpoint.
func (b *fixture) do(method, path, body string) *reply {
	b.t.Helper()
	return b.send(b.request(method, path, flexVersion, body))
}

func (b *fixture) create(name string) *reply {
	b.t.Helper()
	return b.do("POST", flexs, flexBody(name))
}

func flexBody(name string) string {
	return fmt.Sprintf(`{"name": %q, "providerSettings": {"backingProviderName": "AWS", "regionName": "US_EAST_1"},
		"tags": [{"key": "team", "value": "orders"}]}`, name)
}

// wantError asserts a whole Atlas error answer.
func (r *reply) wantError(t *testing.T, status int, code, detail string, params ...any) {
	t.Helper()
	want := attrs{"detail": detail, "error": float64(status), "errorCode": code,
		"parameters": nil, "reason": http.StatusText(status)}
	if len(params) > 0 {
		want["parameters"] = params
	}
	if r.status != status || !reflect.DeepEqual(r.json, want) {
		t.Fatalf("got %d %s\nwant %d %v", r.status, r.raw, status, want)
	}
	if got := r.header.Get("X-Error-Code"); got != code {
		t.Errorf("X-Error-Code %q, want %q", got, code)
	}
	if got := r.header.Get("Content-Type"); got != "application/json" {
		t.Errorf("Content-Type %q", got)
	}
}

// want asserts the status and some of the body's attributes.
func (r *reply) want(t *testing.T, status int, attributes map[string]any) {
	t.Helper()
	got := maps.Clone(r.json)
	maps.DeleteFunc(got, func(k string, _ any) bool { _, asked := attributes[k]; return !asked })
	if r.status != status || len(attributes) > 0 && !reflect.DeepEqual(got, attributes) {
		t.Fatalf("got %d %s\nwant %d %v", r.status, r.raw, status, attributes)
	}
}

// wantCode asserts the status and Atlas's errorCode.
func (r *reply) wantCode(t *testing.T, status int, code string) {
	t.Helper()
	r.want(t, status, attrs{"errorCode": code})
}

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("%s: got %v, want %v", what, got, want)
	}
}

func tags(pairs ...string) []any {
	out := []any{}
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, attrs{"key": pairs[i], "value": pairs[i+1]})
	}
	return out
}

// sortedFields joins names in order.
func sortedFields(names []string) string {
	slices.Sort(names)
	return strings.Join(names, " ")
}
