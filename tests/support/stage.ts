/** Devices of one user, and a server that shows each of them what a test decides. */
import assert from "node:assert/strict";
import type { Head, Identity, Refusal, Store, SyncOptions } from "../../client/index.ts";
import { MemoryStore } from "../../client/memory.ts";
import { REQUEST_TYPE } from "../../protocol/limits.ts";
import { parseLine } from "../../protocol/ndjson.ts";
import type { Line } from "../../protocol/types.ts";
import { altered, type Trick } from "./altered-answer.ts";
import { sealedContents } from "./sealed.ts";
import { JumpingClock, SimulatedServer, URL_OF_SERVER } from "./simulated-network.ts";
import { type App, type Apps, type Body, fromOthers, textsOf } from "./sync-app.ts";
import { newClient } from "./users.ts";

export const SECOND = 1000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
/** For how long an operation may be missing before a device reports that. */
export const PATIENCE = 2 * MINUTE;

const HONEST: Trick = (lines) => lines;

/** A device, and what the server does to its answers. */
export class Actor {
  trick: Trick = HONEST;
  /** Every refusal that was reported. */
  readonly reported: Refusal[] = [];
  /** The sync status of each request. */
  readonly asked: Body["sync_status"][] = [];
  readonly store: Store;
  #app: App | undefined;

  constructor(store: Store) {
    this.store = store;
  }

  set app(app: App) {
    this.#app = app;
  }

  get app(): App {
    return this.#app ?? assert.fail("the device is not open");
  }

  get client() {
    return this.app.client;
  }

  /** The client id under which it writes. */
  get id(): string {
    return this.client.client;
  }

  /** The texts that were delivered since it was opened first, in order. */
  readonly received: string[] = [];

  get refusals(): readonly Refusal[] {
    return this.client.refusals;
  }

  /** Appends a text and sends it. */
  async write(text: string): Promise<void> {
    await this.client.append(text);
    await this.client.sync();
  }

  async sync(): Promise<void> {
    await this.client.sync();
  }

  /** Has the server hide operations from this device, until it is honest again. */
  hide(isHidden: (line: Line) => boolean): void {
    this.trick = (lines) => lines.filter((line) => !isHidden(line));
  }

  beHonest(): void {
    this.trick = HONEST;
  }
}

export class Stage {
  readonly clock = new JumpingClock();
  readonly server: SimulatedServer;
  readonly #apps: Apps;

  constructor(apps: Apps, server = new SimulatedServer()) {
    this.#apps = apps;
    this.server = server;
  }

  get identity(): Identity {
    return this.#apps.identity;
  }

  async open(options: Partial<SyncOptions> = {}): Promise<Actor> {
    const actor = new Actor(options.store ?? new MemoryStore());
    await this.#start(actor, options);
    return actor;
  }

  /** Opens several devices, which know nothing of each other yet. */
  async openAll(count: number): Promise<Actor[]> {
    return Promise.all(Array.from({ length: count }, () => this.open()));
  }

  /** Ends a device and starts it with its store, or with another one. */
  async restart(actor: Actor, options: Partial<SyncOptions> = {}): Promise<void> {
    await actor.client.close();
    await this.#start(actor, options);
  }

  async #start(actor: Actor, options: Partial<SyncOptions>): Promise<void> {
    actor.app = await this.#apps.open(
      async (request) => {
        const { sync_status: status } = JSON.parse(await request.clone().text());
        actor.asked.push(status);
        return altered(await this.server.fetch(request), (lines) => actor.trick(lines));
      },
      {
        store: actor.store,
        clock: this.clock,
        receive: fromOthers((entries) => actor.received.push(...textsOf(entries))),
        onRefusal: (refusal) => actor.reported.push(refusal),
        ...options,
      },
    );
  }

  /** Lets time pass. */
  pass(milliseconds: number): Promise<void> {
    return this.clock.sleep(milliseconds, new AbortController().signal);
  }

  /** Syncs a device now, and when what it was told must have come. */
  async wait(actor: Actor): Promise<void> {
    await actor.sync();
    await this.pass(PATIENCE);
    await actor.sync();
  }

  /** Tells heads, true or not, as another device with the key. Returns its client id. */
  async tell(heads: readonly Head[], client = newClient()): Promise<string> {
    await this.put(await sealedContents(this.identity, client, [{ entries: [], heads }]));
    return client;
  }

  /** Stores lines of one client id on the server, as a device with the key can. */
  async put(lines: readonly Line[]): Promise<void> {
    const [first] = lines;
    await this.#send({
      client_id: first?.client,
      operation_index: first?.index,
      payload: lines.map(({ payload }) => payload),
    });
  }

  /** Everything on the server. */
  async stored(): Promise<Line[]> {
    const text = await this.#send({ client_id: crypto.randomUUID() });
    return text.split("\n").flatMap((line) => (line === "" ? [] : (parseLine(line) ?? [])));
  }

  async #send(body: object): Promise<string> {
    const response = await this.server.fetch(
      new Request(`${URL_OF_SERVER}/sync`, {
        method: "POST",
        headers: { "Content-Type": REQUEST_TYPE },
        body: JSON.stringify({ user: this.identity.publicKey, sync_status: {}, ...body }),
      }),
    );
    const text = await response.text();
    assert.equal(response.status, 200, text);
    return text;
  }
}
