/** The target and the Host of a request are judged as they came, on every runtime. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type Serving, serveHere } from "../support/http.ts";
import { overSocket, parsed } from "../support/requests.ts";

describe("T-52 a request", () => {
  let server: Serving;
  before(async () => {
    server = await serveHere();
  });
  after(() => server.close());

  const ask = async (line: string, fields: readonly string[] = ["Host: a.example"]) => {
    const lines = [`${line} HTTP/1.1`, ...fields, "Connection: close", "", ""];
    return overSocket(server.port, lines.join("\r\n"));
  };

  const disguised = [
    "/./metrics",
    "/x/../metrics",
    "/page/%2e%2e/metrics",
    "/%2E/metrics",
    "/.%2e/metrics",
    "/x/..%2f../metrics",
    "/x\\..\\metrics",
    "/%2e%2e\\metrics",
    "http://a.example/./metrics",
    "/metrics/.",
    "/met%72ics",
    "//metrics",
    "/metrics/",
    "/METRICS",
  ];
  for (const target of disguised) {
    it(`does not reach /metrics as ${target}`, async () => {
      const answer = await ask(`GET ${target}`);
      const { status } = parsed(answer);
      assert.ok(status === 400 || status === 404, answer.slice(0, 200));
      assert.ok(!answer.includes("sync_"), answer.slice(0, 200));
    });
  }

  it("with dot segments is refused by any method, with a problem", async () => {
    for (const line of ["POST /./sync", "DELETE /x/../sync", "GET /x/../health"]) {
      const { status, text } = parsed(await ask(line));
      assert.equal(status, 400, line);
      assert.match(text, /The path has dot segments/);
    }
  });

  it("reaches a path as it is, with a query and in the form with a host", async () => {
    for (const target of ["/health", "/health?x=/../y", "http://a.example/health"]) {
      assert.equal(parsed(await ask(`GET ${target}`)).status, 200, target);
    }
    assert.match(await ask("GET /metrics"), /sync_requests_running 1/);
  });

  const hosts: string[][] = [
    ["Host: a.example", "Host: b.example"],
    ["Host: a.example", "X: y", "host: a.example"],
    ["Host: a.example, b.example"],
    ["Host: a.example/x"],
    ["Host: user@a.example"],
  ];
  for (const fields of hosts) {
    it(`is answered with 400 for ${fields.join(" and ")}`, async () => {
      const { status } = parsed(await ask("GET /health", fields));
      assert.equal(status, 400);
    });
  }
});
