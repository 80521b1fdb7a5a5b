/**
 * The server: its routes, and, when this file is run, config → storage → serve.
 *
 * What a request means is in `sync/`, what is stored and how in `storage/`, the wire in `http/`.
 */
import { realpathSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Router } from "itty-router";
import type { ServerRequest } from "srvx";
import { PROBLEMS } from "./protocol/problems.ts";
import { InvalidAllowList } from "./server/allow-list-file.ts";
import { helpText, InvalidConfig, readConfig, VERSION } from "./server/config.ts";
import { hasMore } from "./server/http/body-reader.ts";
import { corsFor } from "./server/http/cors.ts";
import { CannotListen, listen, responseClass } from "./server/http/listen.ts";
import { methodNotAllowed, Problem, problemOf, problemReply } from "./server/http/problems.ts";
import { json, type Reply, type ResponseClass } from "./server/http/response.ts";
import { pageFor } from "./server/http/static.ts";
import { createLogger } from "./server/logger.ts";
import { type WiringOptions, wire } from "./server/wiring.ts";
import { StorageUnavailable } from "./storage/driver.ts";
import { openStorage } from "./storage/open.ts";

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

export interface HandlerOptions extends WiringOptions {
  /** What answers are made with; the global `Response` unless told. */
  readonly Response?: ResponseClass;
}

/**
 * How many threads of Node may wait for the disk at once. Of its own it has 4, and operations that
 * are made durable at once share the work of the file system.
 */
const DISK_THREADS = "16";

/** How long a stop waits for running requests. */
const STOP_WITHIN_MS = 10_000;

/** The server without a listener: puts its parts together, and answers with them. */
export function createHandler(options: HandlerOptions): Handler {
  const { config, logger, now = () => performance.now(), time = Date.now } = options;
  const { Response: Answer = Response } = options;
  let running = 0;
  let stopped = false;
  const { endpoint, readiness, metrics, compactor } = wire(options, () => running);
  const cors = corsFor(config.CORS_ORIGIN);
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
    .get("/metrics", measures)
    .all("/metrics", refuse("GET"));

  function lives(): Reply {
    return json({ status: "ok" });
  }

  async function answers(): Promise<Reply> {
    await readiness.check();
    return json({ status: "ready" });
  }

  async function measures(): Promise<Reply> {
    const { text, contentType } = await metrics.text();
    const headers = { "Content-Type": contentType, "Cache-Control": "no-store" };
    return { status: 200, headers, body: text };
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
    // An idle connection would hold up the stop for as long as it is kept alive. And a body that
    // nobody reads has no limit of time.
    if (stopped || ((status !== 200 || path !== "/sync") && hasMore(request)))
      headers.Connection = "close";
    const route = routes.has(path) ? path : "other";
    metrics.answered(route, status, (now() - startedAt) / 1000);
    logger.debug("answered", { method, route, status });
    return new Answer(body, { status, headers });
  }

  async function answer(routed: Routed): Promise<Reply> {
    if (stopped) return problemReply(new Problem("stopping"), time);
    try {
      // Not by way of the router, whose own URL and patterns would be a third of a poll's work.
      if (routed.path === "/sync" && routed.method === "POST") {
        return await endpoint.answer(routed.request);
      }
      // The router would take a slash at the end of a path for nothing.
      if (!routes.has(routed.path)) return await page(routed);
      return await router.fetch(routed);
    } catch (error) {
      const problem = problemOf(error);
      const { status } = PROBLEMS[problem.code];
      // A `Problem` is thrown on purpose, and logged there if it has to be.
      if (status >= 500 && !(error instanceof Problem)) {
        logger.error("a request failed", { status, error });
      }
      metrics.count("refusals", problem.code);
      return problemReply(problem, time);
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
  // Too late for what has used a thread by now, as tsx and Node 20 have; Bun and Deno pass over it.
  process.env.UV_THREADPOOL_SIZE ??= DISK_THREADS;
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
      const expected = [InvalidConfig, InvalidAllowList, StorageUnavailable, CannotListen].some(
        (kind) => error instanceof kind,
      );
      console.error(expected && error instanceof Error ? error.message : error);
      process.exit(1);
    });
  }
}
