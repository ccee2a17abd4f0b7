// Package activities holds the activities of atlas-provisioner: for each operation one that asks Atlas, and one that
// waits. Each leaves retrying to Temporal; each says in its failure what Atlas answered and what to do next.
//
// An operation has a file of its own, with what is sent and a pure function that decides what is to be done about what
// was found. What operations share: an [attempt], kinds of cluster, ownership, goals of a wait, classification, advice.
package activities

import (
	"time"

	"github.com/atlas-provisioner/atlas-provisioner/atlasclient"
	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/reads"
)

// Activities are the activities of one worker. Every exported method is one: the worker registers them by name.
type Activities struct {
	atlas *atlasclient.Client
	reads *reads.Reads
	pace  Pace
}

// New makes the activities of a worker. The waits of a project share their reads.
func New(atlas *atlasclient.Client, shared *reads.Reads, pace Pace) *Activities {
	return &Activities{atlas: atlas, reads: shared, pace: pace.withDefaults()}
}

// madeByThisRun reports whether a cluster is no older than the run. Its age is taken by Atlas's own clock (the answer's
// Date) and the run's by Temporal's, so that the two need not agree; both of Atlas's times are in whole seconds.
func madeByThisRun(c *atlasclient.Cluster, resp *atlasclient.Response, started, now time.Time) bool {
	atlasNow := resp.Date
	if atlasNow.IsZero() {
		atlasNow = now
	}
	return atlasNow.Sub(c.CreateDate) <= now.Sub(started)+time.Second
}

// resultOf is the cluster as the contract has it.
func resultOf(c *atlasclient.Cluster, clusterType string, resp *atlasclient.Response) contract.Cluster {
	out := contract.Cluster{
		ID: c.ID, GroupID: c.GroupID, Name: c.Name, ClusterType: clusterType,
		StateName: c.StateName, MongoDBVersion: c.MongoDBVersion, CreateDate: c.CreateDate,
		ConnectionStrings:            contract.ConnectionStrings(c.ConnectionStrings),
		ProviderSettings:             contract.ProviderSettings(c.ProviderSettings),
		Tags:                         []contract.Tag{},
		TerminationProtectionEnabled: c.TerminationProtectionEnabled,
		Warnings:                     append([]string{}, resp.Warnings...),
	}
	for _, t := range c.Tags {
		out.Tags = append(out.Tags, contract.Tag(t))
	}
	return out
}

func atlasTags(tags []contract.Tag) []atlasclient.Tag {
	var out []atlasclient.Tag
	for _, t := range tags {
		out = append(out, atlasclient.Tag(t))
	}
	return out
}
