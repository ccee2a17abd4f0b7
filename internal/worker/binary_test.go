//go:build unix

package worker

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv"
)

// The real program ends with code 0 and within the bound on SIGTERM and on SIGINT, whatever it is doing. A second
// signal ends it at once.
func TestSignals(t *testing.T) {
	t.Parallel()
	binary := filepath.Join(t.TempDir(), "worker")
	out, err := exec.Command("go", "build", "-o", binary, "../../cmd/worker").CombinedOutput()
	require.NoError(t, err, "%s", out)

	// launch starts the program and one workflow, and waits until Atlas gets a request of the given method.
	launch := func(t *testing.T, sim atlassim.Config, asked string) (*exec.Cmd, *logs) {
		t.Helper()
		s := setup(t, sim)
		l := &logs{}
		cmd := exec.Command(binary)
		cmd.Env, cmd.Stdout, cmd.Stderr = s.env, l, l
		require.NoError(t, cmd.Start())
		t.Cleanup(func() {
			if cmd.ProcessState == nil {
				_ = cmd.Process.Kill()
				_ = cmd.Wait()
			}
			if t.Failed() {
				t.Logf("log of the worker:\n%s", l)
			}
		})
		l.line(t, "The worker runs")
		s.start()
		s.asked(asked)
		return cmd, l
	}
	waiting := atlassim.Config{CreateFor: atlassim.Duration(time.Hour)}
	hanging := atlassim.Config{Faults: []atlassim.Fault{{Kind: atlassim.FaultHang, Method: "POST"}}}

	for _, test := range []struct {
		name   string
		signal os.Signal
		sim    atlassim.Config
		asked  string
	}{
		{"SIGTERM in a wait", syscall.SIGTERM, waiting, "GET"},
		{"SIGINT in a wait", os.Interrupt, waiting, "GET"},
		{"SIGTERM in a hanging create", syscall.SIGTERM, hanging, "POST"},
		{"SIGINT in a hanging create", os.Interrupt, hanging, "POST"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			cmd, l := launch(t, test.sim, test.asked)
			begun := time.Now()
			require.NoError(t, cmd.Process.Signal(test.signal))
			require.NoError(t, cmd.Wait(), "exit code 0")
			require.Less(t, time.Since(begun), stopBound)
			require.Contains(t, l.String(), "The worker has stopped")
		})
	}
	t.Run("a second signal", func(t *testing.T) {
		t.Parallel()
		cmd, l := launch(t, hanging, "POST")
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = cmd.Wait()
		}()
		require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
		l.line(t, "The worker stops")
		// The signal is sent repeatedly: one that arrives too soon counts as the first.
		require.Eventually(t, func() bool {
			_ = cmd.Process.Signal(syscall.SIGTERM)
			select {
			case <-ended:
				return true
			default:
				return false
			}
		}, testenv.Patience, 5*time.Millisecond)
		status := cmd.ProcessState.Sys().(syscall.WaitStatus)
		require.True(t, status.Signaled(), "%s", cmd.ProcessState)
		require.NotContains(t, l.String(), "The worker has stopped")
	})
}
