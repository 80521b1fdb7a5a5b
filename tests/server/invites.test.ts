/** Invites: a key enters the list of users by a code, and no other key does. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, beforeEach, describe, it } from "node:test";
import { MemoryDriver } from "../../storage/memory.ts";
import { hashOfCode } from "../../sync/invites.ts";
import { temporaryFolder } from "../support/folder.ts";
import {
  addInvite,
  INVITE_COMPONENTS,
  invitedRequest,
  listWithInvite,
} from "../support/invites.ts";
import {
  COMPONENTS,
  type InProcessServer,
  inProcessServer,
  readAnswer,
  SERVER,
  type SigningUser,
  signedHeaders,
  syncBody,
  twoSigningUsers,
} from "../support/signing.ts";
import { newClient } from "../support/users.ts";

const folder = temporaryFolder();
after(() => folder.remove());

let [ada, grace]: SigningUser[] = [];
before(async () => {
  [ada, grace] = await twoSigningUsers();
});

const append = { operation_index: 0, payload: "sealed" };

async function useBy(
  server: InProcessServer,
  user: SigningUser | undefined,
  code: string,
  options: Parameters<typeof invitedRequest>[2] = {},
) {
  assert.ok(user !== undefined);
  const { body, headers } = await invitedRequest(user, code, options);
  const { status, headers: answered, problem } = await server.send(body, headers);
  return { status, headers: answered, problem, type: problem.type, reason: problem.reason };
}

const refused = (reason: string) => [403, "urn:sync-server:invite-refused", reason];

describe("an invite", () => {
  let path: string;
  let code: string;
  let server: InProcessServer;
  let seconds: number;
  /** Whether the server accepts a user. */
  const isIn = async (user: SigningUser | undefined, on = server) => {
    assert.ok(user !== undefined);
    const { status } = await on.signed(user);
    assert.ok(status === 200 || status === 403, String(status));
    return status === 200;
  };
  const start = (settings: Record<string, string> = {}, driver = new MemoryDriver()) =>
    inProcessServer({ USERS: path, ...settings }, driver, { now: () => seconds * 1000 });
  beforeEach(() => {
    path = join(folder.path, newClient());
    seconds = 0;
    code = listWithInvite(path);
    server = start();
  });

  it("admits one key with its first signed request, which the server processes at once", async () => {
    assert.equal(await isIn(ada), false);
    const used = await useBy(server, ada, code, { members: append });
    assert.equal(used.status, 200);
    assert.equal(await isIn(ada), true);
    const { status, type, reason, problem } = await useBy(server, grace, code);
    assert.deepEqual([status, type, reason], refused("used"));
    assert.equal(problem.fingerprint, grace?.fingerprint);
    assert.equal(await isIn(grace), false);
    assert.equal((await useBy(server, ada, code)).status, 200, "it may be sent again");
  });

  it("may be sent as soon as it is made, before the next look at the list", async () => {
    assert.equal(await isIn(ada), false);
    const next = addInvite(path);
    assert.equal((await useBy(server, ada, next)).status, 200);
  });

  it("is known to be used by servers that started before and after, and nothing of it is in the list", async () => {
    const other = start();
    assert.equal(await isIn(ada, other), false);
    assert.equal((await useBy(server, ada, code)).status, 200);
    assert.equal(await isIn(ada, other), true);
    for (const one of [other, start()]) {
      assert.equal(await isIn(ada, one), true);
      assert.equal((await useBy(one, grace, code)).reason, "used");
    }
    const list = readFileSync(path, "utf8");
    assert.ok(!list.includes(code));
    assert.deepEqual(readdirSync(`${path}.invites`), [hashOfCode(code)]);
    const noted = readFileSync(join(`${path}.invites`, hashOfCode(code)), "utf8");
    assert.equal(noted, `${ada?.fingerprint}\n`);
  });

  it("gives its user the quota of its line", async () => {
    const small = addInvite(path, { limits: { bytes: 9000, clients: 1 } });
    server = start({ SIGNATURES: "required" });
    const members = { client_id: newClient(), operation_index: 0, payload: "x".repeat(5000) };
    const { status, problem } = await useBy(server, ada, small, { members });
    assert.deepEqual([status, problem.quota], [507, 9000]);
    assert.equal(await isIn(ada), true, "it stays on the list after the refusal");
    assert.equal((await useBy(server, ada, small, { members: append })).status, 200);
  });

  it("has no effect any more once it has expired, and its user stays", async () => {
    let time = Date.now();
    const restarted = () =>
      inProcessServer({ USERS: path }, new MemoryDriver(), { time: () => time });
    server = restarted();
    assert.equal((await useBy(server, ada, code)).status, 200);
    const unused = addInvite(path);
    server = restarted();
    time += 3_700_000;
    const user = grace ?? assert.fail();
    const body = syncBody(user);
    const headers = await signedHeaders(
      user,
      { url: SERVER, body, fields: { "sync-invite": unused } },
      { components: INVITE_COMPONENTS, created: Math.floor(time / 1000) },
    );
    const { status, problem } = await server.send(body, headers);
    assert.deepEqual([status, problem.type, problem.reason], refused("expired"));
    assert.equal(await isIn(ada), true);
  });

  it("is removed with its line within a second, together with the user who used it", async () => {
    assert.equal((await useBy(server, ada, code)).status, 200);
    writeFileSync(path, "");
    seconds += 1;
    assert.equal(await isIn(ada), false);
    for (const user of [ada, grace]) {
      assert.equal((await useBy(server, user, code)).reason, "unknown");
    }
  });

  it("is not used up by a user who is on the list, nor by a deletion", async () => {
    writeFileSync(path, `${grace?.fingerprint}\n${readFileSync(path, "utf8")}`);
    server = start();
    assert.equal((await useBy(server, grace, code)).status, 200);
    const user = ada ?? assert.fail();
    const body = JSON.stringify({ user: user.base64 });
    const request = { url: SERVER, method: "DELETE", body, fields: { "sync-invite": code } };
    const headers = await signedHeaders(user, request, {
      components: INVITE_COMPONENTS,
    });
    const deletion = await server.send(body, headers, "DELETE");
    assert.equal(deletion.problem.type, "urn:sync-server:user-not-allowed");
    assert.equal((await useBy(server, ada, code)).status, 200);
  });

  it("T-59 is refused in a request that is not signed, or whose signature does not cover it", async () => {
    const user = ada ?? assert.fail();
    const required = '"content-digest" "sync-invite");created';
    const unsigned = await server.send(syncBody(user), {
      "Content-Type": "application/json",
      "Sync-Invite": code,
    });
    assert.deepEqual(
      [unsigned.status, unsigned.problem.type],
      [401, "urn:sync-server:signature-required"],
    );
    assert.ok(unsigned.headers.get("accept-signature")?.includes(required));
    const bare = await useBy(server, user, code, { components: COMPONENTS });
    assert.deepEqual([bare.status, bare.problem.check], [401, "components"]);
    assert.ok(bare.headers.get("accept-signature")?.includes(required));
    const { body, headers } = await invitedRequest(user, "another");
    const swapped = await server.send(body, { ...headers, "sync-invite": code });
    assert.deepEqual([swapped.status, swapped.problem.check], [401, "signature"]);
    assert.equal((await useBy(server, grace, code)).status, 200, "it is still open");
  });

  it("T-59 cannot be guessed: each code counts by network address, before anything is verified", async () => {
    server = inProcessServer({ USERS: path, RATE_LIMIT: "20" }, new MemoryDriver(), {
      now: () => 0,
    });
    const user = ada ?? assert.fail();
    const { body, headers } = await invitedRequest(user, code);
    const from = async (ip: string, guess: string) => {
      const all = { ...headers, "sync-invite": guess };
      const request = new Request(SERVER, { method: "POST", headers: all, body });
      return readAnswer(await server.handler.fetch(Object.assign(request, { ip })));
    };
    for (let i = 0; i < 200; i++) {
      assert.equal((await from("192.0.2.1", `guess-${i}`)).problem.reason, "unknown");
    }
    for (const guess of ["one more", code]) {
      const { status, problem } = await from("192.0.2.1", guess);
      assert.deepEqual([status, problem.type], [429, "urn:sync-server:rate-limited"]);
    }
    assert.equal((await from("192.0.2.2", code)).status, 200);
  });

  it("T-23 is in no line of the log", async () => {
    await useBy(server, ada, code);
    await useBy(server, grace, code);
    await useBy(server, grace, "wrong-code");
    const log = server.log.join("");
    assert.ok(log.length > 0);
    for (const secret of [code, "wrong-code"]) assert.ok(!log.includes(secret));
  });

  it("is unknown where it is empty, or longer than any", async () => {
    for (const other of ["", `${code}x`, "x".repeat(129), "x".repeat(4000)]) {
      assert.deepEqual((await useBy(server, ada, other)).reason, "unknown", `${other.length}`);
    }
  });

  it("is ignored by a server without a list of users", async () => {
    const open = inProcessServer();
    assert.equal((await useBy(open, ada, code)).status, 200);
    assert.equal((await useBy(open, ada, code, { components: COMPONENTS })).status, 200);
    const unsigned = { "Content-Type": "application/json", "Sync-Invite": "none" };
    assert.equal((await open.send(syncBody(grace ?? assert.fail()), unsigned)).status, 200);
  });

  it("admits no key if the server cannot record the use, and the log says so at the start", async () => {
    rmSync(`${path}.invites`, { recursive: true });
    writeFileSync(`${path}.invites`, "in the way");
    server = start();
    assert.match(
      server.log.join(""),
      /invites cannot be used: let the server write to their folder/,
    );
    const { status, type } = await useBy(server, ada, code);
    assert.deepEqual([status, type], [503, "urn:sync-server:storage-unavailable"]);
    assert.match(server.log.join(""), /could not record in .*\.invites which key used an invite/);
    rmSync(`${path}.invites`);
    assert.equal(await isIn(ada), false);
    assert.equal((await useBy(server, ada, code)).status, 200);
  });

  it("stays used if the file with its user is damaged, and the other files are read", async () => {
    const second = addInvite(path);
    const damaged = join(`${path}.invites`, hashOfCode(code));
    server = start();
    writeFileSync(damaged, "nobody\n");
    writeFileSync(join(`${path}.invites`, hashOfCode(second)), `${ada?.fingerprint}\n`);
    assert.equal(await isIn(ada), true);
    assert.match(server.log.join(""), /there is no fingerprint in /);
    assert.equal((await useBy(server, grace, code)).status, 503);
    assert.equal(await isIn(grace), false);
  });
});
