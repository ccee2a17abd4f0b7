package starter

import (
	"fmt"
	"math"
	"time"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
)

func init() { verbs[contract.LeaseFlexCluster] = leaseFlex }

func leaseFlex() verb {
	var in contract.LeaseFlexClusterInput
	return verb{
		short: "Create a Flex cluster for a time, and delete it when that is over",
		notes: `The lease begins when the cluster is IDLE. When it ends, the cluster and its data
are deleted, also where termination protection is on. That goes for a cluster
that was there before, if it is as asked and carries the tag of the workflow id of
the cluster, atlas-cluster-<project-id>-<name>: to lease a cluster is to have it
deleted. 'starter extend' moves the end, 'starter release' and 'starter cancel'
end the lease now, and a provision that fails ends it too: what it made is deleted.

--wait ends when the cluster is IDLE, and prints it. The lease goes on.`,
		file: `  groupId: 32b6e34b3d91647abb20e7b8
  name: preview
  leaseSeconds: 28800
  providerSettings: {backingProviderName: AWS, regionName: US_EAST_1}
  tags: [{key: team, value: orders}]`,
		examples: `  starter lease-flex --project-id 32b6e34b3d91647abb20e7b8 --name preview \
    --provider AWS --region US_EAST_1 --for 8h --wait
  starter lease-flex -f previews.yaml --wait
  starter extend atlas-lease-32b6e34b3d91647abb20e7b8-preview --by 2h
  starter release atlas-lease-32b6e34b3d91647abb20e7b8-preview`,
		flags: func(f *requestFlags) {
			f.cluster(&in.GroupID, &in.Name)
			f.place(&in.ProviderSettings)
			f.leaseTime(&in.LeaseSeconds)
			f.tags(&in.Tags)
			f.terminationProtection(&in.TerminationProtectionEnabled)
			f.ownershipTag(&in.OwnershipTag, "do not tag the cluster with its workflow id")
			f.adopt(&in.Adopt, "lease also a cluster that is as asked and carries no ownership tag")
			f.update(&in.IfDifferent)
			f.timeout(&in.TimeoutSeconds)
		},
		request: func() contract.Request { return in },
		await:   awaitReady,
		describe: func(r contract.Request) string {
			in := r.(contract.LeaseFlexClusterInput)
			text := fmt.Sprintf("lease Flex cluster %s in %s for %s, and delete it then", clusterText(in),
				in.ProviderSettings.Place(), in.LeaseFor())
			return text + updateText(in.IfDifferent) + adoptText(in.Adopt)
		},
	}
}

// leaseTime adds the flag that says for how long a cluster is leased.
func (f *requestFlags) leaseTime(seconds *int) {
	f.set().Var(&leaseTimeValue{into: seconds}, "for",
		"`DURATION` for which the cluster is kept once it is IDLE, such as 90m or 8h; 1m to 720h")
	f.byField["leaseSeconds"] = "for"
	f.required = append(f.required, "for")
	complete(f.cmd, "for")
}

// leaseTimeValue is the value of --for.
type leaseTimeValue struct {
	into *int
	text string
}

func (t *leaseTimeValue) Set(text string) error {
	d, err := time.ParseDuration(text)
	*t.into, t.text = int(math.Ceil(d.Seconds())), text
	return err
}

func (t *leaseTimeValue) String() string { return t.text }
func (t *leaseTimeValue) Type() string   { return "duration" }
