package activities

import (
	"context"
	"errors"
	"time"

	"github.com/atlas-provisioner/atlas-provisioner/atlasclient"
	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/reads"
)

// The methods of the client that read, change and delete a cluster of one kind.
type (
	readCluster func(
		c *atlasclient.Client, ctx context.Context, groupID, name string,
	) (*atlasclient.Cluster, *atlasclient.Response, error)
	updateCluster func(
		c *atlasclient.Client, ctx context.Context, groupID, name string, u atlasclient.ClusterUpdate,
	) (*atlasclient.Cluster, *atlasclient.Response, error)
	deleteCluster func(
		c *atlasclient.Client, ctx context.Context, groupID, name string,
	) (*atlasclient.Response, error)
)

// kind is a kind of cluster: how it is read, changed and deleted, and what its absence looks like.
type kind struct {
	// clusterType is the kind's name in a result.
	clusterType string
	// listed says which list covers clusters of the kind.
	listed reads.Kind
	get    readCluster
	// update and delete are nil where no operation does that to the kind.
	update updateCluster
	delete deleteCluster
	// absent are the codes that say that there is no cluster of the name, or none of this kind.
	absent []string
	// from is the kind that a cluster has before an upgrade makes it one of this kind; nil for none.
	from *kind
}

var (
	flex = kind{
		clusterType: contract.ClusterTypeFlex, listed: reads.Flex, get: (*atlasclient.Client).GetFlexCluster,
		update: (*atlasclient.Client).UpdateFlexCluster, delete: (*atlasclient.Client).DeleteFlexCluster,
		absent: []string{atlasclient.CodeClusterNotFound, atlasclient.CodeNonFlexInFlexAPI},
	}
	dedicated = kind{
		clusterType: contract.ClusterTypeDedicated, listed: reads.Unlisted, get: (*atlasclient.Client).GetCluster,
		update: (*atlasclient.Client).UpdateCluster, delete: (*atlasclient.Client).DeleteCluster,
		absent: clusterAPIAbsent, from: &flex,
	}
	serverless = kind{
		clusterType: contract.ClusterTypeServerless, listed: reads.Unlisted,
		get: (*atlasclient.Client).GetServerlessInstance,
		absent: []string{
			atlasclient.CodeServerlessInstanceNotFound, atlasclient.CodeClusterNotFound,
			atlasclient.CodeClusterInServerlessAPI,
		},
		from: &shared,
	}
	// shared is a shared-tier cluster: M0, M2 or M5. A run begins with one and never ends with one.
	shared = kind{listed: reads.Unlisted, get: (*atlasclient.Client).GetCluster, absent: clusterAPIAbsent}
	// upgradedFlex is a Flex cluster that an M0 is to become. No list shows it before the switch.
	upgradedFlex = func() kind {
		k := flex
		k.listed, k.from = reads.Unlisted, &shared
		return k
	}()

	clusterAPIAbsent = []string{
		atlasclient.CodeClusterNotFound, atlasclient.CodeFlexInClusterAPI, atlasclient.CodeServerlessInClusterAPI,
	}
)

// kindOf is the kind of cluster that a run is to end with.
func kindOf(clusterType string, upgraded bool) kind {
	switch {
	case clusterType == contract.ClusterTypeServerless:
		return serverless
	case clusterType == contract.ClusterTypeDedicated:
		return dedicated
	case upgraded:
		return upgradedFlex
	}
	return flex
}

// becomes reports whether a cluster that is to become one of this kind has become it. What was serverless lives on as
// Flex (https://www.mongodb.com/docs/atlas/flex-migration/).
func (k kind) becomes(clusterType string) bool {
	return clusterType == k.clusterType ||
		k.clusterType == contract.ClusterTypeServerless && clusterType == contract.ClusterTypeFlex
}

// isAbsent reports whether an answer says that there is no cluster of the name, or none of this kind.
func (k kind) isAbsent(err error) bool { return atlasclient.IsError(err, k.absent...) }

// observation is what a look at a cluster saw.
type observation struct {
	cluster  *atlasclient.Cluster
	response *atlasclient.Response
	kind     kind
}

// result is the cluster as the contract has it.
func (o observation) result() contract.Cluster {
	return resultOf(o.cluster, o.kind.clusterType, o.response)
}

// youngerThan reports whether the cluster is no older than the age. Its age is taken by Atlas's own clock, which the
// answer tells, so that it need not agree with Temporal's; now stands in where the answer does not tell it.
func (o observation) youngerThan(age time.Duration, now time.Time) bool {
	if !o.response.Date.IsZero() {
		now = o.response.Date
	}
	return now.Sub(o.cluster.CreateDate) <= age
}

// observe reads a cluster as one of a kind.
func (a *Activities) observe(ctx context.Context, k kind, groupID, name string) (observation, error) {
	cluster, response, err := k.get(a.atlas, ctx, groupID, name)
	return observation{cluster, response, k}, err
}

// isTenant reports whether the cluster is a shared-tier one, or on its way from there to Flex.
func (o observation) isTenant() bool {
	p := o.cluster.ProviderSettings.ProviderName
	return p == atlasclient.ProviderTenant || p == contract.ClusterTypeFlex
}

// errBetweenKinds is for a moment of an upgrade in which Atlas shows the cluster as neither kind, though there is one.
var errBetweenKinds = errors.New("neither kind of cluster is shown at the moment, as it can be during an upgrade")

// isOfAnotherKind reports whether an answer says that there is a cluster of the name, of another kind than was asked
// about.
func isOfAnotherKind(err error) bool {
	return atlasclient.IsError(err, atlasclient.CodeFlexInClusterAPI, atlasclient.CodeServerlessInClusterAPI,
		atlasclient.CodeNonFlexInFlexAPI, atlasclient.CodeClusterInServerlessAPI)
}

// observeUntilItBecomes reads a cluster as one of the kind that it is to become, and otherwise as what it still is.
func (a *Activities) observeUntilItBecomes(
	ctx context.Context, target kind, groupID, name string,
) (observation, error) {
	saw, err := a.observe(ctx, target, groupID, name)
	if !target.isAbsent(err) || target.from == nil {
		return saw, err
	}
	before, beforeErr := a.observe(ctx, *target.from, groupID, name)
	switch {
	case target.clusterType == serverless.clusterType &&
		atlasclient.IsError(beforeErr, atlasclient.CodeFlexInClusterAPI):
		return a.observe(ctx, flex, groupID, name) // what was serverless lives on as Flex
	case !target.from.isAbsent(beforeErr), !isOfAnotherKind(err) && !isOfAnotherKind(beforeErr):
		return before, beforeErr
	}
	saw, err = a.observe(ctx, target, groupID, name) // it switched between the two reads
	//mutate:between-kinds
	if target.isAbsent(err) {
		return saw, errBetweenKinds
	}
	return saw, err
}

// observeWhileUpgrading reads a cluster that was seen last as what it is before its upgrade: as that first, which saves
// a request while the upgrade runs.
func (a *Activities) observeWhileUpgrading(
	ctx context.Context, target kind, groupID, name string,
) (observation, error) {
	saw, err := a.observe(ctx, *target.from, groupID, name)
	if err == nil && saw.cluster.StateName == contract.StateUpdating || err != nil && !target.from.isAbsent(err) {
		return saw, err
	}
	return a.observeUntilItBecomes(ctx, target, groupID, name)
}

// observeAny reads a Flex, dedicated or shared-tier cluster.
func (a *Activities) observeAny(ctx context.Context, groupID, name string) (observation, error) {
	saw, err := a.observe(ctx, flex, groupID, name)
	if !flex.isAbsent(err) {
		return saw, err
	}
	return a.observeNonFlex(ctx, groupID, name)
}

// observeNonFlex reads a dedicated or shared-tier cluster, where a look a moment ago found that none is Flex.
func (a *Activities) observeNonFlex(ctx context.Context, groupID, name string) (observation, error) {
	saw, err := a.observe(ctx, dedicated, groupID, name)
	if atlasclient.IsError(err, atlasclient.CodeFlexInClusterAPI) { // it was made between the two reads
		return a.observe(ctx, flex, groupID, name)
	}
	return saw, err
}
