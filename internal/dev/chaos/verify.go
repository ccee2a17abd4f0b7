//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	enumspb "go.temporal.io/api/enums/v1"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/provisioner"
)

// maxEvents is how many events the history of a run may have. Those that a killed worker or server adds are not
// counted: the workflow tasks that ended with it.
const maxEvents = 20

// verify compares what was asked for with the simulator's clusters and ledger, and with Temporal's histories.
func (c *campaign) verify(ctx context.Context, jobs []*job, before map[string]atlassim.Cluster) (*report, error) {
	r := &report{options: c.options, kills: c.kills, stops: c.stops, partKills: c.partKills}
	after, err := c.clusters(ctx)
	if err != nil {
		return nil, err
	}
	asked := map[string]bool{}
	for _, j := range jobs {
		asked[j.key()] = true
		if j.kind == takenJob {
			r.verifyTaken(j, before[j.key()], after[j.key()])
		} else {
			r.verifyDone(j, after[j.key()])
		}
		if err := c.verifyHistory(ctx, r, j); err != nil {
			return nil, err
		}
		if strings.Contains(j.output, clientSecret) {
			r.lose("%s: the starter printed a secret", j.key())
		}
	}
	for key := range after {
		if !asked[key] {
			r.lose("%s: nobody asked for it", key)
		}
	}
	if err := c.verifyLedger(ctx, r); err != nil {
		return nil, err
	}
	r.losses = append(r.losses, c.uncleanStops...)
	for _, part := range c.dueKills {
		r.lose("%s: was to be killed once more, but every request was done before", part)
	}
	return r, c.verifyLogs(r)
}

// verifyTaken checks that a name which somebody else has was refused, and their cluster left alone.
func (r *report) verifyTaken(j *job, before, after atlassim.Cluster) {
	var failure *provisioner.Failure
	if !errors.As(j.err, &failure) || failure.Type != contract.ClusterConflict {
		r.lose("%s: is somebody else's, but the run ended with %v", j.key(), j.err)
	}
	if after.ID != before.ID || !after.CreateDate.Equal(before.CreateDate) || after.State == "DELETING" ||
		!slices.Equal(after.Tags, before.Tags) {
		r.lose("%s: somebody else's cluster was touched", j.key())
	}
	r.conflicts++
}

// verifyDone checks that the run of a job completed with the cluster that Atlas has. The cluster is empty if Atlas has
// none.
func (r *report) verifyDone(j *job, cluster atlassim.Cluster) {
	outcome := contract.Created
	if j.kind == upgradeJob {
		outcome = contract.Upgraded
	}
	switch {
	case j.err != nil:
		r.lose("%s: %v", j.key(), j.err)
	case cluster.State != "IDLE":
		r.lose("%s: the run completed but the cluster is %q", j.key(), cluster.State)
	case j.cluster.ID != cluster.ID || j.cluster.StateName != "IDLE":
		r.lose("%s: the run answered cluster %s %s, Atlas has %s",
			j.key(), j.cluster.ID, j.cluster.StateName, cluster.ID)
	case j.cluster.Outcome != outcome:
		r.lose("%s: the outcome is %s", j.key(), j.cluster.Outcome)
	}
}

// verifyLedger counts what took effect at Atlas.
func (c *campaign) verifyLedger(ctx context.Context, r *report) error {
	ledger, err := c.stack.Ledger(ctx)
	if err != nil {
		return err
	}
	for _, e := range ledger {
		r.requests++
		if e.Fault != "" || e.Status == http.StatusUnauthorized { // 401: a token that was revoked
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
	if r.created != c.options.provisions {
		r.lose("%d clusters were created, %d asked for", r.created, c.options.provisions)
	}
	if r.upgraded != c.options.upgrades {
		r.lose("%d clusters were upgraded, %d asked for", r.upgraded, c.options.upgrades)
	}
	return nil
}

// verifyHistory counts the events of a run and looks for secrets in them. It keeps the types of a history that is too
// long beside the logs.
func (c *campaign) verifyHistory(ctx context.Context, r *report, j *job) error {
	if j.workflowID == "" {
		return nil
	}
	temporal, err := c.stack.Client()
	if err != nil {
		return err
	}
	var types []string
	lostTasks := 0
	const allEvents = enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT
	history := temporal.GetWorkflowHistory(ctx, j.workflowID, j.runID, false, allEvents)
	for history.HasNext() {
		e, err := history.Next()
		if err != nil {
			return err
		}
		types = append(types, fmt.Sprintf("%d %s", e.GetEventId(), e.GetEventType()))
		switch e.GetEventType() {
		case enumspb.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT, enumspb.EVENT_TYPE_WORKFLOW_TASK_FAILED:
			lostTasks++
		}
		if strings.Contains(e.String(), clientSecret) {
			r.lose("%s: event %d holds a secret", j.workflowID, e.GetEventId())
		}
	}
	const eventsOfALostTask = 3 // at most: scheduled, started, lost
	if own := len(types) - eventsOfALostTask*lostTasks; own > maxEvents {
		file := c.stack.Path(j.workflowID + ".history")
		if err := os.WriteFile(file, []byte(strings.Join(types, "\n")+"\n"), 0o600); err != nil {
			return err
		}
		r.lose("%s: %d events of history that are not those of a lost task: %s", j.workflowID, own, file)
	}
	r.lostTasks += lostTasks
	r.mostEvents = max(r.mostEvents, len(types))
	return nil
}

// verifyLogs looks for secrets and panics in what the programs logged.
func (c *campaign) verifyLogs(r *report) error {
	paths, err := filepath.Glob(c.stack.Log("*"))
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
