/** What tests of an erasure store and look at. */
import assert from "node:assert/strict";
import { formatMarker } from "../../oplog/names.ts";
import type { Driver } from "../../storage/driver.ts";
import type { InProcessServer, SigningUser } from "./signing.ts";

/** The time of every erasure, in seconds of Unix time. */
export const NOW = 1_800_000_000;
export const time = () => NOW * 1000;

export const append = { operation_index: 0, payload: "a payload" };
export const batch = { operation_index: 0, payload: ["one", "two", "three"] };

/** The name of a user's tombstone. */
export function tombstoneOf({ fingerprint: user }: SigningUser, at = NOW): string {
  return formatMarker({ kind: "erased", user, at });
}

/** The name of a user's lock. */
export function lockOf({ fingerprint: user }: SigningUser): string {
  return formatMarker({ kind: "signed", user });
}

/** The names of everything stored of a user. */
export async function namesOf(driver: Driver, { fingerprint }: SigningUser): Promise<string[]> {
  return (await driver.list(fingerprint)).map(({ name }) => name);
}

/** Checks that a server answers every request of a user with 410 and the time of the erasure. */
export async function checkErased(server: InProcessServer, user: SigningUser): Promise<void> {
  for (const { status, problem, text } of [
    await server.signed(user),
    await server.signed(user, append),
    await server.unsigned(user, append),
  ]) {
    assert.equal(status, 410, text);
    assert.equal(problem.type, "urn:sync-server:user-erased");
    assert.equal(problem.erased_at, new Date(NOW * 1000).toISOString());
  }
}
