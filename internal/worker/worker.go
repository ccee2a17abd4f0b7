// Package worker puts the Temporal worker together: configuration, logs, Atlas client, workflows and activities, health
// endpoints and metrics.
package worker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
	"go.uber.org/zap"
	"google.golang.org/grpc"

	"github.com/atlas-provisioner/atlas-provisioner/activities"
	"github.com/atlas-provisioner/atlas-provisioner/atlasclient"
	"github.com/atlas-provisioner/atlas-provisioner/internal/env"
	"github.com/atlas-provisioner/atlas-provisioner/internal/ratelimit"
	"github.com/atlas-provisioner/atlas-provisioner/internal/reads"
	"github.com/atlas-provisioner/atlas-provisioner/internal/version"
	"github.com/atlas-provisioner/atlas-provisioner/internal/worker/codecserver"
	"github.com/atlas-provisioner/atlas-provisioner/internal/worker/metrics"
	"github.com/atlas-provisioner/atlas-provisioner/workflows"
)

// stopLimit is how long the worker waits for the SDK to stop, which takes 10 s more where Temporal does not answer.
const stopLimit = 9 * time.Second

// Exit codes of the worker.
const (
	exitOK     = 0
	exitError  = 1
	exitConfig = 2
)

var usage = `worker hosts the workflows and activities of atlas-provisioner.

Usage:
  worker                     run until SIGTERM or SIGINT, then stop within 10 seconds
  worker healthcheck [URL]   ask URL, or /readyz of the worker at WORKER_HTTP_ADDRESS:
                             exit 0 if it answers 200, 1 if not
  worker --version
  worker --help

It takes its configuration from the environment (docs/configuration.md says more).

` + env.Help(env.Worker)

// Run is the whole program. It ends within 10 seconds after ctx does.
func Run(ctx context.Context, args []string, environ []string, stdout, stderr io.Writer) int {
	e := env.Env(environ)
	switch {
	case len(args) == 0:
	case len(args) <= 2 && args[0] == "healthcheck":
		return healthcheck(ctx, e, args[1:], stderr)
	case len(args) == 1 && args[0] == "--version":
		fmt.Fprintln(stdout, "worker "+version.String())
		return exitOK
	case len(args) == 1 && (args[0] == "--help" || args[0] == "-h" || args[0] == "help"):
		fmt.Fprint(stdout, usage)
		return exitOK
	default:
		fmt.Fprintf(stderr, "worker: %q is not known\n\n%s", strings.Join(args, " "), usage)
		return exitConfig
	}

	config, err := ReadConfig(e)
	if err != nil {
		fmt.Fprintf(stderr, "worker: the environment cannot be used:\n%v\n", err)
		return exitConfig
	}
	logger := newLogger(config, stderr)
	defer func() { _ = logger.Sync() }()
	if err := Serve(ctx, config, logger); err != nil {
		logger.Error("The worker ended", zap.Error(err))
		return exitError
	}
	return exitOK
}

// Serve runs the worker until ctx ends.
func Serve(ctx context.Context, config Config, logger *zap.Logger) error {
	if config.AllowHTTP {
		logger.Warn("MONGODB_ATLAS_ALLOW_HTTP is set: the Atlas credential may cross the network in the clear. " +
			"Use it with a simulator only")
	}
	traces, err := startTracing(config, logger)
	if err != nil {
		return err
	}
	defer stopTracing(traces, logger)
	limiter := ratelimit.New()
	var shared *reads.Reads
	measured, err := metrics.New(metrics.Sources{
		RateLimits: limiter.Snapshot,
		Waiting:    func() map[string]int { return shared.Snapshot() },
	}, logger)
	if err != nil {
		return err
	}
	transport, err := atlasclient.NewTransport()
	if err != nil {
		return err
	}
	atlas, err := atlasclient.New(atlasclient.Options{
		BaseURL: config.BaseURL, AllowHTTP: config.AllowHTTP, Auth: config.Auth, Timeout: config.RequestTimeout,
		Transport: traces.Transport(transport, atlasclient.Endpoint), Limiter: limiter,
		Observe: func(ctx context.Context, o atlasclient.Observation) {
			logRequest(ctx, logger, o)
			measured.Observe(o)
		},
	})
	if err != nil {
		return err
	}
	shared = reads.New(atlas)
	config.Temporal.Identity = identity(config.Deployment)
	config.Temporal.MetricsHandler = measured.Temporal()
	config.Temporal.Logger = sdkLogger(logger)
	config.Codec.Configure(&config.Temporal)
	if config.Temporal.Interceptors, err = traces.Interceptors(nil); err != nil {
		return err
	}
	attributes := &searchAttributes{logger: logger}
	config.Temporal.ConnectionOptions.DialOptions = append(config.Temporal.ConnectionOptions.DialOptions,
		grpc.WithChainUnaryInterceptor(attributes.intercept))
	temporal, err := client.DialContext(ctx, config.Temporal)
	switch {
	case err != nil && ctx.Err() != nil:
		return nil
	case err != nil:
		return fmt.Errorf("no answer from Temporal at %s (TEMPORAL_ADDRESS): %w", config.Temporal.HostPort, err)
	}
	defer temporal.Close()

	fatal := make(chan error, 1)
	options := Options()
	options.OnFatalError = func(err error) { fatal <- err }
	options.Interceptors = []interceptor.WorkerInterceptor{&metrics.CountRuns{}}
	options.DeploymentOptions = deploymentOptions(config.Deployment)
	w := worker.New(temporal, config.TaskQueue, options)
	attributes.check(ctx, temporal, config.Temporal.Namespace)
	register(w, activities.New(atlas, shared, config.Pace), attributes.Usable)
	w.RegisterNexusService(nexusService(config.Temporal.DataConverter))
	w.RegisterActivity(&clusterRuns{data: config.Temporal.DataConverter})
	w.RegisterActivity(&activities.WorkerCheck{About: about(config), Atlas: atlas})

	health := &health{temporal: temporal, metrics: measured.Handler()}
	if config.CodecServer.Enabled() {
		server, err := codecserver.New(ctx, codecserver.Options{
			Config: config.CodecServer, Temporal: config.Temporal, Codec: config.Codec, Logger: logger,
		})
		if err != nil {
			return err
		}
		defer server.Close()
		health.codec = server
	}
	stopHTTP, err := health.serve(config.HTTPAddress, logger)
	if err != nil {
		return err
	}
	defer stopHTTP()
	logChecks(ctx, logger, temporal, atlas, about(config), attributes.Usable())
	if err := w.Start(); err != nil {
		return fmt.Errorf("the worker cannot start in namespace %q (TEMPORAL_NAMESPACE): %w",
			config.Temporal.Namespace, err)
	}
	health.ready.Store(true)
	logger.Info("The worker runs", zap.String("version", version.Version), zap.String("taskQueue", config.TaskQueue),
		zap.String("namespace", config.Temporal.Namespace), zap.String("temporal", config.Temporal.HostPort),
		zap.String("atlas", config.BaseURL))

	select {
	case <-ctx.Done():
	case err = <-fatal:
	}
	health.ready.Store(false)
	stop(w, logger)
	return err
}

// stop stops the worker, and gives up waiting for it after stopLimit.
func stop(w worker.Worker, logger *zap.Logger) {
	logger.Info("The worker stops: it takes no more work, and lets waits go on elsewhere")
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		w.Stop()
	}()
	select {
	case <-stopped:
		logger.Info("The worker has stopped")
	case <-time.After(stopLimit):
		logger.Warn("The worker ends without Temporal's answer: " +
			"what was under way goes on once its heartbeat is missed")
	}
}

// deploymentOptions pin each run to the build that it starts on, whatever is deployed meanwhile. A worker without a
// version has none.
func deploymentOptions(v worker.WorkerDeploymentVersion) (o worker.DeploymentOptions) {
	if v != (worker.WorkerDeploymentVersion{}) {
		o.UseVersioning, o.Version, o.DefaultVersioningBehavior = true, v, workflow.VersioningBehaviorPinned
	}
	return o
}

func register(w worker.Registry, acts *activities.Activities, searchAttributes func() []string) {
	flows := &workflows.Workflows{SearchAttributes: searchAttributes}
	flows.Register(w)
	w.RegisterActivity(acts)
}

var errNotReady = errors.New("the worker is not ready")
