/**
 * Run by a test on each runtime: an app whose `onStatus` always throws. It prints the final status
 * and the errors that were uncaught.
 */

import { SyncClient } from "../../client/index.ts";
import { MemoryStore } from "../../client/memory.ts";
import { newIdentity } from "./private-keys.ts";

const [url = ""] = process.argv.slice(2);
const uncaught = new Set<string>();
process.on("uncaughtException", (error) => uncaught.add(error.message));
const identity = await newIdentity();
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
