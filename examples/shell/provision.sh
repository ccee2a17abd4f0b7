#!/bin/sh
# Provisions a Flex cluster with temporal and jq alone: starts the workflow or joins it, follows it, and reads its
# result or its failure.
#
#   examples/shell/provision.sh 32b6e34b3d91647abb20e7b8 orders AWS US_EAST_1
#
# Temporal's own variables say where it is: TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE.
set -eu
[ $# = 4 ] || { echo "usage: $0 PROJECT_ID NAME AWS|AZURE|GCP REGION" >&2; exit 2; }

# get reads JSON with jq. Not by echo: that of dash turns the \n in a JSON text into a line end.
get() { printf '%s\n' "$1" | jq -r "$2"; }

# One id for a cluster: nothing else happens to it meanwhile. The update "join" is sent with the start. Where a run is
# there, it joins one of the same request, and refuses any other. A worker must be up.
id=atlas-cluster-$1-$2
input=$(jq -n --arg project "$1" --arg name "$2" --arg cloud "$3" --arg region "$4" \
	'{groupId: $project, name: $name, providerSettings: {backingProviderName: $cloud, regionName: $region}}')
joined=$(temporal workflow execute-update-with-start --task-queue atlas-provisioning --type ProvisionFlexCluster \
	--workflow-id "$id" --id-conflict-policy UseExisting --input "$input" \
	--update-name join --update-input "$input" --update-input '"ProvisionFlexCluster"' \
	--static-summary "Provision Flex cluster $2" -o json --log-level error --log-format json 2>&1) || {
	# The type of the failure stands at the end of the message: REQUEST_CONFLICT or INVALID_INPUT.
	printf '%s\n' "$joined" | jq -Rr '(fromjson? | .msg) // .' |
		sed 's/^unable to update workflow: \(.*\) (type: \([A-Z_]*\), retryable: false)$/\2: \1/' >&2
	exit 2
}
run_id=$(get "$joined" .updateResult.runId)

# While it runs, the newest state is in the heartbeat of its pending activity.
last=
while
	run=$(temporal workflow describe --workflow-id "$id" --run-id "$run_id" -o json)
	[ "$(get "$run" .workflowExecutionInfo.status)" = WORKFLOW_EXECUTION_STATUS_RUNNING ]
do
	state=$(get "$run" '.pendingActivities[0].heartbeatDetails[0].stateName // empty')
	[ "$state" = "$last" ] || echo "$id: $state" >&2
	last=$state
	sleep 1
done

# It fails when the workflow did.
end=$(temporal workflow result --workflow-id "$id" --run-id "$run_id" -o json --log-level never) || true
case $(get "$end" .status) in
COMPLETED)
	get "$end" '.result | "\(.name) is \(.stateName) (\(.outcome)): \(.connectionStrings.standardSrv)"'
	exit
	;;
FAILED) failure=$(get "$end" .closeEvent.workflowExecutionFailedEventAttributes.failure) ;;
*) get "$end" '"the run ended as \(.status)"' >&2; exit 1 ;;
esac

# The message says what happened and what to do; the type is for programs.
type=$(get "$failure" .applicationFailureInfo.type)
printf '%s: %s\n' "$type" "$(get "$failure" .message)" >&2
[ "$type" = CLUSTER_CONFLICT ] || exit 1
get "$failure" '.applicationFailureInfo.details[0].differences[]
	| "  \(.field): requested \(.requested), there is \(.existing)"' >&2
exit 1
