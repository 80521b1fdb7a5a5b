/** Devices with documents at a simulated server. */
import assert from "node:assert/strict";
import { afterEach, beforeEach } from "node:test";
import type { DocumentsOptions } from "../../client/documents.ts";
import { type DocumentHandler, SyncDocuments } from "../../client/documents.ts";
import { type Identity, type Store, textOf, utf8 } from "../../client/index.ts";
import { MemoryStore } from "../../client/memory.ts";
import { newIdentity } from "./private-keys.ts";
import { SimulatedServer, URL_OF_SERVER } from "./simulated-network.ts";

export interface DocumentsWorld {
  readonly identity: Identity;
  readonly fetch: (request: Request) => Promise<Response>;
}

/** Opens the documents of a device; it asks the server only when told to. */
export function openDocuments(
  { identity, fetch }: DocumentsWorld,
  options: Partial<DocumentsOptions> & { readonly store?: Store } = {},
): Promise<SyncDocuments> {
  return SyncDocuments.open({
    url: URL_OF_SERVER,
    identity,
    fetch,
    store: new MemoryStore(),
    sign: false,
    pollInterval: Number.POSITIVE_INFINITY,
    idleTimeout: Number.POSITIVE_INFINITY,
    batch: 0,
    ...options,
  });
}

/** The devices of a user, and a server that may be out of their reach. */
export class DocumentDevices implements DocumentsWorld {
  readonly identity: Identity;
  isOffline = false;
  readonly #server: SimulatedServer;
  readonly #opened: SyncDocuments[] = [];

  private constructor(identity: Identity, settings: Readonly<Record<string, string>>) {
    this.identity = identity;
    this.#server = new SimulatedServer({ LISTING_TTL: "0", ...settings });
  }

  /** @param settings those of the server */
  static async create(settings: Readonly<Record<string, string>> = {}): Promise<DocumentDevices> {
    return new DocumentDevices(await newIdentity(), settings);
  }

  readonly fetch = async (request: Request): Promise<Response> => {
    if (this.isOffline) throw new TypeError("the connection broke");
    return this.#server.fetch(request);
  };

  /** Opens the documents of one more device. */
  async open(options: Partial<DocumentsOptions> = {}, fetch = this.fetch): Promise<SyncDocuments> {
    const documents = await openDocuments({ identity: this.identity, fetch }, options);
    this.#opened.push(documents);
    return documents;
  }

  /** Closes the devices that are open, whatever keeps one from it. */
  async close(): Promise<void> {
    for (const documents of this.#opened) await documents.close().catch(() => undefined);
  }
}

/** Gives each test of a suite devices of its own, and closes them after it. To be called where the suite begins. */
export function declareDevices(): () => DocumentDevices {
  let devices: DocumentDevices | undefined;
  beforeEach(async () => {
    devices = await DocumentDevices.create();
  });
  afterEach(() => devices?.close());
  return () => devices ?? assert.fail("no test runs");
}

/** A store in memory whose appends fail while the disk is full. */
export function storeOn(disk: { isFull: boolean }): Store {
  const memory = new MemoryStore();
  const [append, appendDraft] = [memory.append.bind(memory), memory.appendDraft.bind(memory)];
  const check = () => {
    if (disk.isFull) throw new Error("the disk is full");
  };
  return Object.assign(memory, {
    append: async (...of: Parameters<Store["append"]>) => {
      check();
      return append(...of);
    },
    appendDraft: async (...of: Parameters<Store["appendDraft"]>) => {
      check();
      return appendDraft(...of);
    },
  });
}

/** A document of texts, in the order in which they came. */
export class Texts implements DocumentHandler {
  /** What was applied, each call by itself. */
  readonly calls: string[][] = [];

  apply(updates: readonly Uint8Array[]): void {
    this.calls.push(updates.map((update) => textOf(update)));
  }

  /** All that was applied. */
  get texts(): string[] {
    return this.calls.flat();
  }
}

/** Texts that are joined into one update. */
export class JoinedTexts extends Texts {
  merge(updates: readonly Uint8Array[]): Uint8Array {
    return utf8(updates.map((update) => textOf(update)).join("+"));
  }
}
