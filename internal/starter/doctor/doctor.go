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
}

const (
	// limit bounds all checks together; the end of the workflow that no worker answered may take callLimit more.
	limit = 17 * time.Second
	// dialLimit bounds the first contact with Temporal.
	dialLimit = 5 * time.Second
	// callLimit bounds each other call.
	callLimit = 3 * time.Second
	// workerLimit bounds the wait for the answer of a worker, which asks Atlas for 5 seconds at most.
	workerLimit = 9 * time.Second
)

// Check makes the checks. It answers a finding for each of them, also where ctx ends meanwhile.
func Check(ctx context.Context, o Options) []Finding {
	ctx, cancel := context.WithTimeout(ctx, limit)
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
