package contract

import "slices"

// Failure types of our own. Every other failure of a workflow has Atlas's errorCode as its type (VALIDATION_ERROR,
// NO_PAYMENT_INFORMATION_FOUND, …), or HTTP_<status> where the answer has none.
const (
	// InvalidInput: the input is wrong; no request was made.
	InvalidInput = "INVALID_INPUT"
	// ClusterConflict: a cluster of that name is not ours, or not as asked.
	ClusterConflict = "CLUSTER_CONFLICT"
	// ClusterProtected: the cluster was to be deleted, and its termination protection is on.
	ClusterProtected = "CLUSTER_PROTECTED"
	// ClusterGone: the cluster was deleted while we waited for something else.
	ClusterGone = "CLUSTER_GONE"
	// Timeout: not done within timeoutSeconds.
	Timeout = "TIMEOUT"
	// AtlasUnreachable: no answer (refused, reset, timed out, TLS).
	AtlasUnreachable = "ATLAS_UNREACHABLE"
	// AtlasBadResponse: an answer that cannot be read (truncated, too long, not JSON).
	AtlasBadResponse = "ATLAS_BAD_RESPONSE"

	// NotYet is the type of the benign failure with which an attempt of an activity that waits ends while the cluster
	// is not as it is waited for. It never fails a workflow.
	NotYet = "NOT_YET"
	// RequestConflict: a different request runs under the workflow id. It is how a start, the update [JoinUpdate] and a
	// Nexus operation fail. Of the workflows only [LeaseFlexCluster] fails with it, where a different request runs
	// under the workflow id of its cluster.
	RequestConflict = "REQUEST_CONFLICT"
)

// transientCodes are Atlas's codes of a 4xx that passes by itself. They were seen in MongoDB's own tools, which retry
// them (https://github.com/mongodb/terraform-provider-mongodbatlas).
var transientCodes = []string{
	"CONTAINER_WAITING_FOR_FAST_RECORD_CLEAN_UP", // the name was freed a moment ago
	"WRITES_NOT_ALLOWED_DURING_APP_UPGRADES",
	"DEFAULT_CONFIG_LIMIT_EXCEPTION",
}

// Transient reports whether an answer of Atlas, by its HTTP status and its errorCode, passes by itself: a 5xx, 408,
// 425, 429, or a code that Atlas calls so. The worker tries those again.
func Transient(status int, errorCode string) bool {
	//mutate:transient-4xx
	//mutate:final-4xx
	//mutate:transient-5xx
	return status >= 500 || status == 408 || status == 425 || status == 429 ||
		slices.Contains(transientCodes, errorCode)
}

// FailureDetails are the details of every failure: one object. What no answer of Atlas is behind has status 0 and empty
// strings.
type FailureDetails struct {
	// Status is the HTTP status of Atlas's answer.
	Status    int    `json:"status"`
	ErrorCode string `json:"errorCode"`
	Reason    string `json:"reason"`
	Detail    string `json:"detail"`
	Method    string `json:"method"`
	Path      string `json:"path"`
	// Parameters of Atlas's error, where it has any.
	Parameters []string `json:"parameters,omitempty"`
	// StateName is the last state seen, in a TIMEOUT or CLUSTER_GONE.
	StateName string `json:"stateName,omitempty"`
	// Violations are the fields that are wrong, in an INVALID_INPUT.
	Violations []Violation `json:"violations,omitempty"`
	// Differences are the fields that differ, in a CLUSTER_CONFLICT or REQUEST_CONFLICT.
	Differences []Difference `json:"differences,omitempty"`
}
