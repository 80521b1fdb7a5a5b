/** The notebook on the command line, whatever the server answers. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { temporaryFolder } from "../support/folder.ts";
import { run } from "../support/notebook-cli.ts";
import { portOf } from "../support/ports.ts";

type Answer = (response: ServerResponse) => void;

function problem(status: number, type: string, headers: Record<string, string> = {}): Answer {
  return (response) => {
    response.writeHead(status, { "Content-Type": "application/problem+json", ...headers });
    response.end(JSON.stringify({ type: `urn:sync-server:${type}`, detail: `This is ${type}.` }));
  };
}

const STRANGER = "5f0c1a52-7f7e-4d35-a9a5-0d8b8c1d8b11";

/** One operation of another device without a valid signature. */
const forged: Answer = (response) => {
  response.writeHead(200, { "Content-Type": "application/x-ndjson", "Operation-Count": "1" });
  response.end(`${JSON.stringify({ client_id: STRANGER, operation_index: 0, payload: "AQID" })}\n`);
};

const ANSWERS: readonly (readonly [what: string, answer: Answer, message: RegExp])[] = [
  ["403 user-not-allowed", problem(403, "user-not-allowed"), /This is user-not-allowed/],
  ["410 user-erased", problem(410, "user-erased"), /This is user-erased/],
  ["413 body-too-large", problem(413, "body-too-large"), /This is body-too-large/],
  ["507 quota-exceeded", problem(507, "quota-exceeded"), /This is quota-exceeded/],
  ["401 signature-invalid", problem(401, "signature-invalid"), /This is signature-invalid/],
  ["404 of another program", (response) => response.writeHead(404).end("no"), /404/],
  ["500", problem(500, "internal-error"), /This is internal-error/],
  [
    "429, to be asked again tomorrow",
    problem(429, "rate-limited", { "Retry-After": "86400" }),
    /This is rate-limited/,
  ],
  ["a page of a proxy", (response) => response.end("<p>Sign in"), /no Operation-Count/],
  ["nothing", (response) => response.destroy(), /cannot be reached/],
];

describe("the notebook on the command line, whatever the server answers", () => {
  const folder = temporaryFolder();
  const device = join(folder.path, "device");
  let answer: Answer = (response) => response.destroy();
  const server = createServer((request, response) => {
    request.resume();
    request.once("end", () => answer(response));
  });

  before(async () => {
    await once(server.listen(0, "127.0.0.1"), "listening");
    const url = `http://127.0.0.1:${portOf(server)}`;
    await run(["init", "--bits", "2048", "--server", url, "--folder", device]);
    await run(["send", "written here", "--folder", device]);
  });
  after(() => {
    server.close();
    folder.remove();
  });

  for (const [what, given, message] of ANSWERS) {
    it(`shows the notes of this device, the reason and a failure on ${what}`, async () => {
      answer = given;
      const log = await run(["log", "--folder", device]);
      const status = await run(["status", "--folder", device]);
      assert.match(log.stdout, /^.*written here$/m);
      assert.match(log.stderr, message);
      assert.match(log.stderr, /Notes of other devices may be missing\./);
      assert.doesNotMatch(log.stderr, /^\s+at /m, "no stack trace");
      assert.match(status.stdout, message);
      assert.match(status.stdout, /1 to be sent/);
      assert.deepEqual([log.code, status.code], [1, 1]);
    });
  }

  it("does not promise to send a note to a server that erased the user", async () => {
    answer = problem(410, "user-erased");
    const { code, stderr } = await run(["send", "too late", "--folder", device]);
    assert.match(stderr, /\(2\) are kept in .*; log prints them\.$/m);
    assert.equal(code, 1);
  });

  it("fails, and says which notes, where the server sends notes that are refused", async () => {
    answer = forged;
    for (const command of [["log"], ["send", "more"], ["status"]]) {
      const { code, stdout, stderr } = await run([...command, "--folder", device]);
      assert.match(
        stderr,
        /^Warning: Notes of device [0-9a-f]{8} from number 0 on are not shown: forged\. .*this key/m,
      );
      assert.equal(code, 1, command[0]);
      if (command[0] === "log") assert.match(stdout, /written here/);
      if (command[0] === "status") assert.match(stdout, /^status +synced; refused: 1$/m);
    }
  });
});
