import { readConfig } from "../../server/config.ts";
import { listen, responseClass } from "../../server/http/listen.ts";
import { createLogger } from "../../server/logger.ts";
import type { Config } from "../../server/settings.ts";
import { createHandler, type HandlerOptions } from "../../server.ts";
import type { Driver } from "../../storage/driver.ts";
import { MemoryDriver } from "../../storage/memory.ts";
import { NO_LIMITS } from "./process.ts";
import { until } from "./socket.ts";

export interface Operation {
  readonly client_id: string;
  readonly operation_index: number;
  readonly payload: string;
}

/** A response of `POST /sync`, read to its end. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The lines of a 200. */
  readonly operations: Operation[];
  /** The document of any other status. */
  readonly problem: Record<string, unknown>;
}

/** Sends a sync request, and checks that a 200 has as many lines as it says. */
export async function sync(
  url: string,
  body: unknown,
  fields: Readonly<Record<string, string>> = {},
  signal?: AbortSignal,
): Promise<Answer> {
  const response = await fetch(new URL("/sync", url), {
    method: "POST",
    headers: { "Content-Type": "application/json", ...fields },
    body: typeof body === "string" ? body : JSON.stringify(body),
    ...(signal && { signal }),
  });
  const text = await response.text();
  const { status, headers } = response;
  if (status !== 200) {
    return { status, headers, text, operations: [], problem: JSON.parse(text) };
  }
  const operations = text
    .split("\n")
    .filter((line) => line !== "")
    .map((line): Operation => JSON.parse(line));
  if (Number(headers.get("operation-count")) !== operations.length) {
    throw new Error(
      `Operation-Count is ${headers.get("operation-count")}, not ${operations.length}`,
    );
  }
  return { status, headers, text, operations, problem: {} };
}

/**
 * Sends a large append until it is stored. On a busy machine a body may take longer than the
 * `CLIENT_TIMEOUT` of a server that cuts its readers soon.
 */
export async function store(url: string, body: unknown): Promise<void> {
  const isStored = () =>
    sync(url, body).then(
      ({ status }) => status === 200,
      () => false,
    );
  await until(isStored, "an append is stored");
}

export interface Serving {
  readonly url: string;
  readonly port: number;
  /** Everything logged so far, one JSON object per line. */
  readonly log: string[];
  /** Resolves once compaction has nothing to do. */
  readonly compacted: () => Promise<void>;
  readonly close: () => Promise<void>;
}

/** Serves the real handler in this process, on a free port. Rate limits are off unless set. */
export async function serveHere(
  settings: Readonly<Record<string, string>> = {},
  driver: Driver = new MemoryDriver(),
  compaction?: HandlerOptions["compaction"],
  cluster?: HandlerOptions["cluster"],
): Promise<Serving> {
  const config: Config = readConfig({ ...NO_LIMITS, LOG: "debug", ...settings });
  const log: string[] = [];
  const handler = createHandler({
    config,
    driver,
    cluster,
    logger: createLogger(config.LOG, (line) => log.push(line)),
    Response: await responseClass(),
    ...(compaction && { compaction }),
  });
  const server = await listen(handler.fetch, {
    paths: handler.paths,
    hostname: "localhost",
    port: 0,
    headersTimeout: config.CLIENT_TIMEOUT,
    onError: (message) => log.push(message),
    onLost: (error) => {
      throw error;
    },
  });
  const { url } = server;
  return {
    url,
    port: Number(new URL(url).port),
    log,
    compacted: handler.compacted,
    close: async () => {
      await Promise.all([handler.stop(), server.close(true)]);
    },
  };
}

/** Runs some work against a server of its own, which is closed when the work ends or fails. */
export async function withServer(
  settings: Readonly<Record<string, string>>,
  work: (server: Serving) => Promise<void>,
  driver?: Driver,
  compaction?: HandlerOptions["compaction"],
): Promise<void> {
  const server = await serveHere(settings, driver, compaction);
  try {
    await work(server);
  } finally {
    await server.close();
  }
}
