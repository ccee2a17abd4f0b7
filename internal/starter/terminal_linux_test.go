package starter

import (
	"context"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv"
	"github.com/atlas-provisioner/atlas-provisioner/provisioner"
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

// shown is what the program has written to a terminal.
type shown struct {
	stream
	file   *os.File
	screen *os.File // where a person types
	read   chan struct{}
}

// newTerminal opens a terminal of a width that is read until it is closed.
func newTerminal(t *testing.T, width uint16) *shown {
	t.Helper()
	screen, terminal := openTerminal(t, width)
	s := &shown{file: terminal, screen: screen, read: make(chan struct{})}
	go func() {
		defer close(s.read)
		buf := make([]byte, 4096)
		for {
			n, err := screen.Read(buf)
			_, _ = s.Write(buf[:n])
			if err != nil {
				return // EIO: the terminal is closed
			}
		}
	}()
	return s
}

// all closes the terminal and answers what was written to it, but for the
// terminal's own \r.
func (s *shown) all(t *testing.T) string {
	t.Helper()
	require.NoError(t, s.file.Close())
	<-s.read
	return strings.ReplaceAll(s.String(), "\r\n", "\n")
}

// onTerminal runs the program to its end on a terminal.
func (s *stack) onTerminal(width uint16, environ []string, args ...string) string {
	s.t.Helper()
	terminal := newTerminal(s.t, width)
	Run(s.ctx(), args, slices.Concat(s.env, environ), nil, terminal.file, terminal.file)
	return s.clean(terminal.all(s.t))
}

// A list fits the terminal: what the id says as well gives way first. Colour is
// for terminals, unless NO_COLOR is set.
func TestListOnATerminal(t *testing.T) {
	t.Parallel()
	s := setupWithoutWorker(t, atlassim.Config{})
	require.Equal(t, 0, s.run(s.flags("provision-flex")...).code)
	const (
		wide = "STATUS   COMMAND         STATE  AGE  CLUSTER  PROJECT                   WORKFLOW ID\n" +
			"\033[36mRUNNING\033[0m  provision-flex  -      Ns  orders   PROJECT  atlas-cluster-PROJECT-orders\n"
		middle = "STATUS   COMMAND         STATE  AGE  CLUSTER  WORKFLOW ID\n" +
			"\033[36mRUNNING\033[0m  provision-flex  -      Ns  orders   atlas-cluster-PROJECT-orders\n"
		short = "STATUS   COMMAND         STATE  AGE  WORKFLOW ID\n" +
			"\033[36mRUNNING\033[0m  provision-flex  -      Ns  atlas-cluster-PROJECT-orders\n"
		narrow = "STATUS   STATE  AGE  WORKFLOW ID\n\033[36mRUNNING\033[0m  -      Ns  atlas-cluster-PROJECT-orders\n"
	)
	s.lists(strings.NewReplacer("\033[36m", "", "\033[0m", "").Replace(wide), "--project-id", s.project)
	for width, want := range map[uint16]string{
		200: wide, 118: wide, 117: middle, 92: middle, 91: short, 83: short, 82: narrow, 67: narrow, 0: wide,
	} {
		require.Equal(t, want, s.onTerminal(width, nil, "list", "--project-id", s.project), "%d columns", width)
	}
	text := s.onTerminal(60, nil, "list", "--project-id", s.project)
	require.Regexp(
		t,
		"^STATUS   STATE  AGE  WORKFLOW ID\n\033\\[36mRUNNING\033\\[0m  -      Ns  atlas-cluster-[0-9a-f]{20,}…\n$",
		text,
	)
	plain := strings.NewReplacer("\033[36m", "", "\033[0m", "").Replace(wide)
	require.Equal(t, plain, s.onTerminal(200, []string{"NO_COLOR=1"}, "list", "--project-id", s.project))
	require.Equal(t, plain, s.onTerminal(200, []string{"TERM=dumb"}, "list", "--project-id", s.project))
	require.Equal(
		t,
		wide,
		s.onTerminal(200, []string{"NO_COLOR="}, "list", "--project-id", s.project),
		"empty is not set",
	)
}

// On a terminal the progress of many is a table that is painted over, and is
// gone before the summary.
func TestLiveTable(t *testing.T) {
	t.Parallel()
	s := setupWithoutWorker(t, atlassim.Config{})
	terminal := newTerminal(t, 70)
	code := make(chan int, 1)
	args := []string{"provision-flex", "-f", s.file("orders", "stock"), "--wait"}
	go func() { code <- Run(s.ctx(), args, s.env, nil, terminal.file, terminal.file) }()
	// A slow program may know already that no worker polls, and says so in a line below the table.
	painted := regexp.MustCompile("\033\\[36mRUNNING\033\\[0m  -      Ns  atlas-cluster-PROJECT-stock\033\\[K\r\n" +
		"2 running, 0 completed, 0 failed\033\\[K\r\n(?:[12] held up: .+\033\\[K\r\n)?\033\\[J\r\033\\[[45]A")
	testenv.Eventually(t, func() bool { return painted.MatchString(s.clean(terminal.String())) }, "%s", painted)
	s.startWorker()
	require.Equal(t, 0, <-code)
	text := s.clean(terminal.all(t))
	require.True(
		t,
		strings.HasPrefix(text, "Following 2 workflows\nSTATUS   STATE  AGE  WORKFLOW ID\033[K\n"),
		"%q",
		text,
	)
	_, end, _ := strings.Cut(text[strings.LastIndex(text, "\r\033["):], "A")
	require.Equal(t, "\033[J\033[32mCOMPLETED\033[0m  atlas-cluster-PROJECT-orders  CREATED mongodb+srv://orders.SIM\n"+
		"\033[32mCOMPLETED\033[0m  atlas-cluster-PROJECT-stock   CREATED mongodb+srv://stock.SIM\n", end)
}

// A table that is higher than the terminal leaves out what has ended first.
func TestLiveTableOfMany(t *testing.T) {
	t.Parallel()
	paint := func(running, completed int) (rows int, last string) {
		terminal := newTerminal(t, 80)
		var all []*outcome
		for i := range completed + running {
			o := &outcome{
				status: provisioner.Status{WorkflowID: fmt.Sprint("id-", i), State: provisioner.Completed},
				result: &awaited{},
			}
			if i >= completed {
				o = &outcome{status: provisioner.Status{WorkflowID: fmt.Sprint("id-", i), State: provisioner.Running}}
			}
			all = append(all, o)
		}
		v := newTestApp(io.Discard, terminal.file).newView(len(all))
		v.paint(all, time.Now())
		text := terminal.all(t)
		require.Less(t, strings.Count(text, "\n"), 24, "the terminal's own height")
		return strings.Count(text, "RUNNING"), text
	}
	rows, text := paint(10, 100)
	require.Equal(t, 10, rows)
	require.Equal(t, 11, strings.Count(text, "COMPLETED"))
	require.Contains(t, text, "\n10 running, 100 completed, 0 failed\033[K\n")
	rows, text = paint(100, 1)
	require.Equal(t, 21, rows)
	require.Contains(t, text, "\n100 running, 1 completed, 0 failed\033[K\n")
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
	terminal := newTerminal(t, 20)
	code := make(chan int, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), testenv.Patience)
		defer cancel()
		code <- Run(ctx, s.flags("provision-flex", "--wait"), s.env, nil, stdout(terminal.file), terminal.file)
	}()
	require.Eventually(
		t,
		func() bool { return strings.Contains(terminal.String(), "\r\033[Kwaiting for a work…") },
		testenv.Patience,
		10*time.Millisecond,
	)
	s.startWorker()
	require.Equal(t, 0, <-code)
	text := s.clean(terminal.all(t))
	text, found := strings.CutPrefix(text, "Following atlas-cluster-PROJECT-orders\n")
	require.True(t, found, "%q", text)
	text, found = strings.CutSuffix(text, "\r\033[K"+result)
	require.True(t, found, "%q does not end with a line that is wiped", text)
	for line := range strings.SplitSeq(strings.TrimPrefix(text, "\r\033[K"), "\r\033[K") {
		require.Regexp(t, regexp.MustCompile(`^[^\r\n\033]{1,19}$`), line)
	}
}

// A delete asks on a terminal before anything is started, and names what it would delete. It goes on for yes alone.
func TestConfirm(t *testing.T) {
	t.Parallel()
	s := setupWithoutWorker(t, atlassim.Config{})
	one := []string{"delete", "--project-id", s.project, "--name", "orders"}
	file := write(t, "old.yaml", "groupId: "+s.project+"\nname: orders\n---\ngroupId: "+s.project+
		"\nname: stock\nremoveTerminationProtection: true\n")
	const (
		asksOne = "starter is about to\n  delete cluster orders of project PROJECT\nGo on? [y/N] "
		asksTwo = "starter is about to\n  delete cluster orders of project PROJECT\n  delete cluster stock of " +
			"project PROJECT; termination protection is turned off first\nGo on? [y/N] "
		refused = "starter: nothing was started: the answer was not yes\n"
	)
	for _, test := range []struct {
		args        []string
		typed, want string
		code        int
	}{
		{one, "\n", asksOne + "\n" + refused, 2},
		{one, "n\n", asksOne + "n\n" + refused, 2},
		{one, "yess\n", asksOne + "yess\n" + refused, 2},
		{one, "\x04", asksOne + refused, 2}, // the end of the input
		{one, "Y\n", asksOne + "Y\n" + started("Started", webUILink), 0},
		{one, " yes \n", asksOne + " yes \n" + started("Joined", webUILink), 0},
		{[]string{"delete", "-f", file}, "no\n", asksTwo + "no\n" + refused, 2},
		{[]string{"delete", "-f", file}, "y\n", asksTwo + "y\nJOINED   atlas-cluster-PROJECT-orders\n" +
			"STARTED  atlas-cluster-PROJECT-stock\nFollow them with: the same command and --wait\n", 0},
	} {
		terminal := newTerminal(t, 200)
		code := make(chan int, 1)
		environ := append(slices.Clone(s.env), "NO_COLOR=1")
		go func() { code <- Run(s.ctx(), test.args, environ, terminal.file, terminal.file, terminal.file) }()
		require.Eventually(t, func() bool { return strings.HasSuffix(terminal.String(), "Go on? [y/N] ") },
			testenv.Patience, 10*time.Millisecond)
		_, err := terminal.screen.WriteString(test.typed)
		require.NoError(t, err)
		require.Equal(t, test.code, <-code, "%q", test.typed)
		require.Equal(t, test.want, s.clean(terminal.all(t)), "%q", test.typed) // the terminal shows what is typed
	}
}

// An interrupt does not wait for an answer.
func TestInterruptTheQuestion(t *testing.T) {
	t.Parallel()
	terminal := newTerminal(t, 200)
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	code := make(chan int, 1)
	go func() { code <- Run(ctx, named("delete"), nowhere, terminal.file, terminal.file, terminal.file) }()
	require.Eventually(t, func() bool { return strings.HasSuffix(terminal.String(), "Go on? [y/N] ") },
		testenv.Patience, 10*time.Millisecond)
	interrupt()
	require.Equal(t, 130, <-code)
	_, err := terminal.screen.WriteString("\n") // what still reads from the terminal then ends
	require.NoError(t, err)
	require.Contains(t, terminal.all(t), "Go on? [y/N] \nstarter: interrupted before an answer; nothing was started\n")
}

// Where nobody can be asked, a delete needs --yes: without a terminal for the answer, or for the question.
func TestNobodyToAsk(t *testing.T) {
	t.Parallel()
	const refused = "starter: nothing was started: delete asks on a terminal, and there is none. Give --yes to go on " +
		"without being asked\nSee 'starter delete --help'\n"
	require.Equal(t, output{code: 2, stderr: refused}, run(nowhere, named("delete")...))
	require.Equal(t, output{code: 2, stderr: refused}, run(nowhere, named("delete", "--wait", "-o", "json")...))
	require.Equal(t, output{code: 2, stderr: refused}, runWith(oldYAML, nowhere, "delete", "-f-"))
	terminal := newTerminal(t, 80)
	var stderr stream
	require.Equal(t, 2, Run(t.Context(), named("delete"), nowhere, terminal.file, io.Discard, &stderr))
	require.Equal(t, refused, stderr.String())
	yes := strings.NewReader("yes\n")
	require.Equal(t, 2, Run(t.Context(), named("delete"), nowhere, yes, io.Discard, terminal.file))
	require.NotContains(t, terminal.all(t), "Go on?")
}
