// Package workflows holds the workflows of atlas-provisioner. Each checks its input, asks Atlas, waits until the
// cluster is IDLE, and answers it. What they share is in [run]; each has a file of its own with what is particular to
// it.
//
// A change to this package must replay the histories in testdata.
package workflows

import (
	"reflect"

	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/atlas-provisioner/atlas-provisioner/activities"
	"github.com/atlas-provisioner/atlas-provisioner/contract"
)

// Workflows are the workflows of one worker. The exported methods that take an input are workflows: each has the name
// of its type.
type Workflows struct {
	// SearchAttributes answers the names of the search attributes that the server takes now; nil for none. A run
	// records each answer that differs from the one before.
	SearchAttributes func() []string
}

// Register registers the workflow of each operation in the table of operations, and the one that checks the worker.
func (w *Workflows) Register(registry worker.WorkflowRegistry) {
	methods := reflect.ValueOf(w)
	for _, operation := range contract.Operations() {
		method := methods.MethodByName(operation.WorkflowType)
		registry.RegisterWorkflowWithOptions(method.Interface(), workflow.RegisterOptions{Name: operation.WorkflowType})
	}
	registry.RegisterWorkflowWithOptions(w.CheckWorker, workflow.RegisterOptions{Name: contract.CheckWorker})
}

// activityMethods only lends the names of its methods.
var activityMethods *activities.Activities
