/** The Redis by which the measured servers are a cluster. */
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import net from "node:net";
import { type Launched, launchProgram, MeasuredProcess } from "./process.ts";

const PROGRAM = "redis-server";

/** Whether it is installed. */
export function hasRedis(): boolean {
  return spawnSync(PROGRAM, ["--version"]).error === undefined;
}

/** Starts Redis on a free port of loopback, without persistence. */
export async function startRedis(): Promise<RedisProcess> {
  const port = await freePort();
  const launched = await launchProgram({
    name: PROGRAM,
    command: [PROGRAM, "--bind", "127.0.0.1", "--port", String(port), "--save", ""],
    ready: /Ready to accept connections/,
  });
  return new RedisProcess(launched, port);
}

export class RedisProcess extends MeasuredProcess {
  /** What servers have in CLUSTER. */
  readonly url: string;

  constructor(launched: Launched, port: number) {
    super(launched);
    this.url = `redis://127.0.0.1:${port}`;
  }
}

async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("it has no port");
  server.close();
  await once(server, "close");
  return address.port;
}
