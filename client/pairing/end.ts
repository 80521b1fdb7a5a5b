/** Ends a pairing that was interrupted. */
import { systemClock } from "../clock.ts";
import { Transport } from "../transport.ts";
import { type ChannelOptions, isGone } from "./channel.ts";
import { contentOfLink } from "./link.ts";
import { oneTimeIdentity, type RequestOptions } from "./request.ts";

const IDLE_TIMEOUT_MS = 60_000;

/**
 * Erases what a pairing has left on the server: for an app that was killed during one, and has stored its
 * link. Has no effect if it was erased already. Throws `PairingFailed` for a malformed link,
 * `ServerRejected` and `ServerUnavailable`.
 */
export async function endPairing(
  link: string,
  { url, signal, fetch: send, clock = systemClock, idleTimeout }: EndOptions = {},
): Promise<void> {
  const { server, primes } = contentOfLink(link);
  const transport = new Transport({
    ...{ url: url ?? server, identity: await oneTimeIdentity(primes), clock, sign: true },
    fetch: send ?? ((request, init) => fetch(request, init)),
    idleTimeout: idleTimeout ?? IDLE_TIMEOUT_MS,
  });
  try {
    await transport.erase(signal ?? new AbortController().signal);
  } catch (error) {
    if (!isGone(error)) throw error;
  }
}

type EndOptions = Pick<RequestOptions, "url"> &
  Pick<ChannelOptions, "signal" | "fetch" | "clock" | "idleTimeout">;
