package starter

import "github.com/atlas-provisioner/atlas-provisioner/contract"

func init() { verbs[contract.DeleteCluster] = deleteCluster }

func deleteCluster() verb {
	var in contract.DeleteClusterInput
	return verb{
		short: "Delete a Flex or dedicated cluster and wait until it is gone",
		notes: `The cluster and its data are lost. On a terminal, starter names the cluster and
asks; elsewhere it needs --yes. The cluster must carry the ownership tag of this
workflow id; with --adopt, one that carries none is deleted as well, and one that
carries another workflow's never is. With --id, a later cluster of the same name
is left alone. Where termination protection is on, the run fails with
CLUSTER_PROTECTED, unless --remove-termination-protection turns it off. Where the
cluster is gone already, the outcome is UNCHANGED.`,
		file: `  groupId: 32b6e34b3d91647abb20e7b8
  name: orders
  removeTerminationProtection: true`,
		examples: `  starter delete --project-id 32b6e34b3d91647abb20e7b8 --name orders --wait
  starter delete --project-id 32b6e34b3d91647abb20e7b8 --name orders \
    --id 6a1b2c3d4e5f6a1b2c3d4e5f --yes
  starter delete -f old.yaml --dry-run`,
		flags: func(f *requestFlags) {
			f.cluster(&in.GroupID, &in.Name)
			f.text(&in.ID, "id", "id", "delete only the cluster whose Atlas `ID` this is: 24 hexadecimal digits")
			f.set().BoolVar(&in.RemoveTerminationProtection, "remove-termination-protection", false,
				"turn termination protection off where it is on")
			f.adopt(&in.Adopt, "delete also a cluster that carries no ownership tag")
			f.timeout(&in.TimeoutSeconds)
		},
		request: func() contract.Request { return in },
		asks:    true,
		describe: func(r contract.Request) string {
			in := r.(contract.DeleteClusterInput)
			text := "delete cluster " + clusterText(in)
			if in.ID != "" {
				text += ", if its id is " + in.ID
			}
			if in.RemoveTerminationProtection {
				text += "; termination protection is turned off first"
			}
			if in.Adopt {
				text += "; also if it carries no ownership tag"
			}
			return text
		},
	}
}
