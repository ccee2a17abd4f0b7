package starter

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/provisioner"
)

// clusterFlags are those that both workflows take.
type clusterFlags struct {
	projectID, name, provider, region string
	tags                              []string
	protect, noOwnershipTag, wait     bool
	timeout                           time.Duration
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
	flags.BoolVar(&f.wait, "wait", false, "wait for the end, with progress on standard error and the result on standard output")
	for _, name := range []string{"project-id", "name", "provider", "region"} {
		cobra.CheckErr(cmd.MarkFlagRequired(name))
	}
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

func (a *app) provisionFlex() *cobra.Command {
	var f clusterFlags
	cmd := &cobra.Command{
		Use:   "provision-flex --project-id ID --name NAME --provider AWS|AZURE|GCP --region REGION",
		Short: "Create a Flex cluster and wait until it is IDLE",
		Long: `provision-flex starts the workflow that creates a Flex cluster and waits until it
is IDLE. Its workflow id is provision-flex-<project-id>-<name>: while it runs,
starting the same request again joins it, and a different request is refused.
Without --wait, starter returns at once and the workflow goes on.

The cluster is tagged atlas-provisioner-workflow=<workflow id>, by which a later
attempt or run knows it for its own. With --no-ownership-tag, a cluster that has
the name counts as made by this run only if it is no older than the run and as
asked in every field.`,
		Example: `  starter provision-flex --project-id 32b6e34b3d91647abb20e7b8 --name orders \
    --provider AWS --region US_EAST_1 --tag team=orders --wait`,
		Args: noArgs,
	}
	f.add(cmd, contract.DefaultProvisionTimeout)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		tags, err := f.parseTags()
		if err != nil {
			return err
		}
		in := contract.ProvisionFlexClusterInput{
			GroupID: f.projectID, Name: f.name, ProviderSettings: f.settings(), Tags: tags,
			TerminationProtectionEnabled: f.protect, TimeoutSeconds: f.timeoutSeconds(cmd), OwnershipTag: f.ownershipTag(),
		}
		return a.start(cmd.Context(), f.wait, in.Validate(contract.ProvisionFlexClusterID(in.GroupID, in.Name)),
			func(ctx context.Context, c *provisioner.Client) (provisioner.Run, error) {
				return c.StartProvision(ctx, in)
			})
	}
	return cmd
}

func (a *app) upgradeToServerless() *cobra.Command {
	var f clusterFlags
	var backup bool
	cmd := &cobra.Command{
		Use:   "upgrade-to-serverless --project-id ID --name NAME --provider AWS|AZURE|GCP --region REGION",
		Short: "Upgrade a shared-tier cluster to serverless and wait until it is IDLE",
		Long: `upgrade-to-serverless starts the workflow that upgrades a shared-tier cluster to
serverless and waits until it is IDLE. Its workflow id is
upgrade-to-serverless-<project-id>-<name>: while it runs, starting the same
request again joins it, and a different request is refused. Without --wait,
starter returns at once and the workflow goes on.

MongoDB retired this upgrade on 2025-02-05. Where it is gone the workflow fails
at once with VERSION_GONE: upgrade the cluster to Flex in Atlas instead.`,
		Example: `  starter upgrade-to-serverless --project-id 32b6e34b3d91647abb20e7b8 --name legacy \
    --provider AWS --region US_EAST_1 --wait`,
		Args: noArgs,
	}
	f.add(cmd, contract.DefaultUpgradeTimeout)
	cmd.Flags().BoolVar(&backup, "continuous-backup", false, "ask for serverless continuous backup rather than basic backup")
	cmd.Flags().Lookup("no-ownership-tag").Usage = "no effect: an upgrade adds no ownership tag"
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
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
		return a.start(cmd.Context(), f.wait, in.Validate(),
			func(ctx context.Context, c *provisioner.Client) (provisioner.Run, error) {
				return c.StartUpgrade(ctx, in)
			})
	}
	return cmd
}

// start starts or joins a run and, with wait, follows it to its end. An input
// that is wrong is told before Temporal is dialled.
func (a *app) start(ctx context.Context, wait bool, wrong error, start func(context.Context, *provisioner.Client) (provisioner.Run, error)) error {
	if wrong != nil {
		return provisioner.Invalid(wrong)
	}
	c, err := a.connect(ctx)
	if err != nil {
		return err
	}
	run, err := start(ctx, c)
	var conflict *provisioner.Failure
	if errors.As(err, &conflict) && a.output == "json" {
		a.printJSON(answer{WorkflowID: run.WorkflowID, RunID: run.RunID, Status: provisioner.Running, Failure: conflict})
	}
	if err != nil {
		return err
	}
	if wait {
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
