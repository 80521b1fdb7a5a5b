/** The load: connections that each send their next request as soon as the last is answered. */

import type { FilesTask } from "../baselines/files.ts";
import { type Answer, Connection } from "./connection.ts";
import { median, percentile, type Slot } from "./figures.ts";
import type { Program } from "./program.ts";

/** Opens connections to a program, has work done over them, and closes them. */
export async function connected<Result>(
  program: Program,
  count: number,
  work: (connections: readonly Connection[]) => Promise<Result>,
): Promise<Result> {
  const opening = Array.from({ length: count }, () => Connection.open(program.url));
  const connections = await Promise.all(opening);
  try {
    return await work(connections);
  } finally {
    for (const connection of connections) connection.close();
  }
}

/** Loads a program for some seconds. `next` makes the request that a connection sends next. */
export function loaded(
  program: Program,
  connections: readonly Connection[],
  seconds: number,
  next: (connection: number) => Uint8Array,
): Promise<Slot> {
  return measured(program, async (take) => {
    const until = performance.now() + seconds * 1000;
    await Promise.all(
      connections.map(async (connection, number) => {
        do take(await connection.request(next(number)));
        while (performance.now() < until);
      }),
    );
  });
}

/** Sends requests one after the other over one connection. `megabytes` counts what comes back. */
export function inTurn(
  program: Program,
  connection: Connection,
  requests: Iterable<Uint8Array>,
): Promise<Slot> {
  return measured(program, async (take) => {
    for (const request of requests) take(await connection.request(request));
  });
}

async function measured(
  program: Program,
  work: (take: (answer: Answer) => void) => Promise<void>,
): Promise<Slot> {
  const took: number[] = [];
  const firstBytes: number[] = [];
  let bytes = 0;
  const since = performance.now();
  const cpuBefore = program.cpu();
  await work((answer) => {
    took.push(answer.endedAt - answer.sentAt);
    firstBytes.push(answer.firstByteAt - answer.sentAt);
    bytes += answer.bytes;
  });
  return {
    requests: took.length,
    seconds: (performance.now() - since) / 1000,
    cpu: program.cpu() - cpuBefore,
    megabytes: bytes / 1e6,
    p50: percentile(took, 0.5),
    p99: percentile(took, 0.99),
    firstByte: median(firstBytes),
  };
}

/** Has the file floor do a task. */
export async function bareFiles(floor: Program, task: FilesTask): Promise<Slot> {
  const before = floor.cpu();
  const done = await floor.ask(task);
  return {
    ...done,
    cpu: floor.cpu() - before,
    megabytes: done.bytes / 1e6,
    firstByte: Number.NaN,
  };
}
