// Package doctor finds out what is wrong before the first run: between the starter, Temporal, a worker and Atlas. It
// holds no Atlas credential: what Atlas says to the worker's, a worker tells, as the result of a workflow.
package doctor

import (
	"context"
	"fmt"
	"slices"
	"time"

	"go.temporal.io/sdk/client"
)

// Status is how a check came out.
type Status string

// How a check can come out.
const (
	OK Status = "ok"
	// Warning is something that keeps no run from its end.
	Warning Status = "warning"
	Failed  Status = "failed"
	// Skipped is a check that could not be made.
	Skipped Status = "skipped"
)

// The checks, in their order.
const (
	checkEnvironment      = "environment"
	checkTemporal         = "temporal"
	checkServerVersion    = "server version"
	checkNamespace        = "namespace"
	checkSearchAttributes = "search attributes"
	checkPollers          = "task queue"
	checkFairness         = "fairness"
	checkWorker           = "worker"
	checkPayloadKeys      = "payload keys"
	checkAtlas            = "atlas"
	checkClock            = "clock"
)

var checks = []string{
	checkEnvironment, checkTemporal, checkServerVersion, checkNamespace, checkSearchAttributes, checkPollers,
	checkFairness, checkWorker, checkPayloadKeys, checkAtlas, checkClock,
}

// Finding is what one check has found.
type Finding struct {
	Check   string `json:"check"`
	Status  Status `json:"status"`
	Message string `json:"message"`
	// Next is what to do about it; "" where there is nothing to do.
	Next string `json:"next,omitempty"`
}

// Options say what is checked.
type Options struct {
	// Temporal are the options of the starter's Temporal client.
	Temporal client.Options
	// TaskQueue is the one that the starter uses.
	TaskQueue string
	// ProjectID is the Atlas project for which a worker tries its credential; "" for none.
	ProjectID string
	// Version is that of the starter.
	Version string
	// Encrypts says that the starter has a payload key.
	Encrypts bool
	// Now is the clock of this machine.
	Now func() time.Time
	// Limit bounds all checks together: the answer of a worker may take half of it, and each call of Temporal a
	// quarter. The end of a workflow that no worker has answered may take a quarter more.
	Limit time.Duration
}

// DefaultLimit leaves a worker 8 seconds for its answer, of which Atlas may take 5.
const DefaultLimit = 16 * time.Second

// Check makes the checks. It answers a finding for each of them, also where ctx ends meanwhile.
func Check(ctx context.Context, o Options) []Finding {
	ctx, cancel := context.WithTimeout(ctx, o.Limit)
	defer cancel()
	d := &doctor{Options: o}
	d.checkEnvironment()
	d.checkTemporal(ctx)
	slices.SortStableFunc(d.findings, func(a, b Finding) int {
		return slices.Index(checks, a.Check) - slices.Index(checks, b.Check)
	})
	return d.findings
}

// Reached reports whether Temporal was reached.
func Reached(findings []Finding) bool {
	return slices.ContainsFunc(findings, func(f Finding) bool { return f.Check == checkTemporal && f.Status == OK })
}

type doctor struct {
	Options
	client   client.Client
	findings []Finding
}

// brief is a context for one call of Temporal.
func (d *doctor) brief(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, d.Limit/4)
}

func (d *doctor) found(check string, status Status, message, next string) {
	d.findings = append(d.findings, Finding{check, status, message, next})
}

// skipRest says why the checks that have found nothing yet are not made.
func (d *doctor) skipRest(why string) {
	for _, check := range checks {
		if !slices.ContainsFunc(d.findings, func(f Finding) bool { return f.Check == check }) {
			d.found(check, Skipped, why, "")
		}
	}
}

func (d *doctor) checkEnvironment() {
	encryption := "payloads are not encrypted"
	if d.Encrypts {
		encryption = "payloads are encrypted"
	}
	d.found(checkEnvironment, OK, fmt.Sprintf("Temporal at %s, namespace %q, task queue %q; %s",
		d.Temporal.HostPort, d.Temporal.Namespace, d.TaskQueue, encryption), "")
}
