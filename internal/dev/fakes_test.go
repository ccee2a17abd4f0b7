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
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/grpc"
)

// The programs of these tests are this test binary under another name. Each connects to the test, says who it is, and
// does what it is told. The end of the connection is the end of the program.
func TestMain(m *testing.M) {
	switch name := filepath.Base(os.Args[0]); name {
	case "temporal", "atlas-sim", "worker", "starter", "grandchild":
		os.Exit(runFake(name))
	case "dev":
		os.Exit(run(context.Background(), os.Args[1:], os.Environ(), os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

func runFake(name string) int {
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
			fmt.Fprintln(conn, "stopping") // and wait for the order to exit
		case order := <-orders:
			switch order {
			case "become ready":
				if err := serve(name); err != nil {
					fmt.Println(err)
				}
			case "start a child":
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

// serve answers what the stack asks to know whether a program is ready.
func serve(name string) error {
	switch name {
	case "temporal":
		l, err := net.Listen("tcp", "127.0.0.1:"+argument("--port"))
		if err != nil {
			return err
		}
		server := grpc.NewServer()
		workflowservice.RegisterWorkflowServiceServer(server, workflowservice.UnimplementedWorkflowServiceServer{})
		operatorservice.RegisterOperatorServiceServer(server, fakeOperator{})
		go func() { fmt.Println(server.Serve(l)) }()
		return nil
	case "atlas-sim":
		return serveHTTP(argument("-addr"))
	case "worker":
		fmt.Println("the worker's log")
		return serveHTTP(os.Getenv("WORKER_HTTP_ADDRESS"))
	}
	return nil
}

// argument is the one that follows a flag.
func argument(flag string) string {
	return os.Args[slices.Index(os.Args, flag)+1]
}

func serveHTTP(address string) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	answerOK := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	go func() { fmt.Println(http.Serve(l, answerOK)) }()
	return nil
}

// fakeOperator is a Temporal server's list of search attributes, and takes a Nexus endpoint.
type fakeOperator struct {
	operatorservice.UnimplementedOperatorServiceServer
}

func (fakeOperator) ListSearchAttributes(
	context.Context, *operatorservice.ListSearchAttributesRequest,
) (*operatorservice.ListSearchAttributesResponse, error) {
	attributes := map[string]enumspb.IndexedValueType{}
	for i, arg := range os.Args {
		if arg == "--search-attribute" {
			name, _, _ := strings.Cut(os.Args[i+1], "=")
			attributes[name] = enumspb.INDEXED_VALUE_TYPE_KEYWORD
		}
	}
	return &operatorservice.ListSearchAttributesResponse{CustomAttributes: attributes}, nil
}

func (fakeOperator) CreateNexusEndpoint(
	context.Context, *operatorservice.CreateNexusEndpointRequest,
) (*operatorservice.CreateNexusEndpointResponse, error) {
	return &operatorservice.CreateNexusEndpointResponse{}, nil
}

// hub is the test's end of the fake programs' connections.
type hub struct {
	t        *testing.T
	listener net.Listener
}

// newHub makes a working folder whose bin/ holds the fake programs.
func newHub(t *testing.T) *hub {
	t.Helper()
	self, err := os.Executable()
	must(t, err)
	t.Chdir(t.TempDir())
	t.Setenv("TMPDIR", t.TempDir()) // for the logs
	must(t, os.Mkdir("bin", 0o755))
	for _, name := range []string{"temporal", "atlas-sim", "worker", "starter", "grandchild", "dev"} {
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
	t      *testing.T
	args   string
	conn   net.Conn
	reader *bufio.Reader
}

// accept waits for the named program to start, and tells it to become ready.
func (h *hub) accept(name string) *child {
	h.t.Helper()
	c := h.acceptUnready(name)
	c.tell("become ready")
	return c
}

func (h *hub) acceptUnready(name string) *child {
	h.t.Helper()
	must(h.t, h.listener.(*net.TCPListener).SetDeadline(time.Now().Add(time.Minute)))
	conn, err := h.listener.Accept()
	must(h.t, err)
	h.t.Cleanup(func() { _ = conn.Close() })
	must(h.t, conn.SetDeadline(time.Now().Add(time.Minute)))
	c := &child{t: h.t, conn: conn, reader: bufio.NewReader(conn)}
	got, args, _ := strings.Cut(c.line(), " ")
	if got != name {
		h.t.Fatalf("%s started, want %s", got, name)
	}
	c.args = args
	return c
}

func (c *child) line() string {
	c.t.Helper()
	line, err := c.reader.ReadString('\n')
	must(c.t, err)
	return strings.TrimSpace(line)
}

func (c *child) tell(order string) {
	c.t.Helper()
	_, err := fmt.Fprintln(c.conn, order)
	must(c.t, err)
}

// awaitStop waits until the program is asked to stop, lets it stop, and waits for its end.
func (c *child) awaitStop() {
	c.t.Helper()
	if got := c.line(); got != "stopping" {
		c.t.Fatalf("the program says %q, want stopping", got)
	}
	c.tell("exit 0")
	c.awaitEnd()
}

// awaitEnd waits until the program has ended.
func (c *child) awaitEnd() {
	c.t.Helper()
	for {
		_, err := c.reader.ReadString('\n')
		if errors.Is(err, os.ErrDeadlineExceeded) {
			c.t.Fatal("the program is still running")
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
