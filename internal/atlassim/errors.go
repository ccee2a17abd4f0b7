package atlassim

import (
	"fmt"
	"net/http"
)

// apiError is an Atlas error answer. Atlas fills the parameters into a fixed text for each code, so the constructors
// below do the same.
type apiError struct {
	status int
	code   string
	detail string
	params []any // nil is sent as null (recorded)
	header http.Header
}

// failf builds an error whose text is the format filled with its parameters.
func failf(status int, code, format string, params ...any) *apiError {
	return &apiError{status: status, code: code, detail: fmt.Sprintf(format, params...), params: params}
}

// answer renders the error the way Atlas does: detail, error, errorCode, parameters and reason, with X-Error-Code
// (recorded).
func (e *apiError) answer() *answer {
	header := http.Header{}
	for k, v := range e.header {
		header[k] = v
	}
	header.Set("X-Error-Code", e.code)
	return &answer{status: e.status, code: e.code, header: header, contentType: "application/json",
		body: marshal(map[string]any{
			"detail": e.detail, "error": e.status, "errorCode": e.code,
			"parameters": e.params, "reason": http.StatusText(e.status),
		})}
}

// Request errors (docs, but where the comment says otherwise).

func errMissing(attribute string) *apiError {
	return failf(400, "MISSING_ATTRIBUTE", "The required attribute %s was not specified.", attribute)
}

func errInvalid(attribute string) *apiError {
	return failf(400, "INVALID_ATTRIBUTE", "Invalid attribute %s specified.", attribute)
}

func errQuery(parameter string) *apiError {
	return failf(400, "INVALID_QUERY_PARAMETER", "Invalid query parameter %s specified.", parameter)
}

func errMalformed() *apiError {
	return failf(400, "MALFORMED_JSON", "Received JSON is malformed.")
}

func errJSONAttribute(attribute string) *apiError {
	return failf(400, "INVALID_JSON_ATTRIBUTE",
		"Received JSON for the %s attribute does not match expected format.", attribute)
}

func errProvider(provider string) *apiError {
	return failf(400, "INVALID_PROVIDER", "No provider %s exists.", provider)
}

func errRegion(region, provider string) *apiError {
	return failf(400, "INVALID_REGION", "No region %s exists for provider %s.", region, provider)
}

// The text and status are from public reports, the null parameters assumed.
func errVersionDate() *apiError {
	return failf(406, "INVALID_VERSION_DATE", "Invalid accept header or version date.")
}

// Parameters [version, path without its leading slash] (public runs).
func errVersionGone(version, path string) *apiError {
	return failf(410, "VERSION_GONE", "Version %s of %s is no longer available.", version, path)
}

func errResource(path string) *apiError {
	return failf(404, "RESOURCE_NOT_FOUND", "Cannot find resource %s.", path)
}

// Project errors.

func errGroup(id string) *apiError {
	return failf(404, "GROUP_NOT_FOUND", "No group with ID %s exists.", id)
}

func errGroupID(id string) *apiError {
	return failf(404, "INVALID_GROUP_ID", "An invalid group ID %s was specified.", id)
}

func errNotInGroup() *apiError {
	return failf(401, "NOT_IN_GROUP", "The current user is not in the group, or the group does not exist.")
}

// Cluster errors.

func errNotFound(name, group string) *apiError { // recorded
	return failf(404, "CLUSTER_NOT_FOUND", "No cluster named %s exists in group %s.", name, group)
}

func errServerlessNotFound(name, group string) *apiError { // the text is assumed
	return failf(404, "SERVERLESS_INSTANCE_NOT_FOUND",
		"No serverless instance named %s exists in group %s.", name, group)
}

func errFlexInClusterAPI(name string) *apiError { // recorded
	return failf(400, "CANNOT_USE_FLEX_CLUSTER_IN_CLUSTER_API",
		"Flex cluster %s cannot be used in the Cluster API.", name)
}

func errNonFlexInFlexAPI(name string) *apiError { // recorded
	return failf(400, "CANNOT_USE_NON_FLEX_CLUSTER_IN_FLEX_API",
		"Cannot use non-flex cluster %s in the flex API.", name)
}

func errServerlessInClusterAPI(name string) *apiError { // the text is assumed
	return failf(400, "CANNOT_USE_SERVERLESS_INSTANCE_IN_CLUSTER_API",
		"Serverless instance %s cannot be used in the Cluster API.", name)
}

func errClusterInServerlessAPI(name string) *apiError { // the text is assumed
	return failf(400, "CANNOT_USE_CLUSTER_IN_SERVERLESS_INSTANCE_API",
		"Cluster %s cannot be used in the Serverless Instance API.", name)
}

// A taken name is 400, not 409, "cluster or serverless instance NAME" is one parameter, and the detail has one word
// more than that (public runs).
func errDuplicate(name, group string) *apiError {
	return &apiError{status: 400, code: "DUPLICATE_CLUSTER_NAME",
		detail: fmt.Sprintf("A cluster or serverless instance named %s is already present in group %s.", name, group),
		params: []any{"cluster or serverless instance " + name, group}}
}

func errDuplicatePrefix(name string) *apiError {
	return failf(400, "DUPLICATE_CLUSTER_NAME_PREFIX",
		"Cluster name %s cannot have same first %d characters as another cluster name in same group.", name, hostPrefix)
}

func errNamePrefix(name, prefix string) *apiError {
	return failf(400, "CLUSTER_NAME_PREFIX_INVALID",
		"Cluster name %q is invalid. Atlas truncates cluster names to %d characters which results in an invalid "+
			"hostname due to a trailing \"-\" in the generated cluster name prefix %q.", name, hostPrefix, prefix)
}

func errNameChars(name string) *apiError {
	return failf(400, "CLUSTER_NAME_INVALID",
		"The cluster name %s is invalid. The name can only contain ASCII letters, numbers, and hyphens.", name)
}

func errNameLong(name string) *apiError {
	return failf(400, "CLUSTER_NAME_TOO_LONG", "Cluster name %s is limited to %d characters.", name, maxName)
}

// Text and parameter are the same sentence (public runs).
func errNameHeld() *apiError {
	return failf(400, "CONTAINER_WAITING_FOR_FAST_RECORD_CLEAN_UP", "%s",
		"A transient error occurred. Please try again in a minute or use a different name.")
}

// ATLAS_GENERAL_ERROR says what it means only in its text (public runs).
func errGeneral(reason string) *apiError {
	return failf(400, "ATLAS_GENERAL_ERROR", "Reason: %s.", reason)
}

// From public runs for a Flex cluster; that the cluster API answers the same is assumed.
func errDeleting() *apiError { return errGeneral("Cluster already requested to be deleted") }

// A protected Flex cluster is refused by a general error whose text names termination protection (public runs); the
// words are assumed.
func errFlexProtected() *apiError {
	return errGeneral("Cannot terminate a cluster when termination protection is enabled")
}

// The code and the status are from public runs, the text is assumed.
func errPaused(name string) *apiError {
	return failf(409, "CANNOT_UPDATE_PAUSED_CLUSTER",
		"Cannot update cluster %s while it is paused or being paused.", name)
}

// The parameter is one sentence of the detail (public runs).
func errSecondFree() *apiError {
	return failf(400, "CANNOT_CREATE_FREE_CLUSTER_VIA_PUBLIC_API",
		"Cannot create a cluster with instance size M0 via the public api: %s",
		"This project has reached the limit for the number of free clusters.")
}

const disableAndTryAgain = "Disable termination protection and try again."

// A protected cluster of the cluster API. The detail and the parameter are two different sentences (recorded).
func errProtected(name, group string) *apiError {
	return &apiError{status: 400, code: "CANNOT_TERMINATE_CLUSTER_WHEN_TERMINATION_PROTECTION_ENABLED",
		detail: "Cannot terminate a cluster when termination protection is enabled. " + disableAndTryAgain,
		params: []any{fmt.Sprintf("Cannot terminate cluster %s in group %s because termination protection is "+
			"enabled. %s", name, group, disableAndTryAgain)}}
}

// Parameters [path, seconds, capacity, refill, period] (public runs).
func errRateLimited(path string, after, capacity, refill int) *apiError {
	e := failf(429, "RATE_LIMITED_TOKEN_BUCKET", "Rate limit exceeded for %s. Please retry after %d seconds. "+
		"Request capacity: %d. Refill rate: %d per %d seconds.",
		path, after, capacity, refill, 60)
	e.header = http.Header{"Retry-After": {fmt.Sprint(after)}}
	return e
}
