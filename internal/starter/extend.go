package starter

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/spf13/cobra"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/provisioner"
)

// updateTime is how long a worker may take to answer. One that is up answers within a second.
const updateTime = 10 * time.Second

func (a *app) extend() *cobra.Command {
	var by time.Duration
	cmd := &cobra.Command{
		Use:   "extend WORKFLOW_ID --by DURATION",
		Short: "Give a workflow more time",
		Long: `extend moves the time limit of the newest run of a workflow, and tells when its
time is up then. The whole limit of a run is 7 days at most. Of a lease it moves
the end, to 30 days from now at most; before the cluster is IDLE it tells the
earliest end. A worker must be up.`,
		Example:           "  starter extend atlas-cluster-32b6e34b3d91647abb20e7b8-orders --by 30m",
		Args:              workflowIDArg,
		ValidArgsFunction: a.completeIDs(1, " AND ExecutionStatus = 'Running'"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !cmd.Flags().Changed("by") {
				return usageError{"extend takes --by DURATION, such as --by 30m"}
			}
			if by <= 0 || by > contract.MaxLease {
				return usageError{"--by must be from 1s to 720h"}
			}
			return a.runExtend(cmd.Context(), args[0], wholeSeconds(by))
		},
	}
	cmd.Flags().DurationVar(&by, "by", 0, "`DURATION` by which the limit is moved, such as 30m or 2h")
	complete(cmd, "by")
	return cmd
}

func wholeSeconds(d time.Duration) time.Duration {
	return time.Duration(math.Ceil(d.Seconds())) * time.Second
}

func (a *app) runExtend(ctx context.Context, workflowID string, by time.Duration) error {
	c, s, err := a.connectTo(ctx, workflowID)
	if err != nil {
		return err
	}
	if s.State != provisioner.Running {
		return endedAlready(s)
	}
	brief, cancel := context.WithTimeout(ctx, updateTime)
	defer cancel()
	deadline, err := c.Extend(brief, s.WorkflowID, s.RunID, by)
	var failure *provisioner.Failure
	switch {
	case errors.As(err, &failure):
		return refusedError{failure.Message}
	case err != nil && brief.Err() != nil && ctx.Err() == nil:
		return a.notAnswered(ctx, c, s, "extended")
	case err != nil:
		return err
	}
	if a.output == "json" {
		a.printJSON(answer{WorkflowID: s.WorkflowID, RunID: s.RunID, Status: s.State, Deadline: deadline})
		return nil
	}
	a.stdout.Printf("Workflow %s has time until %s\n", s.WorkflowID, timeText(deadline))
	return nil
}

// notAnswered says why no worker has done to a workflow what it was asked for, as far as it is known.
func (a *app) notAnswered(ctx context.Context, c *provisioner.Client, s provisioner.Status, what string) error {
	reason := "the workers are busy or gone"
	if now, err := c.Status(ctx, s.WorkflowID, s.RunID); err == nil && now.Blocker != nil {
		reason = now.Blocker.Message
	}
	return exitError{exitFailed, fmt.Sprintf("no worker has %s workflow %s within %s: %s. "+
		"One that comes up soon may still do so", what, s.WorkflowID, updateTime, reason)}
}
