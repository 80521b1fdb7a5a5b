/** What versions before have stored in a folder or a bucket is read by this one. */
import assert from "node:assert/strict";
import { mkdirSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { copy } from "../../commands/copy/copy.ts";
import { usage } from "../../commands/usage.ts";
import { verify } from "../../commands/verify/verify.ts";
import type { Driver } from "../../storage/driver.ts";
import { MemoryDriver } from "../../storage/memory.ts";
import { openStorage } from "../../storage/open.ts";
import { jsonOf, runCommand } from "../support/commands.ts";
import { temporaryFolder } from "../support/folder.ts";
import {
  inProcessServer,
  type SigningUser,
  signingUser,
  signingUserOf,
} from "../support/signing.ts";
import { newClient } from "../support/users.ts";
import { bytes, CLIENT, OTHER, read } from "../vectors/files.ts";

interface Stored {
  /** The private keys of two users, and the public key of one who was erased. */
  readonly users: { readonly log: string; readonly snapshots: string; readonly erased: string };
  readonly files: Readonly<Record<string, string>>;
  /** The lines that each user's new device is answered. */
  readonly answers: { readonly log: readonly unknown[]; readonly snapshots: readonly unknown[] };
}

const { users, files, answers }: Stored = read("stored-0.1.0.json");

describe("what version 0.1.0 has stored", () => {
  const folder = temporaryFolder();
  let log: SigningUser;
  let snapshots: SigningUser;
  let erased: SigningUser;
  before(async () => {
    log = await signingUserOf(bytes(users.log));
    snapshots = await signingUserOf(bytes(users.snapshots));
    erased = signingUser(bytes(users.erased), async () => assert.fail("it does not sign"));
  });
  after(() => folder.remove());

  const restored = (name: string) => {
    const path = join(folder.path, name);
    for (const [file, content] of Object.entries(files)) {
      mkdirSync(dirname(join(path, file)), { recursive: true, mode: 0o700 });
      writeFileSync(join(path, file), bytes(content), { mode: 0o600 });
    }
    return path;
  };

  /** Reads everything as a new device does, and appends. */
  const check = async (driver: Driver, lines = answers.log) => {
    const server = inProcessServer({ COMPACTION: "off" }, driver);
    const linesOf = async (user: SigningUser, members: Record<string, unknown> = {}) => {
      const { status, text } = await server.signed(user, members);
      assert.equal(status, 200, text);
      return text
        .trimEnd()
        .split("\n")
        .map((line): unknown => JSON.parse(line));
    };
    assert.deepEqual(await linesOf(log), lines);
    assert.deepEqual(await linesOf(snapshots, { snapshots: true }), answers.snapshots);
    assert.equal((await server.unsigned(log)).status, 401);
    assert.equal((await server.unsigned(erased)).status, 410);
    const next = { operation_index: lines.length, payload: "by this version" };
    assert.equal((await server.signed(log, { client_id: CLIENT, ...next })).status, 200);
    assert.equal((await linesOf(log)).length, lines.length + 1);
    assert.deepEqual(
      server.log.filter((line) => line.includes('"error"')),
      [],
    );
    await server.handler.stop();
  };

  it("is read from a folder, with the journal that was in use", async () => {
    const driver = await openStorage(restored("data"), (warning) => assert.fail(warning));
    await check(driver);
    await driver.close();
  });

  it("is whole to verify, and copied whole", async () => {
    const [from, to] = [restored("from"), join(folder.path, "to")];
    const { code, lines } = await runCommand(verify, from);
    assert.equal(code, 0, lines.join("\n"));
    assert.equal((await runCommand(copy, from, {}, [from, to])).code, 0);
    const driver = await openStorage(to, (warning) => assert.fail(warning));
    await check(driver);
    await driver.close();
  });

  it("has no time of what is in its journal, and the times of its files", async () => {
    const place = restored("times");
    const { objects } = await jsonOf(usage, place);
    const of = ({ fingerprint }: SigningUser) =>
      objects.find((one) => one.user === fingerprint)?.lastWrite;
    assert.equal(of(log), null);
    const [file = assert.fail()] = Object.keys(files).filter((name) =>
      name.includes(`${snapshots.fingerprint}.${OTHER}.0000000000000006.`),
    );
    const { mtimeMs } = statSync(join(place, file));
    assert.equal(of(snapshots), new Date(Math.round(mtimeMs)).toISOString());
  });

  it("is read from a bucket, where each file is an object of its name", async () => {
    const driver = new MemoryDriver();
    for (const [file, content] of Object.entries(files)) {
      const [, name] = file.split("/");
      if (!file.startsWith(".") && name !== undefined) await driver.put(name, bytes(content));
    }
    await check(driver, answers.log.slice(0, -1));
  });

  it("is answered to a device that has some of it, and refused to an older reader", async () => {
    const driver = await openStorage(restored("partly"));
    const server = inProcessServer({ COMPACTION: "off" }, driver);
    const { text } = await server.signed(log, { sync_status: { [CLIENT]: 5 } });
    assert.equal(text.trimEnd().split("\n").length, 2);
    const { problem } = await server.signed(snapshots, { client_id: newClient() });
    assert.equal(problem.type, "urn:sync-server:snapshot-required");
    await server.handler.stop();
    await driver.close();
  });
});
