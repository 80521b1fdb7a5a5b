import { randomInt } from "node:crypto";
import type { Ground } from "../lib/context.ts";
import type { Slot } from "../lib/figures.ts";
import { connected, loaded } from "../lib/load.ts";
import {
  atMost,
  between,
  exactly,
  type Result,
  requestFigures,
  requestRatios,
} from "../lib/result.ts";
import { seedFolder, segments, userOf } from "../lib/seed.ts";
import { pollOf } from "./poll.ts";

const CONNECTIONS = 64;
const OPERATIONS = 10;
const PAYLOAD_BYTES = 32;

/**
 * 100,000 users with 10 operations each, in one segment; random polls with nothing new, over 64
 * connections. The listing cache holds half as many runs as there are users, which is about a tenth
 * of the listings. What is to be reached are counts: one listing for each miss, and a cache within
 * its bound. The floor is the bare HTTP server that is sent the same bytes.
 */
export async function manyUsers(ground: Ground): Promise<Result[]> {
  const count = ground.size(100_000);
  const cacheRuns = Math.ceil(count / 2);
  const storage = ground.folder();
  const requests: Uint8Array[] = [];
  for (let number = 0; number < count; number++) {
    const user = userOf("many", number);
    seedFolder(storage, user, segments(user, OPERATIONS, PAYLOAD_BYTES));
    requests.push(pollOf(user, OPERATIONS));
  }
  const next = () => requests[randomInt(count)] ?? Buffer.of();

  const floor = await ground.httpFloor();
  const server = await ground.server(storage, { LISTING_CACHE_RUNS: String(cacheRuns) });
  floor.restPeak();
  server.restPeak();
  const slots: { floor: Slot[]; server: Slot[] } = { floor: [], server: [] };
  const { before, after } = await connected(floor, CONNECTIONS, (toFloor) =>
    connected(server, CONNECTIONS, async (toServer) => {
      await loaded(floor, toFloor, ground.warmUp / 4, next);
      await loaded(server, toServer, ground.warmUp, next);
      const before = await server.counters();
      for (let round = 0; round < ground.rounds; round++) {
        slots.floor.push(await loaded(floor, toFloor, ground.seconds, next));
        slots.server.push(await loaded(server, toServer, ground.seconds, next));
      }
      return { before, after: await server.counters() };
    }),
  );
  const asked = between(before, after);
  const misses = after.loads - before.loads;
  const polls = slots.server.reduce((sum, { requests }) => sum + requests, 0);
  const share = `${Math.round((misses / polls) * 100)} % misses`;
  return [
    {
      row: "many-users",
      work: `polls of ${count.toLocaleString("en")} users at random, ${share}`,
      figures: { ...requestFigures(slots.server), peak: server.peak() },
      ratios: requestRatios(slots.server, slots.floor),
      floor: "bare HTTP server",
      storage: asked,
      checks: [
        exactly("listings / miss", asked.list / misses, 1),
        atMost("runs cached / bound", after.cachedRuns / cacheRuns, 1),
      ],
      rounds: slots,
    },
  ];
}
