//go:build unix

// Package process runs programs for the development stack and the chaos
// campaign, and leaves none behind.
package process

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// Process is a running program in a process group of its own, so that a Ctrl-C
// in the terminal reaches only who started it, who then stops the programs in
// order.
type Process struct {
	// Cmd is what was started.
	Cmd *exec.Cmd
	// Done is closed when the program has ended.
	Done chan struct{}
	// Err is how it ended; to be read after Done.
	Err error
}

// Start starts cmd, whose output the caller has set, and its user
// (SysProcAttr.Credential) if it is to run as another.
func Start(cmd *exec.Cmd) (*Process, error) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	ownGroup(cmd.SysProcAttr)
	cmd.WaitDelay = time.Second // a grandchild must not keep our pipes open
	if err := cmd.Start(); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s is missing; run make build first", cmd.Path)
	} else if err != nil {
		return nil, fmt.Errorf("starting %s: %w", cmd.Path, err)
	}
	p := &Process{Cmd: cmd, Done: make(chan struct{})}
	go func() {
		p.Err = cmd.Wait()
		p.Signal(syscall.SIGKILL) // whatever it left behind in its group
		close(p.Done)
	}()
	return p, nil
}

// Signal sends a signal to the process group.
func (p *Process) Signal(sig syscall.Signal) {
	_ = syscall.Kill(-p.Cmd.Process.Pid, sig) // it may have ended by itself
}

// Stop ends the process group: SIGTERM, then SIGKILL when grace is over.
func (p *Process) Stop(grace time.Duration) {
	select {
	case <-p.Done:
		return
	default:
	}
	p.Signal(syscall.SIGTERM)
	select {
	case <-p.Done:
	case <-time.After(grace):
		p.Signal(syscall.SIGKILL)
		<-p.Done
	}
}

// FreePorts returns each preferred port of loopback where it is free, and
// another free one where it is not. All are held until all are chosen, so that
// none comes twice.
func FreePorts(preferred ...string) ([]string, error) {
	var ports []string
	for _, port := range preferred {
		l, err := net.Listen("tcp", "127.0.0.1:"+port)
		if err != nil {
			l, err = net.Listen("tcp", "127.0.0.1:0")
		}
		if err != nil {
			return nil, fmt.Errorf("no free port: %w", err)
		}
		defer l.Close()
		_, port, _ = net.SplitHostPort(l.Addr().String())
		ports = append(ports, port)
	}
	return ports, nil
}

// Serves says whether a GET of url is answered with 200.
func Serves(ctx context.Context, url string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// Poll asks until ready says yes or ctx ends.
func Poll(ctx context.Context, ready func(context.Context) bool) error {
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for !ready(ctx) {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// Tail is the end of a log, to be shown in an error.
func Tail(path string) string {
	const most = 20
	data, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	return "The end of its log:\n    " + strings.Join(lines[max(0, len(lines)-most):], "\n    ")
}
