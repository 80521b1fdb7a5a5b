import { Connection } from "../lib/connection.ts";
import type { BenchContext } from "../lib/context.ts";
import { ServerSubject, Subject } from "../lib/interleave.ts";
import { appendRequest, lineLoad } from "../lib/line.ts";
import { memoryOf } from "../lib/memory.ts";
import { atMost, requestFigures, requestRatios } from "../lib/result.ts";
import { median, type Sample } from "../lib/sample.ts";
import type { Experiment, Scenario } from "../lib/scenario.ts";
import { clientOf, userOf } from "../lib/users.ts";
import { FOR_WAITING, mostWaiting, WaitingDevices } from "../lib/waiting.ts";
import { pollLoad } from "./poll.ts";

const DEVICES = 10_000;
const DEVICES_OF_USER = 50;
const WOKEN = 1000;

/**
 * One device appends, and another one waits for it. The baseline is the time in which the append
 * itself is answered, of the same appends.
 */
async function appendToLine(context: BenchContext): Promise<Experiment> {
  const appends: Sample[] = [];
  const work = "append on one device, until its line is at a waiting one";
  const load = lineLoad(userOf("waiting", 0));
  const server = new ServerSubject(work, {
    process: await context.server(context.folder(), FOR_WAITING),
    warmUp: (process) => load(process, context.warmUp),
    sample: async (process) => {
      const { append, line } = await load(process, context.seconds);
      appends.push(append);
      return line;
    },
  });
  return {
    subjects: [server],
    results: () => {
      const { p50, p99 } = requestRatios(server.samples, appends);
      const figures = requestFigures(server.samples);
      return [
        {
          scenario: "waiting",
          work,
          figures: { p50: figures.p50, p99: figures.p99 },
          ratios: { p50, p99 },
          baseline: "the append itself",
          targets: [atMost("p50 / append", p50, 1.5), atMost("p99, ms", figures.p99, 20)],
          samples: { append: appends, server: server.samples },
        },
      ];
    },
  };
}

/**
 * Polls beside devices that wait, and the memory of each; then some of them are woken at once. The
 * baseline is the same server without those devices. Both start anew in each round, because a process
 * does not give memory back.
 */
async function besideWaiting(context: BenchContext): Promise<Experiment> {
  const count = Math.min(context.size(DEVICES), mostWaiting());
  const users = Array.from({ length: Math.ceil(count / DEVICES_OF_USER) }, (_, i) =>
    userOf("waiting", i + 1),
  );
  const bodies = Array.from({ length: count }, (_, i) => ({
    user: users[i % users.length]?.key,
    client_id: clientOf(i + 10),
    sync_status: Object.fromEntries(Array.from({ length: 5 }, (_, k) => [clientOf(k + 2), 7])),
  }));
  const woken = users.slice(0, Math.ceil((WOKEN / count) * users.length));
  const wakeUps = bodies.filter(({ user }) => woken.some(({ key }) => key === user)).length;
  const [bytesEach, wakeTimes]: [number[], number[]] = [[], []];

  const { load, work } = pollLoad(context, context.folder());
  const start = () => {
    const storage = context.folder();
    pollLoad(context, storage);
    return context.server(storage, FOR_WAITING);
  };
  const alone = new Subject({
    process: start,
    warmUp: (process) => load(process, context.warmUp),
    sample: (process) => load(process, context.seconds),
  });
  const beside = new ServerSubject(`${work}, beside ${count.toLocaleString("en")} that wait`, {
    process: start,
    warmUp: (process) => load(process, context.warmUp),
    sample: async (process) => {
      const before = memoryOf(process.pid).now;
      const devices = await WaitingDevices.open(process, bodies);
      bytesEach.push((memoryOf(process.pid).now - before) / count);
      const sample = await load(process, context.seconds);
      const writers = await Promise.all(woken.map(() => Connection.open(process.url)));
      const since = performance.now();
      const appends = woken.map(({ key }, i) => writers[i]?.request(appendRequest(key, 0)));
      await devices.untilAnswered(wakeUps);
      wakeTimes.push(performance.now() - since);
      await Promise.all(appends);
      for (const writer of writers) writer.close();
      devices.close();
      return sample;
    },
  });
  return {
    subjects: [alone, beside],
    results: () => {
      const ratios = requestRatios(beside.samples, alone.samples);
      return [
        {
          scenario: "waiting",
          work: `${beside.work}, of which ${wakeUps.toLocaleString("en")} are woken`,
          figures: requestFigures(beside.samples),
          ratios,
          baseline: "the same server without them",
          targets: [
            atMost("CPU / baseline", ratios.cpu, 1.1),
            atMost("KiB of memory each", median(bytesEach) / 1024, 10),
            atMost("all woken after, ms", median(wakeTimes), 300),
          ],
          samples: { baseline: alone.samples, server: beside.samples },
        },
      ];
    },
  };
}

export const waiting: Scenario = [appendToLine, besideWaiting];
