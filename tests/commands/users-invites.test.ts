/** `sync-server users`: invites, what has become of them, and how they are taken back. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, beforeEach, describe, it } from "node:test";
import { WrongArgument } from "../../commands/command.ts";
import { users } from "../../commands/users/users.ts";
import { InviteFolder } from "../../server/invite-folder.ts";
import { hashOfCode } from "../../sync/invites.ts";
import { InvalidAllowList } from "../../sync/user-limits.ts";
import { jsonOf, runCommand } from "../support/commands.ts";
import { temporaryFolder } from "../support/folder.ts";
import { addInvite } from "../support/invites.ts";
import { newClient, someFingerprint } from "../support/users.ts";

const folder = temporaryFolder();
after(() => folder.remove());

describe("users invite", () => {
  let path: string;
  beforeEach(() => {
    path = join(folder.path, newClient());
  });
  const change = (words: readonly string[], given: Record<string, string> = {}) =>
    runCommand(users, "", { full: "", file: path, ...given }, words);
  const text = () => readFileSync(path, "utf8");
  const name = (code: string) => `invite=${hashOfCode(code).slice(0, 12)}`;

  it("prints a code once, and stores only its hash, with what the user may store", async () => {
    writeFileSync(path, "# the family\n");
    const given = { quota: "5GiB", clients: "7", expires: "12h", note: "Ada" };
    const before = Date.now();
    const { code: exit, lines } = await change(["invite"], given);
    const [code = "", advice = ""] = lines;
    assert.equal(exit, 0);
    assert.match(code, /^[0-9a-f]{32}$/);
    const line = /^# the family\ninvite=([0-9a-f]{64}) expires=(\S+) quota=5GiB clients=7 # Ada\n$/;
    const [, hash, expires = ""] = line.exec(text()) ?? assert.fail(text());
    assert.equal(hash, hashOfCode(code));
    // The list has whole seconds.
    const off = Date.parse(expires) - (before + 12 * 3600_000);
    assert.ok(off > -1000 && off < 600_000, expires);
    assert.ok(advice.includes(name(code)) && advice.includes(expires));
    assert.notEqual((await change(["invite"])).lines[0], code);
  });

  it("prints as many codes as --count asks for, and nothing else", async () => {
    writeFileSync(path, "# the family\n");
    const { lines } = await change(["invite"], { count: "3", note: "friends", quota: "1MiB" });
    assert.equal(new Set(lines).size, 3);
    const entries = text().split("\n").slice(1, -1);
    assert.deepEqual(
      entries.map((line) => /^invite=(\w+) expires=\S+ quota=1MiB # friends$/.exec(line)?.[1]),
      lines.map(hashOfCode),
    );
    const { objects } = await jsonOf(users, "", { file: path, count: "2" }, ["invite"]);
    assert.deepEqual(
      objects.map(({ code, invite }) => hashOfCode(String(code)) === invite),
      [true, true],
    );
  });

  it("is listed as open, used by a user, or expired", async () => {
    const [open, used] = [addInvite(path, { limits: { bytes: 2 ** 30 } }), addInvite(path)];
    const expired = addInvite(path, { now: Date.now() - 86_400_000 });
    const ada = someFingerprint();
    await new InviteFolder(path).claim(hashOfCode(used), ada);
    const { lines } = await change(["list"]);
    assert.match(lines[0] ?? "", new RegExp(`^${name(open)} open until \\S+Z quota=1GiB$`));
    assert.equal(lines[1], `${name(used)} used by ${ada}`);
    assert.match(lines[2] ?? "", new RegExp(`^${name(expired)} expired \\S+Z$`));
    const short = await runCommand(users, "", { file: path }, ["list"]);
    assert.equal(short.lines[1], `${name(used)} used by ${ada.slice(0, 8)}…`);
    const { objects } = await jsonOf(users, "", { file: path }, ["list"]);
    assert.deepEqual(
      objects.map(({ invite, state, user, quota }) => [invite, state, user, quota]),
      [
        [hashOfCode(open), "open", null, 2 ** 30],
        [hashOfCode(used), "used", ada, null],
        [hashOfCode(expired), "expired", null, null],
      ],
    );
  });

  it("is removed by the beginning of its hash, and the user who used it is removed with it", async () => {
    writeFileSync(path, "# the family\n");
    const [open, used] = [addInvite(path), addInvite(path)];
    const ada = someFingerprint();
    await new InviteFolder(path).claim(hashOfCode(used), ada);
    assert.deepEqual(await change(["remove", name(open)]), {
      code: 0,
      lines: [`${name(open)} removed: its code is worth nothing now`],
    });
    const { lines } = await change(["remove", name(used)]);
    const off = `${name(used)} removed: ${ada}, the key that used it, is off the list; what it has stored stays`;
    assert.deepEqual(lines, [off]);
    assert.equal(text(), "# the family\n");
    const again = await change(["remove", name(used)]);
    assert.deepEqual(again, { code: 1, lines: [`${name(used)} is not listed`] });
  });

  it("is removed when the user who used it is removed", async () => {
    const [used, other] = [addInvite(path), addInvite(path)];
    const ada = someFingerprint();
    await new InviteFolder(path).claim(hashOfCode(used), ada);
    const { code, lines } = await change(["remove", ada]);
    const gone = `${ada} removed, with ${name(used)}, which it has used; what it has stored stays`;
    assert.deepEqual([code, lines], [0, [gone]]);
    assert.ok(!text().includes(hashOfCode(used)) && text().includes(hashOfCode(other)));
    assert.deepEqual(await change(["remove", ada]), { code: 1, lines: [`${ada} is not listed`] });
  });

  it("is what add goes on from, so that a quota can be raised", async () => {
    const used = addInvite(path, { limits: { bytes: 1024, clients: 3 } });
    const ada = someFingerprint();
    await new InviteFolder(path).claim(hashOfCode(used), ada);
    const { lines } = await change(["add", ada], { quota: "2KiB" });
    assert.deepEqual(lines, [`changed: ${ada} quota=2KiB clients=3`]);
    const taken = await change(["remove", name(used)]);
    assert.match(taken.lines[0] ?? "", /, the key that used it, is listed itself, and stays$/);
    assert.equal(text(), `${ada} quota=2KiB clients=3\n`);
  });

  it("refuses what means nothing, and then changes nothing", async () => {
    writeFileSync(path, "");
    const refused: [string[], Record<string, string>][] = [
      [["invite", someFingerprint()], {}],
      [["invite"], { expires: "tomorrow" }],
      [["invite"], { expires: "0s" }],
      [["invite"], { expires: "400d" }],
      [["invite"], { quota: "much" }],
      [["invite"], { yes: "" }],
      [["invite"], { count: "0" }],
      [["invite"], { count: "1000" }],
      [["add", someFingerprint()], { expires: "1d" }],
      [["remove", "invite="], {}],
    ];
    for (const [words, given] of refused) {
      await assert.rejects(change(words, given), WrongArgument, words.join(" "));
    }
    assert.equal(text(), "");
  });

  it("makes the list invalid if its line is malformed, and the error names the line by its number", async () => {
    const hash = hashOfCode("code");
    const expires = "expires=2026-12-31T12:00:00Z";
    for (const [line, fault] of [
      [`invite=${hash.slice(1)} ${expires}`, /^line 2: invite= takes the SHA-256 of a code/],
      [`invite=${hash}`, /^line 2: an invite needs expires=/],
      [`invite=${hash} expires=2026-12-31`, /^line 2: expires= takes a time such as/],
      [`invite=${hash} expires=2026-13-31T12:00:00Z`, /^line 2: expires= takes a time such as/],
      [`invite=${hash} ${expires} quota=much`, /^line 2: quota= takes a size/],
      [`invite=${hash} ${expires} Ada`, /^line 2: an invite has expires=, quota= and clients=/],
    ] as const) {
      writeFileSync(path, `# a list\n${line}\n`);
      await assert.rejects(change(["list"]), (error) => {
        assert.ok(error instanceof InvalidAllowList);
        assert.match(error.message, fault);
        assert.ok(!error.message.includes(hash));
        return true;
      });
    }
  });
});
