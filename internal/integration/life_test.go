package integration

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
	"github.com/atlas-provisioner/atlas-provisioner/internal/testenv"
)

// The whole life of a cluster: an M0 becomes Flex, its tags change, it becomes dedicated, and it is deleted.
func TestLife(t *testing.T) {
	t.Parallel()
	s := setup(t, withShared(t, atlassim.Config{
		UpgradeFor: atlassim.Duration(time.Second), StaleIdleFor: atlassim.Duration(200 * time.Millisecond),
		DeleteFor: atlassim.Duration(time.Second),
	}))
	name := testenv.ClusterName(t)
	place := flex(t).ProviderSettings
	tags := []contract.Tag{{Key: "team", Value: "orders"}}

	cluster, err := execute(s, contract.UpgradeToFlexInput{
		GroupID: project, Name: name, ProviderSettings: place, Tags: tags,
	})
	require.NoError(t, err)
	require.Equal(t, contract.Upgraded, cluster.Outcome)
	require.Equal(t, contract.ClusterTypeFlex, cluster.ClusterType)
	owner := contract.Tag{Key: contract.OwnershipTag, Value: contract.ClusterWorkflowID(project, name)}
	require.ElementsMatch(t, append([]contract.Tag{owner}, tags...), cluster.Tags)

	tags[0].Value = "billing"
	cluster, err = execute(s, contract.UpdateFlexClusterInput{
		GroupID: project, Name: name, Tags: tags, TerminationProtectionEnabled: new(true),
	})
	require.NoError(t, err)
	require.Equal(t, contract.Updated, cluster.Outcome)
	require.ElementsMatch(t, append([]contract.Tag{owner}, tags...), cluster.Tags)
	require.True(t, cluster.TerminationProtectionEnabled)

	place.InstanceSizeName = "M10"
	cluster, err = execute(s, contract.UpgradeToDedicatedInput{GroupID: project, Name: name, ProviderSettings: place})
	require.NoError(t, err)
	require.Equal(t, contract.Upgraded, cluster.Outcome)
	require.Equal(t, contract.ClusterTypeDedicated, cluster.ClusterType)
	require.Equal(t, "M10", cluster.ProviderSettings.InstanceSizeName)
	require.ElementsMatch(t, append([]contract.Tag{owner}, tags...), cluster.Tags)
	require.True(t, cluster.TerminationProtectionEnabled)

	_, err = execute(s, contract.DeleteClusterInput{GroupID: project, Name: name})
	require.Equal(t, contract.ClusterProtected, testenv.Failure(t, err).Type)
	gone, err := execute(s, contract.DeleteClusterInput{
		GroupID: project, Name: name, RemoveTerminationProtection: true,
	})
	require.NoError(t, err)
	require.Equal(t, contract.Deleted, gone.Outcome)
	require.Equal(t, contract.StateDeleted, gone.StateName)
	require.Equal(t, cluster.ID, gone.ID)
	require.Empty(t, s.Sim.Clusters())
}
