package starter

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/starter/terminal"
	"github.com/atlas-provisioner/atlas-provisioner/provisioner"
)

const (
	// completionTimeout is as long as anybody waits for a completion.
	completionTimeout = time.Second
	completionLimit   = 100
)

// complete has the shell offer the values of a flag, rather than files.
func complete(cmd *cobra.Command, flag string, values ...string) {
	cobra.CheckErr(
		cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)))
}

// offer is what the shell is offered: completions in their order, and never files.
func offer(completions []cobra.Completion) ([]cobra.Completion, cobra.ShellCompDirective) {
	return completions, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
}

// newestRuns are the newest runs for which more holds, from one list of Temporal; none where that does not answer soon.
func (a *app) newestRuns(ctx context.Context, f filter, more string) []provisioner.Status {
	ctx, cancel := context.WithTimeout(ctx, completionTimeout)
	defer cancel()
	c, err := a.connect(ctx)
	if err != nil {
		return nil
	}
	runs, err := c.List(ctx, f.query()+more, completionLimit)
	if err != nil {
		return nil
	}
	return runs
}

// completeIDs has the shell offer the ids of the newest workflows, with how they stand.
func (a *app) completeIDs(most int, more string) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) >= most || strings.ContainsAny(begun, quotes) {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		query := more
		if begun != "" {
			query += " AND WorkflowId STARTS_WITH '" + begun + "'"
		}
		out := completions{seen: map[string]bool{}}
		for _, id := range args {
			out.seen[id] = true
		}
		for _, r := range a.newestRuns(cmd.Context(), filter{}, query) {
			out.add(r.WorkflowID, commandOf(r)+" "+string(r.State)+" "+r.ClusterState)
		}
		return offer(out.all)
	}
}

// completions are what the shell is offered, each once.
type completions struct {
	all  []cobra.Completion
	seen map[string]bool
}

func (c *completions) add(text, description string) {
	// An id of somebody else's could hold what a shell or a terminal obeys.
	if !c.seen[text] && terminal.Clean(text) == text {
		c.all = append(c.all, cobra.CompletionWithDesc(text, terminal.Clean(strings.TrimSpace(description))))
	}
	c.seen[text] = true
}

// knownClusters offers the shell the projects and the names of the clusters of the newest runs.
type knownClusters struct{ app *app }

func (k knownClusters) completeProjects(cmd *cobra.Command) {
	cobra.CheckErr(cmd.RegisterFlagCompletionFunc("project-id",
		func(cmd *cobra.Command, _ []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
			if strings.ContainsAny(begun, quotes) {
				return offer(nil)
			}
			out := completions{seen: map[string]bool{}}
			for _, r := range k.app.newestRuns(cmd.Context(), filter{}, " AND "+idsFrom(begun)) {
				if c, ok := contract.ClusterOfWorkflowID(r.WorkflowID); ok {
					out.add(c.GroupID, c.Name)
				}
			}
			return offer(out.all)
		}))
}

// completeNames offers the names of the project that --project-id says, or of all projects.
func (k knownClusters) completeNames(cmd *cobra.Command) {
	cobra.CheckErr(cmd.RegisterFlagCompletionFunc("name",
		func(cmd *cobra.Command, _ []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
			project := cmd.Flag("project-id").Value.String()
			if strings.ContainsAny(project+begun, quotes) {
				return offer(nil)
			}
			more := ""
			if project != "" {
				more = " AND " + idsFrom(project+"-"+begun)
			}
			out := completions{seen: map[string]bool{}}
			for _, r := range k.app.newestRuns(cmd.Context(), filter{}, more) {
				c, _ := contract.ClusterOfWorkflowID(r.WorkflowID)
				if c.Name == "" || !strings.HasPrefix(c.Name, begun) {
					continue
				}
				if r.Workflow == contract.DeleteCluster && r.State == provisioner.Completed {
					out.seen[c.Name] = true // it is gone
				}
				out.add(c.Name, r.ClusterState)
			}
			return offer(out.all)
		}))
}
