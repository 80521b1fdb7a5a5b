/** Guests: keys that the server accepts for a short time because a user on the list asks for it. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, beforeEach, describe, it } from "node:test";
import { MemoryDriver } from "../../storage/memory.ts";
import { GUEST_MS, GUESTS_PER_USER } from "../../sync/guests.ts";
import { temporaryFolder } from "../support/folder.ts";
import { addInvite, INVITE_COMPONENTS } from "../support/invites.ts";
import {
  COMPONENTS,
  inProcessServer,
  newSigningUser,
  SERVER,
  type SigningUser,
  signedHeaders,
  syncBody,
} from "../support/signing.ts";
import { until } from "../support/socket.ts";
import { newClient, someFingerprint } from "../support/users.ts";

const folder = temporaryFolder();
after(() => folder.remove());

const GUEST_COMPONENTS = [...COMPONENTS, "sync-guest"];
const HOUR_MS = 60 * 60_000;
const append = (payload = "sealed") => ({
  client_id: newClient(),
  operation_index: 0,
  payload,
});

describe("a guest", () => {
  let [ada, grace, key]: SigningUser[] = [];
  let path: string;
  let time: number;
  let driver: MemoryDriver;
  let server: ReturnType<typeof start>;

  const start = (settings: Record<string, string> = {}, storage = driver) =>
    inProcessServer({ USERS: path, LISTING_TTL: "0", ...settings }, storage, {
      now: () => time,
      time: () => time,
    });
  const list = (...users: readonly (SigningUser | undefined)[]) => {
    writeFileSync(path, users.map((user) => `${user?.fingerprint}\n`).join(""));
    time += 1000;
  };
  /** Sends a request by which a user lets a key in. */
  const letIn = async (
    host: SigningUser | undefined,
    guest: string | undefined,
    {
      on = server,
      fields = {},
      components = GUEST_COMPONENTS,
    }: {
      readonly on?: typeof server;
      readonly fields?: Readonly<Record<string, string>>;
      readonly components?: readonly string[];
    } = {},
  ) => {
    assert.ok(host !== undefined && guest !== undefined);
    const body = syncBody(host);
    const request = { url: SERVER, body, fields: { "sync-guest": guest, ...fields } };
    const created = Math.floor(time / 1000);
    return on.send(body, await signedHeaders(host, request, { components, created }));
  };
  /** How the server answers a key. */
  const answerTo = async (user: SigningUser | undefined, members = {}, on = server) => {
    assert.ok(user !== undefined);
    return (await on.signed(user, members)).status;
  };
  const storedOf = async (user: SigningUser | undefined) =>
    (await driver.list(`${user?.fingerprint}.`)).length;

  before(async () => {
    [ada, grace, key] = await Promise.all([newSigningUser(), newSigningUser(), newSigningUser()]);
  });
  beforeEach(() => {
    path = join(folder.path, newClient());
    time = Date.parse("2026-01-01T12:00:00Z");
    driver = new MemoryDriver();
    list(ada);
    server = start();
  });

  it("is accepted by all servers with the list, for a quarter of an hour, by a signed request of a user", async () => {
    const other = start();
    assert.equal(await answerTo(key), 403);
    assert.equal(await answerTo(key, {}, other), 403);
    assert.equal((await letIn(ada, key?.fingerprint)).status, 200);
    for (const on of [server, other, start()]) {
      assert.equal(await answerTo(key, append(), on), 200);
    }
    time += GUEST_MS - 1;
    assert.equal(await answerTo(key), 200);
    time += 1;
    for (const on of [server, other, start()]) assert.equal(await answerTo(key, {}, on), 403);
  });

  it("is erased by its own request, as a user is", async () => {
    await letIn(ada, key?.fingerprint);
    assert.equal(await answerTo(key, append()), 200);
    assert.equal((await server.erase(key ?? assert.fail())).status, 204);
    assert.equal(await answerTo(key), 410);
  });

  it("ends when its user is taken off the list", async () => {
    await letIn(ada, key?.fingerprint);
    assert.equal(await answerTo(key), 200);
    list(grace);
    assert.equal(await answerTo(key), 403);
  });

  it("T-62 is admitted by a signature that covers it, and not by a user who is not on the list", async () => {
    const user = ada ?? assert.fail();
    const guest = key?.fingerprint ?? "";
    const required = '"content-digest" "sync-guest");created';
    const unsigned = await server.send(syncBody(user), {
      "Content-Type": "application/json",
      "Sync-Guest": guest,
    });
    assert.deepEqual([unsigned.status, unsigned.problem.code], [401, undefined]);
    assert.ok(unsigned.headers.get("accept-signature")?.includes(required));
    const bare = await letIn(ada, guest, { components: COMPONENTS });
    assert.deepEqual([bare.status, bare.problem.check], [401, "components"]);
    assert.ok(bare.headers.get("accept-signature")?.includes(required));
    assert.equal((await letIn(grace, guest)).status, 403);
    assert.equal(await answerTo(key), 403);
    assert.equal((await letIn(ada, grace?.fingerprint)).status, 200);
    assert.equal(await answerTo(grace), 200);
    assert.equal((await letIn(grace, guest)).status, 403, "a guest lets nobody in");
    assert.equal(await answerTo(key), 403);
  });

  it("can be admitted by the request with which its user enters the list", async () => {
    const code = addInvite(path, { now: time });
    const fields = { "sync-invite": code };
    const request = { fields, components: [...INVITE_COMPONENTS, "sync-guest"] };
    const half = await letIn(grace, key?.fingerprint, { fields });
    assert.deepEqual([half.status, half.problem.check], [401, "components"]);
    assert.equal((await letIn(grace, key?.fingerprint, request)).status, 200);
    assert.equal(await answerTo(key), 200);
  });

  it("is named by a fingerprint, and by nothing else", async () => {
    for (const name of ["", "x", "../users", `${key?.fingerprint}x`, "é".repeat(43)]) {
      const { status, problem } = await letIn(ada, name);
      assert.deepEqual([status, problem.type], [400, "urn:sync-server:invalid-request"], name);
    }
  });

  it("is nobody new where it is on the list, or where the server has none", async () => {
    list(ada, key);
    assert.equal((await letIn(ada, key?.fingerprint)).status, 200);
    assert.deepEqual(guestFiles(), []);
    const open = inProcessServer({}, driver, { time: () => time });
    assert.equal((await letIn(ada, "any", { on: open })).status, 200);
    const plain = { "Content-Type": "application/json", "Sync-Guest": "any" };
    const other = await newSigningUser();
    assert.equal((await open.send(syncBody(other), plain)).status, 200);
  });

  it("T-62 stores little, whatever the settings allow", async () => {
    server = start({ SIGNATURES: "required", QUOTA_BYTES: "1GiB" });
    await letIn(ada, key?.fingerprint);
    const user = key ?? assert.fail();
    const large = await server.signed(user, append("x".repeat(65_536)));
    assert.deepEqual([large.status, large.problem.quota], [507, 65_536]);
    assert.equal(await answerTo(key, append("x".repeat(20_000))), 200);
    assert.equal(await answerTo(key, append("x".repeat(20_000))), 200);
    const third = await server.signed(user, append());
    assert.deepEqual([third.status, third.problem.setting], [507, "QUOTA_CLIENTS"]);
  });

  const guestFiles = () => {
    try {
      return readdirSync(`${path}.invites`);
    } catch {
      return [];
    }
  };

  it("T-62 is one of six in an hour for each user, on all servers together, and sent again it counts once", async () => {
    const other = start();
    for (let i = 0; i < GUESTS_PER_USER; i++) {
      const guest = someFingerprint();
      assert.equal((await letIn(ada, guest, { on: i % 2 ? server : other })).status, 200);
      assert.equal((await letIn(ada, guest)).status, 200);
      time += 1000;
    }
    for (const on of [server, other, start()]) {
      const { status, headers, problem } = await letIn(ada, key?.fingerprint, { on });
      assert.deepEqual([status, problem.type], [429, "urn:sync-server:rate-limited"]);
      assert.equal(headers.get("retry-after"), `${3600 - GUESTS_PER_USER}`);
    }
    assert.equal(await answerTo(key), 403);
    time += HOUR_MS - 1000 * GUESTS_PER_USER;
    assert.equal((await letIn(ada, key?.fingerprint)).status, 200);
    assert.equal(await answerTo(key), 200);
  });

  it("T-62 leaves nothing behind once the next one is admitted, an hour later", async () => {
    await letIn(ada, key?.fingerprint);
    assert.equal(await answerTo(key, append()), 200);
    const [erased, listed] = await Promise.all([newSigningUser(), newSigningUser()]);
    await letIn(ada, erased.fingerprint);
    assert.equal(await answerTo(erased, append()), 200);
    assert.equal((await server.erase(erased)).status, 204);
    await letIn(ada, listed.fingerprint);
    assert.equal(await answerTo(listed, append()), 200);
    list(ada, listed);
    assert.equal(await answerTo(listed), 200);
    // The list was changed a second later.
    time += HOUR_MS - 1001;
    await letIn(ada, someFingerprint());
    assert.deepEqual([await storedOf(key), await storedOf(erased)], [2, 1]);
    time += 1;
    const last = someFingerprint();
    await letIn(ada, last);
    await until(() => guestFiles().length === 2);
    assert.deepEqual(
      [await storedOf(key), await storedOf(erased), await storedOf(listed)],
      [0, 0, 2],
    );
    assert.ok(guestFiles().includes(`${last}.guest`));
  });

  it("T-62 is never a key of which something is stored, so that nobody's data is deleted", async () => {
    list(ada, grace);
    assert.equal(await answerTo(grace, append()), 200);
    list(ada);
    const { status, problem } = await letIn(ada, grace?.fingerprint);
    assert.deepEqual([status, problem.type], [400, "urn:sync-server:invalid-request"]);
    assert.match(String(problem.detail), /something is stored here/);
    assert.equal(await answerTo(grace), 403);
    await letIn(ada, key?.fingerprint);
    assert.equal(await answerTo(key, append()), 200);
    assert.equal((await letIn(ada, key?.fingerprint)).status, 200, "it may be sent again");
  });

  it("T-62 is never a key of which another server has just stored something", async () => {
    server = start({ LISTING_TTL: "1h" });
    list(ada, grace);
    // Unsigned, so that it stores nothing.
    const unsigned = { "Content-Type": "application/json" };
    assert.equal((await server.send(syncBody(grace ?? assert.fail()), unsigned)).status, 200);
    assert.equal(await answerTo(grace, append(), start()), 200);
    list(ada);
    assert.equal((await letIn(ada, grace?.fingerprint)).status, 400);
  });

  it("T-62 is never a user whom another server has admitted by an invite", async () => {
    const fields = { "sync-invite": addInvite(path, { now: time }) };
    time += 1000;
    const code = { on: start(), fields, components: [...INVITE_COMPONENTS, "sync-guest"] };
    assert.equal((await letIn(grace, grace?.fingerprint, code)).status, 200);
    assert.equal((await letIn(ada, grace?.fingerprint)).status, 200);
    assert.ok(!guestFiles().includes(`${grace?.fingerprint}.guest`));
  });

  it("T-62 keeps what it has stored where another server has admitted it, although its file came back", async () => {
    await letIn(ada, key?.fingerprint);
    assert.equal(await answerTo(key, append()), 200);
    const file = join(`${path}.invites`, `${key?.fingerprint}.guest`);
    const text = readFileSync(file, "utf8");
    time += 2 * HOUR_MS;
    const fields = { "sync-invite": addInvite(path, { now: time }) };
    const code = { on: start(), fields, components: [...INVITE_COMPONENTS, "sync-guest"] };
    assert.equal((await letIn(key, key?.fingerprint, code)).status, 200);
    await until(() => guestFiles().every((name) => !name.endsWith(".guest")));
    // As a power loss may bring it back.
    writeFileSync(file, text);
    server = start();
    await letIn(ada, someFingerprint());
    await until(() => !guestFiles().includes(`${key?.fingerprint}.guest`));
    assert.equal(await storedOf(key), 2);
  });

  it("T-62 keeps what it has stored as long as the list cannot be read", async () => {
    await letIn(ada, key?.fingerprint);
    assert.equal(await answerTo(key, append()), 200);
    time += 2 * HOUR_MS;
    writeFileSync(path, `${ada?.fingerprint}\n${key?.fingerprint}\nnobody\n`);
    await letIn(ada, someFingerprint());
    await until(() => server.log.join("").includes("what a guest has stored is not deleted yet"));
    assert.equal(await storedOf(key), 2);
    list(ada);
    await letIn(ada, someFingerprint());
    await until(() => !guestFiles().includes(`${key?.fingerprint}.guest`));
    assert.equal(await storedOf(key), 0);
  });

  it("T-62 stores no more where its time ends while its request is answered", async () => {
    let isOver = false;
    const slow = new (class extends MemoryDriver {
      override list(prefix: string) {
        if (isOver) time += GUEST_MS;
        return super.list(prefix);
      }
    })();
    server = start({ SIGNATURES: "required", QUOTA_BYTES: "1GiB" }, slow);
    await letIn(ada, key?.fingerprint);
    isOver = true;
    const { status, problem } = await server.signed(
      key ?? assert.fail(),
      append("x".repeat(65_536)),
    );
    assert.deepEqual([status, problem.quota], [507, 65_536]);
  });

  it("T-62 costs its user a token, also where it is not let in", async () => {
    list(ada, grace);
    assert.equal(await answerTo(grace, append()), 200);
    list(ada);
    server = start({ RATE_LIMIT: "1", RATE_BURST: "4" });
    const answers = [];
    for (let i = 0; i < 4; i++) answers.push(await letIn(ada, grace?.fingerprint));
    assert.deepEqual(
      answers.map(({ status }) => status),
      [400, 400, 400, 429],
    );
    assert.ok(answers.at(-1)?.headers.has("ratelimit"));
  });

  it("keeps what it has stored where it was on the list meanwhile", async () => {
    await letIn(ada, key?.fingerprint);
    assert.equal(await answerTo(key, append()), 200);
    list(ada, key);
    assert.equal(await answerTo(ada), 200);
    await until(() => guestFiles().length === 0);
    list(ada);
    time += 2 * HOUR_MS;
    await letIn(ada, someFingerprint());
    await until(() => guestFiles().length === 1);
    assert.equal(await storedOf(key), 2);
  });

  it("is not admitted if the server cannot record it, and the log says why", async () => {
    writeFileSync(`${path}.invites`, "in the way");
    const { status, problem } = await letIn(ada, key?.fingerprint);
    assert.deepEqual([status, problem.type], [503, "urn:sync-server:storage-unavailable"]);
    assert.match(server.log.join(""), /could not read guests in .*\.invites/);
    rmSync(`${path}.invites`);
    assert.equal(await answerTo(key), 403);
    assert.equal((await letIn(ada, key?.fingerprint)).status, 200);
  });

  it("stays out where its file is damaged, and the others are read", async () => {
    await letIn(ada, key?.fingerprint);
    await letIn(ada, grace?.fingerprint);
    const file = join(`${path}.invites`, `${key?.fingerprint}.guest`);
    assert.equal(readFileSync(file, "utf8"), `${ada?.fingerprint} 2026-01-01T12:15:01.000Z\n`);
    writeFileSync(file, "nobody\n");
    server = start();
    assert.equal(await answerTo(key), 403);
    assert.match(server.log.join(""), /there is no guest in .*: remove it/);
    assert.equal(await answerTo(grace), 200);
  });

  it("T-23 is in the log by the beginning of its fingerprint", async () => {
    await letIn(ada, key?.fingerprint);
    const log = server.log.join("");
    assert.match(log, /a guest was admitted/);
    for (const user of [ada, key]) assert.ok(!log.includes(user?.fingerprint ?? ""));
  });
});
