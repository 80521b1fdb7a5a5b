/** Addresses at which there is no Redis, or one that wants a password or TLS. */
import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import { once } from "node:events";
import net from "node:net";
import { join as joinPath } from "node:path";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";
import { openCluster } from "../../cluster/open.ts";
import { temporaryFolder } from "../support/folder.ts";
import { portOf } from "../support/ports.ts";
import { commandFor, projectFolder } from "../support/process.ts";
import { hasRedis, type Redis, skipRedis, startRedis } from "../support/redis.ts";
import { until } from "../support/socket.ts";
import { closeAll, join } from "./servers.ts";

const PASSWORD = "pass word:/@?é";
const WRONG = "another/password";

/** Why a cluster cannot be opened. It is tried for longer until the reason is one that is expected. */
async function refusal(url: string, expected: RegExp): Promise<string> {
  for (let joinWithin = 300; ; joinWithin *= 2) {
    const options = { ttl: 30_000, joinWithin, onChange: () => undefined };
    const text = await openCluster(url, options).then(
      async (cluster) => {
        await cluster.close();
        return "it can be opened";
      },
      (error: Error) => `${error.name}: ${error.message}`,
    );
    if (joinWithin < 20_000 && !expected.test(text)) continue;
    assert.match(text, expected);
    return text;
  }
}

/** A server on loopback that says one thing to whatever it is asked. Closes once all have hung up. */
async function saying(text: string): Promise<{ port: number; close: () => Promise<void> }> {
  const sockets = new Set<net.Socket>();
  const server = net.createServer((socket) => {
    sockets.add(socket.on("close", () => sockets.delete(socket)));
    socket.on("error", () => undefined);
    socket.on("data", () => socket.write(text));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const close = async () => {
    server.close();
    try {
      await until(() => sockets.size === 0, "all connections are closed");
    } finally {
      for (const socket of sockets) socket.destroy();
    }
  };
  return { port: portOf(server), close };
}

describe("a cluster that cannot be opened", () => {
  it("says that nothing listens there, and what to do", async () => {
    const text = await refusal(
      `redis://:${encodeURIComponent(PASSWORD)}@127.0.0.1:1`,
      /^ClusterUnavailable: CLUSTER cannot be reached: .*refused.*\. Start Redis at this address, or unset/i,
    );
    assert.ok(!text.includes(PASSWORD) && !text.includes(encodeURIComponent(PASSWORD)));
  });

  it("says that what listens there does not answer", async () => {
    const { port, close } = await saying("");
    await refusal(`redis://127.0.0.1:${port}`, /cannot be reached: .*answer/);
    await close();
  });

  it("leaves no connection behind, whenever it is given up", async () => {
    const { port, close } = await saying("");
    for (let joinWithin = 0; joinWithin < 20; joinWithin++) {
      const options = { ttl: 30_000, joinWithin, onChange: () => undefined };
      await assert.rejects(openCluster(`redis://127.0.0.1:${port}`, options));
    }
    await close();
  });

  it("says that Redis is too old, without the password that this repeats", async () => {
    // What a Redis says that does not know HELLO.
    const said = `-ERR unknown command 'HELLO', with args beginning with: '3' 'AUTH' 'default' '${PASSWORD}'\r\n`;
    const { port, close } = await saying(said);
    const text = await refusal(
      `redis://:${encodeURIComponent(PASSWORD)}@127.0.0.1:${port}`,
      /unknown command 'HELLO'/,
    );
    assert.ok(!text.includes(PASSWORD));
    await close();
  });
});

if (!hasRedis) skipRedis();

describe("a Redis with a password", { skip: !hasRedis }, () => {
  let redis: Redis;
  const url = (port: number, password: string) =>
    `redis://:${encodeURIComponent(password)}@127.0.0.1:${port}/3`;
  before(async () => {
    redis = await startRedis({
      args: ["--requirepass", PASSWORD],
      url: (port) => url(port, PASSWORD),
    });
  });
  after(async () => {
    await closeAll();
    await redis.remove();
  });

  it("is opened with it, in the database of the address", async () => {
    const { version } = await join(redis.url);
    await version("log");
    const keys = await redis.command("KEYS", "*:v:log");
    assert.deepEqual(keys, ["{sync-server:3}:v:log"]);
  });

  it("is not opened with another one or with none, and the reason repeats neither", async () => {
    const wrong = await refusal(url(redis.port, WRONG), /WRONGPASS/);
    for (const one of [PASSWORD, WRONG]) {
      assert.ok(!wrong.includes(one) && !wrong.includes(encodeURIComponent(one)));
    }
    await refusal(`redis://127.0.0.1:${redis.port}`, /NOAUTH/);
  });
});

describe("a Redis with TLS", { skip: !hasRedis }, () => {
  const folder = temporaryFolder();
  const file = (name: string) => joinPath(folder.path, name);
  let redis: Redis;
  /** Makes a certificate, with its key beside it. */
  const certify = (name: string, ...more: string[]) => {
    const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
    const files = ["-keyout", file(`${name}.key`), "-out", file(name), "-subj", `/CN=${name}`];
    execFileSync("openssl", ["req", "-x509", ...curve, ...files, ...more], { stdio: "ignore" });
  };
  before(async () => {
    certify("authority");
    const isServer = ["subjectAltName=IP:127.0.0.1", "basicConstraints=critical,CA:FALSE"];
    const by = ["-CA", file("authority"), "-CAkey", file("authority.key")];
    certify("redis", ...isServer.flatMap((extension) => ["-addext", extension]), ...by);
    const files = ["--tls-cert-file", file("redis"), "--tls-key-file", file("redis.key")];
    const tls = [...files, "--tls-ca-cert-file", file("authority"), "--tls-auth-clients", "no"];
    redis = await startRedis({
      listen: (port) => ["--port", "0", "--tls-port", `${port}`, ...tls],
      url: (port) => `rediss://127.0.0.1:${port}`,
    });
  });
  after(async () => {
    await redis.remove();
    folder.remove();
  });

  it("is opened where its certificate is trusted", async () => {
    const [command, ...args] = commandFor("tests/support/cluster-process.ts");
    const { stdout } = await promisify(execFile)(command, [...args, redis.url], {
      cwd: projectFolder,
      env: { ...process.env, NODE_EXTRA_CA_CERTS: file("authority") },
    });
    assert.equal(stdout, "over TLS\n");
  });

  it("is not opened where it is not trusted, and the reason says so", async () => {
    await refusal(redis.url, /certificate/i);
  });
});
