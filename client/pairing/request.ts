/** The new device, which asks for the key. */
import type { Bytes } from "../../protocol/bytes.ts";
import { Malformed } from "../binary.ts";
import { InvalidKey } from "../errors.ts";
import { type CreateOptions, identityOf, type NewIdentity } from "../identity/identity.ts";
import { withHeads } from "../identity/key-heads.ts";
import { checkProtection, encryptKey, type PrivateKey, wholeKey } from "../identity/key-text.ts";
import { checkSecure } from "../identity/secure-context.ts";
import type { Identity } from "../types.ts";
import { Agreement, isPromised, type KeyPair, newKeyPair } from "./agreement.ts";
import { Channel, type ChannelOptions } from "./channel.ts";
import { PairingFailed } from "./errors.ts";
import { contentOfLink } from "./link.ts";
import { givenIn, revealedIn } from "./message.ts";

/** What a request for a key needs. */
export interface RequestOptions extends ChannelOptions {
  /** The server's address; that of the link by default. */
  readonly url?: string | URL;
}

/** A request for the key that a link offers: first a code to show here, then the key. */
export class KeyRequest {
  /** The address of the server in the link. */
  readonly server: URL;
  readonly #channel: Channel;
  readonly #agreed: Promise<Agreement>;

  private constructor(server: URL, channel: Channel, agreed: Promise<Agreement>) {
    this.server = server;
    this.#channel = channel;
    this.#agreed = agreed;
    // `code` and `key` report it.
    agreed.catch(() => undefined);
  }

  /**
   * Answers the link that another device shows. Throws `PairingFailed`, with the fault `link` for a
   * malformed link and `stranger` if another device has answered before, and the reason of the signal.
   */
  static async open(link: string, options: RequestOptions = {}): Promise<KeyRequest> {
    const { server, commitment, primes } = contentOfLink(link);
    const identity = await oneTimeIdentity(primes);
    const { url = server, ...rest } = options;
    const channel = await Channel.open(identity, url, ["reveal", "key"], rest);
    try {
      await channel.sync();
      if (channel.isUsed) channel.fail(new PairingFailed("stranger"));
      const keyPair = await newKeyPair();
      await channel.send("answer", keyPair.point);
      return new KeyRequest(server, channel, agree(channel, identity, commitment, keyPair));
    } catch (error) {
      channel.fail(error);
      // Why the pairing failed matters more than that its log could not be erased.
      await channel.end().catch(() => undefined);
      throw error;
    }
  }

  /** Aborted once the request is over, with the reason. */
  get over(): AbortSignal {
    return this.#channel.over;
  }

  /** The six digits that the person types on the other device. Rejects with `PairingFailed`, or the reason of the signal. */
  async code(): Promise<string> {
    return (await this.#agreed).code();
  }

  /**
   * Resolves once the other device has sent the key, to what `importIdentity` returns, and a text for this
   * device to keep. Store one of them, then call `taken`.
   *
   * Throws `InvalidKey` for a passphrase of fewer than 8 characters, `PairingFailed`, and the reason of the
   * signal.
   *
   * @param passphrase protects the text on this device; it need not be that of the other one
   */
  async key(
    passphrase: string,
    { iterations }: Pick<CreateOptions, "iterations"> = {},
  ): Promise<NewIdentity> {
    checkProtection(passphrase, iterations);
    const channel = this.#channel;
    const agreement = await this.#agreed;
    const sealed = await channel.next("key");
    try {
      const content = await agreement.open("key", sealed);
      const { key, heads } = givenIn(content);
      content.fill(0);
      const text = await encryptKey(key.bytes, passphrase, iterations, key.form);
      const identity = await identityOfKey(key);
      return {
        identity: { ...identity, expected: { heads, since: Date.now() } },
        text: await withHeads(text, identity, heads),
      };
    } catch (error) {
      if (!(error instanceof InvalidKey || error instanceof Malformed)) throw error;
      channel.fail(new PairingFailed("altered", { cause: error }));
      throw channel.over.reason;
    }
  }

  /**
   * Tells the other device that this one has stored the key. Rejects as `code` does, but not if the other
   * one has ended the pairing: it may have received the message, and this device has the key.
   */
  async taken(): Promise<void> {
    const agreement = await this.#agreed;
    const channel = this.#channel;
    try {
      await channel.send("taken", await agreement.seal("taken", new Uint8Array()));
    } catch (error) {
      if (!(error instanceof PairingFailed && error.fault === "ended")) throw error;
    }
    await channel.end(false);
  }

  /** Ends the request, unless the key was taken, and tells the other device by erasing the log. Rejects as `KeyOffer.close` does. */
  close(): Promise<void> {
    return this.#channel.end();
  }
}

/** Waits for what the other device reveals, and checks it against the commitment in the link. */
async function agree(
  channel: Channel,
  identity: Identity,
  commitment: Bytes,
  keyPair: KeyPair,
): Promise<Agreement> {
  const body = await channel.next("reveal");
  try {
    const revealed = revealedIn(body);
    const said = { identity, commitment, revealed, answer: keyPair.point };
    if (!(await isPromised(said))) throw new Malformed("the point does not match the link");
    return await Agreement.of(keyPair, revealed.point, said);
  } catch (error) {
    if (!(error instanceof Malformed)) throw error;
    channel.fail(new PairingFailed("altered", { cause: error }));
    throw channel.over.reason;
  }
}

/** The identity of a one-time key, whose primes it erases. Throws `PairingFailed`, and as `checkSecure` does. */
export async function oneTimeIdentity(primes: Bytes): Promise<Identity> {
  checkSecure();
  try {
    return await identityOfKey({ form: "primes", bytes: primes });
  } catch (error) {
    if (!(error instanceof InvalidKey)) throw error;
    throw new PairingFailed("link", { cause: error });
  }
}

/** The identity of a key, which it erases. Throws `InvalidKey`. */
async function identityOfKey({ form, bytes }: PrivateKey): Promise<Identity> {
  const pkcs8 = form === "pkcs8" ? bytes : await wholeKey(bytes);
  try {
    return await identityOf(pkcs8);
  } finally {
    pkcs8.fill(0);
  }
}
