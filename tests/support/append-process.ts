/**
 * Run by a test, which has its calls of the system fail: appends, acknowledges and receives until all
 * is stored, and reads it.
 */
import { FolderStore } from "../../client/stores/folder.ts";
import { someCursor } from "./cursors.ts";

const TRIES = 100;
const OTHER = "8e1d0c5a-3f0b-4b8e-9d3e-2f6f1f7b9c22";

async function retried<Result>(work: () => Promise<Result>): Promise<Result> {
  for (let tries = 1; ; tries++) {
    try {
      return await work();
    } catch (error) {
      if (tries === TRIES) throw error;
    }
  }
}

const [folder = "", fingerprint = "", client = "", ...payloads] = process.argv.slice(2);
const open = () => retried(() => FolderStore.open(folder, { fingerprint }));
const store = await open();
await retried(() => store.begin(client));
for (const [index, payload] of payloads.entries()) {
  await retried(() => store.append(client, index, [payload]));
  await retried(() => store.acknowledge(client, index + 1));
  await retried(() => store.receive(someCursor(OTHER, index), [payload]));
}
await store.close();
const again = await open();
const { own } = await again.load();
const received = await again.readReceived(OTHER, 0, 1_000_000);
console.log(
  JSON.stringify({
    own: await again.read(client, 0, 1000, 1_000_000),
    acknowledged: own[0]?.acknowledged,
    received: received.payloads,
  }),
);
await again.close();
