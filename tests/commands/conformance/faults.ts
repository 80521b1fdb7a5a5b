/** Servers that break a rule of sections 2 to 4, 10 to 13 of PROTOCOL.md: one or more for each case. */
import { MAX_INDEX } from "../../../protocol/ids.ts";
import { type Fault, nothing, type Passing, Reply, refusal } from "../../support/broken-server.ts";

/** A fault without a memory. */
export const fault = (
  rule: Fault["rule"],
  what: string,
  answer: (request: Passing) => Reply | Promise<Reply>,
): Fault => ({ rule, what, begin: () => answer });

/** A fault of the answers. */
export const altering = (
  rule: Fault["rule"],
  what: string,
  alter: (reply: Reply, request: Passing) => Reply | Promise<Reply>,
): Fault => fault(rule, what, async (request) => alter(await request.pass(), request));

/** Takes what is to be refused as this problem. */
export const taking = (rule: Fault["rule"], what: string, takes: string): Fault => ({
  ...altering(rule, what, (reply) => (reply.type === takes ? nothing() : reply)),
  takes,
});

const INVALID = "invalid-request";
const NOT_JSON = { body: "{" };
const WRONG_TYPE = { headers: { "Content-Type": "text/plain" } };

const TRANSPORT: readonly Fault[] = [
  fault("R-2.2", "takes /sync/ for /sync", (request) =>
    request.path.endsWith("/") ? request.pass({ path: "/sync" }) : request.pass(),
  ),
  fault("R-2.3", "takes no parameters of a type", (request) =>
    request.pass(request.headers.get("content-type")?.includes(";") ? WRONG_TYPE : {}),
  ),
  fault("R-2.3", "takes any type", (request) =>
    request.pass({ headers: { "Content-Type": "application/json" } }),
  ),
  fault("R-2.4", "does not look at Content-Encoding", (request) =>
    request.pass({ headers: { "Content-Encoding": undefined } }),
  ),
  taking("R-2.5", "takes what is not JSON", INVALID),
  fault("R-2.5", "takes no byte order mark", (request) =>
    request.pass(request.text.startsWith("\ufeff") ? NOT_JSON : {}),
  ),
  altering("R-2.6", "names another limit", (reply) =>
    reply.type === "body-too-large" ? reply.amend({ limit: 1 }) : reply,
  ),
  fault("R-2.9", "refuses credentials", (request) =>
    request.headers.has("authorization") ? refusal(400, INVALID) : request.pass(),
  ),
  altering("R-2.11", "does not say in a refusal how large a body it takes", (reply) =>
    reply.status === 200 ? reply : reply.set("Max-Body", undefined),
  ),
  fault("R-2.12", "redirects what has a query", (request) => {
    if (request.query === "") return request.pass();
    return refusal(308, "redirect").set("Location", "http://sync.example/sync");
  }),
  fault("R-2.13", "refuses a Sync-Route that is not the user's", (request) =>
    request.headers.get("sync-route") === "12345678" ? refusal(400, INVALID) : request.pass(),
  ),
  altering("R-2.14", "gives all answers one id", (reply) =>
    reply.set("Request-Id", "0123456789abcdef"),
  ),
];

/** Faults of a server that looks at keys too little or too much. */
const KEYS: readonly Fault[] = [
  taking("R-3.3", "takes a private key", INVALID),
  taking("R-3.4", "takes a short key", INVALID),
  fault("R-3.5", "takes no PEM", (request) =>
    request.pass(String(request.body.user).startsWith("-----BEGIN") ? NOT_JSON : {}),
  ),
  taking("R-3.5", "takes a key of any length", INVALID),
  taking("R-3.6", "takes a key in any encoding", INVALID),
  taking("R-3.7", "takes a key in another format", INVALID),
];

const REQUEST: readonly Fault[] = [
  fault("R-4.1", "refuses the last index there is", (request) =>
    request.pass(request.body.operation_index === MAX_INDEX ? NOT_JSON : {}),
  ),
  taking("R-4.1", "takes a member of any type", INVALID),
  altering("R-4.2", "sends client ids in upper case", (reply) =>
    reply.lines((lines) =>
      lines.map((line) => line.replace(/"client_id":"[^"]{36}"/, (id) => id.toUpperCase())),
    ),
  ),
  taking("R-4.2", "takes a client that is named twice", INVALID),
  taking("R-4.3", "takes any payload", INVALID),
  fault("R-4.3", "compares payloads as JSON spells them", (request) =>
    request.text.includes("\\u0041")
      ? refusal(409, "operation-conflict", { operation_index: 0 })
      : request.pass(),
  ),
  taking("R-4.4", "takes a batch beyond the last index", INVALID),
  taking("R-4.5", "rounds numbers", INVALID),
  taking("R-4.6", "takes null for a member that is missing", INVALID),
  fault("R-4.7", "ignores what it does not know", (request) => {
    const { user, client_id, operation_index, payload } = request.body;
    const known = { user, client_id, operation_index, payload };
    return request.pass(request.body.more === 1 ? { body: known } : {});
  }),
  taking("R-4.8", "takes a member that occurs twice", INVALID),
  taking("R-4.9", "takes a batch of any length", INVALID),
  fault("R-4.9", "takes 5,000 payloads at most", ({ body, pass }) =>
    pass(Array.isArray(body.payload) && body.payload.length > 5000 ? NOT_JSON : {}),
  ),
  {
    ...fault("R-4.9", "takes a sync status of 5,000 clients at most", ({ body, pass }) =>
      pass(Object.keys(body.sync_status ?? {}).length > 5000 ? NOT_JSON : {}),
    ),
    settings: { MAX_BODY: "1MiB" },
  },
  taking("R-4.13", "takes a snapshot of anything", INVALID),
];

/** Of a bucket that is soon empty. */
const LIMITED = { RATE_LIMIT: "1", RATE_BURST: "20" };

const PROBLEMS: readonly Fault[] = [
  altering("R-10.1", "refuses with JSON that is no problem document", (reply) =>
    reply.status < 400 ? reply : reply.set("Content-Type", "application/json"),
  ),
  altering("R-10.2", "writes a problem on several lines", (reply) => {
    if (reply.status >= 400) reply.text = JSON.stringify(reply.problem, null, 2);
    return reply;
  }),
  altering("R-10.3", "has one type for all problems", (reply) =>
    reply.status < 400 ? reply : reply.amend({ type: "about:blank" }),
  ),
  altering("R-10.3", "does not say which methods there are", (reply) =>
    reply.set("Allow", undefined),
  ),
  altering("R-10.5", "points to the first fault only", (reply) => {
    const { errors } = reply.problem;
    return Array.isArray(errors) ? reply.amend({ errors: errors.slice(0, 1) }) : reply;
  }),
  {
    rule: "R-11.4",
    what: "counts unsigned requests against a user who signs",
    settings: LIMITED,
    begin: () => {
      const limited = new Set<unknown>();
      return async ({ body, pass }) => {
        if (limited.has(body.user)) return refusal(429, "rate-limited").set("Retry-After", "1");
        const reply = await pass();
        if (reply.status === 429) limited.add(body.user);
        return reply;
      };
    },
  },
  {
    ...altering("R-11.8", "does not say for how long it refuses", (reply) =>
      reply.status === 429 ? reply.set("Retry-After", undefined) : reply,
    ),
    settings: LIMITED,
  },
  fault("R-11.16", "refuses an invite although it has no list of users", (request) =>
    request.headers.has("sync-invite") ? refusal(403, "invite-refused") : request.pass(),
  ),
  fault("R-11.20", "refuses a guest although it has no list of users", (request) =>
    request.headers.has("sync-guest") ? refusal(400, INVALID) : request.pass(),
  ),
  altering("R-11.7", "says in a number how many tokens are left", (reply) =>
    reply.set("RateLimit", "198"),
  ),
];

const bringsGuest = ({ headers }: Passing) => headers.has("sync-guest");
const invited = ({ headers }: Passing) => headers.has("sync-invite");

/** Servers that have a list of users, and do something else by it. */
const LISTS: readonly Fault[] = listed([
  altering("R-11.12", "does not say whom it refuses", (reply) =>
    reply.type === "user-not-allowed" ? reply.amend({ fingerprint: undefined }) : reply,
  ),
  fault("R-11.15", "admits nobody by an append", (request) =>
    invited(request) && !request.isRead ? refusal(403, "user-not-allowed") : request.pass(),
  ),
  {
    rule: "R-11.16",
    what: "uses up the invite of a DELETE",
    begin: () => {
      const used = new Set<string | null>();
      return (request) => {
        const code = request.headers.get("sync-invite");
        if (used.has(code)) return refusal(403, "invite-refused", { reason: "used" });
        if (request.method === "DELETE" && code !== null) used.add(code);
        return request.pass();
      };
    },
  },
  altering("R-11.17", "admits each user by an invite that is used", (reply) =>
    reply.type === "invite-refused" ? nothing() : reply,
  ),
  altering("R-11.17", "does not say that a signature has to cover the invite", (reply) =>
    reply.status === 401 ? reply.set("Accept-Signature", undefined) : reply,
  ),
  fault("R-11.19", "lets in nobody", (request) =>
    bringsGuest(request) && request.headers.has("signature") ? nothing() : request.pass(),
  ),
  altering("R-11.20", "takes any name of a guest", (reply, request) =>
    bringsGuest(request) && reply.type === INVALID ? nothing() : reply,
  ),
  altering("R-11.20", "does not say that a signature has to cover the guest", (reply, request) =>
    bringsGuest(request) && reply.status === 401 ? reply.set("Accept-Signature", undefined) : reply,
  ),
  altering("R-11.21", "lets in any number of guests", (reply, request) =>
    bringsGuest(request) && reply.type === "rate-limited" ? nothing() : reply,
  ),
]);

function listed(faults: readonly Fault[]): Fault[] {
  return faults.map((one) => ({ ...one, hasList: true }));
}

const allowsNone = (reply: Reply) =>
  reply
    .set("Access-Control-Allow-Origin", undefined)
    .set("Access-Control-Expose-Headers", undefined);

const PAGES: readonly Fault[] = [
  altering("R-12.1", "lets a page send no DELETE", (reply, { method }) =>
    method === "OPTIONS" ? reply.set("Access-Control-Allow-Methods", "POST") : reply,
  ),
  altering("R-12.2", "lets a page read no refusal", (reply) =>
    reply.status < 400 ? reply : allowsNone(reply),
  ),
  altering("R-12.3", "does not say that its answer depends on the origin", allowsNone),
  altering("R-12.4", "allows credentials", (reply) =>
    reply.set("Access-Control-Allow-Credentials", "true"),
  ),
  altering("R-13.1", "says in other words that it is alive", (reply, { path }) => {
    if (path === "/health") reply.text = "OK";
    return reply;
  }),
  fault("R-13.1", "describes itself nowhere", (request) =>
    request.path === "/openapi.json"
      ? new Reply(200, { "Content-Type": "application/json" }, "{}")
      : request.pass(),
  ),
  altering("R-13.2", "lets its health be kept", (reply, { path }) =>
    path === "/health" ? reply.set("Cache-Control", undefined) : reply,
  ),
  altering("R-13.5", "sends half a diagnosis", (reply, { headers }) => {
    if (headers.get("prefer") === "diagnose") reply.text = "{}\n";
    return reply;
  }),
];

export const FAULTS: readonly Fault[] = [
  ...[...TRANSPORT, ...KEYS, ...REQUEST],
  ...[...PROBLEMS, ...LISTS, ...PAGES],
];
