package starter

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/provisioner"
)

func (a *app) release() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "release LEASE_ID",
		Short: "End a lease now, and delete its cluster",
		Long: `release ends a lease, of which it takes the workflow id: its cluster and the data in
it are deleted, also where termination protection is on. On a terminal, starter
names the cluster and asks; elsewhere it needs --yes. It returns at once;
'starter result' waits until the cluster is gone. A worker must be up.`,
		Example:           "  starter release atlas-lease-32b6e34b3d91647abb20e7b8-preview",
		Args:              workflowIDArg,
		ValidArgsFunction: a.completeIDs(1, runningLeases),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.runRelease(cmd.Context(), args[0], yes)
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask first")
	return cmd
}

const runningLeases = " AND ExecutionStatus = 'Running' AND WorkflowType = '" + contract.LeaseFlexCluster + "'"

func (a *app) runRelease(ctx context.Context, workflowID string, yes bool) error {
	c, s, err := a.connectTo(ctx, workflowID)
	if err != nil {
		return err
	}
	switch {
	case s.Workflow != contract.LeaseFlexCluster:
		return refusedError{fmt.Sprintf("workflow %s is no lease, but %s. 'starter delete' deletes a cluster",
			s.WorkflowID, s.Workflow)}
	case s.State != provisioner.Running:
		return endedAlready(s)
	}
	if !yes {
		project, name := clusterOf(s)
		question := confirmation{
			command: "release", refused: "nothing was released", effects: []string{fmt.Sprintf(
				"end lease %s and delete cluster %s of project %s", s.WorkflowID, name, project)},
		}
		if err := a.confirm(ctx, question); err != nil {
			return err
		}
	}
	brief, cancel := context.WithTimeout(ctx, updateTime)
	defer cancel()
	err = c.Release(brief, s.WorkflowID, "")
	var failure *provisioner.Failure
	switch {
	case errors.As(err, &failure):
		return refusedError{failure.Message}
	case err != nil && brief.Err() != nil && ctx.Err() == nil:
		return a.notAnswered(ctx, c, s, "released")
	case err != nil:
		return err
	}
	if a.output == "json" {
		a.printJSON(answer{WorkflowID: s.WorkflowID, RunID: s.RunID, Status: s.State})
		return nil
	}
	a.stdout.Printf("Released %s. Its cluster is deleted: 'starter watch' follows that to its end.\n", s.WorkflowID)
	return nil
}

func endedAlready(s provisioner.Status) error {
	return refusedError{fmt.Sprintf("workflow %s has ended already: %s. 'starter status' tells how",
		s.WorkflowID, s.State)}
}
