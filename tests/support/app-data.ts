/** Apps that store their data together with the positions of their client. */
import type { Cursor, Receive } from "../../client/index.ts";
import type { MemoryStore } from "../../client/memory.ts";
import type { Line } from "../../protocol/types.ts";
import { storeOf } from "./sealed.ts";
import { SimulatedServer } from "./simulated-network.ts";
import { type App, type Apps, entriesOn, type Fetch, textsOf } from "./sync-app.ts";

/** A network without a server. */
export const offline: Fetch = () => Promise.reject(new TypeError("offline"));

/** An app that stores its data together with its positions. */
export class AppData {
  readonly texts: string[] = [];
  readonly cursors = new Map<string, Cursor>();
  /** Called before each delivery. */
  check: Receive = () => undefined;

  readonly receive: Receive = async (entries, cursor, isOwn) => {
    await this.check(entries, cursor, isOwn);
    this.texts.push(...textsOf(entries));
    this.cursors.set(cursor.client, cursor);
  };

  get options() {
    return { receive: this.receive, cursors: [...this.cursors.values()] };
  }
}

/** A server to which clients have sent these texts, each in an operation of its own. */
export async function serverWith(apps: Apps, ...clients: readonly (readonly string[])[]) {
  const server = new SimulatedServer({ LISTING_TTL: "0" });
  const fetch: Fetch = (request) => server.fetch(request);
  const ids: string[] = [];
  for (const texts of clients) {
    const { store, id } = await storeOf(apps.identity, texts);
    const writer = await apps.open(fetch, { store });
    await writer.client.sync();
    await writer.client.close();
    ids.push(id);
  }
  return { fetch, ids };
}

/** Opens an app on a store, syncs it, and closes it. Returns what came from the server. */
export async function syncOnce(
  apps: Apps,
  fetch: Fetch,
  store: MemoryStore,
  data: AppData,
): Promise<Line[]> {
  const lines: Line[] = [];
  const app = await apps.open(fetch, {
    store,
    ...data.options,
    onLines: (some) => lines.push(...some),
  });
  await app.client.sync();
  await app.client.close();
  return lines;
}

/** The texts of the entries on a device. */
export async function textsOn({ client }: App): Promise<string[]> {
  return textsOf(await entriesOn(client));
}
