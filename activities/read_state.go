package activities

import (
	"context"

	"github.com/atlas-provisioner/atlas-provisioner/atlasclient"
)

// ReadInput is the input of ReadState.
type ReadInput struct {
	GroupID string `json:"groupId"`
	Name    string `json:"name"`
	// ClusterType is the kind that the cluster is to become: FLEX or SERVERLESS.
	ClusterType string `json:"clusterType"`
}

// ReadState reads the state of a cluster once; "" where there is no such cluster. It fails as Atlas answers.
func (a *Activities) ReadState(ctx context.Context, in ReadInput) (string, error) {
	target := kindOf(in.ClusterType)
	saw, err := a.observeUntilItBecomes(ctx, target, in.GroupID, in.Name)
	switch {
	case target.isAbsent(err):
		return "", nil
	case err != nil:
		return "", failure(in.Name, "", err, 0)
	}
	return saw.cluster.StateName, nil
}

// observeUntilItBecomes reads a cluster as one of the kind that it is to become, and otherwise as what it still is.
func (a *Activities) observeUntilItBecomes(
	ctx context.Context, target kind, groupID, name string,
) (observation, error) {
	observe := func(k kind) (observation, error) { return a.observe(ctx, k, groupID, name) }
	saw, err := observe(target)
	if !target.isAbsent(err) || target.clusterType == flex.clusterType {
		return saw, err
	}
	saw, err = observe(shared) // until the switch only the cluster API knows it
	switch {
	case atlasclient.IsError(err, atlasclient.CodeServerlessInClusterAPI): // it switched between the two reads
		return observe(target)
	case atlasclient.IsError(err, atlasclient.CodeFlexInClusterAPI): // what was serverless lives on as Flex
		return observe(flex)
	}
	return saw, err
}
