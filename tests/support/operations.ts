import assert from "node:assert/strict";
import type { Reading } from "../../sync/reading.ts";
import type { Operation } from "./http.ts";

/** The operations of a reading; checks on the way that there are as many as it says. */
export async function operationsOf({ count, lines }: Reading): Promise<Operation[]> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of lines) chunks.push(chunk);
  const operations = Buffer.concat(chunks)
    .toString()
    .split("\n")
    .filter((line) => line !== "")
    .map((line): Operation => JSON.parse(line));
  assert.equal(operations.length, count);
  return operations;
}
