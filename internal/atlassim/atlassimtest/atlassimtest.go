// Package atlassimtest starts the simulator for the length of a test. It is apart from package atlassim so that
// cmd/atlas-sim does not carry test code.
package atlassimtest

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing/synctest"
	"time"

	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
)

// TB is the part of testing.TB that is needed here.
type TB interface {
	Helper()
	Fatalf(format string, args ...any)
	Cleanup(func())
}

// Start serves a simulator on a loopback port until the test ends. It returns the simulator and its base URL, without
// a trailing slash.
func Start(tb TB, cfg atlassim.Config) (*atlassim.Server, string) {
	tb.Helper()
	sim, err := atlassim.New(cfg)
	if err != nil {
		tb.Fatalf("atlassim: %v", err)
	}
	server := httptest.NewServer(sim)
	tb.Cleanup(func() {
		sim.Close() // first, or hanging requests would keep the server up
		server.Close()
	})
	return sim, server.URL
}

// Pipe serves h over connections in memory, for tests in a synctest bubble. Time passes there only while everybody
// waits. The test fails if the client keeps a connection that is not idle, and the bubble if a goroutine is left.
func Pipe(tb TB, h http.Handler) http.RoundTripper {
	conns, closed := make(chan net.Conn), make(chan struct{})
	var open atomic.Int32
	server := &http.Server{Handler: h, ConnState: func(_ net.Conn, s http.ConnState) {
		switch s {
		case http.StateNew:
			open.Add(1)
		case http.StateClosed, http.StateHijacked:
			open.Add(-1)
		}
	}}
	transport := &http.Transport{
		MaxIdleConnsPerHost: 100,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			ours, theirs := net.Pipe()
			select {
			case conns <- theirs:
				return ours, nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		},
	}
	go func() { _ = server.Serve(pipeListener{conns, closed}) }()
	tb.Cleanup(func() {
		transport.CloseIdleConnections()
		synctest.Wait()
		n := open.Load()
		_ = server.Close()
		if n != 0 {
			tb.Fatalf("the client keeps %d connections", n)
		}
	})
	return transport
}

type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (l pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l pipeListener) Close() error   { close(l.closed); return nil }
func (l pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

// Clock is a clock that moves only when told to, for Config.Now.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock returns a clock that shows a whole second in 2026.
func NewClock() *Clock {
	return &Clock{now: time.Date(2026, time.September, 1, 12, 0, 0, 0, time.UTC)}
}

// Now is the time on the clock.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the clock on.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}
