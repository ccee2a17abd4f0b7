package starter

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/starter/doctor"
	"github.com/atlas-provisioner/atlas-provisioner/internal/starter/terminal"
)

func (a *app) doctor() *cobra.Command {
	var projectID string
	cmd := &cobra.Command{
		Use:   "doctor [--project-id ID]",
		Short: "Say what is wrong before the first run",
		Long: `doctor checks what a run needs: that Temporal is reached, its version, namespace and
search attributes, a worker on the task queue, its version and payload keys, what
Atlas says to its credential, and the clocks. Each line says what was checked, how
it came out (OK, WARNING, FAILED or SKIPPED), and below it what to do.

It starts one short workflow, CheckWorker, that a worker answers. With --project-id
the worker reads the project with its credential; nothing is changed in Atlas.

It exits 0 where no check has failed, 1 where one has, and 3 where Temporal could
not be reached.`,
		Example: `  starter doctor
  starter doctor --project-id 32b6e34b3d91647abb20e7b8`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var invalid *contract.InputError
			switch err := (contract.CheckWorkerInput{GroupID: projectID}).Validate(); {
			case errors.As(err, &invalid):
				return usageError{"--project-id " + invalid.Violations[0].Problem}
			case cmd.Flags().Changed("project-id") && projectID == "":
				return usageError{"--project-id must not be empty"}
			}
			return a.runDoctor(cmd.Context(), projectID)
		},
	}
	cmd.Flags().StringVar(&projectID, "project-id", "",
		"the Atlas project `ID` for which the worker tries its credential")
	knownClusters{a}.completeProjects(cmd)
	return cmd
}

func (a *app) runDoctor(ctx context.Context, projectID string) error {
	if err := a.readEnvironment(); err != nil {
		return err
	}
	if err := a.startTrace(); err != nil {
		return err
	}
	findings := doctor.Check(ctx, doctor.Options{
		Temporal: a.options, TaskQueue: a.env.TaskQueue(), ProjectID: projectID, Version: a.version,
		Encrypts: a.payloads.Encrypts(), Now: a.now, Limit: a.doctorLimit,
	})
	if ctx.Err() != nil {
		return exitError{exitInterrupted, "interrupted before all checks were made"}
	}
	if a.output == "json" {
		a.printJSON(struct {
			Checks []doctor.Finding `json:"checks"`
		}{findings})
	} else {
		a.printFindings(findings)
	}
	failed := 0
	for _, f := range findings {
		if f.Status == doctor.Failed {
			failed++
		}
	}
	switch {
	case failed == 0:
		return nil
	case !doctor.Reached(findings):
		return exitError{exitUnreachable, "Temporal could not be reached"}
	}
	return exitError{exitFailed, fmt.Sprintf("%d of %d checks failed", failed, len(findings))}
}

// printFindings prints a line for each check, and below it what to do.
func (a *app) printFindings(findings []doctor.Finding) {
	var t terminal.Table
	for _, f := range findings {
		t.Rows = append(t.Rows, []string{strings.ToUpper(string(f.Status)), f.Check, f.Message})
		if f.Next != "" {
			t.Rows = append(t.Rows, []string{"", "", "→ " + f.Next})
		}
	}
	a.stdout.PrintTable(t)
}
