/** HTTPS at home, started as docs/operations.md says: deploy/Caddyfile with an authority of its own. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import https from "node:https";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { after, before, describe, it } from "node:test";
import { inTime } from "../support/deadline.ts";
import { read, section } from "../support/documents.ts";
import { temporaryFolder } from "../support/folder.ts";
import { onlyOn } from "../support/one-runtime.ts";
import { freePort } from "../support/ports.ts";
import { NO_LIMITS, projectFolder } from "../support/process.ts";
import { caddyHome, isInstalled } from "../support/proxies.ts";
import { until } from "../support/socket.ts";
import { newClient, newUser } from "../support/users.ts";
import { LONG, untilWaiting } from "../support/waiting.ts";

const { skip, note } = onlyOn("Node", "a proxy shows the same on each");
const isMissing = !isInstalled("caddy");
const why = isMissing && !skip ? " (skipped: caddy is not installed)" : note;

describe(`HTTPS at home${why}`, { skip: skip || isMissing }, () => {
  const folder = temporaryFolder();
  let shell: ChildProcess;
  let output = "";
  let server: string;
  let port: number;
  let authority: string;

  before(async () => {
    const chapter = section(read("docs/operations.md"), "Put a proxy in front");
    const [, commands = ""] = /### HTTPS at home\n.*?```sh\n(.*?)```/s.exec(chapter) ?? [];
    const [, root = ""] = /`~(\/\.local\/share\/.*?\/root\.crt)`/.exec(chapter) ?? [];
    assert.equal(commands.trim().split("\n").length, 3);
    authority = join(folder.path, root);
    const ports = { http: await freePort(), server: await freePort() };
    port = await freePort();
    server = `http://127.0.0.1:${ports.server}`;
    // Other ports than those of the machine, and nothing added to what the machine trusts.
    const options = `{
	admin off
	skip_install_trust
	http_port ${ports.http}
	https_port ${port}
}
`;
    const caddyfile = join(folder.path, "Caddyfile");
    writeFileSync(caddyfile, options + read("deploy/Caddyfile"));
    const here = commands
      .replaceAll("8080", `${ports.server}`)
      .replace("deploy/Caddyfile", caddyfile);
    const { HOME } = caddyHome(folder.path);
    const { XDG_DATA_HOME: _, ...environment } = process.env;
    const settings = { PORT: `${ports.server}`, STORAGE: join(folder.path, "data") };
    shell = spawn("bash", ["-ec", here], {
      cwd: projectFolder,
      env: { ...environment, ...NO_LIMITS, ...settings, HOME },
      stdio: ["ignore", "pipe", "pipe"],
      // A group, which is ended together.
      detached: true,
    });
    for (const stream of [shell.stdout, shell.stderr]) {
      stream?.on("data", (data) => {
        output += data;
      });
    }
    const isUp = async () => {
      if (!existsSync(authority)) return false;
      return ask("/health").then(
        ({ status }) => status === 200,
        () => false,
      );
    };
    await until(isUp, "Caddy forwards to the server");
  });
  after(async () => {
    const ended = once(shell, "close");
    process.kill(-(shell.pid ?? 0), "SIGTERM");
    await inTime(ended, () => `the programs end: ${output}`);
    folder.remove();
  });

  /** Asks Caddy by the name of the machine, as a device that trusts the authority. */
  async function ask(path: string, body?: string, headers: Record<string, string> = {}) {
    const request = https.request({
      ...{ host: "127.0.0.1", port, path, servername: "nas.local" },
      ca: readFileSync(authority),
      method: body === undefined ? "GET" : "POST",
      headers: { Host: "nas.local", "Content-Type": "application/json", ...headers },
    });
    request.end(body);
    const [response] = await once(request, "response");
    return { status: Number(response.statusCode), text: await text(response) };
  }

  it("brings news to a request that waits", async () => {
    const user = newUser().base64;
    const reader = JSON.stringify({ user, client_id: newClient() });
    const waiting = ask("/sync", reader, { Prefer: `wait=${LONG}` });
    await untilWaiting(server, 1);
    const append = { user, client_id: newClient(), operation_index: 0, payload: "sealed" };
    assert.equal((await ask("/sync", JSON.stringify(append))).status, 200);
    const { status, text } = await waiting;
    assert.equal(status, 200);
    assert.match(text, /"payload":"sealed"\}\n$/);
  });

  it("shows nothing but /sync and /health", async () => {
    for (const path of ["/", "/metrics", "/ready", "/status"]) {
      assert.equal((await ask(path)).status, 404, path);
    }
  });
});
