//go:build unix

// Package docs holds no code. Its tests do what the documentation tells a new user to do, with the programs on a
// stack that the tests start, and they look at the Web UI in a browser as an operator does.
package docs

import (
	"context"
	"flag"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/atlas-provisioner/atlas-provisioner/internal/dev/process"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv"
)

var pictures = flag.Bool("pictures", false, "write the pictures of the Web UI to docs")

// user does what the documentation says, in a folder that looks like the repository, with bin/ as make leaves it,
// while `dev up` runs.
type user struct {
	root  string // of the repository
	home  string
	atlas string // URL of the simulator
	ui    string // URL of the Web UI
	guide string // what `dev up` says
	env   []string
	// faults is held by a test while the simulator's faults are those that the test needs.
	faults *sync.Mutex
}

var u = user{faults: &sync.Mutex{}}

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(func() int {
		stop, err := u.start()
		defer stop()
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return m.Run()
	}())
}

// start makes the folder and starts the stack; stop undoes both.
func (u *user) start() (stop func(), err error) {
	stop = func() {}
	cli, err := testenv.CLI()
	if err != nil {
		return stop, err
	}
	if u.root, err = filepath.Abs("../.."); err != nil {
		return stop, err
	}
	if u.home, err = os.MkdirTemp("", "atlas-provisioner-docs-"); err != nil {
		return stop, err
	}
	stop = func() { _ = os.RemoveAll(u.home) }
	if err := u.prepareFolder(cli); err != nil {
		return stop, err
	}

	var out testenv.Buffer
	cmd := exec.Command("bin/dev", "up")
	cmd.Dir, cmd.Stdout, cmd.Stderr = u.home, &out, &out
	p, err := process.Start(cmd)
	if err != nil {
		return stop, err
	}
	stop = func() {
		p.Stop(time.Minute)
		_ = os.RemoveAll(u.home)
	}
	ctx, cancel := context.WithTimeout(context.Background(), testenv.Patience)
	defer cancel()
	go func() {
		<-p.Done
		cancel()
	}()
	if err := process.Poll(ctx, func(context.Context) bool {
		return strings.Contains(out.String(), "Ctrl-C stops "+
			"everything.")
	}); err != nil {
		return stop, fmt.Errorf("the stack did not start: %w\n%s", err, &out)
	}
	address := regexp.MustCompile(`(?s)Temporal +(\S+)\n +Temporal Web UI +http://127\.0\.0\.1(:\d+)\n +Atlas ` +
		`simulator +(\S+)\n`).
		FindStringSubmatch(out.String())
	if address == nil {
		return stop, fmt.Errorf("bin/dev does not say where everything is:\n%s", &out)
	}
	u.guide = out.String()
	u.ui, u.atlas = "http://localhost"+address[2], address[3]
	u.env = append(os.Environ(),
		"PATH="+filepath.Join(u.home, "bin")+":"+os.Getenv("PATH"),
		"TEMPORAL_ADDRESS="+address[1], "TEMPORAL_UI_URL="+u.ui, "NO_COLOR=1")
	return stop, nil
}

// prepareFolder builds the programs, and links to what else is in the repository.
func (u *user) prepareFolder(cli string) error {
	bin := filepath.Join(u.home, "bin")
	build := exec.Command("go", "build", "-o", bin+"/", "./cmd/...", "./internal/dev")
	build.Dir = u.root
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	if err := os.Symlink(cli, filepath.Join(bin, "temporal")); err != nil {
		return err
	}
	entries, err := os.ReadDir(u.root)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if name := e.Name(); name != "bin" && name != ".git" {
			if err := os.Symlink(filepath.Join(u.root, name), filepath.Join(u.home, name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// dependOnAllFiles makes a test depend on every file of the repository, so that go test runs it again when one
// changes.
func (u *user) dependOnAllFiles(t *testing.T) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(u.root, func(path string, d fs.DirEntry, err error) error {
		if name := d.Name(); err == nil && d.IsDir() &&
			(name == ".git" || name == "bin" || name == "build" || name == "types" || name == "node_modules") {
			return filepath.SkipDir
		}
		_, _ = os.Stat(path) // go test takes note of what a test looks at
		return err
	}))
}

// result is how a program ended.
type result struct {
	code           int
	stdout, stderr string
}

func (r result) String() string {
	return fmt.Sprintf("exit code %d\n--- standard output\n%s\n--- standard error\n%s", r.code, r.stdout, r.stderr)
}

// running is a program that was started.
type running struct {
	t              *testing.T
	process        *process.Process
	stdout, stderr testenv.Buffer
}

// begin starts a program in the user's folder.
func (u *user) begin(t *testing.T, name string, args ...string) *running {
	t.Helper()
	r := &running{t: t}
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = u.home, u.env, &r.stdout, &r.stderr
	p, err := process.Start(cmd)
	require.NoError(t, err)
	t.Cleanup(func() { p.Stop(0) })
	r.process = p
	return r
}

// end waits for the program's end.
func (r *running) end() result {
	r.t.Helper()
	select {
	case <-r.process.Done:
	case <-time.After(testenv.Patience):
		r.process.Stop(0)
		require.Fail(r.t, "the program does not end", "%s\n%s\n%s", r.process.Cmd, &r.stdout, &r.stderr)
	}
	return result{r.process.Cmd.ProcessState.ExitCode(), r.stdout.String(), r.stderr.String()}
}

// run runs a program in the user's folder to its end.
func (u *user) run(t *testing.T, name string, args ...string) result {
	t.Helper()
	return u.begin(t, name, args...).end()
}

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, ready func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testenv.Patience)
	defer cancel()
	require.NoError(t, process.Poll(ctx, func(context.Context) bool { return ready() }), what)
}

// control posts to the control interface of the simulator; see `atlas-sim -help`.
func (u *user) control(t *testing.T, path, body string) {
	t.Helper()
	require.Equal(t, http.StatusNoContent, u.post(t, path, body))
}

// holdState keeps a cluster in a state as soon as the cluster is there. The state "" ends that.
func (u *user) holdState(t *testing.T, project, name, state string) {
	t.Helper()
	eventually(t, "there is no cluster "+name, func() bool {
		return u.post(t, "state",
			fmt.Sprintf(`{"groupId": %q, "name": %q, "state": %q}`, project, name, state),
		) == http.StatusNoContent
	})
}

func (u *user) post(t *testing.T, path, body string) (status int) {
	t.Helper()
	resp, err := http.Post(u.atlas+"/sim/"+path, "application/json", strings.NewReader(body))
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	return resp.StatusCode
}
