import type { BenchContext } from "../lib/context.ts";
import { ServerSubject } from "../lib/interleave.ts";
import { runLoad, sendAll } from "../lib/load.ts";
import { pollRequest } from "../lib/requests.ts";
import { atMost, exactly } from "../lib/result.ts";
import { medianOf, p50, p99 } from "../lib/sample.ts";
import type { Experiment, Scenario } from "../lib/scenario.ts";
import { seedFolder, singleObjects } from "../lib/seed.ts";
import { userOf } from "../lib/users.ts";

const PAYLOAD_BYTES = 32;

/**
 * A server that has just started lists a user with 250,000 objects, for two polls of that user.
 * Meanwhile another user polls without a pause. The targets are the longest that this one waits, and
 * one list for both polls of the first.
 */
async function coldListing(context: BenchContext): Promise<Experiment> {
  const objects = context.size(250_000);
  const storage = context.folder();
  const [large, small] = [userOf("large", 0), userOf("small", 0)];
  seedFolder(storage, large, singleObjects(large, objects, PAYLOAD_BYTES));
  seedFolder(storage, small, singleObjects(small, 1, PAYLOAD_BYTES));
  const request = pollRequest(small, 1);
  let longest = 0;
  const work = `polls of another user while ${objects.toLocaleString("en")} objects are listed`;
  const server = new ServerSubject(work, {
    process: () => context.server(storage, { COMPACTION: "off" }),
    warmUp: (process) =>
      runLoad(process, { connections: 1, seconds: context.warmUp / 4, next: () => request }),
    sample: async (process) => {
      let isListed = false;
      function* polls(): Generator<Buffer, void, void> {
        for (let since = performance.now(); !isListed; ) {
          yield request;
          const now = performance.now();
          longest = Math.max(longest, now - since);
          since = now;
        }
      }
      const largePoll = pollRequest(large, objects);
      const listing = sendAll(process, [largePoll, largePoll]).finally(() => {
        isListed = true;
      });
      const [sample] = await Promise.all([sendAll(process, polls()), listing]);
      return sample;
    },
  });
  return {
    subjects: [server],
    results: () => {
      const { samples, storage } = server;
      return [
        {
          scenario: "large-user",
          work,
          figures: {
            p50: medianOf(p50, samples),
            p99: medianOf(p99, samples),
            peak: Math.max(...server.peaks),
          },
          ratios: {},
          storage,
          targets: [
            atMost("longest wait, ms", longest, 100),
            exactly("lists / two polls", storage.list / samples.length, 1),
          ],
          samples: { server: samples },
        },
      ];
    },
  };
}

export const largeUser: Scenario = [coldListing];
