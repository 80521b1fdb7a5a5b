/** Section 2 of PROTOCOL.md: how a request arrives. */
import { MAX_BODY, REQUEST_ID, REQUEST_TYPE, SYNC_ROUTE } from "../../../protocol/limits.ts";
import { PROBLEM_TYPE } from "../../../protocol/problems.ts";
import type { Account, SendOptions } from "../account.ts";
import { newClient } from "../account.ts";
import type { Answer } from "../answer.ts";
import type { Case } from "../case.ts";
import { CannotTry, holds, same } from "../checks.ts";
import { NoAnswer } from "../sending.ts";
import type { TestedServer } from "../tested-server.ts";

/** The largest body that the suite sends. */
const LARGEST = 64 * 1024 * 1024;

/** Sends a poll with other headers, by a user of whom nothing matters. */
async function poll(
  server: TestedServer,
  headers: Record<string, string>,
  options: SendOptions = {},
): Promise<Answer> {
  const user = await server.sharedUser();
  return user.post({ client_id: newClient(), sync_status: {} }, { headers, ...options });
}

/** The body of a poll, as text. */
const bodyOf = ({ base64 }: Account) =>
  JSON.stringify({ user: base64, client_id: newClient(), sync_status: {} });

export const TRANSPORT: readonly Case[] = [
  {
    rule: "R-2.2",
    says: "answers at /sync whatever the query, and at no path that only resembles it",
    async run(server) {
      (await poll(server, {}, { path: "?some=query" })).accepted("a request with a query");
      for (const path of ["sync/", "Sync", "sync/sync"]) {
        const { status } = await poll(server, {}, { path });
        same(`the status of ${path}`, status, 404);
      }
    },
  },
  {
    rule: "R-2.3",
    says: "takes JSON in UTF-8, whatever the other parameters of its type are",
    async run(server) {
      for (const type of [
        "application/json; charset=utf-8",
        'application/json;charset="UTF-8"',
        "application/json; some=parameter",
      ]) {
        (await poll(server, { "Content-Type": type })).accepted(type);
      }
    },
  },
  {
    rule: "R-2.3",
    says: "refuses every other Content-Type, and none",
    async run(server) {
      for (const type of [
        "",
        "text/plain",
        "application/jsonp",
        "application/json; charset=iso-8859-1",
      ]) {
        const answer = await poll(server, { "Content-Type": type }, { signed: false });
        answer.refused("unsupported-media-type", type === "" ? "no Content-Type" : type);
      }
    },
  },
  {
    rule: "R-2.4",
    says: "refuses a body that is compressed, and takes one that says it is not",
    async run(server) {
      (await poll(server, { "Content-Encoding": "identity" })).accepted("identity");
      for (const encoding of ["gzip", "br"]) {
        const answer = await poll(server, { "Content-Encoding": encoding });
        answer.refused("unsupported-media-type", `Content-Encoding: ${encoding}`);
      }
    },
  },
  {
    rule: "R-2.5",
    says: "refuses what is not JSON or not UTF-8",
    async run(server) {
      const user = await server.sharedUser();
      for (const body of ["", "{", "user=x", bodyOf(user).slice(0, -1), `${bodyOf(user)}{}`]) {
        (await user.send(body)).refused("invalid-request", "what is not JSON");
      }
      const bytes = Uint8Array.from(
        Buffer.from(
          `{"user":"${user.base64}","client_id":"${newClient()}","operation_index":0,"payload":"\xff"}`,
          "latin1",
        ),
      );
      (await user.send(bytes)).refused("invalid-request", "what is not UTF-8");
    },
  },
  {
    rule: "R-2.5",
    says: "ignores a byte order mark",
    async run(server) {
      const user = await server.sharedUser();
      (await user.send(`\ufeff${bodyOf(user)}`)).accepted("a body with a byte order mark");
    },
  },
  {
    rule: "R-2.6",
    says: "refuses a body that is larger than Max-Body says, and names the limit",
    async run(server) {
      const user = await server.sharedUser();
      const said = (await poll(server, {})).headers.get(MAX_BODY);
      if (said === null) throw new CannotTry(`there is no ${MAX_BODY}`);
      const most = Number(said);
      if (!(most <= LARGEST)) throw new CannotTry(`${MAX_BODY} is ${said}: more than is sent here`);
      const around = bodyOf(user).length;
      const body = `${bodyOf(user).slice(0, -1)}${" ".repeat(Math.max(1, most + 1 - around))}}`;
      const answer = await untilAnswered(() => user.send(body, { signed: false }));
      const type = answer.headers.get("content-type");
      if (answer.status === 413 && type !== PROBLEM_TYPE) {
        throw new CannotTry("a proxy in front of the server refuses the body by itself");
      }
      answer.refused("body-too-large", `a body of ${body.length} bytes`, { limit: most });
    },
  },
  {
    rule: "R-2.9",
    says: "ignores cookies, credentials and headers that the protocol does not have",
    async run(server) {
      const answer = await poll(server, {
        Cookie: "session=1",
        Authorization: "Basic dTpw",
        "X-Some": "header",
        "If-None-Match": "*",
      });
      answer.accepted("a request with a cookie, credentials and more");
    },
  },
  {
    rule: "R-2.11",
    says: "says in every answer of /sync how large a body it takes",
    async run(server) {
      const user = await server.sharedUser();
      const answers = [
        await poll(server, {}),
        await user.send("{"),
        await server.send({ method: "GET" }),
        await poll(server, { "Content-Type": "text/plain" }, { signed: false }),
        await user.erase({ signed: false }),
      ];
      for (const { status, headers } of answers) {
        const most = headers.get(MAX_BODY) ?? "";
        holds(/^[1-9]\d{0,14}$/.test(most), `${MAX_BODY} of an answer with ${status} is "${most}"`);
        same(`${MAX_BODY} of an answer with ${status}`, most, answers[0]?.headers.get(MAX_BODY));
      }
    },
  },
  {
    rule: "R-2.12",
    says: "does not redirect",
    async run(server) {
      for (const path of ["", "?some=query", "sync/"]) {
        const { status } = await poll(server, {}, { path });
        holds(status < 300 || status > 399, `the answer to /sync${path} is ${status}`);
      }
    },
  },
  {
    rule: "R-2.13",
    says: "ignores Sync-Route, whatever it says",
    async run(server) {
      for (const route of ["12345678", "", 'nonsense, of "any" kind']) {
        (await poll(server, { [SYNC_ROUTE]: route })).accepted(`${SYNC_ROUTE}: ${route}`);
      }
    },
  },
  {
    rule: "R-2.14",
    says: "gives each answer an id of its own, also that of a problem",
    async run(server) {
      const ids = new Set<string>();
      for (const type of [REQUEST_TYPE, REQUEST_TYPE, "text/plain"]) {
        const { status, headers } = await poll(server, { "Content-Type": type });
        const id = headers.get(REQUEST_ID) ?? "";
        holds(/^[0-9a-f]{16}$/.test(id), `${REQUEST_ID} of an answer with ${status} is "${id}"`);
        holds(!ids.has(id), `two answers have the ${REQUEST_ID} ${id}`);
        ids.add(id);
      }
    },
  },
];

/** A server may close the connection before it has read all, and the answer be lost. */
async function untilAnswered(ask: () => Promise<Answer>): Promise<Answer> {
  for (let tries = 1; ; tries++) {
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof NoAnswer) || tries === 3) throw error;
    }
  }
}
