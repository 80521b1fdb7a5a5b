/** Sections 12 and 13 of PROTOCOL.md: what browsers ask, and what operators ask. */
import { DIAGNOSE, PREFER } from "../../../protocol/limits.ts";
import { newClient } from "../account.ts";
import { type Answer, membersOf } from "../answer.ts";
import type { Case } from "../case.ts";
import { CannotTry, holds, same } from "../checks.ts";
import type { TestedServer } from "../tested-server.ts";

const ORIGIN = "https://app.example";
const EXPOSED =
  "Operation-Count, Max-Body, Preference-Applied, Retry-After, RateLimit, RateLimit-Policy, Date, Accept-Signature, Request-Id";
const SENT =
  "Content-Type, Content-Digest, Prefer, Signature, Signature-Input, Sync-Guest, Sync-Invite, Sync-Route";

/** The names in a list, whatever their case and their order. */
const namesIn = (list: string | null) => (list ?? "").toLowerCase().split(/, ?/).sort();

async function fromPage(server: TestedServer): Promise<Answer[]> {
  const headers = { Origin: ORIGIN };
  const user = await server.sharedUser();
  return [
    await user.post({ client_id: newClient() }, { headers }),
    await user.send("{", { headers }),
    await server.send({ method: "GET", headers }),
  ];
}

/** Whether the server lets pages of any origin read its answers. */
const isOpen = ([first]: readonly Answer[]) =>
  first?.headers.get("access-control-allow-origin") === "*";

/** What a path beside /sync answers. Throws `CannotTry` where it does not lead to the server. */
async function beside(server: TestedServer, path: string): Promise<Answer> {
  const answer = await server.send({ method: "GET", path });
  if ([401, 403, 404].includes(answer.status)) {
    throw new CannotTry(`/${path} is answered with ${answer.status}, perhaps by a proxy`);
  }
  return answer;
}

export const PAGES: readonly Case[] = [
  {
    rule: "R-12.1",
    says: "answers a preflight with what a page may send",
    async run(server) {
      const { status, headers } = await server.send({
        method: "OPTIONS",
        headers: { Origin: ORIGIN, "Access-Control-Request-Method": "POST" },
      });
      same("the status", status, 204);
      same("Allow", namesIn(headers.get("allow")), namesIn("POST, DELETE, OPTIONS"));
      const methods = namesIn(headers.get("access-control-allow-methods"));
      same("the methods", methods, namesIn("POST, DELETE"));
      same("the headers", namesIn(headers.get("access-control-allow-headers")), namesIn(SENT));
      same("how long it holds", headers.get("access-control-max-age"), "86400");
    },
  },
  {
    rule: "R-12.2",
    says: "lets a page read every answer, and the headers of the protocol",
    async run(server) {
      const answers = await fromPage(server);
      if (!answers.some((answer) => isOpen([answer]))) {
        throw new CannotTry("the server does not allow every origin");
      }
      for (const { status, headers } of answers) {
        const origin = headers.get("access-control-allow-origin");
        same(`the origin that may read a ${status}`, origin, "*");
        const exposed = namesIn(headers.get("access-control-expose-headers"));
        same(`the headers of a ${status} that it may read`, exposed, namesIn(EXPOSED));
      }
    },
  },
  {
    rule: "R-12.3",
    says: "keeps its answers from an origin that is not in its list, and says that it looks at it",
    async run(server) {
      const answers = await fromPage(server);
      if (isOpen(answers)) throw new CannotTry("the server allows every origin");
      for (const { status, headers } of answers) {
        const origin = headers.get("access-control-allow-origin");
        if (origin === ORIGIN) throw new CannotTry(`the server allows ${ORIGIN}`);
        same(`the origin that may read a ${status}`, origin, null);
        same(`Vary of a ${status}`, namesIn(headers.get("vary")).includes("origin"), true);
      }
    },
  },
  {
    rule: "R-12.4",
    says: "allows no credentials",
    async run(server) {
      for (const { headers } of await fromPage(server)) {
        const credentials = headers.get("access-control-allow-credentials");
        same("Access-Control-Allow-Credentials", credentials, null);
      }
    },
  },
  {
    rule: "R-13.1",
    says: "says that it is alive, and that its storage answers",
    async run(server) {
      const health = await beside(server, "health");
      same("/health", [health.status, health.text], [200, '{"status":"ok"}']);
      const { status, text } = await beside(server, "ready");
      holds(status === 200 && text.includes('"status":"ready"'), `/ready is ${status} ${text}`);
    },
  },
  {
    rule: "R-13.1",
    says: "tells its metrics, and describes itself as OpenAPI",
    async run(server) {
      const metrics = await beside(server, "metrics");
      same("the status of /metrics", metrics.status, 200);
      const type = metrics.headers.get("content-type") ?? "";
      holds(type.startsWith("text/plain"), `Content-Type of /metrics is ${type}`);
      const { status, text } = await beside(server, "openapi.json");
      same("the status of /openapi.json", status, 200);
      const { openapi } = membersOf(text);
      holds(String(openapi).startsWith("3.1."), `openapi of /openapi.json is ${openapi}`);
    },
  },
  {
    rule: "R-13.2",
    says: "says so in JSON that nobody may keep",
    async run(server) {
      const { headers } = await beside(server, "health");
      same("Content-Type of /health", headers.get("content-type"), "application/json");
      same("Cache-Control of /health", headers.get("cache-control"), "no-store");
    },
  },
  {
    rule: "R-13.5",
    says: "tells how a request arrives that asks for it",
    async run(server) {
      const answer = await server.send({ headers: { [PREFER]: DIAGNOSE }, body: "{}" });
      if (answer.status !== 200) throw new CannotTry(`${PREFER}: ${DIAGNOSE} is not known here`);
      const [first = "", second, end] = answer.text.split("\n");
      same("what follows the first line", [second, end], ['{"end":true}', ""]);
      const names = Object.keys(membersOf(first));
      const expected = ["authority", "path", "http", "time", "max_body", "max_wait", "bytes"];
      const addresses = ["hops", "first", "trusted", "named"];
      same("its members", names.sort(), [...expected, ...addresses].sort());
    },
  },
];
