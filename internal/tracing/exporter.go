package tracing

import (
	"context"
	"sync"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/grpc/credentials"
)

// newExporter makes the exporter for the endpoint. It connects to nothing yet. What the exporter itself would read from
// the environment of the process is given to it, so that tests need not change that.
func newExporter(c Config) (sdktrace.SpanExporter, error) {
	if c.Protocol == protocolGRPC {
		options := []otlptracegrpc.Option{
			otlptracegrpc.WithEndpointURL(c.Endpoint), otlptracegrpc.WithHeaders(c.Headers),
			otlptracegrpc.WithTimeout(c.Timeout),
		}
		if c.Gzip {
			options = append(options, otlptracegrpc.WithCompressor("gzip"))
		}
		if c.TLS != nil {
			options = append(options, otlptracegrpc.WithTLSCredentials(credentials.NewTLS(c.TLS)))
		}
		return otlptracegrpc.New(context.Background(), options...)
	}
	options := []otlptracehttp.Option{
		otlptracehttp.WithEndpointURL(c.Endpoint), otlptracehttp.WithHeaders(c.Headers),
		otlptracehttp.WithTimeout(c.Timeout),
	}
	if c.Protocol == protocolJSON {
		options = append(options, otlptracehttp.WithEncoding(otlptracehttp.EncodingJSON))
	}
	if c.Gzip {
		options = append(options, otlptracehttp.WithCompression(otlptracehttp.GzipCompression))
	}
	if c.TLS != nil {
		options = append(options, otlptracehttp.WithTLSClientConfig(c.TLS))
	}
	return otlptracehttp.New(context.Background(), options...)
}

// reportingExporter reports when exports begin to fail, and when they succeed again. It hides the errors from the SDK,
// which would hand each to a handler of the whole process that prints them.
type reportingExporter struct {
	next   sdktrace.SpanExporter
	report func(error)

	mu      sync.Mutex
	failure error // of the last export
}

// ExportSpans sends spans.
func (e *reportingExporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	err := e.next.ExportSpans(ctx, spans)
	e.mu.Lock()
	changed := (err == nil) != (e.failure == nil)
	e.failure = err
	e.mu.Unlock()
	if changed {
		e.report(err)
	}
	return nil
}

// Shutdown stops the exporter. It aborts an export that is under way when ctx ends.
func (e *reportingExporter) Shutdown(ctx context.Context) error { return e.next.Shutdown(ctx) }

// lastFailure is the error of the last export.
func (e *reportingExporter) lastFailure() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.failure
}
