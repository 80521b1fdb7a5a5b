/** Large transfers from a process that was just started, so that its caches are empty. */
import { writeFileSync } from "node:fs";
import { formatLine } from "../../protocol/ndjson.ts";
import { fileRequest, firstSyncRequest } from "./requests.ts";
import { PAYLOAD_BYTES, payloadOf, segments } from "./seed.ts";
import { SEEDER, userOf } from "./users.ts";

const user = userOf("warm-up", 0);
const OPERATIONS = 500;
const TIMES = 20;

/** Work of the same kind, by which a runtime compiles the code before it is measured. */
export const warmUpLog = {
  user,
  operations: OPERATIONS,
  objects: () => segments(user, OPERATIONS),
  requests: Array.from({ length: TIMES }, () => firstSyncRequest(user)),
};

/** The warm-up of the HTTP baseline: a small file, as often. */
export function warmUpFileRequests(path: string): Uint8Array[] {
  return Array.from({ length: TIMES }, () => fileRequest(path));
}

/** Writes the response to a first sync of a seeded log into a file. */
export function writeResponse(path: string, operations: number): void {
  const lines = Array.from({ length: operations }, (_, index) =>
    formatLine(SEEDER, index, payloadOf(index, PAYLOAD_BYTES)),
  );
  writeFileSync(path, lines.join(""));
}
