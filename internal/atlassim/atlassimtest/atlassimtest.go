// Package atlassimtest starts the simulator for the length of a test. It is
// apart from package atlassim so that cmd/atlas-sim does not carry test code.
package atlassimtest

import (
	"net/http/httptest"
	"sync"
	"time"

	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
)

// TB is the part of testing.TB that is needed here.
type TB interface {
	Helper()
	Fatalf(format string, args ...any)
	Cleanup(func())
}

// Start serves a simulator on a loopback port until the test ends. It returns
// the simulator and its base URL, without a trailing slash.
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
