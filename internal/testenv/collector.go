package testenv

import (
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"

	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// Collector takes the traces that programs send by OTLP over HTTP.
type Collector struct {
	// URL is where spans are sent, without the path of traces.
	URL string

	mu     sync.Mutex
	spans  []Span
	texts  strings.Builder
	header http.Header
}

// Span is a span that a program has sent.
type Span struct {
	Service              string // that sent it
	Name                 string
	TraceID, ID, Parent  string // in hexadecimal; Parent is "" for a root
	Kind                 tracepb.Span_SpanKind
	Failed               bool
	StatusText           string
	Attributes           map[string]string // texts and numbers
	StartNanos, EndNanos uint64
}

// StartCollector starts a collector, which ends with the test.
func StartCollector(t TB) *Collector {
	c := &Collector{}
	server := httptest.NewServer(http.HandlerFunc(c.export))
	t.Cleanup(server.Close)
	c.URL = server.URL
	return c
}

// Env is the environment of a program that sends its traces to the collector, and at its end has the patience of the
// tests to do so.
func (c *Collector) Env() []string {
	return []string{
		"OTEL_EXPORTER_OTLP_ENDPOINT=" + c.URL,
		fmt.Sprintf("OTEL_BSP_EXPORT_TIMEOUT=%d", Patience.Milliseconds()),
	}
}

func (c *Collector) export(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var request coltracepb.ExportTraceServiceRequest
	if err != nil || r.Method != http.MethodPost || r.URL.Path != "/v1/traces" ||
		r.Header.Get("Content-Type") != "application/x-protobuf" || proto.Unmarshal(body, &request) != nil {
		http.Error(w, "no traces in protobuf", http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.header = r.Header
	c.texts.WriteString(protojson.Format(&request))
	for _, program := range request.GetResourceSpans() {
		service := attributes(program.GetResource().GetAttributes())["service.name"]
		for _, scope := range program.GetScopeSpans() {
			for _, s := range scope.GetSpans() {
				c.spans = append(c.spans, Span{
					Service: service, Name: s.GetName(),
					TraceID: hex.EncodeToString(s.GetTraceId()), ID: hex.EncodeToString(s.GetSpanId()),
					Parent: hex.EncodeToString(s.GetParentSpanId()), Kind: s.GetKind(),
					Failed:     s.GetStatus().GetCode() == tracepb.Status_STATUS_CODE_ERROR,
					StatusText: s.GetStatus().GetMessage(), Attributes: attributes(s.GetAttributes()),
					StartNanos: s.GetStartTimeUnixNano(), EndNanos: s.GetEndTimeUnixNano(),
				})
			}
		}
	}
}

// Spans returns the spans so far, in the order of their starts.
func (c *Collector) Spans() []Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	spans := slices.Clone(c.spans)
	slices.SortStableFunc(spans, func(a, b Span) int { return int(int64(a.StartNanos) - int64(b.StartNanos)) })
	return spans
}

// Texts returns all that was sent, as JSON.
func (c *Collector) Texts() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.texts.String()
}

// Header returns the header of the last request.
func (c *Collector) Header() http.Header {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.header
}

func attributes(pairs []*commonpb.KeyValue) map[string]string {
	out := map[string]string{}
	for _, pair := range pairs {
		switch v := pair.GetValue().GetValue().(type) {
		case *commonpb.AnyValue_StringValue:
			out[pair.GetKey()] = v.StringValue
		case *commonpb.AnyValue_IntValue:
			out[pair.GetKey()] = strconv.FormatInt(v.IntValue, 10)
		}
	}
	return out
}
