/**
 * Run by a test on each runtime: an app that fails whenever it is told a status. It prints what the
 * client has come to all the same, and what was uncaught.
 */
import { createIdentity, MemoryStore, SyncClient } from "../../client/index.ts";

const [url = ""] = process.argv.slice(2);
const uncaught = new Set<string>();
process.on("uncaughtException", (error) => uncaught.add(error.message));
const { identity } = await createIdentity("a passphrase for tests", { bits: 2048 });
const client = await SyncClient.open({
  url,
  identity,
  store: new MemoryStore(),
  receive: () => undefined,
  onStatus: ({ state }) => {
    throw new Error(`it cannot show ${state}`);
  },
});
await client.append("one");
await client.sync();
const { state, pending } = client.status;
console.log(JSON.stringify({ state, pending, uncaught: [...uncaught] }));
await client.close();
