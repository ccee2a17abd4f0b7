//go:build unix

// Chaos is the campaign behind `make chaos` and `make chaos-postgres`: hundreds
// of provisions and upgrades run, through the real programs and on a real
// Temporal server, while Atlas fails, workers are killed and the server and its
// database are killed and restarted. At the end it
// holds the simulator's own ledger against what was asked for. A loss of any
// kind is a failure.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// options are the size of a campaign and its dose of trouble.
type options struct {
	seed       uint64
	provisions int
	upgrades   int
	foreign    int // names that somebody else has already
	workers    int
	faults     float64 // the part of Atlas's answers that are faults
	restarts   int     // of the Temporal server
	limit      time.Duration
	bin        string // where the programs are
	temporal   string // the Temporal CLI

	postgres string // where PostgreSQL's programs are; empty for the dev server
	server   string // where the Temporal server, its tools and its configuration are
	scripts  string // where docker-compose.yml's set-up scripts are
}

// databaseRestarts is how often the database is killed and restarted.
func (o options) databaseRestarts() int {
	if o.postgres == "" {
		return 0 // the dev server is its own
	}
	return 1
}

// run returns 0 when nothing was lost, 1 when something was or the campaign
// could not run, and 2 for a usage error.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var o options
	flags := flag.NewFlagSet("chaos", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Uint64Var(&o.seed, "seed", 1, "the schedule of faults, kills and restarts")
	flags.IntVar(&o.provisions, "provisions", 200, "Flex clusters to provision")
	flags.IntVar(&o.upgrades, "upgrades", 50, "shared-tier clusters to upgrade")
	flags.IntVar(&o.foreign, "foreign", 20, "provisions of a name that somebody else has")
	flags.IntVar(&o.workers, "workers", 3, "workers")
	flags.Float64Var(&o.faults, "faults", 0.22, "the part of the answers to requests for clusters that are faults: a fifth of all answers, those with tokens included")
	flags.IntVar(&o.restarts, "restarts", 2, "how often the Temporal server is killed and restarted")
	flags.DurationVar(&o.limit, "limit", 20*time.Minute, "when to give up")
	flags.StringVar(&o.bin, "bin", "bin", "the folder of worker, starter and atlas-sim")
	flags.StringVar(&o.temporal, "temporal", "bin/temporal", "the Temporal CLI")
	flags.StringVar(&o.postgres, "postgres", "", "the folder of PostgreSQL's programs: run on a Temporal server on PostgreSQL, and kill PostgreSQL once as well")
	flags.StringVar(&o.server, "server", "bin/temporal-server", "the folder of the Temporal server")
	flags.StringVar(&o.scripts, "scripts", "deploy/compose", "the folder of temporal-schema.sh and temporal-namespace.sh")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	ctx, cancel := context.WithTimeoutCause(ctx, o.limit, fmt.Errorf("not done after %s", o.limit))
	defer cancel()
	lost, err := campaign(ctx, o, stdout)
	if err != nil {
		fmt.Fprintf(stderr, "chaos: %v\n", err)
		return 1
	}
	if lost {
		return 1
	}
	return 0
}
