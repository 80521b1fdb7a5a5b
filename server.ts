/** The program, and the server as a process: config → storage → handler → listen → signals. */
import { ClusterUnavailable, openCluster } from "./cluster/open.ts";
import { runCommandLine } from "./commands/run.ts";
import { clusterReporter } from "./server/cluster-reporter.ts";
import { InvalidConfig, readConfig, VERSION } from "./server/config.ts";
import { createHandler } from "./server/handler.ts";
import { CannotListen, listen, responseClass } from "./server/http/listen.ts";
import { createLogger } from "./server/logger.ts";
import { isStarted, nodeTooOld, onOrphaned } from "./server/start.ts";
import { StorageUnavailable } from "./storage/driver.ts";
import { openStorage } from "./storage/open.ts";
import { InvalidAllowList } from "./sync/user-limits.ts";

export type { Cluster } from "./cluster/cluster.ts";
export { MemoryHub } from "./cluster/memory.ts";
export { type ClusterOptions, ClusterUnavailable, openCluster } from "./cluster/open.ts";
export type { CompactionSchedulerOptions } from "./oplog/compaction/scheduler.ts";
export { InvalidConfig, readConfig } from "./server/config.ts";
export { createHandler, type Handler, type HandlerOptions } from "./server/handler.ts";
export type { ResponseClass } from "./server/http/response.ts";
export { createLogger, type LogFormat, type Logger, type LogLevel } from "./server/logger.ts";
export type { Config } from "./server/settings.ts";
export {
  checkName,
  type Driver,
  isDamaged,
  isName,
  md5Of,
  ObjectMissing,
  ObjectUnreadable,
  type PutOptions,
  partitionOf,
  type RequestCounts,
  StorageFull,
  StorageUnavailable,
  type StoredObject,
  type Warn,
} from "./storage/driver.ts";
export { openStorage } from "./storage/open.ts";
export { InvalidAllowList } from "./sync/user-limits.ts";

/** Threads of Node that wait for the disk: operations made durable at once share its work. */
const DISK_THREADS = "16";

/** How long a stop waits for running requests. */
const STOP_WITHIN_MS = 10_000;

/** Errors that the operator can fix: only their message is shown. */
const EXPECTED = [
  InvalidConfig,
  InvalidAllowList,
  StorageUnavailable,
  ClusterUnavailable,
  CannotListen,
];

/** Serves until SIGTERM or SIGINT. */
async function main(environment: Readonly<Record<string, string | undefined>>): Promise<void> {
  // No effect where a thread was used before, as by tsx on Node 20, or on Bun and Deno.
  process.env.UV_THREADPOOL_SIZE ??= DISK_THREADS;
  const config = readConfig(environment);
  const logger = createLogger(config.LOG, undefined, undefined, config.LOG_FORMAT);
  const warn = (message: string) => logger.error(message);
  const driver = await openStorage(config.STORAGE, warn, {
    journal: config.JOURNAL === "on",
    retention: config.PACKED_RETENTION,
  });
  const cluster =
    config.CLUSTER === undefined
      ? undefined
      : await openCluster(config.CLUSTER, {
          ttl: config.LISTING_TTL,
          onChange: clusterReporter(logger),
        });
  const handler = createHandler({
    config,
    driver,
    cluster,
    logger,
    Response: await responseClass(),
  });
  const server = await listen(handler.fetch, {
    paths: handler.paths,
    hostname: config.HOST,
    port: config.PORT,
    headersTimeout: config.CLIENT_TIMEOUT,
    onError: (message) => logger.error(message),
    onLost: (error) => {
      console.error(error.message);
      process.exit(1);
    },
  });
  let stopping = false;
  const stop = async (signal: string) => {
    if (stopping) return;
    stopping = true;
    logger.info("stopping", { signal });
    const hasStopped = await Promise.race([
      Promise.all([handler.stop(), server.close()]).then(() => true),
      new Promise<false>((resolve) => setTimeout(resolve, STOP_WITHIN_MS, false)),
    ]);
    await cluster?.close(hasStopped && handler.isSettled());
    await driver.close();
    process.exit(0);
  };
  process.once("SIGTERM", stop);
  process.once("SIGINT", stop);
  onOrphaned(() => void stop("its parent has ended"));
  // Last: a supervisor that reads this line may stop the server at once.
  console.log(`Sync-Server ${VERSION} listens on ${server.url}, storage ${config.STORAGE}`);
}

if (isStarted(import.meta)) {
  const tooOld = nodeTooOld(process.versions);
  if (tooOld !== undefined) {
    console.error(tooOld);
    process.exitCode = 1;
  } else {
    const code = await runCommandLine({
      args: process.argv.slice(2),
      environment: process.env,
      serve: main,
      explain: (error) => {
        const expected = EXPECTED.some((kind) => error instanceof kind);
        return expected && error instanceof Error ? error.message : error;
      },
    });
    // What is under way may go on for long.
    if (code !== undefined) process.exit(code);
  }
}
