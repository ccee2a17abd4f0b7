//go:build unix

// Dev runs everything on this machine: a Temporal dev server, the Atlas simulator and the worker. `dev demo` makes,
// changes, upgrades and deletes clusters there and stops; `dev up` stays until interrupted. It knows only the programs
// in bin/, as a user does.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

const usage = `Usage: dev demo|up

  demo   start everything, make, change, upgrade and delete clusters, stop everything
  up     start everything and keep it running until Ctrl-C
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr))
}

// run returns 0 when all went well, 1 when a program failed, 2 for a usage error, and 130 when ctx ended before the
// demo had ended or up had started.
func run(ctx context.Context, args, env []string, stdout, stderr io.Writer) int {
	if len(args) != 1 || (args[0] != "demo" && args[0] != "up") {
		fmt.Fprintf(stderr, "dev: want one command, demo or up; got %q\n\n%s", args, usage)
		return 2
	}
	d, err := newDemo(env, stdout, stderr)
	if err != nil {
		fmt.Fprintf(stderr, "dev: %v\n", err)
		return 1
	}
	// The first program that ends by itself ends everything, and its end is the cause that is shown.
	running, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	d.stack.Ended = fail
	err = d.start(running)
	upHasStarted := err == nil && args[0] == "up"
	if upHasStarted {
		err = d.waitForInterrupt(running)
	} else if err == nil {
		err = d.runWorkflows(running)
	}
	interrupted := ctx.Err() != nil
	if cause := context.Cause(running); cause != nil && !interrupted {
		err = cause
	}
	if interrupted {
		fmt.Fprintln(stderr, "\nInterrupted; stopping everything.")
	}
	d.stack.Stop()

	if err != nil && !interrupted {
		fmt.Fprintf(stderr, "\ndev: %v\nAll logs are in %s\n", err, d.stack.Folder)
		return 1
	}
	_ = os.RemoveAll(d.stack.Folder)
	if err != nil && !upHasStarted {
		return 130
	}
	return 0
}
