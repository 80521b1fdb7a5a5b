/** Runs in pages of one browser: a client on the log that they share, driven by a test. */

import { identityOf } from "../../client/identity/identity.ts";
import { type Entry, SyncClient, textOf } from "../../client/index.ts";
import { IndexedDbStore } from "../../client/indexeddb.ts";
import { fromBase64url } from "../../protocol/base64.ts";
import vectors from "../vectors/envelope.json" with { type: "json" };

/** What a test calls in a page. */
export interface TabPage {
  open(cursors?: boolean): Promise<number>;
  append(texts: readonly string[]): Promise<void>;
  sync(): Promise<string>;
  close(): Promise<void>;
  readonly received: readonly string[];
  readonly changes: readonly string[];
  client(): string;
  state(): string;
  pending(): number;
  own(): Promise<number>;
}

const received: string[] = [];
const changes: string[] = [];
let client: SyncClient | undefined;

function opened(): SyncClient {
  if (client === undefined) throw new Error("it is not open");
  return client;
}

const page: TabPage = {
  async open(cursors = false) {
    const identity = await identityOf(fromBase64url(vectors.private_key_pkcs8) ?? new Uint8Array());
    const store = await IndexedDbStore.open("tabs", identity);
    client = await SyncClient.open({
      url: location.origin,
      identity,
      store,
      receive: (entries: readonly Entry[]) => {
        received.push(...entries.map(({ data }) => textOf(data)));
      },
      onClientChange: ({ from, to }) => changes.push(`${from} ${to}`),
      ...(cursors && { cursors: [] }),
    });
    return store.slot;
  },
  async append(texts) {
    for (const text of texts) await opened().append(text);
  },
  sync: () =>
    opened()
      .sync()
      .then(
        () => "synced",
        (error: unknown) => String(error),
      ),
  close: () => opened().close(),
  received,
  changes,
  client: () => opened().client,
  state: () => opened().status.state,
  pending: () => opened().status.pending,
  async own() {
    let count = 0;
    for await (const entries of opened().entries()) {
      count += entries.filter((entry) => opened().isOwn(entry)).length;
    }
    return count;
  },
};

Object.assign(globalThis, { tab: page });
