package tracing_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/atlas-provisioner/atlas-provisioner/internal/tracing"
)

const endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4318"

func TestReadConfig(t *testing.T) {
	t.Parallel()
	always := sdktrace.ParentBased(sdktrace.AlwaysSample())
	for _, test := range []struct {
		name string
		env  []string
		want func(*tracing.Config) // what differs from the defaults
	}{
		{"defaults", nil, func(*tracing.Config) {}},
		{"empty is unset", []string{"OTEL_EXPORTER_OTLP_ENDPOINT=", "OTEL_SDK_DISABLED=", "OTEL_TRACES_SAMPLER="},
			func(*tracing.Config) {}},
		{"endpoint for all signals", []string{endpoint + "/otlp/"},
			func(c *tracing.Config) { c.Endpoint = "http://collector:4318/otlp/v1/traces" }},
		{"endpoint for traces", []string{endpoint, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=https://traces.example.com/in"},
			func(c *tracing.Config) { c.Endpoint = "https://traces.example.com/in" }},
		{"gRPC", []string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4317", "OTEL_EXPORTER_OTLP_PROTOCOL=grpc"},
			func(c *tracing.Config) { c.Endpoint, c.Protocol = "http://collector:4317", "grpc" }},
		{"protocol for traces", []string{"OTEL_EXPORTER_OTLP_PROTOCOL=grpc",
			"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=http/json"},
			func(c *tracing.Config) { c.Protocol = "http/json" }},
		{"exporter without endpoint", []string{"OTEL_TRACES_EXPORTER=otlp"},
			func(c *tracing.Config) { c.Endpoint = "http://localhost:4318/v1/traces" }},
		{"exporter without endpoint, by gRPC",
			[]string{"OTEL_TRACES_EXPORTER=otlp", "OTEL_EXPORTER_OTLP_PROTOCOL=grpc"},
			func(c *tracing.Config) { c.Endpoint, c.Protocol = "http://localhost:4317", "grpc" }},
		{"no exporter", []string{endpoint, "OTEL_TRACES_EXPORTER=none"}, func(*tracing.Config) {}},
		{"disabled", []string{endpoint, "OTEL_SDK_DISABLED=TRUE"}, func(*tracing.Config) {}},
		{"requests", []string{"OTEL_EXPORTER_OTLP_HEADERS=api-key=a%20b, x=1=2",
			"OTEL_EXPORTER_OTLP_COMPRESSION=gzip", "OTEL_EXPORTER_OTLP_TIMEOUT=1500", "OTEL_BSP_EXPORT_TIMEOUT=2000"},
			func(c *tracing.Config) {
				c.FlushLimit = 2 * time.Second
				c.Headers = map[string]string{"api-key": "a b", "x": "1=2"}
				c.Gzip, c.Timeout = true, 1500*time.Millisecond
			}},
		{"sampler", []string{"OTEL_TRACES_SAMPLER=always_off"},
			func(c *tracing.Config) { c.Sampler = sdktrace.NeverSample() }},
		{"ratio", []string{"OTEL_TRACES_SAMPLER=parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG=0.25"},
			func(c *tracing.Config) { c.Sampler = sdktrace.ParentBased(sdktrace.TraceIDRatioBased(0.25)) }},
		{"program", []string{"OTEL_RESOURCE_ATTRIBUTES=deployment.environment.name=prod%2C1", "OTEL_SERVICE_NAME=mine"},
			func(c *tracing.Config) {
				c.Attributes = []attribute.KeyValue{
					attribute.String("deployment.environment.name", "prod,1"), attribute.String("service.name", "mine"),
				}
			}},
		{"what the SDK reads", []string{"OTEL_BSP_SCHEDULE_DELAY=100", "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT=0",
			"OTEL_EXPORTER_OTLP_INSECURE=True", "OTEL_PROPAGATORS=tracecontext,baggage"}, func(*tracing.Config) {}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			want := tracing.Config{
				Protocol: "http/protobuf", Timeout: 10 * time.Second, FlushLimit: 900 * time.Millisecond,
				Sampler: always,
			}
			test.want(&want)
			got, err := tracing.ReadConfig(test.env)
			require.NoError(t, err)
			require.Equal(t, want.Sampler.Description(), got.Sampler.Description())
			got.Sampler, want.Sampler = nil, nil
			require.Equal(t, want, got)
			require.Equal(t, want.Endpoint != "", got.Enabled())
		})
	}
}

func TestReadConfigParent(t *testing.T) {
	t.Parallel()
	c, err := tracing.ReadConfig([]string{
		"TRACEPARENT=00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "TRACESTATE=a=b",
	})
	require.NoError(t, err)
	require.Equal(t, "0af7651916cd43dd8448eb211c80319c", c.Parent.TraceID().String())
	require.Equal(t, "b7ad6b7169203331", c.Parent.SpanID().String())
	require.Equal(t, "a=b", c.Parent.TraceState().String())
}

// A value that means nothing is an error that names the variable, and shows no value that may be a credential.
func TestReadConfigMistakes(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	empty := filepath.Join(folder, "empty.pem")
	require.NoError(t, os.WriteFile(empty, nil, 0o600))
	missing := filepath.Join(folder, "missing.pem")
	const (
		badURL = "OTEL_EXPORTER_OTLP_ENDPOINT must be a URL such as http://localhost:4318, without a user name, a " +
			"query or a fragment"
		badHeaders = "OTEL_EXPORTER_OTLP_HEADERS must be a list such as key=value,other=value, with percent-encoded " +
			"values (not shown, since they may hold a key)"
		secure = "OTEL_EXPORTER_OTLP_ENDPOINT=https://collector:4318"
	)
	for _, test := range []struct {
		name string
		env  []string
		want []string
	}{
		{"no scheme", []string{"OTEL_EXPORTER_OTLP_ENDPOINT=collector:4318"}, []string{badURL}},
		{"other scheme", []string{"OTEL_EXPORTER_OTLP_ENDPOINT=grpc://collector:4317"}, []string{badURL}},
		{"password", []string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://u:hush@collector"}, []string{badURL}},
		{"line end", []string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4318\n"}, []string{badURL}},
		{"port", []string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:99999"}, []string{badURL}},
		{"colon", []string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:"}, []string{badURL}},
		{"query", []string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://collector?key=hush"}, []string{badURL}},
		{"while disabled", []string{"OTEL_SDK_DISABLED=true", "OTEL_EXPORTER_OTLP_ENDPOINT=collector"},
			[]string{badURL}},
		{"for traces", []string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=collector"},
			[]string{strings.Replace(badURL, "OTLP_", "OTLP_TRACES_", 1)}},
		{"header without value", []string{"OTEL_EXPORTER_OTLP_HEADERS=hush"}, []string{badHeaders}},
		{"header without name", []string{"OTEL_EXPORTER_OTLP_HEADERS==hush"}, []string{badHeaders}},
		{"header with a line end", []string{"OTEL_EXPORTER_OTLP_HEADERS=key=hush%0A"}, []string{badHeaders}},
		{"header with a bad escape", []string{"OTEL_EXPORTER_OTLP_HEADERS=key=hush%"}, []string{badHeaders}},
		{"all of a few", []string{"OTEL_SDK_DISABLED=yes", "OTEL_TRACES_EXPORTER=console",
			"OTEL_EXPORTER_OTLP_PROTOCOL=http", "OTEL_EXPORTER_OTLP_COMPRESSION=zstd",
			"OTEL_EXPORTER_OTLP_INSECURE=1", "OTEL_PROPAGATORS=b3", "OTEL_TRACES_SAMPLER=jaeger_remote"},
			[]string{
				`OTEL_EXPORTER_OTLP_PROTOCOL must be http/protobuf, grpc or http/json, got "http"`,
				`OTEL_EXPORTER_OTLP_COMPRESSION must be none or gzip, got "zstd"`,
				`OTEL_TRACES_SAMPLER must be parentbased_always_on, parentbased_always_off, ` +
					`parentbased_traceidratio, always_on, always_off or traceidratio, got "jaeger_remote"`,
				`OTEL_EXPORTER_OTLP_INSECURE must be false or true, got "1"`,
				`OTEL_PROPAGATORS must name tracecontext, which is how Temporal's SDKs pass a trace on, got "b3"`,
				`OTEL_SDK_DISABLED must be false or true, got "yes"`,
				`OTEL_TRACES_EXPORTER must be otlp or none, got "console"`,
			}},
		{"numbers", []string{"OTEL_EXPORTER_OTLP_TIMEOUT=10s", "OTEL_BSP_MAX_QUEUE_SIZE=0",
			"OTEL_SPAN_LINK_COUNT_LIMIT=many"},
			[]string{
				`OTEL_EXPORTER_OTLP_TIMEOUT must be a whole number from 1, got "10s"`,
				`OTEL_BSP_MAX_QUEUE_SIZE must be a whole number from 1, got "0"`,
				`OTEL_SPAN_LINK_COUNT_LIMIT must be a whole number from 0, got "many"`,
			}},
		{"ratio", []string{"OTEL_TRACES_SAMPLER=traceidratio", "OTEL_TRACES_SAMPLER_ARG=25"},
			[]string{`OTEL_TRACES_SAMPLER_ARG must be a number from 0 to 1, got "25"`}},
		{"no number", []string{"OTEL_TRACES_SAMPLER=traceidratio", "OTEL_TRACES_SAMPLER_ARG=NaN"},
			[]string{`OTEL_TRACES_SAMPLER_ARG must be a number from 0 to 1, got "NaN"`}},
		{"ratio without sampler", []string{"OTEL_TRACES_SAMPLER_ARG=0.1"},
			[]string{"OTEL_TRACES_SAMPLER_ARG is set, but the sampler parentbased_always_on takes none: set " +
				"OTEL_TRACES_SAMPLER, such as parentbased_traceidratio"}},
		{"service", []string{"OTEL_SERVICE_NAME=mine "},
			[]string{"OTEL_SERVICE_NAME has white space or a line end around it: set the bare value"}},
		{"attributes", []string{"OTEL_RESOURCE_ATTRIBUTES=prod"}, []string{strings.Replace(badHeaders,
			"OTEL_EXPORTER_OTLP_HEADERS", "OTEL_RESOURCE_ATTRIBUTES", 1)}},
		{"parent", []string{"TRACEPARENT=1"}, []string{"TRACEPARENT must be a W3C trace context, such as " +
			"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}},
		{"certificate of plain http", []string{endpoint, "OTEL_EXPORTER_OTLP_CERTIFICATE=" + missing}, []string{
			"OTEL_EXPORTER_OTLP_CERTIFICATE is set, but the endpoint is plain http",
			"OTEL_EXPORTER_OTLP_CERTIFICATE cannot be read: open " + missing + ": no such file or directory",
		}},
		{"no certificate", []string{secure, "OTEL_EXPORTER_OTLP_CERTIFICATE=" + empty},
			[]string{"OTEL_EXPORTER_OTLP_CERTIFICATE holds no certificate in PEM form"}},
		{"certificate without key", []string{secure, "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE=" + empty},
			[]string{"OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE is set without OTEL_EXPORTER_OTLP_CLIENT_KEY"}},
		{"key without certificate", []string{secure, "OTEL_EXPORTER_OTLP_CLIENT_KEY=" + empty},
			[]string{"OTEL_EXPORTER_OTLP_CLIENT_KEY is set without OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"}},
		{"key pair", []string{secure, "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE=" + empty,
			"OTEL_EXPORTER_OTLP_CLIENT_KEY=" + empty},
			[]string{"OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and OTEL_EXPORTER_OTLP_CLIENT_KEY cannot be used: tls: " +
				"failed to find any PEM data in certificate input"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := tracing.ReadConfig(test.env)
			require.EqualError(t, err, strings.Join(test.want, "\n"))
			require.NotContains(t, err.Error(), "hush")
		})
	}
}
