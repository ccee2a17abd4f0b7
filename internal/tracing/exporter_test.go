package tracing

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// fakeExporter answers one error after the other.
type fakeExporter struct{ errors []error }

func (e *fakeExporter) ExportSpans(context.Context, []sdktrace.ReadOnlySpan) error {
	err := e.errors[0]
	e.errors = e.errors[1:]
	return err
}

func (*fakeExporter) Shutdown(context.Context) error { return nil }

// A collector that fails is reported once, and once when it works again. The SDK, which would print each error, gets
// none.
func TestReport(t *testing.T) {
	t.Parallel()
	down, busy := errors.New("down"), errors.New("busy")
	var reports []error
	e := &reportingExporter{
		next:   &fakeExporter{[]error{nil, down, busy, nil, nil, busy}},
		report: func(err error) { reports = append(reports, err) },
	}
	for range 6 {
		require.NoError(t, e.ExportSpans(t.Context(), nil))
	}
	require.Equal(t, []error{down, nil, busy}, reports)
	require.Equal(t, busy, e.lastFailure())
}
