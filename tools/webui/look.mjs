// Looks at the Web UI as an operator does, in a real browser. It fails unless
// each page says what it should, and takes a picture of each.
//
//   node look.mjs WEB_UI_URL PROJECT_ID FOLDER
//
// playwright-core 1.61 is the last version that runs on Debian's Node.js (18).
//
// In the project the cluster "orders" is done, "payments" is CREATING and has
// been looked at more than once, "billing" was refused for want of a payment
// method, and "invoices" was made, updated and deleted; see internal/docs.

import { join } from 'node:path';
import { chromium } from 'playwright-core';

const [ui, project, folder] = process.argv.slice(2);
const patience = 120_000; // milliseconds; far beyond what is needed
const width = 1400;

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync'],
});
const context = await browser.newContext({ viewport: { width, height: 800 }, timezoneId: 'UTC' });
context.setDefaultTimeout(patience);
// The columns that the gear under the list adds; the Web UI keeps them here.
await context.addInitScript((columns) => {
  localStorage.setItem('namespace-workflow-table-columns', JSON.stringify({ default: columns.map((label) => ({ label })) }));
}, ['Status', 'AtlasClusterName', 'AtlasClusterState', 'Type', 'Start', 'Workflow ID']);
const page = await context.newPage();

// text is all that the page shows; Markdown is in frames of its own.
async function text() {
  const all = await Promise.all(page.frames().map((f) => f.locator('body').innerText({ timeout: 5_000 }).catch(() => '')));
  return all.join('\n').replace(/\s+/g, ' ');
}

// shows waits until the page says all that is wanted, and loads it again now and
// then where it has to be newer.
async function shows(what, wanted, reload = false) {
  let said = '';
  const end = Date.now() + patience;
  for (let look = 1; Date.now() < end; look++) {
    said = await text();
    if (wanted.every((w) => (w instanceof RegExp ? w.test(said) : said.includes(w)))) return;
    await page.waitForTimeout(250);
    if (reload && look % 20 === 0) await page.reload();
  }
  throw new Error(`${what} lacks one of ${wanted.join(' | ')}; it says:\n${said}`);
}

async function picture(name, height = 800) {
  await page.setViewportSize({ width, height });
  await page.screenshot({ path: join(folder, name) });
}

const workflows = `${ui}/namespaces/default/workflows`;
const run = (name) => `atlas-cluster-${project}-${name}`;
const open = (name, tab) => page.goto(`${workflows}/${run(name)}`).then(() => page.getByRole('tab', { name: tab }).click());

try {
  // The list, by project: which clusters there are, and how each is.
  await page.goto(`${workflows}?query=${encodeURIComponent(`AtlasProjectId="${project}"`)}`);
  await shows('the list', [
    'AtlasClusterName', 'AtlasClusterState', '6 Workflows',
    /Completed orders IDLE ProvisionFlexCluster /, /Running payments CREATING ProvisionFlexCluster /, /Failed billing /,
    /Completed invoices IDLE ProvisionFlexCluster /, /Completed invoices IDLE UpdateFlexCluster /,
    /Completed invoices DELETED DeleteCluster /,
  ], true);
  await picture('web-ui-list.png', 560);
  // And by state.
  await page.goto(`${workflows}?query=${encodeURIComponent(`AtlasProjectId="${project}" AND AtlasClusterState="CREATING"`)}`);
  await shows('the list by state', ['1 Workflow', run('payments')], true);

  // A run that waits: state, since when, the last look and the next.
  await open('payments', 'Pending Activities');
  await shows('the pending activity', [
    /Attempt ([2-9]|\d\d) of Unlimited/, 'Next Retry', 'Last Attempt Completed Time',
    /"message": "cluster \\"payments\\": CREATING for [\dm]+s; next look in \d+s"/, /"stateName": "CREATING", "since": "\d{4}-/,
  ], true);
  await picture('web-ui-waiting.png', 1000);
  await page.getByRole('tab', { name: 'User Metadata' }).click();
  await shows('the user metadata of a run that waits', [
    'Provision Flex cluster payments in AWS US_EAST_1', `Project: ${project}`, 'Cluster: payments', 'Where: AWS US_EAST_1', 'Time limit: 30m0s',
    'Wait until cluster payments is IDLE',
    /Atlas is creating Flex cluster “payments”\. The last answer was CREATING, at [\d:]{8} UTC on [\d-]{10}\. Waiting until it is IDLE: newer answers, since when, and the next look stand under Pending Activities\./,
  ]);

  // A run that failed: what Atlas answered and what to do, wherever one looks.
  const refused = 'Atlas answered 402 NO_PAYMENT_INFORMATION_FOUND (No payment information was found for group.): '
    + 'add a payment method to the organization, then start the workflow again';
  await page.goto(`${workflows}/${run('billing')}`);
  await shows('the history of a failed run', [`"message": "cluster \\"billing\\": ${refused}`, `Failure Message cluster "billing": ${refused}`]);
  await page.getByRole('tab', { name: 'User Metadata' }).click();
  await shows('the user metadata of a failed run', [`cluster “billing”: ${refused}.`, 'Create Flex cluster billing in AWS US_EAST_1']);
  await picture('web-ui-failed.png');

  // A run that is done.
  await open('orders', 'User Metadata');
  await shows('the user metadata of a run that is done', ['Completed', 'Cluster “orders” is IDLE (CREATED).']);

  // The newest run of a cluster that is deleted, with the result, and the run before it.
  await page.goto(`${workflows}/${run('invoices')}`);
  await shows('the history of a delete', ['"stateName": "DELETED"', '"outcome": "DELETED"', 'FindCluster', 'DeleteCluster']);
  await page.getByRole('tab', { name: 'User Metadata' }).click();
  await shows('the user metadata of a delete', [
    'Delete cluster invoices', 'Find out whose cluster invoices is, and its id', 'Delete cluster invoices and wait until it is gone',
    'Cluster “invoices” is gone (DELETED).',
  ]);
  const updates = `AtlasClusterName="invoices" AND WorkflowType="UpdateFlexCluster"`;
  await page.goto(`${workflows}?query=${encodeURIComponent(updates)}`);
  await page.getByRole('link', { name: run('invoices') }).first().click();
  await page.getByRole('tab', { name: 'User Metadata' }).click();
  await shows('the user metadata of an update', [
    'Update Flex cluster invoices', 'Tags: team=billing', 'Cluster “invoices” is IDLE and as asked (UPDATED).',
  ]);
} catch (err) {
  await picture('web-ui-error.png').catch(() => {});
  console.error(String(err));
  process.exitCode = 1;
} finally {
  await browser.close();
}
