/** A program that embeds the server over its own driver, and recognizes the errors of the package. */
import { SyncClient, textOf } from "@sync-server/client";
import { createIdentity } from "@sync-server/client/identity";
import { MemoryStore } from "@sync-server/client/memory";
import {
  checkName,
  createHandler,
  createLogger,
  type Driver,
  InvalidAllowList,
  InvalidConfig,
  isDamaged,
  ObjectMissing,
  openStorage,
  type PutOptions,
  readConfig,
  StorageUnavailable,
  type StoredObject,
} from "@sync-server/server";

class MapDriver implements Driver {
  readonly objects = new Map<string, Uint8Array>();
  isAway = false;
  /** The next body is missing, as if another process had packed its object after the list. */
  missesNext = false;

  async list(prefix: string): Promise<StoredObject[]> {
    if (this.isAway) throw new StorageUnavailable("the map is away");
    return [...this.objects]
      .filter(([name]) => name.startsWith(prefix))
      .map(([name, body]) => ({ name, size: body.byteLength }))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  async get(name: string): Promise<Uint8Array> {
    if (this.isAway) throw new StorageUnavailable("the map is away");
    const body = this.missesNext ? undefined : this.objects.get(name);
    this.missesNext = false;
    if (body === undefined) throw new ObjectMissing(name);
    return body;
  }

  async put(name: string, body: Uint8Array, { md5 }: PutOptions = {}): Promise<void> {
    checkName(name);
    const stored = this.objects.get(name);
    if (stored !== undefined && (md5 === undefined || !isDamaged(stored, body, md5))) return;
    this.objects.set(name, Uint8Array.from(body));
  }

  async delete(name: string): Promise<void> {
    this.objects.delete(name);
  }

  async close(): Promise<void> {
    this.objects.clear();
  }
}

const SERVER = "http://localhost";
const logger = createLogger("silent");
const driver = new MapDriver();
const config = readConfig({ LISTING_TTL: "forever", OBJECT_CACHE_BYTES: "0", COMPACTION: "off" });
const handler = createHandler({ config, driver, logger });
const { identity } = await createIdentity("a passphrase for tests", { bits: 2048 });

async function device(received: string[]): Promise<SyncClient> {
  return SyncClient.open({
    url: SERVER,
    identity,
    sign: false,
    store: new MemoryStore(),
    fetch: (request) => handler.fetch(request),
    receive: (operations) => {
      received.push(...operations.map(({ data }) => textOf(data)));
    },
  });
}

async function poll(): Promise<number> {
  const body = JSON.stringify({
    client_id: crypto.randomUUID(),
    sync_status: {},
    user: identity.publicKey,
  });
  const headers = { "Content-Type": "application/json" };
  const response = await handler.fetch(
    new Request(`${SERVER}/sync`, { method: "POST", headers, body }),
  );
  await response.text();
  return response.status;
}

const received: string[] = [];
const laptop = await device([]);
await laptop.append("Buy milk.");
await laptop.sync();
await laptop.close();
const phone = await device(received);
await phone.sync();
await phone.close();
console.log(`received: ${received.join()}`);

driver.missesNext = true;
console.log(`missing at first: ${await poll()}`);
driver.isAway = true;
const other = createHandler({ config, driver, logger });
console.log(`away: ${(await other.fetch(new Request(`${SERVER}/ready`))).status}`);
await Promise.all([handler.stop(), other.stop()]);

function print(what: string, error: unknown): void {
  for (const kind of [InvalidConfig, InvalidAllowList, StorageUnavailable]) {
    if (error instanceof kind) console.log(`${what}: ${error.name}`);
  }
}
try {
  readConfig({ PORT: "x" });
} catch (error) {
  print("a setting that is wrong", error);
}
try {
  const users = readConfig({ USERS: "package.json" });
  createHandler({ config: users, driver, logger });
} catch (error) {
  print("a list of users that is wrong", error);
}
await openStorage("/dev/null/data").catch((error: unknown) =>
  print("a storage that is not there", error),
);
