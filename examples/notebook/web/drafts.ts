/**
 * What is typed and not saved, kept in this browser for a reload, a crash and its other tabs. It is encrypted
 * as notes are: by a random key that only the user's private key opens. The names of the drafts are not.
 */
import type { Identity } from "../../../client/index.ts";
import { fromBase64url, toBase64url } from "../../../protocol/base64.ts";
import { type Bytes, concat, textOf, utf8 } from "../../../protocol/bytes.ts";
import { showError } from "./dom.ts";
import { NAME } from "./key.ts";

/** Where `localStorage` has them: the name of the draft follows. */
const PREFIX = `${NAME} draft `;
const NONCE_BYTES = 12;

/** A key for drafts, and what opens it. */
interface DraftKey {
  readonly key: CryptoKey;
  /** The key, encrypted under the user's public key, in base64url. */
  readonly wrapped: string;
}

export class Drafts {
  readonly #identity: Identity;
  #key: Promise<DraftKey> | undefined;
  /** The newest text of drafts that are being written: of a long one, it is made only when it is. */
  readonly #writing = new Map<string, (() => string) | undefined>();
  /** Called when another tab has changed a draft: `undefined` if it has none any more. */
  onChange: (name: string, text: string | undefined) => void = () => undefined;

  constructor(identity: Identity) {
    this.#identity = identity;
    addEventListener("storage", ({ key, newValue }) => {
      if (!key?.startsWith(PREFIX)) return;
      const name = key.slice(PREFIX.length);
      // What is typed here follows.
      if (!this.#writing.has(name)) void this.#tell(name, newValue);
    });
  }

  /** Deletes all drafts of this browser. */
  static forget(): void {
    for (const key of keys()) localStorage.removeItem(key);
  }

  /** The drafts that are kept, by name. */
  async all(): Promise<Map<string, string>> {
    const drafts = new Map<string, string>();
    for (const key of keys()) {
      const name = key.slice(PREFIX.length);
      const text = await this.#opened(name, localStorage.getItem(key) ?? "");
      if (text !== undefined) drafts.set(name, text);
    }
    return drafts;
  }

  /** Keeps a draft. Throws an `Error` for the user where the browser has no room for it. */
  async keep(name: string, text: () => string): Promise<void> {
    try {
      await this.#write(name, text);
    } catch (error) {
      const isFull = error instanceof DOMException && error.name === "QuotaExceededError";
      if (!isFull) throw error;
      const why = "this browser has no room to keep what is typed until it is saved: save it soon";
      throw new Error(why, { cause: error });
    }
  }

  /** Keeps it no longer. */
  async drop(name: string): Promise<void> {
    await this.#write(name, undefined);
  }

  /** Writes the newest text of a draft, one after the other. */
  async #write(name: string, text: (() => string) | undefined): Promise<void> {
    const isWriting = this.#writing.has(name);
    this.#writing.set(name, text);
    if (isWriting) return;
    try {
      for (
        let written: (() => string) | undefined | null = null;
        written !== this.#writing.get(name);
      ) {
        written = this.#writing.get(name);
        if (written === undefined) localStorage.removeItem(PREFIX + name);
        else localStorage.setItem(PREFIX + name, await this.#sealed(name, written()));
      }
    } finally {
      this.#writing.delete(name);
    }
  }

  async #tell(name: string, value: string | null): Promise<void> {
    const text = value === null ? undefined : await this.#opened(name, value);
    if (value === null || text !== undefined) this.onChange(name, text);
  }

  async #sealed(name: string, text: string): Promise<string> {
    this.#key ??= this.#newKey();
    const { key, wrapped } = await this.#key;
    const iv = crypto.getRandomValues(new Uint8Array(NONCE_BYTES));
    const sealed = await crypto.subtle.encrypt(this.#algorithm(name, iv), key, utf8(text));
    return `${wrapped}.${toBase64url(concat(iv, new Uint8Array(sealed)))}`;
  }

  /** `undefined` for one that the browser has damaged: the page says so, once. */
  async #opened(name: string, value: string): Promise<string | undefined> {
    const [wrapped, sealed] = value.split(".").map((part) => fromBase64url(part));
    try {
      if (wrapped === undefined || sealed === undefined) throw new TypeError("this is no draft");
      const { unwrap } = this.#identity.keys;
      const raw = await crypto.subtle.decrypt("RSA-OAEP", unwrap, wrapped);
      const key = await crypto.subtle.importKey("raw", raw, "AES-GCM", false, ["decrypt"]);
      const algorithm = this.#algorithm(name, sealed.slice(0, NONCE_BYTES));
      const text = await crypto.subtle.decrypt(algorithm, key, sealed.slice(NONCE_BYTES));
      return textOf(new Uint8Array(text));
    } catch (error) {
      if (!(error instanceof DOMException || error instanceof TypeError)) throw error;
      localStorage.removeItem(PREFIX + name);
      showError("a draft in this browser is damaged, and cannot be restored");
      return undefined;
    }
  }

  #algorithm(name: string, iv: Bytes) {
    const additionalData = utf8(`${PREFIX}${this.#identity.fingerprint} ${name}`);
    return { name: "AES-GCM", iv, additionalData };
  }

  async #newKey(): Promise<DraftKey> {
    const raw = crypto.getRandomValues(new Uint8Array(32));
    const { wrap } = this.#identity.keys;
    const [wrapped, key] = await Promise.all([
      crypto.subtle.encrypt("RSA-OAEP", wrap, raw),
      crypto.subtle.importKey("raw", raw, "AES-GCM", false, ["encrypt"]),
    ]);
    return { key, wrapped: toBase64url(new Uint8Array(wrapped)) };
  }
}

function keys(): string[] {
  return Object.keys(localStorage).filter((key) => key.startsWith(PREFIX));
}
