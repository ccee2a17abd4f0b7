package contract

import (
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Operation is one thing that can be done to a cluster: a workflow type and everything that is derived from it.
type Operation struct {
	// WorkflowType is the name of the workflow, as callers type it.
	WorkflowType string
	// Activity is the type of the activity that asks Atlas, as the history shows it; "" for an operation that has
	// others do it.
	Activity string
	// Command is the starter's command.
	Command string
	// Verb says in words what Atlas is asked to do, such as "create the Flex cluster".
	Verb string
	// Phase is the phase of a run while Atlas is asked.
	Phase Phase
	// ClusterType is the kind of cluster that a run ends with, "" for any.
	ClusterType string
	// IDPrefix begins the workflow id, which goes on with the project and the name of the cluster. Operations with the
	// same prefix exclude one another: Temporal runs one workflow at a time under an id.
	IDPrefix string
	// DefaultTimeout is the time limit of a run whose request names none.
	DefaultTimeout time.Duration
	// Input is the zero value of the request, by which its Go type is known.
	Input Request
}

const (
	// clusterIDPrefix is that of every operation that changes a cluster.
	clusterIDPrefix = "atlas-cluster-"
	// leaseIDPrefix is that of a lease, which has others change its cluster.
	leaseIDPrefix = "atlas-lease-"
)

var operations = []Operation{
	{
		WorkflowType:   ProvisionFlexCluster,
		Activity:       CreateFlexClusterActivity,
		Command:        "provision-flex",
		Verb:           "create the Flex cluster",
		Phase:          PhaseCreating,
		ClusterType:    ClusterTypeFlex,
		IDPrefix:       clusterIDPrefix,
		DefaultTimeout: DefaultProvisionTimeout,
		Input:          ProvisionFlexClusterInput{},
	},
	{
		WorkflowType:   UpdateFlexCluster,
		Activity:       UpdateFlexClusterActivity,
		Command:        "update-flex",
		Verb:           "update the Flex cluster",
		Phase:          PhaseUpdating,
		ClusterType:    ClusterTypeFlex,
		IDPrefix:       clusterIDPrefix,
		DefaultTimeout: DefaultUpdateTimeout,
		Input:          UpdateFlexClusterInput{},
	},
	{
		WorkflowType:   DeleteCluster,
		Activity:       DeleteClusterActivity,
		Command:        "delete",
		Verb:           "delete the cluster",
		Phase:          PhaseDeleting,
		IDPrefix:       clusterIDPrefix,
		DefaultTimeout: DefaultDeleteTimeout,
		Input:          DeleteClusterInput{},
	},
	{
		WorkflowType:   UpgradeToFlex,
		Activity:       UpgradeToFlexActivity,
		Command:        "upgrade-to-flex",
		Verb:           "upgrade the cluster to Flex",
		Phase:          PhaseUpgrading,
		ClusterType:    ClusterTypeFlex,
		IDPrefix:       clusterIDPrefix,
		DefaultTimeout: DefaultUpgradeTimeout,
		Input:          UpgradeToFlexInput{},
	},
	{
		WorkflowType:   UpgradeToDedicated,
		Activity:       UpgradeToDedicatedActivity,
		Command:        "upgrade-to-dedicated",
		Verb:           "upgrade the cluster to dedicated",
		Phase:          PhaseUpgrading,
		ClusterType:    ClusterTypeDedicated,
		IDPrefix:       clusterIDPrefix,
		DefaultTimeout: DefaultUpgradeTimeout,
		Input:          UpgradeToDedicatedInput{},
	},
	{
		WorkflowType:   UpgradeToServerless,
		Activity:       UpgradeToServerlessActivity,
		Command:        "upgrade-to-serverless",
		Verb:           "upgrade the cluster to serverless",
		Phase:          PhaseUpgrading,
		ClusterType:    ClusterTypeServerless,
		IDPrefix:       clusterIDPrefix,
		DefaultTimeout: DefaultUpgradeTimeout,
		Input:          UpgradeToServerlessInput{},
	},
	{
		WorkflowType:   LeaseFlexCluster,
		Command:        "lease-flex",
		Verb:           "lease the Flex cluster",
		Phase:          PhaseCreating,
		ClusterType:    ClusterTypeFlex,
		IDPrefix:       leaseIDPrefix,
		DefaultTimeout: DefaultProvisionTimeout,
		Input:          LeaseFlexClusterInput{},
	},
}

// Operations is the table of operations: everything that can be done to a cluster.
func Operations() []Operation { return slices.Clone(operations) }

// OperationOf finds the operation of a workflow type.
func OperationOf(workflowType string) (Operation, bool) {
	return findOperation(func(o Operation) bool { return o.WorkflowType == workflowType })
}

// OperationOfActivity finds the operation whose activity, of that type, asks Atlas.
func OperationOfActivity(activityType string) (Operation, bool) {
	return findOperation(func(o Operation) bool { return o.Activity != "" && o.Activity == activityType })
}

func findOperation(is func(Operation) bool) (Operation, bool) {
	i := slices.IndexFunc(operations, is)
	if i < 0 {
		return Operation{}, false
	}
	return operations[i], true
}

// ClusterRef names a cluster: names are unique within a project.
type ClusterRef struct{ GroupID, Name string }

// Request asks for an operation on a cluster. The inputs of the workflows are requests.
type Request interface {
	// Operation is what is asked for.
	Operation() Operation
	// Cluster is the cluster that it is asked for.
	Cluster() ClusterRef
	// Timeout is the time limit of the run, the operation's default filled in.
	Timeout() time.Duration
	// Fields are the fields that make two requests the same, by name, with defaults filled in. The time limit is not
	// among them.
	Fields() Fields
	// Summary is the request in one line, for people.
	Summary() string

	violations(workflowID string) []Violation
}

// Validate checks a request and fails with an [*InputError] that names every field that is wrong. workflowID is the
// run's own: it becomes the value of the ownership tag.
func Validate(r Request, workflowID string) error { return inputError(r.violations(workflowID)) }

// Parse reads and checks a request as it came in; see [Validate].
func Parse[R Request](data []byte, workflowID string) (R, error) {
	var request R
	decoded := decode(data, reflect.ValueOf(&request).Elem())
	return request, inputError(decoded.merge(request.violations(workflowID)))
}

// Parse reads and checks a request for this operation as it came in; see [Validate].
func (o Operation) Parse(data []byte, workflowID string) (Request, error) {
	return o.parse(data, func(Request) string { return workflowID })
}

// ParseToStart is [Operation.Parse] for a request that is to be started under the id that [WorkflowID] gives it.
func (o Operation) ParseToStart(data []byte) (Request, error) { return o.parse(data, WorkflowID) }

func (o Operation) parse(data []byte, workflowID func(Request) string) (Request, error) {
	value := reflect.New(reflect.TypeOf(o.Input)).Elem()
	decoded := decode(data, value)
	request := value.Interface().(Request)
	return request, inputError(decoded.merge(request.violations(workflowID(request))))
}

// WorkflowID is the workflow id under which the starter and the client helper run the operation on a cluster.
func (o Operation) WorkflowID(c ClusterRef) string { return o.IDPrefix + c.GroupID + "-" + c.Name }

// WorkflowID is the workflow id under which the starter and the client helper run a request. One id for a cluster is
// what makes two starts of one request one run, and keeps two operations from running at once.
func WorkflowID(r Request) string { return r.Operation().WorkflowID(r.Cluster()) }

// ClusterWorkflowID is the workflow id of every operation that changes a cluster.
func ClusterWorkflowID(groupID, name string) string { return clusterIDPrefix + groupID + "-" + name }

// scheduledAt matches the time that a Schedule of Temporal's adds to the workflow id of each run that it starts.
var scheduledAt = regexp.MustCompile(`-\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$`)

// Owner is the value of the ownership tag of a run: its workflow id, without the time that a Schedule adds. So the runs
// of a Schedule own what a run under the id without the time owns. No tag can hold such a time.
func Owner(workflowID string) string { return scheduledAt.ReplaceAllString(workflowID, "") }

// IDPrefixes are the beginnings of the workflow ids that the starter and the client helper use.
func IDPrefixes() []string {
	var out []string
	for _, o := range operations {
		if !slices.Contains(out, o.IDPrefix) {
			out = append(out, o.IDPrefix)
		}
	}
	return out
}

// ClusterOfWorkflowID is the cluster that a workflow id of the starter and the client helper names, also with the time
// that a Schedule adds.
func ClusterOfWorkflowID(id string) (ClusterRef, bool) {
	for _, prefix := range IDPrefixes() {
		rest, ok := strings.CutPrefix(Owner(id), prefix)
		groupID, name, cut := strings.Cut(rest, "-")
		if ok && cut && groupIDPattern.MatchString(groupID) && namePattern.MatchString(name) {
			return ClusterRef{GroupID: groupID, Name: name}, true
		}
	}
	return ClusterRef{}, false
}

func mustOperation(workflowType string) Operation {
	o, ok := OperationOf(workflowType)
	if !ok {
		panic("contract: the table of operations has no row for " + workflowType)
	}
	return o
}
