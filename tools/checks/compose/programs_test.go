package compose

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// These tests run our programs with the arguments of docker-compose.yml. Only the port is another, since 8080 may be
// taken here.

func TestWorkerHealthCheck(t *testing.T) {
	service := loadAsWritten(t).Services["worker"]
	worker := build(t, "worker")
	for status, healthy := range map[int]bool{http.StatusOK: true, http.StatusServiceUnavailable: false} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/readyz" {
				t.Errorf("asks for %s, want /readyz", r.URL.Path)
			}
			w.WriteHeader(status)
		}))
		defer server.Close()
		_, port, _ := net.SplitHostPort(server.Listener.Addr().String())

		check := exec.CommandContext(t.Context(), worker, service.HealthCheck.Test[2:]...)
		check.Env = append(os.Environ(), "WORKER_HTTP_ADDRESS=:"+port)
		out, err := check.CombinedOutput()
		if (err == nil) != healthy {
			t.Errorf("where /readyz answers %d: %v\n%s", status, err, out)
		}
	}
}

func TestSimulatorStartsAndIsHealthy(t *testing.T) {
	service := loadAsWritten(t).Services["atlas-sim"]
	sim, worker := build(t, "atlas-sim"), build(t, "worker")

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	listener.Close()
	here := func(args []string) []string {
		var changed []string
		for _, arg := range args {
			changed = append(changed, strings.ReplaceAll(arg, ":8080", ":"+port))
		}
		return changed
	}

	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	server := exec.CommandContext(ctx, sim, here(service.Command)...)
	var log strings.Builder
	server.Stdout, server.Stderr = &log, &log
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		cancel()
		_ = server.Wait()
		if t.Failed() {
			t.Logf("atlas-sim:\n%s", &log)
		}
	}()

	answer := "no answer"
	for {
		out, err := exec.CommandContext(ctx, worker, here(service.HealthCheck.Test[2:])...).CombinedOutput()
		if err == nil {
			return
		}
		if len(out) > 0 { // none where the time was up
			answer = string(out)
		}
		select {
		case <-ctx.Done():
			t.Fatalf("never became healthy: %s", answer)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// build compiles one program of the repository and returns its path.
func build(t *testing.T, program string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), program)
	cmd := exec.CommandContext(t.Context(), "go", "build", "-C", root, "-o", path, "./cmd/"+program)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("cmd/%s does not build: %v\n%s", program, err, out)
	}
	return path
}
