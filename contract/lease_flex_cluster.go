package contract

import (
	"slices"
	"strconv"
	"time"
)

const (
	// LeaseFlexCluster is the workflow type that creates a Flex cluster, keeps it for a time, and deletes it. Input:
	// [LeaseFlexClusterInput]; result: [LeaseResult].
	LeaseFlexCluster = "LeaseFlexCluster"
	// WatchLeaseActivity is the type of the activity that looks now and then whether the cluster of a lease is there.
	WatchLeaseActivity = "WatchLease"
	// FindLeftoverActivity is the type of the activity that finds what a provision of a lease left behind that failed.
	FindLeftoverActivity = "FindLeftover"
	// AwaitClusterRunActivity is the type of the activity that waits for the end of a run that a lease did not start,
	// under the workflow id of its cluster.
	AwaitClusterRunActivity = "AwaitClusterRun"

	// ReadyUpdate is the update that answers the cluster of a lease, as [Cluster], once it is IDLE. It fails as the
	// provision of the lease did, with CANCELED where the lease ended before, and with CLUSTER_GONE where the lease has
	// ended since.
	ReadyUpdate = "ready"
	// ReleaseUpdate is the update that ends a lease now. It has no answer. The cluster is gone when the run has ended.
	ReleaseUpdate = "release"

	// LeaseEndMemo is the key of the memo with the time at which a lease ends, so that a list needs no worker. It is
	// there from IDLE on until the lease ends.
	LeaseEndMemo = "leaseEnds"

	// MinLeaseSeconds is a minute.
	MinLeaseSeconds = 60
	// MaxLeaseSeconds is 30 days. A lease can be extended any number of times, but never to end later than so long from
	// then.
	MaxLeaseSeconds = 30 * 86400
)

// MaxLease is [MaxLeaseSeconds].
const MaxLease = MaxLeaseSeconds * time.Second

// LeaseFlexClusterInput is the input of the workflow [LeaseFlexCluster]: that of a provision, and for how long.
type LeaseFlexClusterInput struct {
	// GroupID is the Atlas project: 24 lower-case hexadecimal digits.
	GroupID string `json:"groupId"`
	// Name of the cluster: a letter or digit, then letters, digits and hyphens, 64 characters at most.
	Name string `json:"name"`
	// LeaseSeconds is for how long the cluster is kept from when it is IDLE, 60 to 2592000. Then it is deleted.
	LeaseSeconds                 int              `json:"leaseSeconds"`
	ProviderSettings             ProviderSettings `json:"providerSettings"`
	Tags                         []Tag            `json:"tags,omitempty"`
	TerminationProtectionEnabled bool             `json:"terminationProtectionEnabled,omitempty"`
	// TimeoutSeconds bounds the provision, 1 to 86400. Default 1800.
	TimeoutSeconds *int `json:"timeoutSeconds,omitempty"`
	// OwnershipTag adds the tag [OwnershipTag] to the cluster, with the workflow id of the cluster. Default true.
	OwnershipTag *bool `json:"ownershipTag,omitempty"`
	// Adopt takes over a cluster that carries no ownership tag, if it is as asked. It is deleted when the lease ends.
	// Default false.
	Adopt bool `json:"adopt,omitempty"`
	// IfDifferent says what becomes of a cluster of ours that is there but not as asked: [FailIfDifferent], the
	// default, or [UpdateIfDifferent].
	IfDifferent string `json:"ifDifferent,omitempty"`
}

// Released is the outcome of a lease whose cluster is gone.
const Released Outcome = "RELEASED"

// LeaseResult is the result of the workflow [LeaseFlexCluster].
type LeaseResult struct {
	// Cluster is the cluster as it was seen last, with the state [StateDeleted]. It has no id where the lease ended
	// before anything was made.
	Cluster Cluster `json:"cluster"`
	// LeasedAt is when the cluster was IDLE. It is left out where the lease ended before.
	LeasedAt time.Time `json:"leasedAt,omitzero"`
	// ReleasedAt is when the cluster was gone.
	ReleasedAt time.Time `json:"releasedAt"`
	// Outcome is [Released].
	Outcome Outcome `json:"outcome"`
}

// Operation is the row of [LeaseFlexCluster].
func (in LeaseFlexClusterInput) Operation() Operation { return mustOperation(LeaseFlexCluster) }

// Cluster is the cluster to lease.
func (in LeaseFlexClusterInput) Cluster() ClusterRef { return ClusterRef{in.GroupID, in.Name} }

// Timeout is the time limit of the provision.
func (in LeaseFlexClusterInput) Timeout() time.Duration {
	return timeout(in.TimeoutSeconds, DefaultProvisionTimeout)
}

// LeaseFor is for how long the cluster is kept.
func (in LeaseFlexClusterInput) LeaseFor() time.Duration {
	return time.Duration(in.LeaseSeconds) * time.Second
}

// Provision is the request that makes the cluster of the lease.
func (in LeaseFlexClusterInput) Provision() ProvisionFlexClusterInput {
	return ProvisionFlexClusterInput{
		GroupID: in.GroupID, Name: in.Name, ProviderSettings: in.ProviderSettings, Tags: in.Tags,
		TerminationProtectionEnabled: in.TerminationProtectionEnabled, TimeoutSeconds: in.TimeoutSeconds,
		OwnershipTag: in.OwnershipTag, Adopt: in.Adopt, IfDifferent: in.IfDifferent,
	}
}

// Delete is the request that deletes the cluster of the lease, which has the Atlas id. The cluster is known by its id,
// so it need not carry a tag where the lease did without.
func (in LeaseFlexClusterInput) Delete(id string) DeleteClusterInput {
	return DeleteClusterInput{
		GroupID: in.GroupID, Name: in.Name, ID: id, RemoveTerminationProtection: true,
		Adopt: !in.Provision().HasOwnershipTag(),
	}
}

// Fields are the fields that make two requests the same.
func (in LeaseFlexClusterInput) Fields() Fields {
	f := in.Provision().Fields()
	f["leaseSeconds"] = strconv.Itoa(in.LeaseSeconds)
	return f
}

// Summary names the cluster, its place and for how long it is kept.
func (in LeaseFlexClusterInput) Summary() string {
	return "Lease Flex cluster " + in.Name + " in " + in.ProviderSettings.Place() + " for " + in.LeaseFor().String()
}

// violations takes any workflow id but that of the cluster, under which the lease has others run. That one becomes the
// value of the ownership tag, and can always be one. So a Schedule can start a lease, although it adds a time to the
// workflow id.
func (in LeaseFlexClusterInput) violations(workflowID string) []Violation {
	var seconds, id []Violation
	if workflowID == ClusterWorkflowID(in.GroupID, in.Name) {
		id = violation("workflowId", "must not be %q, under which the lease has its cluster made and deleted: use %q",
			workflowID, WorkflowID(in))
	}
	if in.LeaseSeconds < MinLeaseSeconds || in.LeaseSeconds > MaxLeaseSeconds {
		seconds = violation("leaseSeconds", "must be from %d to %d, got %d", MinLeaseSeconds, MaxLeaseSeconds,
			in.LeaseSeconds)
	}
	return slices.Concat(in.Provision().violations(clusterIDPrefix), seconds, id)
}
