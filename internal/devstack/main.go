//go:build unix

// Devstack runs everything on this machine: a Temporal dev server, the Atlas
// simulator and the worker. `devstack demo` runs both workflows there and
// stops; `devstack up` stays until interrupted. It knows only the programs in
// bin/, as a user does.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

const usage = `Usage: devstack demo|up

  demo   start everything, run both workflows, stop everything
  up     start everything and keep it running until Ctrl-C
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr))
}

// run returns 0 when all went well, 1 when a program failed, 2 for a usage
// error, and 130 when ctx ended before the demo or the start of up had.
func run(ctx context.Context, args, env []string, stdout, stderr io.Writer) int {
	if len(args) != 1 || (args[0] != "demo" && args[0] != "up") {
		fmt.Fprintf(stderr, "devstack: want one command, demo or up; got %q\n\n%s", args, usage)
		return 2
	}
	logs, err := os.MkdirTemp("", "atlas-provisioner-")
	if err != nil {
		fmt.Fprintf(stderr, "devstack: %v\n", err)
		return 1
	}
	// The first program that ends by itself ends everything, as the cause.
	running, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	s := &stack{logs: logs, out: stdout, errOut: stderr, fail: fail}
	err = s.start(running, env)
	started := err == nil
	if started && args[0] == "demo" {
		err = s.demo(running)
	} else if started {
		err = s.stay(running)
	}
	interrupted := ctx.Err() != nil
	if cause := context.Cause(running); cause != nil && !interrupted {
		err = cause
	}
	if interrupted {
		fmt.Fprintln(stderr, "\nInterrupted; stopping everything.")
	}
	s.stop()

	if err != nil && !interrupted {
		fmt.Fprintf(stderr, "\ndevstack: %v\nAll logs are in %s\n", err, logs)
		return 1
	}
	_ = os.RemoveAll(logs)
	if err != nil && !(started && args[0] == "up") {
		return 130
	}
	return 0
}
