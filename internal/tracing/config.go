package tracing

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/atlas-provisioner/atlas-provisioner/internal/env"
)

// The protocols of OTEL_EXPORTER_OTLP_PROTOCOL.
const (
	protocolGRPC     = "grpc"
	protocolProtobuf = "http/protobuf"
	protocolJSON     = "http/json"
)

// Config says where traces go, by the OTEL_… variables of the OpenTelemetry specification.
//
// https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
type Config struct {
	// Endpoint is the URL that spans are sent to, with its path. Default "": nowhere.
	Endpoint string
	// Protocol is grpc, http/protobuf or http/json. Default http/protobuf.
	Protocol string
	// Headers go with each request to the endpoint. They may hold a credential.
	Headers map[string]string
	// Gzip compresses the requests. Default false.
	Gzip bool
	// Timeout bounds each request. Default 10 s.
	Timeout time.Duration
	// FlushLimit bounds the export at the end of the program. It is OTEL_BSP_EXPORT_TIMEOUT, which bounds the others,
	// too. Default 900 ms: with the time that a worker takes to stop it stays below 10 s.
	FlushLimit time.Duration
	// TLS has the certificates of OTEL_EXPORTER_OTLP_CERTIFICATE and its like. Default nil: the system's.
	TLS *tls.Config
	// Sampler says which traces are kept. Default: as the caller says, and all that have no caller.
	Sampler sdktrace.Sampler
	// Attributes describe the program, such as service.name.
	Attributes []attribute.KeyValue
	// Parent is the span of TRACEPARENT, under which a program that runs one command has its own. Default none.
	Parent trace.SpanContext
}

// Enabled tells whether traces are sent.
func (c Config) Enabled() bool { return c.Endpoint != "" }

// reader reads variables and collects the mistakes in them.
type reader struct {
	env      env.Env
	mistakes []error
}

func (r *reader) wrong(name, format string, args ...any) {
	r.mistakes = append(r.mistakes, fmt.Errorf(name+" "+format, args...))
}

// exporter is a variable of the exporter: the one for traces, where it is set, or the one for all signals.
func (r *reader) exporter(suffix string) (name, value string) {
	name = "OTEL_EXPORTER_OTLP_TRACES_" + suffix
	if value = r.env.Get(name, ""); value == "" {
		name = "OTEL_EXPORTER_OTLP_" + suffix
		value = r.env.Get(name, "")
	}
	return name, value
}

// oneOf returns the value of a variable, which must be one of a few. The first is the default.
func (r *reader) oneOf(name, value string, values ...string) string {
	if value != "" && !slices.Contains(values, value) {
		r.wrong(name, "must be %s, got %q", orList(values), value)
	}
	return cmp.Or(value, values[0])
}

func orList(values []string) string {
	last := len(values) - 1
	return strings.Join(values[:last], ", ") + " or " + values[last]
}

// number returns a whole number that is at least the minimum, or the default.
func (r *reader) number(name, value string, minimum, defaultValue int) int {
	if value == "" {
		return defaultValue
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < minimum {
		r.wrong(name, "must be a whole number from %d, got %q", minimum, value)
	}
	return n
}

// ReadConfig reads the environment. Without an endpoint nothing is sent. The error has one line for each mistake, which
// names the variable. OpenTelemetry itself ignores what it does not understand, so traces would silently be missing.
func ReadConfig(e env.Env) (Config, error) {
	r := &reader{env: e}
	var c Config
	name, value := r.exporter("PROTOCOL")
	c.Protocol = r.oneOf(name, value, protocolProtobuf, protocolGRPC, protocolJSON)
	c.Endpoint = r.endpoint(c.Protocol)
	c.Headers = r.pairs(r.exporter("HEADERS"))
	name, value = r.exporter("COMPRESSION")
	c.Gzip = r.oneOf(name, value, "none", "gzip") == "gzip"
	name, value = r.exporter("TIMEOUT")
	c.Timeout = time.Duration(r.number(name, value, 1, 10_000)) * time.Millisecond
	const flush = "OTEL_BSP_EXPORT_TIMEOUT"
	c.FlushLimit = time.Duration(r.number(flush, r.env.Get(flush, ""), 1, 900)) * time.Millisecond
	c.TLS = r.tls(c.Endpoint)
	c.Sampler = r.sampler()
	c.Attributes = r.attributes()
	c.Parent = r.parent()
	r.checkOthers()
	if r.off() {
		c.Endpoint = ""
	}
	return c, errors.Join(r.mistakes...)
}

// off tells whether traces are turned off, whatever the endpoint is.
func (r *reader) off() bool {
	const disabled, exporter = "OTEL_SDK_DISABLED", "OTEL_TRACES_EXPORTER"
	isDisabled := r.oneOf(disabled, strings.ToLower(r.env.Get(disabled, "")), "false", "true") == "true"
	return r.oneOf(exporter, r.env.Get(exporter, ""), "otlp", "none") == "none" || isDisabled
}

// endpoint is the URL that spans are sent to. The one for all signals gets the path of traces, as the specification has
// it; gRPC has no path.
func (r *reader) endpoint(protocol string) string {
	name, value := r.exporter("ENDPOINT")
	if value == "" && r.env.Get("OTEL_TRACES_EXPORTER", "") == "otlp" {
		value = "http://localhost:4318"
		if protocol == protocolGRPC {
			value = "http://localhost:4317"
		}
	}
	switch {
	case value == "":
		return ""
	case !env.ValidURL(value):
		// The value may hold a password.
		r.wrong(name, "must be a URL such as http://localhost:4318, without a user name, a query or a fragment")
		return ""
	case protocol == protocolGRPC || strings.Contains(name, "TRACES"):
		return value
	}
	return strings.TrimRight(value, "/") + "/v1/traces"
}

// pairs reads a list of the form key=value,key=value, with percent-encoded values. The error holds no value, which may
// be a credential.
func (r *reader) pairs(name, list string) map[string]string {
	if list == "" {
		return nil
	}
	pairs := map[string]string{}
	for pair := range strings.SplitSeq(list, ",") {
		key, value, found := strings.Cut(pair, "=")
		key = strings.TrimSpace(key)
		value, err := url.PathUnescape(strings.TrimSpace(value))
		if !found || err != nil || key == "" || strings.ContainsFunc(key+value, unprintable) {
			r.wrong(name, "must be a list such as key=value,other=value, with percent-encoded values (not shown, "+
				"since they may hold a key)")
			return nil
		}
		pairs[key] = value
	}
	return pairs
}

func unprintable(r rune) bool { return r < ' ' || r > '~' }

// attributes are OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME, which wins.
func (r *reader) attributes() (out []attribute.KeyValue) {
	pairs := r.pairs("OTEL_RESOURCE_ATTRIBUTES", r.env.Get("OTEL_RESOURCE_ATTRIBUTES", ""))
	for key, value := range pairs {
		out = append(out, attribute.String(key, value))
	}
	if service := r.env.Get("OTEL_SERVICE_NAME", ""); service != "" {
		if err := env.CheckName(service); err != nil {
			r.wrong("OTEL_SERVICE_NAME", "%w", err)
		}
		out = append(out, attribute.String("service.name", service))
	}
	return out
}

// tls reads the certificates by which the endpoint and this program know each other.
func (r *reader) tls(endpoint string) *tls.Config {
	authorityName, authority := r.exporter("CERTIFICATE")
	certificateName, certificate := r.exporter("CLIENT_CERTIFICATE")
	keyName, key := r.exporter("CLIENT_KEY")
	if authority+certificate+key == "" {
		return nil
	}
	for _, suffix := range []string{"CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY"} {
		if name, value := r.exporter(suffix); value != "" && strings.HasPrefix(endpoint, "http:") {
			r.wrong(name, "is set, but the endpoint is plain http")
		}
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if authority != "" {
		config.RootCAs = x509.NewCertPool()
		switch pem, err := os.ReadFile(authority); {
		case err != nil:
			r.wrong(authorityName, "cannot be read: %w", err)
		case !config.RootCAs.AppendCertsFromPEM(pem):
			r.wrong(authorityName, "holds no certificate in PEM form")
		}
	}
	switch {
	case certificate == "" && key == "":
	case certificate == "":
		r.wrong(keyName, "is set without %s", certificateName)
	case key == "":
		r.wrong(certificateName, "is set without %s", keyName)
	default:
		pair, err := tls.LoadX509KeyPair(certificate, key)
		if err != nil {
			r.wrong(certificateName, "and %s cannot be used: %w", keyName, err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config
}

// sampler is OTEL_TRACES_SAMPLER with OTEL_TRACES_SAMPLER_ARG.
func (r *reader) sampler() sdktrace.Sampler {
	const name, argument = "OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG"
	kind := r.oneOf(name, r.env.Get(name, ""), "parentbased_always_on", "parentbased_always_off",
		"parentbased_traceidratio", "always_on", "always_off", "traceidratio")
	base, parentBased := strings.CutPrefix(kind, "parentbased_")
	value := r.env.Get(argument, "")
	ratio, err := strconv.ParseFloat(cmp.Or(value, "1"), 64)
	switch {
	case value != "" && base != "traceidratio":
		r.wrong(argument, "is set, but the sampler %s takes none: set %s, such as parentbased_traceidratio", kind, name)
	case err != nil, !(ratio >= 0 && ratio <= 1):
		r.wrong(argument, "must be a number from 0 to 1, got %q", value)
	}
	sampler := sdktrace.AlwaysSample()
	switch base {
	case "always_off":
		sampler = sdktrace.NeverSample()
	case "traceidratio":
		sampler = sdktrace.TraceIDRatioBased(ratio)
	}
	if parentBased {
		sampler = sdktrace.ParentBased(sampler)
	}
	return sampler
}

// parent is the span of TRACEPARENT, which a pipeline sets for the programs that it runs.
//
// https://opentelemetry.io/docs/specs/otel/context/env-carriers/
func (r *reader) parent() trace.SpanContext {
	const name = "TRACEPARENT"
	carrier := propagation.MapCarrier{"traceparent": r.env.Get(name, ""), "tracestate": r.env.Get("TRACESTATE", "")}
	parent := trace.SpanContextFromContext(propagation.TraceContext{}.Extract(context.Background(), carrier))
	if carrier["traceparent"] != "" && !parent.IsValid() {
		r.wrong(name, "must be a W3C trace context, such as 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	}
	return parent
}

// checkOthers checks the variables that OpenTelemetry's SDK reads itself, and those that have one meaning here.
func (r *reader) checkOthers() {
	for _, name := range []string{
		"OTEL_BSP_SCHEDULE_DELAY", "OTEL_BSP_MAX_QUEUE_SIZE", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
	} {
		r.number(name, r.env.Get(name, ""), 1, 1)
	}
	for _, name := range []string{"OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_ATTRIBUTE_COUNT_LIMIT",
		"OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "OTEL_SPAN_EVENT_COUNT_LIMIT",
		"OTEL_SPAN_LINK_COUNT_LIMIT", "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT"} {
		r.number(name, r.env.Get(name, ""), 0, 0)
	}
	// The scheme of the endpoint says whether TLS is used.
	name, value := r.exporter("INSECURE")
	r.oneOf(name, strings.ToLower(value), "false", "true")
	const propagators = "OTEL_PROPAGATORS"
	if value := r.env.Get(propagators, ""); value != "" && !slices.Contains(strings.Split(value, ","), "tracecontext") {
		r.wrong(propagators, "must name tracecontext, which is how Temporal's SDKs pass a trace on, got %q", value)
	}
}
