/** Two servers, Redis and proxies, started as docs/operations.md says. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { SyncClient, type SyncOptions } from "../../client/index.ts";
import { MemoryStore } from "../../client/memory.ts";
import { inTime } from "../support/deadline.ts";
import { blocksOf, read, section, startedHere } from "../support/documents.ts";
import { temporaryFolder } from "../support/folder.ts";
import { sync } from "../support/http.ts";
import { metricOf } from "../support/metrics.ts";
import { onlyOn } from "../support/one-runtime.ts";
import { freePort } from "../support/ports.ts";
import { newIdentity } from "../support/private-keys.ts";
import { NO_LIMITS, projectFolder } from "../support/process.ts";
import { caddyHome, isInstalled, type RunningProxy, startNginx } from "../support/proxies.ts";
import { until } from "../support/socket.ts";
import { textsOf } from "../support/sync-app.ts";
import { newClient, newUser } from "../support/users.ts";
import { untilWaiting, waitFor } from "../support/waiting.ts";

const { skip, note } = onlyOn("Node", "a proxy shows the same on each");
const missing = ["redis-server", "caddy", "nginx"].filter((program) => !isInstalled(program));
const why = missing.length > 0 && !skip ? ` (skipped: no ${missing.join(", ")} in PATH)` : note;

describe(`two servers behind a proxy that routes by user${why}`, {
  skip: skip || missing.length > 0,
}, () => {
  const folder = temporaryFolder();
  let shell: ChildProcess;
  let nginx: RunningProxy | undefined;
  let servers: readonly Server[];
  let proxies: Readonly<Record<"Caddy" | "nginx", string>>;

  /** Appends as a new user by way of a proxy; gives the server that has stored it. */
  const serverOf = async (proxy: string, route: string, body: object = newOperation()) => {
    const before = await Promise.all(servers.map(storedBy));
    const { status } = await sync(proxy, body, { "Sync-Route": route });
    assert.equal(status, 200);
    const after = await Promise.all(servers.map(storedBy));
    return servers.find((_, i) => after[i] === (before[i] ?? 0) + 1) ?? assert.fail("none");
  };
  /** For each server a route that leads there. */
  const routesOf = async (proxy: string) => {
    const found = new Map<Server, string>();
    for (let i = 0; found.size < servers.length; i++) {
      assert.ok(i < 100, "all routes lead to one server");
      const server = await serverOf(proxy, `route-${i}`);
      if (!found.has(server)) found.set(server, `route-${i}`);
    }
    const [first, second] = found;
    assert.ok(first && second);
    return [first, second] as const;
  };

  before(async () => {
    const ports = new Map<string, string>();
    for (const documented of ["6379", "8080", "8081", "8082"]) {
      ports.set(documented, `${await freePort()}`);
    }
    // Another port than Caddy's, which the document gives to nginx as well.
    const nginxPort = await freePort();
    const here = (text: string) =>
      text.replaceAll(/\b(?:6379|808[012])\b/g, (port) => ports.get(port) ?? port);
    const chapter = section(read("docs/operations.md"), "Several servers");
    const [printed = ""] = blocksOf(chapter, "sh");
    const commands = startedHere(printed, "node --import tsx server.ts");
    const started = start(
      here(commands).replaceAll("./data", join(folder.path, "data")),
      folder.path,
    );
    shell = started.shell;
    const pids = await started.pids;
    const at = (port: string) => `http://127.0.0.1:${ports.get(port)}`;
    servers = [
      { url: at("8081"), pid: pids[1] ?? 0 },
      { url: at("8082"), pid: pids[2] ?? 0 },
    ];
    const [http = ""] = blocksOf(chapter, "nginx");
    const listen = `listen 127.0.0.1:${nginxPort};`;
    nginx = await startNginx(here(http.replace("listen 8080;", listen)), [nginxPort]);
    proxies = {
      Caddy: `http://localhost:${ports.get("8080")}`,
      nginx: `http://127.0.0.1:${nginxPort}`,
    };
    await until(async () => (await Promise.all(servers.map(isUp))).every(Boolean), "servers run");
    // The first look of Caddy may have been before that.
    await until(() => isUp({ url: proxies.Caddy }), "Caddy forwards");
    const used = new Set<Server>();
    await until(async () => {
      return used.add(await serverOf(proxies.Caddy, randomUUID())).size === servers.length;
    }, "Caddy forwards to both");
  });
  after(async () => {
    const ended = once(shell, "close");
    process.kill(-(shell.pid ?? 0), "SIGTERM");
    await ended;
    await nginx?.end();
    folder.remove();
  });

  it("gives the same route to the same server, and uses both", async () => {
    for (const proxy of Object.values(proxies)) {
      for (const [server, route] of await routesOf(proxy)) {
        for (let i = 0; i < 3; i++) assert.equal(await serverOf(proxy, route), server);
      }
    }
  });

  it("brings the devices of a user to one server", async () => {
    for (const url of Object.values(proxies)) {
      const identity = await newIdentity();
      const before = await Promise.all(servers.map(signedAt));
      const received: string[] = [];
      const open = (receive: SyncOptions["receive"]) =>
        SyncClient.open({ url, identity, store: new MemoryStore(), receive });
      const laptop = await open(() => undefined);
      const phone = await open((operations) => {
        received.push(...textsOf(operations));
      });
      await laptop.append("through a proxy");
      await until(() => received.includes("through a proxy"));
      await Promise.all([laptop.close(), phone.close()]);
      const after = await Promise.all(servers.map(signedAt));
      assert.equal(servers.filter((_, i) => after[i] !== before[i]).length, 1);
    }
  });

  it("answers a request that waits at one server by an append at the other", async () => {
    const [[one, route], [other]] = await routesOf(proxies.Caddy);
    const operation = newOperation();
    const { user } = operation;
    const reader = { user, client_id: newClient() };
    const waiting = waitFor(proxies.Caddy, reader, { headers: { "Sync-Route": route } });
    await untilWaiting(one.url, 1);
    assert.equal((await sync(other.url, operation)).status, 200);
    const { operations } = await waiting;
    assert.deepEqual(
      operations.map(({ payload }) => payload),
      ["sealed"],
    );
  });

  it("goes on through the other server when one is killed, and misses nothing", async () => {
    const [[killed, route]] = await routesOf(proxies.Caddy);
    const throughNginx = new Map(await routesOf(proxies.nginx)).get(killed) ?? "";
    const operation = newOperation();
    assert.equal(await serverOf(proxies.Caddy, route, operation), killed);
    process.kill(killed.pid, "SIGKILL");
    const reader = { user: operation.user, client_id: newClient() };
    const headers = { "Sync-Route": throughNginx };
    const first = await sync(proxies.nginx, reader, headers);
    assert.deepEqual([first.status, first.operations.length], [200, 1]);
    // Until Caddy notices, its answers are no problem documents.
    await until(async () => {
      const response = await fetch(new URL("/sync", proxies.Caddy), {
        method: "POST",
        headers: { "Content-Type": "application/json", "Sync-Route": route },
        body: JSON.stringify(reader),
      });
      return response.status === 200 && (await response.text()).includes("sealed");
    }, "Caddy asks the other server");
    assert.equal((await sync(proxies.Caddy, newOperation(), { "Sync-Route": route })).status, 200);
  });
});

interface Server {
  readonly url: string;
  readonly pid: number;
}

function newOperation() {
  const user = newUser().base64;
  return { user, client_id: newClient(), operation_index: 0, payload: "sealed" };
}

/** Runs commands that start programs in the background; gives the ids of these. */
function start(commands: string, home: string): { shell: ChildProcess; pids: Promise<number[]> } {
  const shell = spawn("bash", ["-c", `${commands}echo pids $(jobs -p)\nwait`], {
    cwd: projectFolder,
    env: { ...process.env, ...NO_LIMITS, ...caddyHome(home) },
    stdio: ["ignore", "pipe", "ignore"],
    // A group, which can be ended together.
    detached: true,
  });
  const kill = () => process.kill(-(shell.pid ?? 0), "SIGKILL");
  process.once("exit", kill);
  shell.once("close", () => process.off("exit", kill));
  let output = "";
  const pids = new Promise<number[]>((resolve) => {
    shell.stdout?.on("data", (data) => {
      output += data;
      const [, found] = /^pids (.*)$/m.exec(output) ?? [];
      if (found !== undefined) resolve(found.split(" ").map(Number));
    });
  });
  return { shell, pids: inTime(pids, () => `the programs start: ${output}`) };
}

async function isUp({ url }: Pick<Server, "url">): Promise<boolean> {
  try {
    return (await fetch(new URL("/health", url))).ok;
  } catch {
    return false;
  }
}

function storedBy({ url }: Server): Promise<number> {
  return metricOf(url, 'sync_operations_total{result="stored"}');
}

/** How many signed requests have come to a server. */
function signedAt({ url }: Server): Promise<number> {
  return metricOf(url, 'sync_signatures_total{result="valid"}');
}
