/**
 * A private key as a text that a passphrase protects, to carry it to another device: PBKDF2 and
 * AES-256-GCM, with the parameters in the text. ENVELOPE.md has its layout.
 */
import {
  type Bytes,
  concat,
  fromBase64url,
  randomBytes,
  toBase64url,
  utf8,
} from "../../protocol/bytes.ts";
import { InvalidKey } from "../errors.ts";

const BEGIN = "-----BEGIN SYNC-SERVER KEY-----";
const END = "-----END SYNC-SERVER KEY-----";
const LINE = 64;

const VERSION = 1;
const SALT_BYTES = 16;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const HEAD_BYTES = 1 + 4 + SALT_BYTES + NONCE_BYTES;

/** What OWASP's Password Storage Cheat Sheet asks of PBKDF2 with HMAC-SHA-256. */
const MIN_ITERATIONS = 600_000;
/** A text may come from anywhere; more would keep a phone busy for minutes. */
const MAX_ITERATIONS = 10_000_000;
const MIN_PASSPHRASE = 8;
/** A PKCS #8 key of 4096 bits has some 2,400 bytes. */
const MAX_BYTES = 8192;

/** Protects a private key in PKCS #8. */
export async function lock(
  pkcs8: Bytes,
  passphrase: string,
  iterations = MIN_ITERATIONS,
): Promise<string> {
  if ([...passphrase].length < MIN_PASSPHRASE) {
    throw new InvalidKey(`a passphrase of at least ${MIN_PASSPHRASE} characters is needed`);
  }
  checkIterations(iterations);
  const head = concat(
    Uint8Array.of(VERSION),
    Uint8Array.of(iterations >>> 24, iterations >>> 16, iterations >>> 8, iterations),
    randomBytes(SALT_BYTES + NONCE_BYTES),
  );
  const { key, nonce } = await keyFor(head, passphrase, "encrypt");
  const sealed = await crypto.subtle.encrypt(
    { name: "AES-GCM", iv: nonce, additionalData: head },
    key,
    pkcs8,
  );
  const text = toBase64url(concat(head, new Uint8Array(sealed)));
  const lines = text.match(new RegExp(`.{1,${LINE}}`, "g")) ?? [];
  return [BEGIN, ...lines, END, ""].join("\n");
}

/** The private key in PKCS #8. The caller erases it. */
export async function unlock(text: string, passphrase: string): Promise<Bytes> {
  const start = text.indexOf(BEGIN);
  const end = text.indexOf(END, start);
  if (start === -1 || end === -1) {
    throw new InvalidKey(`this is not a key: it must have the lines ${BEGIN} and ${END}`);
  }
  const bytes = fromBase64url(text.slice(start + BEGIN.length, end).replace(/\s+/g, ""));
  if (bytes === undefined || bytes.length < HEAD_BYTES + TAG_BYTES || bytes.length > MAX_BYTES) {
    throw new InvalidKey("the key is damaged: copy all of it once more");
  }
  if (bytes[0] !== VERSION) {
    throw new InvalidKey(`the key is of version ${bytes[0]}, and this software reads ${VERSION}`);
  }
  const head = bytes.slice(0, HEAD_BYTES);
  checkIterations(iterationsOf(head));
  const { key, nonce } = await keyFor(head, passphrase, "decrypt");
  try {
    const algorithm = { name: "AES-GCM", iv: nonce, additionalData: head };
    return new Uint8Array(await crypto.subtle.decrypt(algorithm, key, bytes.subarray(HEAD_BYTES)));
  } catch (error) {
    throw new InvalidKey("the passphrase is wrong, or the key is damaged", { cause: error });
  }
}

/** The key and nonce that follow from the head of a text and the passphrase. */
async function keyFor(head: Bytes, passphrase: string, use: "encrypt" | "decrypt") {
  // Two keyboards may spell one character differently.
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
      `${iterations} rounds of PBKDF2: only ${MIN_ITERATIONS} to ${MAX_ITERATIONS} are taken`,
    );
  }
}
