//go:build unix

// Bench is the program behind `make bench`: it runs the real programs, on a
// real Temporal server and against the Atlas simulator, measures them from
// outside, holds each figure against its bar, and writes docs/benchmarks.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/atlas-provisioner/atlas-provisioner/internal/temporaltest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	if len(os.Args) > 1 {
		if serve, ok := workers[os.Args[1]]; ok {
			os.Exit(serve(ctx, os.Args[2:], os.Environ(), os.Stderr))
		}
	}
	os.Exit(program(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// workers are the hidden modes, in which the program is one of the workers that
// it measures.
var workers = map[string]func(ctx context.Context, args, environ []string, stderr io.Writer) int{
	floorMode:  serveFloor,
	scaledMode: serveScaled,
}

// Exit codes.
const (
	exitOK     = 0
	exitMissed = 1 // a bar is missed, or a scenario could not be run
	exitUsage  = 2
)

// bench is one run of the program.
type bench struct {
	bin      string  // where the programs are
	temporal string  // the Temporal CLI
	scale    float64 // of the number of clusters
	out      io.Writer
}

// n is a number of clusters, scaled.
func (b *bench) n(clusters int) int {
	return max(1, int(math.Round(float64(clusters)*b.scale)))
}

// say prints what is going on.
func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(b.out, "  "+format+"\n", args...)
}

func program(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	b := &bench{out: stdout}
	var only, docs string
	var render bool
	flags := flag.NewFlagSet("benchmark", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&only, "only", "", "run these `scenarios` alone, by comma: "+strings.Join(names(), ", "))
	flags.Float64Var(&b.scale, "scale", 1, "`factor` on the numbers of clusters; the figures of any other than 1 are trials, and go to bin/bench/trial")
	flags.BoolVar(&render, "render", false, "measure nothing: write the report of what was measured before")
	flags.StringVar(&docs, "docs", "docs", "`folder` of the report")
	flags.StringVar(&b.bin, "bin", "bin", "`folder` of the programs")
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		return exitUsage
	case flags.NArg() > 0 || b.scale <= 0:
		fmt.Fprintln(stderr, "benchmark: everything is a flag, and -scale is more than 0")
		return exitUsage
	}
	chosen, err := choose(only)
	if err != nil {
		fmt.Fprintf(stderr, "benchmark: %v\n", err)
		return exitUsage
	}
	if b.scale != 1 {
		docs = filepath.Join("bin", "bench", "trial")
	}
	if render {
		chosen = nil
	}
	missed, err := b.measure(ctx, chosen, docs)
	switch {
	case err != nil:
		fmt.Fprintf(stderr, "benchmark: %v\n", err)
		return exitMissed
	case missed:
		return exitMissed
	}
	return exitOK
}

// choose finds the scenarios by name; "" is all of them.
func choose(only string) ([]scenario, error) {
	if only == "" {
		return scenarios, nil
	}
	var out []scenario
	for name := range strings.SplitSeq(only, ",") {
		i := slices.IndexFunc(scenarios, func(s scenario) bool { return s.name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no scenario %q: choose of %s", name, strings.Join(names(), ", "))
		}
		out = append(out, scenarios[i])
	}
	return out, nil
}

// measure runs the scenarios and keeps what each found at once, so that one
// which breaks off loses nothing of those before it. It tells whether a figure
// that was measured now misses its bar, or a scenario could not be run.
func (b *bench) measure(ctx context.Context, chosen []scenario, docs string) (missed bool, err error) {
	results, err := load(docs)
	if err != nil {
		return true, err
	}
	if len(chosen) > 0 {
		if b.temporal, err = temporaltest.CLI(); err != nil {
			return true, err
		}
	}
	for _, s := range chosen {
		fmt.Fprintf(b.out, "%s: %s\n", s.name, s.title)
		begun := time.Now()
		r, err := s.run(ctx, b)
		if ctx.Err() != nil {
			return true, fmt.Errorf("%s: %w", s.name, context.Cause(ctx))
		}
		if err != nil {
			r, missed = result{Error: err.Error()}, true
		}
		r.Scenario, r.At, r.Seconds, r.Machine = s.name, begun.UTC().Truncate(time.Second), math.Round(time.Since(begun).Seconds()), machine(b.temporal)
		for _, f := range r.Figures {
			missed = missed || !f.met()
		}
		r.print(b.out)
		results[s.name] = r
		if err := save(docs, results); err != nil {
			return true, err
		}
	}
	if err := render(docs, results); err != nil {
		return true, err
	}
	fmt.Fprintf(b.out, "The report is %s\n", filepath.Join(docs, "benchmarks.md"))
	return missed, nil
}
