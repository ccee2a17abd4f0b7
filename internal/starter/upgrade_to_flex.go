package starter

import "github.com/atlas-provisioner/atlas-provisioner/contract"

func init() { verbs[contract.UpgradeToFlex] = upgradeToFlex }

func upgradeToFlex() verb {
	var in contract.UpgradeToFlexInput
	return verb{
		short: "Upgrade a free cluster (M0) to Flex and wait until it is IDLE",
		notes: `Atlas gives the cluster a new id, and keeps its data. Then it is tagged
atlas-provisioner-workflow=<workflow id>, so that update-flex, upgrade-to-dedicated
and delete know it; --no-ownership-tag leaves that out.`,
		examples: `  starter upgrade-to-flex --project-id 32b6e34b3d91647abb20e7b8 --name trial \
    --provider AWS --region US_EAST_1 --tag team=orders --wait
  starter upgrade-to-flex -f clusters.yaml --wait`,
		flags: func(f *requestFlags) {
			f.cluster(&in.GroupID, &in.Name)
			f.place(&in.ProviderSettings)
			f.tags(&in.Tags)
			f.terminationProtection(&in.TerminationProtectionEnabled)
			f.ownershipTag(&in.OwnershipTag, "do not tag the cluster with the id of the workflow that upgraded it")
			f.timeout(&in.TimeoutSeconds)
		},
		request: func() contract.Request { return in },
		describe: func(r contract.Request) string {
			in := r.(contract.UpgradeToFlexInput)
			return "upgrade free cluster " + clusterText(in) + " to Flex in " + in.ProviderSettings.Place()
		},
	}
}
