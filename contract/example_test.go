package contract_test

import (
	"errors"
	"fmt"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
)

// A request that came in as JSON is checked before anything is started: every field that is wrong is named.
func ExampleParse() {
	const workflowID = "atlas-cluster-32b6e34b3d91647abb20e7b8-orders"
	_, err := contract.Parse[contract.ProvisionFlexClusterInput]([]byte(`{
		"groupId": "32b6e34b3d91647abb20e7b8", "name": "orders", "timeoutSeconds": 0,
		"providerSettings": {"backingProviderName": "IBM", "regionName": "US_EAST_1"}
	}`), workflowID)
	var invalid *contract.InputError
	if errors.As(err, &invalid) {
		for _, v := range invalid.Violations {
			fmt.Println(v)
		}
	}

	// Output:
	// providerSettings.backingProviderName must be AWS, AZURE or GCP, got "IBM"
	// timeoutSeconds must be from 1 to 86400, got 0
}

// Every operation on a cluster runs under one workflow id, which is how a run is found again.
func ExampleWorkflowID() {
	fmt.Println(contract.WorkflowID(contract.ProvisionFlexClusterInput{
		GroupID: "32b6e34b3d91647abb20e7b8", Name: "orders",
	}))
	cluster, ok := contract.ClusterOfWorkflowID("atlas-cluster-32b6e34b3d91647abb20e7b8-orders")
	fmt.Println(cluster.GroupID, cluster.Name, ok)

	// Output:
	// atlas-cluster-32b6e34b3d91647abb20e7b8-orders
	// 32b6e34b3d91647abb20e7b8 orders true
}

// Two requests are the same where their fields are. The time limit is not among these.
func ExampleDifferences() {
	limit := 60
	first := contract.ProvisionFlexClusterInput{
		GroupID: "32b6e34b3d91647abb20e7b8", Name: "orders", TimeoutSeconds: &limit,
		ProviderSettings: contract.ProviderSettings{BackingProviderName: "AWS", RegionName: "US_EAST_1"},
	}
	second := first
	second.TimeoutSeconds = nil
	second.Tags = []contract.Tag{{Key: "team", Value: "orders"}}
	fmt.Println(contract.ListDifferences(contract.Differences(second.Fields(), first.Fields())))

	// Output: tags.team is none, requested "orders"
}
