/** The load: connections that each send the next request as soon as the last is answered. */
import { Connection, type TimedResponse } from "./connection.ts";
import type { HttpProcess } from "./process.ts";
import { median, percentile, type Sample } from "./sample.ts";

/** Two requests, of which the second is sent as soon as the first is answered. */
export type Pair = readonly [Uint8Array, Uint8Array];

export interface Load {
  readonly connections: number;
  readonly seconds: number;
  /** The next request of a connection, by the number of the connection. A pair counts as one. */
  readonly next: (connection: number) => Uint8Array | Pair;
}

/** A load that can go on from sample to sample. */
export type TimedLoad = (process: HttpProcess, seconds: number) => Promise<Sample>;

/** Loads a process for some seconds. Each connection sends at least one request. */
export function runLoad(process: HttpProcess, load: Load): Promise<Sample> {
  const { seconds, next } = load;
  return withConnections(process, load.connections, (connections) =>
    measure(process, async (record) => {
      const until = performance.now() + seconds * 1000;
      await Promise.all(
        connections.map(async (connection, number) => {
          do record(await exchange(connection, next(number)));
          while (performance.now() < until);
        }),
      );
    }),
  );
}

function exchange(connection: Connection, next: Uint8Array | Pair): Promise<TimedResponse> {
  return next instanceof Uint8Array ? connection.request(next) : exchangePair(connection, next);
}

/** Sends both, and takes them for one: its bytes are those of the second response. */
async function exchangePair(connection: Connection, [first, second]: Pair): Promise<TimedResponse> {
  const { sentAt } = await connection.request(first);
  return { ...(await connection.request(second)), sentAt };
}

/** Sends requests one after the other over one connection. `megabytes` counts the responses. */
export function sendAll(process: HttpProcess, requests: Iterable<Uint8Array>): Promise<Sample> {
  return withConnections(process, 1, ([connection]) =>
    measure(process, async (record) => {
      if (connection === undefined) throw new Error("there must be a connection");
      for (const request of requests) record(await connection.request(request));
    }),
  );
}

async function withConnections<Result>(
  process: HttpProcess,
  count: number,
  work: (connections: readonly Connection[]) => Promise<Result>,
): Promise<Result> {
  const opening = Array.from({ length: count }, () => Connection.open(process.url));
  const connections = await Promise.all(opening);
  try {
    return await work(connections);
  } finally {
    for (const connection of connections) connection.close();
  }
}

async function measure(
  process: HttpProcess,
  work: (record: (response: TimedResponse) => void) => Promise<void>,
): Promise<Sample> {
  const latencies: number[] = [];
  const firstBytes: number[] = [];
  let bytes = 0;
  const since = performance.now();
  const cpuBefore = process.cpu();
  await work((response) => {
    latencies.push(response.endedAt - response.sentAt);
    firstBytes.push(response.firstByteAt - response.sentAt);
    bytes += response.bytes;
  });
  return {
    requests: latencies.length,
    seconds: (performance.now() - since) / 1000,
    cpu: process.cpu() - cpuBefore,
    megabytes: bytes / 1e6,
    p50: percentile(latencies, 0.5),
    p99: percentile(latencies, 0.99),
    firstByte: median(firstBytes),
  };
}
