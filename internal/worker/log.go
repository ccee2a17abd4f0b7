package worker

import (
	"context"
	"errors"
	"io"
	"log/slog"

	"go.opentelemetry.io/otel/trace"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.uber.org/zap"
	"go.uber.org/zap/exp/zapslog"
	"go.uber.org/zap/zapcore"

	"github.com/atlas-provisioner/atlas-provisioner/atlasclient"
)

func newLogger(config Config, out io.Writer) *zap.Logger {
	encoding := zap.NewProductionEncoderConfig()
	encoding.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	encoder := zapcore.NewJSONEncoder(encoding)
	if config.LogFormat == "console" {
		encoder = zapcore.NewConsoleEncoder(encoding)
	}
	return zap.New(zapcore.NewCore(encoder, zapcore.Lock(zapcore.AddSync(out)), config.LogLevel))
}

// logRequest logs a request to Atlas at debug, under the names that the SDK gives to the workflow and the attempt. A
// read that several waits share is logged with the attempt that began it.
func logRequest(ctx context.Context, logger *zap.Logger, o atlasclient.Observation) {
	message := "Atlas answered"
	if o.Status == 0 {
		message = "Atlas did not answer"
	}
	entry := logger.Check(zap.DebugLevel, message)
	if entry == nil {
		return
	}
	fields := []zap.Field{
		zap.String("endpoint", o.Method+" "+o.Endpoint), zap.Int("status", o.Status),
		zap.Duration("duration", o.Duration),
	}
	if span := trace.SpanContextFromContext(ctx); span.IsValid() {
		fields = append(fields, zap.Stringer("trace_id", span.TraceID()), zap.Stringer("span_id", span.SpanID()))
	}
	if activity.IsActivity(ctx) {
		info := activity.GetInfo(ctx)
		fields = append(fields, zap.String("WorkflowID", info.WorkflowExecution.ID),
			zap.String("RunID", info.WorkflowExecution.RunID), zap.String("ActivityType", info.ActivityType.Name),
			zap.Int32("Attempt", info.Attempt))
	}
	entry.Write(fields...)
}

// sdkLogger lets the Temporal SDK log through zap, without stack traces: an activity that fails is no bug of the
// worker.
func sdkLogger(logger *zap.Logger) log.Logger {
	handler := zapslog.NewHandler(logger.Core(), zapslog.AddStacktraceAt(slog.LevelError+1))
	return log.NewStructuredLogger(slog.New(levelHandler{handler}))
}

// levelHandler is a [slog.Handler] that lowers the level of what the SDK logs too high: it logs every activity that
// does not succeed as an error.
type levelHandler struct{ next slog.Handler }

// Enabled tells whether the level is logged.
func (h levelHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, level)
}

// WithAttrs is for loggers with attributes.
func (h levelHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return levelHandler{h.next.WithAttrs(attrs)}
}

// WithGroup is for loggers with groups.
func (h levelHandler) WithGroup(name string) slog.Handler {
	return levelHandler{h.next.WithGroup(name)}
}

// Handle logs a record at the level that its error deserves.
func (h levelHandler) Handle(ctx context.Context, record slog.Record) error {
	record.Attrs(func(attr slog.Attr) bool {
		err, isError := attr.Value.Any().(error)
		if isError {
			record.Level = min(record.Level, errorLevel(err))
		}
		return !isError
	})
	if !h.next.Enabled(ctx, record.Level) {
		return nil
	}
	return h.next.Handle(ctx, record)
}

// errorLevel is the highest level for an error of an activity.
func errorLevel(err error) slog.Level {
	var gone *serviceerror.NotFound // the run has ended
	var canceled *serviceerror.Canceled
	var failure *temporal.ApplicationError
	switch {
	case temporal.IsCanceledError(err), errors.Is(err, context.Canceled), errors.Is(err, activity.ErrActivityPaused),
		errors.Is(err, activity.ErrActivityReset), errors.As(err, &gone), errors.As(err, &canceled):
		// The run was cancelled, terminated or reset, or its activity paused or reset, as somebody asked for.
		return slog.LevelDebug
	case errors.As(err, &failure) && !failure.NonRetryable():
		return slog.LevelWarn // the activity is tried again
	}
	return slog.LevelError
}
