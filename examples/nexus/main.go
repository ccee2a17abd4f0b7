// Provisions a Flex cluster from another team's namespace: a workflow of that team calls the Nexus service of
// atlas-provisioner. The team needs no access to the namespace of atlas-provisioner, and no Atlas credentials.
//
//	TEMPORAL_NAMESPACE=callers go run ./examples/nexus 32b6e34b3d91647abb20e7b8 orders AWS US_EAST_1
//
// docs/callers.md says how the namespace and the endpoint are made.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/envconfig"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
)

const (
	// endpoint is the Nexus endpoint that leads to the worker of atlas-provisioner.
	endpoint = "atlas-provisioner"
	// taskQueue is the team's own.
	taskQueue = "orders-team"
)

// SetUpOrders is a workflow of the team, which needs a cluster among other things. A cancellation of it cancels the
// provision.
func SetUpOrders(ctx workflow.Context, request contract.ProvisionFlexClusterInput) (contract.Cluster, error) {
	var cluster contract.Cluster
	service := workflow.NewNexusClient(endpoint, contract.NexusService)
	err := service.ExecuteOperation(ctx, "provisionFlexCluster", request, workflow.NexusOperationOptions{
		Summary: request.Summary(),
	}).Get(ctx, &cluster)
	return cluster, err
}

func main() {
	if len(os.Args) != 5 {
		fmt.Fprintf(os.Stderr, "usage: %s PROJECT_ID NAME AWS|AZURE|GCP REGION\n", os.Args[0])
		os.Exit(2)
	}
	request := contract.ProvisionFlexClusterInput{
		GroupID: os.Args[1], Name: os.Args[2],
		ProviderSettings: contract.ProviderSettings{BackingProviderName: os.Args[3], RegionName: os.Args[4]},
	}
	cluster, err := run(context.Background(), request)
	if err != nil {
		advise(err)
		os.Exit(1)
	}
	fmt.Printf("%s is %s (%s): %s\n", cluster.Name, cluster.StateName, cluster.Outcome,
		cluster.ConnectionStrings.StandardSrv)
}

// run runs the team's worker and its workflow. In production these are two programs.
func run(ctx context.Context, request contract.ProvisionFlexClusterInput) (cluster contract.Cluster, err error) {
	c, err := client.Dial(envconfig.MustLoadDefaultClientOptions())
	if err != nil {
		return cluster, err
	}
	defer c.Close()
	w := worker.New(c, taskQueue, worker.Options{})
	w.RegisterWorkflow(SetUpOrders)
	if err := w.Start(); err != nil {
		return cluster, err
	}
	defer w.Stop()
	run, err := c.ExecuteWorkflow(ctx, client.StartWorkflowOptions{TaskQueue: taskQueue}, SetUpOrders, request)
	if err != nil {
		return cluster, err
	}
	err = run.Get(ctx, &cluster)
	return cluster, err
}

// advise says what a failure means. Its type is INVALID_INPUT, REQUEST_CONFLICT or that of a workflow's failure, and
// its message says what to do.
func advise(err error) {
	var failure *temporal.ApplicationError
	if !errors.As(err, &failure) {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	fmt.Fprintf(os.Stderr, "%s: %s\n", failure.Type(), failure.Message())
	var details contract.FailureDetails
	if failure.HasDetails() && failure.Details(&details) == nil {
		for _, d := range details.Differences {
			fmt.Fprintf(os.Stderr, "  %s: requested %s, there is %s\n", d.Field, d.Requested, d.Existing)
		}
	}
}
