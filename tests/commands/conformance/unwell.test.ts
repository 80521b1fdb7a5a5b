/** `sync-server conformance` where the answers say nothing of the rules: it says so, and blames none. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import http from "node:http";
import { describe, it } from "node:test";
import { conformanceWith } from "../../../commands/conformance/conformance.ts";
import {
  type Passing,
  Reply,
  refusal,
  tryBroken,
  type Verdict,
} from "../../support/broken-server.ts";
import { runCommand } from "../../support/commands.ts";
import { anotherKey } from "../../support/conformance.ts";
import { inTime } from "../../support/deadline.ts";
import { portOf } from "../../support/ports.ts";
import { fromSource } from "../../support/process.ts";

type Answering = (request: Passing) => Reply | Promise<Reply>;

/** What the command says of section 5, on a server that answers so after some requests. */
function tryThat(answering: Answering, after = 0, settings = {}): Promise<Verdict> {
  const begin = () => {
    let asked = 0;
    return (request: Passing) => (asked++ < after ? request.pass() : answering(request));
  };
  return tryBroken({ rule: "R-5.1", what: "is unwell", begin }, { rule: "R-5", ...settings });
}

function html(status: number, headers: Record<string, string> = {}): Reply {
  return new Reply(status, { "Content-Type": "text/html", ...headers }, "<p>Hello</p>");
}

const lost: Answering = () => {
  throw new TypeError("fetch failed", { cause: new Error("connect ECONNREFUSED") });
};

describe("conformance", () => {
  describe("where no sync server answers", () => {
    const answers: [string, Answering, RegExp][] = [
      ["a page", () => html(200), /answers with 200 \(text\/html\): it is no sync server, or a/],
      ["a proxy's 502", () => html(502), /answers with 502 \(text\/html\): it is no sync server/],
      ["a password", () => html(401, { "WWW-Authenticate": "Basic" }), /answers with 401 \(text/],
      ["a firewall", () => html(403), /answers with 403 \(text\/html\): it is no sync server/],
      ["a 301 to nowhere", () => html(301), /answers with 301 \(text\/html\): it is no sync/],
      ["no more new users", () => refusal(429, "new-users-limited"), /takes no more new users/],
      ["nothing", lost, /: there is no whole answer: connect ECONNREFUSED\.$/],
      ["a list of users", () => refusal(403, "user-not-allowed"), /as --invites\.$/],
    ];
    for (const [what, answering, says] of answers) {
      it(`says that there is ${what}`, async () => {
        const { code, error, left } = await tryThat(answering);
        assert.match(String(error), says);
        assert.deepEqual([code, left], [2, undefined]);
      });
    }

    it("says where an address has /sync twice", async () => {
      const conformance = conformanceWith({
        newPrivateKey: anotherKey,
        fetch: async () => new Response("", { status: 404 }),
      });
      const { code, lines } = await runCommand(conformance, "", {}, ["http://sync.example/sync"]);
      assert.match(
        lines.join(),
        /^There is nothing at .*\/sync\/sync: give the address without \/sync\.$/,
      );
      assert.equal(code, 2);
    });
  });

  describe("where no signature can be right", () => {
    const signed = (answer: () => Reply): Answering => {
      return ({ headers, pass }) => (headers.has("signature") ? answer() : pass());
    };
    const invalid = (members: Record<string, unknown>) =>
      refusal(401, "signature-invalid", members).set("Date", new Date(0).toUTCString());

    it("names the address for which signatures are checked", async () => {
      const members = { check: "signature", authority: "127.0.0.1:8080", path: "/sync" };
      const { code, error } = await tryThat(signed(() => invalid(members)));
      assert.match(
        String(error),
        /^The server checks signatures for 127\.0\.0\.1:8080\/sync, and not for sync\.example\/sync: /,
      );
      assert.equal(code, 2);
    });

    it("says how far the clocks are apart", async () => {
      const { code, error } = await tryThat(signed(() => invalid({ check: "clock" })));
      const [, seconds] =
        /^The clocks .* are (\d+) seconds apart: set them right\.$/.exec(String(error)) ?? [];
      assert.ok(Math.abs(Number(seconds) - Date.now() / 1000) < 100, String(error));
      assert.equal(code, 2);
    });

    it("takes it for a broken rule where neither is the reason", async () => {
      const { code, broken } = await tryThat(signed(() => invalid({ check: "digest" })));
      assert.equal(code, 1);
      assert.ok(Array.isArray(broken) && broken.includes("R-5.1"));
    });
  });

  describe("where a server goes away", () => {
    it("ends, and blames no rule for it", async () => {
      for (const after of [2, 3, 9, 20]) {
        const { code, failed, error, left } = await tryThat(lost, after);
        assert.match(
          String(error),
          /^The server stopped answering at R-5\.[13]: .*ECONNREFUSED\. Run/,
        );
        assert.deepEqual([code, failed], [2, []]);
        assert.match(String(left), /^[\w-]{43}(,[\w-]{43})*$/);
      }
    });

    it("ends where a server cannot answer for longer than it waits", async () => {
      const busy = () => refusal(503, "storage-unavailable").set("Retry-After", "100");
      const { code, failed, error } = await tryThat(busy, 9);
      assert.match(
        String(error),
        /^The server stopped answering at .* it answers with 503 storage-un/,
      );
      assert.deepEqual([code, failed], [2, []]);
    });

    it("goes on where it answers again", async () => {
      let cut = 0;
      const once: Answering = (request) => (cut++ === 0 ? lost(request) : request.pass());
      const { code, failed, error } = await tryThat(once, 9);
      assert.deepEqual([code, failed.length, error], [1, 1, undefined]);
    });

    it("sends a request again that is refused for now", async () => {
      let refused = 0;
      const busy: Answering = (request) =>
        refused++ === 0 ? refusal(503, "overloaded").set("Retry-After", "1") : request.pass();
      const { code, left } = await tryThat(busy, 9);
      assert.deepEqual([code, left, refused > 1], [0, [], true]);
    });
  });

  it("names nobody of whom nothing is stored, where new users are limited", async () => {
    const { code, left } = await tryThat(({ pass }) => pass(), 0, { NEW_USERS_PER_HOUR: "3" });
    assert.deepEqual([code, left], [0, []]);
    const none = await tryThat(({ pass }) => pass(), 0, { NEW_USERS_PER_HOUR: "1" });
    assert.deepEqual([none.code, none.left, none.error], [2, [], undefined]);
  });

  it("ends soon when it is stopped on a server that answers no more, and names its users", async (test) => {
    let asked = 0;
    const relayed = http.createServer((request, response) => {
      request.resume();
      if (asked++ > 1) return;
      response
        .setHeader("Content-Type", "application/x-ndjson")
        .setHeader("Operation-Count", "0")
        .end();
    });
    await once(relayed.listen(0, "127.0.0.1"), "listening");
    test.after(() => relayed.close().closeAllConnections());
    const url = `http://127.0.0.1:${portOf(relayed)}`;
    const [file, ...args] = fromSource.command;
    const child = spawn(file, [...args, "conformance", url], { cwd: fromSource.folder });
    let stdout = "";
    child.stdout.on("data", (data) => {
      stdout += data;
    });
    relayed.on("request", () => {
      if (asked === 3) process.kill(child.pid ?? 0, "SIGINT");
    });
    const ended = await inTime(once(child, "close"), () => `it ends: ${stdout}`);
    assert.deepEqual(ended, [130, null]);
    assert.match(stdout, /^Of 1 user something may be left: erase .*\n[\w-]{43}$/m);
  });
});
