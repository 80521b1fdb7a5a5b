/**
 * The server: its routes, and, when this file is run, config → storage → serve.
 *
 * What a request means is in `sync/`, what is stored and how in `storage/`, the wire in `http/`.
 */
import { realpathSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Router } from "itty-router";
import type { ServerRequest } from "srvx";
import { type Config, helpText, InvalidConfig, readConfig, VERSION } from "./config.ts";
import { Addresses } from "./http/address.ts";
import { Admission } from "./http/admission.ts";
import { corsFor } from "./http/cors.ts";
import { methodNotAllowed, problemOf, stopping } from "./http/errors.ts";
import { CannotListen, listen, responseClass } from "./http/listen.ts";
import { pageFor } from "./http/page.ts";
import { Problem, problemReply } from "./http/problem.ts";
import { Readiness } from "./http/ready.ts";
import { json, type Reply, type ResponseClass } from "./http/reply.ts";
import { Signatures } from "./http/signature.ts";
import { SyncEndpoint } from "./http/sync.ts";
import { createLogger, type Logger } from "./logger.ts";
import { Metrics } from "./metrics.ts";
import { CountedDriver } from "./storage/counted.ts";
import { DamageWatch } from "./storage/damage.ts";
import { type Driver, StorageUnavailable } from "./storage/driver.ts";
import { Listings } from "./storage/listings.ts";
import { Objects } from "./storage/objects.ts";
import { openStorage } from "./storage/open.ts";
import { Access } from "./sync/access.ts";
import { type CompactionTiming, Compactor } from "./sync/compactor.ts";
import { Erasures } from "./sync/erasure.ts";
import { Keys } from "./sync/keys.ts";
import { Limiter } from "./sync/limiter.ts";
import { Log } from "./sync/log.ts";
import type { PackingLimits } from "./sync/packing.ts";
import { Parts } from "./sync/parts.ts";
import { Quota } from "./sync/quota.ts";
import { InvalidUsers, Users } from "./sync/users.ts";

/** Answers requests, on any runtime that has `Request` and `Response`. */
export interface Handler {
  readonly fetch: (request: ServerRequest) => Promise<Response>;
  /**
   * From now on, new requests are refused; those being answered go on. Resolves once compaction has
   * come to a point where it can end.
   */
  readonly stop: () => Promise<void>;
  /** Resolves once compaction has nothing to do. */
  readonly compacted: () => Promise<void>;
}

export interface HandlerOptions {
  readonly config: Config;
  readonly driver: Driver;
  readonly logger: Logger;
  /** Milliseconds of a clock that never goes back. */
  readonly now?: () => number;
  /** Milliseconds of Unix time. */
  readonly time?: () => number;
  /** What answers are made with; the global `Response` unless told. */
  readonly Response?: ResponseClass;
  /** What is packed and when, where it is not what the defaults say. */
  readonly compaction?: { readonly limits: PackingLimits; readonly timing: CompactionTiming };
}

/** How long compaction waits for a moment without requests, before each segment. */
const YIELD_MS = 50;

/** How long a stop waits for running requests. */
const STOP_WITHIN_MS = 10_000;

export function createHandler(options: HandlerOptions): Handler {
  const { config, logger, Response: Answer = Response } = options;
  const { now = () => performance.now(), time = Date.now } = options;
  const driver = new CountedDriver(options.driver);
  const damage = new DamageWatch((user, found, added) => {
    metrics.damaged(added);
    logger.error("a log is irregular", { user, ...found });
  });
  const listings = new Listings(driver, {
    ttl: config.LISTING_TTL,
    maxRuns: config.LISTING_CACHE_RUNS,
    now,
    onLoad: (user, listing) => {
      damage.look(user, listing);
      compactor?.loaded(user, listing);
    },
  });
  const objects = new Objects(driver, config.OBJECT_CACHE_BYTES);
  const parts = new Parts(objects, damage.lookInside);
  const compactor =
    config.COMPACTION === "off"
      ? undefined
      : new Compactor({
          listings,
          objects,
          parts: new Parts({ get: (name) => objects.getOnce(name) }, damage.lookInside),
          now,
          settle: (user) => erasures.settleAfresh(user),
          pause: () => untilIdle(() => running + endpoint.streaming),
          onError: (user, error) => logger.error("a compaction failed", { user, error }),
          ...options.compaction,
        });
  const log = new Log(listings, objects, parts, (user) => compactor?.appended(user));
  const limiter =
    config.RATE_LIMIT > 0
      ? new Limiter({ rate: config.RATE_LIMIT, burst: config.RATE_BURST, now })
      : undefined;
  const erasures = new Erasures({
    driver,
    listings,
    objects,
    time,
    onFailure: (user, error) => logger.error("an erased user is not swept yet", { user, error }),
  });
  const access = new Access({ driver, listings, erasures });
  const signatures = new Signatures({ publicUrl: config.PUBLIC_URL, keys: new Keys(), time });
  const newUsers =
    config.NEW_USERS_PER_HOUR > 0
      ? new Limiter({
          rate: config.NEW_USERS_PER_HOUR / 3600,
          burst: config.NEW_USERS_PER_HOUR,
          now,
        })
      : undefined;
  const users =
    config.USERS === "open"
      ? undefined
      : new Users({
          path: config.USERS,
          now,
          onFault: (error) => logger.error("the last good list of users holds", { error }),
        });
  const admission = new Admission({
    maxRequests: config.MAX_REQUESTS,
    maxBuffered: config.MAX_BUFFERED,
    patience: config.CLIENT_TIMEOUT,
  });
  const cors = corsFor(config.CORS_ORIGIN);
  const endpoint = new SyncEndpoint({
    maxBody: config.MAX_BODY,
    timeout: config.CLIENT_TIMEOUT,
    log,
    access,
    erasures,
    signatures,
    signaturesRequired: config.SIGNATURES === "required",
    addresses: new Addresses(config.TRUSTED_PROXIES),
    admission,
    quota: new Quota({ bytes: config.QUOTA_BYTES, clients: config.QUOTA_CLIENTS }),
    users,
    newUsers,
    limiter,
    time,
    onCut: (user, sent, error) => logger.error("a response was cut", { user, sent, error }),
  });
  const readiness = new Readiness(driver, now, (error) =>
    logger.error("storage is not ready", { error }),
  );
  let running = 0;
  let stopped = false;
  const metrics = new Metrics({
    driver,
    listings,
    objects,
    log,
    access,
    erasures,
    signatures,
    limiter,
    compactor,
    running: () => running + endpoint.streaming,
    admission,
    stalled: () => endpoint.stalled,
    lostLines: () => logger.counts.lost,
  });

  const page = pageFor(config.DEMO === "on");
  const router = Router<Routed>()
    .delete("/sync", ({ request }) => endpoint.erase(request))
    .options("/sync", cors.preflight)
    .all("/sync", refuse("POST, DELETE, OPTIONS"))
    .get("/health", lives)
    .head("/health", lives)
    .all("/health", refuse("GET, HEAD"))
    .get("/ready", answers)
    .head("/ready", answers)
    .all("/ready", refuse("GET, HEAD"))
    .get("/metrics", () => metrics.reply())
    .all("/metrics", refuse("GET"));

  function lives(): Reply {
    return json({ status: "ok" });
  }

  async function answers(): Promise<Reply> {
    await readiness.check();
    return json({ status: "ready" });
  }

  async function fetch(request: ServerRequest): Promise<Response> {
    const startedAt = now();
    const { method } = request;
    // Node's own, where there is one: a URL is put together of it only to be taken apart again.
    const path = pathOf(request.runtime?.node?.req.url ?? request.url);
    running++;
    const reply = await answer({ method, path, url: `http://localhost${path}`, request });
    running--;
    const { status, headers, body } = reply;
    cors.allow(request.headers.get("origin"), reply);
    // An idle connection would hold up the stop for as long as it is kept alive.
    if (stopped) headers.Connection = "close";
    const route = routes.has(path) ? path : "other";
    metrics.answered(route, status, (now() - startedAt) / 1000);
    logger.debug("answered", { method, route, status });
    return new Answer(body, { status, headers });
  }

  async function answer(routed: Routed): Promise<Reply> {
    if (stopped) return problemReply(stopping);
    try {
      // Not by way of the router, whose own URL and patterns would be a third of a poll's work.
      if (routed.path === "/sync" && routed.method === "POST") {
        return await endpoint.answer(routed.request);
      }
      // The router would take a slash at the end of a path for nothing.
      if (!routes.has(routed.path)) return page(routed);
      return await router.fetch(routed);
    } catch (error) {
      const problem = problemOf(error);
      const { status } = problem;
      // A `Problem` was made on purpose, and told of where it was made.
      if (status >= 500 && !(error instanceof Problem)) {
        logger.error("a request failed", { status, error });
      }
      metrics.refused(problem.type);
      return problemReply(problem);
    }
  }

  return {
    fetch,
    stop: async () => {
      stopped = true;
      await compactor?.stop();
    },
    compacted: async () => compactor?.settled(),
  };
}

/** Waits until no request is being answered, or for a moment: compaction must get on as well. */
async function untilIdle(running: () => number): Promise<void> {
  const until = performance.now() + YIELD_MS;
  while (running() > 0 && performance.now() < until) await sleep(1);
}

const routes = new Set(["/sync", "/health", "/ready", "/metrics"]);

/** A request as the router sees it. */
interface Routed {
  readonly method: string;
  readonly path: string;
  /** For the router alone: whatever the Host header says, this one can be parsed. */
  readonly url: string;
  readonly request: ServerRequest;
}

/** The path of a request's URL; without a Host header, some runtimes give nothing but the path. */
function pathOf(url: string): string {
  const start = url.startsWith("/") ? 0 : url.indexOf("/", url.indexOf("://") + 3);
  return start === -1 ? "/" : url.slice(start).replace(/[?#].*$/s, "");
}

function refuse(allow: string) {
  return ({ method, path }: Routed): never => {
    throw methodNotAllowed(method, path, allow);
  };
}

/** Runs the server until it is told to stop. */
async function main(): Promise<void> {
  const config = readConfig(process.env);
  const logger = createLogger(config.LOG);
  const driver = await openStorage(config.STORAGE);
  const handler = createHandler({ config, driver, logger, Response: await responseClass() });
  const server = await listen(handler.fetch, {
    hostname: config.HOST,
    port: config.PORT,
    headersTimeout: config.CLIENT_TIMEOUT,
  });
  console.log(`Sync-Server ${VERSION} listens on ${server.url}, storage ${config.STORAGE}`);

  const stop = async (signal: string) => {
    logger.info("stopping", { signal });
    await Promise.race([
      Promise.all([handler.stop(), server.close()]),
      new Promise((resolve) => setTimeout(resolve, STOP_WITHIN_MS)),
    ]);
    await driver.close();
    process.exit(0);
  };
  process.once("SIGTERM", stop);
  process.once("SIGINT", stop);
}

/** True when this file was started, not imported. Node tells before 24.2 only by its arguments. */
function isMain(): boolean {
  const started = process.argv[1];
  return (
    import.meta.main ??
    (started !== undefined && realpathSync(started) === fileURLToPath(import.meta.url))
  );
}

if (isMain()) {
  const [argument] = process.argv.slice(2);
  if (argument === "--help") console.log(helpText());
  else if (argument === "--version") console.log(VERSION);
  else if (argument !== undefined) {
    console.error(
      `There is no argument ${argument}. Settings are environment variables: see --help.`,
    );
    process.exitCode = 2;
  } else {
    await main().catch((error: unknown) => {
      const expected = [InvalidConfig, InvalidUsers, StorageUnavailable, CannotListen].some(
        (kind) => error instanceof kind,
      );
      console.error(expected && error instanceof Error ? error.message : error);
      process.exit(1);
    });
  }
}
