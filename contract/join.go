package contract

import (
	"fmt"
	"strings"
	"unicode"
)

const (
	// JoinUpdate is the update by which a caller joins the run of a workflow. Its first argument is the input of the
	// workflow, and the second, which may be left out, is the workflow type that the caller wants; answer: [Joined]. It
	// is refused with INVALID_INPUT or REQUEST_CONFLICT.
	//
	// Workflows of different types run under one id, and some of their inputs look alike. So a caller names the type,
	// or compares the type in the answer.
	JoinUpdate = "join"

	// NexusService is the name of the worker's Nexus service; see [Operation.NexusOperation].
	NexusService = "atlas-provisioner"
)

// Joined is the answer to the update [JoinUpdate].
type Joined struct {
	WorkflowID string `json:"workflowId"`
	RunID      string `json:"runId"`
	// WorkflowType is the type of the workflow that runs.
	WorkflowType string `json:"workflowType"`
}

// NexusOperation is the name of the operation of [NexusService] that runs the workflow: the workflow type with a small
// first letter.
func (o Operation) NexusOperation() string {
	first := []rune(o.WorkflowType)
	first[0] = unicode.ToLower(first[0])
	return string(first)
}

// ConflictError says that a run has another request than the one that wants to join it. It is what becomes the failure
// [RequestConflict].
type ConflictError struct {
	WorkflowID string
	// WorkflowType is the type of the workflow that runs.
	WorkflowType string
	Differences  []Difference
}

// Error names the workflow that runs and each difference.
func (e *ConflictError) Error() string {
	return fmt.Sprintf("a different request runs under workflow id %q (%s): %s. It was left alone: wait for its end, "+
		"cancel it, or ask for the same", e.WorkflowID, e.WorkflowType, ListDifferences(e.Differences))
}

// Running is a run that others may join.
type Running struct {
	WorkflowID   string
	WorkflowType string
	// Input is the JSON that the run was started with.
	Input []byte
}

// Join holds a request against the one of the run. It fails with a [*ConflictError] where they differ. The time limit
// is not compared.
func (r Running) Join(request Request) error {
	asked := request.Operation()
	if asked.WorkflowType != r.WorkflowType {
		return r.conflictOfTypes(asked.WorkflowType)
	}
	existing, err := asked.Parse(r.Input, r.WorkflowID)
	if err != nil { // the run is about to fail by itself, and is not this request
		return r.conflict(Difference{Field: "input", Requested: "a valid request", Existing: "an invalid one"})
	}
	return r.conflict(Differences(request.Fields(), existing.Fields())...)
}

// JoinRaw is [Running.Join] for a request as it came in. workflowType is the type that the caller wants; "" where the
// caller did not say. It fails with an [*InputError] where the input is none of that type.
func (r Running) JoinRaw(workflowType string, input []byte) error {
	if workflowType != "" && workflowType != r.WorkflowType {
		return r.conflictOfTypes(workflowType)
	}
	operation, _ := OperationOf(r.WorkflowType)
	request, err := operation.Parse(input, r.WorkflowID)
	if err == nil {
		return r.Join(request)
	}
	if workflowType == "" {
		if others := r.othersThatTake(input); len(others) > 0 {
			return r.conflictOfTypes(strings.Join(others, " or "))
		}
	}
	return err
}

// othersThatTake are the types of the workflows that may run under the same id and take this input.
func (r Running) othersThatTake(input []byte) (out []string) {
	running, _ := OperationOf(r.WorkflowType)
	for _, o := range operations {
		if o.WorkflowType == r.WorkflowType || o.IDPrefix != running.IDPrefix {
			continue
		}
		if _, err := o.Parse(input, r.WorkflowID); err == nil {
			out = append(out, o.WorkflowType)
		}
	}
	return out
}

func (r Running) conflictOfTypes(requested string) error {
	return r.conflict(Difference{Field: "workflowType", Requested: requested, Existing: r.WorkflowType})
}

// conflict is nil where there is no difference.
func (r Running) conflict(differences ...Difference) error {
	if len(differences) == 0 {
		return nil
	}
	return &ConflictError{WorkflowID: r.WorkflowID, WorkflowType: r.WorkflowType, Differences: differences}
}
