// Provisions a Flex cluster from TypeScript: starts the workflow or joins it, follows it, and reads its result or its
// failure. It needs a Temporal server and a worker, and no Atlas credentials.
//
//   npm ci && npm start -- 32b6e34b3d91647abb20e7b8 orders AWS US_EAST_1
//
// The types are made from contract/schema by `npm run types`.

import { setTimeout } from 'node:timers/promises';
import {
  ApplicationFailure, Client, Connection, defaultPayloadConverter, WithStartWorkflowOperation, WorkflowFailedError,
  WorkflowUpdateFailedError, type WorkflowHandle,
} from '@temporalio/client';
import type { Cluster } from './types/Cluster.js';
import type { FailureDetails } from './types/FailureDetails.js';
import type { Joined } from './types/Joined.js';
import type { ProvisionFlexClusterInput } from './types/ProvisionFlexClusterInput.js';
import type { WaitProgress } from './types/WaitProgress.js';

type Provision = (input: ProvisionFlexClusterInput) => Promise<Cluster>;
type Cloud = ProvisionFlexClusterInput['providerSettings']['backingProviderName'];

// start begins the workflow, or joins the run of the same request. There is one id for a cluster, so that nothing else
// happens to it meanwhile: keep it as it is here. The update `join` is sent with the start. It fails with
// REQUEST_CONFLICT where another request runs, which is left alone.
async function start(client: Client, input: ProvisionFlexClusterInput): Promise<WorkflowHandle<Provision>> {
  const startWorkflowOperation = new WithStartWorkflowOperation<Provision>('ProvisionFlexCluster', {
    taskQueue: 'atlas-provisioning',
    workflowId: `atlas-cluster-${input.groupId}-${input.name}`,
    workflowIdConflictPolicy: 'USE_EXISTING',
    staticSummary: `Provision Flex cluster ${input.name}`,
    args: [input],
  });
  const joined: Joined = await client.workflow.executeUpdateWithStart('join', {
    startWorkflowOperation, args: [input, 'ProvisionFlexCluster'],
  });
  return client.workflow.getHandle<Provision>(joined.workflowId, joined.runId);
}

// follow prints each change of the cluster's state until the run ends.
async function follow(handle: WorkflowHandle<Provision>): Promise<void> {
  for (let last = ''; ; await setTimeout(1000)) {
    const { status, raw } = await handle.describe();
    if (status.name !== 'RUNNING') return;
    // While the run waits, the newest state is in its activity's heartbeat.
    const heartbeat = raw.pendingActivities?.[0]?.heartbeatDetails?.payloads?.[0];
    const state = heartbeat && defaultPayloadConverter.fromPayload<WaitProgress>(heartbeat).stateName;
    if (state && state !== last) console.error(`${handle.workflowId}: ${last = state}`);
  }
}

// advise says what a failure means. Its type is one of the README's, or Atlas's own error code; its message always says
// what to do next.
function advise(failure: ApplicationFailure): void {
  const details = failure.details?.[0] as FailureDetails | undefined;
  console.error(`${failure.type}: ${failure.message}`);
  switch (failure.type) {
    case 'INVALID_INPUT':
      for (const v of details?.violations ?? []) console.error(`  correct ${v.field}: it ${v.problem}`);
      break;
    case 'CLUSTER_CONFLICT':
    case 'REQUEST_CONFLICT':
      for (const d of details?.differences ?? [])
        console.error(`  ${d.field}: requested ${d.requested}, there is ${d.existing}`);
      break;
    case 'TIMEOUT':
      console.error(`  still ${details?.stateName}: run this again to go on waiting`);
      break;
  }
}

async function main(groupId = '', name = '', cloud = '', regionName = ''): Promise<number> {
  const connection = await Connection.connect({ address: process.env.TEMPORAL_ADDRESS ?? 'localhost:7233' });
  try {
    const client = new Client({ connection, namespace: process.env.TEMPORAL_NAMESPACE ?? 'default' });
    const handle = await start(client, {
      groupId, name, providerSettings: { backingProviderName: cloud as Cloud, regionName },
    });
    await follow(handle);
    try {
      const cluster = await handle.result();
      const address = cluster.connectionStrings.standardSrv;
      console.log(`${cluster.name} is ${cluster.stateName} (${cluster.outcome}): ${address}`);
      return 0;
    } catch (err) {
      if (!(err instanceof WorkflowFailedError && err.cause instanceof ApplicationFailure)) throw err;
      advise(err.cause);
      return 1;
    }
  } finally {
    await connection.close();
  }
}

try {
  process.exitCode = await main(...process.argv.slice(2));
} catch (err) {
  if (err instanceof WorkflowUpdateFailedError && err.cause instanceof ApplicationFailure) {
    advise(err.cause);
    process.exitCode = 2;
  } else {
    console.error(`Temporal did not answer as expected: ${err}`); // where it is: TEMPORAL_ADDRESS
    process.exitCode = 3;
  }
}
