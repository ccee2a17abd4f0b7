// Package testenv is the one stack that the tests of this repository run on, all of it in the process of the tests
// but the Temporal dev server: the dev server, the Atlas simulator, the clients of both, and, in the package
// testworker, a worker. It also holds what such tests share: golden files, and the time limit of their waits.
package testenv

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// Patience bounds each wait of a test. It is far beyond what any wait needs, so that no test passes or fails by the
// speed of the machine.
const Patience = 2 * time.Minute

// TB is what the package needs of a test: a *testing.T, or [Package].
type TB interface {
	require.TestingT
	Helper()
	Cleanup(func())
	Name() string
	Failed() bool
	Logf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// Main is the whole of a TestMain: it runs the tests of a package beside a dev server, which [Shared] returns. A
// goroutine that is left at the end fails them. A listing of tests, and a fuzzing without other tests, get no server.
func Main(m *testing.M) {
	flag.BoolVar(&update, "update", false, "write the golden files in testdata")
	flag.Parse()
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	if testFlag("list") != "" || testFlag("fuzz") != "" && testFlag("run") == "^$" {
		return m.Run()
	}
	server, err := StartServer()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	shared = server
	code := m.Run()
	Package.end()
	_ = server.Stop()
	if err := leakedGoroutines(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// testFlag returns the value of a flag of go test.
func testFlag(name string) string { return flag.Lookup("test." + name).Value.String() }

// leakedGoroutines names the goroutines of workers, clients, programs and connections that the tests have left. It
// gives those that are ending ten seconds.
func leakedGoroutines() (err error) {
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	for range 10 { // goleak looks for a second each time
		if err = goleak.Find(); err == nil {
			return nil
		}
	}
	return err
}

// shared is the dev server of the package's tests.
var shared *Server

// Shared returns the dev server that [Main] started. Its namespace "default" has the contract's search attributes.
func Shared() *Server { return shared }

// Package stands for the test where there is none, such as in an example: its cleanups run after the package's last
// test.
var Package = &packageTB{}

type packageTB struct{ cleanups []func() }

func (*packageTB) Helper()                           {}
func (*packageTB) Name() string                      { return "Package" }
func (*packageTB) Failed() bool                      { return false }
func (*packageTB) FailNow()                          { panic("the stack of the package does not work") }
func (*packageTB) Logf(format string, args ...any)   { fmt.Fprintf(os.Stderr, format+"\n", args...) }
func (*packageTB) Errorf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
func (*packageTB) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
func (p *packageTB) Cleanup(f func())                { p.cleanups = append(p.cleanups, f) }

func (p *packageTB) end() {
	for _, cleanup := range slices.Backward(p.cleanups) {
		cleanup()
	}
}

// Context returns a context that ends with the patience of the tests, or with the test.
func Context(t TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	t.Cleanup(cancel)
	return ctx
}

// Eventually waits until the condition holds.
func Eventually(t TB, condition func() bool, messageAndArgs ...any) {
	t.Helper()
	require.Eventually(t, condition, Patience, 20*time.Millisecond, messageAndArgs...)
}
