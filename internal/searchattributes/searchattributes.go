// Package searchattributes reads which of the contract's search attributes a namespace has, for the worker, which sets
// them, and for `starter doctor`.
package searchattributes

import (
	"context"
	"errors"
	"strings"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"github.com/atlas-provisioner/atlas-provisioner/contract"
)

// Names are the search attributes of the contract. Each must be of type Keyword.
var Names = []string{
	contract.SearchAttributeProjectID, contract.SearchAttributeClusterName, contract.SearchAttributeClusterState,
}

// Types answers the types of those of the contract's search attributes that the namespace has. The list of them is for
// operators, and Temporal Cloud gives it to no worker. Whoever may start workflows may count them, which tells only
// whether an attribute is there: it is then taken for a Keyword.
func Types(ctx context.Context, c client.Client, namespace string) (map[string]enumspb.IndexedValueType, error) {
	list, err := c.OperatorService().ListSearchAttributes(ctx,
		&operatorservice.ListSearchAttributesRequest{Namespace: namespace})
	if err == nil {
		return list.GetCustomAttributes(), nil
	}
	types := map[string]enumspb.IndexedValueType{}
	for _, name := range Names {
		_, err := c.CountWorkflow(ctx, &workflowservice.CountWorkflowExecutionsRequest{Query: name + " = ''"})
		var unknown *serviceerror.InvalidArgument
		switch {
		case err == nil:
			types[name] = enumspb.INDEXED_VALUE_TYPE_KEYWORD
		case !errors.As(err, &unknown):
			return nil, err
		}
	}
	return types, nil
}

// AddCommand is the command that adds search attributes to a namespace of one's own Temporal.
func AddCommand(namespace string, names ...string) string {
	return "temporal operator search-attribute create --type Keyword --name " + strings.Join(names, " --name ") +
		" --namespace " + namespace
}
