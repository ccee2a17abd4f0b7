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
asked in every field.

A cluster of the name that is there already and not as asked is left alone, and
the run fails with CLUSTER_CONFLICT. With --update, one that carries the tag of
this workflow id gets the tags and the termination protection that are asked for,
so that a file can be edited and given again. With --adopt, one that is as asked
and carries no ownership tag is taken over.`,
		examples: `  starter provision-flex --project-id 32b6e34b3d91647abb20e7b8 --name orders \
    --provider AWS --region US_EAST_1 --tag team=orders --wait
  starter provision-flex -f clusters.yaml --wait
  starter provision-flex --project-id 32b6e34b3d91647abb20e7b8 --name orders \
    --provider AWS --region US_EAST_1 --tag team=shop --update --wait
  starter provision-flex -f clusters.yaml --dry-run -o json | jq -r '.clusters[].workflowId'`,
		flags: func(f *requestFlags) {
			f.cluster(&in.GroupID, &in.Name)
			f.place(&in.ProviderSettings)
			f.tags(&in.Tags)
			f.terminationProtection(&in.TerminationProtectionEnabled)
			f.ownershipTag(&in.OwnershipTag, "do not tag the cluster with the id of the workflow that made it")
			f.adopt(&in.Adopt, "take over a cluster that is as asked and carries no ownership tag")
			f.update(&in.IfDifferent)
			f.timeout(&in.TimeoutSeconds)
		},
		request: func() contract.Request { return in },
		describe: func(r contract.Request) string {
			in := r.(contract.ProvisionFlexClusterInput)
			text := "create Flex cluster " + clusterText(in) + " in " + in.ProviderSettings.Place()
			return text + updateText(in.IfDifferent) + adoptText(in.Adopt)
		},
	}
}
