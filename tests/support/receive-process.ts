/** Run by a test, with a limit to the size of a file: receives a payload that is larger, and reads it. */
import { FolderStore } from "../../client/stores/folder.ts";
import { someCursor } from "./cursors.ts";

const [folder = "", fingerprint = "", client = "", length = ""] = process.argv.slice(2);
const store = await FolderStore.open(folder, { fingerprint });
await store.receive(someCursor(client, 0), ["c2VhbGVk"]);
const failed = await store.receive(someCursor(client, 1), ["x".repeat(Number(length))]).then(
  () => false,
  () => true,
);
await store.receive(someCursor(client, 1), ["c2VhbGVkLXRvbw"]);
await store.close();
const again = await FolderStore.open(folder, { fingerprint });
const { payloads } = await again.readReceived(client, 0, 1_000_000);
console.log(JSON.stringify({ failed, payloads }));
await again.close();
