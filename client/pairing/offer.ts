/** The device that has the key, and gives it to another one. */

import { Malformed } from "../binary.ts";
import { systemClock } from "../clock.ts";
import { HEADS_AT_ONCE } from "../content.ts";
import { InvalidKey } from "../errors.ts";
import { generateKey, identityOf } from "../identity/identity.ts";
import { openKey, type PrivateKey, wholeKey } from "../identity/key-text.ts";
import { Transport } from "../transport.ts";
import type { Head, Identity } from "../types.ts";
import { Agreement, commitmentTo, newKeyPair, newRandom } from "./agreement.ts";
import { Channel, type ChannelOptions } from "./channel.ts";
import { PairingFailed } from "./errors.ts";
import { linkOf, ONE_TIME_BITS } from "./link.ts";
import { givenBytes, revealBody } from "./message.ts";

/** What an offer needs. */
export interface OfferOptions extends ChannelOptions {
  /** The server's address, which the link opens. */
  readonly url: string | URL;
  readonly identity: Identity;
  /** The key, as `createIdentity` returned it. */
  readonly text: string;
  readonly passphrase: string;
  /** What this device has, from `SyncClient.heads`: the new device reports what the server does not show of it. */
  readonly heads: readonly Head[];
}

/** What was typed does not have six digits. The pairing goes on. */
export class MistypedCode extends RangeError {
  override name = "MistypedCode";
}

const IDLE_TIMEOUT_MS = 60_000;

/** An offer of the key to one other device: a link, then a code to be typed here, then the key. */
export class KeyOffer {
  /** To be shown as a QR code. Anyone who sees it can make the pairing fail, and learns nothing from it. */
  readonly link: string;
  readonly #channel: Channel;
  readonly #given: Promise<Agreement>;
  readonly #key: PrivateKey;
  readonly #heads: readonly Head[];

  private constructor(
    link: string,
    channel: Channel,
    given: Promise<Agreement>,
    { key, heads }: { readonly key: PrivateKey; readonly heads: readonly Head[] },
  ) {
    this.link = link;
    this.#channel = channel;
    this.#given = given;
    this.#key = key;
    this.#heads = heads;
    channel.over.addEventListener("abort", () => key.bytes.fill(0));
    // `answered` and `confirm` report it.
    given.catch(() => undefined);
  }

  /**
   * Makes an offer, which ends after ten minutes. On a server with a list of users, makes the
   * one-time key a guest. An app that may be killed stores the link, and calls `endPairing` with it at its next
   * start.
   *
   * Throws `InvalidKey` for a wrong passphrase, or a text that is not the key of the identity,
   * `ServerRejected` and `ServerUnavailable`.
   */
  static async open(options: OfferOptions): Promise<KeyOffer> {
    const { url, text, passphrase, heads, identity } = options;
    const key = await openKey(text, passphrase);
    await checkIsKey(key, identity);
    const { identity: oneTime, primes } = await generateKey(ONE_TIME_BITS);
    const keyPair = await newKeyPair();
    const revealed = { point: keyPair.point, random: newRandom() };
    const commitment = await commitmentTo(oneTime, revealed);
    await letIn(oneTime, options);
    const channel = await Channel.open(oneTime, url, ["answer", "taken"], options);
    const agree = async () => {
      const answer = await channel.next("answer");
      try {
        const said = { identity: oneTime, commitment, revealed, answer };
        const agreement = await Agreement.of(keyPair, answer, said);
        await channel.send("reveal", revealBody(revealed));
        return agreement;
      } catch (error) {
        if (!(error instanceof Malformed)) throw error;
        channel.fail(new PairingFailed("altered", { cause: error }));
        throw channel.over.reason;
      }
    };
    const link = linkOf(new URL(url), { commitment, primes });
    primes.fill(0);
    const given = { key, heads: heads.slice(0, HEADS_AT_ONCE) };
    return new KeyOffer(link, channel, agree(), given);
  }

  /** Aborted once the offer is over, with the reason: the app can then stop asking for the code. */
  get over(): AbortSignal {
    return this.#channel.over;
  }

  /**
   * Resolves once a device has answered. It then shows a code: ask the person to type it here. Rejects
   * with `PairingFailed`, or the reason of the signal.
   */
  async answered(): Promise<void> {
    await this.#given;
  }

  /**
   * Sends the key if the code is that of the device that has answered. Resolves once the device has stored it.
   * A wrong code ends the offer, so that nobody can try codes.
   *
   * Throws `MistypedCode` for input without six digits, after which the person can type again,
   * `PairingFailed`, and the reason of the signal.
   *
   * @param typed by the person who sees the other device; blanks and hyphens are ignored
   */
  async confirm(typed: string): Promise<void> {
    const code = typed.replace(/[\s-]/g, "");
    if (!/^\d{6}$/.test(code)) throw new MistypedCode("a code has six digits: type it again");
    const channel = this.#channel;
    const agreement = await this.#given;
    // Someone else may have answered too.
    await channel.sync();
    if (code !== (await agreement.code())) channel.fail(new PairingFailed("code"));
    channel.over.throwIfAborted();
    const content = givenBytes({ key: this.#key, heads: this.#heads });
    const sealed = await agreement.seal("key", content);
    content.fill(0);
    channel.over.throwIfAborted();
    try {
      await channel.send("key", sealed);
      await agreement.open("taken", await channel.next("taken"));
    } catch (error) {
      if (error instanceof Malformed) channel.fail(new PairingFailed("altered", { cause: error }));
      const reason: unknown = channel.over.aborted ? channel.over.reason : error;
      if (!(reason instanceof PairingFailed)) throw reason;
      throw new PairingFailed(reason.fault, { cause: reason, afterKey: true });
    }
  }

  /**
   * Ends the offer, successful or not, and erases its log on the server. Rejects with `ServerRejected`
   * or `ServerUnavailable` if that fails: call `endPairing` with the link later.
   */
  close(): Promise<void> {
    return this.#channel.end();
  }
}

/** Throws `InvalidKey` for the key of another user. */
async function checkIsKey(key: PrivateKey, { fingerprint }: Identity): Promise<void> {
  const copy = key.bytes.slice();
  const pkcs8 = key.form === "pkcs8" ? copy : await wholeKey(copy);
  const found = await identityOf(pkcs8);
  pkcs8.fill(0);
  if (found.fingerprint !== fingerprint) throw new InvalidKey("this is the key of another user");
}

/** Makes a key a guest, by a request of the user that reads nothing new. */
async function letIn(guest: Identity, options: OfferOptions): Promise<void> {
  const { url, identity, heads, signal, clock = systemClock } = options;
  const transport = new Transport({
    ...{ url, identity, clock, sign: true, fields: { "sync-guest": guest.fingerprint } },
    fetch: options.fetch ?? ((request, init) => fetch(request, init)),
    idleTimeout: options.idleTimeout ?? IDLE_TIMEOUT_MS,
  });
  const status = Object.fromEntries(heads.map(({ client, index }) => [client, index]));
  const request = { client: crypto.randomUUID(), first: undefined, payloads: [], status };
  const lines = transport.sync(
    { ...request, snapshots: true },
    signal ?? new AbortController().signal,
  );
  // The first line shows that the server has accepted the request.
  await lines.next();
  await lines.return();
}
