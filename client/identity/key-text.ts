/**
 * A private key as text, encrypted under a passphrase by PBKDF2 and AES-256-GCM, to carry it to
 * another device. ENVELOPE.md has its layout.
 */
import { fromBase64url, toBase64url } from "../../protocol/base64.ts";
import { type Bytes, concat, randomBytes, utf8 } from "../../protocol/bytes.ts";
import { InvalidKey } from "../errors.ts";
import { keyOfPrimes } from "./primes.ts";
import { checkSecure } from "./secure-context.ts";

/** The parts of a text, by the name in the lines around them. */
export type Part = "KEY" | "HEADS";

const LINE = 64;

/** What a text holds, by its version: a key in PKCS #8, or the primes of one. */
const VERSIONS = { pkcs8: 1, primes: 2 };
/** How a text holds a private key: in PKCS #8, or as its primes. */
export type KeyForm = keyof typeof VERSIONS;

/** The bytes of a private key, in PKCS #8 or as its primes. Their owner overwrites them after use. */
export interface PrivateKey {
  readonly form: KeyForm;
  readonly bytes: Bytes;
}

const SALT_BYTES = 16;
const NONCE_BYTES = 12;
/** The length of the tag that AES-GCM puts behind the key. */
export const TAG_BYTES = 16;
const HEAD_BYTES = 1 + 4 + SALT_BYTES + NONCE_BYTES;

/** The minimum for PBKDF2 with HMAC-SHA-256 in OWASP's Password Storage Cheat Sheet. */
const MIN_ITERATIONS = 600_000;
/** A text may come from anywhere, and more rounds would keep a phone busy for minutes. */
const MAX_ITERATIONS = 10_000_000;
const MIN_PASSPHRASE = 8;
/** Well above a PKCS #8 key of 4096 bits, which has about 2,400 bytes. */
const MAX_BYTES = 8192;

/** Throws `InvalidKey` for a passphrase that is too short, and for a number of rounds out of range. */
export function checkProtection(passphrase: string, iterations = MIN_ITERATIONS): void {
  if ([...passphrase].length < MIN_PASSPHRASE) {
    throw new InvalidKey(`a passphrase of at least ${MIN_PASSPHRASE} characters is needed`);
  }
  checkIterations(iterations);
}

/**
 * Encrypts a private key into a text: the key in PKCS #8, or its primes, by which the text has a
 * quarter of the length. Throws as `checkProtection` does.
 */
export async function encryptKey(
  key: Bytes,
  passphrase: string,
  iterations = MIN_ITERATIONS,
  form: KeyForm = "pkcs8",
): Promise<string> {
  checkProtection(passphrase, iterations);
  const head = concat(
    Uint8Array.of(VERSIONS[form]),
    Uint8Array.of(iterations >>> 24, iterations >>> 16, iterations >>> 8, iterations),
    randomBytes(SALT_BYTES + NONCE_BYTES),
  );
  const { key: wrapping, nonce } = await keyFor(head, passphrase, "encrypt");
  const sealed = await crypto.subtle.encrypt(
    { name: "AES-GCM", iv: nonce, additionalData: head },
    wrapping,
    key,
  );
  return armoured("KEY", toBase64url(concat(head, new Uint8Array(sealed))));
}

/**
 * Decrypts a text into a private key in PKCS #8, which the caller erases. Throws `InvalidKey` for a
 * damaged text or a wrong passphrase.
 */
export async function decryptKey(text: string, passphrase: string): Promise<Bytes> {
  const { form, bytes } = await openKey(text, passphrase);
  return form === "pkcs8" ? bytes : wholeKey(bytes);
}

/** Decrypts a text into the private key as it is in it. Throws as `decryptKey` does. */
export async function openKey(text: string, passphrase: string): Promise<PrivateKey> {
  checkSecure();
  const bytes = bytesOfKey(text);
  const form = formOf(bytes[0]);
  if (form === undefined) {
    throw new InvalidKey(`the key has version ${bytes[0]}, which this software does not read`);
  }
  const head = bytes.slice(0, HEAD_BYTES);
  checkIterations(iterationsOf(head));
  const { key, nonce } = await keyFor(head, passphrase, "decrypt");
  const algorithm = { name: "AES-GCM", iv: nonce, additionalData: head };
  try {
    const sealed = bytes.subarray(HEAD_BYTES);
    const content = await crypto.subtle.decrypt(algorithm, key, sealed);
    return { form, bytes: new Uint8Array(content) };
  } catch (error) {
    throw new InvalidKey("the passphrase is wrong, or the key is damaged", { cause: error });
  }
}

/** The form that a version names. */
export function formOf(version: number | undefined): KeyForm | undefined {
  if (version === VERSIONS.pkcs8) return "pkcs8";
  return version === VERSIONS.primes ? "primes" : undefined;
}

/** The version that names a form. */
export function versionOf(form: KeyForm): number {
  return VERSIONS[form];
}

/** The key of primes, which it erases. Throws `InvalidKey`. */
export async function wholeKey(primes: Bytes): Promise<Bytes> {
  try {
    return await keyOfPrimes(primes);
  } catch (error) {
    throw new InvalidKey("this is not an RSA key", { cause: error });
  } finally {
    primes.fill(0);
  }
}

/** The key in a text, still encrypted. Throws `InvalidKey` for a text that has none. */
export function bytesOfKey(text: string): Bytes {
  const body = partIn(text, "KEY");
  if (body === undefined) {
    const [begin, end] = linesAround("KEY");
    throw new InvalidKey(`this is not a key: it must have the lines ${begin} and ${end}`);
  }
  const bytes = fromBase64url(body);
  if (bytes === undefined || bytes.length < HEAD_BYTES + TAG_BYTES || bytes.length > MAX_BYTES) {
    throw new InvalidKey("the key is damaged: copy all of it again");
  }
  return bytes;
}

/** What a text has between the lines of a part, without white space; `undefined` if it lacks them. */
export function partIn(text: string, part: Part): string | undefined {
  const [begin, last] = linesAround(part);
  const start = text.indexOf(begin);
  const end = text.indexOf(last, start);
  if (start === -1 || end === -1) return undefined;
  return text.slice(start + begin.length, end).replace(/\s+/g, "");
}

/** A part of a text, in lines that no mail program breaks. */
export function armoured(part: Part, base64url: string): string {
  const [begin, end] = linesAround(part);
  const lines = base64url.match(new RegExp(`.{1,${LINE}}`, "g")) ?? [];
  return [begin, ...lines, end, ""].join("\n");
}

function linesAround(part: Part): readonly [begin: string, end: string] {
  return [`-----BEGIN SYNC-SERVER ${part}-----`, `-----END SYNC-SERVER ${part}-----`];
}

/** Derives the AES key from the passphrase and the head of a text, which has the nonce too. */
async function keyFor(head: Bytes, passphrase: string, use: "encrypt" | "decrypt") {
  // Keyboards may compose the same character differently.
  const secret = utf8(passphrase.normalize("NFC"));
  const base = await crypto.subtle.importKey("raw", secret, "PBKDF2", false, ["deriveKey"]);
  const key = await crypto.subtle.deriveKey(
    {
      name: "PBKDF2",
      hash: "SHA-256",
      salt: head.slice(5, 5 + SALT_BYTES),
      iterations: iterationsOf(head),
    },
    base,
    { name: "AES-GCM", length: 256 },
    false,
    [use],
  );
  return { key, nonce: head.slice(5 + SALT_BYTES) };
}

function iterationsOf(head: Bytes): number {
  return new DataView(head.buffer).getUint32(1);
}

function checkIterations(iterations: number): void {
  const sane =
    Number.isInteger(iterations) && iterations >= MIN_ITERATIONS && iterations <= MAX_ITERATIONS;
  if (!sane) {
    throw new InvalidKey(
      `${iterations} rounds of PBKDF2: only ${MIN_ITERATIONS} to ${MAX_ITERATIONS} are accepted`,
    );
  }
}
