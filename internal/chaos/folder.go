//go:build unix

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/atlas-provisioner/atlas-provisioner/internal/process"
)

// startTimeout bounds the start of one program.
const startTimeout = time.Minute

// folder holds what a campaign writes: logs, databases, configuration.
type folder string

func (f folder) path(name string) string { return filepath.Join(string(f), name) }
func (f folder) log(name string) string  { return f.path(name + ".log") }

// launch starts a program whose output is added to a log of its name.
func (f folder) launch(name string, cmd *exec.Cmd) (*process.Process, error) {
	log, err := os.OpenFile(f.log(name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	return process.Start(cmd)
}

// run runs a program to its end.
func (f folder) run(ctx context.Context, name string, cmd *exec.Cmd) error {
	p, err := f.launch(name, cmd)
	if err != nil {
		return err
	}
	select {
	case <-p.Done:
	case <-ctx.Done():
		p.Stop(time.Second)
		return context.Cause(ctx)
	}
	if p.Err != nil {
		return fmt.Errorf("%s failed: %w. %s", name, p.Err, process.Tail(f.log(name)))
	}
	return nil
}

// awaitStart waits until a program that was started is ready.
func (f folder) awaitStart(ctx context.Context, name string, ready func(context.Context) bool) error {
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout, fmt.Errorf("not ready after %s", startTimeout))
	defer cancel()
	err := process.Poll(ctx, func(ctx context.Context) bool {
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		return ready(ctx)
	})
	if err != nil {
		return fmt.Errorf("%s does not start: %w. %s", name, err, process.Tail(f.log(name)))
	}
	return nil
}
