import type { Cluster } from "./cluster.ts";
import { RedisCluster } from "./redis/redis-cluster.ts";

/** Takes what the operator should know. */
export interface ClusterLogger {
  info(message: string): void;
  error(message: string, fields: { readonly reason: string }): void;
}

/** The cluster cannot be reached at the start. */
export class ClusterUnavailable extends Error {
  override name = "ClusterUnavailable";
}

/** How long a start waits for the cluster, in milliseconds. */
const JOIN_WITHIN_MS = 10_000;

/** Before the names of keys where the address names no other prefix. */
const PREFIX = "sync-server";

/**
 * Joins the cluster at an address, with `LISTING_TTL` in milliseconds: `redis://` or `rediss://`, with `?prefix=` where several clusters share
 * a database. Throws `ClusterUnavailable`: what a server stores that the others have never heard of, they
 * might not look for.
 */
export async function openCluster(
  address: string,
  ttl: number,
  logger: ClusterLogger,
): Promise<Cluster> {
  const url = new URL(address);
  // Channels are not apart by database, as keys are.
  const database = url.pathname.slice(1) || "0";
  const prefix = `{${url.searchParams.get("prefix") ?? PREFIX}:${database}}`;
  url.search = "";
  let lastReason = "it does not answer";
  let wasJoined = false;
  const cluster = new RedisCluster({
    url: url.href,
    prefix,
    ttl,
    onChange: (isJoined, reason) => {
      if (isJoined) logger.info("the cluster is reached");
      // Once for each loss, and not for each attempt to connect again.
      else if (wasJoined)
        logger.error("the cluster is lost, and listings go by LISTING_TTL", { reason });
      wasJoined = isJoined;
      lastReason = reason;
    },
  });
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<"late">((resolve) => {
    timer = setTimeout(resolve, JOIN_WITHIN_MS, "late" as const);
  });
  const first = await Promise.race([cluster.open(), late]);
  clearTimeout(timer);
  if (first !== "late") return cluster;
  await cluster.close();
  throw new ClusterUnavailable(
    `CLUSTER cannot be reached: ${lastReason}. Start Redis at this address, or unset CLUSTER on all servers.`,
  );
}
