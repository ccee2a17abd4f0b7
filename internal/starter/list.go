package starter

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.temporal.io/api/serviceerror"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/starter/terminal"
	"github.com/atlas-provisioner/atlas-provisioner/provisioner"
)

// listed is one run in the JSON of list.
type listed struct {
	WorkflowID   string            `json:"workflowId"`
	RunID        string            `json:"runId"`
	Workflow     string            `json:"workflowType"`
	Command      string            `json:"command"`
	Status       provisioner.State `json:"status"`
	ProjectID    string            `json:"projectId,omitempty"`
	ClusterName  string            `json:"clusterName,omitempty"`
	ClusterState string            `json:"clusterState,omitempty"`
	Started      time.Time         `json:"startTime"`
	Closed       time.Time         `json:"closeTime,omitzero"`
	LeaseEnds    time.Time         `json:"leaseEnds,omitzero"`
}

// filter says which workflows.
type filter struct{ projectID, state, status string }

// statuses are Temporal's names of the states of a run.
var statuses = map[provisioner.State]string{
	provisioner.Running: "Running", provisioner.Completed: "Completed", provisioner.Failed: "Failed",
	provisioner.Canceled: "Canceled", provisioner.Terminated: "Terminated", provisioner.TimedOut: "TimedOut",
}

func (f *filter) add(cmd *cobra.Command, known knownClusters) {
	cmd.Flags().StringVar(&f.projectID, "project-id", "", "only the Atlas project `ID`")
	cmd.Flags().StringVar(&f.state, "state", "", "only clusters whose last known state is `STATE`, such as CREATING")
	known.completeProjects(cmd)
	complete(cmd, "state", contract.StateIdle, contract.StateCreating, contract.StateUpdating, contract.StateDeleting,
		contract.StateRepairing, contract.StateDeleted)
}

// quotes end a text in a query.
const quotes = `'"\`

// check refuses what no query can hold.
func (f filter) check() error {
	if strings.ContainsAny(f.projectID+f.state, quotes) {
		return usageError{"--project-id and --state must not hold quotes"}
	}
	if f.status != "" && statuses[provisioner.State(strings.ToUpper(f.status))] == "" {
		return usageError{
			fmt.Sprintf("--status must be RUNNING, COMPLETED, FAILED, CANCELED, TERMINATED or TIMED_OUT, got %q",
				f.status),
		}
	}
	return nil
}

// query filters by the workflow id where it can, which every server knows.
func (f filter) query() string {
	var types []string
	for _, o := range contract.Operations() {
		types = append(types, "'"+o.WorkflowType+"'")
	}
	// A lease that continued as new goes on in a run of its own.
	query := "WorkflowType IN (" + strings.Join(types, ", ") + ") AND ExecutionStatus != 'ContinuedAsNew'"
	if f.projectID != "" {
		query += " AND " + idsFrom(f.projectID+"-")
	}
	if f.state != "" {
		query += fmt.Sprintf(" AND %s = '%s'", contract.SearchAttributeClusterState, strings.ToUpper(f.state))
	}
	if f.status != "" {
		query += fmt.Sprintf(" AND ExecutionStatus = '%s'", statuses[provisioner.State(strings.ToUpper(f.status))])
	}
	return query
}

// idsFrom matches the workflow ids that go on with a text after their prefix.
func idsFrom(text string) string {
	var all []string
	for _, prefix := range contract.IDPrefixes() {
		all = append(all, "WorkflowId STARTS_WITH '"+prefix+text+"'")
	}
	return "(" + strings.Join(all, " OR ") + ")"
}

// find reads the newest runs that a filter matches.
func (a *app) find(ctx context.Context, c *provisioner.Client, f filter, limit int) ([]provisioner.Status, error) {
	runs, err := c.List(ctx, f.query(), limit)
	var invalid *serviceerror.InvalidArgument
	if errors.As(err, &invalid) {
		return nil, refusedError{fmt.Sprintf(
			`Temporal cannot filter so (%s).
Add the search attributes, then restart the worker, which sets them from then on:
  temporal operator search-attribute create --type Keyword --name %s --name %s --name %s --namespace %s`,
			invalid.Message,
			contract.SearchAttributeProjectID,
			contract.SearchAttributeClusterName,
			contract.SearchAttributeClusterState,
			a.options.Namespace,
		)}
	}
	return runs, err
}

func (a *app) list() *cobra.Command {
	var f filter
	var limit int
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the workflows there are",
		Long: `list lists the newest runs: the status of the run, the command that starts such
runs, the last state of its cluster that the run has noted, its age since it
started, the cluster, its project, and the workflow id; where there are leases,
also what is left of each. On a terminal the table is cut to its width; what is cut
is in -o json.

--project-id looks at the workflow id, and so finds what starter started. --state
needs the search attributes AtlasProjectId, AtlasClusterName and
AtlasClusterState, which the worker sets where the Temporal namespace has them.
The newest state of a cluster that is waited for is in 'starter status'.`,
		Example: `  starter list --project-id 32b6e34b3d91647abb20e7b8 --status FAILED
  starter list --state CREATING -o json | jq -r '.[].workflowId'`,
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if limit < 1 {
				return usageError{"--limit must be 1 or more"}
			}
			if err := f.check(); err != nil {
				return err
			}
			c, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			runs, err := a.find(cmd.Context(), c, f, limit)
			if err != nil {
				return err
			}
			a.printList(runs)
			return nil
		},
	}
	f.add(cmd, knownClusters{a})
	cmd.Flags().StringVar(&f.status, "status", "", "only runs whose `STATUS` this is, such as RUNNING or FAILED")
	cmd.Flags().IntVar(&limit, "limit", 100, "list `N` runs at most")
	complete(cmd, "status", "RUNNING", "COMPLETED", "FAILED", "CANCELED", "TERMINATED", "TIMED_OUT")
	complete(cmd, "limit")
	return cmd
}

func (a *app) printList(runs []provisioner.Status) {
	if a.output == "json" {
		out := []listed{}
		for _, r := range runs {
			out = append(out, listed{
				WorkflowID: r.WorkflowID, RunID: r.RunID, Workflow: r.Workflow, Command: commandOf(r), Status: r.State,
				ProjectID: r.ProjectID, ClusterName: r.ClusterName, ClusterState: r.ClusterState,
				Started: r.Started, Closed: r.Closed, LeaseEnds: r.Deadline,
			})
		}
		a.printJSON(out)
		return
	}
	width, _, _ := a.stdout.Size()
	a.stdout.PrintTable(runTable(runs, width, time.Now()))
}

// runTable has a line for each run, below a head, and a column for what is left of leases where there are any. Where it
// is too wide, what the workflow id says as well gives way first, then the command.
func runTable(runs []provisioner.Status, width int, now time.Time) terminal.Table {
	const left = 4 // the column LEFT
	withLeft := slices.ContainsFunc(runs, func(r provisioner.Status) bool { return !r.Deadline.IsZero() })
	row := func(cells []string) []string {
		if !withLeft {
			cells = slices.Delete(cells, left, left+1)
		}
		return cells
	}
	table := terminal.Table{Rows: [][]string{
		row([]string{"STATUS", "COMMAND", "STATE", "AGE", "LEFT", "CLUSTER", "PROJECT", "WORKFLOW ID"}),
	}, Width: width}
	for _, name := range []string{"PROJECT", "CLUSTER", "COMMAND"} {
		table.Dispensable = append(table.Dispensable, slices.Index(table.Rows[0], name))
	}
	for _, r := range runs {
		project, cluster := clusterOf(r)
		table.Rows = append(table.Rows, row([]string{
			string(r.State), cmp.Or(commandOf(r), "-"), cmp.Or(r.ClusterState, "-"), age(now.Sub(r.Started)),
			leftOf(r, now), cmp.Or(cluster, "-"), cmp.Or(project, "-"), r.WorkflowID,
		}))
	}
	return table
}

// leftOf is for how long a cluster is still leased.
func leftOf(r provisioner.Status, now time.Time) string {
	if r.Deadline.IsZero() {
		return "-"
	}
	return age(r.Deadline.Sub(now))
}

// commandOf is the command that starts runs such as this.
func commandOf(r provisioner.Status) string {
	operation, _ := contract.OperationOf(r.Workflow)
	return operation.Command
}

// clusterOf is the project and the cluster of a run, by its search attributes or else by its id.
func clusterOf(r provisioner.Status) (project, name string) {
	if c, ok := contract.ClusterOfWorkflowID(r.WorkflowID); ok && r.ProjectID == "" {
		return c.GroupID, c.Name
	}
	return r.ProjectID, r.ClusterName
}

// age is a duration in its largest unit.
func age(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(max(d, 0).Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%dd", int(d.Hours())/24)
}
