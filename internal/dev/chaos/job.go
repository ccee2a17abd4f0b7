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
)

// jobRun is one run of a job's workflow id.
type jobRun struct {
	id string
	// afterReset says that an operator made it by a reset, so that its history is longer.
	afterReset bool
}

// job is one request, and what became of it.
type job struct {
	kind          jobKind
	groupID, name string
	args          []string // the starter's

	// mu is held while a run of the job is started, ended or acted upon. An operator does nothing to a job that it
	// cannot lock, or that has ended.
	mu         sync.Mutex
	output     string // what the starter printed, to both streams
	workflowID string
	runs       []jobRun // in the order in which they were made; the newest counts
	ended      bool
	verbs      int // how often an operator did something to it
	// startedAgain counts the runs that an operator terminated or cancelled, or that Atlas refused while it was asked.
	startedAgain int
	// recordLost counts how often an operator took away what a run had on record of the requests that it had sent.
	recordLost int

	cluster contract.Cluster
	err     error
}

func (j *job) key() string { return j.groupID + "/" + j.name }

func (j *job) newest() jobRun { return j.runs[len(j.runs)-1] }

// isUnderWay reports whether a run of the job is known that has not ended.
func (j *job) isUnderWay() bool { return len(j.runs) > 0 && !j.ended }

func newJob(kind jobKind, command, groupID, name string) *job {
	return &job{kind: kind, groupID: groupID, name: name, args: []string{
		command, "--project-id", groupID, "--name", name, "--provider", "AWS", "--region", "US_EAST_1",
		"--tag", "team=chaos", "-o", "json",
	}}
}

func newJobs(o options) []*job {
	var jobs []*job
	for i := range o.provisions {
		jobs = append(jobs, newJob(provisionJob, "provision-flex", groupID(i), provisionName(i)))
	}
	for i := range o.upgrades {
		jobs = append(jobs, newJob(upgradeJob, "upgrade-to-serverless", groupID(i), upgradeName(i)))
	}
	for i := range o.taken {
		jobs = append(jobs, newJob(takenJob, "provision-flex", groupID(i), takenName(i)))
	}
	return jobs
}

// startJobLocked runs the starter again and again until it has reached Temporal.
func (c *campaign) startJobLocked(ctx context.Context, j *job) error {
	const temporalUnreachable = 3 // exit code
	for {
		var stdout, stderr bytes.Buffer
		cmd := c.stack.Command(c.stack.Program("starter"), j.args...)
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
			j.runs = append(j.runs, jobRun{id: answer.RunID})
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

// startJob starts the first run of a job.
func (c *campaign) startJob(ctx context.Context, j *job) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return c.startJobLocked(ctx, j)
}

// awaitJob follows the runs of a job until the newest has ended as its operator left it.
func (c *campaign) awaitJob(ctx context.Context, j *job) (contract.Cluster, error) {
	temporal, err := c.stack.Client()
	if err != nil {
		return contract.Cluster{}, err
	}
	p := provisioner.New(temporal, provisioner.Options{})
	for {
		j.mu.Lock()
		run := j.newest()
		j.mu.Unlock()
		cluster, err := p.Result(ctx, j.workflowID, run.id)
		var failure *provisioner.Failure
		if err != nil && !errors.As(err, &failure) {
			if ctx.Err() != nil {
				return cluster, context.Cause(ctx)
			}
			time.Sleep(time.Second) // the server is down
			continue
		}
		over, err2 := c.endOfRun(ctx, j, run, failure)
		if over || err2 != nil {
			return cluster, errors.Join(err, err2)
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
		if newest != j.newest().id { // the answer to the reset was lost
			j.runs = append(j.runs, jobRun{id: newest, afterReset: true})
		}
		return false, nil
	case failure == nil:
		j.ended = true
		return true, nil
	}
	again := failure.State == provisioner.Terminated || failure.State == provisioner.Canceled
	if isRefusal(failure) {
		if again, err = c.failedWhileAsking(ctx, j); err != nil {
			return true, err
		}
	}
	if !again {
		j.ended = true
		return true, nil
	}
	j.startedAgain++
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
	events, err := c.history(ctx, j.workflowID, j.newest().id)
	if err != nil {
		return false, err
	}
	for _, e := range events {
		scheduled := e.GetActivityTaskScheduledEventAttributes() // nil for other events
		if scheduled.GetActivityType().GetName() == contract.WaitUntilIdleActivity {
			return false, nil
		}
	}
	return true, nil
}
