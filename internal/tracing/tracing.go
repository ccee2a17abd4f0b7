// Package tracing sends the traces of the worker and the starter by OTLP: a span for each command, call of Temporal,
// workflow run, attempt of an activity and HTTP request.
package tracing

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/atlas-provisioner/atlas-provisioner/internal/version"
)

// scope names the spans that this package starts itself.
const scope = "github.com/atlas-provisioner/atlas-provisioner/internal/tracing"

// Tracing sends the spans of one program. Where the configuration has no endpoint, its methods do nothing.
type Tracing struct {
	config   Config
	exporter *reportingExporter
	provider *sdktrace.TracerProvider // nil: nothing is sent
}

// New begins to send spans. The service is the name of the program unless the configuration has another. report is told
// when spans cannot be sent, and with nil when they can be sent again. It must be safe for concurrent use.
func New(c Config, service string, report func(error)) (*Tracing, error) {
	if !c.Enabled() {
		return &Tracing{}, nil
	}
	exporter, err := newExporter(c)
	if err != nil {
		return nil, fmt.Errorf("traces cannot be sent to %s: %w", c.Endpoint, err)
	}
	program, err := resource.New(context.Background(), resource.WithTelemetrySDK(), resource.WithHost(),
		resource.WithAttributes(attribute.String("service.name", service),
			attribute.String("service.version", version.Version)),
		resource.WithAttributes(c.Attributes...))
	if err != nil {
		return nil, fmt.Errorf("the program cannot be described in traces: %w", err)
	}
	t := &Tracing{config: c, exporter: &reportingExporter{next: exporter, report: report}}
	t.provider = sdktrace.NewTracerProvider(
		sdktrace.WithSpanProcessor(onlyLive{sdktrace.NewBatchSpanProcessor(t.exporter)}),
		sdktrace.WithIDGenerator(ids{}), sdktrace.WithSampler(c.Sampler), sdktrace.WithResource(program))
	return t, nil
}

// Close sends what is left, which takes no longer than the configuration allows. The error says why spans are lost.
func (t *Tracing) Close() error {
	if t.provider == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), t.config.FlushLimit)
	defer cancel()
	err := t.provider.Shutdown(ctx)
	switch failure := t.exporter.lastFailure(); {
	case errors.Is(err, context.DeadlineExceeded):
		_ = t.exporter.Shutdown(ctx) // aborts the export, since ctx has ended
		err = fmt.Errorf("there was no answer within %s", t.config.FlushLimit)
	case err == nil:
		err = failure
	}
	if err != nil {
		return fmt.Errorf("the trace was not sent to %s: %w", t.config.Endpoint, err)
	}
	return nil
}

// StartCommand starts the span of a command, which is the root of a trace unless TRACEPARENT names a parent.
func (t *Tracing) StartCommand(name string, begun time.Time) trace.Span {
	if t.provider == nil {
		return nil
	}
	ctx := trace.ContextWithRemoteSpanContext(context.Background(), t.config.Parent)
	_, span := t.provider.Tracer(scope).Start(ctx, name, trace.WithTimestamp(begun))
	return span
}

// EndCommand ends the span of a command with the exit code of the program.
func EndCommand(span trace.Span, exitCode int) {
	span.SetAttributes(attribute.Int("process.exit.code", exitCode))
	if exitCode != 0 {
		span.SetStatus(codes.Error, "")
	}
	span.End()
}
