import { syncRequest } from "../lib/connection.ts";
import type { Ground } from "../lib/context.ts";
import type { Slot } from "../lib/figures.ts";
import { connected, loaded } from "../lib/load.ts";
import {
  atMost,
  between,
  peakRatio,
  type Result,
  requestFigures,
  requestRatios,
} from "../lib/result.ts";
import { clientOf, SEEDER, seedFolder, segments, type User, userOf } from "../lib/seed.ts";

const CONNECTIONS = 64;

/** The default of LISTING_TTL, in seconds: a listing that is older is read again. */
const LISTING_TTL = 30;

/**
 * A poll of a client that has all of a seeded log, and of `others` that append meanwhile all that
 * they ever will.
 */
export function pollOf(user: User, operations: number, others = 0): Buffer {
  const aware = Array.from({ length: others }, (_, i) => [
    clientOf(i + 1),
    Number.MAX_SAFE_INTEGER,
  ]);
  const sync_status = { [SEEDER]: operations - 1, ...Object.fromEntries(aware) };
  return syncRequest(JSON.stringify({ client_id: clientOf(0xfff), sync_status, user: user.key }));
}

/**
 * Nothing new, 64 connections, one user with 10,000 operations. The floor is the bare HTTP server
 * that is sent the same bytes. The listing is cached, so storage is asked only when LISTING_TTL
 * ends within the measuring.
 */
export async function poll(ground: Ground): Promise<Result[]> {
  const operations = ground.size(10_000);
  const storage = ground.folder();
  const user = userOf("poll", 0);
  seedFolder(storage, user, segments(user, operations));
  const request = pollOf(user, operations);

  const floor = await ground.httpFloor();
  const server = await ground.server(storage);
  const slots: { floor: Slot[]; server: Slot[] } = { floor: [], server: [] };
  const { storage: asked, seconds } = await connected(floor, CONNECTIONS, (toFloor) =>
    connected(server, CONNECTIONS, async (toServer) => {
      const load = {
        floor: (seconds: number) => loaded(floor, toFloor, seconds, () => request),
        server: (seconds: number) => loaded(server, toServer, seconds, () => request),
      };
      floor.restPeak();
      server.restPeak();
      await load.floor(ground.warmUp / 4);
      await load.server(ground.warmUp);
      const since = performance.now();
      const before = await server.counters();
      for (let round = 0; round < ground.rounds; round++) {
        slots.floor.push(await load.floor(ground.seconds));
        slots.server.push(await load.server(ground.seconds));
      }
      const seconds = (performance.now() - since) / 1000;
      return { storage: between(before, await server.counters()), seconds };
    }),
  );
  const ratios = requestRatios(slots.server, slots.floor);
  return [
    {
      row: "poll",
      work: `poll, ${operations.toLocaleString("en")} operations stored, ${CONNECTIONS} connections`,
      figures: { ...requestFigures(slots.server), peak: server.peak() },
      ratios: { ...ratios, ...peakRatio(server.peak(), floor.peak()) },
      floor: "bare HTTP server",
      storage: asked,
      checks: [
        atMost("CPU / floor", ratios.cpu, 1.5),
        atMost("storage requests", asked.list + asked.get, Math.floor(seconds / LISTING_TTL)),
      ],
      rounds: slots,
    },
  ];
}
