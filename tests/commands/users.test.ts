/** `sync-server users`: what it makes of the list, and of what a user has stored. */
import assert from "node:assert/strict";
import {
  chmodSync,
  existsSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { WrongArgument } from "../../commands/command.ts";
import { users } from "../../commands/users/users.ts";
import { parseMarker } from "../../oplog/names.ts";
import { fingerprintOf } from "../../sync/public-key.ts";
import { InvalidAllowList } from "../../sync/user-limits.ts";
import { jsonOf, onEachStorage, runCommand } from "../support/commands.ts";
import { append } from "../support/erasure.ts";
import { temporaryFolder } from "../support/folder.ts";
import { storeEach } from "../support/logs.ts";
import { inProcessServer, newSigningUser } from "../support/signing.ts";
import { newClient, newUser, someFingerprint } from "../support/users.ts";

const folder = temporaryFolder();
after(() => folder.remove());
const path = join(folder.path, "users");
const [ada, grace] = [newUser(), newUser()];
const [adaId, graceId] = [fingerprintOf(ada.base64), fingerprintOf(grace.base64)];

const change = (action: string, user?: string, given: Record<string, string> = {}, file = path) =>
  runCommand(
    users,
    "",
    { full: "", file, ...given },
    user === undefined ? [action] : [action, user],
  );

describe("users", () => {
  it("adds, changes and removes users, and leaves all other lines as they are", async () => {
    const before = `# the family\n${grace.pem.trim()} quota=1MiB # Grace\n\n# others\n`;
    writeFileSync(path, before);
    const added = await change("add", adaId, { quota: "5GiB", note: "Ada" });
    assert.deepEqual(added, { code: 0, lines: [`added: ${adaId} quota=5GiB # Ada`] });
    assert.equal(readFileSync(path, "utf8"), `${before}${adaId} quota=5GiB # Ada\n`);
    const changed = await change("add", adaId, { clients: "3" });
    assert.deepEqual(changed.lines, [`changed: ${adaId} quota=5GiB clients=3 # Ada`]);
    assert.deepEqual((await change("list")).lines, [
      `${graceId} quota=1MiB # Grace`,
      `${adaId} quota=5GiB clients=3 # Ada`,
    ]);
    await change("add", graceId, { quota: "0" });
    const lines = readFileSync(path, "utf8").split("\n");
    assert.deepEqual(lines.slice(0, 4), [
      "# the family",
      `${graceId} quota=0 # Grace`,
      "",
      "# others",
    ]);
    assert.equal((await change("remove", graceId)).code, 0);
    assert.deepEqual(await change("remove", graceId), {
      code: 1,
      lines: [`${graceId} is not listed`],
    });
    assert.equal(
      readFileSync(path, "utf8"),
      `# the family\n\n# others\n${adaId} quota=5GiB clients=3 # Ada\n`,
    );
  });

  it("takes a public key, and a file that has one, and lists as JSON", async () => {
    const file = join(folder.path, "keys");
    await change("add", ada.base64, {}, file);
    const pem = join(folder.path, "public.pem");
    writeFileSync(pem, grace.pem);
    await change("add", pem, { clients: "7" }, file);
    const { objects } = await jsonOf(users, "", { file }, ["list"]);
    assert.deepEqual(objects, [
      { user: adaId, quota: null, clients: null, note: "" },
      { user: graceId, quota: null, clients: 7, note: "" },
    ]);
  });

  it("keeps the mode of the file and a link to it, and leaves nothing beside it", async () => {
    const own = temporaryFolder();
    const [target, link] = [join(own.path, "target"), join(own.path, "link")];
    writeFileSync(target, `${adaId}`);
    chmodSync(target, 0o640);
    symlinkSync(target, link);
    await change("add", graceId, {}, link);
    assert.equal(readFileSync(target, "utf8"), `${adaId}\n${graceId}\n`);
    assert.equal(statSync(target).mode & 0o777, 0o640);
    assert.deepEqual(readdirSync(own.path).sort(), ["link", "target"]);
    own.remove();
  });

  it("changes nothing in a list that is wrong, and refuses what means nothing", async () => {
    const wrong = join(folder.path, "wrong");
    writeFileSync(wrong, "nobody\n");
    await assert.rejects(change("add", adaId, {}, wrong), InvalidAllowList);
    assert.equal(readFileSync(wrong, "utf8"), "nobody\n");
    const refused: [string, string | undefined, Record<string, string>][] = [
      ["lsit", undefined, {}],
      ["list", adaId, {}],
      ["add", undefined, {}],
      ["add", "nobody", {}],
      ["add", adaId, { quota: "much" }],
      ["add", adaId, { clients: "0" }],
      ["add", adaId, { note: "two\nlines" }],
      ["remove", adaId, { quota: "1" }],
      ["erase", adaId, {}],
    ];
    for (const [action, user, given] of refused) {
      await assert.rejects(change(action, user, given), WrongArgument, `${action} ${user}`);
    }
    await assert.rejects(runCommand(users, "", {}, ["list"]), WrongArgument);
    await assert.rejects(runCommand(users, "", {}, ["list"], { USERS: "open" }), WrongArgument);
    assert.equal((await runCommand(users, "", {}, ["list"], { USERS: path })).code, 0);
  });

  it("erases nothing where there is nothing, and makes no storage", async () => {
    const missing = join(folder.path, "missing");
    const given = { yes: "", storage: missing };
    await assert.rejects(change("erase", adaId, given), /could not open the storage/);
    assert.ok(!existsSync(missing));
  });
});

onEachStorage("users erase", ({ newPlace, open }) => {
  it("leaves the tombstone of a user, takes the user off the list, and touches nobody else", async () => {
    const place = newPlace();
    const storage = await open(place);
    const user = await newSigningUser();
    const other = someFingerprint();
    const server = inProcessServer({ LISTING_TTL: "0" }, storage);
    assert.equal((await server.signed(user, append)).status, 200);
    await storeEach(storage, other, newClient(), ["one", "two"]);
    const file = join(folder.path, newClient());
    writeFileSync(file, `${user.fingerprint}\n${other}\n`);
    const given = { yes: "", storage: place };
    const { code, lines } = await change("erase", user.fingerprint, given, file);
    assert.deepEqual([code, lines], [0, [`${user.fingerprint} erased, and is off the list`]]);
    const left = await storage.list(`${user.fingerprint}.`);
    assert.deepEqual(
      left.map(({ name }) => parseMarker(name)?.kind),
      ["erased"],
    );
    assert.equal((await storage.list(`${other}.`)).length, 2);
    assert.equal((await server.signed(user)).status, 410);
    assert.equal(readFileSync(file, "utf8"), `${other}\n`);
    assert.equal(
      (await change("erase", user.fingerprint, given, file)).code,
      0,
      "it may be repeated",
    );
    assert.equal((await storage.list(`${user.fingerprint}.`)).length, 1);
    assert.equal((await change("erase", someFingerprint(), given, file)).code, 1);
    await storage.close();
  });
});
