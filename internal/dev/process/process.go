//go:build unix

// Package process runs programs and leaves none behind.
package process

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// StopGrace is how long a program may take to stop before it is killed.
const StopGrace = 10 * time.Second

// Process is a running program in a process group of its own. A Ctrl-C in the terminal therefore reaches only the
// program that started it, which then stops its programs in order.
type Process struct {
	// Cmd is what was started.
	Cmd *exec.Cmd
	// Done is closed when the program has ended.
	Done chan struct{}
	// Err is the error of Cmd.Wait. It may be read once Done is closed.
	Err error
}

// Start starts cmd. The caller has set its output, and SysProcAttr.Credential if it is to run as another user.
func Start(cmd *exec.Cmd) (*Process, error) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	setOwnGroup(cmd.SysProcAttr)
	cmd.WaitDelay = time.Second // a child of the program must not keep our pipes open
	if err := cmd.Start(); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s is missing; run make build first", cmd.Path)
	} else if err != nil {
		return nil, fmt.Errorf("starting %s: %w", cmd.Path, err)
	}
	p := &Process{Cmd: cmd, Done: make(chan struct{})}
	go func() {
		p.Err = cmd.Wait()
		p.Signal(syscall.SIGKILL) // the program may have left children in its group
		close(p.Done)
	}()
	return p, nil
}

// Run runs cmd to its end. When ctx ends before, it stops the program and returns the cause.
func Run(ctx context.Context, cmd *exec.Cmd) error {
	p, err := Start(cmd)
	if err != nil {
		return err
	}
	select {
	case <-p.Done:
		return p.Err
	case <-ctx.Done():
		p.Stop(StopGrace)
		return context.Cause(ctx)
	}
}

// Signal sends a signal to the process group, which may have ended already.
func (p *Process) Signal(sig syscall.Signal) {
	_ = syscall.Kill(-p.Cmd.Process.Pid, sig)
}

// Kill ends the process group with SIGKILL and waits for its end.
func (p *Process) Kill() {
	p.Signal(syscall.SIGKILL)
	<-p.Done
}

// Stop ends the process group with SIGTERM, and with SIGKILL if it still runs after the grace period.
func (p *Process) Stop(grace time.Duration) {
	if p.Ended() {
		return
	}
	p.Signal(syscall.SIGTERM)
	select {
	case <-p.Done:
	case <-time.After(grace):
		p.Kill()
	}
}

// Ended tells whether the program has ended.
func (p *Process) Ended() bool {
	select {
	case <-p.Done:
		return true
	default:
		return false
	}
}

// Serves tells whether a GET of url is answered with 200.
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

// Poll asks until ready returns true or ctx ends. Each question has 5 seconds.
func Poll(ctx context.Context, ready func(context.Context) bool) error {
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		question, cancel := context.WithTimeout(ctx, 5*time.Second)
		yes := ready(question)
		cancel()
		if yes {
			return nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Tail returns the last lines of a log, to be shown in an error.
func Tail(path string) string {
	const count = 20
	data, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	return "The end of its log:\n    " + strings.Join(lines[max(0, len(lines)-count):], "\n    ")
}
