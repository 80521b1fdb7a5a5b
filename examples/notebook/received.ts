/**
 * What other devices wrote and this one received, kept encrypted, so that it is there without the
 * server and is downloaded once. The page and the command line share it.
 *
 * It is a cache: whatever is wrong with it, it loses rows, and the client downloads them again. The
 * first row is a key of this device, wrapped and signed with the user's key. Each other row is what
 * one call of `receive` delivered, with the cursor after it.
 */
import type { Cursor, Identity, Operation, OwnClient } from "../../client/index.ts";
import { fromBase64url, toBase64url } from "../../protocol/base64.ts";
import { type Bytes, concat, randomBytes, textOf, utf8 } from "../../protocol/bytes.ts";

/** Where rows are kept, in the order of their writing. Several pages or processes may write at once. */
export interface Rows {
  read(): Promise<readonly StoredRow[]>;
  /** Begins anew with a first row, unless another than `instead` has become the first one. */
  begin(first: string, instead: string | undefined): Promise<void>;
  append(row: string): Promise<void>;
  /** Deletes the rows from a place on. */
  cut(place: number): Promise<void>;
  clear(): Promise<void>;
}

/** A row of base64url and full stops, and where it is. */
export interface StoredRow {
  readonly place: number;
  readonly row: string;
}

export interface ReceivedOptions {
  readonly identity: Identity;
  /** The client ids of this installation: its store has their operations. */
  readonly own: readonly OwnClient[];
  /** Called at most once, with a sentence for a person. */
  readonly onFailure: (message: string) => void;
}

const KEY_BYTES = 32;
const NONCE_BYTES = 12;
/** ENVELOPE.md uses the same keys with other labels and contexts. */
const PURPOSE = "sync-server notebook 2 received";
const WRAPPING = { name: "RSA-OAEP", label: utf8(PURPOSE) };
const SIGNING = { name: "RSA-PSS", saltLength: 32 };
const CONTEXT = utf8(`${PURPOSE} key\n`);

/** The content of a row: the operations of one client id that end with the cursor. */
interface Run {
  readonly cursor: Cursor;
  readonly data: readonly string[];
}

export class Received {
  readonly #options: ReceivedOptions;
  readonly #cursors = new Map<string, Cursor>();
  readonly #operations: Operation[] = [];
  /** Absent once nothing more is kept: something has failed, or everything was deleted. */
  #rows: Rows | undefined;
  #cipher: RowCipher | undefined;

  private constructor(rows: Rows, options: ReceivedOptions) {
    this.#rows = rows;
    this.#options = options;
  }

  /** Reads what is kept. Never rejects: without its rows, the notebook downloads everything. */
  static async open(rows: Rows, options: ReceivedOptions): Promise<Received> {
    const received = new Received(rows, options);
    await received.#attempt(() => received.#read(rows));
    return received;
  }

  /** The operations of other installations that are kept. */
  get operations(): Operation[] {
    return this.#operations.filter(({ client }) => !this.#isOwn(client));
  }

  /** The positions after those operations, for `SyncClient.open`. */
  get cursors(): Cursor[] {
    return [...this.#cursors.values()].filter(({ client }) => !this.#isOwn(client));
  }

  /**
   * Keeps what `receive` got. Never rejects. It does not keep operations before which some are
   * missing here, as they are where one is unreadable: those have to be delivered again.
   */
  async add(operations: readonly Operation[], cursor: Cursor): Promise<void> {
    const [rows, cipher] = [this.#rows, this.#cipher];
    const first = firstOf(cursor, operations.length);
    const next = this.#next(cursor.client);
    const isWhole = operations[0]?.index === first && operations.at(-1)?.index === cursor.index;
    if (!isWhole || first > next || cursor.index < next) return;
    if (rows === undefined || cipher === undefined) return;
    await this.#attempt(async () => {
      const run: Run = { cursor, data: operations.map(({ data }) => toBase64url(data)) };
      await rows.append(await cipher.seal(utf8(JSON.stringify(run))));
      this.#cursors.set(cursor.client, cursor);
    });
  }

  /** Deletes everything, and keeps nothing more. Rejects with the error of the rows. */
  async clear(): Promise<void> {
    const rows = this.#rows;
    this.#rows = undefined;
    await rows?.clear();
  }

  async #read(rows: Rows): Promise<void> {
    const { identity } = this.#options;
    let [key, ...rest] = await rows.read();
    let cipher = key && (await RowCipher.open(identity, key.row));
    if (cipher === undefined) {
      await rows.begin(await newKey(identity), key?.row);
      [key, ...rest] = await rows.read();
      cipher = key && (await RowCipher.open(identity, key.row));
      if (cipher === undefined) throw new Error("another program writes there");
    }
    this.#cipher = cipher;
    for (const { place, row } of rest) {
      const run = await cipher.open(row);
      if (run !== undefined && this.#take(run)) continue;
      await rows.cut(place);
      break;
    }
  }

  /** Adds the operations of a row that are new. False for a row that leaves some out. */
  #take({ cursor, data }: Run): boolean {
    const { client } = cursor;
    const first = firstOf(cursor, data.length);
    const next = this.#next(client);
    if (!(first >= 0 && first <= next)) return false;
    // Another page or process may have kept them as well.
    if (cursor.index < next) return true;
    const operations: Operation[] = [];
    for (const [i, text] of data.slice(next - first).entries()) {
      const bytes = fromBase64url(text);
      if (bytes === undefined) return false;
      operations.push({ client, index: next + i, data: bytes });
    }
    for (const operation of operations) this.#operations.push(operation);
    this.#cursors.set(client, cursor);
    return true;
  }

  #next(client: string): number {
    return (this.#cursors.get(client)?.index ?? -1) + 1;
  }

  #isOwn(client: string): boolean {
    return this.#options.own.some((one) => one.client === client);
  }

  async #attempt(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      // A row may be written in part: none must follow it.
      this.#rows = undefined;
      const reason = error instanceof Error ? error.message || error.name : String(error);
      this.#options.onFailure(
        `notes of other devices are not kept here, and are downloaded again the next time: ${reason}`,
      );
    }
  }
}

/** Encrypts and decrypts rows of one user with the key in the first one. */
class RowCipher {
  readonly #key: CryptoKey;
  readonly #associated: Bytes;

  private constructor(key: CryptoKey, { fingerprint }: Identity) {
    this.#key = key;
    this.#associated = utf8(`${PURPOSE} row\n${fingerprint}`);
  }

  /** `undefined` for a row that has no key, or that of another user. */
  static async open(identity: Identity, row: string): Promise<RowCipher | undefined> {
    const { unwrap, verify } = identity.keys;
    const [wrapped, signature] = row.split(".").map(fromBase64url);
    if (wrapped === undefined || signature === undefined) return undefined;
    // Everybody who knows the public key can wrap a key.
    const signed = concat(CONTEXT, wrapped);
    if (!(await crypto.subtle.verify(SIGNING, verify, signature, signed))) return undefined;
    const raw = new Uint8Array(await crypto.subtle.decrypt(WRAPPING, unwrap, wrapped));
    const key = await crypto.subtle.importKey("raw", raw, "AES-GCM", false, ["encrypt", "decrypt"]);
    raw.fill(0);
    return new RowCipher(key, identity);
  }

  async seal(bytes: Bytes): Promise<string> {
    const iv = randomBytes(NONCE_BYTES);
    const sealed = await crypto.subtle.encrypt(this.#algorithm(iv), this.#key, bytes);
    return toBase64url(concat(iv, new Uint8Array(sealed)));
  }

  /** `undefined` for a row that was altered, or that is no row. */
  async open(row: string): Promise<Run | undefined> {
    const bytes = fromBase64url(row);
    if (bytes === undefined || bytes.length <= NONCE_BYTES) return undefined;
    const algorithm = this.#algorithm(bytes.subarray(0, NONCE_BYTES));
    try {
      const sealed = bytes.subarray(NONCE_BYTES);
      const opened = await crypto.subtle.decrypt(algorithm, this.#key, sealed);
      return JSON.parse(textOf(new Uint8Array(opened)));
    } catch (error) {
      if (error instanceof DOMException) return undefined;
      throw error;
    }
  }

  #algorithm(iv: Bytes) {
    return { name: "AES-GCM", iv, additionalData: this.#associated };
  }
}

/** A new key, as the first row has it. */
async function newKey({ keys }: Identity): Promise<string> {
  const raw = randomBytes(KEY_BYTES);
  const wrapped = new Uint8Array(await crypto.subtle.encrypt(WRAPPING, keys.wrap, raw));
  raw.fill(0);
  const signature = await crypto.subtle.sign(SIGNING, keys.sign, concat(CONTEXT, wrapped));
  return `${toBase64url(wrapped)}.${toBase64url(new Uint8Array(signature))}`;
}

/** The index of the first of some operations that end with a cursor. */
function firstOf({ index }: Cursor, count: number): number {
  return index - count + 1;
}
