/** Whether three servers together hold the limits of a user exactly. */
import { setTimeout as sleep } from "node:timers/promises";

import { openStorage } from "../../../storage/open.ts";
import { sync } from "../../support/http.ts";
import type { Program } from "../../support/process.ts";
import { startRedis } from "../../support/redis.ts";
import { Random } from "../../support/simulation/random.ts";
import { newClient, newUser } from "../../support/users.ts";
import { Fleet, type Server } from "./fleet.ts";
import { Health } from "./health.ts";
import type { Report } from "./report.ts";

const QUOTA_BYTES = 400_000;
const QUOTA_CLIENTS = 12;
const RATE_LIMIT = 20;
const RATE_BURST = 60;
/** What a server has logged is read by then. */
const LOGGED_WITHIN_MS = 1000;
/** What an object counts more than its size. */
const OBJECT_BYTES = 4096;
const LARGEST = 2000;

/** Fills quotas and uses up the rate limit, through three servers at once. */
export async function checkLimits(
  seed: number,
  program: Program,
  storage: string,
  report: Report,
): Promise<void> {
  const random = new Random(seed);
  const redis = await startRedis();
  const settings = {
    STORAGE: storage,
    LISTING_TTL: "5s",
    COMPACTION: "off",
    QUOTA_BYTES: `${QUOTA_BYTES}`,
    QUOTA_CLIENTS: `${QUOTA_CLIENTS}`,
  };
  const health = new Health();
  // The second fleet has the names of the first, and its own logs.
  const start = (more: Readonly<Record<string, string>>) =>
    Fleet.start({
      size: 3,
      program,
      redis,
      health,
      settings: { ...settings, ...more },
    });
  try {
    report.event("quotas are filled");
    const fleet = await start({});
    const bytes = newUser().base64;
    const clients = newUser().base64;
    try {
      const crowd = [
        ...Array.from({ length: 8 }, () => fill(bytes, fleet.servers, random)),
        ...Array.from({ length: 40 }, () => begin(clients, fleet.servers, random)),
      ];
      const [...outcomes] = await Promise.all(crowd);
      const begun = outcomes.slice(8).filter((isStored) => isStored).length;
      if (!(await haveStayed(fleet.servers, health, report))) return;
      if (begun !== QUOTA_CLIENTS) report.fault(`${begun} clients of ${QUOTA_CLIENTS} have begun`);
    } finally {
      await fleet.close();
    }
    await compareStored(storage, report);
    report.event("the rate limit is used up");
    const limited = await start({ RATE_LIMIT: `${RATE_LIMIT}`, RATE_BURST: `${RATE_BURST}` });
    try {
      const { passed, allowed } = await useUpRate(limited.servers);
      if (!(await haveStayed(limited.servers, health, report))) return;
      const outcome = `${passed} requests have passed, of ${Math.floor(allowed)}`;
      report.event(outcome);
      if (passed > allowed || passed < 0.8 * allowed) report.fault(outcome);
    } finally {
      await limited.close();
    }
  } finally {
    await redis.remove();
  }
}

/** Appends through all servers until one refuses; then through that one, until nothing small fits either. */
async function fill(user: string, servers: readonly Server[], random: Random): Promise<boolean> {
  const client = newClient();
  for (let index = 0; ; index++) {
    const payload = "x".repeat(random.between(1, LARGEST));
    if ((await append(any(servers, random), user, client, index, payload)) === 507) return true;
  }
}

async function begin(user: string, servers: readonly Server[], random: Random): Promise<boolean> {
  return (await append(any(servers, random), user, newClient(), 0, "a payload")) === 200;
}

async function append(
  { process: { url } }: Server,
  user: string,
  client: string,
  index: number,
  payload: string,
): Promise<number> {
  const body = {
    user,
    client_id: client,
    operation_index: index,
    payload,
    sync_status: {},
  };
  const { status, text } = await sync(url, body);
  if (status !== 200 && status !== 507) throw new Error(`an append has failed: ${text}`);
  return status;
}

/** Compares what is in storage with the quota: neither more, nor much less. */
async function compareStored(storage: string, report: Report): Promise<void> {
  const driver = await openStorage(storage, () => undefined, { journal: true, retention: 0 });
  try {
    const used = new Map<string, number>();
    for (const { name, size } of await driver.list("")) {
      const user = name.slice(0, name.indexOf("."));
      used.set(user, (used.get(user) ?? 0) + size + OBJECT_BYTES);
    }
    const most = Math.max(...used.values());
    report.event(`${most} bytes of ${QUOTA_BYTES} are stored`);
    if (most > QUOTA_BYTES) report.fault(`${most} bytes are stored, of ${QUOTA_BYTES}`);
    if (most < QUOTA_BYTES - 10 * (LARGEST + OBJECT_BYTES)) {
      report.fault(`only ${most} bytes are stored, of ${QUOTA_BYTES}`);
    }
  } finally {
    await driver.close();
  }
}

/** Polls through all servers for a while: as many pass as the limit says. */
async function useUpRate(
  servers: readonly Server[],
): Promise<{ readonly passed: number; readonly allowed: number }> {
  const user = newUser().base64;
  const began = performance.now();
  const ends = began + 4000;
  let passed = 0;
  const polls = servers.flatMap((server) =>
    Array.from({ length: 4 }, async () => {
      while (performance.now() < ends) {
        const body = { user, client_id: newClient(), sync_status: {} };
        const { status } = await sync(server.process.url, body);
        if (status === 200) passed++;
      }
    }),
  );
  await Promise.all(polls);
  const allowed = RATE_BURST + (RATE_LIMIT * (performance.now() - began)) / 1000;
  return { passed, allowed };
}

/** Whether all servers reached Redis all the time. On a slow machine they may not: then each counts alone. */
async function haveStayed(
  servers: readonly Server[],
  health: Health,
  report: Report,
): Promise<boolean> {
  await sleep(LOGGED_WITHIN_MS);
  const lost = servers.filter(({ id }) => health.losses(id).length > 0);
  if (lost.length > 0) report.note("a server has lost Redis, so that limits are not judged");
  return lost.length === 0;
}

function any([first, ...others]: readonly Server[], random: Random): Server {
  if (first === undefined) throw new Error("no server runs");
  return random.of([first, ...others]);
}
