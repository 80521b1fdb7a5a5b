/**
 * Files that `npm test` runs on one of the runtimes each: they are about logic that no runtime changes.
 * What they build on, such as streams, crypto, drivers and stores, has tests that run on each, and so
 * have the simulations that put all of it together.
 */
import { join } from "node:path";

const DIVIDED: Readonly<Record<string, readonly string[]>> = {
  client: [
    ...["abandoned-stores", "append", "closing", "damaged-received", "delivery", "devices"],
    ...["documents", "duplicate-client-id", "entries", "envelope", "equivocation", "errors"],
    ...["expected-heads", "given-up-ids", "kept-heads", "key-heads", "lost-operations"],
    ...["malicious-server", "moved-entries", "operation-size", "own-entries", "redelivery"],
    ...["refused-appends", "replaced-operations", "response", "sealer", "sent-heads", "state"],
    ...["status", "together", "told-heads", "withheld-operations", "yjs"],
  ],
  cluster: ["claims", "leaving", "many-servers", "members", "memory", "services"],
  commands: ["copy", "doctor", "usage", "users", "users-invites", "verify"],
  [join("commands", "conformance")]: ["conformance"],
  docs: ["dependencies", "links", "monitoring", "notebook", "openapi", "protocol", "security"],
  e2e: ["sorted-notes", "stored-data"],
  oplog: [
    ...["anomalies", "appender", "change", "checksums", "client-listings"],
    ...["compaction-debt", "compaction-scheduler", "compaction-timing", "damaged-objects"],
    ...["keyed-queue", "large-listings", "listing-cache"],
    ...["listing-versions", "missing-server", "names", "object-cache", "prefetch", "reader"],
    ...["retention", "semaphore", "sequence", "superseded-objects"],
  ],
  runner: ["divided", "turns"],
  server: [
    ...["client-address", "concurrency-limiter", "config", "diagnosis", "json-guard", "logger"],
    ...["malformed-signatures", "metrics", "prefer", "required-signatures", "signatures"],
    "strangers",
  ],
  [join("storage", "journal")]: ["held-objects", "journal"],
  sync: [
    ...["access", "address-limiter", "charges", "erasure", "erasure-races", "new-users", "quota"],
    ...["rate-limiter", "shared-rate-limiter", "snapshots", "waiters"],
  ],
};

/** Their names, below `tests/`. */
export const dividedFiles: readonly string[] = Object.entries(DIVIDED).flatMap(([folder, names]) =>
  names.map((name) => join(folder, `${name}.test.ts`)),
);

/**
 * The files that one of some runtimes runs, in their order. One runtime alone runs all of them. Of the
 * divided ones, the first runtime has twice as many as any other: `tests/run.ts` begins with Bun, which
 * takes half the CPU.
 *
 * @param files names below `tests/`
 * @param runtime its number, from 0
 */
export function filesOf(files: readonly string[], runtime: number, runtimes: number): string[] {
  const turns = new Map(dividedFiles.map((file, i) => [file, (i % (runtimes + 1)) % runtimes]));
  return files.filter((file) => (turns.get(file) ?? runtime) === runtime);
}
