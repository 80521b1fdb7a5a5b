/** Devices that make snapshots, and a server between which and them a test can stand: at the real handler. */
import assert from "node:assert/strict";
import type { Identity } from "../../client/index.ts";
import { Device } from "./simulated-device.ts";
import { JumpingClock, SimulatedServer } from "./simulated-network.ts";

export const HOUR = 3_600_000;
const SETTINGS = { LISTING_TTL: "0", RETENTION: "1h", PACKED_RETENTION: "1m" };
/** A snapshot follows this many characters of operations, or up to twice as many. */
const EVERY = 8000;

export type ServerLine = {
  readonly client_id: string;
  readonly operation_index: number;
  payload: string;
  snapshot?: { covers: Record<string, number> };
};
export type Alter = (lines: ServerLine[]) => void;

/** A user's devices, and a server between which and them a test can stand. */
export class SnapshotStage {
  readonly clock = new JumpingClock();
  readonly server: SimulatedServer;
  readonly identity: Identity;
  readonly devices: Device[] = [];
  /** What each request and each answer had. */
  readonly requests: Record<string, unknown>[] = [];
  readonly answers: ServerLine[][] = [];
  readonly statuses: number[] = [];
  /** The client ids under which the server has stored operations. */
  readonly stored = new Set<unknown>();
  /** Whether answers to what is stored are lost. */
  lose = false;
  alter: Alter = () => undefined;
  refuse: (request: Record<string, unknown>) => Response | undefined = () => undefined;

  constructor(identity: Identity, settings: Record<string, string>) {
    this.identity = identity;
    this.server = new SimulatedServer({ ...SETTINGS, ...settings }, this.clock);
  }

  readonly fetch = async (request: Request): Promise<Response> => {
    const body = JSON.parse(await request.clone().text());
    this.requests.push(body);
    const refusal = this.refuse(body);
    if (refusal !== undefined) return refusal;
    const response = await this.server.fetch(request);
    this.statuses.push(response.status);
    if (response.status === 200 && body.payload !== undefined) {
      this.stored.add(body.client_id);
      if (this.lose) throw new TypeError("the connection broke");
    }
    if (response.status !== 200) return response;
    const { status, headers } = response;
    const texts = (await response.text()).split("\n").filter((text) => text !== "");
    const lines: ServerLine[] = texts.map((text) => JSON.parse(text));
    this.answers.push(structuredClone(lines));
    this.alter(lines);
    const changed = new Headers(headers);
    changed.set("Operation-Count", String(lines.length));
    const text = lines.map((line) => `${JSON.stringify(line)}\n`).join("");
    return new Response(text, { status, headers: changed });
  };

  device(every = EVERY): Device {
    const { identity, clock, fetch } = this;
    const device = new Device({ identity, clock, fetch, random: () => 0, every });
    this.devices.push(device);
    return device;
  }

  /** The server deletes what snapshots stand for that are an hour old. */
  async trim(by: Device): Promise<void> {
    for (let times = 0; times < 2; times++) {
      this.clock.pass(HOUR);
      assert.ok(await by.sync());
      await this.server.trim();
    }
  }
}

/** Texts whose operations have more characters than `EVERY`. */
export function many(name: string, count = 20): string[] {
  return Array.from({ length: count }, (_, i) => `${name} ${i} ${"x".repeat(400)}`);
}

/** Texts of three times as many characters each, for what is done again and again. */
export function few(name: string, count: number): string[] {
  return many(name, count).map((text) => text + "x".repeat(800));
}

/** Appends, each text in an operation of its own, and syncs. */
export async function write(device: Device, texts: readonly string[]): Promise<void> {
  for (const text of texts) {
    await device.append([text]);
    assert.ok(await device.sync());
  }
}

/** Asserts that devices have the same texts, each once. */
export function assertHave(devices: readonly Device[], texts: readonly string[]): void {
  for (const { texts: held, refusals } of devices) {
    assert.deepEqual([...held].sort(), [...texts].sort());
    assert.deepEqual(refusals, []);
  }
}
