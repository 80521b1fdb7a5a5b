/** A user of the suite, with a key of its own, and how this user's devices send requests. */
import {
  constants,
  createHash,
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  randomUUID,
  sign,
} from "node:crypto";
import type { Bytes } from "../../protocol/bytes.ts";
import { PREFER, REQUEST_TYPE, SYNC_GUEST, SYNC_INVITE } from "../../protocol/limits.ts";
import { SIGNATURE_SALT_BYTES } from "../../protocol/signature.ts";
import type { Answer, Line } from "./answer.ts";
import { NotNow, type Sending } from "./sending.ts";
import { COMPONENTS, type Deviations, type Signer, signedHeaders } from "./signing.ts";

const PSS = { name: "RSA-PSS", hash: "SHA-512" };

/** Makes a private key of 2048 bits, in PKCS #8. */
export async function newPrivateKey(): Promise<Bytes> {
  const publicExponent = Uint8Array.of(1, 0, 1);
  const { privateKey } = await crypto.subtle.generateKey(
    { ...PSS, modulusLength: 2048, publicExponent },
    true,
    ["sign", "verify"],
  );
  return new Uint8Array(await crypto.subtle.exportKey("pkcs8", privateKey));
}

export interface SendOptions extends Pick<Sending, "method" | "path" | "headers"> {
  /** True by default. */
  readonly signed?: boolean;
  /** What of the signature is not as it should be. */
  readonly deviations?: Deviations;
  /** The code of an invite, which a signature covers. */
  readonly invite?: string;
  /** The fingerprint of a guest, which a signature covers. */
  readonly guest?: string;
  /** Whether a 429 is the answer as well, and not for waiting and sending it again. */
  readonly isOnce?: boolean;
  /** Changes the headers of a request after it was signed. */
  readonly alter?: (headers: Record<string, string>) => Record<string, string>;
}

/** Where an account sends its requests. */
export interface Recipient {
  /** Where sync requests go. */
  readonly url: URL;
  /** Sends a request, as `Sender.send` does. */
  send(sending: Sending): Promise<Answer>;
  /** The same as `Sender.sendOnce` does. */
  sendOnce(sending: Sending): Promise<Answer>;
}

/** As a signature names them. */
const INVITE_FIELD = SYNC_INVITE.toLowerCase();
const GUEST_FIELD = SYNC_GUEST.toLowerCase();

/** Statuses after which nothing of a user is stored that was not before. */
const NOTHING_STORED = [400, 401, 403, 404, 405, 408, 410, 413, 415, 429];

export class Account implements Signer {
  /** The public key in SPKI DER. */
  readonly spki: Uint8Array;
  /** The same as base64. */
  readonly base64: string;
  readonly fingerprint: string;
  /** In PKCS #8. */
  readonly privateKey: Bytes;
  /** Whether something may be stored of this user. */
  isStored = false;
  readonly #server: Recipient;
  readonly #key: KeyObject;

  constructor(server: Recipient, privateKey: Bytes) {
    this.#key = createPrivateKey({ key: Buffer.from(privateKey), format: "der", type: "pkcs8" });
    this.spki = createPublicKey(this.#key).export({ type: "spki", format: "der" });
    this.base64 = Buffer.from(this.spki).toString("base64");
    this.fingerprint = createHash("sha256").update(this.spki).digest("base64url");
    this.privateKey = privateKey;
    this.#server = server;
  }

  /** Signs as requests are signed. */
  async sign(data: Uint8Array): Promise<Uint8Array> {
    return this.signWith(data, SIGNATURE_SALT_BYTES);
  }

  /** The same with a salt of another length; without one, it is RSASSA-PKCS1-v1_5. */
  signWith(data: Uint8Array, saltLength?: number): Uint8Array {
    const { RSA_PKCS1_PADDING: old, RSA_PKCS1_PSS_PADDING: padding } = constants;
    const scheme = saltLength === undefined ? { padding: old } : { padding, saltLength };
    return sign("sha512", data, { key: this.#key, ...scheme });
  }

  /** Sends a sync request with these members. */
  post(members: Readonly<Record<string, unknown>>, options: SendOptions = {}): Promise<Answer> {
    return this.send(JSON.stringify({ user: this.base64, ...members }), options);
  }

  /** Stores operations of a client. Rejects with `Broken` where that is not answered with 200. */
  async append(client: string, index: number, payload: string | string[]): Promise<Answer> {
    const answer = await this.post({ client_id: client, operation_index: index, payload });
    answer.accepted(`an append of operation ${index}`);
    return answer;
  }

  /** What a new device reads, or one of a client id and a sync status. */
  async read(members: Readonly<Record<string, unknown>> = {}): Promise<Line[]> {
    return (await this.post({ client_id: newClient(), ...members })).lines;
  }

  /** Sends a sync request that waits for news. */
  wait(seconds: number | string, members: Readonly<Record<string, unknown>>): Promise<Answer> {
    const prefer = typeof seconds === "number" ? `wait=${seconds}` : seconds;
    const headers = { [PREFER]: prefer };
    const answer = this.post({ client_id: newClient(), ...members }, { headers });
    // A case that ends before, because something else is wrong, does not wait for it.
    answer.catch(() => undefined);
    return answer;
  }

  /** Asks to delete the user. */
  erase(options: SendOptions = {}): Promise<Answer> {
    return this.send(JSON.stringify({ user: this.base64 }), { method: "DELETE", ...options });
  }

  /** Sends a body of any kind. */
  async send(
    body: string | Uint8Array<ArrayBuffer>,
    {
      signed = true,
      deviations,
      invite,
      guest,
      isOnce = false,
      alter = (headers) => headers,
      ...options
    }: SendOptions = {},
  ): Promise<Answer> {
    const { method = "POST", headers = {} } = options;
    const contentType = headers["Content-Type"] ?? REQUEST_TYPE;
    const url = new URL(options.path ?? "", this.#server.url).href;
    const fields: Record<string, string> = {};
    if (invite !== undefined) fields[INVITE_FIELD] = invite;
    if (guest !== undefined) fields[GUEST_FIELD] = guest;
    const components = [...COMPONENTS, ...Object.keys(fields)];
    const request = { url, method, body, fields };
    const signature = signed
      ? await signedHeaders(this, request, { contentType, components, ...deviations })
      : fields;
    const isPoll = typeof body === "string" && !body.includes('"payload"');
    let isStored = signed || !isPoll;
    try {
      const sending = { ...options, method, body, headers: alter({ ...signature, ...headers }) };
      const answer = await (isOnce ? this.#server.sendOnce(sending) : this.#server.send(sending));
      isStored &&= !NOTHING_STORED.includes(answer.status);
      // A tombstone is all there is.
      if (answer.status === 204) this.isStored = isStored = false;
      return answer;
    } catch (error) {
      isStored &&= !(error instanceof NotNow && NOTHING_STORED.includes(error.status));
      throw error;
    } finally {
      this.isStored ||= isStored;
    }
  }
}

export function newClient(): string {
  return randomUUID();
}
