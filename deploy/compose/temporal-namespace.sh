#!/bin/sh
# Creates the namespace, the search attributes that the workflows set, and the
# Nexus endpoint that leads to the workers of TEMPORAL_TASK_QUEUE. Every step is
# safe to repeat. The temporal CLI takes the server and the namespace from
# TEMPORAL_ADDRESS and TEMPORAL_NAMESPACE; RETENTION is how long a closed workflow
# stays readable.
set -eu

# retry N COMMAND…: runs the command until it succeeds, at most N times.
retry() {
  left=$1
  shift
  until "$@"; do
    left=$((left - 1))
    if [ "$left" -le 0 ]; then
      echo "gave up on: $*" >&2
      return 1
    fi
    sleep 2
  done
}

# An open port is not yet a serving frontend.
retry 60 temporal operator cluster health

# These two take the namespace from the flag only, whatever the environment says.
if ! temporal operator namespace describe --namespace "$TEMPORAL_NAMESPACE" >/dev/null 2>&1; then
  temporal operator namespace create --namespace "$TEMPORAL_NAMESPACE" \
    --retention "$RETENTION" --description "Atlas provisioning"
fi

# A new namespace reaches the frontend's cache some seconds late, hence the retries.
retry 30 temporal operator search-attribute create \
  --name AtlasProjectId --type Keyword \
  --name AtlasClusterName --type Keyword \
  --name AtlasClusterState --type Keyword

if ! temporal operator nexus endpoint get --name atlas-provisioner >/dev/null 2>&1; then
  temporal operator nexus endpoint create --name atlas-provisioner \
    --target-namespace "$TEMPORAL_NAMESPACE" \
    --target-task-queue "${TEMPORAL_TASK_QUEUE:-atlas-provisioning}"
fi

echo "Namespace $TEMPORAL_NAMESPACE is ready."
