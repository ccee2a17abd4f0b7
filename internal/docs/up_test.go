//go:build unix

package docs

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The commands that `make up` prints do what stands above them.
func TestUp(t *testing.T) {
	t.Parallel()
	u.dependOnAllFiles(t)
	steps := regexp.MustCompile(`(?m)^  # \d\. .*\n  (.+)\n`).FindAllStringSubmatch(u.guide, -1)
	require.Len(t, steps, 6, u.guide)
	command := func(number int) result {
		got := u.run(t, "bash", "-c", steps[number-1][1])
		require.Zero(t, got.code, "%s\n%s", steps[number-1][1], got)
		return got
	}
	require.Contains(t, command(1).stdout, " is IDLE: CREATED\n")
	command(2)
	command(3)
	eventually(t, "status does not say what the run waits for", func() bool {
		return strings.Contains(command(4).stdout, "Atlas answered 503")
	})
	func() {
		u.faults.Lock()
		defer u.faults.Unlock()
		require.Contains(t, command(5).stdout, " is IDLE: CREATED\n")
	}()
	require.Equal(t, 2, strings.Count(command(6).stdout, " is gone: DELETED\n"))
}
