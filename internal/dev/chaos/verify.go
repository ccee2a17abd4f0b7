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
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/protobuf/proto"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/provisioner"
)

// maxEvents is how many events the history of a run may have. Those that others add are not counted: the workflow tasks
// that ended with a worker or server that was killed, and an operator's request to cancel the run.
const maxEvents = 20

// verify compares what was asked for with the simulator's clusters and ledger, and with Temporal's histories.
func (c *campaign) verify(ctx context.Context, jobs []*job, before map[string]atlassim.Cluster) (*report, error) {
	r := &report{options: c.options, kills: c.kills, stops: c.stops, partKills: c.partKills, verbs: c.operator.done}
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
		for _, run := range j.runs {
			if err := c.verifyHistory(ctx, r, j, run); err != nil {
				return nil, err
			}
		}
		if holdsSecret(j.output) {
			r.lose("%s: the starter printed a secret", j.key())
		}
		if strings.Contains(j.output, "\x1b") {
			r.lose("%s: the starter printed an escape sequence", j.key())
		}
	}
	for key, cluster := range after {
		_, theirs := before[key]
		switch {
		case asked[key]:
		case !theirs:
			r.lose("%s: nobody asked for it", key)
		default:
			r.verifyUntouched(key, before[key], cluster)
		}
	}
	if len(after) != len(before)+c.options.provisions {
		r.lose("there are %d clusters, and %d are to be there", len(after), len(before)+c.options.provisions)
	}
	if err := c.verifyLedger(ctx, r, jobs); err != nil {
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
	r.verifyUntouched(j.key(), before, after)
	r.conflicts++
}

// verifyUntouched checks that somebody else's cluster is as it was before.
func (r *report) verifyUntouched(key string, before, after atlassim.Cluster) {
	if after.ID != before.ID || !after.CreateDate.Equal(before.CreateDate) || after.State == "DELETING" ||
		!slices.Equal(after.Tags, before.Tags) {
		r.lose("%s: somebody else's cluster was touched", key)
	}
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
	case j.cluster.Outcome == contract.Unchanged && j.startedAgain > 0: // a run before the newest has made it
	case j.cluster.Outcome != outcome:
		r.lose("%s: the outcome is %s", j.key(), j.cluster.Outcome)
	}
}

// verifyLedger counts what took effect at Atlas. An upgrade may be asked for twice only where an operator took away
// what the run had on record. Atlas has refused it then.
func (c *campaign) verifyLedger(ctx context.Context, r *report, jobs []*job) error {
	ledger, err := c.stack.Ledger(ctx)
	if err != nil {
		return err
	}
	excused := map[string]int{} // by project
	for _, j := range jobs {
		r.startedAgain += j.startedAgain
		if j.kind == upgradeJob {
			excused[j.groupID] += j.recordLost
		}
	}
	for _, e := range ledger {
		if e.Auth == atlassim.AuthNone {
			continue // it only fetches a digest challenge
		}
		r.requests++
		if e.Fault != "" || e.Status == http.StatusUnauthorized { // a token that was revoked, or a nonce that has ended
			r.faulted++
		}
		project := strings.Split(e.Path+strings.Repeat("/", 5), "/")[5] // /api/atlas/v2/groups/PROJECT/…
		switch {
		case e.SecondUpgrade && excused[project] > 0:
			excused[project]--
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

// history is that of a run.
func (c *campaign) history(ctx context.Context, workflowID, runID string) ([]*historypb.HistoryEvent, error) {
	temporal, err := c.stack.Client()
	if err != nil {
		return nil, err
	}
	for {
		events, err := readHistory(ctx, temporal, workflowID, runID)
		if err == nil || ctx.Err() != nil {
			return events, err
		}
		time.Sleep(time.Second) // the server is down
	}
}

func readHistory(ctx context.Context, temporal client.Client, workflowID, runID string) (
	events []*historypb.HistoryEvent, err error,
) {
	history := temporal.GetWorkflowHistory(ctx, workflowID, runID, false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for history.HasNext() {
		e, err := history.Next()
		if err != nil {
			return nil, err
		}
		events = append(events, e)
	}
	return events, nil
}

// verifyHistory counts the events of a run, unless it was made by a reset, and looks for secrets and escape sequences
// in them. It keeps the types of a history that is too long beside the logs.
func (c *campaign) verifyHistory(ctx context.Context, r *report, j *job, run jobRun) error {
	events, err := c.history(ctx, j.workflowID, run.id)
	if err != nil {
		return err
	}
	types := make([]string, len(events))
	lostTasks, cancelRequests := 0, 0
	for i, e := range events {
		types[i] = fmt.Sprintf("%d %s", e.GetEventId(), e.GetEventType())
		switch e.GetEventType() {
		case enumspb.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT, enumspb.EVENT_TYPE_WORKFLOW_TASK_FAILED:
			lostTasks++
		case enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED:
			cancelRequests++
		}
		wire, err := proto.Marshal(e)
		if err != nil {
			return err
		}
		if holdsSecret(string(wire)) {
			r.lose("%s: event %d holds a secret", j.workflowID, e.GetEventId())
		}
		if strings.Contains(string(wire), "\x1b[31m") || strings.Contains(string(wire), "\x1b]0;") {
			r.lose("%s: event %d holds an escape sequence", j.workflowID, e.GetEventId())
		}
	}
	r.lostTasks += lostTasks
	if run.afterReset {
		return nil
	}
	const eventsOfALostTask = 3 // at most: scheduled, started, lost
	if own := len(types) - eventsOfALostTask*lostTasks - cancelRequests; own > maxEvents {
		file := c.stack.Path(j.workflowID + "-" + run.id + ".history")
		if err := os.WriteFile(file, []byte(strings.Join(types, "\n")+"\n"), 0o600); err != nil {
			return err
		}
		r.lose("%s: %d events of history that are neither those of a lost task nor a request to cancel: %s",
			j.workflowID, own, file)
	}
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
		if holdsSecret(string(log)) || strings.Contains(string(log), "Bearer ") {
			r.lose("%s: holds a credential", path)
		}
		if strings.Contains(string(log), "panic: ") || strings.Contains(string(log), "DATA RACE") {
			r.lose("%s: a panic or a data race", path)
		}
	}
	return nil
}
