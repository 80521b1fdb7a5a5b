/** Devices that pair while requests and answers are lost, one of them is killed, or someone joins in. */
import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import { type Clock, type Fetch, ServerUnavailable } from "../../client/index.ts";
import { newKeyPair } from "../../client/pairing/agreement.ts";
import { contentOfLink } from "../../client/pairing/link.ts";
import { KINDS, messageBytes } from "../../client/pairing/message.ts";
import { oneTimeIdentity } from "../../client/pairing/request.ts";
import { endPairing, type KeyOffer, KeyRequest, PairingFailed } from "../../client/pairing.ts";
import { MemoryDriver } from "../../storage/memory.ts";
import { declareCheapKeys, madeKey, Onlooker, offerAt } from "../support/pairing.ts";
import { inProcessServer } from "../support/signing.ts";
import { Random } from "../support/simulation/random.ts";

const SERVER = "http://sync.example/";
const SEEDS = 24;

/** Pauses pass quickly; what a request may take does not. */
const clock: Clock = {
  now: () => Date.now(),
  sleep: (milliseconds, signal) =>
    new Promise((resolve) => {
      if (signal.aborted) return resolve();
      const end = () => {
        clearTimeout(timer);
        signal.removeEventListener("abort", end);
        resolve();
      };
      const real = milliseconds >= 60_000 ? milliseconds : milliseconds / 50;
      const timer = setTimeout(end, Math.min(real, 600_000));
      signal.addEventListener("abort", end);
    }),
};

/** What a device reaches the server by, until it is killed. */
class Network {
  readonly #send: Fetch;
  readonly #random: Random;
  #left: number;

  /** @param left after how many requests the device is killed */
  constructor(send: Fetch, random: Random, left = Number.POSITIVE_INFINITY) {
    this.#send = send;
    this.#random = random;
    this.#left = left;
  }

  readonly fetch: Fetch = async (request, init) => {
    if (this.#left-- <= 0) throw new TypeError("the device is gone");
    if (this.#random.chance(0.15)) throw new TypeError("the request is lost");
    const response = await this.#send(request, init);
    if (this.#random.chance(0.15)) throw new TypeError("the answer is lost");
    return response;
  };

  /** Whether the device was killed. */
  get isGone(): boolean {
    return this.#left < 0;
  }

  kill(): void {
    this.#left = -1;
  }
}

type Role = "none" | "old" | "new" | "onlooker";

async function run(seed: number): Promise<string> {
  const random = new Random(seed);
  const role: Role = random.of(["none", "none", "old", "new", "onlooker"]);
  const driver = new MemoryDriver();
  const server = inProcessServer({ MAX_WAIT: "1s", NEW_USERS_PER_HOUR: "0" }, driver);
  const send: Fetch = (request) => server.handler.fetch(request);
  const { identity } = await madeKey();
  const killedAfter = (who: Role) => (who === role ? random.between(2, 12) : undefined);
  const [old, young] = [
    new Network(send, random, killedAfter("old")),
    new Network(send, random, killedAfter("new")),
  ];
  const options = { clock, random: () => random.next() };
  const stop = new AbortController();
  const { signal } = stop;

  let offer: KeyOffer | undefined;
  for (let tries = 0; tries < 10 && offer === undefined; tries++) {
    try {
      offer = await offerAt(SERVER, { ...options, fetch: old.fetch, signal });
    } catch (error) {
      // The server was not reached to let the one-time key in: a person tries again.
      assert.ok(error instanceof ServerUnavailable, String(error));
    }
  }
  if (offer === undefined) return `${role}: not offered`;
  const offered = offer;
  const onlooker =
    role === "onlooker" ? await Onlooker.open(offer.link, { fetch: send }) : undefined;
  const joins = async () => {
    if (onlooker === undefined) return;
    await new Promise((resolve) => setTimeout(resolve, random.between(0, 400)));
    const { point } = await newKeyPair();
    const message = random.chance(0.7)
      ? messageBytes({ kind: "answer", body: point })
      : Uint8Array.of(random.between(0, 6), 1, 2);
    await onlooker.write(message);
  };

  let got: string | undefined;
  let wasTaken = false;
  let wasTyped = false;
  const asks = async () => {
    const request = await KeyRequest.open(offered.link, { ...options, fetch: young.fetch, signal });
    const key = request.key("of the new device");
    key.catch(() => undefined);
    const confirming = request.code().then((code) => {
      wasTyped = true;
      return offered.confirm(code);
    });
    confirming.catch(() => undefined);
    got = (await key).identity.fingerprint;
    wasTaken = true;
    await request.taken();
    await confirming;
    await request.close();
  };
  const joined = joins().catch(() => undefined);
  // A killed device sends nothing more: a person would not wait for ten minutes.
  const tooLong = setTimeout(() => stop.abort(new PairingFailed("expired")), 15_000);
  const watching = setInterval(() => {
    if (old.isGone || young.isGone) stop.abort(new PairingFailed("expired"));
  }, 500);
  let failure: unknown;
  await asks().catch((error: unknown) => {
    failure = error;
  });
  clearTimeout(tooLong);
  clearInterval(watching);
  await joined;

  if (failure !== undefined) assert.ok(failure instanceof PairingFailed, String(failure));
  if (role === "none") assert.equal(failure, undefined);
  if (failure === undefined) assert.ok(wasTaken && got === identity.fingerprint);
  if (got !== undefined) assert.equal(got, identity.fingerprint);
  const seen = onlooker?.seen.filter(({ data }) => data[0] === KINDS.key) ?? [];
  assert.ok(seen.length === 0 || wasTyped, "no key before a code is typed");
  await onlooker?.close();

  // However it has ended, nothing stays but a tombstone.
  stop.abort(new PairingFailed("ended"));
  await offer.close().catch(() => undefined);
  await endPairing(offer.link, { fetch: send });
  const { fingerprint } = await oneTimeIdentity(contentOfLink(offer.link).primes);
  const left = (await driver.list(`${fingerprint}.`)).map(({ name }) => name);
  assert.deepEqual(
    left.map((name) => name.split(".")[1]),
    ["erased"],
  );
  await server.handler.stop();
  return `${role}: ${failure === undefined ? "paired" : "failed"}`;
}

describe("devices that pair", () => {
  declareCheapKeys();
  before(madeKey);

  it(`T-64 give the key to the device whose code was typed, or to nobody, in ${SEEDS} simulated pairings`, async () => {
    const outcomes = new Map<string, number>();
    for (let seed = 1; seed <= SEEDS; seed++) {
      const outcome = await run(seed).catch((error: unknown) => {
        throw new Error(`seed ${seed}: ${error}`, { cause: error });
      });
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    }
    assert.ok((outcomes.get("none: paired") ?? 0) > 0, JSON.stringify([...outcomes]));
  });
});
