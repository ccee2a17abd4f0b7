package activities

import (
	"errors"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"github.com/atlas-provisioner/atlas-provisioner/atlasclient"
	"github.com/atlas-provisioner/atlas-provisioner/contract"
)

// A row for each decision.
func TestClassify(t *testing.T) {
	t.Parallel()
	cut := io.ErrUnexpectedEOF
	for _, test := range []struct {
		name      string
		err       atlasclient.Error
		wantType  string
		retryable bool
	}{
		{"no answer", atlasclient.Error{Err: cut}, "ATLAS_UNREACHABLE", true},
		{"200 that cannot be read", atlasclient.Error{Status: 200, Err: cut}, "ATLAS_BAD_RESPONSE", true},
		{"400 that cannot be read",
			atlasclient.Error{Status: 400, ErrorCode: "VALIDATION_ERROR", Err: cut}, "ATLAS_BAD_RESPONSE", true},
		{"redirect", atlasclient.Error{Status: 302, Err: cut}, "ATLAS_BAD_RESPONSE", true},
		{"400", atlasclient.Error{Status: 400, ErrorCode: "VALIDATION_ERROR"}, "VALIDATION_ERROR", false},
		{"400 without a code", atlasclient.Error{Status: 400}, "HTTP_400", false},
		{"400 name held",
			atlasclient.Error{Status: 400, ErrorCode: "CONTAINER_WAITING_FOR_FAST_RECORD_CLEAN_UP"},
			"CONTAINER_WAITING_FOR_FAST_RECORD_CLEAN_UP", true},
		{"400 config limit",
			atlasclient.Error{Status: 400, ErrorCode: "DEFAULT_CONFIG_LIMIT_EXCEPTION"},
			"DEFAULT_CONFIG_LIMIT_EXCEPTION", true},
		{"401", atlasclient.Error{Status: 401, ErrorCode: "UNEXPECTED_ERROR"}, "UNEXPECTED_ERROR", false},
		{"401 to a key that has worked",
			atlasclient.Error{Status: 401, ErrorCode: "UNEXPECTED_ERROR", Transient: true}, "UNEXPECTED_ERROR", true},
		{"402",
			atlasclient.Error{Status: 402, ErrorCode: "NO_PAYMENT_INFORMATION_FOUND"},
			"NO_PAYMENT_INFORMATION_FOUND", false},
		{"404", atlasclient.Error{Status: 404, ErrorCode: "UNEXPECTED_ERROR"}, "UNEXPECTED_ERROR", false},
		{"405", atlasclient.Error{Status: 405}, "HTTP_405", false},
		{"405 app upgrade",
			atlasclient.Error{Status: 405, ErrorCode: "WRITES_NOT_ALLOWED_DURING_APP_UPGRADES"},
			"WRITES_NOT_ALLOWED_DURING_APP_UPGRADES", true},
		{"408", atlasclient.Error{Status: 408}, "HTTP_408", true},
		{"409", atlasclient.Error{Status: 409, ErrorCode: "NO_CAPACITY"}, "NO_CAPACITY", false},
		{"410", atlasclient.Error{Status: 410, ErrorCode: "VERSION_GONE"}, "VERSION_GONE", false},
		{"425", atlasclient.Error{Status: 425}, "HTTP_425", true},
		{"429", atlasclient.Error{Status: 429, ErrorCode: "RATE_LIMITED"}, "RATE_LIMITED", true},
		{"500", atlasclient.Error{Status: 500, ErrorCode: "UNEXPECTED_ERROR"}, "UNEXPECTED_ERROR", true},
		{"500 with a code that is final elsewhere",
			atlasclient.Error{Status: 500, ErrorCode: "VALIDATION_ERROR"}, "VALIDATION_ERROR", true},
		{"599", atlasclient.Error{Status: 599}, "HTTP_599", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.err.Method, test.err.Path = "POST", "/api/atlas/v2/groups/1/flexClusters"
			var f *temporal.ApplicationError
			require.ErrorAs(t, failure("orders", "", &test.err, time.Second), &f)
			require.Equal(t, test.wantType, f.Type())
			require.Equal(t, !test.retryable, f.NonRetryable())
			var d contract.FailureDetails
			require.NoError(t, f.Details(&d))
			require.Equal(t, test.err.Status, d.Status)
		})
	}
	other := errors.New("not Atlas's")
	require.Equal(t, other, failure("orders", "", other, time.Second))
}

// Retry-After is the next delay, a little later so that not all come at once.
func TestRetryAfter(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name            string
		after           *time.Duration
		otherwise       time.Duration
		atLeast, atMost time.Duration
	}{
		{"0 means soon", ptr(time.Duration(0)), time.Second, time.Second, time.Second},
		{"5 s", ptr(5 * time.Second), 0, 5 * time.Second, 5600 * time.Millisecond},
		{"an hour", ptr(time.Hour), 0, time.Hour, time.Hour + 2*time.Second},
		{"less than we would wait", ptr(time.Second), 4 * time.Second, 4 * time.Second, 4 * time.Second},
		{"none, but we would wait", nil, 4 * time.Second, 4 * time.Second, 4 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			for range 100 {
				var f *temporal.ApplicationError
				err := failure("orders", "CREATING", &atlasclient.Error{Status: 503, RetryAfter: test.after},
					test.otherwise)
				require.ErrorAs(t, err, &f)
				require.GreaterOrEqual(t, f.NextRetryDelay(), test.atLeast)
				require.LessOrEqual(t, f.NextRetryDelay(), test.atMost)
			}
		})
	}
}

// Whoever reads a failure learns what to do.
func TestAdvice(t *testing.T) {
	t.Parallel()
	for code, next := range adviceByCode {
		require.NotEmpty(t, next, code)
		if code != atlasclient.CodeVersionGone {
			require.Regexp(t, `, then start the workflow again$`, next, code)
		}
	}
	require.Equal(t, adviceByCode["GROUP_NOT_FOUND"],
		advice(&atlasclient.Error{Status: 404, ErrorCode: "GROUP_NOT_FOUND", FromAtlas: true}))
	require.Equal(t, adviceByStatus[401], advice(&atlasclient.Error{Status: 401, ErrorCode: "UNEXPECTED_ERROR"}))
	require.Equal(t, adviceByStatus[401], advice(&atlasclient.Error{Status: 401}))
	require.Equal(t, adviceByStatus[403],
		advice(&atlasclient.Error{Status: 403, ErrorCode: "FORBIDDEN", FromAtlas: true}))
	require.Equal(t, "correct the request, then start the workflow again",
		advice(&atlasclient.Error{Status: 400, ErrorCode: "VALIDATION_ERROR", FromAtlas: true}))
	require.Equal(t,
		"this answer names no errorCode, as those of Atlas do: look for a proxy or firewall between the worker "+
			"and Atlas, "+
			"and check MONGODB_ATLAS_BASE_URL, then start the workflow again", advice(&atlasclient.Error{Status: 403}))
}

func ptr[T any](v T) *T { return &v }

// An answer's way to the failure that Temporal keeps.
func BenchmarkClassify(b *testing.B) {
	after := time.Second
	for name, e := range map[string]*atlasclient.Error{
		"final": {Status: 402, ErrorCode: "NO_PAYMENT_INFORMATION_FOUND",
			Detail: "No payment information was found."},
		"transient": {Status: 429, ErrorCode: "RATE_LIMITED", RetryAfter: &after},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if failure("orders", "", e, time.Second) == nil {
					b.Fatal("no failure")
				}
			}
		})
	}
}
