package activities

import (
	"context"
	"slices"

	"github.com/atlas-provisioner/atlas-provisioner/atlasclient"
)

// ReadInput is the input of ReadState.
type ReadInput struct {
	GroupID string `json:"groupId"`
	Name    string `json:"name"`
	// ClusterType is the kind that the cluster is to become: FLEX, DEDICATED or SERVERLESS; "" for any.
	ClusterType string `json:"clusterType"`
	// Upgraded says that it becomes so by an upgrade from another kind.
	Upgraded bool `json:"upgraded,omitempty"`
}

// ReadState reads the state of a cluster once; "" where there is no such cluster. It fails as Atlas answers.
func (a *Activities) ReadState(ctx context.Context, in ReadInput) (string, error) {
	var saw observation
	var err error
	if in.ClusterType == "" {
		saw, err = a.observeAny(ctx, in.GroupID, in.Name)
	} else {
		saw, err = a.observeUntilItBecomes(ctx, kindOf(in.ClusterType, in.Upgraded), in.GroupID, in.Name)
	}
	switch {
	case atlasclient.IsError(err, notThere...):
		return "", nil
	case err != nil:
		return "", failure(in.Name, "", err, 0)
	}
	return saw.cluster.StateName, nil
}

// notThere are the codes that say that there is no cluster of the name, or none of a kind that was looked for.
var notThere = slices.Concat(flex.absent, shared.absent, serverless.absent)
