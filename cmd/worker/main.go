// The worker hosts the workflows and activities of atlas-provisioner.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/atlas-provisioner/atlas-provisioner/internal/worker"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	os.Exit(worker.Run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr))
}
