package starter

import (
	"strings"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
)

func init() { verbs[contract.UpdateFlexCluster] = updateFlex }

func updateFlex() verb {
	var in contract.UpdateFlexClusterInput
	return verb{
		short: "Change tags and termination protection of a Flex cluster",
		notes: `--tag is the whole list of tags: what is not in it is removed, and --no-tags
removes all. The ownership tag stays. What no flag says stays as it is. The
cluster must carry the ownership tag of this workflow id; with --adopt, one that
carries none is taken over.`,
		file: `  groupId: 32b6e34b3d91647abb20e7b8
  name: orders
  tags: [{key: team, value: orders}]
  terminationProtectionEnabled: true`,
		examples: `  starter update-flex --project-id 32b6e34b3d91647abb20e7b8 --name orders \
    --tag team=orders --tag env=test --wait
  starter update-flex --project-id 32b6e34b3d91647abb20e7b8 --name orders \
    --termination-protection=false --wait
  starter update-flex -f changes.yaml --dry-run`,
		flags: func(f *requestFlags) {
			f.cluster(&in.GroupID, &in.Name)
			f.optionalTags(&in.Tags)
			f.optionalProtection(&in.TerminationProtectionEnabled)
			f.adopt(&in.Adopt, "take over a cluster that carries no ownership tag")
			f.timeout(&in.TimeoutSeconds)
			f.check(func() error {
				if in.Tags == nil && in.TerminationProtectionEnabled == nil {
					return usageError{"update-flex needs --tag, --no-tags or --termination-protection: what to change"}
				}
				return nil
			})
		},
		request: func() contract.Request { return in },
		describe: func(r contract.Request) string {
			in := r.(contract.UpdateFlexClusterInput)
			changes := changesText(in.Tags, in.TerminationProtectionEnabled)
			return "update Flex cluster " + clusterText(in) + ": " + strings.Join(changes, "; ") + adoptText(in.Adopt)
		},
	}
}
