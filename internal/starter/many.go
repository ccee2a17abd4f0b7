package starter

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
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
	result  *contract.Cluster
	failure *provisioner.Failure
	err     error // Temporal's own: what became of it is not known
}

func (o *outcome) ended() bool { return o.result != nil || o.failure != nil || o.err != nil }

// refused says that a different request runs under the workflow id.
func (o *outcome) refused() bool {
	return o.failure != nil && o.failure.Type == contract.RequestConflict
}

const (
	startsAtOnce = 16
	// waitsAtOnce bounds the long polls that are open at a time.
	waitsAtOnce = 64
)

// each calls f for 0 to n-1, so many at a time.
func each(n, atOnce int, f func(int)) {
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

// startFiles starts or joins a run for each request of the files and, with
// --wait, follows them all to their end.
func (a *app) startFiles(ctx context.Context, f startFlags, parse func([]byte) (request, error)) error {
	requests, err := a.readRequests(ctx, f.files, parse)
	if err != nil {
		return err
	}
	if f.dryRun {
		return a.printRequests(requests)
	}
	c, err := a.connect(ctx)
	if err != nil {
		return err
	}
	all := startAll(ctx, c, requests)
	if f.wait {
		a.followAll(ctx, c, all)
	}
	return a.conclude(ctx, all, f.wait)
}

func (a *app) printRequests(requests []request) error {
	if a.output == "json" {
		a.printJSON(struct {
			Clusters []request `json:"clusters"`
		}{requests})
		return nil
	}
	for i, r := range requests {
		if i > 0 {
			fmt.Fprintln(a.stdout)
		}
		a.printRequest(r)
	}
	return nil
}

// startAll starts or joins a run for each request. Once Temporal does not answer,
// it starts no more.
func startAll(ctx context.Context, c *provisioner.Client, requests []request) []*outcome {
	all := make([]*outcome, len(requests))
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	each(len(all), startsAtOnce, func(i int) {
		r := requests[i]
		o := &outcome{}
		all[i] = o
		var err error
		if ctx.Err() == nil {
			o.run, err = r.start(ctx, c)
		}
		switch {
		case errors.As(err, &o.failure):
		case ctx.Err() != nil && (err != nil || o.run.RunID == ""):
			o.err = context.Cause(ctx)
		case err != nil:
			o.err = err
			stop(err)
		}
		o.run.WorkflowID = r.WorkflowID
		o.status = provisioner.Status{WorkflowID: r.WorkflowID, RunID: o.run.RunID, Workflow: r.Workflow, State: provisioner.Running, Started: time.Now()}
	})
	return all
}

// followAll waits for the end of them all, with progress on standard error.
func (a *app) followAll(ctx context.Context, c *provisioner.Client, all []*outcome) {
	if !slices.ContainsFunc(all, func(o *outcome) bool { return !o.ended() }) {
		return
	}
	var mu sync.Mutex
	stop := a.showMany(ctx, c, all, &mu)
	each(len(all), waitsAtOnce, func(i int) {
		o := all[i]
		if o.ended() {
			return
		}
		cluster, err := c.Result(ctx, o.run.WorkflowID, o.run.RunID)
		mu.Lock()
		defer mu.Unlock()
		switch {
		case err == nil:
			o.result, o.status.State = &cluster, provisioner.Completed
			o.status.ClusterState = cluster.StateName
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
		return string(o.status.State), string(o.result.Outcome) + " " + cmp.Or(o.result.ConnectionStrings.StandardSrv, o.result.ConnectionStrings.Standard)
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

// conclude prints how they all stand, a line each, and answers what that comes
// to.
func (a *app) conclude(ctx context.Context, all []*outcome, waited bool) error {
	var rows [][]string
	var failed, refused, unknown, running int
	var err error
	out := answers{Clusters: []answer{}}
	for _, o := range all {
		one := answer{WorkflowID: o.run.WorkflowID, RunID: o.run.RunID, Status: o.status.State, Result: o.result, Failure: o.failure}
		switch {
		case o.refused():
			refused++
		case o.failure != nil:
			failed++
		case o.err != nil:
			unknown++
			err, one.Status = o.err, ""
		case o.result == nil:
			running++
		}
		status, detail := o.line(waited)
		rows = append(rows, []string{status, o.run.WorkflowID, detail})
		out.Clusters = append(out.Clusters, one)
	}
	if a.output == "json" {
		a.printJSON(out)
	} else {
		for _, line := range a.align(a.stdout, 0, rows) {
			fmt.Fprintln(a.stdout, line)
		}
	}
	switch {
	case ctx.Err() != nil && unknown > 0:
		return ending{exitInterrupted, fmt.Sprintf("interrupted; of %d not all were started. The same command starts what is missing and joins what runs", len(all))}
	case ctx.Err() != nil && running > 0:
		return ending{exitInterrupted, "interrupted; the workflows go on. The same command follows them again"}
	case refused > 0 && refused == len(all):
		return refusal{"nothing was started: a different request runs under each workflow id"}
	case failed+refused > 0:
		return ending{exitFailed, fmt.Sprintf("%d of %d failed; each says why and what to do", failed+refused, len(all))}
	case err == nil && !waited && a.output == "text":
		fmt.Fprintln(a.stdout, "Follow them with: the same command and --wait")
	}
	return err
}
