package starter

import (
	"context"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
)

// openTerminal opens a terminal of a width. What the program writes to it can
// be read from screen.
func openTerminal(t *testing.T, width uint16) (screen, terminal *os.File) {
	t.Helper()
	screen, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { screen.Close() })
	control := func(request uintptr, argument unsafe.Pointer) {
		_, _, failed := syscall.Syscall(syscall.SYS_IOCTL, screen.Fd(), request, uintptr(argument))
		require.Zero(t, failed)
	}
	var locked, number int32
	control(syscall.TIOCSPTLCK, unsafe.Pointer(&locked))
	control(syscall.TIOCGPTN, unsafe.Pointer(&number))
	control(syscall.TIOCSWINSZ, unsafe.Pointer(&[4]uint16{24, width}))
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { terminal.Close() })
	return screen, terminal
}

// On a terminal progress is one live line, no wider than the terminal, that is
// gone before the result is printed.
func TestLiveLine(t *testing.T) {
	t.Parallel()
	t.Run("result on the terminal", func(t *testing.T) {
		t.Parallel()
		testLiveLine(t, func(terminal *os.File) io.Writer { return terminal }, created)
	})
	t.Run("result elsewhere", func(t *testing.T) {
		t.Parallel()
		testLiveLine(t, func(*os.File) io.Writer { return io.Discard }, "")
	})
}

func testLiveLine(t *testing.T, stdout func(*os.File) io.Writer, result string) {
	s := setupWithoutWorker(t, atlassim.Config{})
	screen, terminal := openTerminal(t, 20)
	var seen stream
	read := make(chan struct{})
	go func() {
		defer close(read)
		buf := make([]byte, 4096)
		for {
			n, err := screen.Read(buf)
			_, _ = seen.Write(buf[:n])
			if err != nil {
				return // EIO: the terminal is closed
			}
		}
	}()

	code := make(chan int, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		code <- Run(ctx, s.flags("provision-flex", "--wait"), s.env, nil, stdout(terminal), terminal)
	}()
	require.Eventually(t, func() bool { return strings.Contains(seen.String(), "\r\033[Kwaiting for a work…") }, patience, 10*time.Millisecond)
	s.startWorker()
	require.Equal(t, 0, <-code)
	require.NoError(t, terminal.Close())
	<-read

	text := s.clean(strings.ReplaceAll(seen.String(), "\r\n", "\n")) // the terminal's \r
	text, found := strings.CutPrefix(text, "Following provision-flex-PROJECT-orders\n")
	require.True(t, found, "%q", text)
	text, found = strings.CutSuffix(text, "\r\033[K"+result)
	require.True(t, found, "%q does not end with a line that is wiped", text)
	for line := range strings.SplitSeq(strings.TrimPrefix(text, "\r\033[K"), "\r\033[K") {
		require.Regexp(t, regexp.MustCompile(`^[^\r\n\033]{1,19}$`), line)
	}
}
