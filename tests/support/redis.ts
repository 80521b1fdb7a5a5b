import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import net from "node:net";
import { it } from "node:test";
import { createClient } from "@redis/client";
import { temporaryFolder } from "./folder.ts";
import { freePort, portOf } from "./ports.ts";
import { until } from "./socket.ts";

const PROGRAM = "redis-server";

export const hasRedis = spawnSync(PROGRAM, ["--version"]).error === undefined;

/** Says in the results that the tests with Redis were skipped, and how to get them. */
export function skipRedis(): void {
  const how = "Debian's package redis-server has it";
  it(`the tests with Redis are skipped, because ${PROGRAM} is not in PATH: ${how}`, { skip: true });
}

/** For a test that is not about how long Redis takes: a busy machine may not fail it. */
export const PATIENT = { replyWithin: 30_000, joinWithin: 60_000 };

/** A Redis of the test's own, on loopback, which the test may pause, kill and start again. */
export interface Redis {
  readonly port: number;
  readonly url: string;
  /** Where it keeps what it saves. */
  readonly folder: string;
  /** Runs a command, on a separate connection. */
  readonly command: (...args: string[]) => Promise<unknown>;
  readonly signal: (signal: NodeJS.Signals) => void;
  /** Kills it, and waits for its end. */
  readonly kill: () => Promise<void>;
  /** Starts it again at the same port, with what it has saved. */
  readonly restart: () => Promise<void>;
  /** Kills it, and removes what it has kept. */
  readonly remove: () => Promise<void>;
}

export interface RedisOptions {
  /** What its command line has beyond its port and folder. */
  readonly args?: readonly string[];
  /** How it is said where to listen. */
  readonly listen?: (port: number) => readonly string[];
  readonly url?: (port: number) => string;
}

/** Starts Redis without persistence: it keeps what it is told to save. */
export async function startRedis({
  args = [],
  listen = (port) => ["--port", `${port}`],
  url = (port) => `redis://127.0.0.1:${port}`,
}: RedisOptions = {}): Promise<Redis> {
  const folder = temporaryFolder();
  const port = await freePort();
  let child: ChildProcess;
  const start = async () => {
    const options = ["--bind", "127.0.0.1", "--dir", folder.path, "--save", ""];
    child = spawn(PROGRAM, [...listen(port), ...options, ...args], {
      stdio: ["ignore", "pipe", "ignore"],
    });
    let output = "";
    child.stdout?.on("data", (data) => {
      output += data;
    });
    // A test that fails leaves none behind.
    const started = child;
    const kill = () => started.kill("SIGKILL");
    process.once("exit", kill);
    child.once("exit", () => process.off("exit", kill));
    await until(() => output.includes("Ready to accept connections"), "Redis accepts connections");
  };
  const signal = (name: NodeJS.Signals) => {
    process.kill(child.pid ?? 0, name);
  };
  const kill = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    signal("SIGKILL");
    await ended;
  };
  await start();
  return {
    port,
    url: url(port),
    folder: folder.path,
    command: (...command) => commandOf(url(port), command),
    signal,
    kill,
    restart: start,
    remove: async () => {
      await kill();
      folder.remove();
    },
  };
}

async function commandOf(url: string, command: string[]): Promise<unknown> {
  const client = createClient({ url, socket: { reconnectStrategy: false } });
  client.on("error", () => undefined);
  await client.connect();
  try {
    return await client.sendCommand(command);
  } finally {
    client.destroy();
  }
}

/** A way to a port that a test can slow down and cut. */
export interface Path {
  readonly url: string;
  /** By how many milliseconds what Redis says is delayed. */
  delay: number;
  /** Ends all connections, and accepts no other until `open`. */
  readonly cut: () => void;
  readonly open: () => void;
  readonly close: () => Promise<void>;
}

export async function openPath(port: number): Promise<Path> {
  const sockets = new Set<net.Socket>();
  let isOpen = true;
  const server = net.createServer((near) => {
    if (!isOpen) {
      near.destroy();
      return;
    }
    const far = net.connect(port, "127.0.0.1");
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on("error", () => undefined);
      socket.on("close", () => {
        sockets.delete(socket);
        near.destroy();
        far.destroy();
      });
    }
    near.on("data", (data) => far.write(data));
    far.on("data", (data) => {
      if (path.delay === 0) near.write(data);
      else setTimeout(() => near.write(data), path.delay).unref();
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const cut = () => {
    isOpen = false;
    for (const socket of sockets) socket.destroy();
  };
  const path: Path = {
    url: `redis://127.0.0.1:${portOf(server)}`,
    delay: 0,
    cut,
    open: () => {
      isOpen = true;
    },
    close: async () => {
      cut();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return path;
}
