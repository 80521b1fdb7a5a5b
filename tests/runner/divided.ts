/** The files that `npm test` runs on one of the runtimes alone. */
import { join } from "node:path";

/**
 * Files that the first runtime runs, by folder: they are about logic that no runtime changes. What they
 * build on, such as streams, crypto, drivers and stores, has tests that run on each, and so have the
 * simulations that put all of it together.
 */
const DIVIDED: Readonly<Record<string, string>> = {
  client: `
    abandoned-stores append closing crashes damaged-received delivery devices documents
    documents-snapshots duplicate-client-id entries envelope equivocation errors expected-heads
    given-up-ids invite kept-heads key-heads lost-operations malicious-server moved-entries named-heads
    operation-size own-entries pairing-attacks pairing-ends pairing-simulation redelivery
    refused-appends replaced-operations response sealer sent-heads snapshot-simulation snapshots
    snapshots-client-ids snapshots-crashes snapshots-lies snapshots-made snapshots-tabs
    snapshots-unstored state status tinybase together withheld-operations
    withholding-simulation yjs yjs-simulation`,
  cluster: "claims leaving many-servers members memory redis-away services",
  commands: "copy copy-under-load doctor killed last-write usage users users-invites verify",
  "commands/conformance": "broken-servers conformance unwell",
  docs: `
    cost cost-at-servers dependencies links monitoring notebook openapi protocol schema security
    upgrade`,
  e2e: `
    cli-answers cli-changes cli-faults cli-invites cli-keys cli-pairing cli-received cli-recovery
    cli-usage notebook-model sorted-notes stored-data`,
  oplog: `
    anomalies appender change checksums client-listings compaction-debt compaction-scheduler
    compaction-timing damaged-objects idle-logs keyed-queue large-listings listing-cache
    listing-versions missing-server names object-cache prefetch reader retention retention-rule semaphore
    sequence superseded-objects`,
  runner: "divided queue turns",
  server: `
    client-address concurrency-limiter config diagnosis guest-processes guests invites json-guard logger
    malformed-signatures metrics prefer required-signatures signatures status strangers`,
  storage: "broken-drivers",
  "storage/journal": "failures held-objects journal reading",
  sync: `
    access address-limiter charges erasure erasure-races new-users quota rate-limiter retention
    shared-rate-limiter snapshots waiters`,
};

/**
 * Files that Node runs for all of them: what they start, such as a browser, a proxy or npm, is the same
 * on each. Where Node is not asked for, they say so.
 */
const OF_NODE: Readonly<Record<string, string>> = {
  client: "folder-io-errors",
  docs: "containerfile prometheus sbom systemd workflows",
  e2e: `
    browser demo deploy doctor documents from-nothing home nginx notebook notebook-account
    notebook-devices notebook-faults notebook-live notebook-notes notebook-offline notebook-pairing
    notebook-recovery notebook-sheet notebook-start proxies several-servers status tabs todo
    yjs-editor`,
  packages: "packages",
  runner: "run",
};

/** Names below `tests/`. */
export const dividedFiles = namesIn(DIVIDED);
export const filesOfNode = namesIn(OF_NODE);

function namesIn(folders: Readonly<Record<string, string>>): readonly string[] {
  return Object.entries(folders).flatMap(([folder, names]) =>
    names
      .trim()
      .split(/\s+/)
      .map((name) => join(folder, `${name}.test.ts`)),
  );
}

const divided = new Set(dividedFiles);
const ofNode = new Set(filesOfNode);

/**
 * The files that a runtime runs beside others, in their order.
 *
 * @param files names below `tests/`
 * @param runtime one of the running ones
 * @param running all that run. The first one has what they divide: that takes Bun, with which
 * `tests/run.ts` begins, half the CPU of any other
 */
export function filesOf(
  files: readonly string[],
  runtime: string,
  running: readonly string[],
): string[] {
  const isFirst = runtime === running[0];
  const isLeftToNode = runtime !== "node" && running.includes("node");
  return files.filter(
    (file) => (isFirst || !divided.has(file)) && !(isLeftToNode && ofNode.has(file)),
  );
}
