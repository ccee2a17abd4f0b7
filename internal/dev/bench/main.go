//go:build unix

// Bench is the program behind `make bench`. It runs the real programs on a real Temporal server and against the Atlas
// simulator, measures them from outside, compares each figure with its bar, and writes docs/benchmarks.md.
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

// workers are the hidden modes, in which the program is one of the workers that it measures.
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
	bin         string // the folder of the programs
	temporalCLI string
	scale       float64 // of the number of clusters
	out         io.Writer
}

// scaled is a number of clusters, scaled.
func (b *bench) scaled(clusters int) int {
	return max(1, int(math.Round(float64(clusters)*b.scale)))
}

// logf prints what is going on.
func (b *bench) logf(format string, args ...any) {
	fmt.Fprintf(b.out, "  "+format+"\n", args...)
}

// arguments are what the program was asked to do.
type arguments struct {
	only   string // names of scenarios, by comma
	docs   string // folder of the report
	render bool   // write the report of what was measured before
}

func program(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	b := &bench{out: stdout}
	a, err := b.parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		return exitUsage
	}
	chosen, err := choose(a.only)
	if err != nil {
		fmt.Fprintf(stderr, "benchmark: %v\n", err)
		return exitUsage
	}
	if b.scale != 1 {
		a.docs = filepath.Join("bin", "bench", "trial")
	}
	if a.render {
		chosen = nil
	}
	missed, err := b.measure(ctx, chosen, a.docs)
	switch {
	case err != nil:
		fmt.Fprintf(stderr, "benchmark: %v\n", err)
		return exitMissed
	case missed:
		return exitMissed
	}
	return exitOK
}

// parse prints what is wrong with the arguments to stderr.
func (b *bench) parse(args []string, stderr io.Writer) (arguments, error) {
	var a arguments
	flags := flag.NewFlagSet("benchmark", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&a.only, "only", "", "run these `scenarios` alone, by comma: "+strings.Join(names(), ", "))
	flags.Float64Var(&b.scale, "scale", 1, "`factor` on the numbers of clusters; "+
		"the figures of any other than 1 are trials, and go to bin/bench/trial")
	flags.BoolVar(&a.render, "render", false, "measure nothing: write the report of what was measured before")
	flags.StringVar(&a.docs, "docs", "docs", "`folder` of the report")
	flags.StringVar(&b.bin, "bin", "bin", "`folder` of the programs")
	flags.StringVar(&b.temporalCLI, "temporal", "bin/temporal", "the Temporal `CLI`")
	if err := flags.Parse(args); err != nil {
		return a, err
	}
	if flags.NArg() > 0 || b.scale <= 0 {
		err := errors.New("everything is a flag, and -scale is more than 0")
		fmt.Fprintf(stderr, "benchmark: %v\n", err)
		return a, err
	}
	return a, nil
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

// measure runs the scenarios. It saves the result of each at once, so that a scenario which breaks off loses nothing of
// those before it. missed tells whether a figure misses its bar or a scenario could not be run.
func (b *bench) measure(ctx context.Context, chosen []scenario, docs string) (missed bool, err error) {
	results, err := load(docs)
	if err != nil {
		return true, err
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
		r.Scenario, r.Machine = s.name, machine(b.temporalCLI)
		r.At, r.Seconds = begun.UTC().Truncate(time.Second), math.Round(time.Since(begun).Seconds())
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
