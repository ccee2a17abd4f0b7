package starter

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/atlas-provisioner/atlas-provisioner/provisioner"
)

func (a *app) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "status WORKFLOW_ID",
		Short: "Show how a workflow stands",
		Long: `status tells how the newest run of a workflow stands: while it runs, what it is
at, in which attempt and the last state of the cluster seen; afterwards its
result or failure. It exits 0 while it runs and when it completed, and 1 when it
ended otherwise.`,
		Example:           "  starter status atlas-cluster-32b6e34b3d91647abb20e7b8-orders -o json",
		Args:              workflowIDArg,
		ValidArgsFunction: a.completeIDs(1, ""),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			s, err := c.Status(cmd.Context(), args[0], "")
			if err != nil {
				return err
			}
			if s.State != provisioner.Running {
				return a.follow(cmd.Context(), c, provisioner.Run{WorkflowID: s.WorkflowID, RunID: s.RunID}, false)
			}
			if a.output == "json" {
				a.printJSON(answer{WorkflowID: s.WorkflowID, RunID: s.RunID, Status: s.State, Progress: progressOf(s)})
				return nil
			}
			fmt.Fprintf(a.stdout, "Workflow   %s\nRun        %s\nStatus     %s, %s\n", s.WorkflowID, s.RunID, s.State, line(s, time.Now()))
			if p := s.Pending; p != nil && !p.NextAttempt.IsZero() {
				fmt.Fprintf(a.stdout, "Next look  in %s\n", max(0, time.Until(p.NextAttempt)).Round(time.Second))
			}
			if link := a.webUI(s.WorkflowID, s.RunID); link != "" {
				fmt.Fprintf(a.stdout, "Web UI     %s\n", link)
			}
			return nil
		},
	}
}

// watchMost bounds what a filter of watch follows.
const watchMost = 1000

func (a *app) watch() *cobra.Command {
	var f filter
	cmd := &cobra.Command{
		Use:   "watch (WORKFLOW_ID... | --project-id ID | --state STATE)",
		Short: "Follow workflows to their end, with progress",
		Long: `watch follows the newest run of a workflow to its end, with progress on standard
error, and then prints its result. Interrupting it leaves the workflow alone.

Of several workflows, or of all that a filter finds running, it shows a table
that it keeps up to date, and at the end prints a line for each; with -o json one
object, {"clusters": [...]}, of what it prints of one. It exits 1 if any failed.
A filter finds as with 'starter list', 1000 at most.`,
		Example: `  starter watch atlas-cluster-32b6e34b3d91647abb20e7b8-orders
  starter watch --project-id 32b6e34b3d91647abb20e7b8`,
		Args: func(cmd *cobra.Command, args []string) error {
			filtered := f.projectID != "" || f.state != ""
			switch {
			case slices.Contains(args, ""), len(args) == 0 && !filtered:
				return usageError{fmt.Sprintf("watch takes workflow ids, such as %s, or --project-id or --state", exampleID)}
			case len(args) > 0 && filtered:
				return usageError{"watch takes workflow ids or a filter, not both"}
			}
			return f.check()
		},
		ValidArgsFunction: a.completeIDs(watchMost, ""),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				return a.followByID(cmd.Context(), args[0], true)
			}
			return a.watchMany(cmd.Context(), args, f)
		},
	}
	f.add(cmd)
	return cmd
}

// watchMany follows the newest runs of some workflows, or those that a filter
// finds running.
func (a *app) watchMany(ctx context.Context, ids []string, f filter) error {
	c, err := a.connect(ctx)
	if err != nil {
		return err
	}
	var runs []provisioner.Status
	if len(ids) == 0 {
		f.status = string(provisioner.Running)
		if runs, err = a.find(ctx, c, f, watchMost); err != nil {
			return err
		}
		if len(runs) == 0 {
			fmt.Fprintln(a.stderr, "Nothing that runs matches")
		}
	}
	slices.Sort(ids)
	for _, id := range slices.Compact(ids) {
		s, err := c.Status(ctx, id, "")
		if err != nil {
			return err
		}
		runs = append(runs, s)
	}
	var all []*outcome
	for _, s := range runs {
		all = append(all, &outcome{run: provisioner.Run{WorkflowID: s.WorkflowID, RunID: s.RunID}, status: s})
	}
	a.followAll(ctx, c, all)
	return a.conclude(ctx, all, true)
}

func (a *app) result() *cobra.Command {
	return &cobra.Command{
		Use:   "result WORKFLOW_ID",
		Short: "Print the result of a workflow, waiting for it in silence",
		Long: `result prints the result of the newest run of a workflow. While that runs, it
waits for the end in silence.`,
		Example:           "  starter result atlas-cluster-32b6e34b3d91647abb20e7b8-orders -o json | jq -r .result.connectionStrings.standardSrv",
		Args:              workflowIDArg,
		ValidArgsFunction: a.completeIDs(1, ""),
		RunE:              func(cmd *cobra.Command, args []string) error { return a.followByID(cmd.Context(), args[0], false) },
	}
}

func (a *app) cancel() *cobra.Command {
	return &cobra.Command{
		Use:   "cancel WORKFLOW_ID",
		Short: "Ask a workflow to end; the cluster is left as it is",
		Long: `cancel asks the newest run of a workflow to end. What it made is left as it is:
provisioning the same cluster again takes it up where it was, and deleting it is
up to you.`,
		Example:           "  starter cancel atlas-cluster-32b6e34b3d91647abb20e7b8-orders",
		Args:              workflowIDArg,
		ValidArgsFunction: a.completeIDs(1, " AND ExecutionStatus = 'Running'"),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			c, err := a.connect(ctx)
			if err != nil {
				return err
			}
			s, err := c.Status(ctx, args[0], "")
			if err != nil {
				return err
			}
			if s.State != provisioner.Running {
				return refusal{fmt.Sprintf("workflow %s has ended already: %s. 'starter status' tells how", s.WorkflowID, s.State)}
			}
			if err := c.Cancel(ctx, s.WorkflowID, s.RunID); err != nil {
				return err
			}
			if a.output == "json" {
				a.printJSON(answer{WorkflowID: s.WorkflowID, RunID: s.RunID, Status: s.State})
				return nil
			}
			fmt.Fprintf(a.stdout, "Asked workflow %s to end. The cluster is left as it is.\n", s.WorkflowID)
			return nil
		},
	}
}

func (a *app) followByID(ctx context.Context, workflowID string, loud bool) error {
	c, err := a.connect(ctx)
	if err != nil {
		return err
	}
	s, err := c.Status(ctx, workflowID, "")
	if err != nil {
		return err
	}
	return a.follow(ctx, c, provisioner.Run{WorkflowID: s.WorkflowID, RunID: s.RunID}, loud)
}

// follow waits for the end of a run, with progress on standard error when loud,
// and prints it.
func (a *app) follow(ctx context.Context, c *provisioner.Client, run provisioner.Run, loud bool) error {
	stop := func() {}
	if loud {
		stop = a.showProgress(ctx, c, run)
	}
	cluster, err := c.Result(ctx, run.WorkflowID, run.RunID)
	stop()
	if err != nil && ctx.Err() != nil {
		if a.output == "json" {
			a.printJSON(answer{WorkflowID: run.WorkflowID, RunID: run.RunID, Status: provisioner.Running})
		}
		return ending{exitInterrupted, "interrupted; the workflow goes on. Follow it with: starter watch " + run.WorkflowID}
	}
	var failure *provisioner.Failure
	switch {
	case errors.As(err, &failure):
		if a.output == "json" {
			a.printJSON(answer{WorkflowID: run.WorkflowID, RunID: run.RunID, Status: failure.State, Failure: failure})
		}
		if link := a.webUI(run.WorkflowID, run.RunID); link != "" {
			fmt.Fprintf(a.stderr, "Web UI     %s\n", link)
		}
		return failure
	case err != nil:
		return err
	case a.output == "json":
		a.printJSON(answer{WorkflowID: run.WorkflowID, RunID: run.RunID, Status: provisioner.Completed, Result: &cluster})
	default:
		a.printCluster(run, cluster)
	}
	return nil
}
