import type { Announcement, Cluster } from "../../cluster/cluster.ts";
import { openCluster } from "../../cluster/open.ts";
import { PATIENT } from "../support/redis.ts";
import { until } from "../support/socket.ts";

/** A server that takes part in a cluster, and what it has seen. */
export interface Member {
  readonly cluster: Cluster;
  readonly heard: Announcement[];
  /** Why it did not take part, each time. */
  readonly reasons: string[];
  /** Its version of a log. */
  readonly version: (log: string) => Promise<string>;
  readonly back: () => Promise<void>;
  readonly gone: () => Promise<void>;
}

export interface MemberOptions {
  readonly ttl?: number;
  readonly replyWithin?: number;
  readonly joinWithin?: number;
}

const joined = new Set<Cluster>();

/** Closes what tests have left open: it would keep the process running. */
export async function closeAll(): Promise<void> {
  await Promise.all([...joined].map((cluster) => cluster.close()));
  joined.clear();
}

export async function join(url: string, options: MemberOptions = {}): Promise<Member> {
  const heard: Announcement[] = [];
  const reasons: string[] = [];
  const cluster = await openCluster(url, {
    ttl: 30_000,
    ...PATIENT,
    ...options,
    onChange: (isJoined, reason) => {
      if (!isJoined) reasons.push(reason);
    },
  });
  joined.add(cluster);
  cluster.onAnnouncement((announcement) => heard.push(announcement));
  return {
    cluster,
    heard,
    reasons,
    version: async (log) => {
      const version = await cluster.version(log);
      if (version === undefined) throw new Error(`it has no version: ${reasons.at(-1)}`);
      return version;
    },
    back: () => until(() => cluster.isReliable, "the server takes part"),
    gone: () => until(() => !cluster.isReliable, "the server takes part no more"),
  };
}

/** Whether each call of a cluster says that it cannot be reached. */
export async function answersNothing({ cluster }: Member, version: string): Promise<boolean> {
  const answers = await Promise.all([
    cluster.version("log"),
    cluster.announce("log", "change"),
    cluster.take({ buckets: [{ name: "b", rate: 1, burst: 1 }], tokens: 1, onlyIfLeft: true }),
    cluster.claim({ ...CLAIM, version }),
  ]);
  cluster.release("log", "claim");
  return answers.every((answer) => answer === undefined);
}

export const CLAIM = {
  id: "claim",
  log: "log",
  client: "client",
  isNewClient: false,
  objects: 1,
  bytes: 1,
  room: { bytes: 100, clients: 100, size: 100, runsPerClient: 1 },
};
