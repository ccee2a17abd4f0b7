// The starter is the command line of atlas-provisioner.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/atlas-provisioner/atlas-provisioner/internal/starter"
)

func main() {
	// A pipe that is closed is an error of the write, which has an exit code of its own.
	signal.Ignore(syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	os.Exit(starter.Run(ctx, os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr))
}
