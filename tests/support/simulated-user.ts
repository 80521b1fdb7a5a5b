/** The user of a simulation whose seeds are to be run again. */
import type { Identity } from "../../client/index.ts";
import { newIdentity } from "./private-keys.ts";
import { withSimulatedCrypto } from "./simulated-crypto.ts";
import { randomFrom } from "./simulated-network.ts";

let identity: Promise<Identity> | undefined;

/**
 * Does some work of a user while Web Crypto is replaced: what it calculates, and when, is decided by a seed.
 * All such work of this process has the same user, whose keys are good for nothing else.
 */
export async function withSimulatedUser<Result>(
  seed: number,
  work: (identity: Identity) => Promise<Result>,
): Promise<Result> {
  identity ??= withSimulatedCrypto(() => 0, newIdentity);
  const user = await identity;
  return withSimulatedCrypto(randomFrom(~seed), () => work(user));
}
