package starter

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/provisioner"
)

// startFlags are the flags of every verb that make no part of a request.
type startFlags struct {
	files        []string
	wait, dryRun bool
	// yes starts without a question what cannot be undone.
	yes bool
}

// plannedRun is a run to start, as --dry-run prints it.
type plannedRun struct {
	WorkflowID string           `json:"workflowId"`
	Workflow   string           `json:"workflowType"`
	TaskQueue  string           `json:"taskQueue"`
	Input      contract.Request `json:"input"`

	// description says what it would do, for people.
	description string
}

func (a *app) plan(v verb, r contract.Request) plannedRun {
	return plannedRun{
		description: v.describe(r),

		WorkflowID: contract.WorkflowID(r),
		Workflow:   r.Operation().WorkflowType,
		TaskQueue:  a.env.TaskQueue(),
		Input:      r,
	}
}

// startHelp is the help of every verb: what it does, the beginning of its workflow ids, and notes.
const startHelp = `%s.

It starts a workflow under the id %s<project-id>-<name>. While a
workflow runs under that id, starting the same request again joins it, whatever
its time limit, and any other is refused. Without --wait, starter returns at
once and the workflow goes on.

%s

A FILE holds requests in YAML or JSON, as documents or as a list; each is the
input of the workflow:
%s
All are checked before any is started. They run independently of one another.`

// newClusterFile is a request for a new cluster as a FILE holds it.
const newClusterFile = `  groupId: 32b6e34b3d91647abb20e7b8
  name: orders
  providerSettings: {backingProviderName: AWS, regionName: US_EAST_1}
  tags: [{key: team, value: orders}]`

// startCommand is the command of an operation.
func (a *app) startCommand(operation contract.Operation) *cobra.Command {
	v := verbs[operation.WorkflowType]()
	if v.await == nil {
		v.await = awaitEnd
	}
	cmd := &cobra.Command{
		Short:             v.short,
		Long:              fmt.Sprintf(startHelp, v.short, operation.IDPrefix, v.notes, cmp.Or(v.file, newClusterFile)),
		Example:           v.examples,
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().SortFlags = false
	flags := &requestFlags{
		cmd: cmd, operation: operation, byField: map[string]string{}, known: knownClusters{a},
	}
	v.flags(flags)
	own := map[string]bool{}
	cmd.Flags().VisitAll(func(f *pflag.Flag) { own[f.Name] = true })
	var start startFlags
	start.add(cmd)
	if v.asks {
		cmd.Flags().BoolVar(&start.yes, "yes", false, "do not ask first")
	}
	cmd.Use = operation.Command + " (" + flags.usage() + " | -f FILE)"
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		if len(start.files) > 0 {
			return refuseBesideFile(cmd, own)
		}
		for _, name := range flags.required { // cobra looks for them after this
			cobra.CheckErr(cmd.MarkFlagRequired(name))
		}
		return nil
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if len(start.files) > 0 {
			return a.startFiles(cmd.Context(), operation, v, start)
		}
		for _, holds := range flags.checks {
			if err := holds(); err != nil {
				return err
			}
		}
		request := v.request()
		if err := contract.Validate(request, contract.WorkflowID(request)); err != nil {
			return invalidFlags{flags: flags, failure: provisioner.Invalid(err)}
		}
		return a.start(cmd.Context(), v, request, start)
	}
	return cmd
}

func (f *startFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringArrayVarP(&f.files, "file", "f", nil,
		"`FILE` of requests instead of the flags above, - for standard input; repeatable")
	flags.BoolVar(&f.wait, "wait", false,
		"wait for the end, with progress on standard error, result on standard output")
	flags.BoolVar(&f.dryRun, "dry-run", false, "print what would be done and sent, and start nothing")
	cobra.CheckErr(cmd.MarkFlagFilename("file", "yaml", "yml", "json"))
}

// refuseBesideFile refuses the flags that make a request where a file has it.
func refuseBesideFile(cmd *cobra.Command, own map[string]bool) (err error) {
	cmd.LocalNonPersistentFlags().VisitAll(func(flag *pflag.Flag) {
		if flag.Changed && own[flag.Name] && err == nil {
			err = usageError{"--" + flag.Name + " cannot go with --file, which holds whole requests"}
		}
	})
	return err
}

// start starts or joins a run and, with --wait, follows it to its end.
func (a *app) start(ctx context.Context, v verb, request contract.Request, flags startFlags) error {
	if flags.dryRun {
		if err := a.readEnvironment(); err != nil {
			return err
		}
		if a.output == "json" {
			a.printJSON(a.plan(v, request))
			return nil
		}
		a.printPlan(a.plan(v, request))
		return nil
	}
	if v.asks && !flags.yes {
		if err := a.confirm(ctx, v.confirmation([]contract.Request{request})); err != nil {
			return err
		}
	}
	c, err := a.connect(ctx)
	if err != nil {
		return err
	}
	run, err := c.Start(ctx, request)
	var conflict *provisioner.Failure
	if errors.As(err, &conflict) && a.output == "json" {
		a.printJSON(answer{
			WorkflowID: run.WorkflowID, RunID: run.RunID, Status: provisioner.Running, Failure: conflict,
		})
	}
	if err != nil {
		return err
	}
	if flags.wait {
		return a.followWithProgress(ctx, c, run, v.await)
	}
	a.followUp = run.WorkflowID
	if a.output == "json" {
		a.printJSON(answer{WorkflowID: run.WorkflowID, RunID: run.RunID, Status: provisioner.Running})
		return nil
	}
	verb := "Started"
	if run.Joined {
		verb = "Joined"
	}
	a.stdout.Printf("%s workflow %s\nRun        %s\n", verb, run.WorkflowID, run.RunID)
	if link := a.webUI(run.WorkflowID, run.RunID); link != "" {
		a.stdout.Printf("Web UI     %s\n", link)
	}
	a.stdout.Printf("Follow it with: starter watch %s\n", run.WorkflowID)
	return nil
}

// printPlan shows what would be sent.
func (a *app) printPlan(p plannedRun) {
	a.stdout.Printf("Would      %s\nWorkflow   %s\nType       %s\nTask queue %s\nInput      ",
		p.description, p.WorkflowID, p.Workflow, p.TaskQueue)
	a.printJSON(p.Input)
}
