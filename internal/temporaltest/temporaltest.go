// Package temporaltest starts a real Temporal dev server for the tests of a
// package.
package temporaltest

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"
	"go.uber.org/goleak"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
)

// Server is a dev server that lives as long as the tests of a package.
type Server struct {
	*testsuite.DevServer
	// CLI is the path of the temporal program.
	CLI string
}

// Main is a TestMain: it runs the tests beside a dev server, whose namespace
// "default" has the contract's search attributes. Listing and fuzzing go
// without one. A goroutine that is left at the end fails them.
func Main(m interface{ Run() int }, server **Server) {
	if !flag.Parsed() {
		flag.Parse()
	}
	os.Exit(func() int {
		if set("list") != "" || set("fuzz") != "" && set("run") == "^$" {
			return m.Run()
		}
		s, err := Start(true)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		*server = s
		code := m.Run()
		_ = s.Stop()
		if err := leaked(); code == 0 && err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return code
	}())
}

// leaked names the goroutines that the tests of a package have left: of
// workers, clients, programs and connections. What is ending gets its time.
func leaked() (err error) {
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	for range 10 { // a second each
		if err = goleak.Find(); err == nil {
			return nil
		}
	}
	return err
}

// set is the value of a flag of go test.
func set(name string) string { return flag.Lookup("test." + name).Value.String() }

// Start starts a dev server on a free port, with or without the contract's
// search attributes.
func Start(searchAttributes bool) (*Server, error) {
	cli, err := CLI()
	if err != nil {
		return nil, err
	}
	options := testsuite.DevServerOptions{
		ExistingPath:  cli,
		LogLevel:      "error",
		Stdout:        io.Discard,
		ClientOptions: &client.Options{Logger: Quiet()},
	}
	if searchAttributes {
		for _, name := range []string{
			contract.SearchAttributeProjectID, contract.SearchAttributeClusterName, contract.SearchAttributeClusterState,
		} {
			options.ExtraArgs = append(options.ExtraArgs, "--search-attribute", name+"=Keyword")
		}
	}
	dev, err := testsuite.StartDevServer(context.Background(), options)
	if err != nil {
		return nil, fmt.Errorf("the dev server does not start: %w", err)
	}
	return &Server{DevServer: dev, CLI: cli}, nil
}

// Stop closes the server's client and stops the server.
func (s *Server) Stop() error {
	s.Client().Close()
	return s.DevServer.Stop()
}

// CLI finds the temporal program: TEMPORAL_CLI, the one that make builds, or
// one on the PATH.
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

// Buffer is a buffer that is read while it is written, such as the log of a
// program that runs.
type Buffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write adds p.
func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

// String is what was written so far.
func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
