// Package testworker runs the real worker in the process of a test. It is apart from package testenv so that the
// tests inside the packages that a worker is made of can use that.
package testworker

import (
	"context"
	"sync"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/atlas-provisioner/atlas-provisioner/activities"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv"
	"github.com/atlas-provisioner/atlas-provisioner/internal/worker"
)

// Quick is a pace at which a test sees in a second what takes minutes.
var Quick = activities.Pace{
	Fast: time.Second, FastEvery: 50 * time.Millisecond,
	SlowMin: 200 * time.Millisecond, SlowMax: 400 * time.Millisecond,
	NotFoundFor: time.Second, StandardFor: time.Second, SettleFor: time.Second,
	LeaseEvery: 300 * time.Millisecond,
}

// Worker is a worker that runs.
type Worker struct {
	// Logs are the lines that it has logged so far, from the level debug on, as JSON.
	Logs *testenv.Buffer
	stop func()
}

// Option changes the configuration of a worker.
type Option func(*worker.Config)

// WithPace gives a worker another pace than Quick.
func WithPace(pace activities.Pace) Option { return func(c *worker.Config) { c.Pace = pace } }

// WithPaceOfProduction gives a worker the pace of production, but lets it look every 50 ms in the first half minute.
func WithPaceOfProduction() Option {
	return WithPace(activities.Pace{FastEvery: 50 * time.Millisecond})
}

// Start starts a worker on a stack. It runs until the test ends or Stop is called.
func Start(s *testenv.Stack, options ...Option) *Worker {
	s.TB().Helper()
	return StartWithEnv(s, nil, options...)
}

// StartWithEnv is Start with more variables in the environment of the worker.
func StartWithEnv(s *testenv.Stack, env []string, options ...Option) *Worker {
	t := s.TB()
	t.Helper()
	config, err := worker.ReadConfig(append(s.WorkerEnv(), env...))
	require.NoError(t, err)
	config.Pace = Quick
	for _, o := range options {
		o(&config)
	}
	w := &Worker{Logs: &testenv.Buffer{}}
	encoder := zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig())
	logger := zap.New(zapcore.NewCore(encoder, zapcore.AddSync(w.Logs), zapcore.DebugLevel))
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- worker.Serve(ctx, config, logger) }()
	w.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the worker failed: %v", err)
		}
	})
	t.Cleanup(func() {
		w.stop()
		if t.Failed() {
			t.Logf("log of the worker:\n%s", w.Logs)
		}
	})
	return w
}

// Stop stops the worker, and returns when it has ended.
func (w *Worker) Stop() { w.stop() }
