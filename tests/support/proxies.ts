/** Real proxies, started by tests. */
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import net from "node:net";
import { join } from "node:path";
import { temporaryFolder } from "./folder.ts";
import { until } from "./socket.ts";

/** Whether a program is in PATH. */
export function isInstalled(program: string): boolean {
  return spawnSync(program, ["--version"]).error === undefined;
}

export interface RunningProxy {
  /** Ends it, and removes its files. */
  readonly end: () => Promise<void>;
}

/** Starts nginx with the content of its `http` block, and waits until it listens. */
export function startNginx(http: string, ports: readonly number[]): Promise<RunningProxy> {
  return start("nginx", ports, (folder) => nginxConfiguration(http, folder));
}

/** What `nginx -t` says of the content of an `http` block. */
export function testNginx(http: string): { readonly code: number | null; readonly output: string } {
  const folder = temporaryFolder();
  const { text, args } = nginxConfiguration(http, folder.path);
  const config = join(folder.path, "config");
  writeFileSync(config, text);
  const { status, stderr } = spawnSync("nginx", ["-t", ...args(config)], { encoding: "utf8" });
  folder.remove();
  return { code: status, output: stderr };
}

function nginxConfiguration(http: string, folder: string): Configuration {
  const kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
  const paths = kinds.map((kind) => `${kind}_temp_path ${join(folder, kind)};`).join("\n");
  // Where the master is root, its workers would be someone who may not write into the folder.
  const user = process.getuid?.() === 0 ? "user root;" : "";
  const log = join(folder, "log");
  const text = `${user} daemon off; pid ${join(folder, "pid")}; error_log ${log};
events {}
http { access_log off; ${paths}
${http} }`;
  return { text, args: (config) => ["-c", config, "-e", log] };
}

/** Starts Caddy with a Caddyfile, and waits until it listens. */
export function startCaddy(text: string, ports: readonly number[]): Promise<RunningProxy> {
  return start("caddy", ports, () => ({
    text,
    args: (config) => ["run", "--adapter", "caddyfile", "--config", config],
  }));
}

interface Configuration {
  readonly text: string;
  readonly args: (config: string) => readonly string[];
}

async function start(
  program: string,
  ports: readonly number[],
  configure: (folder: string) => Configuration,
): Promise<RunningProxy> {
  const folder = temporaryFolder();
  const { text, args } = configure(folder.path);
  const config = join(folder.path, "config");
  writeFileSync(config, text);
  const child: ChildProcess = spawn(program, args(config), {
    stdio: "ignore",
    env: { ...process.env, ...caddyHome(folder.path) },
  });
  await until(
    async () => (await Promise.all(ports.map(isOpen))).every(Boolean),
    `${program} listens`,
  );
  return {
    end: async () => {
      child.kill("SIGTERM");
      if (child.exitCode === null) await once(child, "exit");
      folder.remove();
    },
  };
}

/** Variables by which Caddy keeps its files in a folder. */
export function caddyHome(folder: string): { XDG_DATA_HOME: string; HOME: string } {
  const data = join(folder, "data");
  mkdirSync(data, { recursive: true });
  return { XDG_DATA_HOME: data, HOME: folder };
}

/** Makes a certificate of `localhost` that vouches for itself, and its key, in files of a folder. */
export function newCertificate(folder: string): {
  readonly certificate: string;
  readonly key: string;
} {
  const [certificate, key] = [join(folder, "certificate.pem"), join(folder, "key.pem")];
  const names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"];
  const made = ["-newkey", "rsa:2048", "-nodes", "-days", "90", "-keyout", key];
  execFileSync("openssl", ["req", "-x509", ...made, ...names, "-out", certificate], {
    stdio: "ignore",
  });
  return { certificate, key };
}

function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(port, "127.0.0.1");
    socket.once("connect", () => resolve(true));
    socket.once("error", () => resolve(false));
    socket.once("connect", () => socket.destroy());
  });
}
