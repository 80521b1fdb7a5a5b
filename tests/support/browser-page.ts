/** Runs in a page: the contract of stores on IndexedDB, and the envelope. Reports how each went. */

import { loadIdentity, saveIdentity } from "../../client/identity/indexeddb.ts";
import { createIdentity } from "../../client/identity.ts";
import { IndexedDbStore } from "../../client/stores/indexeddb.ts";
import { storeCases } from "../client/store-contract.ts";
import vectors from "../vectors/envelope.json" with { type: "json" };
import { damageCases } from "./damaged-slots.ts";
import { openAll, sealAll } from "./envelope-work.ts";
import { sharedLogCases } from "./shared-log.ts";

declare const report: (value: unknown) => Promise<unknown>;

const outcomes: Record<string, string> = {};
const repairs: Record<string, string> = {};
const shared: Record<string, string> = {};

async function noting(name: string, work: () => Promise<void>, results = outcomes): Promise<void> {
  try {
    await work();
    results[name] = "passed";
  } catch (error) {
    results[name] = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  }
}

for (const [i, { name, run }] of storeCases.entries()) {
  const user = { fingerprint: vectors.fingerprint };
  await noting(name, () =>
    run({ open: () => IndexedDbStore.open(`case ${i}`, user), shared: false }),
  );
}

for (const [i, { name, run }] of sharedLogCases.entries()) {
  await noting(name, () => run(`shared ${i}`, vectors), shared);
}

for (const [i, { name, run }] of damageCases.entries()) {
  await noting(name, () => run(`damaged ${i}`, vectors), repairs);
}

await noting("keeps an identity that can be used and not exported", async () => {
  const { identity } = await createIdentity("a passphrase for tests", { bits: 2048 });
  if ((await loadIdentity("app")) !== undefined) throw new Error("there was one");
  await saveIdentity("app", identity);
  const kept = await loadIdentity("app");
  if (kept === undefined || kept.fingerprint !== identity.fingerprint) throw new Error("lost");
  const { sign } = kept.keys;
  await crypto.subtle.sign({ name: "RSA-PSS", saltLength: 32 }, sign, new Uint8Array(1));
  const exported = await crypto.subtle.exportKey("pkcs8", sign).then(
    () => true,
    () => false,
  );
  if (exported) throw new Error("it can be exported");
});

const key = vectors.private_key_pkcs8;
const lines = vectors.operations.map(({ client_id: client, operation_index: index, payload }) => ({
  client,
  index,
  payload,
}));
const client = lines[0]?.client ?? "";
await report({
  outcomes,
  repairs,
  shared,
  opened: await openAll(key, client, lines),
  sealed: await sealAll(key, client, ["sealed", "in", "Chromium"]),
});
