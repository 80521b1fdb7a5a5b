/** Guests where several processes have one list, and where they are killed. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { temporaryFolder } from "../support/folder.ts";
import { sync } from "../support/http.ts";
import { startServer } from "../support/process.ts";
import {
  COMPONENTS,
  newSigningUser,
  type SigningUser,
  signedHeaders,
  syncBody,
} from "../support/signing.ts";

const syncUrl = (url: string) => new URL("/sync", url).href;

/** Sends a request by which a user lets a key in. */
async function letIn(url: string, host: SigningUser, guest: SigningUser) {
  const body = syncBody(host);
  const request = { url: syncUrl(url), body, fields: { "sync-guest": guest.fingerprint } };
  const components = [...COMPONENTS, "sync-guest"];
  return sync(url, body, await signedHeaders(host, request, { components }));
}

async function isIn(url: string, user: SigningUser): Promise<boolean> {
  const body = syncBody(user);
  const { status } = await sync(url, body, await signedHeaders(user, { url: syncUrl(url), body }));
  return status === 200;
}

describe("a guest on several servers with one list", () => {
  it("is accepted by each as soon as one has let it in", async () => {
    const folder = temporaryFolder();
    const path = join(folder.path, "users");
    const [host, ...guests] = await Promise.all(Array.from({ length: 4 }, newSigningUser));
    assert.ok(host !== undefined);
    writeFileSync(path, `${host.fingerprint}\n`);
    const settings = { STORAGE: join(folder.path, "data"), USERS: path };
    const servers = await Promise.all([startServer(settings), startServer(settings)]);
    try {
      const [one, other] = servers;
      for (const guest of guests) {
        assert.equal(await isIn(other.url, guest), false);
        assert.equal((await letIn(one.url, host, guest)).status, 200);
        assert.equal(await isIn(other.url, guest), true);
      }
    } finally {
      await Promise.all(servers.map((server) => server.end("SIGKILL")));
      folder.remove();
    }
  });

  it("stays admitted after the answer, although the server is killed", async () => {
    const folder = temporaryFolder();
    const path = join(folder.path, "users");
    const hosts = await Promise.all(Array.from({ length: 4 }, newSigningUser));
    writeFileSync(path, hosts.map(({ fingerprint }) => `${fingerprint}\n`).join(""));
    const settings = { STORAGE: join(folder.path, "data"), USERS: path };
    let server = await startServer(settings);
    try {
      for (const [i, host] of hosts.entries()) {
        const guest = await newSigningUser();
        // What it answers, or that it does not.
        const answer = letIn(server.url, host, guest).catch(() => undefined);
        await new Promise((resolve) => setTimeout(resolve, 4 * i));
        await server.end("SIGKILL");
        const wasIn = (await answer)?.status === 200;
        server = await startServer(settings);
        const isKnown = await isIn(server.url, guest);
        assert.ok(isKnown || !wasIn, "what was answered is so");
        assert.equal((await letIn(server.url, host, guest)).status, 200, "it can be sent again");
        assert.equal(await isIn(server.url, guest), true);
      }
    } finally {
      await server.end("SIGKILL");
      folder.remove();
    }
  });
});
