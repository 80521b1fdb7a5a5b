import type { Cluster } from "./cluster.ts";
import { REPLY_WITHIN_MS } from "./redis/connection.ts";
import { RedisCluster } from "./redis/redis-cluster.ts";

export interface ClusterOptions {
  /** `LISTING_TTL` in milliseconds. */
  readonly ttl: number;
  /** Called when this server begins to take part in the cluster, and no longer does. */
  readonly onChange: (isJoined: boolean, reason: string) => void;
  /** How long a reply may take, in milliseconds. */
  readonly replyWithin?: number;
  /** How long a start waits for the cluster, in milliseconds. */
  readonly joinWithin?: number;
}

/** The cluster cannot be reached at the start. */
export class ClusterUnavailable extends Error {
  override name = "ClusterUnavailable";
}

const JOIN_WITHIN_MS = 10_000;

/** Before the names of keys where the address names no other prefix. */
const PREFIX = "sync-server";

/**
 * Joins the cluster at an address: `redis://` or `rediss://`, with `?prefix=` where several clusters share
 * a database. Throws `ClusterUnavailable`: what a server stores that the others have never heard of, they
 * might not look for.
 */
export async function openCluster(address: string, options: ClusterOptions): Promise<Cluster> {
  const url = new URL(address);
  // Channels are not apart by database, as keys are.
  const database = url.pathname.slice(1) || "0";
  const prefix = `{${url.searchParams.get("prefix") ?? PREFIX}:${database}}`;
  url.search = "";
  let lastReason = "it does not answer";
  const cluster = new RedisCluster({
    url: url.href,
    prefix,
    ttl: options.ttl,
    replyWithin: options.replyWithin ?? REPLY_WITHIN_MS,
    onChange: (isJoined, reason) => {
      if (!isJoined) lastReason = reason;
      options.onChange(isJoined, reason);
    },
  });
  // Takes seconds on a slow machine, which is no fault of Redis. Where it fails, an attempt to connect says so.
  await import("@redis/client").catch(() => undefined);
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<"late">((resolve) => {
    timer = setTimeout(resolve, options.joinWithin ?? JOIN_WITHIN_MS, "late" as const);
  });
  const first = await Promise.race([cluster.open(), late]);
  clearTimeout(timer);
  if (first !== "late") return cluster;
  await cluster.close();
  throw new ClusterUnavailable(
    `CLUSTER cannot be reached: ${lastReason}. Start Redis at this address, or unset CLUSTER on all servers.`,
  );
}
