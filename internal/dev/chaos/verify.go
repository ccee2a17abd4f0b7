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
	r := &report{options: c.options, kills: c.kills, stops: c.stops, partKills: c.partKills, verbs: c.operator.done,
		effects: map[atlassim.Effect]int{}}
	after, err := c.clusters(ctx)
	if err != nil {
		return nil, err
	}
	asked := map[string]bool{}
	left := len(before) // how many clusters are to be there at the end
	for _, j := range jobs {
		asked[j.key()] = true
		left += r.verifyJob(j, before[j.key()], after[j.key()])
		for _, s := range j.steps {
			for _, run := range s.runs {
				if err := c.verifyHistory(ctx, r, j, run); err != nil {
					return nil, err
				}
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
	if len(after) != left {
		r.lose("there are %d clusters, and %d are to be there", len(after), left)
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

// verifyJob checks each step of a job, and what is there at its end. It answers how many clusters more there are then.
func (r *report) verifyJob(j *job, before, after atlassim.Cluster) int {
	if j.err != nil {
		r.lose("%s: %v", j.key(), j.err)
		return 0
	}
	if j.kind == leaseJob {
		r.verifyLease(j, j.steps[0], after)
		return 0
	}
	wasThere := before.ID != ""
	isThere, id := wasThere, before.ID
	touched := false
	for _, s := range j.steps {
		if s.isRefused {
			r.verifyRefused(j, s)
			continue
		}
		if s.ofEarlier {
			if s.err != nil || s.cluster.Outcome != s.outcome {
				r.lose("%s: the delete of a cluster that is gone ended with %s, %v", j.key(), s.cluster.Outcome, s.err)
			}
			continue
		}
		touched = true
		r.verifyDone(j, s, id)
		isThere = s.effect != atlassim.Deleted
		if s.cluster.ID != "" {
			id = s.cluster.ID
		}
	}
	switch {
	case !touched:
		r.verifyUntouched(j.key(), before, after)
	case isThere && (after.State != "IDLE" || after.ID != id):
		r.lose("%s: the runs left cluster %s IDLE, Atlas has %q %s", j.key(), id, after.State, after.ID)
	case !isThere && after.ID != "":
		r.lose("%s: the runs deleted the cluster, Atlas has %s %s", j.key(), after.State, after.ID)
	}
	switch {
	case isThere && !wasThere:
		return 1
	case wasThere && !isThere:
		return -1
	}
	return 0
}

// verifyRefused checks that a request for somebody else's cluster was refused.
func (r *report) verifyRefused(j *job, s *step) {
	var failure *provisioner.Failure
	if !errors.As(s.err, &failure) || failure.Type != contract.ClusterConflict {
		r.lose("%s: is somebody else's, but %s ended with %v", j.key(), s.command(), s.err)
	}
	r.conflicts++
}

// verifyUntouched checks that somebody else's cluster is as it was before.
func (r *report) verifyUntouched(key string, before, after atlassim.Cluster) {
	if after.ID != before.ID || !after.CreateDate.Equal(before.CreateDate) || after.State == "DELETING" ||
		!slices.Equal(after.Tags, before.Tags) {
		r.lose("%s: somebody else's cluster was touched", key)
	}
}

// verifyDone checks that a step completed as asked. before is the id of the cluster before the step.
func (r *report) verifyDone(j *job, s *step, before string) {
	state := contract.StateIdle
	if s.effect == atlassim.Deleted {
		state = contract.StateDeleted
	}
	sameID := s.effect == atlassim.Updated || s.effect == atlassim.Deleted
	switch c := s.cluster; {
	case s.err != nil:
		r.lose("%s: %s: %v", j.key(), s.command(), s.err)
	case c.StateName != state:
		r.lose("%s: %s completed but the cluster is %q", j.key(), s.command(), c.StateName)
	case c.Outcome == contract.Unchanged && s.startedAgain+s.recordLost > 0: // a run before the newest has done it
	case c.Outcome != s.outcome:
		r.lose("%s: the outcome of %s is %s", j.key(), s.command(), c.Outcome)
	case (c.ID == before) != sameID:
		r.lose("%s: %s answered cluster %s, and before it there was %s", j.key(), s.command(), c.ID, before)
	}
}

// verifyLedger counts what took effect at Atlas. An upgrade may be asked for twice only where an operator took away
// what the run had on record. Atlas has refused it then. A cluster may be changed more often than it is asked for: a
// change that was ignored, or whose answer was lost, is sent again.
func (c *campaign) verifyLedger(ctx context.Context, r *report, jobs []*job) error {
	ledger, err := c.stack.Ledger(ctx)
	if err != nil {
		return err
	}
	excused := map[string]int{}               // by project
	asked := map[atlassim.Effect]int{}        // how often
	askedOf := map[string][]atlassim.Effect{} // by cluster
	// leases that were refused and started again: each can have made a cluster
	again := 0
	for _, j := range jobs {
		for _, s := range j.steps {
			r.startedAgain += s.startedAgain
			if j.kind == leaseJob {
				asked[atlassim.Created]++
				asked[atlassim.Deleted]++
				again += s.startedAgain
				askedOf[j.key()] = []atlassim.Effect{atlassim.Updated, atlassim.Deleted} // protection is lifted
				continue
			}
			asked[s.effect]++
			askedOf[j.key()] = append(askedOf[j.key()], s.effect)
			if s.effect == atlassim.Upgraded {
				excused[j.groupID] += s.recordLost
				askedOf[j.key()] = append(askedOf[j.key()], atlassim.Updated) // of tags that an upgrade lost
			}
			if slices.Contains(s.args, "--remove-termination-protection") {
				askedOf[j.key()] = append(askedOf[j.key()], atlassim.Updated)
			}
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
		segments := strings.Split(e.Path+strings.Repeat("/", 7), "/") // /api/atlas/v2/groups/PROJECT/RESOURCE/NAME
		project, key := segments[5], segments[5]+"/"+segments[7]
		switch {
		case e.SecondUpgrade && excused[project] > 0:
			excused[project]--
		case e.SecondUpgrade:
			r.lose("%s: an upgrade was asked for twice", e.Path)
		case e.Effect == atlassim.NoEffect:
		case (e.Effect == atlassim.Updated || e.Effect == atlassim.Deleted) && !slices.Contains(askedOf[key], e.Effect):
			r.lose("%s %s: %s, which nobody asked for", e.Method, e.Path, e.Effect)
		default:
			r.effects[e.Effect]++
		}
	}
	for _, effect := range []atlassim.Effect{atlassim.Created, atlassim.Upgraded, atlassim.Deleted} {
		if n := r.effects[effect]; n < asked[effect] || n > asked[effect]+again {
			r.lose("%d clusters were %s, %d asked for", n, effect, asked[effect])
		}
	}
	if r.effects[atlassim.Updated] < asked[atlassim.Updated] {
		r.lose("%d clusters were updated, %d asked for", r.effects[atlassim.Updated], asked[atlassim.Updated])
	}
	r.asked = asked
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
	most := maxEvents
	if j.kind == leaseJob { // it continues as new after that
		most = 500
	}
	if own := len(types) - eventsOfALostTask*lostTasks - cancelRequests; own > most {
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
