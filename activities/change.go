package activities

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/atlas-provisioner/atlas-provisioner/atlasclient"
	"github.com/atlas-provisioner/atlas-provisioner/contract"
)

// change asks Atlas for what a cluster lacks of what is asked, and answers the cluster as Atlas shows it then. It fails
// as Atlas answers; errNotSent says that nothing was sent. beforeSend is called right before.
func (a *Activities) change(
	at *attempt, saw observation, asked contract.Asked, beforeSend func(),
) (observation, error) {
	update := updateFor(saw.result(), asked)
	if asked.Tags == nil && update.Tags != nil {
		// The list that is sent takes the place of the cluster's, so that it must have what somebody changed just now.
		fresh, err := a.observe(at.untilStop, saw.kind, saw.cluster.GroupID, saw.cluster.Name)
		if err != nil {
			return observation{}, err
		}
		update = updateFor(fresh.result(), asked)
	}
	sending, cancel := at.sending(beforeSend)
	defer cancel()
	cluster, response, err := saw.kind.update(a.atlas, sending, saw.cluster.GroupID, saw.cluster.Name, update)
	if err != nil && at.untilStop.Err() != nil && errors.Is(err, context.Canceled) {
		return observation{}, at.interrupted(saw.cluster.Name, saw.cluster.StateName)
	}
	return observation{cluster, response, saw.kind}, err
}

// updateFor is the update that brings a cluster to what is asked. It leaves out what the cluster has already, so that
// nobody's change of that is undone. Tags that are sent always hold the ownership tag: Atlas drops what is not sent.
func updateFor(c contract.Cluster, asked contract.Asked) atlasclient.ClusterUpdate {
	var update atlasclient.ClusterUpdate
	if p := asked.TerminationProtectionEnabled; p != nil && *p != c.TerminationProtectionEnabled {
		update.TerminationProtectionEnabled = p
	}
	asked.Place, asked.TerminationProtectionEnabled = contract.ProviderSettings{}, nil
	if len(asked.Differences(c)) == 0 {
		return update
	}
	tags := asked.Completed(c).Tags
	//mutate:keeps-ownership-tag
	if owner := cmp.Or(asked.Owner, c.Owner()); owner != "" {
		tags = append(slices.Clone(tags), contract.Tag{Key: contract.OwnershipTag, Value: owner})
	}
	update.Tags = append([]atlasclient.Tag{}, atlasTags(tags)...)
	return update
}
