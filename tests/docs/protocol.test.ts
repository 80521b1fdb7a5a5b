/** What PROTOCOL.md says is tried here, as it stands in the document. */
import assert from "node:assert/strict";
import { existsSync, writeFileSync } from "node:fs";
import { type IncomingHttpHeaders, request } from "node:http";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { after, before, describe, it } from "node:test";
import { PROBLEMS } from "../../protocol/problems.ts";
import { openStorage } from "../../storage/open.ts";
import { fingerprintOf } from "../../sync/public-key.ts";
import { fences, read, runInBash, section } from "../support/documents.ts";
import { temporaryFolder } from "../support/folder.ts";
import { projectFolder, type ServerProcess, startServer } from "../support/process.ts";

const protocol = read("PROTOCOL.md");

describe("PROTOCOL.md", () => {
  const folder = temporaryFolder();
  const examples = section(protocol, "Examples");
  const pem = /-----BEGIN[^`]*/.exec(examples)?.[0] ?? "";
  const fingerprint = /The fingerprint is `([\w-]{43})`/.exec(examples)?.[1] ?? "";
  let server: ServerProcess | undefined;
  before(async () => {
    const defaults = { RATE_LIMIT: "20", RATE_BURST: "200" };
    server = await startServer({ STORAGE: join(folder.path, "data"), ...defaults });
  });
  after(async () => {
    await server?.end("SIGTERM");
    folder.remove();
  });

  it("shows the fingerprint of its key, and the command that computes it", async () => {
    assert.equal(fingerprintOf(pem), fingerprint);
    writeFileSync(join(folder.path, "public.pem"), pem);
    const commands = fences(section(protocol, "User key")).map(({ body }) => body);
    assert.deepEqual(await runInBash(commands, folder.path), [fingerprint]);
  });

  it("has examples whose answers are as it shows them, byte for byte", async () => {
    const messages = fences(examples)
      .filter(({ language }) => language === "http")
      .map(({ body }) => parseMessage(body));
    assert.ok(messages.length >= 20 && messages.length % 2 === 0);
    for (let i = 0; i < messages.length; i += 2) {
      const [asked, expected] = [messages[i], messages[i + 1]];
      if (asked === undefined || expected === undefined) break;
      const actual = await send(server?.url ?? "", asked);
      const named = Object.keys(expected.headers);
      assert.deepEqual(
        {
          status: actual.status,
          headers: Object.fromEntries(named.map((name) => [name, actual.headers[name]])),
          body: actual.body,
        },
        {
          status: Number(expected.start.split(" ")[1]),
          headers: expected.headers,
          body: expected.body === "" ? "" : `${expected.body}\n`,
        },
        `${asked.start} ${asked.body}`,
      );
    }
    const [name] = fences(section(read("docs/architecture.md"), "What is stored")).map(({ body }) =>
      body.trim(),
    );
    const storage = await openStorage(join(folder.path, "data"));
    const stored = await storage.list(fingerprint);
    await storage.close();
    assert.ok(
      stored.some((object) => object.name === name),
      name,
    );
  });

  it("shows the answers of /health and /ready", async () => {
    for (const path of ["/health", "/ready"]) {
      const row = new RegExp(`^\\| \`GET ${path}\`.*? \\| 200 and \`(.+?)\``, "m");
      const response = await fetch(new URL(path, server?.url));
      assert.equal(await response.text(), row.exec(protocol)?.[1]);
    }
  });

  it("documents every problem the server can answer with", () => {
    const documented = [...protocol.matchAll(/^\| `urn:sync-server:([a-z-]+)` \| (\d+) \|/gm)];
    const sent = Object.entries(PROBLEMS).map(([type, status]) => `${type} ${status}`);
    assert.deepEqual(documented.map(([, type, status]) => `${type} ${status}`).sort(), sent.sort());
  });
});

for (const [document, letter] of [
  ["PROTOCOL.md", "R"],
  ["ENVELOPE.md", "E"],
] as const) {
  describe(document, () => {
    const rules = [...read(document).matchAll(/^## (\d+)\.|^\*\*([A-Z])-(\d+)\.(\d+)\*\*/gm)];

    it("names files that are there", () => {
      const lines = read(document).matchAll(/^(?:Implemented in|Executed by): (.*)$/gm);
      for (const [, line = ""] of lines) {
        const paths = [...line.matchAll(/`([^`]+)`/g)].map(([, path = ""]) => path);
        assert.ok(paths.length > 0, line);
        for (const path of paths) assert.ok(existsSync(join(projectFolder, path)), path);
      }
    });

    it("numbers the rules of each section from 1 on", () => {
      let section = 0;
      let rule = 0;
      for (const [text, heading, prefix, of, number] of rules) {
        if (heading === undefined) rule++;
        else [section, rule] = [section + 1, 0];
        const expected = heading === undefined ? [letter, section, rule] : [undefined, section, 0];
        const actual = [prefix, Number(heading ?? of), Number(number ?? 0)];
        assert.deepEqual(actual, expected, text);
      }
      assert.ok(rules.length > 30);
    });
  });
}

describe("The documents", () => {
  it("cite rules and sections that are there", () => {
    const texts = ["PROTOCOL.md", "ENVELOPE.md", "SECURITY.md", "README.md"].map(read);
    const rules = texts.flatMap((text) => [...text.matchAll(/^\*\*([RE]-\d+\.\d+)\*\*/gm)]);
    const known = new Set(rules.map(([, id]) => id));
    const cited = texts.flatMap((text) => [...text.matchAll(/\b[RE]-\d+\.\d+\b/g)]);
    for (const [id] of cited) assert.ok(known.has(id), id);
    for (const [text, number] of protocol.matchAll(/\bsection (\d+)/g)) {
      assert.ok(protocol.includes(`\n## ${number}. `), text);
    }
  });
});

interface Message {
  /** The request line, or the status line. */
  readonly start: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** An HTTP message as PROTOCOL.md shows it. */
function parseMessage(message: string): Message {
  const [head = "", body = ""] = message.slice(0, -1).split(/\n\n(.*)/s);
  const [start = "", ...lines] = head.split("\n");
  const headers = lines.map((line) => {
    const [, name = "", value = ""] = /^([\w-]+): (.+)$/.exec(line) ?? [];
    return [name.toLowerCase(), value];
  });
  return { start, headers: Object.fromEntries(headers), body };
}

/** Sends a message unchanged. Not with `fetch`, which sets and forbids headers. */
function send(
  url: string,
  { start, headers, body }: Message,
): Promise<{ status: number | undefined; headers: IncomingHttpHeaders; body: string }> {
  const [method = "", path = ""] = start.split(" ");
  return new Promise((resolve, reject) => {
    const sending = request(new URL(path, url), { method, headers }, (response) => {
      const { statusCode: status, headers } = response;
      text(response).then((body) => resolve({ status, headers, body }), reject);
    });
    sending.once("error", reject);
    sending.end(body);
  });
}
