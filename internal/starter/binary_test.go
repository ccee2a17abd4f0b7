//go:build unix

package starter

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv"
)

// buildStarter builds the real program.
func buildStarter(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "starter")
	out, err := exec.Command("go", "build", "-o", binary, "../../cmd/starter").CombinedOutput()
	require.NoError(t, err, "%s", out)
	return binary
}

// A full disk and a pipe that nobody reads are told, and have an exit code of their own.
func TestStandardOutputOfTheBinary(t *testing.T) {
	t.Parallel()
	binary := buildStarter(t)
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { full.Close() })
	reader, closed, err := os.Pipe()
	require.NoError(t, err)
	t.Cleanup(func() { closed.Close() })
	require.NoError(t, reader.Close())
	s := setup(t, atlassim.Config{})
	again := ". What it says can be read again with: starter status " + s.clusterID()
	for _, test := range []struct {
		args []string
		hint string
	}{
		{s.flags("provision-flex", "--wait"), again}, {s.flags("provision-flex", "--wait", "-o", "json"), again},
		{[]string{"result", s.clusterID()}, again}, {[]string{"list"}, ". 'starter list' shows what there is"},
		{[]string{"--help"}, ""}, {[]string{"completion", "bash"}, ""}, {well("--dry-run"), ""},
	} {
		for problem, stdout := range map[string]*os.File{"no space left on device": full, "broken pipe": closed} {
			var stderr stream
			cmd := exec.CommandContext(s.ctx(), binary, test.args...)
			cmd.Env, cmd.Stdout, cmd.Stderr = s.env, stdout, &stderr
			require.Error(t, cmd.Run())
			require.Equal(t, 4, cmd.ProcessState.ExitCode(), "%q: %s", test.args, stderr.String())
			want := "starter: standard output cannot be written: " + problem + test.hint + "\n"
			require.True(t, strings.HasSuffix(stderr.String(), want), "%q: %s", test.args, stderr.String())
		}
	}
}

// The real program stops waiting at either signal, with the code of an interrupt.
func TestSignals(t *testing.T) {
	t.Parallel()
	binary := buildStarter(t)
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
			require.Eventually(
				t,
				func() bool { return s.clean(stderr.String()) == shown },
				testenv.Patience,
				10*time.Millisecond,
			)
			require.NoError(t, cmd.Process.Signal(signal))
			<-ended
			require.Equal(t, 130, cmd.ProcessState.ExitCode())
			require.Equal(
				t,
				shown+"starter: interrupted; the workflow goes on. Follow it with: starter watch "+
					"atlas-cluster-PROJECT-orders\n",
				s.clean(stderr.String()),
			)
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
