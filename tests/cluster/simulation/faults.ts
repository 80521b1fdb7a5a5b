import { rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Redis } from "../../support/redis.ts";
import type { Random } from "../../support/simulation/random.ts";
import type { Fleet, Server } from "./fleet.ts";
import type { Health } from "./health.ts";

/** What a fault works on. */
export interface Scene {
  readonly fleet: Fleet;
  readonly redis: Redis;
  readonly health: Health;
  readonly random: Random;
  /** `LISTING_TTL` in milliseconds. */
  readonly ttl: number;
}

/** Happens, lasts, and is over when it resolves. */
export type Fault = (scene: Scene) => Promise<void>;

/** A server that has lost Redis knows it by then. */
const NOTICED_MS = 600;

/** Faults by name. */
export const FAULTS: Readonly<Record<string, Fault>> = {
  "Redis is emptied": async ({ redis }) => {
    await redis.command("FLUSHALL");
  },
  "Redis forgets its scripts": async ({ redis }) => {
    await redis.command("SCRIPT", "FLUSH");
  },
  "Redis is killed and starts empty": (scene) =>
    untilJoined(scene, scene.fleet.servers, async () => {
      await scene.redis.kill();
      rmSync(join(scene.redis.folder, "dump.rdb"), { force: true });
      await sleep(scene.random.between(0, 4000));
      await scene.redis.restart();
    }),
  "Redis is killed and starts with old data": async (scene) => {
    await scene.redis.command("SAVE");
    await sleep(scene.random.between(500, 3000));
    await untilJoined(scene, scene.fleet.servers, async () => {
      await scene.redis.kill();
      await sleep(scene.random.between(0, 4000));
      await scene.redis.restart();
    });
  },
  "Redis is paused": (scene) =>
    untilJoined(scene, scene.fleet.servers, async () => {
      scene.redis.signal("SIGSTOP");
      await sleep(scene.random.between(50, 4000));
      scene.redis.signal("SIGCONT");
    }),
  "Redis is slow": (scene) =>
    untilJoined(scene, scene.fleet.servers, async () => {
      await slow(scene, scene.fleet.servers);
    }),
  "Redis is slow for one server": async (scene) => {
    const server = anyServer(scene);
    await untilJoined(scene, [server], () => slow(scene, [server]));
  },
  "one connection to Redis breaks": async (scene) => {
    const server = anyServer(scene);
    await untilJoined(scene, [server], async () => server.link.cut());
  },
  "one server is partitioned from Redis": async (scene) => {
    const server = anyServer(scene);
    await untilJoined(scene, [server], () => partition(scene, server));
  },
  "one server is partitioned from Redis, which is emptied": async (scene) => {
    const server = anyServer(scene);
    await untilJoined(scene, [server], () =>
      partition(scene, server, async () => {
        await scene.redis.command("FLUSHALL");
      }),
    );
  },
  "a server is paused": async (scene) => {
    const { health, random } = scene;
    const server = anyServer(scene);
    const { pid } = server.process;
    await untilJoined(scene, [server], async () => {
      const end = health.goesDown(server.id);
      process.kill(pid, "SIGSTOP");
      await sleep(random.between(200, 4000));
      process.kill(pid, "SIGCONT");
      // What it was sent meanwhile, it answers now.
      await sleep(500);
      end();
    });
  },
  "a server is stopped and started": async (scene) => {
    const server = anyServer(scene);
    await scene.fleet.end(server, "SIGTERM");
    await sleep(scene.random.between(0, 2000));
    await scene.fleet.startAt(server.place);
  },
  "a server is killed and started": async (scene) => {
    const server = anyServer(scene);
    await scene.fleet.end(server, "SIGKILL");
    await sleep(scene.random.between(0, 2000));
    await scene.fleet.startAt(server.place);
  },
};

/** Some work, and the recovery from it. */
async function untilJoined(
  { fleet }: Scene,
  servers: readonly Server[],
  work: () => Promise<void>,
): Promise<void> {
  await work();
  await sleep(NOTICED_MS);
  await fleet.joined(servers);
}

async function slow({ random }: Scene, servers: readonly Server[]): Promise<void> {
  const delay = random.between(5, 300);
  for (const { link } of servers) link.delay = delay;
  await sleep(random.between(1000, 5000));
  for (const { link } of servers) link.delay = 0;
}

async function partition(
  { random, ttl }: Scene,
  { link }: Server,
  meanwhile: () => Promise<void> = async () => undefined,
): Promise<void> {
  link.partition();
  await sleep(random.between(200, ttl));
  await meanwhile();
  await sleep(random.between(0, 2 * ttl + 1000));
  link.heal(random.chance(0.5));
}

function anyServer({ fleet, random }: Scene): Server {
  const [first, ...others] = fleet.servers;
  if (first === undefined) throw new Error("no server runs");
  return random.of([first, ...others]);
}
