package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/version"
)

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// shutdownGrace is how long a stop waits for requests under way.
const shutdownGrace = 5 * time.Second

const usage = `atlas-sim: a stand-in for the MongoDB Atlas Admin API

It serves Flex clusters, M0 and dedicated clusters, upgrades between them, and
the serverless API, with Atlas's own error codes, headers and delays. Nothing
is kept when it stops.

Usage:
  atlas-sim [flags]

Try it with the worker:
  atlas-sim -seed-shared 32b6e34b3d91647abb20e7b8/orders
  MONGODB_ATLAS_BASE_URL=http://127.0.0.1:8080 worker

Flags:
`

const usageEnd = `
Environment, the names the worker reads; with none of them set, every request
is accepted:
  MONGODB_ATLAS_PUBLIC_API_KEY, MONGODB_ATLAS_PRIVATE_API_KEY   HTTP digest
  MONGODB_ATLAS_CLIENT_ID, MONGODB_ATLAS_CLIENT_SECRET          OAuth 2.0
  MONGODB_ATLAS_ACCESS_TOKEN                                    bearer token

While it runs, and without any credential (so keep it on a loopback address):
  GET    /sim/ledger     every request so far, what it did and what it got
  GET    /sim/clusters   every cluster there is
  POST   /sim/faults     [{"method": "POST", "path": "flexClusters", "kind": "lost", "times": 1}]
         kinds: %s
  DELETE /sim/faults     no more faults
  POST   /sim/shared     {"groupId": "…", "name": "orders"}: a shared-tier cluster to upgrade
  POST   /sim/state      {"groupId": "…", "name": "…", "state": "REPAIRING"}; "" lets go
`

// options is the command line.
type options struct {
	addr   string
	config string
	quiet  bool
	show   bool // the version
	sim    atlassim.Config
	seeds  seeds
}

// seeds is the value of the repeatable flag -seed-shared.
type seeds []atlassim.SharedCluster

// String is required by flag.Value.
func (s *seeds) String() string { return "" }

// Set takes one GROUP/NAME.
func (s *seeds) Set(value string) error {
	group, name, _ := strings.Cut(value, "/")
	seed := atlassim.SharedCluster{GroupID: group, Name: name}
	if err := seed.Validate(); err != nil {
		return fmt.Errorf("want GROUP/NAME: %w", err)
	}
	*s = append(*s, seed)
	return nil
}

// defaults is Atlas as it usually behaves, but for what takes it minutes, which is quick enough for a demonstration.
func defaults() *options {
	o := &options{sim: atlassim.DefaultConfig()}
	soon := atlassim.Duration(20 * time.Second)
	o.sim.UpgradeFor, o.sim.CreateDedicatedFor, o.sim.DeleteDedicatedFor = soon, soon, soon
	return o
}

// flags binds the command line to o, whose present values are the defaults.
func flags(o *options) *flag.FlagSet {
	f := flag.NewFlagSet("atlas-sim", flag.ContinueOnError)
	f.SetOutput(io.Discard) // run reports, in its own words
	f.StringVar(&o.addr, "addr", "127.0.0.1:8080", "`HOST:PORT` to listen on; port 0 picks a free one and prints it")
	f.StringVar(&o.config, "config", "",
		"JSON `FILE` with any of the simulator's settings, faults and clusters; flags win over it")
	f.BoolVar(&o.show, "version", false, "show the version")
	f.BoolVar(&o.quiet, "quiet", false, "do not log requests to standard error")
	f.Var(&o.seeds, "seed-shared", "start with an M0 cluster `GROUP/NAME`, ready to be upgraded; repeatable")

	c := &o.sim
	duration := func(field *atlassim.Duration, name, usage string) {
		f.DurationVar((*time.Duration)(field), name, time.Duration(*field), usage)
	}
	duration(&c.CreateFor, "create-for", "how long a new Flex or M0 cluster is CREATING")
	duration(&c.CreateDedicatedFor, "create-dedicated-for", "how long a new dedicated cluster is CREATING (Atlas: 10m)")
	duration(&c.RepairingFor, "repairing-for", "how long a new cluster is REPAIRING after CREATING")
	duration(&c.HiddenFor, "hidden-for", "how long GET answers 404 after a create")
	duration(&c.StandardAfter, "standard-after", "how long a cluster is IDLE without connectionStrings.standard")
	duration(&c.UpgradeFor, "upgrade-for", "how long an upgrade takes (Atlas: 25m)")
	duration(&c.StaleIdleFor, "stale-idle-for", "how long an upgrading cluster still looks IDLE")
	f.IntVar(&c.StaleIdleReads, "stale-idle-reads", c.StaleIdleReads,
		"how many `reads` an upgrading cluster still looks IDLE")
	duration(&c.UpdateFor, "update-for", "how long a Flex cluster is UPDATING after a PATCH")
	duration(&c.DeleteFor, "delete-for", "how long a Flex cluster is DELETING")
	duration(&c.DeleteSharedFor, "delete-shared-for", "how long an M0 is DELETING")
	duration(&c.DeleteDedicatedFor, "delete-dedicated-for",
		"how long a dedicated cluster is DELETING (Atlas: 2m to 15m)")
	duration(&c.DeletingAfter, "deleting-after", "how long a deleted cluster still looks as it was")
	duration(&c.NameHeldFor, "name-held-for", "how long a freed name cannot be taken again")
	duration(&c.TokenTTL, "token-ttl", "life of an OAuth token")
	f.IntVar(&c.RateLimit, "rate-limit", c.RateLimit, "flex `requests` a project may make at once")
	f.IntVar(&c.RefillPerMinute, "refill-per-minute", c.RefillPerMinute, "flex `requests` it gets back a minute")
	f.BoolVar(&c.UpgradeRetired, "upgrade-retired", c.UpgradeRetired,
		"answer 410 VERSION_GONE to upgrades to serverless")
	return f
}

// run is the program: it serves until ctx is over and returns the exit code.
func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) int {
	o, err := parse(args, getenv)
	if errors.Is(err, flag.ErrHelp) {
		help(stdout)
		return exitOK
	}
	if err == nil && o.show {
		fmt.Fprintln(stdout, "atlas-sim "+version.String())
		return exitOK
	}
	var sim *atlassim.Server
	if err == nil {
		if !o.quiet {
			o.sim.Log = slog.New(slog.NewTextHandler(stderr, nil))
		}
		sim, err = atlassim.New(o.sim)
	}
	if err != nil {
		for line := range strings.SplitSeq(err.Error(), "\n") {
			fmt.Fprintf(stderr, "atlas-sim: %s\n", line)
		}
		fmt.Fprintln(stderr, "Run atlas-sim -help for the flags.")
		return exitUsage
	}

	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", o.addr)
	if err != nil {
		fmt.Fprintf(stderr, "atlas-sim: %v: choose another address with -addr\n", err)
		return exitFailed
	}
	fmt.Fprintf(stdout, "atlas-sim listening on http://%s\n", listener.Addr())
	return serve(ctx, sim, listener, stderr)
}

// parse reads environment, file and flags; the later win.
func parse(args []string, getenv func(string) string) (*options, error) {
	o := defaults()
	f := flags(o)
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	if f.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q: everything is a flag", f.Arg(0))
	}
	for _, v := range []struct {
		name  string
		field *string
	}{
		{name: "MONGODB_ATLAS_PUBLIC_API_KEY", field: &o.sim.PublicKey},
		{name: "MONGODB_ATLAS_PRIVATE_API_KEY", field: &o.sim.PrivateKey},
		{name: "MONGODB_ATLAS_CLIENT_ID", field: &o.sim.ClientID},
		{name: "MONGODB_ATLAS_CLIENT_SECRET", field: &o.sim.ClientSecret},
		{name: "MONGODB_ATLAS_ACCESS_TOKEN", field: &o.sim.AccessToken},
	} {
		*v.field = getenv(v.name)
	}
	if o.config != "" {
		data, err := os.ReadFile(o.config)
		if err != nil {
			return nil, fmt.Errorf("-config: %w", err)
		}
		if err := json.Unmarshal(data, &o.sim); err != nil {
			return nil, fmt.Errorf("-config %s: %w", o.config, err)
		}
		// Once more: parsing sets only the flags that were given, which so win over the file.
		o.seeds = nil
		if err := f.Parse(args); err != nil {
			return nil, err
		}
	}
	o.sim.Shared = append(o.sim.Shared, o.seeds...)
	return o, nil
}

// serve answers requests until ctx is over.
func serve(ctx context.Context, sim *atlassim.Server, listener net.Listener, stderr io.Writer) int {
	server := &http.Server{Handler: sim, ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()

	select {
	case err := <-failed:
		fmt.Fprintf(stderr, "atlas-sim: %v\n", err)
		return exitFailed
	case <-ctx.Done():
	}
	sim.Close() // lets hanging requests go
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownGrace)
	defer cancel()
	if err := server.Shutdown(grace); err != nil {
		fmt.Fprintf(stderr, "atlas-sim: stopping with requests under way: %v\n", err)
		return exitFailed
	}
	return exitOK
}

// help prints the whole usage text.
func help(w io.Writer) {
	f := flags(defaults())
	fmt.Fprint(w, usage)
	f.SetOutput(w)
	f.PrintDefaults()
	fmt.Fprintf(w, usageEnd, atlassim.FaultKinds())
}
