// Package workflows holds the two workflows of atlas-provisioner. Both check
// the input, ask Atlas, wait until the cluster is IDLE, and answer it.
//
// A change to this package must replay the histories in testdata.
package workflows

import (
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/workflow"

	"github.com/atlas-provisioner/atlas-provisioner/activities"
	"github.com/atlas-provisioner/atlas-provisioner/contract"
)

// Workflows are the workflows of one worker.
type Workflows struct {
	// SearchAttributes answers the names of the search attributes that the server takes now; nil for none. A run
	// records each answer that differs from the one before.
	SearchAttributes func() []string
}

// a only lends its methods' names.
var a *activities.Activities

// ProvisionFlexCluster creates a Flex cluster and waits until it is IDLE.
//
// The input is a [contract.ProvisionFlexClusterInput], taken raw so that one
// that does not even decode fails as INVALID_INPUT. The failure types are those
// of package contract.
func (w *Workflows) ProvisionFlexCluster(ctx workflow.Context, input converter.RawValue) (*contract.Cluster, error) {
	r, err := begin(ctx, w)
	if err != nil {
		return nil, err
	}
	in, err := contract.Parse[contract.ProvisionFlexClusterInput](input.Payload().GetData(), r.info.WorkflowExecution.ID)
	if err != nil {
		return nil, r.invalid(err)
	}
	r.of(in.GroupID, in.Name, contract.ClusterTypeFlex, contract.StateCreating, in.Timeout())
	r.untagged = !in.HasOwnershipTag()

	where := in.ProviderSettings.BackingProviderName + " " + in.ProviderSettings.RegionName
	r.enter(contract.PhaseCreating, "Asking Atlas for Flex cluster %q in %s.", in.Name, where)
	return r.provision(
		a.CreateFlexCluster,
		activities.CreateInput{Request: in, WorkflowStarted: r.info.WorkflowStartTime},
		"Create Flex cluster "+in.Name+" in "+where,
	)
}

// UpgradeToServerless upgrades a shared-tier cluster to serverless and waits
// until that is IDLE.
//
// The input is a [contract.UpgradeToServerlessInput], taken raw so that one
// that does not even decode fails as INVALID_INPUT. The failure types are those
// of package contract.
func (w *Workflows) UpgradeToServerless(ctx workflow.Context, input converter.RawValue) (*contract.Cluster, error) {
	r, err := begin(ctx, w)
	if err != nil {
		return nil, err
	}
	in, err := contract.Parse[contract.UpgradeToServerlessInput](input.Payload().GetData(), r.info.WorkflowExecution.ID)
	if err != nil {
		return nil, r.invalid(err)
	}
	r.of(in.GroupID, in.Name, contract.ClusterTypeServerless, contract.StateUpdating, in.Timeout())

	r.enter(contract.PhaseUpgrading, "Asking Atlas to upgrade cluster %q to serverless.", in.Name)
	return r.provision(
		a.UpgradeClusterToServerless,
		activities.UpgradeInput{Request: in, WorkflowStarted: r.info.WorkflowStartTime},
		"Upgrade cluster "+in.Name+" to serverless",
	)
}
