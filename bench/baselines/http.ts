/**
 * Baseline: the runtime's own HTTP server and nothing else. Runs on Node, Bun and Deno.
 *
 * - `POST /` reads the body, parses it as JSON and answers with an empty 200. Where `APPEND_TO` names
 *   a file, the payload is on the disk before: one fdatasync for all that were in flight.
 * - `GET /path/of/a/file` streams that file as the runtime's documentation recommends.
 */
import { createReadStream } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { GroupCommit } from "./group-commit.ts";

/** The part of Deno that is used here: the project has types of Node and Bun only. */
declare const Deno: {
  serve(
    options: {
      hostname: string;
      port: number;
      onListen: (address: { hostname: string; port: number }) => void;
    },
    answer: (request: Request) => Promise<Response>,
  ): unknown;
  open(path: string): Promise<{ readable: ReadableStream<Uint8Array<ArrayBuffer>> }>;
};

const hostname = "127.0.0.1";
const { APPEND_TO } = process.env;
const log = APPEND_TO === undefined ? undefined : new GroupCommit(APPEND_TO);

/** Stores the payload of a request, or the payloads of a batch; `undefined` if it has none. */
function store(body: unknown): Promise<void> | undefined {
  if (log === undefined || typeof body !== "object" || body === null) return undefined;
  if (!("payload" in body)) return undefined;
  return log.append(Array.isArray(body.payload) ? body.payload.join("") : String(body.payload));
}

function announce(port: number | undefined): void {
  console.log(`the baseline listens on http://${hostname}:${port}, bare`);
}

async function answer(
  request: Request,
  file: (path: string) => Promise<Response>,
): Promise<Response> {
  if (request.method === "GET") return file(new URL(request.url).pathname);
  await store(await request.json());
  return new Response();
}

function onNode(request: IncomingMessage, response: ServerResponse): void {
  if (request.method === "GET") {
    createReadStream(request.url ?? "").pipe(response);
    return;
  }
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => {
    const stored = store(JSON.parse(Buffer.concat(chunks).toString()));
    if (stored === undefined) response.end();
    else void stored.then(() => response.end());
  });
}

if (process.versions.bun !== undefined) {
  const bare = async (path: string) => new Response(Bun.file(path));
  const { port } = Bun.serve({
    hostname,
    port: 0,
    development: false,
    fetch: (request) => answer(request, bare),
  });
  announce(port);
} else if (process.versions.deno !== undefined) {
  const bare = async (path: string) => new Response((await Deno.open(path)).readable);
  Deno.serve({ hostname, port: 0, onListen: ({ port }) => announce(port) }, (request) =>
    answer(request, bare),
  );
} else {
  const server = createServer(onNode);
  server.listen(0, hostname, () => {
    const address = server.address();
    announce(typeof address === "object" ? address?.port : undefined);
  });
}
