/** One large transfer from a program that has just been started, so that its caches are empty. */
import { writeFileSync } from "node:fs";
import { formatLine } from "../../protocol/ndjson.ts";
import { fileRequest, syncRequest } from "./connection.ts";
import type { Slot } from "./figures.ts";
import { connected, inTurn } from "./load.ts";
import type { Program } from "./program.ts";
import { clientOf, PAYLOAD_BYTES, payloadOf, SEEDER, segments, type User, userOf } from "./seed.ts";

/** What a new device asks for: everything. */
export function firstSyncOf(user: User): Buffer {
  return syncRequest(JSON.stringify({ client_id: clientOf(1), user: user.key }));
}

const small = userOf("warm-up", 0);
const SMALL_OPERATIONS = 500;

/**
 * Work of the same kind, so that a runtime has met its code before it is measured: a small log, for
 * the storage, and what asks for it, some times over.
 */
export const warmUp = {
  user: small,
  operations: SMALL_OPERATIONS,
  objects: () => segments(small, SMALL_OPERATIONS),
  requests: Array.from({ length: 20 }, () => firstSyncOf(small)),
};

/** Sends requests to a program, and rests its peak. */
export async function warmedUp(program: Program, requests: readonly Uint8Array[]): Promise<void> {
  await sent(program, requests);
  program.restPeak();
}

/** Sends requests one after the other over a connection of their own. */
export function sent(program: Program, requests: readonly Uint8Array[]): Promise<Slot> {
  return connected(program, 1, ([connection]) => {
    if (connection === undefined) throw new Error("there must be a connection");
    return inTurn(program, connection, requests);
  });
}

/** Writes what a first sync of a seeded log answers into a file. */
export function writeAnswer(path: string, operations: number): void {
  const lines = Array.from({ length: operations }, (_, index) =>
    formatLine(SEEDER, index, payloadOf(index, PAYLOAD_BYTES)),
  );
  writeFileSync(path, lines.join(""));
}

/** What a bare server is warmed up with: a small file, as often. */
export function warmUpFiles(path: string): Uint8Array[] {
  return warmUp.requests.map(() => fileRequest(path));
}
