//go:build unix

package stack

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"time"

	"github.com/atlas-provisioner/atlas-provisioner/internal/dev/process"
)

// startTimeout is how long a program may take to become ready.
const startTimeout = time.Minute

// Launch starts a program that runs until Stop or Kill, and does not wait until it is ready. Its output is added to the
// log of its name. A program of the same name that ran before must have ended.
func (s *Stack) Launch(name string, cmd *exec.Cmd) (*process.Process, error) {
	log, err := s.openLog(name, cmd)
	if err != nil {
		return nil, err
	}
	defer log.Close() // the program has a handle of its own
	p, err := process.Start(cmd)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := s.indexLocked(name); i >= 0 {
		s.programs[i].process = p
	} else {
		s.programs = append(s.programs, &program{name: name, process: p})
	}
	go func() {
		<-p.Done
		if s.Ended != nil && s.Process(name) == p {
			s.Ended(s.unexpectedEnd(name, p))
		}
	}()
	return p, nil
}

func (s *Stack) unexpectedEnd(name string, p *process.Process) error {
	return fmt.Errorf("%s ended unexpectedly (%s). %s", name, p.Cmd.ProcessState, process.Tail(s.Log(name)))
}

// openLog opens the log of a program as its output.
func (s *Stack) openLog(name string, cmd *exec.Cmd) (*os.File, error) {
	log, err := os.OpenFile(s.Log(name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	cmd.Stdout, cmd.Stderr = log, log
	return log, err
}

// Start launches a program and waits until it is ready.
func (s *Stack) Start(ctx context.Context, name string, cmd *exec.Cmd, ready func(context.Context) bool) error {
	p, err := s.Launch(name, cmd)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		<-p.Done
		cancel()
	}()
	err = s.waitReady(ctx, name, ready)
	if err != nil && p.Ended() {
		return s.unexpectedEnd(name, p)
	}
	return err
}

// waitReady waits until a program is ready. It does not notice the program's end.
func (s *Stack) waitReady(ctx context.Context, name string, ready func(context.Context) bool) error {
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout, fmt.Errorf("it is not ready after %s", startTimeout))
	defer cancel()
	if err := process.Poll(ctx, ready); err != nil {
		return fmt.Errorf("%s does not start: %w. %s", name, err, process.Tail(s.Log(name)))
	}
	return nil
}

// Run runs a program to its end. Its output is added to the log of its name.
func (s *Stack) Run(ctx context.Context, name string, cmd *exec.Cmd) error {
	log, err := s.openLog(name, cmd)
	if err != nil {
		return err
	}
	defer log.Close()
	if err := process.Run(ctx, cmd); err != nil {
		return fmt.Errorf("%s failed: %w. %s", name, err, process.Tail(s.Log(name)))
	}
	return nil
}

// Kill ends a program with SIGKILL, which Ended is not told.
func (s *Stack) Kill(name string) {
	s.mu.Lock()
	i := s.indexLocked(name)
	if i < 0 {
		s.mu.Unlock()
		return
	}
	p := s.programs[i].process
	s.programs[i].process = nil
	s.mu.Unlock()
	if p != nil {
		p.Kill()
	}
}

// Process is the program that was last started under a name; nil if there is none or it was killed.
func (s *Stack) Process(name string) *process.Process {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := s.indexLocked(name); i >= 0 {
		return s.programs[i].process
	}
	return nil
}

func (s *Stack) indexLocked(name string) int {
	return slices.IndexFunc(s.programs, func(p *program) bool { return p.name == name })
}
