import assert from "node:assert/strict";
import type { Reading } from "../../oplog/reader.ts";
import { md5Of } from "../../storage/driver.ts";
import type { Operation } from "./http.ts";

/** The operations of a reading; checks that there are as many as it promised. */
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

/** The operations that were acknowledged to clients. */
export function acknowledgedBy(
  devices: readonly { readonly client: string; readonly acknowledged: readonly string[] }[],
): Operation[] {
  return devices.flatMap(({ client, acknowledged }) =>
    acknowledged.map((payload, operation_index) => ({
      client_id: client,
      operation_index,
      payload,
    })),
  );
}

/** By client and index, and under one index in the order of hashes. */
export function inOrder(operations: readonly Operation[]): Operation[] {
  const key = ({ client_id, operation_index, payload }: Operation) =>
    `${client_id}.${String(operation_index).padStart(16, "0")}.${md5Of(new TextEncoder().encode(payload))}`;
  return operations.toSorted((a, b) => (key(a) < key(b) ? -1 : 1));
}
