package activities

import (
	"context"
	"time"

	"github.com/atlas-provisioner/atlas-provisioner/atlasclient"
	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/reads"
)

// readCluster is a method of the client that reads a cluster of one kind.
type readCluster func(
	c *atlasclient.Client, ctx context.Context, groupID, name string,
) (*atlasclient.Cluster, *atlasclient.Response, error)

// kind is a kind of cluster: how it is read, and what its absence looks like.
type kind struct {
	// clusterType is the kind's name in a result.
	clusterType string
	// listed says which list covers clusters of the kind.
	listed reads.Kind
	get    readCluster
	// absent are the codes that say that there is no cluster of the name, or none of this kind.
	absent []string
}

var (
	flex = kind{
		clusterType: contract.ClusterTypeFlex, listed: reads.Flex, get: (*atlasclient.Client).GetFlexCluster,
		absent: []string{atlasclient.CodeClusterNotFound, atlasclient.CodeNonFlexInFlexAPI},
	}
	serverless = kind{
		clusterType: contract.ClusterTypeServerless, listed: reads.Unlisted,
		get: (*atlasclient.Client).GetServerlessInstance,
		absent: []string{
			atlasclient.CodeServerlessInstanceNotFound, atlasclient.CodeClusterNotFound,
			atlasclient.CodeClusterInServerlessAPI,
		},
	}
	// shared is a shared-tier cluster: M0, M2 or M5. A run begins with one and never ends with one.
	shared = kind{
		listed: reads.Unlisted, get: (*atlasclient.Client).GetCluster,
		absent: []string{
			atlasclient.CodeClusterNotFound, atlasclient.CodeFlexInClusterAPI, atlasclient.CodeServerlessInClusterAPI,
		},
	}
)

// kindOf is the kind of cluster that a run is to end with.
func kindOf(clusterType string) kind {
	if clusterType == contract.ClusterTypeServerless {
		return serverless
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
