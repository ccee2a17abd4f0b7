package starter

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.temporal.io/api/serviceerror"

	"github.com/atlas-provisioner/atlas-provisioner/codec"
	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/starter/requestfile"
	"github.com/atlas-provisioner/atlas-provisioner/internal/starter/terminal"
	"github.com/atlas-provisioner/atlas-provisioner/provisioner"
)

// answers is the one object that -o json prints of many.
type answers struct {
	Clusters []answer `json:"clusters"`
}

// outcome is how one of many stands.
type outcome struct {
	run     provisioner.Run
	status  provisioner.Status // as the newest list has it
	result  *awaited
	failure *provisioner.Failure
	err     error // Temporal's own: what became of it is not known
}

func (o *outcome) ended() bool { return o.result != nil || o.failure != nil || o.err != nil }

// refused says that nothing was started: another request runs under the workflow id, or Temporal does not take this
// one.
func (o *outcome) refused() bool {
	return o.failure != nil && (o.failure.Type == contract.RequestConflict || o.failure.State == "")
}

const (
	startsAtOnce = 16
	// waitsAtOnce bounds the long polls that are open at a time.
	waitsAtOnce = 64
)

// forEach calls f for 0 to n-1, so many at a time.
func forEach(n, atOnce int, f func(int)) {
	var all sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	for i := range n {
		slots <- struct{}{}
		all.Go(func() {
			f(i)
			<-slots
		})
	}
	all.Wait()
}

// startFiles starts or joins a run for each request of the files and, with --wait, follows them all to their end.
func (a *app) startFiles(ctx context.Context, operation contract.Operation, v verb, flags startFlags) error {
	var documents []*requestfile.Document
	for _, file := range flags.files {
		more, err := a.readFile(ctx, file)
		if err != nil {
			return err
		}
		documents = append(documents, more...)
	}
	requests, err := requestfile.Parse(documents, operation)
	if err != nil {
		return err
	}
	if flags.dryRun {
		return a.printPlans(v, requests)
	}
	if v.asks && !flags.yes {
		if err := a.confirm(ctx, v.confirmation(requests)); err != nil {
			return err
		}
	}
	c, err := a.connect(ctx)
	if err != nil {
		return err
	}
	all := a.startAll(ctx, c, requests)
	if flags.wait {
		a.followAll(ctx, c, all, v.await)
	}
	return a.printOutcomes(ctx, all, flags.wait)
}

// readFile reads a file. A terminal or a pipe may never answer, so an interrupt does not wait for it.
func (a *app) readFile(ctx context.Context, file string) (documents []*requestfile.Document, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		documents, err = requestfile.Read(file, a.stdin)
	}()
	select {
	case <-ctx.Done():
		return nil, exitError{
			exitInterrupted,
			"interrupted before " + requestfile.Name(file) + " was read; nothing was started",
		}
	case <-done:
	}
	if err != nil {
		return nil, refusedError{terminal.Clean(err.Error())}
	}
	for _, d := range documents {
		d.File = terminal.Clean(d.File)
	}
	return documents, nil
}

func (a *app) printPlans(v verb, requests []contract.Request) error {
	if err := a.readEnvironment(); err != nil {
		return err
	}
	var plans []plannedRun
	for _, r := range requests {
		plans = append(plans, a.plan(v, r))
	}
	if a.output == "json" {
		a.printJSON(struct {
			Clusters []plannedRun `json:"clusters"`
		}{plans})
		return nil
	}
	for i, p := range plans {
		if i > 0 {
			a.stdout.Printf("\n")
		}
		a.printPlan(p)
	}
	return nil
}

// startAll starts or joins a run for each request. What Temporal does not take fails alone; once Temporal does not
// answer, no more are started.
func (a *app) startAll(ctx context.Context, c *provisioner.Client, requests []contract.Request) []*outcome {
	all := make([]*outcome, len(requests))
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	forEach(len(all), startsAtOnce, func(i int) {
		o := &outcome{}
		all[i] = o
		var err error
		if ctx.Err() == nil {
			o.run, err = c.Start(ctx, requests[i])
		}
		switch {
		case errors.As(err, &o.failure):
		case ctx.Err() != nil && (err != nil || o.run.RunID == ""):
			o.err = context.Cause(ctx)
		case err != nil:
			if o.failure = a.failureOfOne(err); o.failure == nil {
				o.err = err
				stop(err)
			}
		}
		o.run.WorkflowID = contract.WorkflowID(requests[i])
		o.status = provisioner.Status{
			WorkflowID: o.run.WorkflowID, RunID: o.run.RunID, Workflow: requests[i].Operation().WorkflowType,
			State: provisioner.Running, Started: time.Now(),
		}
	})
	return all
}

// failureOfOne is the failure of a request that Temporal does not take, or of a run that cannot be read, while the
// others go on; nil where the error is one of them all.
func (a *app) failureOfOne(err error) *provisioner.Failure {
	var invalid *serviceerror.InvalidArgument
	var encrypted *codec.DecodeError
	switch {
	case errors.As(err, &invalid):
		return &provisioner.Failure{Type: contract.InvalidInput, Message: a.refusedByTemporal(invalid)}
	case tooLarge(err):
		return &provisioner.Failure{Type: contract.InvalidInput, Message: tooLargeMessage}
	case errors.As(err, &encrypted):
		// What runs under the workflow id cannot be compared with the request.
		return &provisioner.Failure{
			State:   provisioner.Running,
			Type:    contract.RequestConflict,
			Message: encrypted.Error(),
		}
	}
	return nil
}

// followAll waits for them all, with progress on standard error.
func (a *app) followAll(ctx context.Context, c *provisioner.Client, all []*outcome, await awaitRun) {
	if countOutcomes(all).running == 0 {
		return
	}
	var mu sync.Mutex
	stop := a.showMany(ctx, c, all, &mu)
	forEach(len(all), waitsAtOnce, func(i int) {
		o := all[i]
		if o.ended() {
			return
		}
		waited, err := await(ctx, c, o.run, func(next provisioner.Run) {
			mu.Lock()
			defer mu.Unlock()
			o.run = next
			o.status = provisioner.Status{
				WorkflowID: next.WorkflowID,
				RunID:      next.RunID,
				State:      provisioner.Running,
				Started:    time.Now(),
			}
		})
		mu.Lock()
		defer mu.Unlock()
		switch {
		case err == nil:
			o.result, o.status.State = &waited, waited.state
			o.status.ClusterState = waited.end.Cluster.StateName
		case errors.As(err, &o.failure):
			o.status.State = o.failure.State
		case ctx.Err() == nil:
			o.err = err
		}
	})
	stop()
}

// line is the status and what there is to say of it.
func (o *outcome) line(waited bool) (status, detail string) {
	switch {
	case o.result != nil:
		return string(o.status.State), resultText(o.result.end)
	case o.refused():
		return "REFUSED", o.failure.Error()
	case o.failure != nil:
		return string(o.status.State), o.failure.Error()
	case errors.Is(o.err, context.Canceled):
		return "UNKNOWN", ""
	case o.err != nil:
		return "UNKNOWN", o.err.Error()
	case waited:
		return string(o.status.State), o.status.ClusterState
	case o.run.Joined:
		return "JOINED", ""
	}
	return "STARTED", ""
}

// resultText is what of a result people need most: the outcome, and how to connect or which cluster is gone.
func resultText(end provisioner.End) string {
	c, outcome := end.Cluster, end.Cluster.Outcome
	if end.Lease != nil {
		outcome = end.Lease.Outcome
	}
	text := cmp.Or(c.ConnectionStrings.StandardSrv, c.ConnectionStrings.Standard)
	if c.StateName == contract.StateDeleted {
		text = cmp.Or(c.ID, "it was gone already")
	}
	return string(outcome) + " " + text
}

func (o *outcome) answer() answer {
	out := answer{
		WorkflowID: o.run.WorkflowID,
		RunID:      o.run.RunID,
		Status:     o.status.State,
		Failure:    o.failure,
	}
	if o.result != nil {
		out.Result = o.result.result()
	}
	if o.err != nil || o.failure != nil && o.failure.State == "" {
		out.Status = ""
	}
	return out
}

// counts says how many there are of each.
type counts struct{ running, completed, failed, refused, unknown int }

func countOutcomes(all []*outcome) (n counts) {
	for _, o := range all {
		switch {
		case o.result != nil:
			n.completed++
		case o.refused():
			n.refused++
		case o.failure != nil:
			n.failed++
		case o.err != nil:
			n.unknown++
		default:
			n.running++
		}
	}
	return n
}

// printOutcomes prints how they all stand, a line each, and answers what that comes to.
func (a *app) printOutcomes(ctx context.Context, all []*outcome, waited bool) error {
	var table terminal.Table
	var err error
	out := answers{Clusters: []answer{}}
	for _, o := range all {
		status, detail := o.line(waited)
		table.Rows = append(table.Rows, []string{status, o.run.WorkflowID, detail})
		out.Clusters = append(out.Clusters, o.answer())
		err = cmp.Or(err, o.err)
	}
	if a.output == "json" {
		a.printJSON(out)
	} else {
		a.stdout.PrintTable(table)
	}
	switch n := countOutcomes(all); {
	case ctx.Err() != nil && n.unknown > 0:
		return exitError{exitInterrupted, fmt.Sprintf(
			"interrupted; of %d not all were started. The same command starts what is missing and joins what runs",
			len(all))}
	case ctx.Err() != nil && n.running > 0:
		return exitError{exitInterrupted, "interrupted; the workflows go on. The same command follows them again"}
	case n.refused > 0 && n.refused == len(all):
		return refusedError{"nothing was started; each says why"}
	case n.failed+n.refused > 0:
		return exitError{
			exitFailed,
			fmt.Sprintf("%d of %d failed; each says why and what to do", n.failed+n.refused, len(all)),
		}
	case err == nil && !waited && a.output == "text":
		a.stdout.Printf("Follow them with: the same command and --wait\n")
	}
	return err
}
