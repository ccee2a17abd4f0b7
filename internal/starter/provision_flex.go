package starter

import "github.com/atlas-provisioner/atlas-provisioner/contract"

func init() { verbs[contract.ProvisionFlexCluster] = provisionFlex }

func provisionFlex() verb {
	var in contract.ProvisionFlexClusterInput
	return verb{
		short: "Create a Flex cluster and wait until it is IDLE",
		notes: `The cluster is tagged atlas-provisioner-workflow=<workflow id>, by which a later
attempt or run knows it for its own. With --no-ownership-tag, a cluster that has
the name counts as made by this run only if it is no older than the run and as
asked in every field.`,
		examples: `  starter provision-flex --project-id 32b6e34b3d91647abb20e7b8 --name orders \
    --provider AWS --region US_EAST_1 --tag team=orders --wait
  starter provision-flex -f clusters.yaml --wait
  starter provision-flex -f clusters.yaml --dry-run -o json | jq -r '.clusters[].workflowId'`,
		flags: func(f *requestFlags) {
			f.cluster(&in.GroupID, &in.Name)
			f.place(&in.ProviderSettings)
			f.tags(&in.Tags)
			f.terminationProtection(&in.TerminationProtectionEnabled)
			f.ownershipTag(&in.OwnershipTag, "do not tag the cluster with the id of the workflow that made it")
			f.timeout(&in.TimeoutSeconds)
		},
		request: func() contract.Request { return in },
	}
}
