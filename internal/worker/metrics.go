package worker

import (
	"context"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

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
	"github.com/atlas-provisioner/atlas-provisioner/internal/version"
)

// The metrics of our own. OpenTelemetry's exporter adds _total to a counter and
// _seconds to what is measured in s.
const (
	metricRequests   = "atlas_requests"
	metricDuration   = "atlas_request_duration"
	metricLimit      = "atlas_rate_limit"
	metricRemaining  = "atlas_rate_limit_remaining"
	metricClusters   = "atlas_clusters"
	metricWaiting    = "atlas_clusters_waiting"
	metricTimeToIdle = "atlas_cluster_time_to_idle"
)

// metrics is what /metrics answers: the Temporal SDK's, Go's, the process's and
// our own. No label has a name of a cluster or workflow, and each a bounded
// number of values.
type metrics struct {
	handler  http.Handler
	temporal client.MetricsHandler
	clusters clusters

	requests metric.Int64Counter
	duration metric.Float64Histogram
	limits   rateLimits
}

func newMetrics(logger *zap.Logger) (*metrics, error) {
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
	provider := sdkmetric.NewMeterProvider(
		sdkmetric.WithReader(exporter),
		sdkmetric.WithResource(resource.NewSchemaless(
			attribute.String("service.name", "atlas-provisioner"), attribute.String("service.version", version.Version))),
		// OpenTelemetry's own buckets are for milliseconds.
		buckets("temporal_*", "", .005, .01, .05, .1, .5, 1, 5, 10, 60, 600, 3600),
		buckets(metricDuration, "Time that a request to Atlas took, with all its round trips.", .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 15),
		buckets(metricTimeToIdle, "Time from the start of a run until the cluster that it created or upgraded was IDLE.",
			5, 10, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600, 5400, 21600, 86400),
		sdkmetric.WithView(sdkmetric.NewView(sdkmetric.Instrument{Name: metricClusters},
			sdkmetric.Stream{Description: "Runs that ended, by outcome or failure type, and the last state of their cluster."})),
	)
	m := &metrics{
		handler: promhttp.HandlerFor(registry, promhttp.HandlerOpts{}),
		temporal: opentelemetry.NewMetricsHandler(opentelemetry.MetricsHandlerOptions{
			Meter: provider.Meter("temporal-sdk-go"), UseMonotonicCounters: true,
			OnError: func(err error) { logger.Error("A metric cannot be kept", zap.Error(err)) },
		}),
	}
	return m, m.own(provider.Meter("atlas-provisioner"))
}

// buckets sets those of a histogram, and what it is where nobody else says it.
func buckets(name, description string, bounds ...float64) sdkmetric.Option {
	return sdkmetric.WithView(sdkmetric.NewView(
		sdkmetric.Instrument{Name: name, Kind: sdkmetric.InstrumentKindHistogram},
		sdkmetric.Stream{Description: description, Aggregation: sdkmetric.AggregationExplicitBucketHistogram{Boundaries: bounds}},
	))
}

// own makes the metrics that are not the Temporal SDK's to keep.
func (m *metrics) own(meter metric.Meter) (err error) {
	gauge := func(name, description string) (g metric.Int64ObservableGauge) {
		if err == nil {
			g, err = meter.Int64ObservableGauge(name, metric.WithDescription(description))
		}
		return g
	}
	limit := gauge(metricLimit, "Requests that a project may make at once, as Atlas last said.")
	remaining := gauge(metricRemaining, "Requests that a project may still make, as Atlas last said.")
	waiting := gauge(metricWaiting, "Clusters that this worker looked at last and whose next look is not overdue, by state.")
	if err != nil {
		return err
	}
	if m.requests, err = meter.Int64Counter(metricRequests, metric.WithDescription("Requests to Atlas, by endpoint and HTTP status; none is no answer.")); err != nil {
		return err
	}
	if m.duration, err = meter.Float64Histogram(metricDuration, metric.WithUnit("s")); err != nil {
		return err
	}
	_, err = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		m.limits.each(func(of rateLimitOf, last rateLimit) {
			labels := metric.WithAttributes(attribute.String("group_id", of.groupID), attribute.String("resource", of.resource))
			o.ObserveInt64(limit, int64(last.limit), labels)
			o.ObserveInt64(remaining, int64(last.remaining), labels)
		})
		for state, n := range m.clusters.waiting() {
			o.ObserveInt64(waiting, n, metric.WithAttributes(attribute.String("state", state)))
		}
		return nil
	}, limit, remaining, waiting)
	return err
}

// observe takes note of a request to Atlas.
func (m *metrics) observe(o atlasclient.Observation) {
	endpoint := attribute.String("endpoint", o.Method+" "+o.Endpoint)
	status := "none"
	if o.Status != 0 {
		status = strconv.Itoa(o.Status)
	}
	m.requests.Add(context.Background(), 1, metric.WithAttributes(endpoint, attribute.String("status", status)))
	m.duration.Record(context.Background(), o.Duration.Seconds(), metric.WithAttributes(endpoint))
	if o.RateLimit != nil {
		m.limits.saw(o)
	}
}

const (
	// rateLimitsKept bounds how many a worker knows: the newest.
	rateLimitsKept = 100
	// rateLimitFor is how long one is worth knowing. An unused bucket fills up
	// again (flex: 1200, by 500 a minute), and nobody says so.
	rateLimitFor = 3 * time.Minute
)

// rateLimits are the buckets that Atlas keeps for each project, one for all
// endpoints of a resource.
type rateLimits struct {
	mu   sync.Mutex
	last map[rateLimitOf]rateLimit
}

type rateLimitOf struct{ groupID, resource string }

type rateLimit struct {
	limit, remaining int
	at               time.Time
}

func (l *rateLimits) saw(o atlasclient.Observation) {
	_, resource, _ := strings.Cut(o.Endpoint, "{groupId}/")
	resource, _, _ = strings.Cut(resource, "/")
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last == nil {
		l.last = map[rateLimitOf]rateLimit{}
	}
	l.last[rateLimitOf{o.GroupID, resource}] = rateLimit{o.RateLimit.Limit, o.RateLimit.Remaining, time.Now()}
	if len(l.last) <= rateLimitsKept {
		return
	}
	var oldest rateLimitOf
	at := time.Now()
	for of, r := range l.last {
		if r.at.Before(at) {
			oldest, at = of, r.at
		}
	}
	delete(l.last, oldest)
}

func (l *rateLimits) each(f func(rateLimitOf, rateLimit)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for of, r := range l.last {
		if time.Since(r.at) > rateLimitFor {
			delete(l.last, of)
			continue
		}
		f(of, r)
	}
}
