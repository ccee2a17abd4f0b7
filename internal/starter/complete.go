package starter

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/starter/terminal"
)

const (
	// completionTimeout is as long as anybody waits for a completion.
	completionTimeout = 2 * time.Second
	completionLimit   = 100
)

// complete has the shell offer the values of a flag, rather than files.
func complete(cmd *cobra.Command, flag string, values ...string) {
	cobra.CheckErr(
		cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)))
}

// completeIDs has the shell offer the ids of the newest workflows, with how they
// stand, from one list of Temporal; none where that does not answer soon.
func (a *app) completeIDs(most int, more string) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) >= most || strings.ContainsAny(begun, `'"\`) {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), completionTimeout)
		defer cancel()
		c, err := a.connect(ctx)
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		query := filter{}.query() + more
		if begun != "" {
			query += " AND WorkflowId STARTS_WITH '" + begun + "'"
		}
		runs, err := c.List(ctx, query, completionLimit)
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		var out []cobra.Completion
		seen := map[string]bool{}
		for _, id := range args {
			seen[id] = true
		}
		for _, r := range runs {
			// An id of somebody else's could hold what a shell or a terminal obeys.
			if !seen[r.WorkflowID] && terminal.Clean(r.WorkflowID) == r.WorkflowID {
				state := terminal.Clean(strings.TrimSpace(string(r.State) + " " + r.ClusterState))
				out = append(out, cobra.CompletionWithDesc(r.WorkflowID, state))
			}
			seen[r.WorkflowID] = true
		}
		return out, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	}
}

// completeFilter has the shell offer states.
func completeFilter(cmd *cobra.Command) {
	complete(cmd, "project-id")
	complete(
		cmd, "state", contract.StateIdle, contract.StateCreating, contract.StateUpdating, contract.StateDeleting,
		contract.StateRepairing)
}
