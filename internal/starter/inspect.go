package starter

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/starter/terminal"
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
			c, s, err := a.connectTo(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if s.State != provisioner.Running {
				return a.followInSilence(cmd.Context(), c, runOf(s))
			}
			if a.output == "json" {
				a.printJSON(answer{WorkflowID: s.WorkflowID, RunID: s.RunID, Status: s.State, Progress: progressOf(s)})
				return nil
			}
			a.printStatus(s)
			return nil
		},
	}
}

// printStatus shows how a run that is under way stands.
func (a *app) printStatus(s provisioner.Status) {
	a.stdout.Printf("Workflow   %s\nRun        %s\nStatus     %s, %s\n",
		s.WorkflowID, s.RunID, string(s.State), line(s, time.Now()))
	if !s.Deadline.IsZero() {
		a.stdout.Printf("Lease ends in %s, at %s\n", age(time.Until(s.Deadline)), timeText(s.Deadline))
	}
	if p := s.Pending; p != nil && !p.NextAttempt.IsZero() && s.Blocker == nil {
		a.stdout.Printf("Next look  in %s\n", max(0, time.Until(p.NextAttempt)).Round(time.Second))
	}
	if s.Pending != nil && s.Pending.Worker != "" {
		a.stdout.Printf("Worker     %s\n", s.Pending.Worker)
	}
	if link := a.webUI(s.WorkflowID, s.RunID); link != "" {
		a.stdout.Printf("Web UI     %s\n", link)
	}
}

func runOf(s provisioner.Status) provisioner.Run {
	return provisioner.Run{WorkflowID: s.WorkflowID, RunID: s.RunID}
}

// newestRun is how the newest run of a workflow stands. It refuses a workflow that is none of ours: there is no cluster
// behind it, and it is somebody else's to cancel.
func newestRun(ctx context.Context, c *provisioner.Client, workflowID string) (provisioner.Status, error) {
	s, err := c.Status(ctx, workflowID, "")
	if err != nil {
		return s, err
	}
	if _, ours := contract.OperationOf(s.Workflow); !ours {
		return s, refusedError{fmt.Sprintf("workflow %s is of the type %s, which is no workflow of atlas-provisioner. "+
			"'starter list' shows those there are", terminal.Clean(s.WorkflowID), terminal.Clean(s.Workflow))}
	}
	return s, nil
}

// connectTo dials Temporal and reads how the newest run of a workflow stands; see [newestRun].
func (a *app) connectTo(ctx context.Context, workflowID string) (*provisioner.Client, provisioner.Status, error) {
	c, err := a.connect(ctx)
	if err != nil {
		return nil, provisioner.Status{}, err
	}
	s, err := newestRun(ctx, c, workflowID)
	return c, s, err
}

// watchLimit bounds what a filter of watch follows.
const watchLimit = 1000

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
				return usageError{"watch takes workflow ids, such as " + exampleID + ", or --project-id or --state"}
			case len(args) > 0 && filtered:
				return usageError{"watch takes workflow ids or a filter, not both"}
			}
			return cmp.Or(checkIDs(cmd, args), f.check())
		},
		ValidArgsFunction: a.completeIDs(watchLimit, ""),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			if len(args) != 1 {
				return a.watchMany(cmd.Context(), c, args, f)
			}
			s, err := newestRun(cmd.Context(), c, args[0])
			if err != nil {
				return err
			}
			return a.followWithProgress(cmd.Context(), c, runOf(s), awaitEnd)
		},
	}
	f.add(cmd, knownClusters{a})
	return cmd
}

// watchMany follows the newest runs of some workflows, or those that a filter finds running.
func (a *app) watchMany(ctx context.Context, c *provisioner.Client, ids []string, f filter) error {
	var runs []provisioner.Status
	if len(ids) == 0 {
		f.status = string(provisioner.Running)
		var err error
		if runs, err = a.find(ctx, c, f, watchLimit); err != nil {
			return err
		}
		if len(runs) == 0 {
			a.stderr.Printf("Nothing that runs matches\n")
		}
	}
	slices.Sort(ids)
	for _, id := range slices.Compact(ids) {
		s, err := newestRun(ctx, c, id)
		if err != nil {
			return err
		}
		runs = append(runs, s)
	}
	var all []*outcome
	for _, s := range runs {
		all = append(all, &outcome{run: runOf(s), status: s})
	}
	a.followAll(ctx, c, all, awaitEnd)
	return a.printOutcomes(ctx, all, true)
}

func (a *app) result() *cobra.Command {
	return &cobra.Command{
		Use:   "result WORKFLOW_ID",
		Short: "Print the result of a workflow, waiting for it in silence",
		Long: `result prints the result of the newest run of a workflow. While that runs, it
waits for the end in silence.`,
		Example: "  starter result atlas-cluster-32b6e34b3d91647abb20e7b8-orders -o json | jq -r " +
			".result.connectionStrings.standardSrv",
		Args:              workflowIDArg,
		ValidArgsFunction: a.completeIDs(1, ""),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, s, err := a.connectTo(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return a.followInSilence(cmd.Context(), c, runOf(s))
		},
	}
}

func (a *app) cancel() *cobra.Command {
	return &cobra.Command{
		Use:   "cancel WORKFLOW_ID",
		Short: "Ask a workflow to end; the cluster is left as it is",
		Long: `cancel asks the newest run of a workflow to end. The cluster is left as it is, and
what Atlas was asked for goes on: asking for the same again takes it up where it
was, and 'starter delete' deletes the cluster. A lease that is cancelled deletes
its cluster, as with 'starter release'.`,
		Example:           "  starter cancel atlas-cluster-32b6e34b3d91647abb20e7b8-orders",
		Args:              workflowIDArg,
		ValidArgsFunction: a.completeIDs(1, " AND ExecutionStatus = 'Running'"),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			c, s, err := a.connectTo(ctx, args[0])
			if err != nil {
				return err
			}
			if s.State != provisioner.Running {
				return endedAlready(s)
			}
			if err := c.Cancel(ctx, s.WorkflowID, s.RunID); err != nil {
				return err
			}
			if a.output == "json" {
				a.printJSON(answer{WorkflowID: s.WorkflowID, RunID: s.RunID, Status: s.State})
				return nil
			}
			what := "The cluster is left as it is"
			if s.Workflow == contract.LeaseFlexCluster {
				what = "Its cluster is deleted"
			}
			a.stdout.Printf("Asked workflow %s to end. %s.\n", s.WorkflowID, what)
			return nil
		},
	}
}

// followWithProgress waits for a run, with progress on standard error, and prints what it has waited for.
func (a *app) followWithProgress(
	ctx context.Context, c *provisioner.Client, run provisioner.Run, await awaitRun,
) error {
	v := &progressView{a: a, client: c, run: run, await: await}
	waited, err := v.follow(ctx)
	return a.printEnd(ctx, v.run, waited, err)
}

// followInSilence waits for the end of a run and prints it.
func (a *app) followInSilence(ctx context.Context, c *provisioner.Client, run provisioner.Run) error {
	waited, err := awaitEnd(ctx, c, run, func(next provisioner.Run) { run = next })
	return a.printEnd(ctx, run, waited, err)
}

// printEnd prints what a wait for a run has ended with.
func (a *app) printEnd(ctx context.Context, run provisioner.Run, waited awaited, err error) error {
	a.followUp = run.WorkflowID
	out := answer{WorkflowID: run.WorkflowID, RunID: run.RunID, Status: waited.state, Result: waited.result()}
	var failure *provisioner.Failure
	switch {
	case err != nil && ctx.Err() != nil:
		out.Status, out.Result = provisioner.Running, nil
		err = exitError{exitInterrupted, "interrupted; the workflow goes on. Follow it with: starter watch " +
			run.WorkflowID}
	case errors.As(err, &failure):
		out.Status, out.Result, out.Failure = failure.State, nil, failure
		if link := a.webUI(run.WorkflowID, run.RunID); link != "" {
			a.stderr.Printf("Web UI     %s\n", link)
		}
	case err != nil:
		return err
	case a.output == "text":
		a.printEnded(run, waited.end)
	}
	if a.output == "json" {
		a.printJSON(out)
	}
	return err
}
