//go:build unix

package starter

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
)

// The real program stops waiting at either signal, with the code of an
// interrupt.
func TestSignals(t *testing.T) {
	t.Parallel()
	binary := filepath.Join(t.TempDir(), "starter")
	out, err := exec.Command("go", "build", "-o", binary, "../../cmd/starter").CombinedOutput()
	require.NoError(t, err, "%s", out)
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			s := setupWithoutWorker(t, atlassim.Config{})
			var stdout, stderr stream
			cmd := exec.CommandContext(s.ctx(), binary, s.flags("provision-flex", "--wait")...)
			cmd.Env, cmd.Stdout, cmd.Stderr = s.env, &stdout, &stderr
			require.NoError(t, cmd.Start())
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				_ = cmd.Wait()
			}()
			const shown = "Following atlas-cluster-PROJECT-orders\n" + waitingForAWorker + "\n"
			require.Eventually(t, func() bool { return s.clean(stderr.String()) == shown }, patience, 10*time.Millisecond)
			require.NoError(t, cmd.Process.Signal(signal))
			<-ended
			require.Equal(t, 130, cmd.ProcessState.ExitCode())
			require.Equal(t, shown+"starter: interrupted; the workflow goes on. Follow it with: starter watch atlas-cluster-PROJECT-orders\n", s.clean(stderr.String()))
			require.Empty(t, stdout.String())
		})
	}
	t.Run("usage", func(t *testing.T) {
		t.Parallel()
		cmd := exec.Command(binary, "bogus")
		cmd.Env = os.Environ()
		out, err := cmd.CombinedOutput()
		require.Error(t, err)
		require.Equal(t, 2, cmd.ProcessState.ExitCode())
		require.Equal(t, "starter: unknown command \"bogus\" for \"starter\"\nSee 'starter --help'\n", string(out))
	})
}
