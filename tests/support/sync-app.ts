/** Apps with a client each, for tests that replace the network or the server. */
import { afterEach, before } from "node:test";
import {
  type ClientChange,
  type Clock,
  type Created,
  type Entry,
  type Identity,
  type Receive,
  type Status,
  SyncClient,
  type SyncOptions,
  textOf,
} from "../../client/index.ts";
import { MemoryStore } from "../../client/memory.ts";
import { LINES_TYPE, OPERATION_COUNT } from "../../protocol/limits.ts";
import { formatLine } from "../../protocol/ndjson.ts";
import type { Line } from "../../protocol/types.ts";
import { newIdentity } from "./private-keys.ts";
import { JumpingClock, type SimulatedServer, URL_OF_SERVER } from "./simulated-network.ts";

export const NEVER = Number.POSITIVE_INFINITY;

/** What an app sees of its client. */
export interface App {
  readonly client: SyncClient;
  readonly received: string[];
  readonly statuses: Status[];
  /** Without the positions. */
  readonly changes: Omit<ClientChange, "cursor">[];
}

export type Fetch = (request: Request) => Promise<Response>;

/** The apps of one test file; each test begins with none. */
export interface Apps {
  readonly identity: Identity;
  /** Opens an app. Its client makes no request on its own once it is synced. */
  readonly open: (
    fetch: NonNullable<SyncOptions["fetch"]>,
    options?: Partial<SyncOptions>,
  ) => Promise<App>;
}

/** Sets up the apps of a test file, with one identity. Closes them after each test. */
export function useApps(): Apps {
  let identity: Identity | undefined;
  before(async () => {
    identity = await newIdentity();
  });
  const opened: SyncClient[] = [];
  // A client that a failed test left open would never end: its clock does not let it wait.
  afterEach(async () => {
    for (const client of opened.splice(0)) await client.close();
  });
  const known = () => {
    if (identity === undefined) throw new Error("the identity is made before the tests");
    return identity;
  };
  return {
    get identity() {
      return known();
    },
    async open(fetch, options = {}) {
      const received: string[] = [];
      const statuses: Status[] = [];
      const changes: Omit<ClientChange, "cursor">[] = [];
      const client = await SyncClient.open({
        url: URL_OF_SERVER,
        identity: known(),
        store: new MemoryStore(),
        receive: fromOthers((entries) => received.push(...textsOf(entries))),
        onStatus: (status) => statuses.push(status),
        onClientChange: ({ cursor: _, ...names }) => changes.push(names),
        fetch,
        clock: new JumpingClock(),
        sign: false,
        pollInterval: NEVER,
        idleTimeout: NEVER,
        ...options,
      });
      opened.push(client);
      return { client, received, statuses, changes };
    },
  };
}

/** Handles the entries of other installations alone. */
export function fromOthers(receive: (...of: Parameters<Receive>) => unknown): Receive {
  return async (entries, cursor, isOwn) => {
    if (!isOwn) await receive(entries, cursor, isOwn);
  };
}

/** The data of entries as texts. */
export function textsOf(entries: readonly Entry[]): string[] {
  return entries.map(({ data }) => textOf(data));
}

/** Appends texts and sends them, each in an operation of its own. */
export async function sendEach(client: SyncClient, texts: readonly string[]): Promise<void> {
  for (const text of texts) {
    await client.append(text);
    await client.sync();
  }
}

/** The entries on a device after those that are left out. */
export async function entriesOn(client: SyncClient, after?: readonly Created[]): Promise<Entry[]> {
  const entries: Entry[] = [];
  for await (const some of client.entries(after)) entries.push(...some);
  return entries;
}

/** The texts of the entries under the own client ids of a device. */
export async function createdBy(client: SyncClient): Promise<string[]> {
  return textsOf((await entriesOn(client)).filter((entry) => client.isOwn(entry)));
}

/** The members of a sync request that tests look at. */
export interface Body {
  readonly client_id: string;
  readonly operation_index?: number;
  readonly payload?: readonly string[];
  readonly sync_status: Record<string, number>;
}

/** A server behind a function that sees each request first, and may answer it. */
export function intercepted(
  server: SimulatedServer,
  intercept: (body: Body, number: number) => Response | undefined | Promise<Response | undefined>,
): Fetch {
  let number = 0;
  return async (request) => {
    const { url, method, headers } = request;
    const text = await request.text();
    const answer = await intercept(JSON.parse(text), number++);
    return answer ?? server.fetch(new Request(url, { method, headers, body: text }));
  };
}

/** An answer with a problem document. */
export function problem(
  status: number,
  type: string,
  members: Readonly<Record<string, unknown>> = {},
): Response {
  const document = { type: `urn:sync-server:${type}`, title: "T", status, detail: "So it is." };
  const body = JSON.stringify({ ...document, ...members });
  return new Response(body, { status, headers: { "Content-Type": "application/problem+json" } });
}

/** An answer with lines. */
export function answer(lines: readonly string[], count = lines.length): Response {
  const headers = { "Content-Type": LINES_TYPE, [OPERATION_COUNT]: String(count) };
  return new Response(lines.join(""), { headers });
}

/** The line of an operation in an answer. */
export function lineOf({ client, index, payload }: Line): string {
  return formatLine(client, index, payload);
}

/** A clock that records how long it was asked to wait. */
export class RecordingClock implements Clock {
  readonly waits: number[] = [];
  readonly #clock = new JumpingClock();

  now(): number {
    return this.#clock.now();
  }

  sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
    if (milliseconds !== NEVER) this.waits.push(milliseconds);
    return this.#clock.sleep(milliseconds, signal);
  }
}
