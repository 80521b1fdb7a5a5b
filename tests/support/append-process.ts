/** Run by a test, which has its calls of the system fail: appends until all is stored, and reads it. */
import { FolderStore } from "../../client/stores/folder.ts";

const TRIES = 100;
const [folder = "", fingerprint = "", client = "", ...payloads] = process.argv.slice(2);
const store = await FolderStore.open(folder, { fingerprint });
await store.begin(client);
for (const [index, payload] of payloads.entries()) {
  for (let tries = 1; ; tries++) {
    try {
      await store.append(client, index, [payload]);
      break;
    } catch (error) {
      if (tries === TRIES) throw error;
    }
  }
}
await store.close();
const again = await FolderStore.open(folder, { fingerprint });
console.log(JSON.stringify(await again.read(client, 0, 1000, 1_000_000)));
await again.close();
