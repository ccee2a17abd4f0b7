package tracing

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.temporal.io/sdk/contrib/opentelemetry"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/workflow"
)

// Interceptors trace the calls of a client, and the workflows and activities of a worker that uses the client. Calls
// that have no span in their context are under the parent; nil for none. Queries have no spans, since progress is
// queried every second.
func (t *Tracing) Interceptors(parent trace.Span) ([]interceptor.ClientInterceptor, error) {
	if t.provider == nil {
		return nil, nil
	}
	options := opentelemetry.TracerOptions{
		Tracer:              t.provider.Tracer("temporal-sdk-go"),
		TextMapPropagator:   propagation.TraceContext{},
		DisableBaggage:      true, // histories would keep whatever a caller has in it
		DisableQueryTracing: true,
	}
	sdk, err := opentelemetry.NewTracer(options)
	if err != nil {
		return nil, err
	}
	tracing := interceptor.NewTracingInterceptor(tracer{Tracer: sdk, options: options, parent: parent})
	return []interceptor.ClientInterceptor{liveInterceptor{tracing}}, nil
}

// tracer is the SDK's tracer with three differences: the names of the trace in log lines, the parent of calls without
// one, and the ids of what a replay starts again.
type tracer struct {
	interceptor.Tracer
	options opentelemetry.TracerOptions
	parent  trace.Span
}

// SpanFromContext returns the span of a context, or the parent of calls without one.
func (t tracer) SpanFromContext(ctx context.Context) interceptor.TracerSpan {
	if span := t.Tracer.SpanFromContext(ctx); span != nil || t.parent == nil {
		return span
	}
	return t.Tracer.SpanFromContext(trace.ContextWithSpan(ctx, t.parent))
}

// GetLogger adds the trace to the lines of a workflow or an activity, under the names that OpenTelemetry gives to them.
func (t tracer) GetLogger(logger log.Logger, ref interceptor.TracerSpanRef) log.Logger {
	span, ok := ref.(interface{ SpanContext() trace.SpanContext })
	if !ok {
		return logger
	}
	c := span.SpanContext()
	return log.With(logger, "trace_id", c.TraceID().String(), "span_id", c.SpanID().String())
}

// StartSpan starts a span. What a replay starts again, such as the span of a run, gets the same ids again, so that its
// children belong to it whichever worker goes on with the run.
func (t tracer) StartSpan(o *interceptor.TracerStartSpanOptions) (interceptor.TracerSpan, error) {
	if o.IdempotencyKey == "" {
		return t.Tracer.StartSpan(o)
	}
	options := t.options
	options.SpanStarter = func(
		ctx context.Context, t trace.Tracer, name string, start ...trace.SpanStartOption,
	) trace.Span {
		ctx = context.WithValue(ctx, idempotencyKey{}, o.IdempotencyKey)
		_, span := t.Start(ctx, name, append(start, trace.WithAttributes(live.Bool(false)))...)
		return span
	}
	sdk, err := opentelemetry.NewTracer(options)
	if err != nil {
		return nil, err
	}
	return sdk.StartSpan(o)
}

type idempotencyKey struct{}

// ids makes the ids of spans: from the idempotency key where there is one, otherwise by chance.
type ids struct{}

// NewIDs returns the ids of a trace and of its root.
func (i ids) NewIDs(ctx context.Context) (id trace.TraceID, span trace.SpanID) {
	if key, ok := ctx.Value(idempotencyKey{}).(string); ok {
		sum := sha256.Sum256([]byte(key))
		copy(id[:], sum[len(span):])
	} else {
		binary.NativeEndian.PutUint64(id[:8], rand.Uint64())
		binary.NativeEndian.PutUint64(id[8:], rand.Uint64())
	}
	return id, i.NewSpanID(ctx, id)
}

// NewSpanID returns the id of a span.
func (ids) NewSpanID(ctx context.Context, _ trace.TraceID) (id trace.SpanID) {
	if key, ok := ctx.Value(idempotencyKey{}).(string); ok {
		sum := sha256.Sum256([]byte(key))
		copy(id[:], sum[:])
	} else {
		binary.NativeEndian.PutUint64(id[:], rand.Uint64())
	}
	return id
}

// live is false for a span that ended only because a run was replayed, or left the memory of its worker.
const live = attribute.Key("temporal.live")

// onlyLive drops spans that are not live: the worker that ends the run sends them.
type onlyLive struct{ sdktrace.SpanProcessor }

// OnEnd takes a span.
func (p onlyLive) OnEnd(span sdktrace.ReadOnlySpan) {
	for _, a := range span.Attributes() {
		//mutate:one-span-of-a-run
		if a.Key == live && !a.Value.AsBool() {
			return
		}
	}
	p.SpanProcessor.OnEnd(span)
}

// liveInterceptor is the SDK's tracing with one more interceptor inside, which tells the live spans of workflows.
type liveInterceptor struct{ interceptor.Interceptor }

// InterceptWorkflow wraps the runs of a workflow.
func (i liveInterceptor) InterceptWorkflow(
	ctx workflow.Context, next interceptor.WorkflowInboundInterceptor,
) interceptor.WorkflowInboundInterceptor {
	return i.Interceptor.InterceptWorkflow(ctx,
		&liveRun{interceptor.WorkflowInboundInterceptorBase{Next: next}})
}

type liveRun struct {
	interceptor.WorkflowInboundInterceptorBase
}

// ExecuteWorkflow runs a workflow.
func (r *liveRun) ExecuteWorkflow(ctx workflow.Context, in *interceptor.ExecuteWorkflowInput) (any, error) {
	result, err := r.Next.ExecuteWorkflow(ctx, in)
	markLive(ctx, err)
	return result, err
}

// HandleSignal handles a signal.
func (r *liveRun) HandleSignal(ctx workflow.Context, in *interceptor.HandleSignalInput) error {
	err := r.Next.HandleSignal(ctx, in)
	markLive(ctx, err)
	return err
}

// ExecuteUpdate handles an update.
func (r *liveRun) ExecuteUpdate(ctx workflow.Context, in *interceptor.UpdateInput) (any, error) {
	result, err := r.Next.ExecuteUpdate(ctx, in)
	markLive(ctx, err)
	return result, err
}

// markLive marks the span of what has just ended. A run that leaves memory does not come here.
func markLive(ctx workflow.Context, err error) {
	if workflow.IsReplaying(ctx) {
		return
	}
	span, _ := opentelemetry.SpanFromWorkflowContext(ctx)
	span.SetAttributes(live.Bool(true))
	if workflow.IsContinueAsNewError(err) {
		span.SetStatus(codes.Ok, "") // the SDK takes it for a failure
	}
}
