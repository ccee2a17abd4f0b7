//go:build unix

package stack

import (
	"context"
	"os/exec"

	"github.com/atlas-provisioner/atlas-provisioner/internal/dev/process"
)

// WorkerCommand runs bin/worker, or another program that takes a worker's environment.
func (s *Stack) WorkerCommand(path string, args ...string) *exec.Cmd {
	cmd := s.Command(path, args...)
	cmd.Env = append(cmd.Env, s.Credential...)
	return cmd
}

// StartWorker starts a worker that serves its health at an address, and waits until it is ready.
func (s *Stack) StartWorker(ctx context.Context, name, httpAddress string, cmd *exec.Cmd) error {
	cmd.Env = append(cmd.Env, "WORKER_HTTP_ADDRESS="+httpAddress)
	return s.Start(ctx, name, cmd, func(ctx context.Context) bool {
		return process.Serves(ctx, "http://"+httpAddress+"/readyz")
	})
}
