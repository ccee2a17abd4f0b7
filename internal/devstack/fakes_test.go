//go:build unix

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The programs of these tests are this test binary under another name. Each
// connects to the test, says who it is, and does as it is told; the end of
// the connection is the end of the program.
func TestMain(m *testing.M) {
	switch name := filepath.Base(os.Args[0]); name {
	case "temporal", "atlas-sim", "worker", "starter", "grandchild":
		os.Exit(fake(name))
	case "devstack":
		os.Exit(run(context.Background(), os.Args[1:], os.Environ(), os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

func fake(name string) int {
	if len(os.Args) > 1 && os.Args[1] == "operator" {
		if _, err := os.Stat("temporal-ready"); err != nil {
			return 1
		}
		fmt.Println("  AtlasClusterState   Keyword")
		return 0
	}
	conn, err := net.Dial("tcp", os.Getenv("FAKE_HUB"))
	if err != nil {
		fmt.Println(err)
		return 1
	}
	terminated := make(chan os.Signal, 1)
	signal.Notify(terminated, syscall.SIGTERM)
	fmt.Fprintf(conn, "%s %s\n", name, strings.Join(os.Args[1:], " "))

	orders := make(chan string)
	go func() {
		for lines := bufio.NewScanner(conn); lines.Scan(); {
			orders <- lines.Text()
		}
	}()
	for {
		select {
		case <-terminated:
			fmt.Fprintln(conn, "stopping") // and wait for the order
		case order := <-orders:
			switch order {
			case "ready":
				ready(name)
			case "have a child":
				child := exec.Command("bin/grandchild")
				child.Stdout = os.Stdout
				if err := child.Start(); err != nil {
					fmt.Println(err)
				}
			case "exit 0":
				return 0
			case "exit 3":
				fmt.Println("boom from " + name)
				return 3
			}
		}
	}
}

func ready(name string) {
	switch name {
	case "temporal":
		if err := os.WriteFile("temporal-ready", nil, 0o600); err != nil {
			fmt.Println(err)
		}
	case "atlas-sim":
		fmt.Println("atlas-sim listening on http://127.0.0.1:1")
	case "worker":
		fmt.Println("the worker's log")
		l, err := net.Listen("tcp", os.Getenv("WORKER_HTTP_ADDRESS"))
		if err != nil {
			fmt.Println(err)
			return
		}
		go func() { fmt.Println(http.Serve(l, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))) }()
	}
}

// hub is the test's end of the fakes' connections.
type hub struct {
	t *testing.T
	net.Listener
}

// newHub makes a working folder whose bin/ holds the fakes.
func newHub(t *testing.T) *hub {
	t.Helper()
	self, err := os.Executable()
	must(t, err)
	t.Chdir(t.TempDir())
	t.Setenv("TMPDIR", t.TempDir()) // for the logs
	must(t, os.Mkdir("bin", 0o755))
	for _, name := range []string{"temporal", "atlas-sim", "worker", "starter", "grandchild", "devstack"} {
		must(t, os.Symlink(self, filepath.Join("bin", name)))
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { _ = l.Close() })
	t.Setenv("GORACE", "atexit_sleep_ms=0") // or each fake takes a second to exit
	t.Setenv("FAKE_HUB", l.Addr().String())
	return &hub{t, l}
}

type child struct {
	t    *testing.T
	args string
	conn net.Conn
	*bufio.Reader
}

// accept waits for the named program to start, and tells it to be ready.
func (h *hub) accept(name string) *child {
	h.t.Helper()
	c := h.acceptUnready(name)
	c.tell("ready")
	return c
}

func (h *hub) acceptUnready(name string) *child {
	h.t.Helper()
	must(h.t, h.Listener.(*net.TCPListener).SetDeadline(time.Now().Add(time.Minute)))
	conn, err := h.Accept()
	must(h.t, err)
	h.t.Cleanup(func() { _ = conn.Close() })
	must(h.t, conn.SetDeadline(time.Now().Add(time.Minute)))
	c := &child{t: h.t, conn: conn, Reader: bufio.NewReader(conn)}
	got, args, _ := strings.Cut(c.line(), " ")
	if got != name {
		h.t.Fatalf("%s started, want %s", got, name)
	}
	c.args = args
	return c
}

func (c *child) line() string {
	c.t.Helper()
	line, err := c.ReadString('\n')
	must(c.t, err)
	return strings.TrimSpace(line)
}

func (c *child) tell(order string) {
	c.t.Helper()
	_, err := fmt.Fprintln(c.conn, order)
	must(c.t, err)
}

// stops waits until the program is asked to stop, lets it, and waits until it
// is gone.
func (c *child) stops() {
	c.t.Helper()
	if got := c.line(); got != "stopping" {
		c.t.Fatalf("it says %q, want it to be stopping", got)
	}
	c.tell("exit 0")
	c.gone()
}

// gone waits until the program has ended.
func (c *child) gone() {
	c.t.Helper()
	for {
		_, err := c.ReadString('\n')
		if errors.Is(err, os.ErrDeadlineExceeded) {
			c.t.Fatal("it is still running")
		} else if err != nil {
			return
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
