//go:build unix

package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/dev/stack"
)

// report is what a campaign found.
type report struct {
	options           options
	took              time.Duration
	kills, stops      int // of workers
	partKills         map[stack.Part]int
	verbs             map[verb]int            // what an operator did
	startedAgain      int                     // runs, after a termination, a cancellation or a refusal
	requests, faulted int                     // to Atlas; how many of them met a fault
	asked, effects    map[atlassim.Effect]int // what took effect at Atlas
	conflicts         int
	leases            leases
	mostEvents        int // in the history of one run
	lostTasks         int // workflow tasks that ended with a worker or server, in all runs
	losses            []string
}

func (r *report) lose(format string, args ...any) {
	r.losses = append(r.losses, fmt.Sprintf(format, args...))
}

func (r *report) lost() bool { return len(r.losses) > 0 }

func (r *report) print(out io.Writer) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(w, "%s\t%s\n", name, fmt.Sprintf(format, args...))
	}
	server := "a dev server"
	if r.options.postgres.PostgreSQL != "" {
		server = "on PostgreSQL"
	}
	row("seed", "%d", r.options.seed)
	row("took", "%s", r.took.Round(time.Second))
	for _, effect := range []atlassim.Effect{
		atlassim.Created, atlassim.Updated, atlassim.Upgraded, atlassim.Deleted,
	} {
		row("clusters "+string(effect), "%d, asked for %d", r.effects[effect], r.asked[effect])
	}
	if r.options.leases > 0 {
		row("leases", "%d, of which %d are gone, %s after their end at most", r.options.leases, r.leases.gone,
			r.leases.late.Round(time.Second))
	}
	row("somebody else's clusters", "%d requests refused", r.conflicts)
	row("requests to Atlas", "%d, of which %d were answered with a fault (%.0f%%)",
		r.requests, r.faulted, 100*float64(r.faulted)/float64(max(r.requests, 1)))
	row("workers", "%d, killed %d times, stopped %d times", r.options.workers, r.kills, r.stops)
	row("Temporal server", "%s, killed %d times", server, r.partKills[stack.TemporalServer])
	if n := r.partKills[stack.Database]; n > 0 {
		row("PostgreSQL", "killed %d times", n)
	}
	for _, v := range verbs {
		row("operator: "+string(v), "%d", r.verbs[v])
	}
	row("operator: started again", "%d", r.startedAgain)
	row("history", "%d events at most; %d workflow tasks lost to kills in all", r.mostEvents, r.lostTasks)
	row("lost", "%d", len(r.losses))
	_ = w.Flush()
	for _, l := range r.losses {
		fmt.Fprintln(out, "  LOST "+l)
	}
}
