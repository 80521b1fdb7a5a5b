/** Servers that break a rule of sections 5 to 9, 14, 15 and 20 of PROTOCOL.md. */
import { MAX_INDEX } from "../../../protocol/ids.ts";
import {
  type Fault,
  type Members,
  nothing,
  type Passing,
  type Reply,
  refusal,
} from "../../support/broken-server.ts";
import { altering, fault, taking } from "./faults.ts";

/** A fault of the lines that a read is answered with. */
const sending = (
  rule: Fault["rule"],
  what: string,
  change: (lines: string[], request: Passing) => string[],
): Fault =>
  altering(rule, what, (reply, request) =>
    request.isRead ? reply.lines((lines) => change(lines, request)) : reply,
  );

/** A fault of how the members of a request are read. */
const reading = (
  rule: Fault["rule"],
  what: string,
  change: (body: Readonly<Members>, request: Passing) => Readonly<Members> | undefined,
): Fault =>
  fault(rule, what, (request) => {
    const body = change(request.body, request);
    return request.pass(body === undefined ? {} : { body });
  });

/** A server that remembers of each request a key and a text, and what it does with another text. */
const remembering = (
  rule: Fault["rule"],
  what: string,
  factsOf: (request: Passing) => readonly [key: string, text: string] | undefined,
  again: (request: Passing, isSame: boolean) => Reply | undefined,
): Fault => ({
  rule,
  what,
  begin: () => {
    const seen = new Map<string, string>();
    return (request) => {
      const [key, text] = factsOf(request) ?? [];
      if (key === undefined || text === undefined) return request.pass();
      const before = seen.get(key);
      if (before === undefined) seen.set(key, text);
      const reply = before === undefined ? undefined : again(request, before === text);
      return reply ?? request.pass();
    };
  },
});

/** Where an operation is stored, for what appends. */
const placeOf = ({ body }: Passing) =>
  body.payload === undefined ? undefined : `${body.user} ${body.client_id} ${body.operation_index}`;

const indexOf = (line: string) => Number(JSON.parse(line).operation_index);
const without = (body: Readonly<Members>, name: string) => ({ ...body, [name]: undefined });
const gap = (next_index: number) => refusal(409, "operation-gap", { next_index });
const conflict = (operation_index: unknown) =>
  refusal(409, "operation-conflict", { operation_index });

const APPENDS: readonly Fault[] = [
  sending("R-5.1", "loses what comes second", (lines) =>
    lines.filter((line) => indexOf(line) !== 1),
  ),
  sending("R-5.1", "stores a retry once more", (lines) => lines.flatMap((line) => [line, line])),
  remembering(
    "R-5.1",
    "refuses a retry",
    (request) => {
      const place = placeOf(request);
      return place === undefined ? undefined : [place, ""];
    },
    ({ body }) => conflict(body.operation_index),
  ),
  taking("R-5.1", "takes operations beyond the next", "operation-gap"),
  altering("R-5.1", "names another index as the next", (reply) =>
    reply.type === "operation-gap" ? reply.amend({ next_index: 1 }) : reply,
  ),
  taking("R-5.1", "takes another payload", "operation-conflict"),
  altering("R-5.1", "names another index as the conflict", (reply) =>
    reply.type === "operation-conflict" ? reply.amend({ operation_index: 0 }) : reply,
  ),
  fault("R-5.3", "takes of a batch what fits", async ({ body, pass }) => {
    const reply = await pass();
    const { payload, operation_index } = body;
    if (reply.type !== "operation-conflict" || !Array.isArray(payload)) return reply;
    await pass({
      body: {
        ...body,
        ...{ operation_index: Number(operation_index) + 1, payload: payload.slice(1) },
      },
    });
    return reply;
  }),
  remembering(
    "R-9.1",
    "answers a request that it knows with nothing",
    ({ text }) => [text, ""],
    nothing,
  ),
  remembering(
    "R-9.4",
    "wants a retry to be the same in all",
    (request) => {
      const place = placeOf(request);
      return place === undefined ? undefined : [place, request.text];
    },
    ({ body }, isSame) => (isSame ? undefined : conflict(body.operation_index)),
  ),
];

const READS: readonly Fault[] = [
  reading("R-6.1", "does not look at the sync status", (body, { isRead }) =>
    isRead ? without(body, "sync_status") : undefined,
  ),
  reading("R-6.1", "does not look at the index of a reader", (body, { isRead }) =>
    isRead ? without(body, "operation_index") : undefined,
  ),
  sending("R-6.2", "keeps its own operations from a client", (lines, { body }) =>
    lines.filter((line) => JSON.parse(line).client_id !== body.client_id),
  ),
  altering("R-6.3", "sends an append back", (reply, { body, isRead }) => {
    const { client_id, operation_index, payload } = body;
    if (isRead || reply.status !== 200) return reply;
    const line = JSON.stringify({ client_id, operation_index, payload: String(payload) });
    return reply.lines((lines) => [...lines, line]);
  }),
  fault("R-6.4", "refuses an index that it does not have", (request) =>
    JSON.stringify(request.body.sync_status ?? "").includes(":7") ? gap(0) : request.pass(),
  ),
  fault("R-6.7", "complains of a poll with an index", (request) =>
    request.body.operation_index === 41 ? gap(0) : request.pass(),
  ),
  fault("R-6.11", "begins again after the last index", (request) =>
    request.pass(
      request.text.includes(`${MAX_INDEX}`)
        ? { body: JSON.parse(request.text.replaceAll(`${MAX_INDEX}`, "0")) }
        : {},
    ),
  ),
  fault("R-6.13", "does not wait, and says it does", async ({ headers, pass }) => {
    const prefer = headers.get("prefer");
    const reply = await pass({ headers: { Prefer: undefined } });
    return prefer === null ? reply : reply.set("Preference-Applied", prefer);
  }),
  altering("R-6.14", "says that it waits only where it has waited", (reply) =>
    reply.text === "" ? reply : reply.set("Preference-Applied", undefined),
  ),
  fault(
    "R-6.15",
    "answers a request that has waited with no lines in any case",
    async (request) => {
      const reply = await request.pass();
      return request.headers.has("prefer") && reply.status === 410 ? nothing() : reply;
    },
  ),
  fault(
    "R-6.18",
    "checks a signature once more at the end of a wait",
    async ({ headers, pass }) => {
      const reply = await pass();
      const [, expires] = /;expires=(\d+)/.exec(headers.get("signature-input") ?? "") ?? [];
      return expires !== undefined && Number(expires) * 1000 < Date.now()
        ? refusal(401, "signature-invalid", { check: "clock" })
        : reply;
    },
  ),
  fault("R-6.17", "takes all of a reader's own operations for known", ({ headers, body, pass }) => {
    if (headers.get("prefer") === null || body.sync_status !== undefined) return pass();
    const sync_status = { [String(body.client_id)]: MAX_INDEX };
    return pass({ body: { ...body, sync_status }, headers: { Prefer: "wait=1" } });
  }),
  altering("R-6.19", "counts the last wait of several", (reply, { headers }) =>
    headers.get("prefer")?.endsWith("wait=50") ? reply.set("Preference-Applied", "wait=50") : reply,
  ),
  altering("R-7.1", "lets an answer be kept", (reply) =>
    reply.status === 200 ? reply.set("Cache-Control", "max-age=60") : reply,
  ),
  sending("R-7.2", "writes spaces", (lines) => lines.map((line) => line.replace(":", ": "))),
  sending("R-7.3", "escapes a slash", (lines) => lines.map((line) => line.replace("/", "\\/"))),
  taking("R-8.1", "takes whatever comes at once", "operation-conflict"),
  sending("R-8.2", "sends the newest first", (lines) => lines.toReversed()),
  sending("R-8.4", "shows the newest later", (lines) => lines.slice(0, -1)),
];

const SIGNED: readonly Fault[] = [
  taking("R-14.2", "takes unsigned requests always", "signature-required"),
  {
    rule: "R-14.4",
    what: "is closed by a signature that is wrong",
    begin: () => {
      const closed = new Set<unknown>();
      return async ({ body, headers, pass }) => {
        if (closed.has(body.user) && !headers.has("signature")) {
          return refusal(401, "signature-required");
        }
        const reply = await pass();
        if (reply.type === "signature-invalid") closed.add(body.user);
        return reply;
      };
    },
  },
  {
    rule: "R-14.5",
    what: "takes unsigned requests of users of whom something is stored",
    settings: { SIGNATURES: "required" },
    begin: () => {
      const stored = new Set<unknown>();
      return ({ body, isRead, headers, pass }) => {
        if (!isRead) stored.add(body.user);
        return headers.has("signature") || !stored.has(body.user) ? pass() : nothing();
      };
    },
  },
  fault("R-14.6", "knows no sha-512", ({ headers, pass }) =>
    headers.get("content-digest")?.startsWith("sha-512")
      ? refusal(401, "signature-invalid", { check: "digest" })
      : pass(),
  ),
  ...["6", "7", "8", "9", "10", "12", "16"].map((number) =>
    taking(`R-14.${Number(number)}`, "takes any signature", "signature-invalid"),
  ),
  fault("R-14.8", "knows no nonce", ({ headers, pass }) =>
    headers.get("signature-input")?.includes("nonce")
      ? refusal(401, "signature-invalid", { check: "format" })
      : pass(),
  ),
  altering("R-14.12", "does not say for which address it has checked", (reply) =>
    reply.type === "signature-invalid" ? reply.amend({ authority: undefined }) : reply,
  ),
  altering("R-14.13", "does not say what to sign", (reply) =>
    reply.set("Accept-Signature", undefined),
  ),
];

/** A fault of what follows a deletion. */
const deleting = (
  rule: Fault["rule"],
  what: string,
  alter: (reply: Reply, count: number) => Reply,
): Fault => ({
  rule,
  what,
  begin: () => {
    const deleted = new Map<unknown, number>();
    return async ({ method, body, pass }) => {
      const reply = await pass();
      const count = deleted.get(body.user) ?? 0;
      if (method === "DELETE" && reply.status === 204) deleted.set(body.user, count + 1);
      return alter(reply, method === "DELETE" ? count : -1);
    };
  },
});

const done = () => nothing().set("Content-Type", undefined);

const ERASURES: readonly Fault[] = [
  deleting("R-15.1", "deletes by an unsigned request", (reply, count) =>
    count === 0 && reply.type === "signature-required" ? done() : reply,
  ),
  deleting("R-15.2", "goes on for a user who was deleted", (reply) =>
    reply.type === "user-erased" ? nothing() : reply,
  ),
  deleting("R-15.3", "lets a user come back", (reply) =>
    reply.type === "user-erased" ? nothing() : reply,
  ),
  deleting("R-15.4", "refuses to delete a user twice", (reply, count) =>
    count > 0 ? refusal(410, "user-erased") : reply,
  ),
  deleting("R-15.8", "deletes by any signature", (reply, count) =>
    count === 0 && reply.type === "signature-invalid" ? done() : reply,
  ),
];

const SNAPSHOTS: readonly Fault[] = [
  taking("R-20.2", "takes an unsigned snapshot", "signature-required"),
  taking("R-20.3", "takes a snapshot of anything", "snapshot-refused"),
  remembering(
    "R-20.4",
    "refuses a snapshot that is sent again",
    ({ text, body }) => (body.snapshot === undefined ? undefined : [text, ""]),
    ({ body }) => conflict(body.operation_index),
  ),
  reading("R-20.4", "leaves an operation as it was stored", (body, { isRead }) =>
    isRead ? without(body, "snapshots") : undefined,
  ),
  remembering(
    "R-20.5",
    "takes one snapshot of a user",
    ({ body }) => (body.snapshot === undefined ? undefined : [String(body.user), ""]),
    () => refusal(409, "snapshot-refused"),
  ),
  reading("R-20.6", "begins no answer with a snapshot", (body, { isRead }) =>
    isRead ? without(body, "snapshots") : undefined,
  ),
  reading("R-20.6", "begins every answer with a snapshot", (body, { isRead }) =>
    isRead ? { ...body, snapshots: true } : undefined,
  ),
  sending("R-20.7", "writes what is covered in another order", (lines) =>
    lines.map((line) => line.replace(/(\{"covers":\{)("[^"]*":\d+),("[^"]*":\d+)/, "$1$3,$2")),
  ),
];

export const LOG_FAULTS: readonly Fault[] = [
  ...APPENDS,
  ...READS,
  ...SIGNED,
  ...ERASURES,
  ...SNAPSHOTS,
];
