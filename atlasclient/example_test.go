package atlasclient_test

import (
	"context"
	"fmt"
	"log"
	"net/http/httptest"

	"github.com/atlas-provisioner/atlas-provisioner/atlasclient"
	"github.com/atlas-provisioner/atlas-provisioner/internal/atlassim"
)

// Create a Flex cluster. The answer comes at once; whoever needs the cluster reads it until it is IDLE.
func Example() {
	atlas, stop := simulator() // in place of Atlas
	defer stop()
	c, err := atlasclient.New(atlasclient.Options{
		BaseURL: atlas, Auth: atlasclient.APIKey{PublicKey: "public", PrivateKey: "private"},
	})
	if err != nil {
		log.Fatal(err)
	}
	cluster, _, err := c.CreateFlexCluster(context.Background(), group, atlasclient.FlexClusterRequest{
		Name:             "orders",
		ProviderSettings: atlasclient.ProviderSettings{BackingProviderName: "AWS", RegionName: "US_EAST_1"},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(cluster.Name, cluster.StateName)

	// Output: orders CREATING
}

// Every failure is an [atlasclient.Error], with the error code of Atlas where the answer has one.
func ExampleIsError() {
	atlas, stop := simulator() // in place of Atlas
	defer stop()
	c, err := atlasclient.New(atlasclient.Options{
		BaseURL: atlas, Auth: atlasclient.APIKey{PublicKey: "public", PrivateKey: "private"},
	})
	if err != nil {
		log.Fatal(err)
	}
	_, _, err = c.GetFlexCluster(context.Background(), group, "nothing")
	if atlasclient.IsError(err, atlasclient.CodeClusterNotFound) {
		fmt.Println("there is no such cluster")
	}

	// Output: there is no such cluster
}

// simulator serves a simulator of Atlas that knows one API key.
func simulator() (url string, stop func()) {
	config := atlassim.DefaultConfig()
	config.PublicKey, config.PrivateKey = "public", "private"
	sim, err := atlassim.New(config)
	if err != nil {
		log.Fatal(err)
	}
	server := httptest.NewServer(sim)
	return server.URL, server.Close
}
