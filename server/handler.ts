/** The server without a listener: routes requests, and turns replies and errors into responses. */
import type { ServerRequest } from "srvx";
import type { Cluster } from "../cluster/cluster.ts";
import { MAX_BODY, REQUEST_ID, SYNC_PATH } from "../protocol/limits.ts";
import { PROBLEMS } from "../protocol/problems.ts";
import { type Cors, corsFor, isPreflight } from "./http/cors.ts";
import { hasMore } from "./http/incoming-body.ts";
import { Problem, problemOf, problemReply } from "./http/problems.ts";
import { json, type Reply, type ReplyEnd, type ResponseClass } from "./http/response.ts";
import { get, type Methods, Routes } from "./http/routes.ts";
import { pageRoutes } from "./http/static.ts";
import { STATUS_PATH } from "./http/status.ts";
import { checkTarget, pathOf } from "./http/target.ts";
import { OPENAPI } from "./openapi/document.ts";
import type { RouteDurations } from "./request-durations.ts";
import { RequestIds } from "./request-ids.ts";
import type { WiringOptions } from "./service-wiring.ts";
import { type Wiring, wire } from "./wiring.ts";

/** Answers requests, on any runtime that has `Request` and `Response`. */
export interface Handler {
  readonly fetch: (request: ServerRequest) => Promise<Response>;
  /** The paths that have an answer, for `listen`. */
  readonly paths: readonly string[];
  /**
   * Refuses new requests from now on, and answers those that wait for news; requests being answered
   * go on. Resolves once compaction and retention have reached a point where they can end.
   */
  readonly stop: () => Promise<void>;
  /**
   * Whether all that this server may have stored was announced to the others. Otherwise a put has failed a
   * while ago, and storage may still do it: the cluster is to be closed with false.
   */
  readonly isSettled: () => boolean;
  /** Resolves once compaction has nothing to do. */
  readonly compacted: () => Promise<void>;
  /** Resolves once compaction has done what is due. */
  readonly packed: () => Promise<void>;
  /** Resolves once retention has done what is due. */
  readonly trimmed: () => Promise<void>;
}

/** What a handler is made of. */
export interface HandlerOptions extends WiringOptions {
  /** The class of the responses; the global `Response` by default. */
  readonly Response?: ResponseClass;
}

/**
 * The server as a function from `Request` to `Response` over a driver that the caller opens and
 * closes. Throws `InvalidAllowList` where the file that `USERS` names is wrong.
 */
export function createHandler(options: HandlerOptions): Handler {
  const { config, cluster, logger, now = () => performance.now(), time = Date.now } = options;
  const { Response: Answer = Response } = options;
  const wiring = wire(options);
  const { running, metrics, compaction, retention, status, waiters, announcer, diagnosis } = wiring;
  const cors = corsFor(config.CORS_ORIGIN);
  const routes = new Routes(routesOf(wiring, cors, cluster), {
    ...(config.DEMO === "on" && pageRoutes()),
    ...(status && { [STATUS_PATH]: get((request) => status.endpoint.answer(request)) }),
  });
  const ids = new RequestIds();
  let stopped = false;

  async function fetch(request: ServerRequest): Promise<Response> {
    const startedAt = now();
    const id = ids.next();
    const { method } = request;
    const path = pathOf(request);
    running.count++;
    const reply = await answer(method, path, request, id);
    running.count--;
    const { status, headers, body, waited = 0, ended } = reply;
    headers[REQUEST_ID] = id;
    cors.allow(request.headers.get("origin"), reply);
    if (path === SYNC_PATH) headers[MAX_BODY] = String(config.MAX_BODY);
    // An idle connection would hold up the stop for as long as it is kept alive, and an unread
    // body has no time limit.
    if (stopped || ((status !== 200 || path !== SYNC_PATH) && hasMore(request))) {
      headers.Connection = "close";
    }
    const route = routes.label(path);
    const seconds = (now() - startedAt - waited) / 1000;
    const end = metrics.answered(route, status, seconds);
    logger.debug("answered", { request: id, method, route, status });
    if (ended === undefined) end.add(seconds);
    else void whenEnded(ended, end, startedAt + waited, id);
    return new Answer(body, { status, headers });
  }

  /** Not in `fetch`: what a closure there captures would cost each request. */
  async function whenEnded(
    ended: Promise<ReplyEnd>,
    end: RouteDurations["end"],
    since: number,
    id: string,
  ): Promise<void> {
    const { cut } = await ended;
    end.add((now() - since) / 1000);
    if (cut !== undefined) logger.error("a response was cut", { request: id, ...cut });
  }

  async function answer(
    method: string,
    path: string,
    request: ServerRequest,
    id: string,
  ): Promise<Reply> {
    if (stopped) return problemReply(new Problem("stopping"), time);
    try {
      checkTarget(request, path);
      // Without it, a browser keeps the 404 from a page that has a wrong address.
      const isStray = isPreflight(method, request) && !routes.has(path);
      return await routes.find(method, isStray ? SYNC_PATH : path)(request);
    } catch (error) {
      const problem = problemOf(error);
      const status = PROBLEMS[problem.code];
      // A fault of the program shows its stack, one of storage only its reason. What a user or the
      // load of the moment has caused is no error of the server, and metrics count it.
      if (problem.code === "internal-error") {
        logger.error("a request failed", { request: id, status, error });
      } else if (problem.code === "storage-unavailable" && !(error instanceof Problem)) {
        logger.error("storage failed", { request: id, status, reason: problem.message });
      }
      metrics.count("refusals", problem.code);
      return problemReply(problem, time);
    }
  }

  return {
    fetch,
    paths: routes.paths,
    stop: async () => {
      stopped = true;
      waiters.stop();
      diagnosis.stop();
      await Promise.all([compaction?.stop(), retention?.stop(), status?.stop()]);
    },
    isSettled: () => announcer?.isSettled ?? true,
    compacted: async () => compaction?.settled(),
    packed: async () => compaction?.runDue(),
    trimmed: async () => retention?.sweepDue(),
  };
}

/** All routes except those of pages for people. */
function routesOf(
  { endpoint, diagnosis, readiness, metrics }: Wiring,
  cors: Cors,
  cluster: Cluster | undefined,
): Readonly<Record<string, Methods>> {
  return {
    [SYNC_PATH]: cors.withPreflight({
      POST: (request) =>
        diagnosis.isAsked(request) ? diagnosis.answer(request) : endpoint.sync(request),
      DELETE: (request) => endpoint.erase(request),
    }),
    "/health": get(() => json({ status: "ok" })),
    "/ready": get(async () => {
      await readiness.check();
      if (cluster === undefined) return json({ status: "ready" });
      return json({ status: "ready", cluster: cluster.isJoined ? "reached" : "lost" });
    }),
    "/metrics": {
      GET: async () => {
        const { text, contentType } = await metrics.text();
        const headers = { "Content-Type": contentType, "Cache-Control": "no-store" };
        return { status: 200, headers, body: text };
      },
    },
    "/openapi.json": get(() => json(OPENAPI)),
  };
}
