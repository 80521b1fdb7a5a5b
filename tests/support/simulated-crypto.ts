/**
 * Web Crypto for simulations whose seeds are to be run again. A runtime's own calculates in other threads,
 * whose results come in another order each time. Here `node:crypto` calculates at once, and the seed decides
 * how many turns of the event loop later the result comes. It also decides what is random, except for the
 * padding of RSA: payloads differ from run to run, their lengths do not. What goes by real time is left, such as
 * the slices of a large listing.
 */
import assert from "node:assert/strict";
import {
  constants,
  createCipheriv,
  createDecipheriv,
  createHash,
  hkdfSync,
  KeyObject,
  privateDecrypt,
  publicEncrypt,
  sign,
  verify,
  type webcrypto,
} from "node:crypto";
import { toBase64 } from "../../protocol/base64.ts";
import { type Bytes, uuidOf } from "../../protocol/bytes.ts";
import { nextTick } from "./simulated-network.ts";

/** Results come within so many turns. */
const TURNS = 16;

/** The tag of AES-GCM, at the end of a ciphertext. */
const TAG_BYTES = 16;

type Key = webcrypto.CryptoKey;

/** AES-GCM as the client has it. */
interface Sealed {
  readonly iv: Bytes;
  readonly additionalData: Bytes;
}

interface Oaep {
  readonly label: Bytes;
}

interface Pss {
  readonly saltLength: number;
}

interface Hkdf {
  readonly hash: string;
  readonly salt: Bytes;
  readonly info: Bytes;
}

/**
 * Does some work of one user while Web Crypto is replaced. The user's keys have to be imported in such work.
 *
 * @param random from 0 up to 1
 */
export async function withSimulatedCrypto<Result>(
  random: () => number,
  work: () => Promise<Result>,
): Promise<Result> {
  const { crypto } = globalThis;
  const replaced = [
    [crypto.subtle, calculations(crypto.subtle, random)],
    [crypto, randomness(random)],
  ] as const;
  for (const [object, methods] of replaced) {
    for (const [name, value] of Object.entries(methods)) {
      Object.defineProperty(object, name, { value, configurable: true });
    }
  }
  try {
    return await work();
  } finally {
    for (const [object, methods] of replaced) {
      for (const name of Object.keys(methods)) Reflect.deleteProperty(object, name);
    }
  }
}

/** The methods of `SubtleCrypto` that calculate in other threads. */
function calculations(subtle: webcrypto.SubtleCrypto, random: () => number) {
  const importKey = subtle.importKey.bind(subtle);
  /** What keys for HKDF and AES are made of. */
  const secrets = new WeakMap<Key, Bytes>();
  const secretOf = (key: Key) => secrets.get(key) ?? assert.fail("a key that was not imported");
  /** Devices unwrap the same secrets again and again, which takes a millisecond each time. */
  const unwrapped = new Map<string, Uint8Array>();
  const later = async <Result>(calculate: () => Result): Promise<Result> => {
    const result = calculate();
    for (let turns = Math.floor(random() * TURNS); turns > 0; turns--) await nextTick();
    return result;
  };
  return {
    importKey: async (...args: Parameters<typeof importKey>) => {
      const [format, data, algorithm, extractable, usages] = args;
      // `node:crypto` is not given an RSA key that cannot be exported.
      const key = await importKey(format, data, algorithm, extractable || format !== "raw", usages);
      if (format === "raw" && data instanceof Uint8Array) secrets.set(key, data.slice());
      return key;
    },
    digest: (hash: string, data: Bytes) =>
      later(() => bufferOf(createHash(nameOf(hash)).update(data).digest())),
    sign: ({ saltLength }: Pss, key: Key, data: Bytes) =>
      later(() => bufferOf(sign(hashOf(key), data, pssOf(key, saltLength)))),
    verify: ({ saltLength }: Pss, key: Key, signature: Bytes, data: Bytes) =>
      later(() => verify(hashOf(key), data, pssOf(key, saltLength), signature)),
    encrypt: (algorithm: Oaep | Sealed, key: Key, data: Bytes) =>
      later(() =>
        bufferOf(
          "iv" in algorithm
            ? seal(secretOf(key), algorithm, data)
            : publicEncrypt(oaepOf(key, algorithm), data),
        ),
      ),
    decrypt: (algorithm: Oaep | Sealed, key: Key, data: Bytes) => {
      if ("iv" in algorithm) return later(() => bufferOf(open(secretOf(key), algorithm, data)));
      return later(() => {
        const name = toBase64(data);
        const secret = unwrapped.get(name) ?? unwrap(key, algorithm, data);
        unwrapped.set(name, secret);
        return bufferOf(secret);
      });
    },
    deriveBits: ({ hash, salt, info }: Hkdf, key: Key, bits: number) =>
      later(() => hkdfSync(nameOf(hash), secretOf(key), salt, info, bits / 8)),
  };
}

function randomness(random: () => number) {
  const getRandomValues = (bytes: Bytes) => {
    for (let at = 0; at < bytes.length; at++) bytes[at] = random() * 256;
    return bytes;
  };
  const randomUUID = () => {
    const bytes = getRandomValues(new Uint8Array(16));
    // Version 4 of RFC 9562, section 5.4.
    bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
    bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
    return uuidOf(bytes);
  };
  return { getRandomValues, randomUUID };
}

function pssOf(key: Key, saltLength: number) {
  return { key: KeyObject.from(key), padding: constants.RSA_PKCS1_PSS_PADDING, saltLength };
}

function oaepOf(key: Key, { label }: Oaep) {
  const padding = constants.RSA_PKCS1_OAEP_PADDING;
  return { key: KeyObject.from(key), padding, oaepHash: hashOf(key), oaepLabel: label };
}

function seal(secret: Bytes, { iv, additionalData }: Sealed, data: Bytes): Uint8Array {
  const cipher = createCipheriv("aes-256-gcm", secret, iv);
  cipher.setAAD(additionalData);
  return Buffer.concat([cipher.update(data), cipher.final(), cipher.getAuthTag()]);
}

/** Throws as `decrypt` of Web Crypto does. */
function open(secret: Bytes, { iv, additionalData }: Sealed, data: Bytes): Uint8Array {
  const decipher = createDecipheriv("aes-256-gcm", secret, iv);
  decipher.setAAD(additionalData);
  decipher.setAuthTag(data.subarray(-TAG_BYTES));
  const opened = decipher.update(data.subarray(0, -TAG_BYTES));
  try {
    decipher.final();
  } catch (error) {
    throw new DOMException(`it cannot be opened: ${String(error)}`, "OperationError");
  }
  return opened;
}

/** Throws as `decrypt` of Web Crypto does. */
function unwrap(key: Key, oaep: Oaep, data: Bytes): Uint8Array {
  try {
    return privateDecrypt(oaepOf(key, oaep), data);
  } catch (error) {
    throw new DOMException(`it cannot be unwrapped: ${String(error)}`, "OperationError");
  }
}

/** The hash that a key is for, by its name in `node:crypto`. */
function hashOf({ algorithm }: Key): string {
  if ("hash" in algorithm && typeof algorithm.hash === "object") {
    const { hash } = algorithm;
    if (hash !== null && "name" in hash) return nameOf(String(hash.name));
  }
  return assert.fail(`a key for ${algorithm.name} has no hash`);
}

function nameOf(hash: string): string {
  return hash.replace("-", "").toLowerCase();
}

/** A copy, alone in its memory. */
function bufferOf(bytes: Uint8Array): ArrayBuffer {
  return Uint8Array.from(bytes).buffer;
}
