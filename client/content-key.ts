/**
 * The key of a session: AES-256-GCM. Web Crypto hands each call to another thread, and to wake that takes
 * longer than to encrypt a usual content. So these are left to `node:crypto`, in the same thread, where a
 * runtime has it.
 */
import { type Bytes, concat } from "../protocol/bytes.ts";

/** The length of the tag that AES-GCM puts behind a ciphertext. */
export const TAG_BYTES = 16;
const KEY_BITS = 256;
/** HKDF needs no salt where its input is random (RFC 5869, section 3.1). */
const NO_SALT: Bytes = new Uint8Array(0);

/** In bytes, which take a tenth of a millisecond. Larger ones would hold up what else the thread has to do. */
const SMALL = 256 * 1024;
/** The same of what is encrypted: one after the other, while the network waits for this thread. */
const SMALL_TO_ENCRYPT = 64 * 1024;

const NATIVE = "aes-256-gcm";
const NATIVE_OPTIONS = { authTagLength: TAG_BYTES };

/** What is used of a cipher of `node:crypto`. */
interface Cipher {
  setAAD(associated: Bytes): unknown;
  update(bytes: Bytes): Uint8Array<ArrayBuffer>;
  final(): unknown;
}
type Make<Kind> = (name: string, key: Bytes, nonce: Bytes, options: typeof NATIVE_OPTIONS) => Kind;
interface Native {
  readonly createCipheriv: Make<Cipher & { getAuthTag(): Uint8Array }>;
  readonly createDecipheriv: Make<Cipher & { setAuthTag(tag: Bytes): unknown }>;
}

interface Runtime {
  readonly crypto: unknown;
  readonly process?: { getBuiltinModule?(id: string): unknown };
}

const native = nodeCrypto(globalThis);

/** Encrypts and decrypts contents. A ciphertext ends with its tag. */
export class ContentKey {
  readonly #key: CryptoKey;
  /** For the native cipher. */
  readonly #raw: Bytes;

  private constructor(key: CryptoKey, raw: Bytes) {
    this.#key = key;
    this.#raw = raw;
  }

  /** Derives a key from a secret by HKDF (RFC 5869). */
  static async derive(secret: Bytes, info: Bytes): Promise<ContentKey> {
    const hkdf = { name: "HKDF", hash: "SHA-256", salt: NO_SALT, info };
    const base = await crypto.subtle.importKey("raw", secret, "HKDF", false, ["deriveBits"]);
    const raw = new Uint8Array(await crypto.subtle.deriveBits(hkdf, base, KEY_BITS));
    const key = await crypto.subtle.importKey("raw", raw, "AES-GCM", false, ["encrypt", "decrypt"]);
    if (native === undefined) raw.fill(0);
    return new ContentKey(key, raw);
  }

  async encrypt(iv: Bytes, additionalData: Bytes, bytes: Bytes): Promise<Bytes> {
    if (native === undefined || bytes.length > SMALL_TO_ENCRYPT) {
      const algorithm = { name: "AES-GCM", iv, additionalData };
      return new Uint8Array(await crypto.subtle.encrypt(algorithm, this.#key, bytes));
    }
    const cipher = native.createCipheriv(NATIVE, this.#raw, iv, NATIVE_OPTIONS);
    cipher.setAAD(additionalData);
    const ciphertext = cipher.update(bytes);
    cipher.final();
    return concat(ciphertext, cipher.getAuthTag());
  }

  /** Throws a `DOMException` where key, nonce, associated data and ciphertext do not fit together. */
  async decrypt(iv: Bytes, additionalData: Bytes, ciphertext: Bytes): Promise<Bytes> {
    if (native === undefined || ciphertext.length > SMALL) {
      const algorithm = { name: "AES-GCM", iv, additionalData };
      return new Uint8Array(await crypto.subtle.decrypt(algorithm, this.#key, ciphertext));
    }
    const decipher = native.createDecipheriv(NATIVE, this.#raw, iv, NATIVE_OPTIONS);
    decipher.setAAD(additionalData);
    decipher.setAuthTag(ciphertext.subarray(-TAG_BYTES));
    const { buffer, byteOffset, length } = decipher.update(ciphertext.subarray(0, -TAG_BYTES));
    try {
      decipher.final();
    } catch {
      throw new DOMException("the ciphertext does not fit to the key", "OperationError");
    }
    return new Uint8Array(buffer, byteOffset, length);
  }
}

function nodeCrypto({ process }: Runtime): Native | undefined {
  const module = process?.getBuiltinModule?.("node:crypto");
  return hasCiphers(module) ? module : undefined;
}

function hasCiphers(module: unknown): module is Native {
  return typeof module === "object" && module !== null && "createDecipheriv" in module;
}
