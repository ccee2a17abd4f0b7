//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/api/serviceerror"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/provisioner"
)

// leaseFor is the shortest lease that there is.
const leaseFor = contract.MinLeaseSeconds * time.Second

// leaseEnd is how a lease ends.
type leaseEnd string

// The ends of leases, each of one after another.
const (
	endRelease leaseEnd = "release"
	endCancel  leaseEnd = "cancel"
	endExtend  leaseEnd = "extend"
	endTime    leaseEnd = "time"
)

var leaseEnds = []leaseEnd{endRelease, endCancel, endExtend, endTime, endTime}

func leaseName(i int) string { return fmt.Sprintf("lease-%d", i) }

func leaseStep(end leaseEnd) *step {
	return &step{
		workflow: contract.LeaseFlexCluster, leaseEnd: end,
		args: []string{
			"--provider", "AWS", "--region", "US_EAST_1", "--tag", "team=chaos", "--for", leaseFor.String(),
			"--termination-protection",
		},
	}
}

// leases is what became of the leases.
type leases struct {
	gone int
	// late is how long after its end the last cluster was gone.
	late time.Duration
}

// endEarly ends or extends a lease once its cluster is IDLE, as its step says, until ctx ends.
func (c *campaign) endEarly(ctx context.Context, j *job, end leaseEnd) {
	temporal, err := c.stack.Client()
	if err != nil {
		return
	}
	p := provisioner.New(temporal, provisioner.Options{})
	act := func(ctx context.Context) error {
		switch end {
		case endRelease:
			return p.Release(ctx, j.workflowID, "")
		case endCancel:
			return temporal.CancelWorkflow(ctx, j.workflowID, "")
		case endExtend:
			_, err := p.Extend(ctx, j.workflowID, "", 5*time.Second)
			return err
		}
		return nil
	}
	ready := false
	for ctx.Err() == nil {
		pause := time.Second
		call, cancel := context.WithTimeout(ctx, leaseFor)
		if !ready {
			_, err := p.Ready(call, j.workflowID, "")
			ready = err == nil
			if failure := (*provisioner.Failure)(nil); errors.As(err, &failure) {
				pause = 10 * time.Second // the provision was refused: the lease is started again when it has ended
			}
		} else if err := act(call); err == nil || isNotFound(err) {
			cancel()
			return
		}
		cancel()
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

func isNotFound(err error) bool {
	var notFound *serviceerror.NotFound
	return errors.As(err, &notFound)
}

// verifyLease checks that the cluster of a lease is gone, and not too early.
func (r *report) verifyLease(j *job, s *step, after atlassim.Cluster) {
	var failure *provisioner.Failure
	wasCanceled := s.leaseEnd == endCancel && errors.As(s.err, &failure) && failure.State == provisioner.Canceled
	switch lease := s.lease; {
	case after.ID != "":
		r.lose("%s: the lease has ended, Atlas has %s %s", j.key(), after.State, after.ID)
	case wasCanceled:
		r.leases.gone++
	case s.err != nil || lease == nil:
		r.lose("%s: the lease ended with %v", j.key(), s.err)
	case (s.leaseEnd == endTime || s.leaseEnd == endExtend) && lease.ReleasedAt.Before(lease.LeasedAt.Add(leaseFor)):
		r.lose("%s: the lease began at %s and was over at %s", j.key(), lease.LeasedAt, lease.ReleasedAt)
	default:
		r.leases.gone++
		r.leases.late = max(r.leases.late, lease.ReleasedAt.Sub(lease.LeasedAt.Add(leaseFor)))
	}
}
