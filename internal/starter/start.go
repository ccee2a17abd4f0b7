package starter

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/provisioner"
)

// clusterFlags are those that both workflows take.
type clusterFlags struct {
	projectID, name, provider, region string
	tags                              []string
	protect, noOwnershipTag           bool
	timeout                           time.Duration
	startFlags
}

// startFlags are those that go with a file of requests as well.
type startFlags struct {
	files        []string
	wait, dryRun bool
}

// request is one workflow to start, as --dry-run prints it.
type request struct {
	WorkflowID string `json:"workflowId"`
	Workflow   string `json:"workflowType"`
	TaskQueue  string `json:"taskQueue"`
	Input      any    `json:"input"`
	start      func(context.Context, *provisioner.Client) (provisioner.Run, error)
}

func (f *clusterFlags) add(cmd *cobra.Command, otherwise time.Duration) {
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&f.projectID, "project-id", "", "`ID` of the Atlas project, which Atlas also calls group: 24 hexadecimal digits")
	flags.StringVar(&f.name, "name", "", "`NAME` of the cluster: letters, digits and hyphens, 64 at most")
	flags.StringVar(&f.provider, "provider", "", "cloud `PROVIDER`: AWS, AZURE or GCP")
	flags.StringVar(&f.region, "region", "", "Atlas's name of the `REGION`, such as US_EAST_1")
	flags.StringArrayVar(&f.tags, "tag", nil, "tag as `KEY=VALUE`; may be given many times")
	flags.BoolVar(&f.protect, "termination-protection", false, "have Atlas refuse to delete the cluster until this is turned off there")
	flags.BoolVar(&f.noOwnershipTag, "no-ownership-tag", false, "do not tag the cluster with the id of the workflow that made it")
	flags.DurationVar(&f.timeout, "timeout", otherwise, "`DURATION` that the whole run may take, such as 90s or 2h; 1s to 24h")
	flags.Lookup("timeout").DefValue = fmt.Sprintf("%gm", otherwise.Minutes())
	flags.StringArrayVarP(&f.files, "file", "f", nil, "`FILE` of requests instead of the flags above, - for standard input; may be repeated")
	flags.BoolVar(&f.wait, "wait", false, "wait for the end, with progress on standard error and the result on standard output")
	flags.BoolVar(&f.dryRun, "dry-run", false, "print what would be sent, and start nothing")
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error { return f.check(cmd) }
	complete(cmd, "provider", "AWS", "AZURE", "GCP")
	cobra.CheckErr(cmd.MarkFlagFilename("file", "yaml", "yml", "json"))
	for _, name := range []string{"project-id", "name", "region", "tag", "timeout"} {
		complete(cmd, name)
	}
}

// check holds that a request is in the flags or in a file, and not in both.
// Cobra looks for the flags that are required after this.
func (f *clusterFlags) check(cmd *cobra.Command) (err error) {
	for _, name := range []string{"project-id", "name", "provider", "region"} {
		if len(f.files) == 0 {
			cobra.CheckErr(cmd.MarkFlagRequired(name))
		}
	}
	cmd.LocalNonPersistentFlags().VisitAll(func(flag *pflag.Flag) {
		switch flag.Name {
		case "file", "wait", "dry-run":
		default:
			if flag.Changed && len(f.files) > 0 && err == nil {
				err = usageError{"--" + flag.Name + " cannot go with --file, which holds whole requests"}
			}
		}
	})
	return err
}

func (f *clusterFlags) settings() contract.ProviderSettings {
	return contract.ProviderSettings{BackingProviderName: strings.ToUpper(f.provider), RegionName: f.region}
}

func (f *clusterFlags) parseTags() ([]contract.Tag, error) {
	var out []contract.Tag
	for _, tag := range f.tags {
		key, value, ok := strings.Cut(tag, "=")
		if !ok {
			return nil, usageError{fmt.Sprintf("--tag must be KEY=VALUE, got %q", tag)}
		}
		out = append(out, contract.Tag{Key: key, Value: value})
	}
	return out, nil
}

// timeoutSeconds is nil where the flag is not set, so that the worker's default
// holds.
func (f *clusterFlags) timeoutSeconds(cmd *cobra.Command) *int {
	if !cmd.Flags().Changed("timeout") {
		return nil
	}
	s := int(math.Ceil(f.timeout.Seconds()))
	return &s
}

func (f *clusterFlags) ownershipTag() *bool {
	if !f.noOwnershipTag {
		return nil
	}
	return new(bool)
}

// ofFiles is the help on --file.
const ofFiles = `A FILE holds requests in YAML or JSON, as documents or as a list; each is the
input of the workflow:
  groupId: 32b6e34b3d91647abb20e7b8
  name: orders
  providerSettings: {backingProviderName: AWS, regionName: US_EAST_1}
  tags: [{key: team, value: orders}]
All are checked before any is started. They run independently of one another.`

func (a *app) provisionFlex() *cobra.Command {
	var f clusterFlags
	cmd := &cobra.Command{
		Use:   "provision-flex (--project-id ID --name NAME --provider AWS|AZURE|GCP --region REGION | -f FILE)",
		Short: "Create a Flex cluster and wait until it is IDLE",
		Long: `provision-flex starts the workflow that creates a Flex cluster and waits until it
is IDLE. Its workflow id is atlas-cluster-<project-id>-<name>: while it runs,
starting the same request again joins it, and a different request is refused.
Without --wait, starter returns at once and the workflow goes on.

The cluster is tagged atlas-provisioner-workflow=<workflow id>, by which a later
attempt or run knows it for its own. With --no-ownership-tag, a cluster that has
the name counts as made by this run only if it is no older than the run and as
asked in every field.

` + ofFiles,
		Example: `  starter provision-flex --project-id 32b6e34b3d91647abb20e7b8 --name orders \
    --provider AWS --region US_EAST_1 --tag team=orders --wait
  starter provision-flex -f clusters.yaml --wait
  starter provision-flex -f clusters.yaml --dry-run -o json | jq -r '.clusters[].workflowId'`,
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	f.add(cmd, contract.DefaultProvisionTimeout)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if len(f.files) > 0 {
			return a.startFiles(cmd.Context(), f.startFlags, func(data []byte) (request, error) {
				in, err := contract.Parse[contract.ProvisionFlexClusterInput](data, "id") // its own id fits into a tag
				return a.provisionRequest(in), err
			})
		}
		tags, err := f.parseTags()
		if err != nil {
			return err
		}
		in := contract.ProvisionFlexClusterInput{
			GroupID: f.projectID, Name: f.name, ProviderSettings: f.settings(), Tags: tags,
			TerminationProtectionEnabled: f.protect, TimeoutSeconds: f.timeoutSeconds(cmd), OwnershipTag: f.ownershipTag(),
		}
		r := a.provisionRequest(in)
		return a.start(cmd.Context(), f.startFlags, contract.Validate(in, r.WorkflowID), r)
	}
	return cmd
}

func (a *app) provisionRequest(in contract.ProvisionFlexClusterInput) request {
	return request{
		WorkflowID: contract.ClusterWorkflowID(in.GroupID, in.Name), Workflow: contract.ProvisionFlexCluster,
		TaskQueue: a.env.TaskQueue(), Input: in,
		start: func(ctx context.Context, c *provisioner.Client) (provisioner.Run, error) {
			return c.Start(ctx, in)
		},
	}
}

func (a *app) upgradeToServerless() *cobra.Command {
	var f clusterFlags
	var backup bool
	cmd := &cobra.Command{
		Use:   "upgrade-to-serverless (--project-id ID --name NAME --provider AWS|AZURE|GCP --region REGION | -f FILE)",
		Short: "Upgrade a shared-tier cluster to serverless and wait until it is IDLE",
		Long: `upgrade-to-serverless starts the workflow that upgrades a shared-tier cluster to
serverless and waits until it is IDLE. Its workflow id is
atlas-cluster-<project-id>-<name>: while it runs, starting the same
request again joins it, and a different request is refused. Without --wait,
starter returns at once and the workflow goes on.

MongoDB retired this upgrade on 2025-02-05. Where it is gone the workflow fails
at once with VERSION_GONE: upgrade the cluster to Flex in Atlas instead.

` + ofFiles,
		Example: `  starter upgrade-to-serverless --project-id 32b6e34b3d91647abb20e7b8 --name legacy \
    --provider AWS --region US_EAST_1 --wait
  starter upgrade-to-serverless -f clusters.yaml --wait`,
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	f.add(cmd, contract.DefaultUpgradeTimeout)
	cmd.Flags().BoolVar(&backup, "continuous-backup", false, "ask for serverless continuous backup rather than basic backup")
	cmd.Flags().Lookup("no-ownership-tag").Usage = "no effect: an upgrade adds no ownership tag"
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if len(f.files) > 0 {
			return a.startFiles(cmd.Context(), f.startFlags, func(data []byte) (request, error) {
				in, err := contract.Parse[contract.UpgradeToServerlessInput](data, "id")
				return a.upgradeRequest(in), err
			})
		}
		tags, err := f.parseTags()
		if err != nil {
			return err
		}
		in := contract.UpgradeToServerlessInput{
			GroupID: f.projectID, Name: f.name, ProviderSettings: f.settings(), Tags: tags,
			TerminationProtectionEnabled: f.protect, TimeoutSeconds: f.timeoutSeconds(cmd), OwnershipTag: f.ownershipTag(),
		}
		if cmd.Flags().Changed("continuous-backup") {
			in.ServerlessBackupOptions = &contract.ServerlessBackupOptions{ServerlessContinuousBackupEnabled: &backup}
		}
		return a.start(cmd.Context(), f.startFlags, contract.Validate(in, "id"), a.upgradeRequest(in))
	}
	return cmd
}

func (a *app) upgradeRequest(in contract.UpgradeToServerlessInput) request {
	return request{
		WorkflowID: contract.ClusterWorkflowID(in.GroupID, in.Name), Workflow: contract.UpgradeToServerless,
		TaskQueue: a.env.TaskQueue(), Input: in,
		start: func(ctx context.Context, c *provisioner.Client) (provisioner.Run, error) {
			return c.Start(ctx, in)
		},
	}
}

// start starts or joins a run and, with wait, follows it to its end. An input
// that is wrong is told before Temporal is dialled.
func (a *app) start(ctx context.Context, f startFlags, wrong error, r request) error {
	if wrong != nil {
		return provisioner.Invalid(wrong)
	}
	if f.dryRun {
		if a.output == "json" {
			a.printJSON(r)
			return nil
		}
		a.printRequest(r)
		return nil
	}
	c, err := a.connect(ctx)
	if err != nil {
		return err
	}
	run, err := r.start(ctx, c)
	var conflict *provisioner.Failure
	if errors.As(err, &conflict) && a.output == "json" {
		a.printJSON(answer{WorkflowID: run.WorkflowID, RunID: run.RunID, Status: provisioner.Running, Failure: conflict})
	}
	if err != nil {
		return err
	}
	if f.wait {
		return a.follow(ctx, c, run, true)
	}
	if a.output == "json" {
		a.printJSON(answer{WorkflowID: run.WorkflowID, RunID: run.RunID, Status: provisioner.Running})
		return nil
	}
	verb := "Started"
	if run.Joined {
		verb = "Joined"
	}
	fmt.Fprintf(a.stdout, "%s workflow %s\nRun        %s\n", verb, run.WorkflowID, run.RunID)
	if link := a.webUI(run.WorkflowID, run.RunID); link != "" {
		fmt.Fprintf(a.stdout, "Web UI     %s\n", link)
	}
	fmt.Fprintf(a.stdout, "Follow it with: starter watch %s\n", run.WorkflowID)
	return nil
}

// printRequest shows what would be sent.
func (a *app) printRequest(r request) {
	fmt.Fprintf(a.stdout, "Workflow   %s\nType       %s\nTask queue %s\nInput      ", r.WorkflowID, r.Workflow, r.TaskQueue)
	a.printJSON(r.Input)
}
