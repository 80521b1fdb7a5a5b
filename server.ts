/**
 * The server: its routes, and, when this file is run, config → storage → serve.
 *
 * What a request means is in `sync/`, what is stored and how in `storage/`, the wire in `http/`.
 */
import { realpathSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Router } from "itty-router";
import { type Config, helpText, InvalidConfig, readConfig, VERSION } from "./config.ts";
import { readJson } from "./http/body.ts";
import { corsFor } from "./http/cors.ts";
import {
  invalidRequest,
  methodNotAllowed,
  notFound,
  problemOf,
  rateLimited,
  stopping,
  storageNotReady,
} from "./http/errors.ts";
import { CannotListen, listen } from "./http/listen.ts";
import { Problem, problemResponse } from "./http/problem.ts";
import { streamOf } from "./http/stream.ts";
import { createLogger, type Logger } from "./logger.ts";
import { Metrics } from "./metrics.ts";
import { CountedDriver } from "./storage/counted.ts";
import { DamageWatch } from "./storage/damage.ts";
import { type Driver, StorageUnavailable } from "./storage/driver.ts";
import { Listings } from "./storage/listings.ts";
import { Objects } from "./storage/objects.ts";
import { openStorage } from "./storage/open.ts";
import { Limiter, type Verdict } from "./sync/limiter.ts";
import { Log } from "./sync/log.ts";
import { parseRequest } from "./sync/protocol.ts";

/** Answers requests, on any runtime that has `Request` and `Response`. */
export interface Handler {
  readonly fetch: (request: Request) => Promise<Response>;
  /** From now on, new requests are refused; those being answered go on. */
  readonly stop: () => void;
}

export interface HandlerOptions {
  readonly config: Config;
  readonly driver: Driver;
  readonly logger: Logger;
  /** Milliseconds of a clock that never goes back. */
  readonly now?: () => number;
}

/** How long an answer of `GET /ready` is kept: asking costs the server next to nothing. */
const READY_FOR_MS = 1000;

/** How long a stop waits for running requests. */
const STOP_WITHIN_MS = 10_000;

export function createHandler(options: HandlerOptions): Handler {
  const { config, logger, now = () => performance.now() } = options;
  const driver = new CountedDriver(options.driver);
  const damage = new DamageWatch((user, found) => {
    metrics.damaged(found);
    logger.error("a log is irregular", { user, ...found });
  });
  const listings = new Listings(driver, {
    ttl: config.LISTING_TTL,
    maxRuns: config.LISTING_CACHE_RUNS,
    now,
    onLoad: damage.look,
  });
  const objects = new Objects(driver, config.OBJECT_CACHE_BYTES);
  const log = new Log(listings, objects);
  const limiter =
    config.RATE_LIMIT > 0
      ? new Limiter({ rate: config.RATE_LIMIT, burst: config.RATE_BURST, now })
      : undefined;
  const cors = corsFor(config.CORS_ORIGIN);
  const ready = keptFor(READY_FOR_MS, now, async () => {
    try {
      await driver.list("ready.");
    } catch (error) {
      logger.error("storage is not ready", { error });
      throw error instanceof StorageUnavailable ? storageNotReady(error.reason) : error;
    }
  });
  let running = 0;
  let stopped = false;
  const metrics = new Metrics({
    driver,
    listings,
    objects,
    log,
    limiter,
    running: () => running,
  });

  const router = Router<Routed>()
    .post("/sync", ({ request }) => sync(request))
    .options("/sync", cors.preflight)
    .all("/sync", refuse("POST, OPTIONS"))
    .get("/health", lives)
    .head("/health", lives)
    .all("/health", refuse("GET, HEAD"))
    .get("/ready", answers)
    .head("/ready", answers)
    .all("/ready", refuse("GET, HEAD"))
    .get("/metrics", () => metrics.response())
    .all("/metrics", refuse("GET"))
    .all("*", ({ path }) => {
      throw notFound(path);
    });

  async function sync(request: Request): Promise<Response> {
    const { json, bytes } = await readJson(request, config.MAX_BODY);
    const parsed = parseRequest(json);
    if ("faults" in parsed) throw invalidRequest(parsed.faults);
    const { user, client, append, aware } = parsed;

    const verdict = limiter?.admit(user, bytes);
    const headers = {
      "Content-Type": "application/x-ndjson",
      "Cache-Control": "no-store",
      ...rateHeaders(config, verdict),
    };
    if (verdict?.admitted === false)
      throw rateLimited(verdict.retryAfter, rateHeaders(config, verdict));

    if (append !== undefined) await log.append(user, client, append.first, append.payloads);
    const reading = await log.read(user, aware);
    // Charged in advance, so that downloads side by side count; what is not sent is paid back.
    limiter?.charge(user, reading.bytes);
    running++;
    const body = await streamOf(reading.lines, ({ sent, error }) => {
      running--;
      limiter?.charge(user, Math.min(0, sent - reading.bytes));
      if (error !== undefined) logger.error("a response was cut", { user, sent, error });
    });
    return new Response(body, {
      headers: { ...headers, "Operation-Count": String(reading.count) },
    });
  }

  function lives(): Response {
    return Response.json({ status: "ok" }, { headers: { "Cache-Control": "no-store" } });
  }

  async function answers(): Promise<Response> {
    await ready();
    return Response.json({ status: "ready" }, { headers: { "Cache-Control": "no-store" } });
  }

  async function fetch(request: Request): Promise<Response> {
    const startedAt = now();
    const { method } = request;
    const path = pathOf(request.url);
    running++;
    const response = await answer({ method, path, url: `http://localhost${path}`, request });
    running--;
    cors.allow(request, response);
    // An idle connection would hold up the stop for as long as it is kept alive.
    if (stopped) response.headers.set("Connection", "close");
    const route = routes.has(path) ? path : "other";
    metrics.answered(route, response.status, (now() - startedAt) / 1000);
    logger.debug("answered", { method, route, status: response.status });
    return response;
  }

  async function answer(routed: Routed): Promise<Response> {
    if (stopped) return problemResponse(stopping);
    try {
      return await router.fetch(routed);
    } catch (error) {
      const problem = problemOf(error);
      const { status } = problem;
      // A `Problem` was made on purpose, and told of where it was made.
      if (status >= 500 && !(error instanceof Problem)) {
        logger.error("a request failed", { status, error });
      }
      return problemResponse(problem);
    }
  }

  return {
    fetch,
    stop: () => {
      stopped = true;
    },
  };
}

const routes = new Set(["/sync", "/health", "/ready", "/metrics"]);

/** A request as the router sees it. */
interface Routed {
  readonly method: string;
  readonly path: string;
  /** For the router alone: whatever the Host header says, this one can be parsed. */
  readonly url: string;
  readonly request: Request;
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

/** The fields of draft-ietf-httpapi-ratelimit-headers, for the one policy there is. */
function rateHeaders(config: Config, verdict: Verdict | undefined): Record<string, string> {
  if (verdict === undefined) return {};
  const window = Math.ceil(config.RATE_BURST / config.RATE_LIMIT);
  return {
    "RateLimit-Policy": `"user";q=${Math.floor(config.RATE_BURST)};w=${window}`,
    RateLimit: `"user";r=${verdict.remaining};t=${verdict.fullIn}`,
  };
}

/** Work whose outcome, good or bad, is handed out again for a while. */
function keptFor<Result>(
  ms: number,
  now: () => number,
  work: () => Promise<Result>,
): () => Promise<Result> {
  let outcome: Promise<Result> | undefined;
  let at = 0;
  return () => {
    if (outcome === undefined || now() - at > ms) {
      outcome = work();
      at = now();
    }
    return outcome;
  };
}

/** Runs the server until it is told to stop. */
async function main(): Promise<void> {
  const config = readConfig(process.env);
  const logger = createLogger(config.LOG);
  const driver = await openStorage(config.STORAGE);
  const handler = createHandler({ config, driver, logger });
  const server = await listen(handler.fetch, config.HOST, config.PORT);
  console.log(`Sync-Server ${VERSION} listens on ${server.url}, storage ${config.STORAGE}`);

  const stop = async (signal: string) => {
    logger.info("stopping", { signal });
    handler.stop();
    await Promise.race([
      server.close(),
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
      const expected = [InvalidConfig, StorageUnavailable, CannotListen].some(
        (kind) => error instanceof kind,
      );
      console.error(expected && error instanceof Error ? error.message : error);
      process.exit(1);
    });
  }
}
