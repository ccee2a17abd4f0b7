package starter

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/workflow"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
)

// named is a command line that names the cluster "orders", and more.
func (s *stack) named(command string, more ...string) []string {
	return append([]string{command, "--project-id", s.project, "--name", "orders"}, more...)
}

// How each verb tells its result to people, alone and as one of many.
func TestResultsOfChanges(t *testing.T) {
	t.Parallel()
	const id = "6a1b2c3d4e5f6a1b2c3d4e5f"
	flex := contract.Cluster{
		ID: id, Name: "orders", ClusterType: contract.ClusterTypeFlex, StateName: contract.StateIdle,
		MongoDBVersion:    "8.0.29",
		ConnectionStrings: contract.ConnectionStrings{StandardSrv: "mongodb+srv://orders"},
		ProviderSettings:  contract.ProviderSettings{BackingProviderName: "AWS", RegionName: "US_EAST_1"},
		Tags: []contract.Tag{
			{Key: "team", Value: "orders"}, {Key: contract.OwnershipTag, Value: "atlas-cluster-mine"},
		},
		Warnings: []string{},
	}
	dedicated := flex
	dedicated.ClusterType, dedicated.ProviderSettings.InstanceSizeName = contract.ClusterTypeDedicated, "M10"
	outcome := func(c contract.Cluster, o contract.Outcome) contract.Cluster {
		c.Outcome = o
		if o == contract.Deleted {
			c.StateName = contract.StateDeleted
		}
		return c
	}
	bare := outcome(flex, contract.Updated)
	bare.Tags, bare.TerminationProtectionEnabled = []contract.Tag{}, true
	gone := contract.Cluster{Name: "orders", StateName: contract.StateDeleted, Outcome: contract.Unchanged}
	const (
		foot     = "Id         ID\nWorkflow   atlas-cluster-PROJECT-orders\nWeb UI     " + webUILink + "\n"
		flexHead = "Cluster    orders (FLEX, MongoDB VERSION) is "
	)
	for _, test := range []struct {
		name    string
		args    []string
		cluster contract.Cluster
		want    string
		line    string
	}{
		{"updated", []string{"update-flex", "--tag", "team=orders"}, outcome(flex, contract.Updated),
			flexHead + "IDLE: UPDATED\nConnect    mongodb+srv://orders\nWhere      AWS US_EAST_1\n" +
				"Tags       team=orders, atlas-provisioner-workflow=atlas-cluster-mine\nProtected  no\n" + foot,
			"UPDATED mongodb+srv://orders"},
		{"updated to no tags", []string{"update-flex", "--no-tags"}, bare,
			flexHead + "IDLE: UPDATED\nConnect    mongodb+srv://orders\nWhere      AWS US_EAST_1\n" +
				"Tags       none\nProtected  yes\n" + foot, "UPDATED mongodb+srv://orders"},
		{"deleted", []string{"delete", "--yes"}, outcome(flex, contract.Deleted),
			flexHead + "gone: DELETED\nWhere      AWS US_EAST_1\n" + foot, "DELETED ID"},
		{"gone already", []string{"delete", "--yes"}, gone,
			"Cluster    orders is gone: UNCHANGED\nWorkflow   atlas-cluster-PROJECT-orders\nWeb UI     " + webUILink +
				"\n", "UNCHANGED it was gone already"},
		{"upgraded", []string{"upgrade-to-dedicated", "--provider", "AWS", "--region", "US_EAST_1",
			"--instance-size", "M10"}, outcome(dedicated, contract.Upgraded),
			"Cluster    orders (DEDICATED, MongoDB VERSION) is IDLE: UPGRADED\nConnect    mongodb+srv://orders\n" +
				"Where      AWS US_EAST_1 M10\n" + foot, "UPGRADED mongodb+srv://orders"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := setupWithoutWorker(t, atlassim.Config{})
			flows := map[string]any{}
			for _, o := range contract.Operations() {
				flows[o.WorkflowType] = func(workflow.Context, struct{}) (contract.Cluster, error) {
					return test.cluster, nil
				}
			}
			s.startFakes(flows, nil)
			args := append(s.named(test.args[0], "--wait"), test.args[1:]...)
			out := s.run(args...)
			require.Equal(t, 0, out.code, out.stderr)
			require.Equal(t, test.want, out.stdout)
			require.Equal(t, output{stdout: test.want}, s.run("result", s.clusterID()))
			out = s.run("watch", s.clusterID(), s.clusterID())
			require.Equal(t, 0, out.code)
			require.Equal(t, "COMPLETED  atlas-cluster-PROJECT-orders  "+test.line+"\n", out.stdout)
		})
	}
}

// A request that runs already is joined by the same one of its verb, and by no other.
func TestJoinOfChanges(t *testing.T) {
	t.Parallel()
	s := setupWithoutWorker(t, atlassim.Config{})
	noTags := s.named("update-flex", "--no-tags")
	require.Equal(t, output{stdout: started("Started", webUILink)}, s.run(noTags...))
	require.Equal(t, output{stdout: started("Joined", webUILink)}, s.run(append(noTags, "--timeout", "1h")...))
	const conflict = `starter: REQUEST_CONFLICT: a different request runs under workflow id ` +
		`"atlas-cluster-PROJECT-orders" (UpdateFlexCluster): %s. It was left alone: wait for its end, cancel it, or ` +
		"ask for the same\n"
	for _, test := range []struct {
		args []string
		want string
	}{
		{s.named("update-flex", "--termination-protection=true"), `tags is "an empty list", requested none; ` +
			`terminationProtectionEnabled is none, requested "true"`},
		{s.named("update-flex", "--tag", "a=b"), `tags is "an empty list", requested none; ` +
			`tags.a is none, requested "b"`},
		{s.named("update-flex", "--no-tags", "--adopt"), `adopt is "false", requested "true"`},
		{s.named("delete", "--yes"), "workflowType is UpdateFlexCluster, requested DeleteCluster"},
	} {
		require.Equal(t, output{code: 2, stderr: fmt.Sprintf(conflict, test.want)}, s.run(test.args...))
	}
	s.lists("STATUS   COMMAND      STATE  AGE  CLUSTER  PROJECT                   WORKFLOW ID\n"+
		"RUNNING  update-flex  -      Ns  orders   PROJECT  atlas-cluster-PROJECT-orders\n", "--project-id", s.project)
}
