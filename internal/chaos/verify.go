//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	enumspb "go.temporal.io/api/enums/v1"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/provisioner"
)

// maxEvents is what a run's history may have. A killed worker or server adds
// events to it that are no part of the run: the workflow tasks that it took
// with it.
const maxEvents = 20

// report is what a campaign found.
type report struct {
	options
	took                         time.Duration
	kills, stops                 int
	crashed                      map[part]int
	requests, faulted            int
	created, upgraded, conflicts int
	mostEvents, lostTasks        int
	losses                       []string
}

func (r *report) lose(format string, args ...any) {
	r.losses = append(r.losses, fmt.Sprintf(format, args...))
}

func (r *report) lost() bool { return len(r.losses) > 0 }

// verify holds what was asked for against the simulator's clusters and ledger,
// and against Temporal's histories.
func (s *stack) verify(ctx context.Context, all []*job, before map[string]atlassim.Cluster) (*report, error) {
	r := &report{options: s.options, kills: s.kills, stops: s.stops, crashed: s.crashed}
	after, err := s.clusters(ctx)
	if err != nil {
		return nil, err
	}
	known := map[string]bool{}
	for _, j := range all {
		key := j.group + "/" + j.name
		known[key] = true
		r.check(j, before[key], after)
		if err := s.history(ctx, r, j); err != nil {
			return nil, err
		}
		if strings.Contains(j.output, clientSecret) {
			r.lose("%s: the starter printed a secret", key)
		}
	}
	for key := range after {
		if !known[key] {
			r.lose("%s: nobody asked for it", key)
		}
	}
	if err := s.ledger(ctx, r); err != nil {
		return nil, err
	}
	r.losses = append(r.losses, s.unclean...)
	for _, p := range s.due {
		r.lose("%s: was to be killed once more, but every request was done before", p)
	}
	return r, s.logs(r)
}

// check tells whether a job ended as it must.
func (r *report) check(j *job, before atlassim.Cluster, after map[string]atlassim.Cluster) {
	key := j.group + "/" + j.name
	c, there := after[key]
	var failure *provisioner.Failure
	switch {
	case j.kind == "foreign":
		if !errors.As(j.err, &failure) || failure.Type != contract.ClusterConflict {
			r.lose("%s: is somebody else's, but the run ended with %v", key, j.err)
		}
		if c.ID != before.ID || !c.CreateDate.Equal(before.CreateDate) || c.State == "DELETING" || !slices.Equal(c.Tags, before.Tags) {
			r.lose("%s: somebody else's cluster was touched", key)
		}
		r.conflicts++
	case j.err != nil:
		r.lose("%s: %v", key, j.err)
	case !there || c.State != "IDLE":
		r.lose("%s: the run completed but the cluster is %q", key, c.State)
	case j.cluster.ID != c.ID || j.cluster.StateName != "IDLE":
		r.lose("%s: the run answered cluster %s %s, Atlas has %s", key, j.cluster.ID, j.cluster.StateName, c.ID)
	case j.kind == "provision" && j.cluster.Outcome != contract.Created, j.kind == "upgrade" && j.cluster.Outcome != contract.Upgraded:
		r.lose("%s: the outcome is %s", key, j.cluster.Outcome)
	}
}

// ledger counts what took effect at Atlas.
func (s *stack) ledger(ctx context.Context, r *report) error {
	var entries []atlassim.Entry
	if err := s.control(ctx, http.MethodGet, "ledger", nil, &entries); err != nil {
		return err
	}
	for _, e := range entries {
		r.requests++
		if e.Fault != "" || e.Status == http.StatusUnauthorized { // a token that was revoked
			r.faulted++
		}
		switch {
		case e.SecondUpgrade:
			r.lose("%s: an upgrade was asked for twice", e.Path)
		case e.Effect == atlassim.Created:
			r.created++
		case e.Effect == atlassim.Upgraded:
			r.upgraded++
		case e.Effect != atlassim.NoEffect:
			r.lose("%s %s: %s, which nobody asked for", e.Method, e.Path, e.Effect)
		}
	}
	if r.created != s.provisions {
		r.lose("%d clusters were created, %d asked for", r.created, s.provisions)
	}
	if r.upgraded != s.upgrades {
		r.lose("%d clusters were upgraded, %d asked for", r.upgraded, s.upgrades)
	}
	return nil
}

// history counts a run's events and looks for secrets in them.
func (s *stack) history(ctx context.Context, r *report, j *job) error {
	if j.id == "" {
		return nil
	}
	c, err := s.dial()
	if err != nil {
		return err
	}
	events, tasks := 0, 0
	for i := c.GetWorkflowHistory(ctx, j.id, j.run, false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT); i.HasNext(); {
		e, err := i.Next()
		if err != nil {
			return err
		}
		events++
		switch e.GetEventType() {
		case enumspb.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT, enumspb.EVENT_TYPE_WORKFLOW_TASK_FAILED:
			tasks++
		}
		if strings.Contains(e.String(), clientSecret) {
			r.lose("%s: event %d holds a secret", j.id, e.GetEventId())
		}
	}
	r.lostTasks += tasks
	// A task that is lost leaves up to three events: scheduled, started, lost.
	if own := events - 3*tasks; own > maxEvents {
		r.lose("%s: %d events of history", j.id, own)
	}
	r.mostEvents = max(r.mostEvents, events)
	return nil
}

// logs looks for secrets in what the programs logged.
func (s *stack) logs(r *report) error {
	paths, err := filepath.Glob(filepath.Join(string(s.folder), "*.log"))
	if err != nil {
		return err
	}
	for _, path := range paths {
		log, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if strings.Contains(string(log), clientSecret) || strings.Contains(string(log), "Bearer ") {
			r.lose("%s: holds a credential", path)
		}
		if strings.Contains(string(log), "panic: ") || strings.Contains(string(log), "DATA RACE") {
			r.lose("%s: a panic or a data race", path)
		}
	}
	return nil
}

// on is what the Temporal server was.
func (r *report) on() string {
	if r.postgres == "" {
		return "a dev server"
	}
	return "on PostgreSQL"
}

func (r *report) print(out io.Writer) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(w, "%s\t"+format+"\n", append([]any{name}, args...)...)
	}
	row("seed", "%d", r.seed)
	row("took", "%s", r.took.Round(time.Second))
	row("provisions", "%d asked for, %d created", r.provisions, r.created)
	row("upgrades", "%d asked for, %d upgraded", r.upgrades, r.upgraded)
	row("somebody else's names", "%d asked for, %d refused", r.foreign, r.conflicts)
	row("requests to Atlas", "%d, of which %d were answered with a fault (%.0f%%)", r.requests, r.faulted, 100*float64(r.faulted)/float64(max(r.requests, 1)))
	row("workers", "%d, killed %d times, stopped %d times", r.workers, r.kills, r.stops)
	row("Temporal server", "%s, killed %d times", r.on(), r.crashed[serverPart])
	if n := r.crashed[databasePart]; n > 0 {
		row("PostgreSQL", "killed %d times", n)
	}
	row("history", "%d events at most; %d workflow tasks lost to kills in all", r.mostEvents, r.lostTasks)
	row("lost", "%d", len(r.losses))
	_ = w.Flush()
	for _, l := range r.losses {
		fmt.Fprintln(out, "  LOST "+l)
	}
}
