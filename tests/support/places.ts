/** The places of entries: what `append` returned, and what others receive. */
import assert from "node:assert/strict";
import type { Created } from "../../client/index.ts";
import { type App, type Apps, entriesOn, type Fetch, textsOf } from "./sync-app.ts";

/** Places with their texts, as a device has them that reads everything from a server. */
export async function placesOn(apps: Apps, fetch: Fetch): Promise<[Created, string][]> {
  const reader = await apps.open(fetch);
  await reader.client.sync();
  const entries = await entriesOn(reader.client);
  assert.deepEqual(textsOf(entries), reader.received);
  const texts = textsOf(entries);
  return entries.map(({ client, index, position }, i) => [
    { client, index, position },
    texts[i] ?? "",
  ]);
}

/** The places of entries under the client id of an app. */
export function places({ client }: App, ...of: readonly (readonly [number, number])[]): Created[] {
  return of.map(([index, position]) => ({ client: client.client, index, position }));
}
