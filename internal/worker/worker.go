// Package worker puts the Temporal worker together: configuration, logs, the
// Atlas client, the workflows and activities, and the health endpoints.
package worker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
	"go.uber.org/zap"
	"go.uber.org/zap/exp/zapslog"
	"go.uber.org/zap/zapcore"

	"github.com/atlas-provisioner/atlas-provisioner/activities"
	"github.com/atlas-provisioner/atlas-provisioner/atlasclient"
	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/env"
	"github.com/atlas-provisioner/atlas-provisioner/internal/version"
	"github.com/atlas-provisioner/atlas-provisioner/workflows"
)

// stopTimeout is what activities get to end in when the worker stops: waits end
// at once, and a create gets its answer. The SDK's default of 0 would abort
// every one of them. A whole stop takes 10 s at most.
const stopTimeout = 8 * time.Second

// Exit codes of the worker.
const (
	exitOK     = 0
	exitError  = 1
	exitConfig = 2
)

const usage = `worker hosts the workflows and activities of atlas-provisioner.

Usage:
  worker                     run until SIGTERM or SIGINT
  worker healthcheck [URL]   ask URL, or the worker at WORKER_HTTP_ADDRESS, whether
                             it is ready; exit 0 or 1
  worker --version

It takes its configuration from the environment: TEMPORAL_… as Temporal's own
tools, TEMPORAL_TASK_QUEUE, MONGODB_ATLAS_BASE_URL, one Atlas credential
(MONGODB_ATLAS_CLIENT_ID and _CLIENT_SECRET, or MONGODB_ATLAS_PUBLIC_API_KEY and
_PRIVATE_API_KEY, or MONGODB_ATLAS_ACCESS_TOKEN), WORKER_HTTP_ADDRESS, LOG_LEVEL
and LOG_FORMAT. The README describes each.
`

// Run is the whole program. It ends when ctx does, within 10 seconds.
func Run(ctx context.Context, args []string, environ []string, stdout, stderr io.Writer) int {
	e := env.Env(environ)
	switch {
	case len(args) == 0:
	case len(args) <= 2 && args[0] == "healthcheck":
		return healthcheck(ctx, e, args[1:], stderr)
	case len(args) == 1 && args[0] == "--version":
		fmt.Fprintln(stdout, "worker "+version.Version)
		return exitOK
	case len(args) == 1 && (args[0] == "--help" || args[0] == "-h" || args[0] == "help"):
		fmt.Fprint(stdout, usage)
		return exitOK
	default:
		fmt.Fprintf(stderr, "worker: %q is not known\n\n%s", args[0], usage)
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
		logger.Warn("MONGODB_ATLAS_ALLOW_HTTP is set: the Atlas credential may cross the network in the clear. Use it with a simulator only")
	}
	atlas, err := atlasclient.New(atlasclient.Options{
		BaseURL: config.BaseURL, AllowHTTP: config.AllowHTTP, Auth: config.Auth, Timeout: config.RequestTimeout,
	})
	if err != nil {
		return err
	}
	config.Temporal.Logger = sdkLogger(logger)
	temporal, err := client.DialContext(ctx, config.Temporal)
	if err != nil {
		return fmt.Errorf("no answer from Temporal at %s (TEMPORAL_ADDRESS): %w", config.Temporal.HostPort, err)
	}
	defer temporal.Close()

	fatal := make(chan error, 1)
	w := worker.New(temporal, config.TaskQueue, worker.Options{
		WorkerStopTimeout: stopTimeout,
		OnFatalError:      func(err error) { fatal <- err },
	})
	register(w, activities.New(atlas, config.Pace), hasSearchAttributes(ctx, temporal, config.Temporal.Namespace, logger))

	health := &health{temporal: temporal}
	stopHTTP, err := health.serve(config.HTTPAddress, logger)
	if err != nil {
		return err
	}
	defer stopHTTP()
	if err := w.Start(); err != nil {
		return fmt.Errorf("the worker cannot start in namespace %q: %w", config.Temporal.Namespace, err)
	}
	health.ready.Store(true)
	logger.Info("The worker runs", zap.String("version", version.Version), zap.String("taskQueue", config.TaskQueue),
		zap.String("namespace", config.Temporal.Namespace), zap.String("temporal", config.Temporal.HostPort), zap.String("atlas", config.BaseURL))

	select {
	case <-ctx.Done():
	case err = <-fatal:
	}
	health.ready.Store(false)
	logger.Info("The worker stops: it takes no more work, and lets waits go on elsewhere")
	w.Stop()
	logger.Info("The worker has stopped")
	return err
}

func register(w worker.Registry, acts *activities.Activities, searchAttributes bool) {
	flows := &workflows.Workflows{SearchAttributes: searchAttributes}
	w.RegisterWorkflowWithOptions(flows.ProvisionFlexCluster, workflow.RegisterOptions{Name: contract.ProvisionFlexCluster})
	w.RegisterWorkflowWithOptions(flows.UpgradeToServerless, workflow.RegisterOptions{Name: contract.UpgradeToServerless})
	w.RegisterActivity(acts)
}

// hasSearchAttributes asks whether the namespace has the contract's search
// attributes. It does not add them: that is for whoever runs Temporal.
func hasSearchAttributes(ctx context.Context, c client.Client, namespace string, logger *zap.Logger) bool {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	answer, err := c.OperatorService().ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: namespace})
	if err != nil {
		logger.Warn("The namespace's search attributes cannot be read, so none are set", zap.Error(err))
		return false
	}
	for _, name := range []string{contract.SearchAttributeProjectID, contract.SearchAttributeClusterName, contract.SearchAttributeClusterState} {
		if _, ok := answer.GetCustomAttributes()[name]; !ok {
			logger.Warn("The namespace lacks a search attribute, so none are set",
				zap.String("add it with", "temporal operator search-attribute create --type Keyword --name "+name))
			return false
		}
	}
	return true
}

func newLogger(config Config, out io.Writer) *zap.Logger {
	encoding := zap.NewProductionEncoderConfig()
	encoding.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	encoder := zapcore.NewJSONEncoder(encoding)
	if config.LogFormat == "console" {
		encoder = zapcore.NewConsoleEncoder(encoding)
	}
	return zap.New(zapcore.NewCore(encoder, zapcore.Lock(zapcore.AddSync(out)), config.LogLevel))
}

// sdkLogger lets the Temporal SDK log through zap. An activity's failure is no
// bug of ours, so it gets no stack trace.
func sdkLogger(logger *zap.Logger) log.Logger {
	return log.NewStructuredLogger(slog.New(zapslog.NewHandler(logger.Core(), zapslog.AddStacktraceAt(slog.LevelError+1))))
}

var errNotReady = errors.New("the worker is not ready")
