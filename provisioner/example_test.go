package provisioner_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
	"github.com/atlas-provisioner/atlas-provisioner/provisioner"
)

// Ask for a cluster and wait for it. Whoever crashed on the way asks again.
func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	// temporalClient is yours: what client.Dial answers.
	p := provisioner.New(temporalClient(), provisioner.Options{})
	cluster, err := p.Execute(ctx, contract.ProvisionFlexClusterInput{
		GroupID: "32b6e34b3d91647abb20e7b8", Name: "orders",
		ProviderSettings: contract.ProviderSettings{BackingProviderName: "AWS", RegionName: "US_EAST_1"},
		Tags:             []contract.Tag{{Key: "team", Value: "orders"}},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(cluster.Name, cluster.StateName, cluster.Outcome)
	// cluster.ConnectionStrings.StandardSrv is where it is.

	// Output: orders IDLE CREATED
}

// What to do about a failure is a matter of its type.
func ExampleFailure() {
	ctx := context.Background()
	p := provisioner.New(temporalClient(), provisioner.Options{})
	_, err := p.Execute(ctx, contract.ProvisionFlexClusterInput{
		GroupID: "32b6e34b3d91647abb20e7b8", Name: "taken", // by a cluster of somebody else's
		ProviderSettings: contract.ProviderSettings{BackingProviderName: "AWS", RegionName: "US_EAST_1"},
	})
	var failure *provisioner.Failure
	switch {
	case err == nil:
		fmt.Println("done")
	case !errors.As(err, &failure):
		fmt.Println("Temporal did not answer, or ctx ended; a run that was started goes on:", err)
	case failure.Retryable():
		fmt.Println("the same request may succeed later:", failure.Message)
	case failure.Type == contract.ClusterConflict:
		fmt.Println("choose another name")
	case failure.Type == contract.InvalidInput:
		for _, v := range failure.Details.Violations {
			fmt.Println(v.Field, v.Problem)
		}
	default: // Atlas's errorCode, such as NO_PAYMENT_INFORMATION_FOUND
		fmt.Println(failure.Type, failure.Details.Status, failure.Message)
	}

	// Output: choose another name
}

// Start a run and look at it now and then, instead of waiting.
func ExampleClient_Start() {
	ctx := context.Background()
	p := provisioner.New(temporalClient(), provisioner.Options{})
	in := contract.ProvisionFlexClusterInput{
		GroupID: "32b6e34b3d91647abb20e7b8", Name: "slow",
		ProviderSettings: contract.ProviderSettings{BackingProviderName: "GCP", RegionName: "CENTRAL_US"},
	}
	run, err := p.Start(ctx, in)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(run.WorkflowID)
	if again, err := p.Start(ctx, in); err == nil {
		fmt.Println("joined:", again.Joined, again.RunID == run.RunID)
	}
	other := in
	other.ProviderSettings.RegionName = "EUROPE_WEST_1"
	var refused *provisioner.Failure
	if _, err := p.Start(ctx, other); errors.As(err, &refused) { // the run is left alone
		fmt.Println(refused.Type, refused.Details.Differences)
	}
	status, err := p.Status(ctx, run.WorkflowID, run.RunID)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(status.State)
	// status.Pending is what it is at: attempt, state of the cluster, next attempt.

	if err := p.Cancel(ctx, run.WorkflowID, run.RunID); err != nil {
		log.Fatal(err)
	}
	_, err = p.Result(ctx, run.WorkflowID, run.RunID)
	fmt.Println(err)

	// Output:
	// atlas-cluster-32b6e34b3d91647abb20e7b8-slow
	// joined: true true
	// REQUEST_CONFLICT [providerSettings.regionName is "CENTRAL_US", requested "EUROPE_WEST_1"]
	// RUNNING
	// CANCELED: the run was cancelled; what Atlas has begun goes on
}

// MongoDB retired this upgrade, so be ready for VERSION_GONE.
func ExampleClient_Execute_upgrade() {
	p := provisioner.New(temporalClient(), provisioner.Options{})
	cluster, err := p.Execute(context.Background(), contract.UpgradeToServerlessInput{
		GroupID: "32b6e34b3d91647abb20e7b8", Name: "legacy",
		ProviderSettings: contract.ProviderSettings{BackingProviderName: "AWS", RegionName: "US_EAST_1"},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(cluster.Name, cluster.ClusterType, cluster.Outcome)

	// Output: legacy SERVERLESS UPGRADED
}
