/** Run by a test, which has its calls of the system fail: opens a device's store twice, and stores. */
import { FolderStore } from "../../client/stores/folder.ts";

const [folder = "", fingerprint = "", client = ""] = process.argv.slice(2);
const first = await FolderStore.open(folder, { fingerprint });
await first.begin(client);
await first.append(client, 0, ["c2VhbGVk"]);
await first.acknowledge(client, 1);
await first.close();
const again = await FolderStore.open(folder, { fingerprint });
console.log(JSON.stringify((await again.load()).own));
await again.close();
