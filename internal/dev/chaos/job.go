//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"sync"
	"time"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/dev/process"
	"github.com/atlas-provisioner/atlas-provisioner/provisioner"
)

// jobKind is what a job asks for.
type jobKind string

const (
	provisionJob jobKind = "provision"
	upgradeJob   jobKind = "upgrade"
	takenJob     jobKind = "provision of a taken name"
	// The lives of clusters: of one that is not there yet, of an M0, and of somebody else's.
	newLife    jobKind = "life"
	sharedLife jobKind = "life of an M0"
	theirLife  jobKind = "life of somebody else's cluster"
	leaseJob   jobKind = "lease"
)

// jobRun is one run of a job's workflow id.
type jobRun struct {
	id string
	// afterReset says that an operator made it by a reset, so that its history is longer.
	afterReset bool
}

// job is what is asked for of one cluster, request after request, and what became of it.
type job struct {
	kind          jobKind
	groupID, name string
	steps         []*step

	// mu is held while a run of the job is started, ended or acted upon. An operator does nothing to a job that it
	// cannot lock, or that has ended.
	mu         sync.Mutex
	output     string // what the starter printed, to both streams
	workflowID string
	step       *step // the one that is under way
	ended      bool  // the step has
	verbs      int   // how often an operator did something to it
	err        error // of the campaign itself
}

func (j *job) key() string { return j.groupID + "/" + j.name }

// isUnderWay reports whether a run of the job is known that has not ended.
func (j *job) isUnderWay() bool { return j.step != nil && len(j.step.runs) > 0 && !j.ended }

// args are the starter's for the step that is under way.
func (j *job) args() []string {
	args := append([]string{j.step.command(), "--project-id", j.groupID, "--name", j.name, "-o", "json"},
		j.step.args...)
	if j.step.ofEarlier {
		args = append(args, "--id", j.steps[0].cluster.ID)
	}
	return args
}

func newJob(kind jobKind, groupID, name string, steps ...*step) *job {
	return &job{kind: kind, groupID: groupID, name: name, steps: steps}
}

func newJobs(o options) []*job {
	var jobs []*job
	for i := range o.provisions {
		jobs = append(jobs, newJob(provisionJob, groupID(i), provisionName(i), provision()))
	}
	for i := range o.upgrades {
		jobs = append(jobs, newJob(upgradeJob, groupID(i), upgradeName(i), upgradeToServerless()))
	}
	for i := range o.taken {
		jobs = append(jobs, newJob(takenJob, groupID(i), takenName(i), refused(provision())))
	}
	for i := range o.lives {
		l := lives[i%len(lives)]
		jobs = append(jobs, newJob(l.begins, groupID(i), lifeName(i), l.steps()...))
	}
	for i := range o.leases {
		jobs = append(jobs, newJob(leaseJob, groupID(i), leaseName(i), leaseStep(leaseEnds[i%len(leaseEnds)])))
	}
	return jobs
}

// startJobLocked runs the starter again and again until it has reached Temporal.
func (c *campaign) startJobLocked(ctx context.Context, j *job) error {
	const temporalUnreachable = 3 // exit code
	for {
		var stdout, stderr bytes.Buffer
		cmd := c.stack.Command(c.stack.Program("starter"), j.args()...)
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		err := process.Run(ctx, cmd)
		j.output += stdout.String() + stderr.String()
		var exit *exec.ExitError
		switch {
		case err == nil:
			var answer struct{ WorkflowID, RunID string }
			if err := json.Unmarshal(stdout.Bytes(), &answer); err != nil {
				return fmt.Errorf("the starter printed %q: %w", stdout.String(), err)
			}
			j.workflowID = answer.WorkflowID
			j.step.runs = append(j.step.runs, jobRun{id: answer.RunID})
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.As(err, &exit) && exit.ExitCode() == temporalUnreachable:
			time.Sleep(time.Second)
		default:
			return fmt.Errorf("the starter failed: %w: %s", err, stderr.String())
		}
	}
}

// startStep starts the first run of a step.
func (c *campaign) startStep(ctx context.Context, j *job, s *step) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.step, j.ended = s, false
	return c.startJobLocked(ctx, j)
}

// awaitJob follows the runs of a job until the newest has ended as its operator left it.
func (c *campaign) awaitJob(ctx context.Context, j *job) (end provisioner.End, err error) {
	temporal, err := c.stack.Client()
	if err != nil {
		return end, err
	}
	if j.kind == leaseJob {
		early, cancel := context.WithCancel(ctx)
		done := make(chan struct{})
		go func() {
			defer close(done)
			c.endEarly(early, j, j.step.leaseEnd)
		}()
		defer func() {
			cancel()
			<-done
		}()
	}
	p := provisioner.New(temporal, provisioner.Options{})
	for {
		j.mu.Lock()
		run := j.step.newest()
		j.mu.Unlock()
		end, err := p.Follow(ctx, provisioner.Run{WorkflowID: j.workflowID, RunID: run.id}, func(provisioner.Run) {})
		var failure *provisioner.Failure
		if err != nil && !errors.As(err, &failure) {
			if ctx.Err() != nil {
				return end, context.Cause(ctx)
			}
			time.Sleep(time.Second) // the server is down
			continue
		}
		over, err2 := c.endOfRun(ctx, j, run, failure)
		if over || err2 != nil {
			return end, errors.Join(err, err2)
		}
	}
}

// endOfRun goes on with a job of which a run has ended, and reports whether that was the last one: none if an operator
// has reset it, and none if the operator is to start it again, as after a termination.
func (c *campaign) endOfRun(ctx context.Context, j *job, run jobRun, failure *provisioner.Failure) (bool, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	newest, err := c.newestRun(ctx, j)
	switch {
	case err != nil:
		return true, err
	case newest != run.id:
		if newest != j.step.newest().id { // the answer to the reset was lost
			j.step.runs = append(j.step.runs, jobRun{id: newest, afterReset: true})
		}
		return false, nil
	case failure == nil:
		j.ended = true
		return true, nil
	}
	again := failure.State == provisioner.Terminated || failure.State == provisioner.Canceled
	switch {
	case j.kind == leaseJob: // what a provision left that was refused is deleted
		again = isRefusal(failure)
	case isRefusal(failure):
		if again, err = c.failedWhileAsking(ctx, j); err != nil {
			return true, err
		}
	}
	if !again {
		j.ended = true
		return true, nil
	}
	j.step.startedAgain++
	return false, c.startJobLocked(ctx, j)
}

// newestRun asks Temporal for the newest run of a job, until it answers.
func (c *campaign) newestRun(ctx context.Context, j *job) (string, error) {
	temporal, err := c.stack.Client()
	if err != nil {
		return "", err
	}
	for {
		described, err := temporal.DescribeWorkflow(ctx, j.workflowID, "")
		if err == nil {
			return described.WorkflowExecution.RunID, nil
		}
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		time.Sleep(time.Second)
	}
}

// isRefusal reports whether Atlas refused the credential or the worker's address.
func isRefusal(failure *provisioner.Failure) bool {
	status := failure.Details.Status
	return status == http.StatusUnauthorized || status == http.StatusForbidden
}

// failedWhileAsking reports whether the newest run of a job ended before it waited. A refusal is final then: an
// operator starts the run again, as its message says. A wait is to get over it by itself.
func (c *campaign) failedWhileAsking(ctx context.Context, j *job) (bool, error) {
	events, err := c.history(ctx, j.workflowID, j.step.newest().id)
	if err != nil {
		return false, err
	}
	for _, e := range events {
		scheduled := e.GetActivityTaskScheduledEventAttributes() // nil for other events
		switch scheduled.GetActivityType().GetName() {
		case contract.WaitUntilIdleActivity, contract.WaitUntilAsAskedActivity, contract.DeleteClusterActivity:
			return false, nil
		}
	}
	return true, nil
}
