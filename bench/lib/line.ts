/** Appends of one device, each until its line is at another device that waits for it. */
import { setTimeout as sleep } from "node:timers/promises";
import { Connection } from "./connection.ts";
import type { HttpProcess } from "./process.ts";
import { syncRequest } from "./requests.ts";
import { percentile, type Sample } from "./sample.ts";
import { PAYLOAD_BYTES, payloadOf } from "./seed.ts";
import { clientOf, type User } from "./users.ts";
import { waitRequest } from "./waiting.ts";

const [WRITER, READER] = [clientOf(1), clientOf(2)];

/** The time until a request that was just sent waits, in milliseconds. */
const SETTLED_MS = 3;

/** Both from when the append is sent. The CPU is that of the server that stores it. */
export interface Line {
  /** Until it is answered. */
  readonly append: Sample;
  /** Until its line is at the other device. */
  readonly line: Sample;
}

/** @param server at which the append arrives, and @param other at which its line is waited for */
export type LineLoad = (server: HttpProcess, seconds: number, other?: HttpProcess) => Promise<Line>;

export function appendRequest(user: string, operation_index: number): Buffer {
  const payload = payloadOf(operation_index, PAYLOAD_BYTES);
  return syncRequest(JSON.stringify({ user, client_id: WRITER, operation_index, payload }));
}

/** A load that goes on from sample to sample, of two devices of a user. */
export function lineLoad({ key: user }: User): LineLoad {
  let index = 0;
  return async (server, seconds, other = server) => {
    const writer = await Connection.open(server.url);
    const reader = await Connection.open(other.url);
    const [appends, lines]: [number[], number[]] = [[], []];
    let bytes = 0;
    const cpuBefore = server.cpu();
    const since = performance.now();
    do {
      const sync_status = index > 0 ? { [WRITER]: index - 1 } : {};
      const news = reader.request(waitRequest({ user, client_id: READER, sync_status }));
      await sleep(SETTLED_MS);
      const append = await writer.request(appendRequest(user, index++));
      appends.push(append.endedAt - append.sentAt);
      const line = await news;
      lines.push(line.endedAt - append.sentAt);
      // None where the server did not wait: then the time above is negative.
      bytes += line.bytes;
    } while (performance.now() - since < seconds * 1000);
    const all = {
      requests: lines.length,
      seconds: (performance.now() - since) / 1000,
      cpu: server.cpu() - cpuBefore,
      megabytes: bytes / 1e6,
    };
    for (const connection of [writer, reader]) connection.close();
    const sampleOf = (times: number[]): Sample => {
      const p50 = percentile(times, 0.5);
      return { ...all, p50, p99: percentile(times, 0.99), firstByte: p50 };
    };
    return { append: sampleOf(appends), line: sampleOf(lines) };
  };
}
