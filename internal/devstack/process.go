//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// process is a running program in a process group of its own, so that a
// Ctrl-C in the terminal reaches only devstack, which then stops the programs
// in order.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when the program has ended
	err  error         // how it ended; read after done
}

// startProcess starts cmd, whose output the caller has set.
func startProcess(cmd *exec.Cmd) (*process, error) {
	cmd.SysProcAttr = ownGroup()
	cmd.WaitDelay = time.Second // a grandchild must not keep our pipes open
	if err := cmd.Start(); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s is missing; run make build first", cmd.Path)
	} else if err != nil {
		return nil, fmt.Errorf("starting %s: %w", cmd.Path, err)
	}
	p := &process{cmd: cmd, done: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		p.signal(syscall.SIGKILL) // whatever it left behind in its group
		close(p.done)
	}()
	return p, nil
}

func (p *process) signal(sig syscall.Signal) {
	_ = syscall.Kill(-p.cmd.Process.Pid, sig) // it may have ended by itself
}

// stop ends the process group: SIGTERM, then SIGKILL when grace is over.
func (p *process) stop(grace time.Duration) {
	select {
	case <-p.done:
		return
	default:
	}
	p.signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(grace):
		p.signal(syscall.SIGKILL)
		<-p.done
	}
}

// poll asks until ready says yes or ctx ends.
func poll(ctx context.Context, ready func(context.Context) bool) error {
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

// tail is the end of a log, to be shown in an error.
func tail(path string) string {
	const most = 20
	data, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	return "The end of its log:\n    " + strings.Join(lines[max(0, len(lines)-most):], "\n    ")
}
