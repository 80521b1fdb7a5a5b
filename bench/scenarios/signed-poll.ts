import { createIdentity } from "../../client/identity/identity.ts";
import { signatureHeaders } from "../../client/signature.ts";
import { fingerprintOf } from "../../sync/public-key.ts";
import { syncRequest } from "../lib/connection.ts";
import type { Ground } from "../lib/context.ts";
import type { Slot } from "../lib/figures.ts";
import { connected, loaded } from "../lib/load.ts";
import { between, type Result, requestFigures, requestRatios } from "../lib/result.ts";
import { clientOf, SEEDER, seedFolder, segments, userOf } from "../lib/seed.ts";
import { pollOf } from "./poll.ts";

const CONNECTIONS = 64;

/** A poll with a signature that holds for five minutes, which is longer than the row takes. */
async function signedPoll(operations: number) {
  const { identity } = await createIdentity("a long passphrase", { bits: 2048 });
  const user = { key: identity.publicKey, fingerprint: fingerprintOf(identity.publicKey) };
  const sync_status = { [SEEDER]: operations - 1 };
  const json = JSON.stringify({ client_id: clientOf(0xfff), sync_status, user: user.key });
  const fields = await signatureHeaders(identity, {
    method: "POST",
    url: new URL("http://localhost/sync"),
    contentType: "application/json",
    body: new TextEncoder().encode(json),
    created: Math.floor(Date.now() / 1000),
  });
  return { user, request: syncRequest(json, fields) };
}

/** What checking a signature costs: signed polls beside the unsigned ones of another user. */
export async function signed(ground: Ground): Promise<Result[]> {
  const operations = ground.size(10_000);
  const storage = ground.folder();
  const other = userOf("signed", 0);
  const { user, request } = await signedPoll(operations);
  for (const one of [other, user]) seedFolder(storage, one, segments(one, operations));
  const unsigned = pollOf(other, operations);

  const server = await ground.server(storage);
  const slots: { unsigned: Slot[]; signed: Slot[] } = { unsigned: [], signed: [] };
  const asked = await connected(server, CONNECTIONS, async (connections) => {
    const load = (seconds: number, sent: Buffer) =>
      loaded(server, connections, seconds, () => sent);
    await load(ground.warmUp, unsigned);
    await load(ground.warmUp / 2, request);
    const before = await server.counters();
    for (let round = 0; round < ground.rounds; round++) {
      slots.unsigned.push(await load(ground.seconds, unsigned));
      slots.signed.push(await load(ground.seconds, request));
    }
    return between(before, await server.counters());
  });
  return [
    {
      row: "signed",
      work: `for comparison: signed poll (RSA 2048), beside the unsigned one, ${CONNECTIONS} connections`,
      figures: requestFigures(slots.signed),
      ratios: requestRatios(slots.signed, slots.unsigned),
      floor: "the same server, unsigned",
      storage: asked,
      checks: [],
      rounds: { server: slots.signed, floor: slots.unsigned },
    },
  ];
}
