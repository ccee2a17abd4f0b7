package worker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"go.temporal.io/sdk/client"
	"go.uber.org/zap"

	"github.com/atlas-provisioner/atlas-provisioner/internal/env"
)

// health serves the worker's HTTP port: /healthz tells that the process lives, /readyz that the worker takes work, for
// which Temporal must answer, and /metrics the metrics.
type health struct {
	temporal client.Client
	metrics  http.Handler
	codec    http.Handler // nil for none
	ready    atomic.Bool
}

func (h *health) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "ok")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if err := h.check(r.Context()); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ready")
	})
	if h.metrics != nil {
		mux.Handle("GET /metrics", h.metrics)
	}
	if h.codec != nil {
		mux.Handle("/codec/", h.codec)
	}
	return mux
}

func (h *health) check(ctx context.Context) error {
	if !h.ready.Load() {
		return errNotReady
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if _, err := h.temporal.CheckHealth(ctx, &client.CheckHealthRequest{}); err != nil {
		return fmt.Errorf("%w: Temporal does not answer: %w", errNotReady, err)
	}
	return nil
}

// serve listens at the address until stop is called. Without an address it does nothing.
func (h *health) serve(address string, logger *zap.Logger) (stop func(), err error) {
	if address == "" {
		return func() {}, nil
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be served at: %w", envHTTPAddress, err)
	}
	server := &http.Server{Handler: h.handler(), ReadHeaderTimeout: 5 * time.Second}
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			logger.Error("The health endpoints ended", zap.Error(err))
		}
	}()
	logger.Info("The health endpoints are served", zap.String("address", listener.Addr().String()))
	return func() { _ = server.Close() }, nil
}

// healthcheck is the command for the health check of a container, whose image has no other program that sends requests.
// Without a URL it asks the worker at WORKER_HTTP_ADDRESS.
func healthcheck(ctx context.Context, e env.Env, args []string, stderr io.Writer) int {
	var url string
	if len(args) > 0 {
		url = args[0]
	} else {
		address := e.Get(envHTTPAddress, "")
		host, port, err := net.SplitHostPort(address)
		if err != nil || !validListenAddress(address) {
			fmt.Fprintf(stderr, "worker: %s is not set to an address\n", envHTTPAddress)
			return exitConfig
		}
		url = "http://" + net.JoinHostPort(cmp.Or(host, "localhost"), port) + "/readyz"
	}
	ctx, cancel := context.WithTimeout(ctx, 4*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		fmt.Fprintf(stderr, "worker: %v\n", err)
		return exitConfig
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		fmt.Fprintf(stderr, "worker: %v\n", err)
		return exitError
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		why, _ := io.ReadAll(io.LimitReader(resp.Body, 1024))
		fmt.Fprintln(stderr, strings.TrimSpace("worker: "+resp.Status+"\n"+string(why)))
		return exitError
	}
	return exitOK
}
