/** Users who sign, by nothing of the server's own code, and a server without a network to ask. */
import { createHash, createPrivateKey, createPublicKey, randomUUID } from "node:crypto";
import { signedHeaders } from "../../commands/conformance/signing.ts";
import { type Fingerprint, isFingerprint } from "../../oplog/names.ts";
import type { Bytes } from "../../protocol/bytes.ts";
import { readConfig } from "../../server/config.ts";
import { createLogger } from "../../server/logger.ts";
import type { Config } from "../../server/settings.ts";
import { createHandler, type Handler, type HandlerOptions } from "../../server.ts";
import type { Driver } from "../../storage/driver.ts";
import { MemoryDriver } from "../../storage/memory.ts";
import { newPrivateKey } from "./private-keys.ts";

export {
  COMPONENTS,
  type Deviations,
  digestOf,
  signedHeaders,
} from "../../commands/conformance/signing.ts";

/** A user with the private key. */
export interface SigningUser {
  /** The public key, base64 of its DER. */
  readonly base64: string;
  readonly fingerprint: Fingerprint;
  readonly sign: (data: Uint8Array<ArrayBuffer>) => Promise<Uint8Array>;
}

/** A user with a key of 2048 bits. */
export async function newSigningUser(): Promise<SigningUser> {
  return signingUserOf(await newPrivateKey());
}

/** Two such users. */
export function twoSigningUsers(): Promise<[SigningUser, SigningUser]> {
  return Promise.all([newSigningUser(), newSigningUser()]);
}

/** The user of a private key in PKCS #8. */
export async function signingUserOf(pkcs8: Bytes): Promise<SigningUser> {
  const { subtle } = globalThis.crypto;
  const algorithm = { name: "RSA-PSS", hash: "SHA-512" };
  const key = await subtle.importKey("pkcs8", pkcs8, algorithm, false, ["sign"]);
  const sign = async (data: Uint8Array<ArrayBuffer>) =>
    new Uint8Array(await subtle.sign({ name: "RSA-PSS", saltLength: 64 }, key, data));
  const pair = createPrivateKey({ key: Buffer.from(pkcs8), format: "der", type: "pkcs8" });
  return signingUser(createPublicKey(pair).export({ type: "spki", format: "der" }), sign);
}

/** A user of whom there is a public key in SPKI DER, and something that signs. */
export function signingUser(spki: Uint8Array, sign: SigningUser["sign"]): SigningUser {
  const fingerprint = createHash("sha256").update(spki).digest("base64url");
  if (!isFingerprint(fingerprint)) throw new Error("a hash is no fingerprint");
  return { base64: Buffer.from(spki).toString("base64"), fingerprint, sign };
}

/** The body of a sync request. */
export function syncBody(
  { base64 }: Pick<SigningUser, "base64">,
  members: Readonly<Record<string, unknown>> = {},
): string {
  return JSON.stringify({ client_id: randomUUID(), ...members, user: base64 });
}

/** An answer, read to its end. */
export interface FullAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The document of a problem. */
  readonly problem: Readonly<Record<string, unknown>>;
}

export async function readAnswer(response: Response): Promise<FullAnswer> {
  const text = await response.text();
  const { status, headers } = response;
  return { status, headers, text, problem: status >= 400 ? JSON.parse(text) : {} };
}

/** A server without a network, and ways to ask it. */
export interface InProcessServer {
  readonly handler: Handler;
  readonly log: string[];
  /** Sends a sync request without a signature. */
  readonly unsigned: (user: SigningUser, members?: Record<string, unknown>) => Promise<FullAnswer>;
  /** Sends a signed one. */
  readonly signed: (user: SigningUser, members?: Record<string, unknown>) => Promise<FullAnswer>;
  /** Sends a signed request to erase the user. */
  readonly erase: (user: SigningUser) => Promise<FullAnswer>;
  /** Sends any request. */
  readonly send: (
    body: string,
    headers: Record<string, string>,
    method?: string,
    url?: string,
  ) => Promise<FullAnswer>;
}

export const SERVER = "http://sync.example/sync";

/** The real handler. The rate limit and compaction are off unless set. */
export function inProcessServer(
  settings: Readonly<Record<string, string>> = {},
  driver: Driver = new MemoryDriver(),
  clocks: { readonly now?: () => number; readonly time?: () => number } = {},
  compaction?: HandlerOptions["compaction"],
): InProcessServer {
  const config: Config = readConfig({
    RATE_LIMIT: "0",
    COMPACTION: "off",
    LOG: "debug",
    ...settings,
  });
  const log: string[] = [];
  const logger = createLogger(config.LOG, (line) => log.push(line));
  const handler = createHandler({
    config,
    driver,
    logger,
    ...clocks,
    ...(compaction === undefined ? {} : { compaction }),
  });
  const send: InProcessServer["send"] = async (body, headers, method = "POST", url = SERVER) =>
    readAnswer(await handler.fetch(new Request(url, { method, headers, body })));
  const created = () => Math.floor((clocks.time ?? Date.now)() / 1000);
  return {
    handler,
    log,
    send,
    unsigned: (user, members) =>
      send(syncBody(user, members), { "Content-Type": "application/json" }),
    signed: async (user, members) => {
      const body = syncBody(user, members);
      const headers = await signedHeaders(user, { url: SERVER, body }, { created: created() });
      return send(body, headers);
    },
    erase: async (user) => {
      const body = JSON.stringify({ user: user.base64 });
      const request = { url: SERVER, method: "DELETE", body };
      const headers = await signedHeaders(user, request, { created: created() });
      return send(body, headers, "DELETE");
    },
  };
}
