package doctor

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"regexp"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"github.com/atlas-provisioner/atlas-provisioner/codec"
	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/provisioner"
)

// checkRun is the run of the workflow that a worker answers.
type checkRun struct {
	client.WorkflowRun
	err error
	// ahead is how far this machine's clock is ahead of the server's.
	ahead time.Duration
}

// startCheckWorker starts the workflow. The server's time in its first event also tells of this machine's clock.
func (d *doctor) startCheckWorker(ctx context.Context) (run checkRun) {
	ctx, cancel := d.brief(ctx)
	defer cancel()
	before := d.Now()
	run.WorkflowRun, run.err = d.client.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: "atlas-doctor-" + strings.ToLower(rand.Text()), TaskQueue: d.TaskQueue, StaticSummary: "starter doctor",
		WorkflowExecutionTimeout: d.Limit,
	}, contract.CheckWorker, contract.CheckWorkerInput{GroupID: d.ProjectID})
	if run.err != nil {
		return run
	}
	middle := before.Add(d.Now().Sub(before) / 2)
	events := d.client.GetWorkflowHistory(ctx, run.GetID(), run.GetRunID(), false,
		enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	if event, err := events.Next(); err == nil {
		run.ahead = middle.Sub(event.GetEventTime().AsTime())
	}
	return run
}

// askWorker makes the checks that need the answer of a worker.
func (d *doctor) askWorker(ctx context.Context, run checkRun, polled bool) {
	if run.err != nil {
		d.found(checkWorker, Failed, fmt.Sprintf("no workflow can be started: %v", run.err),
			"check the rights of TEMPORAL_API_KEY, or of the client certificate, in the namespace")
		d.skipRest("no workflow can be started")
		return
	}
	if !polled {
		d.end(ctx, run)
		d.checkClock(run, nil)
		d.skipRest("no worker polls the task queue")
		return
	}
	report, err := d.await(ctx, run)
	if err != nil {
		d.end(ctx, run)
		d.checkClock(run, nil)
		d.describeNoAnswer(err)
		d.skipRest("no worker has answered")
		return
	}
	d.describeReport(report)
	d.checkClock(run, &report)
}

// end terminates a run that nobody waits for any more.
func (d *doctor) end(ctx context.Context, run checkRun) {
	ctx, cancel := d.brief(context.WithoutCancel(ctx))
	defer cancel()
	// It may have ended, and ends by its own time limit in any case.
	_ = d.client.TerminateWorkflow(ctx, run.GetID(), run.GetRunID(), "starter doctor does not wait any more")
}

// errNoAnswer says that no worker has answered in time.
var errNoAnswer = errors.New("no worker has answered")

// heldUpError says what holds up the run.
type heldUpError struct{ blocker provisioner.Blocker }

func (e heldUpError) Error() string { return e.blocker.Message }

// await waits for the answer of a worker, and gives up where its workflow task fails.
func (d *doctor) await(ctx context.Context, run checkRun) (report contract.WorkerReport, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, d.Limit/2, errNoAnswer)
	defer cancel()
	runs := provisioner.New(d.client, provisioner.Options{DataConverter: d.Temporal.DataConverter})
	answered := make(chan error, 1)
	go func() { answered <- run.Get(ctx, &report) }()
	look := time.NewTicker(300 * time.Millisecond)
	defer look.Stop()
	for {
		select {
		case err = <-answered:
			if ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			return report, err
		case <-look.C:
			status, err := runs.Status(ctx, run.GetID(), run.GetRunID())
			if err == nil && status.Blocker != nil && status.Blocker.Reason == provisioner.WorkflowTaskFails {
				cancel()
				<-answered
				return report, heldUpError{*status.Blocker}
			}
		}
	}
}

// missingKey is what a worker says of a payload that it cannot decrypt.
var missingKey = regexp.MustCompile(`a payload is encrypted with the key "[^"]*"`)

// describeNoAnswer says why there is no answer of a worker.
func (d *doctor) describeNoAnswer(err error) {
	var lacking *codec.DecodeError
	var heldUp heldUpError
	isHeldUp := errors.As(err, &heldUp)
	text := err.Error()
	switch {
	case errors.As(err, &lacking):
		d.found(checkWorker, OK, "a worker has answered, with an encrypted payload", "")
		d.found(checkPayloadKeys, Failed, "the worker encrypts, and its answer cannot be read here: "+lacking.Error(),
			"give this starter the payload keys of the worker")
		d.skipRest("the answer of the worker cannot be read")
	case isHeldUp && missingKey.MatchString(text):
		d.found(checkWorker, OK, "a worker takes the tasks of the task queue", "")
		d.found(checkPayloadKeys, Failed,
			"the worker cannot read what this starter sends: "+missingKey.FindString(text)+", which the worker lacks",
			"give the worker the payload keys of this starter (TEMPORAL_PAYLOAD_KEYS), then restart it")
		d.skipRest("the worker cannot read what it is asked")
	case isHeldUp && strings.Contains(text, "unable to find workflow type"):
		d.found(checkWorker, Failed, "the worker does not know the workflow "+contract.CheckWorker+
			": it is older than this starter, or no worker of atlas-provisioner",
			"update the worker, or let TEMPORAL_TASK_QUEUE name another task queue")
	case errors.Is(err, errNoAnswer):
		d.found(checkWorker, Failed,
			fmt.Sprintf("no worker has answered within %s: those that poll the task queue are busy or gone", d.Limit/2),
			"look at the workers' logs")
	default:
		d.found(checkWorker, Failed, "the worker does not answer: "+text, "look at the workers' logs")
	}
}

// describeReport says what a worker has answered.
func (d *doctor) describeReport(r contract.WorkerReport) {
	message := fmt.Sprintf("%s answers: version %s, Atlas at %s with its %s", r.Identity, r.Version, r.AtlasHost,
		r.Credential)
	if r.Version == d.Version {
		d.found(checkWorker, OK, message, "")
	} else {
		d.found(checkWorker, Warning, message+"; this starter is of version "+d.Version,
			"bring both to one version")
	}
	keys := "the worker reads what this starter sends; neither encrypts"
	if d.Encrypts {
		keys = "the worker reads what this starter encrypts"
	}
	d.found(checkPayloadKeys, OK, keys, "")
	switch {
	case r.Atlas.Problem != "":
		d.found(checkAtlas, Failed, "the worker asked with its "+r.Credential+": "+r.Atlas.Problem, r.Atlas.Next)
	case !r.Atlas.Asked:
		d.found(checkAtlas, Skipped, "the worker's "+r.Credential+" can be tried with a project only",
			"starter doctor --project-id ID")
	case d.ProjectID == "":
		d.found(checkAtlas, OK, "Atlas has given a token to the worker's "+r.Credential+". "+
			"Whether it may use a project shows with --project-id", "")
	default:
		d.found(checkAtlas, OK,
			fmt.Sprintf("the worker may read project %s with its %s", d.ProjectID, r.Credential), "")
	}
}

// clockTolerance is how far clocks may be apart, in seconds: more than a task takes to a busy worker.
const clockTolerance = 10

// checkClock compares the clocks of this machine, Temporal, the worker and Atlas, as far as they are known.
func (d *doctor) checkClock(run checkRun, report *contract.WorkerReport) {
	var apart []string
	compare := func(who, whose string, ahead float64) {
		switch {
		case ahead > clockTolerance:
			apart = append(apart, fmt.Sprintf("%s is %s ahead of %s", who, seconds(ahead), whose))
		case ahead < -clockTolerance:
			apart = append(apart, fmt.Sprintf("%s is %s behind %s", who, seconds(-ahead), whose))
		}
	}
	compared := "this machine and Temporal"
	compare("this machine's clock", "Temporal's", run.ahead.Seconds())
	if report != nil {
		compared = "this machine, Temporal and the worker"
		compare("the worker's clock", "Temporal's", report.ClockAheadOfTemporal)
		if ahead := report.Atlas.ClockAhead; ahead != nil {
			compared = "this machine, Temporal, the worker and Atlas"
			compare("the worker's clock", "Atlas's", *ahead)
		}
	}
	if len(apart) > 0 {
		d.found(checkClock, Warning, strings.Join(apart, "; "), "set the clocks by NTP: times in logs and results "+
			"cannot be compared otherwise")
		return
	}
	d.found(checkClock, OK, "the clocks of "+compared+" agree", "")
}

func seconds(s float64) time.Duration { return time.Duration(math.Round(s)) * time.Second }
