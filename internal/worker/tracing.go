package worker

import (
	"go.uber.org/zap"

	"github.com/atlas-provisioner/atlas-provisioner/internal/tracing"
)

// startTracing begins to send traces, where the configuration says so. A collector that does not answer is logged once
// until it answers again, since spans are sent every few seconds.
func startTracing(config Config, logger *zap.Logger) (*tracing.Tracing, error) {
	return tracing.New(config.Tracing, "atlas-provisioner-worker", func(err error) {
		if err != nil {
			logger.Warn("Traces cannot be sent, and the work goes on without them",
				zap.String("endpoint", config.Tracing.Endpoint), zap.Error(err))
			return
		}
		logger.Info("Traces are sent again", zap.String("endpoint", config.Tracing.Endpoint))
	})
}

// stopTracing sends the last spans.
func stopTracing(traces *tracing.Tracing, logger *zap.Logger) {
	if err := traces.Close(); err != nil {
		logger.Warn("The last spans are lost", zap.Error(err))
	}
}
