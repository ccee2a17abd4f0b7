package testenv

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
)

// Server is a Temporal dev server.
type Server struct {
	// CLI is the path of the temporal program, which is the server, too.
	CLI string
	dev *testsuite.DevServer
}

// StartServer starts a dev server on a free port, whose namespace "default" has the contract's search attributes.
func StartServer() (*Server, error) {
	var attributes []string
	for _, name := range []string{
		contract.SearchAttributeProjectID, contract.SearchAttributeClusterName, contract.SearchAttributeClusterState,
	} {
		attributes = append(attributes, "--search-attribute", name+"=Keyword")
	}
	return startServer(attributes...)
}

// StartBareServer starts a dev server that knows no search attributes but Temporal's own.
func StartBareServer() (*Server, error) { return startServer() }

func startServer(args ...string) (*Server, error) {
	cli, err := CLI()
	if err != nil {
		return nil, err
	}
	dev, err := testsuite.StartDevServer(context.Background(), testsuite.DevServerOptions{
		ExistingPath:  cli,
		LogLevel:      "error",
		Stdout:        io.Discard,
		ClientOptions: &client.Options{Logger: Quiet()},
		ExtraArgs:     args,
	})
	if err != nil {
		return nil, fmt.Errorf("the dev server does not start: %w", err)
	}
	return &Server{CLI: cli, dev: dev}, nil
}

// Address is the host and port of the server.
func (s *Server) Address() string { return s.dev.FrontendHostPort() }

// Client is a client of the server's namespace "default", which lives as long as the server.
func (s *Server) Client() client.Client { return s.dev.Client() }

// Stop closes the server's client and stops the server.
func (s *Server) Stop() error {
	s.dev.Client().Close()
	return s.dev.Stop()
}

// CLI finds the temporal program: TEMPORAL_CLI, the one that make builds, or one on the PATH.
func CLI() (string, error) {
	_, file, _, _ := runtime.Caller(0)
	built := filepath.Join(filepath.Dir(file), "..", "..", "bin", "temporal")
	for _, path := range []string{os.Getenv("TEMPORAL_CLI"), built} {
		if path == "" {
			continue
		}
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	if path, err := exec.LookPath("temporal"); err == nil {
		return path, nil
	}
	return "", errors.New("there is no temporal program: run 'make bin/temporal' first, or 'make test', which does")
}

// Quiet is a logger for clients whose log no test reads.
func Quiet() log.Logger { return log.NewStructuredLogger(slog.New(slog.DiscardHandler)) }
