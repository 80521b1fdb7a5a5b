import { openStorage } from "../../storage/open.ts";
import type { BenchContext } from "../lib/context.ts";
import { ServerSubject } from "../lib/interleave.ts";
import { sendAll } from "../lib/load.ts";
import { pollRequest } from "../lib/requests.ts";
import { atMost } from "../lib/result.ts";
import { median } from "../lib/sample.ts";
import type { Experiment, Scenario } from "../lib/scenario.ts";
import { singleObjects } from "../lib/seed.ts";
import { userOf } from "../lib/users.ts";
import { inParallel } from "../lib/workers.ts";

const USERS = 200;

/** Together 64 MiB of records, of 512 bytes each. */
const OBJECTS = 100_000;

/** So many objects are stored by one write. */
const BATCH = 2000;

/**
 * A server starts beside a journal of 64 MiB that another process has left: it reads all of it before
 * it answers. The target is the time from its start to its first answer.
 */
async function startWithJournal(context: BenchContext): Promise<Experiment> {
  const storage = context.folder();
  const each = Math.ceil(context.size(OBJECTS) / USERS);
  const users = Array.from({ length: USERS }, (_, i) => userOf("start", i));
  const driver = await openStorage(storage);
  const objects = users.flatMap((user) => [...singleObjects(user, each)]);
  await inParallel(BATCH, objects, ({ name, body }) => driver.put(name, body));
  await driver.close();
  const request = pollRequest(userOf("start", 0), each);
  const times: number[] = [];
  const work = `start with ${(each * USERS).toLocaleString("en")} operations in a journal`;
  const server = new ServerSubject(work, {
    process: async () => {
      const since = performance.now();
      const process = await context.server(storage, { COMPACTION: "off" });
      await sendAll(process, [request]);
      times.push(performance.now() - since);
      return process;
    },
    warmUp: async () => undefined,
    sample: (process) => sendAll(process, [request]),
  });
  return {
    subjects: [server],
    results: () => [
      {
        scenario: "start",
        work,
        figures: {},
        ratios: {},
        targets: [atMost("first answer after, ms", median(times), 1000)],
        samples: { server: server.samples },
      },
    ],
  };
}

export const start: Scenario = [startWithJournal];
