import { type Identity, type Store, SyncClient } from "../../client/index.ts";

/** Syncs a new device, also in a page. Returns how many entries it has received. */
export async function firstSync(url: string, identity: Identity, store: Store): Promise<number> {
  let count = 0;
  const client = await SyncClient.open({
    url,
    identity,
    store,
    sign: false,
    receive: (received) => {
      count += received.length;
    },
  });
  await client.sync();
  await client.close();
  return count;
}
