package starter

import (
	"strings"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
)

func init() { verbs[contract.UpgradeToDedicated] = upgradeToDedicated }

func upgradeToDedicated() verb {
	var in contract.UpgradeToDedicatedInput
	return verb{
		short: "Upgrade a Flex cluster to a dedicated one and wait until it is IDLE",
		notes: `Atlas gives the cluster a new id, and keeps its data. Tags and termination
protection stay as they are where no flag says otherwise; --tag is the whole list
of tags, and the ownership tag stays. The cluster must carry the ownership tag of
this workflow id; with --adopt, one that carries none is taken over.`,
		file: `  groupId: 32b6e34b3d91647abb20e7b8
  name: orders
  providerSettings: {backingProviderName: AWS, regionName: US_EAST_1, instanceSizeName: M10}`,
		examples: `  starter upgrade-to-dedicated --project-id 32b6e34b3d91647abb20e7b8 --name orders \
    --provider AWS --region US_EAST_1 --instance-size M10 --wait
  starter upgrade-to-dedicated -f clusters.yaml --wait`,
		flags: func(f *requestFlags) {
			f.cluster(&in.GroupID, &in.Name)
			f.place(&in.ProviderSettings)
			f.requiredText(&in.ProviderSettings.InstanceSizeName, "instance-size", "providerSettings.instanceSizeName",
				"Atlas's name of the `SIZE` of the nodes, M10 or larger",
				"M10", "M20", "M30", "M40", "M50", "M60", "M80")
			f.optionalTags(&in.Tags)
			f.optionalProtection(&in.TerminationProtectionEnabled)
			f.adopt(&in.Adopt, "take over a cluster that carries no ownership tag")
			f.timeout(&in.TimeoutSeconds)
		},
		request: func() contract.Request { return in },
		describe: func(r contract.Request) string {
			in := r.(contract.UpgradeToDedicatedInput)
			size, place := in.ProviderSettings.InstanceSizeName, in.ProviderSettings.Place()
			all := []string{"upgrade Flex cluster " + clusterText(in) + " to dedicated " + size + " in " + place}
			all = append(all, changesText(in.Tags, in.TerminationProtectionEnabled)...)
			return strings.Join(all, "; ") + adoptText(in.Adopt)
		},
	}
}
