package starter

import "github.com/atlas-provisioner/atlas-provisioner/contract"

func init() { verbs[contract.UpgradeToServerless] = upgradeToServerless }

func upgradeToServerless() verb {
	var in contract.UpgradeToServerlessInput
	var continuousBackup *bool
	return verb{
		short: "Upgrade a shared-tier cluster to serverless and wait until it is IDLE",
		notes: `MongoDB retired this upgrade on 2025-02-05. Where it is gone the workflow fails
at once with VERSION_GONE: use upgrade-to-flex instead.`,
		examples: `  starter upgrade-to-serverless --project-id 32b6e34b3d91647abb20e7b8 --name legacy \
    --provider AWS --region US_EAST_1 --wait
  starter upgrade-to-serverless -f clusters.yaml --wait`,
		flags: func(f *requestFlags) {
			f.cluster(&in.GroupID, &in.Name)
			f.place(&in.ProviderSettings)
			f.tags(&in.Tags)
			f.terminationProtection(&in.TerminationProtectionEnabled)
			f.ownershipTag(&in.OwnershipTag, "no effect: an upgrade adds no ownership tag")
			f.timeout(&in.TimeoutSeconds)
			f.optionalBool(&continuousBackup, "continuous-backup",
				"ask for serverless continuous backup rather than basic backup", func(set bool) bool { return set })
		},
		request: func() contract.Request {
			if continuousBackup != nil {
				in.ServerlessBackupOptions = &contract.ServerlessBackupOptions{
					ServerlessContinuousBackupEnabled: continuousBackup,
				}
			}
			return in
		},
		describe: func(r contract.Request) string {
			in := r.(contract.UpgradeToServerlessInput)
			return "upgrade cluster " + clusterText(in) + " to serverless in " + in.ProviderSettings.Place()
		},
	}
}
