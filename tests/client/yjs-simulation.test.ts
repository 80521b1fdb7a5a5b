/** Five devices that edit the same documents of Yjs at the same time, over a bad network. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Doc, encodeStateAsUpdate } from "yjs";
import type { SyncDocuments } from "../../client/documents.ts";
import type { Identity } from "../../client/index.ts";
import { MemoryStore } from "../../client/memory.ts";
import { mergeUpdates, YjsProvider } from "../../client/yjs.ts";
import { openDocuments } from "../support/simulated-documents.ts";
import {
  JumpingClock,
  nextTick,
  randomFrom,
  SimulatedNetwork,
  SimulatedServer,
} from "../support/simulated-network.ts";
import { withSimulatedUser } from "../support/simulated-user.ts";

const DEVICES = 5;
const STEPS = 60;
const SEEDS = 12;
const NAMES = ["one", "two"];
const HOUR = 3_600_000;
const SETTINGS = { LISTING_TTL: "0", RETENTION: "1h", PACKED_RETENTION: "1m" };

type Random = () => number;

/** A device with two documents, which can be restarted. */
class Editor {
  readonly #open: (store: MemoryStore) => Promise<SyncDocuments>;
  readonly #random: Random;
  readonly #store = new MemoryStore();
  #documents: SyncDocuments | undefined;
  #providers: readonly YjsProvider[] = [];

  constructor(open: (store: MemoryStore) => Promise<SyncDocuments>, random: Random) {
    this.#open = open;
    this.#random = random;
  }

  get documents(): SyncDocuments {
    return this.#documents ?? assert.fail("it is not open");
  }

  async start(): Promise<void> {
    const documents = await this.#open(this.#store);
    this.#documents = documents;
    this.#providers = NAMES.map((name) => {
      const doc = new Doc();
      // Yjs decides by it which of two edits at the same time comes first.
      doc.clientID = below(this.#random, 2 ** 32);
      return new YjsProvider(documents, name, doc);
    });
  }

  async stop(): Promise<void> {
    await this.#documents?.close();
  }

  /** Edits the text, a map or an array of a document. */
  edit(): void {
    const random = this.#random;
    const { doc } = this.#providers[below(random, NAMES.length)] ?? assert.fail();
    const text = doc.getText("text");
    const kind = random();
    if (kind < 0.5) text.insert(below(random, text.length + 1), `${below(random, 1000)} `);
    else if (kind < 0.7) {
      const at = below(random, text.length + 1);
      text.delete(at, Math.min(3, text.length - at));
    } else if (kind < 0.85) doc.getMap("map").set(`${below(random, 4)}`, random());
    else doc.getArray("list").insert(0, [random()]);
  }

  /** Leaves a document for a while, or comes back to it. */
  toggle(): void {
    const random = this.#random;
    const provider = this.#providers[below(random, NAMES.length)] ?? assert.fail();
    if (provider.status === "disconnected") provider.connect();
    else provider.disconnect();
  }

  connect(): void {
    for (const provider of this.#providers) provider.connect();
  }

  /** What the documents show. */
  get content(): unknown {
    return this.#providers.map(({ doc }) => contentOf(doc));
  }

  /** What the documents contain, down to the last deletion. */
  get states(): Uint8Array[] {
    return this.#providers.map(({ doc }) => encodeStateAsUpdate(doc));
  }
}

function contentOf(doc: Doc): unknown {
  return [doc.getText("text").toJSON(), doc.getMap("map").toJSON(), doc.getArray("list").toJSON()];
}

function below(random: Random, limit: number): number {
  return Math.floor(random() * limit);
}

/** Runs one seed. */
async function simulate(identity: Identity, seed: number): Promise<void> {
  const random = randomFrom(seed);
  const clock = new JumpingClock();
  const server = new SimulatedServer(SETTINGS, clock);
  const network = new SimulatedNetwork(server, random);
  const newEditor = () =>
    new Editor((store) => {
      const options = { store, clock, random, batch: 200, sign: true, snapshotEvery: 1500 };
      return openDocuments({ identity, fetch: network.fetch }, { ...options, merge: mergeUpdates });
    }, random);
  const editors = Array.from({ length: DEVICES }, newEditor);
  /** What snapshots stand for is deleted, while no device asks for anything. */
  const trim = async () => {
    for (let times = 0; times < 2; times++) {
      clock.pass(HOUR);
      await editors[below(random, DEVICES)]?.documents.client.sync();
      await server.trim();
    }
  };
  try {
    for (const editor of editors) await editor.start();
    for (let step = 0; step < STEPS; step++) {
      const editor = editors[below(random, DEVICES)] ?? assert.fail();
      const kind = random();
      if (kind < 0.7) editor.edit();
      else if (kind < 0.8) await editor.documents.client.sync();
      else if (kind < 0.87) editor.toggle();
      else if (kind < 0.9) await trim();
      else if (kind < 0.95) {
        editor.connect();
        await editor.stop();
        await editor.start();
      } else await nextTick();
    }
    network.faulty = 0;
    for (const editor of editors) editor.connect();
    for (let round = 0; round < 2; round++) {
      for (const { documents } of editors) {
        await documents.flush();
        await documents.client.sync();
      }
    }
    const [first, ...others] = editors.map(({ content }) => content);
    for (const content of others) assert.deepEqual(content, first);
    assert.ok(server.snapshots > 0, "there are snapshots");
    // A new device makes the same of the newest snapshot, and the log behind it.
    const fresh = newEditor();
    await fresh.start();
    await fresh.documents.client.sync();
    assert.deepEqual(fresh.content, first);
    const sizes = fresh.states.map(({ length }) => length);
    for (const { states } of editors) {
      assert.deepEqual(
        states.map(({ length }) => length),
        sizes,
      );
    }
    await fresh.stop();
  } finally {
    for (const editor of editors) await editor.stop();
    await server.stop();
  }
}

describe("five devices that edit documents of Yjs", () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    it(`hold equal documents in the end, after edits at the same time, faults and restarts: seed ${seed}`, () =>
      withSimulatedUser(seed, (identity) => simulate(identity, seed)));
  }
});
