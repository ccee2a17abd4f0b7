// Package metrics is what the worker answers at /metrics: the metrics of the Temporal SDK, of Go, of the process, and
// the worker's own. No label holds the name of a cluster or workflow, and each has a bounded number of values.
package metrics

import (
	"context"
	"net/http"
	"regexp"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel/attribute"
	otelprometheus "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/opentelemetry"
	"go.uber.org/zap"

	"github.com/atlas-provisioner/atlas-provisioner/atlasclient"
	"github.com/atlas-provisioner/atlas-provisioner/internal/ratelimit"
	"github.com/atlas-provisioner/atlas-provisioner/internal/version"
)

// The worker's own metrics. OpenTelemetry's exporter adds _total to the name of a counter, and _seconds where the unit
// is s.
const (
	nameRequests  = "atlas_requests"
	nameDuration  = "atlas_request_duration"
	nameLimit     = "atlas_rate_limit"
	nameRemaining = "atlas_rate_limit_remaining"
	nameClusters  = "atlas_clusters"
	nameWaiting   = "atlas_clusters_waiting"
	nameRun       = "atlas_run_duration"
)

// Sources are read for each scrape.
type Sources struct {
	// RateLimits returns what Atlas last said of the requests that each project may make.
	RateLimits func() []ratelimit.Usage
	// Waiting counts the clusters that this worker waits for, by their last known state.
	Waiting func() map[string]int
}

// Metrics are the metrics of one worker.
type Metrics struct {
	requests metric.Int64Counter
	duration metric.Float64Histogram
	handler  http.Handler
	temporal client.MetricsHandler
}

// New makes the metrics of a worker.
func New(sources Sources, logger *zap.Logger) (*Metrics, error) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		collectors.NewGoCollector(collectors.WithGoCollectorRuntimeMetrics(
			collectors.GoRuntimeMetricsRule{Matcher: regexp.MustCompile(`^/gc/heap/live:bytes$`)})),
	)
	exporter, err := otelprometheus.New(otelprometheus.WithRegisterer(registry), otelprometheus.WithoutScopeInfo())
	if err != nil {
		return nil, err
	}
	provider := sdkmetric.NewMeterProvider(append(views(), sdkmetric.WithReader(exporter),
		sdkmetric.WithResource(resource.NewSchemaless(
			attribute.String("service.name", "atlas-provisioner"),
			attribute.String("service.version", version.Version))))...)
	m := &Metrics{
		handler: promhttp.HandlerFor(registry, promhttp.HandlerOpts{}),
		temporal: opentelemetry.NewMetricsHandler(opentelemetry.MetricsHandlerOptions{
			Meter: provider.Meter("temporal-sdk-go"), UseMonotonicCounters: true,
			OnError: func(err error) { logger.Error("A metric cannot be kept", zap.Error(err)) },
		}),
	}
	meter := provider.Meter("atlas-provisioner")
	if m.requests, err = meter.Int64Counter(nameRequests,
		metric.WithDescription("Requests to Atlas, by endpoint and HTTP status; none is no answer.")); err != nil {
		return nil, err
	}
	if m.duration, err = meter.Float64Histogram(nameDuration, metric.WithUnit("s")); err != nil {
		return nil, err
	}
	return m, observeSources(meter, sources)
}

// Handler answers /metrics.
func (m *Metrics) Handler() http.Handler { return m.handler }

// Temporal is the metrics handler for the Temporal client.
func (m *Metrics) Temporal() client.MetricsHandler { return m.temporal }

// Observe counts a request to Atlas.
func (m *Metrics) Observe(o atlasclient.Observation) {
	endpoint := attribute.String("endpoint", o.Method+" "+o.Endpoint)
	status := "none"
	if o.Status != 0 {
		status = strconv.Itoa(o.Status)
	}
	m.requests.Add(context.Background(), 1, metric.WithAttributes(endpoint, attribute.String("status", status)))
	m.duration.Record(context.Background(), o.Duration.Seconds(), metric.WithAttributes(endpoint))
}

// observeSources makes the gauges that are read from the sources.
func observeSources(meter metric.Meter, sources Sources) error {
	limit, err := meter.Int64ObservableGauge(nameLimit,
		metric.WithDescription("Requests that a project may make at once, as Atlas last said."))
	if err != nil {
		return err
	}
	remaining, err := meter.Int64ObservableGauge(nameRemaining,
		metric.WithDescription("Requests that a project may still make, as Atlas last said."))
	if err != nil {
		return err
	}
	waiting, err := meter.Int64ObservableGauge(nameWaiting, metric.WithDescription(
		"Clusters that this worker looked at last and whose next look is not overdue, by state."))
	if err != nil {
		return err
	}
	_, err = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		for _, l := range sources.RateLimits() {
			labels := metric.WithAttributes(
				attribute.String("group_id", l.GroupID), attribute.String("resource", l.Resource))
			o.ObserveInt64(limit, int64(l.Limit), labels)
			o.ObserveInt64(remaining, int64(l.Remaining), labels)
		}
		byLabel := map[string]int64{} // several states that are not Atlas's have one label
		for state, n := range sources.Waiting() {
			byLabel[label(state)] += int64(n)
		}
		for state, n := range byLabel {
			o.ObserveInt64(waiting, n, metric.WithAttributes(attribute.String("state", state)))
		}
		return nil
	}, limit, remaining, waiting)
	return err
}

// views set the buckets of the histograms; OpenTelemetry's defaults are for milliseconds.
func views() []sdkmetric.Option {
	return []sdkmetric.Option{
		histogram("temporal_*", "", .005, .01, .05, .1, .5, 1, 5, 10, 60, 600, 3600),
		histogram(nameDuration, "Time that a request to Atlas took, with all its round trips.",
			.025, .05, .1, .25, .5, 1, 2.5, 5, 10, 15),
		histogram(nameRun, "Time from the start to the end of a run that has changed something at Atlas.",
			5, 10, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600, 5400, 21600, 86400),
		sdkmetric.WithView(sdkmetric.NewView(sdkmetric.Instrument{Name: nameClusters}, sdkmetric.Stream{
			Description: "Runs that ended, by outcome or failure type, and the last state of their cluster."})),
	}
}

// histogram sets the buckets and the description of a histogram. An empty description keeps the instrument's own.
func histogram(name, description string, bounds ...float64) sdkmetric.Option {
	return sdkmetric.WithView(sdkmetric.NewView(
		sdkmetric.Instrument{Name: name, Kind: sdkmetric.InstrumentKindHistogram},
		sdkmetric.Stream{
			Description: description,
			Aggregation: sdkmetric.AggregationExplicitBucketHistogram{Boundaries: bounds},
		},
	))
}
