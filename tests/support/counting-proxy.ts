import { once } from "node:events";
import http from "node:http";
import { portOf } from "./ports.ts";

/** One request as it passed, at the wire. */
export interface Seen {
  readonly kind: "list" | "get" | "put" | "delete";
  readonly path: string;
  readonly headers: http.IncomingHttpHeaders;
}

export interface Answered {
  status: number;
  body: Buffer;
  /** Leaves out the headers of S3. */
  strange?: boolean;
  /** What `Date` says, in place of what S3 says. */
  date?: string;
}

/** Stands between a server and its S3, counts what passes, and may meddle with it. */
export interface CountingProxy {
  readonly url: string;
  readonly seen: Seen[];
  /** How many requests were under way at once, at most. */
  readonly most: () => number;
  /** Changes a request's body on its way there. */
  meddleRequest: (seen: Seen, body: Buffer) => Buffer;
  /** Changes an answer on its way back; it may break off in the middle, or stop there. */
  meddleAnswer: (seen: Seen, answer: Answered) => Answered | "cut" | "stall";
  /** Requests seen by now, by kind; kinds that were not seen are left out. */
  readonly count: () => Partial<Record<Seen["kind"], number>>;
  readonly close: () => Promise<void>;
}

/** @param target the S3 server's address, `http://…` */
export async function countingProxy(target: string): Promise<CountingProxy> {
  const { hostname, port } = new URL(target);
  const agent = new http.Agent({ keepAlive: true });
  let running = 0;
  let most = 0;

  const server = http.createServer(async (request, response) => {
    const seen = seenOf(request);
    proxy.seen.push(seen);
    most = Math.max(most, ++running);
    const sent = proxy.meddleRequest(seen, await bodyOf(request));
    // The Host header goes along as it is: the signature is over it.
    const { method, url: path, headers } = request;
    const onward = http.request({ hostname, port, agent, method, path, headers });
    onward.end(sent);
    const [answer] = (await once(onward, "response")) as [http.IncomingMessage];
    const whole = { status: answer.statusCode ?? 0, body: await bodyOf(answer) };
    const meddled = proxy.meddleAnswer(seen, whole);
    running--;
    const { status, body, strange, date }: Answered =
      typeof meddled === "string" ? { ...whole, strange: false } : meddled;
    const length = method === "HEAD" ? answer.headers["content-length"] : body.byteLength;
    const { "transfer-encoding": _, ...rest } = strange ? {} : answer.headers;
    response.writeHead(status, {
      ...rest,
      ...(date !== undefined && { date }),
      "content-length": length ?? 0,
    });
    if (typeof meddled !== "string") response.end(body);
    else {
      const half = body.subarray(0, body.byteLength / 2);
      response.write(half, () => meddled === "cut" && response.destroy());
    }
  });
  // A test that is held up would send the next request on a connection that is being closed.
  server.keepAliveTimeout = 0;
  server.listen(0, "127.0.0.1");
  await once(server, "listening");

  const proxy: CountingProxy = {
    url: `http://127.0.0.1:${portOf(server)}`,
    seen: [],
    most: () => most,
    meddleRequest: (_seen, body) => body,
    meddleAnswer: (_seen, answer) => answer,
    count: () => {
      const counts: Partial<Record<Seen["kind"], number>> = {};
      for (const { kind } of proxy.seen) counts[kind] = (counts[kind] ?? 0) + 1;
      return counts;
    },
    close: async () => {
      agent.destroy();
      server.closeAllConnections();
      server.close();
    },
  };
  return proxy;
}

function seenOf({ method, url = "", headers }: http.IncomingMessage): Seen {
  const kind =
    method === "PUT"
      ? "put"
      : method === "DELETE"
        ? "delete"
        : url.includes("list-type=2")
          ? "list"
          : "get";
  return { kind, path: url, headers };
}

async function bodyOf(stream: http.IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}
