/** `sync-server conformance`: the whole protocol suite on the server, and what the command says. */
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import http from "node:http";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";
import { WrongArgument } from "../../../commands/command.ts";
import { conformanceWith } from "../../../commands/conformance/conformance.ts";
import { users } from "../../../commands/users/users.ts";
import { MemoryDriver } from "../../../storage/memory.ts";
import { nothing, refusal, tryBroken } from "../../support/broken-server.ts";
import { jsonOf, onEachStorage, runCommand } from "../../support/commands.ts";
import { anotherKey } from "../../support/conformance.ts";
import { inTime } from "../../support/deadline.ts";
import { blocksOf, read, startedHere } from "../../support/documents.ts";
import { temporaryFolder } from "../../support/folder.ts";
import { type Serving, serveHere, withServer } from "../../support/http.ts";
import { portOf } from "../../support/ports.ts";
import { fromSource, projectFolder } from "../../support/process.ts";
import { someFingerprint } from "../../support/users.ts";

const conformance = conformanceWith({ newPrivateKey: anotherKey });

/** Why a case cannot be tried on a busy machine, which may fail no test. */
const BUSY = /^(?:requests come too slowly|a user without tokens|a request takes seconds)/;

/** What the command says of a server: the rules by outcome, and the last line. */
async function tryOn(url: string, given: Readonly<Record<string, string>> = {}) {
  const { code, objects } = await jsonOf(conformance, "", given, [url]);
  const results = objects.map((one) =>
    BUSY.test(String(one.why)) ? { ...one, outcome: "passed" } : one,
  );
  const of = (wanted: string) =>
    results.flatMap((one) => ("outcome" in one && one.outcome === wanted ? [ruleOf(one)] : []));
  const failures = objects.filter(({ outcome }) => outcome === "failed");
  const busy = objects.filter(({ why }) => BUSY.test(String(why))).length;
  return {
    code,
    failures,
    passed: of("passed"),
    skipped: of("skipped"),
    busy,
    last: objects.at(-1),
  };
}

const ruleOf = (result: Readonly<Record<string, unknown>>) => String(result.rule);

/** The defaults, but for the size of a body, which would cost the tests much. */
const LIMITS = { RATE_LIMIT: "20", NEW_USERS_PER_HOUR: "100", MAX_BODY: "1MiB" };

/** Rules of a list of users, and of requests without a signature. */
const OF_LISTS = [
  ...["R-11.12", "R-11.15", "R-11.16", "R-11.17", "R-11.17"],
  ...["R-11.19", "R-11.20", "R-11.20", "R-11.21"],
];
const UNSIGNED = ["R-11.4", "R-14.2", "R-14.4", "R-20.2", "R-3.4"];

describe("conformance", () => {
  const folder = temporaryFolder();
  after(() => folder.remove());

  it("finds that the server follows every rule, and leaves nothing of its users but tombstones", async () => {
    const driver = new MemoryDriver();
    await withServer(
      LIMITS,
      async ({ url }) => {
        const { code, failures, passed, skipped, busy, last } = await tryOn(url);
        assert.deepEqual(failures, []);
        assert.deepEqual([code, skipped.sort()], [0, [...OF_LISTS, "R-12.3", "R-14.5"]]);
        assert.ok(passed.length > 80);
        const rules = new Set([...passed, ...skipped]).size;
        const counts = `${passed.length} passed, 0 failed, ${skipped.length} skipped`;
        const printed = `${passed.length + skipped.length} cases of ${rules} rules: ${counts}\n${last?.erased} users `;
        assert.ok(read("docs/conformance.md").includes(printed), printed);
        const objects = await driver.list("");
        assert.deepEqual(last, {
          summary: { passed: passed.length - busy, failed: 0, skipped: skipped.length + busy },
          ...{ broken: [], erased: last?.erased, left: [] },
        });
        assert.ok(objects.length > 20 && objects.length >= Number(last?.erased));
        for (const { name } of objects) assert.match(name, /^[\w-]{43}\.erased\.\d+$/);
      },
      driver,
    );
  });

  it("finds the same where signatures are required, pages are listed, and nothing waits", async () => {
    const settings = {
      ...{ SIGNATURES: "required", CORS_ORIGIN: "https://other.example", MAX_WAIT: "0" },
      ...{ RATE_LIMIT: "0", MAX_BODY: "128KiB" },
    };
    await withServer(settings, async ({ url }) => {
      const { code, failures, skipped } = await tryOn(url);
      assert.deepEqual(failures, []);
      assert.equal(code, 0);
      const waiting = ["R-6.13", "R-6.13", "R-6.14", "R-6.15", "R-6.17", "R-6.18", "R-6.19"];
      const others = ["R-11.7", "R-11.8", "R-12.2", "R-4.9"];
      assert.deepEqual(skipped.sort(), [...OF_LISTS, ...UNSIGNED, ...waiting, ...others].sort());
    });
  });

  it("finds the same on a server with a list of users, who enter by invites", async () => {
    const [list, codes] = [join(folder.path, "listed"), join(folder.path, "codes")];
    const { lines } = await runCommand(users, "", { file: list, count: "60" }, ["invite"]);
    writeFileSync(codes, `${lines.join("\n")}\n\n`);
    const driver = new MemoryDriver();
    await withServer(
      { ...LIMITS, USERS: list },
      async ({ url }) => {
        const { code, failures, skipped, last } = await tryOn(url, { invites: codes });
        assert.deepEqual([code, failures, last?.left], [0, [], []]);
        assert.deepEqual(skipped.sort(), ["R-12.3", "R-14.5", ...UNSIGNED].sort());
        for (const { name } of await driver.list(""))
          assert.match(name, /^[\w-]{43}\.erased\.\d+$/);
        // Those that were used are left out, until none is left.
        const again = await tryOn(url, { invites: codes, rule: "R-5" });
        assert.deepEqual([again.code, again.failures], [0, []]);
        const some = await tryOn(url, { invites: codes });
        assert.deepEqual([some.code, some.failures], [0, []]);
        const none = await runCommand(conformance, "", { invites: codes }, [url]);
        assert.match(none.lines.join("\n"), /no invite is left to enter the list of users by\.$/);
        assert.equal(none.code, 2);
      },
      driver,
    );
  });

  describe("on each storage", () => {
    onEachStorage("conformance", ({ newPlace, open }) => {
      it("finds that the server follows every rule", async () => {
        const driver = await open(newPlace());
        await withServer(
          LIMITS,
          async ({ url }) => {
            const { code, failures, skipped } = await tryOn(url);
            assert.deepEqual([code, failures], [0, []]);
            assert.deepEqual(skipped.sort(), [...OF_LISTS, "R-12.3", "R-14.5"]);
          },
          driver,
        );
        await driver.close();
      });
    });
  });

  describe("on a server that lets it do nothing", () => {
    let other: http.Server;
    let address: string;
    before(async () => {
      other = http.createServer((request, response) => {
        const path = new URL(request.url ?? "", "http://host").pathname;
        response.statusCode = path === "/moved/sync" ? 308 : 404;
        response.setHeader("Location", "https://sync.example/sync").end();
      });
      await once(other.listen(0, "127.0.0.1"), "listening");
      address = `http://127.0.0.1:${portOf(other)}`;
    });

    it("says why, and that there is nothing to report", async () => {
      const list = join(folder.path, "users");
      writeFileSync(list, `${someFingerprint()}\n`);
      await withServer({ USERS: list }, async ({ url }) => {
        const { code, lines } = await runCommand(conformance, "", {}, [url]);
        assert.equal(code, 2);
        assert.match(lines.join("\n"), /^The server has a list of users, .* as --invites\.$/);
      });
      const wordsFor = async (url: string) => {
        const { code, lines } = await runCommand(conformance, "", {}, [url]);
        assert.equal(code, 2);
        return lines.join("\n");
      };
      assert.equal(await wordsFor(address), `There is nothing at ${address}/sync.`);
      assert.equal(
        await wordsFor(`${address}/moved/`),
        `${address}/moved/sync leads to https://sync.example/sync: give that address.`,
      );
      other.close();
      await once(other, "close");
      assert.match(await wordsFor(address), /: there is no whole answer: ./);
    });
  });

  describe("with arguments", () => {
    let server: Serving;
    before(async () => {
      server = await serveHere();
    });
    after(() => server.close());

    it("tries a rule or a section alone, and prints a line for each case", async () => {
      const { code, lines } = await runCommand(conformance, "", { rule: "R-15.3" }, [server.url]);
      assert.deepEqual(lines, [
        "passed   R-15.3  deletes a user of whom nothing is stored",
        "1 case of 1 rule: 1 passed, 0 failed, 0 skipped",
        "1 user of the suite erased: a tombstone of each stays.",
      ]);
      assert.equal(code, 0);
      const { passed } = await tryOn(server.url, { rule: "R-15" });
      assert.deepEqual(passed, ["R-15.1", "R-15.2", "R-15.3", "R-15.4", "R-15.8"]);
    });

    it("refuses a file of invites that is missing, or has a line that is no code", async () => {
      const file = join(folder.path, "no-codes");
      for (const text of [undefined, "", "\n", "a code\n", `${"x".repeat(129)}\n`]) {
        if (text !== undefined) writeFileSync(file, text);
        await assert.rejects(tryOn(server.url, { invites: file }), (error) => {
          return error instanceof WrongArgument && !error.message.includes("a code");
        });
      }
    });

    it("refuses a rule of which it has no case, and what is no address", async () => {
      for (const rule of ["R-1", "R-5.9", "5.1", ""]) {
        await assert.rejects(tryOn(server.url, { rule }), WrongArgument);
      }
      const places = ["./data", "http://", "ftp://host", "http://a:b@host", "http://host/?a"];
      for (const place of [[], ...[...places, "http://host/#a"].map((one) => [one])]) {
        await assert.rejects(runCommand(conformance, "", {}, place), (error) => {
          return error instanceof WrongArgument && !error.message.includes("b@");
        });
      }
      const { code } = await tryOn(server.url.replace("http", "HTTP"), { rule: "R-15.3" });
      assert.equal(code, 0);
    });
  });

  it("has the exit codes that docs/conformance.md says", () => {
    const codes = [...read("docs/conformance.md").matchAll(/^\| (\d) \| (.*) \|$/gm)];
    const known = new Map(conformance.exitCodes);
    for (const [, code, meaning = ""] of codes) {
      assert.ok(meaning.startsWith(known.get(Number(code)) ?? " "), meaning);
    }
    assert.equal(codes.length, known.size);
  });

  describe("docs/conformance.md", () => {
    it("has commands that run as they are printed, on servers without and with a list", async () => {
      const [plain = "", listed = ""] = blocksOf(read("docs/conformance.md"), "sh");
      // Some rules are enough: the other tests try them all.
      const run = (commands: string, url: string) => {
        const given = startedHere(commands, "node --import tsx server.ts")
          .replace("http://localhost:8080", `${url} --rule R-11`)
          .replace("./users", join(folder.path, "printed"))
          .replaceAll(/(?<= )codes$/gm, join(folder.path, "printed-codes"));
        return promisify(execFile)("bash", ["-ec", given], { cwd: projectFolder });
      };
      await withServer(LIMITS, async ({ url }) => {
        const { stdout } = await run(plain, new URL(url).origin);
        assert.match(stdout, / 0 failed, (?:9|1[01]) skipped$/m);
      });
      const list = join(folder.path, "printed");
      writeFileSync(list, "# nobody else\n");
      // The server starts once the invites are there: it reads its list again after a second.
      const [setting = "", invite = "", ...rest] = listed.split("\n");
      await run(`${setting}\n${invite}`, "");
      await withServer({ ...LIMITS, USERS: list }, async ({ url }) => {
        const { stdout } = await run(`${setting}\n${rest.join("\n")}`, url);
        assert.match(stdout, / 0 failed, [1-3] skipped$/m);
      });
      assert.equal(readFileSync(list, "utf8"), "# nobody else\n");
    });
  });

  it("names the users whom it could not erase, and says what is different", async () => {
    const { code, left, failed } = await tryBroken({
      rule: "R-5.3",
      what: "erases nobody and refuses each batch",
      begin:
        () =>
        ({ method, body, pass }) =>
          method === "DELETE" || Array.isArray(body.payload) ? refusal(507, "full") : pass(),
    });
    assert.equal(code, 1);
    assert.match(String(left), /^[\w-]{43},[\w-]{43}$/);
    assert.equal(failed.length, 1);
  });

  it("blames no server for a proxy that refuses a large body by itself", async () => {
    const { code, failed } = await tryBroken({
      rule: "R-2.6",
      what: "is behind a proxy with a limit of its own",
      begin:
        () =>
        ({ text, pass }) =>
          text.length > 10_000 ? refusal(413, "").set("Content-Type", "text/html") : pass(),
    });
    assert.deepEqual([code, failed], [2, []]);
  });

  it("says in a line what a server does instead", async () => {
    const server = conformanceWith({
      newPrivateKey: anotherKey,
      fetch: async () => {
        const { status, headers } = nothing();
        return new Response("no line", { status, headers });
      },
    });
    const { code, lines } = await runCommand(server, "", { rule: "R-7.2" }, ["http://host"]);
    assert.equal(code, 1);
    assert.match(
      lines[0] ?? "",
      /^failed {3}R-7\.2 {3}sends one line .*: the body for no operation: "no line", not ""$/,
    );
    assert.match(lines[1] ?? "", /^1 case of 1 rule: 0 passed, 1 failed \(R-7\.2\), 0 skipped$/);
  });

  it("erases its users when it is stopped by Ctrl-C", async (test) => {
    const driver = new MemoryDriver();
    const server = await serveHere({ MAX_BODY: "128KiB" }, driver);
    test.after(server.close);
    const [file, ...args] = fromSource.command;
    const child = spawn(file, [...args, "conformance", server.url, "--rule", "R-5"], {
      cwd: fromSource.folder,
    });
    let [stdout, stderr] = ["", ""];
    child.stderr.on("data", (data) => {
      stderr += data;
    });
    child.stdout.on("data", (data) => {
      // Not child.kill: Deno then reports the signal, whatever code the process ended with.
      if (stdout === "") process.kill(child.pid ?? 0, "SIGINT");
      stdout += data;
    });
    const ended = await inTime(once(child, "close"), () => `it ends: ${stdout} ${stderr}`);
    assert.deepEqual(ended, [130, null], stderr);
    assert.equal(
      stderr,
      "Stopped before the end. Its users are being erased; a second signal leaves them.\n",
    );
    const [, erased] = /^(\d) users? of the suite erased: /m.exec(stdout) ?? [];
    const names = (await driver.list("")).map(({ name }) => name);
    assert.equal(names.length, Number(erased));
    for (const name of names) assert.match(name, /\.erased\./);
  });
});
