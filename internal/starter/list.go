package starter

import (
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"go.temporal.io/api/serviceerror"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/provisioner"
)

// listed is one run in the JSON of list.
type listed struct {
	WorkflowID   string            `json:"workflowId"`
	RunID        string            `json:"runId"`
	Workflow     string            `json:"workflowType"`
	Status       provisioner.State `json:"status"`
	ProjectID    string            `json:"projectId,omitempty"`
	ClusterName  string            `json:"clusterName,omitempty"`
	ClusterState string            `json:"clusterState,omitempty"`
	Started      time.Time         `json:"startTime"`
	Closed       time.Time         `json:"closeTime,omitzero"`
}

func (a *app) list() *cobra.Command {
	var projectID, state string
	var limit int
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the workflows there are",
		Long: `list lists the newest runs: the status of the run, the last known state of its
cluster, when it started, and the workflow id.

--project-id looks at the workflow id, and so finds what starter started. --state
needs the search attributes AtlasProjectId, AtlasClusterName and
AtlasClusterState, which the worker sets where the Temporal namespace has them.`,
		Example: `  starter list --project-id 32b6e34b3d91647abb20e7b8
  starter list --state CREATING -o json | jq -r '.[].workflowId'`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if limit < 1 {
				return usageError{"--limit must be 1 or more"}
			}
			query, err := listQuery(projectID, strings.ToUpper(state))
			if err != nil {
				return err
			}
			c, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			runs, err := c.List(cmd.Context(), query, limit)
			var invalid *serviceerror.InvalidArgument
			if errors.As(err, &invalid) {
				return refusal{fmt.Sprintf(`Temporal cannot filter so (%s).
Add the search attributes, then restart the worker, which sets them from then on:
  temporal operator search-attribute create --type Keyword --name %s --name %s --name %s --namespace %s`, invalid.Message,
					contract.SearchAttributeProjectID, contract.SearchAttributeClusterName, contract.SearchAttributeClusterState, a.options.Namespace)}
			}
			if err != nil {
				return err
			}
			a.printList(runs)
			return nil
		},
	}
	cmd.Flags().StringVar(&projectID, "project-id", "", "only the Atlas project `ID`")
	cmd.Flags().StringVar(&state, "state", "", "only clusters whose last known state is `STATE`, such as CREATING")
	cmd.Flags().IntVar(&limit, "limit", 100, "list `N` runs at most")
	return cmd
}

// listQuery filters by the workflow id where it can, which every server knows.
func listQuery(projectID, state string) (string, error) {
	if strings.ContainsAny(projectID+state, `'"\`) {
		return "", usageError{"--project-id and --state must not hold quotes"}
	}
	query := fmt.Sprintf("WorkflowType IN ('%s', '%s')", contract.ProvisionFlexCluster, contract.UpgradeToServerless)
	if projectID != "" {
		query += fmt.Sprintf(" AND (WorkflowId STARTS_WITH '%s' OR WorkflowId STARTS_WITH '%s')",
			contract.ProvisionFlexClusterID(projectID, ""), contract.UpgradeToServerlessID(projectID, ""))
	}
	if state != "" {
		query += fmt.Sprintf(" AND %s = '%s'", contract.SearchAttributeClusterState, state)
	}
	return query, nil
}

func (a *app) printList(runs []provisioner.Status) {
	if a.output == "json" {
		out := []listed{}
		for _, r := range runs {
			out = append(out, listed{r.WorkflowID, r.RunID, r.Workflow, r.State, r.ProjectID, r.ClusterName, r.ClusterState, r.Started, r.Closed})
		}
		a.printJSON(out)
		return
	}
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "STATUS\tCLUSTER\tSTARTED (UTC)\tWORKFLOW ID")
	for _, r := range runs {
		state := r.ClusterState
		if state == "" {
			state = "-"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", r.State, state, r.Started.UTC().Format(time.DateTime), r.WorkflowID)
	}
	_ = w.Flush()
}
