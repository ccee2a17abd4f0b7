#!/bin/sh
# Provisions a Flex cluster with temporal and jq alone: starts the workflow, follows it, and reads its result or its
# failure.
#
#   examples/shell/provision.sh 32b6e34b3d91647abb20e7b8 orders AWS US_EAST_1
#
# Temporal's own variables say where it is: TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE.
set -eu
[ $# = 4 ] || { echo "usage: $0 PROJECT_ID NAME AWS|AZURE|GCP REGION" >&2; exit 2; }

# get reads JSON with jq. Not by echo: that of dash turns the \n in a JSON text into a line end.
get() { printf '%s\n' "$1" | jq -r "$2"; }

# One id for a cluster: a second start joins what runs, and nothing else happens to the cluster meanwhile.
id=atlas-cluster-$1-$2
input=$(jq -n --arg project "$1" --arg name "$2" --arg cloud "$3" --arg region "$4" \
	'{groupId: $project, name: $name, providerSettings: {backingProviderName: $cloud, regionName: $region}}')
temporal workflow start --task-queue atlas-provisioning --type ProvisionFlexCluster \
	--workflow-id "$id" --id-conflict-policy UseExisting --input "$input" \
	--static-summary "Provision Flex cluster $2" >/dev/null

# What runs under the id may be another workflow: it is left alone.
type=$(temporal workflow describe --workflow-id "$id" -o json | jq -r .workflowExecutionInfo.type.name)
[ "$type" = ProvisionFlexCluster ] || { echo "REQUEST_CONFLICT: $type runs under $id: wait for its end" >&2; exit 2; }

# While it runs, the newest state is in the heartbeat of its pending activity.
last=
while
	run=$(temporal workflow describe --workflow-id "$id" -o json)
	[ "$(get "$run" .workflowExecutionInfo.status)" = WORKFLOW_EXECUTION_STATUS_RUNNING ]
do
	state=$(get "$run" '.pendingActivities[0].heartbeatDetails[0].stateName // empty')
	[ "$state" = "$last" ] || echo "$id: $state" >&2
	last=$state
	sleep 1
done

end=$(temporal workflow result --workflow-id "$id" -o json --log-level never) || true # fails when the workflow did
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
case $type in
INVALID_INPUT) details='.violations[] | "  correct \(.field): it \(.problem)"' ;;
CLUSTER_CONFLICT) details='.differences[] | "  \(.field): requested \(.requested), there is \(.existing)"' ;;
*) exit 1 ;;
esac
get "$failure" ".applicationFailureInfo.details[0] | $details" >&2
exit 1
