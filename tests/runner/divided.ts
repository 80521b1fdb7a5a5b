/**
 * Files that `npm test` runs on the first of the runtimes alone: they are about logic that no runtime changes.
 * What they build on, such as streams, crypto, drivers and stores, has tests that run on each, and so
 * have the simulations that put all of it together.
 */
import { join } from "node:path";

/** By folder. */
const DIVIDED: Readonly<Record<string, string>> = {
  client: `
    abandoned-stores append closing crashes damaged-received delivery devices documents
    documents-snapshots duplicate-client-id entries envelope equivocation errors expected-heads
    given-up-ids invite kept-heads key-heads lost-operations malicious-server moved-entries
    operation-size own-entries pairing-attacks pairing-ends pairing-simulation redelivery
    refused-appends replaced-operations response sealer sent-heads snapshot-simulation snapshots
    snapshots-client-ids snapshots-crashes snapshots-lies snapshots-made snapshots-tabs
    snapshots-unstored state status tinybase together told-heads withheld-operations
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

/** Their names, below `tests/`. */
export const dividedFiles: readonly string[] = Object.entries(DIVIDED).flatMap(([folder, names]) =>
  names
    .trim()
    .split(/\s+/)
    .map((name) => join(folder, `${name}.test.ts`)),
);

const divided = new Set(dividedFiles);

/**
 * The files that a runtime runs beside others, in their order.
 *
 * @param files names below `tests/`
 * @param isFirst whether it has what they divide: that takes Bun, with which `tests/run.ts` begins, half
 * the CPU of any other. One runtime alone is the first.
 */
export function filesOf(files: readonly string[], isFirst: boolean): string[] {
  return files.filter((file) => isFirst || !divided.has(file));
}
