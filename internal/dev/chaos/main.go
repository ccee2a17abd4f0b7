//go:build unix

// Chaos is the campaign behind `make chaos` and `make chaos-postgres`. It runs hundreds of requests of every kind
// through the real programs and on a real Temporal server, while Atlas fails, workers are killed, the server and its
// database are killed and restarted, and an operator resets, pauses, terminates and cancels runs. At the end it
// compares the simulator's own ledger with what was asked for. A loss of any kind is a failure.
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

	"github.com/atlas-provisioner/atlas-provisioner/internal/dev/stack"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// options are the size of a campaign and the amount of trouble.
type options struct {
	seed        uint64
	provisions  int
	upgrades    int
	taken       int // provisions of a name that somebody else has already
	lives       int // clusters that are changed, upgraded, deleted and made again
	leases      int
	workers     int
	faults      float64 // the part of Atlas's answers that are faults
	serverKills int     // of the Temporal server
	limit       time.Duration
	bin         string // the folder of the programs
	temporalCLI string
	// postgres is where a Temporal server on PostgreSQL is. Without a folder of PostgreSQL's programs, the campaign
	// runs on a dev server.
	postgres stack.PostgreSQLFolders
}

// run returns 0 when nothing was lost, 1 when something was lost or the campaign could not run, and 2 for a usage
// error.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parseOptions(args, stderr)
	if err != nil {
		return 2
	}
	ctx, cancel := context.WithTimeoutCause(ctx, o.limit, fmt.Errorf("not done after %s", o.limit))
	defer cancel()
	r, err := runCampaign(ctx, o, stdout)
	if err != nil {
		fmt.Fprintf(stderr, "chaos: %v\n", err)
		return 1
	}
	if r.lost() {
		return 1
	}
	return 0
}

// parseOptions prints what is wrong with the arguments to stderr.
func parseOptions(args []string, stderr io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("chaos", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Uint64Var(&o.seed, "seed", 1, "the seed of the faults, kills, restarts and of what the operator does")
	flags.IntVar(&o.provisions, "provisions", 200, "how many Flex clusters are provisioned")
	flags.IntVar(&o.upgrades, "upgrades", 50, "how many shared-tier clusters are upgraded")
	flags.IntVar(&o.taken, "taken", 20, "how many provisions ask for a name that somebody else has")
	flags.IntVar(&o.lives, "lives", 24, "how many clusters are changed, upgraded, deleted and made again")
	flags.IntVar(&o.leases, "leases", 30, "how many clusters are leased for a minute")
	flags.IntVar(&o.workers, "workers", 3, "how many workers run")
	flags.Float64Var(&o.faults, "faults", 0.22, "the part of the answers to requests for clusters that are faults; "+
		"0.22 makes a fifth of all answers, those to token requests included")
	flags.IntVar(&o.serverKills, "server-kills", 2, "how often the Temporal server is killed and restarted")
	flags.DurationVar(&o.limit, "limit", 20*time.Minute, "when to give up")
	flags.StringVar(&o.bin, "bin", "bin", "the folder of worker, starter and atlas-sim")
	flags.StringVar(&o.temporalCLI, "temporal", "bin/temporal", "the Temporal CLI")
	flags.StringVar(&o.postgres.PostgreSQL, "postgres", "", "the folder of PostgreSQL's programs: "+
		"run on a Temporal server on PostgreSQL, and kill PostgreSQL once as well")
	flags.StringVar(&o.postgres.Server, "server", "bin/temporal-server", "the folder of the Temporal server")
	flags.StringVar(&o.postgres.Compose, "compose", "deploy/compose",
		"the folder of docker-compose.yml's scripts and of the server's dynamic configuration")
	return o, flags.Parse(args)
}
