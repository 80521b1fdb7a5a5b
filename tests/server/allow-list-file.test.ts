import assert from "node:assert/strict";
import { renameSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, beforeEach, describe, it } from "node:test";
import { AllowListFile } from "../../server/allow-list-file.ts";
import { MemoryDriver } from "../../storage/memory.ts";
import { fingerprintOf } from "../../sync/public-key.ts";
import { InvalidAllowList } from "../../sync/user-limits.ts";
import { temporaryFolder } from "../support/folder.ts";
import { sync } from "../support/http.ts";
import { NO_GUESTS } from "../support/invites.ts";
import { runToEnd, startServer } from "../support/process.ts";
import { inProcessServer, newSigningUser, twoSigningUsers } from "../support/signing.ts";
import { until } from "../support/socket.ts";
import { newClient, newUser } from "../support/users.ts";

const folder = temporaryFolder();
after(() => folder.remove());
const path = join(folder.path, "users");

const [ada, grace, mary] = [newUser(), newUser(), newUser()];
const fingerprint = (user: { base64: string }) => fingerprintOf(user.base64);

/** A file of users, its clock in seconds, and the faults it has reported. */
function usersOf(text: string) {
  let seconds = 0;
  const faults: string[] = [];
  writeFileSync(path, text);
  const users = new AllowListFile({
    path,
    now: () => seconds * 1000,
    time: () => seconds * 1000,
    onFault: ({ message }) => faults.push(message),
    onInviteFault: (reason) => faults.push(reason),
    guests: NO_GUESTS,
  });
  const allowed = async () => {
    const all = [ada, grace, mary];
    const verdicts = await Promise.all(all.map((user) => users.has(fingerprint(user))));
    return all.filter((_, i) => verdicts[i]);
  };
  return {
    faults,
    users,
    allowed,
    /** Who is allowed a second later. */
    later: () => {
      seconds += 1;
      return allowed();
    },
  };
}

describe("the limits in the file of users", () => {
  const limits = (text: string, user = ada) => usersOf(text).users.limitsOf(fingerprint(user));

  it("follow a key in each of its spellings", () => {
    for (const key of [fingerprint(ada), ada.base64, ada.pem.trim()]) {
      assert.deepEqual(limits(`${key} quota=5GiB clients=100 # Ada`), {
        bytes: 5 * 2 ** 30,
        clients: 100,
      });
    }
    assert.deepEqual(limits(`${ada.base64}\tclients=1  quota=0`), { bytes: 0, clients: 1 });
    assert.deepEqual(limits(`${ada.base64}\n${grace.base64} quota=1`), {});
    assert.equal(limits(`${ada.base64} quota=1`, grace), undefined);
  });

  it("are refused where they are wrong, by the number of the line", () => {
    for (const [wrong, fault] of [
      ["quota=much", /line 2: quota= takes a size/],
      ["clients=0", /line 2: clients= takes a whole number from 1 to 5000/],
      ["clients=5001", /line 2: clients=/],
      ["quota=1 quota=2 quota=3", /line 2: neither a fingerprint nor a public key/],
      ["note=x", /line 2: neither a fingerprint nor a public key/],
    ] as const) {
      assert.throws(() => usersOf(`# one\n${ada.base64} ${wrong}\n`), fault);
    }
    assert.throws(() => usersOf("quota=5GiB"), /line 1: neither/);
  });

  it("hold for what the server stores, below and above the settings", async () => {
    const [small, large] = await twoSigningUsers();
    writeFileSync(
      path,
      `${small.fingerprint} quota=9000\n${large.fingerprint} quota=1MiB clients=2\n`,
    );
    const settings = {
      USERS: path,
      QUOTA_BYTES: "20000",
      QUOTA_CLIENTS: "1",
      SIGNATURES: "required",
    };
    const { signed } = inProcessServer(settings);
    const append = async (user: typeof small, payload: string, client = newClient()) => {
      const members = { client_id: client, operation_index: 0, payload };
      const { status, problem } = await signed(user, members);
      return status === 200 ? status : [status, problem.setting, problem.quota];
    };
    assert.deepEqual(await append(small, "x".repeat(5000)), [507, "QUOTA_BYTES", 9000]);
    assert.equal(await append(small, "x".repeat(4000)), 200);
    assert.equal(await append(large, "x".repeat(100_000)), 200);
    assert.equal(await append(large, "second"), 200);
    assert.deepEqual(await append(large, "third"), [507, "QUOTA_CLIENTS", 2]);
  });
});

describe("the file of users", () => {
  const text: [string, string, (typeof ada)[]][] = [
    ["no user when it is empty", "", []],
    ["no user when it has only comments", "# nobody yet\n\n   \n  # or is there\n", []],
    ["a user by fingerprint", fingerprint(ada), [ada]],
    ["a user by a key in base64", ada.base64, [ada]],
    [
      "a user by a key in base64url",
      Buffer.from(ada.base64, "base64").toString("base64url"),
      [ada],
    ],
    ["a user by a key in PEM", ada.pem, [ada]],
    [
      "users with comments behind them",
      `${fingerprint(ada)} # Ada\n${mary.base64}# Mary`,
      [ada, mary],
    ],
    [
      "users between PEM",
      `# x\n${ada.pem}\n${fingerprint(grace)}\n${mary.pem}`,
      [ada, grace, mary],
    ],
    [
      "users in lines as Windows ends them",
      `\ufeff${fingerprint(ada)}\r\n${grace.base64}\r\n`,
      [ada, grace],
    ],
    ["a user twice", `${ada.base64}\n${fingerprint(ada)}\n`, [ada]],
  ];
  for (const [what, content, expected] of text) {
    it(`names ${what}`, async () => assert.deepEqual(await usersOf(content).allowed(), expected));
  }

  it("is refused at the start with the number of every wrong line, and none of its text", () => {
    const lines = [
      "secret",
      fingerprint(ada),
      ada.base64.slice(0, -8),
      "",
      ...ada.pem.replace("MII", "MIJ").trim().split("\n"),
      // 43 characters, of which the last has bits that no fingerprint has.
      `${"A".repeat(42)}B`,
      `${fingerprint(ada)} Ada`,
      "-----BEGIN PUBLIC KEY-----",
    ];
    assert.throws(
      () => usersOf(lines.join("\n")),
      (error) => {
        assert.ok(error instanceof InvalidAllowList);
        const [head, ...faults] = error.message.split("\n");
        assert.equal(head, `USERS=${path}`);
        const numbers = faults.map((fault) => Number(/^line (\d+): /.exec(fault)?.[1]));
        const at = (text: string) => lines.indexOf(text) + 1;
        const wrong = [
          1,
          3,
          5,
          at(`${"A".repeat(42)}B`),
          at(`${fingerprint(ada)} Ada`),
          lines.length,
        ];
        assert.deepEqual(numbers, wrong);
        for (const line of lines) assert.ok(line === "" || !error.message.includes(line), line);
        return true;
      },
    );
  });

  it("is refused at the start when it is missing", () => {
    const now = () => 0;
    const onFault = () => undefined;
    const path = join(folder.path, "missing");
    const missing = { path, now, time: now, onFault, onInviteFault: onFault, guests: NO_GUESTS };
    assert.throws(() => new AllowListFile(missing), /could not read USERS=.*missing.*ENOENT/);
  });

  it("is not blamed for an error in the program", () => {
    const bug = new TypeError("a bug");
    const { now } = Date;
    Date.now = () => {
      throw bug;
    };
    try {
      assert.throws(() => usersOf(""), bug);
    } finally {
      Date.now = now;
    }
  });
});

describe("the file of users, while the server runs", () => {
  let file: ReturnType<typeof usersOf>;
  beforeEach(async () => {
    file = usersOf(fingerprint(ada));
    // A file that was written long ago.
    utimesSync(path, 1, 1);
    assert.deepEqual(await file.later(), [ada]);
  });

  it("is followed when it is overwritten", async () => {
    writeFileSync(path, `${fingerprint(grace)}\n${fingerprint(ada)}`);
    assert.deepEqual(await file.allowed(), [ada], "it is looked at once a second");
    assert.deepEqual(await file.later(), [ada, grace]);
    writeFileSync(path, fingerprint(grace));
    assert.deepEqual(await file.later(), [grace]);
  });

  it("is followed when a file of the same length and age is moved into its place", async () => {
    writeFileSync(`${path}.new`, fingerprint(grace));
    utimesSync(`${path}.new`, 1, 1);
    renameSync(`${path}.new`, path);
    assert.deepEqual(await file.later(), [grace]);
  });

  it("is followed through changes too quick for its times to show them", async () => {
    for (const user of [grace, mary, ada, grace]) {
      writeFileSync(path, fingerprint(user));
      assert.deepEqual(await file.later(), [user]);
    }
  });

  it("allows no user once it is emptied", async () => {
    writeFileSync(path, "");
    assert.deepEqual(await file.later(), []);
    assert.deepEqual(file.faults, []);
  });

  it("keeps the last good list while it is wrong or missing, and reports each change once", async () => {
    writeFileSync(path, `${fingerprint(grace)}\nnonsense`);
    for (let i = 0; i < 3; i++) assert.deepEqual(await file.later(), [ada]);
    assert.equal(file.faults.length, 1);
    assert.match(file.faults[0] ?? "", /^line 2: /m);
    rmSync(path);
    for (let i = 0; i < 3; i++) assert.deepEqual(await file.later(), [ada]);
    assert.equal(file.faults.length, 2);
    assert.match(file.faults[1] ?? "", /ENOENT/);
    writeFileSync(path, fingerprint(grace));
    assert.deepEqual(await file.later(), [grace]);
    rmSync(path);
    assert.deepEqual(await file.later(), [grace]);
    assert.equal(file.faults.length, 3);
  });
});

describe("a server with a file of users", () => {
  it("does not start while the file is wrong, and names the file and the lines", async () => {
    writeFileSync(path, `# users\n${ada.base64}\nprivate matters\n`);
    const { code, stderr } = await runToEnd([], { STORAGE: "memory:", PORT: "0", USERS: path });
    assert.equal(code, 1);
    assert.ok(stderr.startsWith(`USERS=${path}\nline 3: neither a fingerprint nor a public key`));
    assert.ok(!stderr.includes("private matters"));
  });

  it("T-37 accepts the users in the file, and follows it without a restart", async () => {
    writeFileSync(path, ada.pem);
    const server = await startServer({ STORAGE: "memory:", USERS: path });
    const append = { client_id: newClient(), operation_index: 0, payload: "sealed" };
    const send = ({ base64 }: { base64: string }) => sync(server.url, { ...append, user: base64 });
    assert.equal((await send(ada)).status, 200);
    const { status, problem } = await send(grace);
    assert.equal(status, 403);
    assert.equal(problem.type, "urn:sync-server:user-not-allowed");
    assert.equal(problem.fingerprint, fingerprint(grace));

    writeFileSync(`${path}.new`, fingerprint(grace));
    renameSync(`${path}.new`, path);
    await until(async () => (await send(grace)).status === 200);
    assert.equal((await send(ada)).status, 403);
    assert.equal(await server.end("SIGTERM"), 0);
  });

  it("T-32 refuses a user taken off the list, keeps what is stored, and erases it once the user is back", async () => {
    const user = await newSigningUser();
    const replaceFile = (text: string) => {
      writeFileSync(`${path}.new`, text);
      renameSync(`${path}.new`, path);
    };
    const driver = new MemoryDriver();
    let seconds = 0;
    replaceFile(user.fingerprint);
    const server = inProcessServer({ USERS: path }, driver, { now: () => seconds * 1000 });
    assert.equal(
      (await server.signed(user, { operation_index: 0, payload: "sealed" })).status,
      200,
    );
    const stored = await driver.list("");

    replaceFile("# nobody");
    seconds += 1;
    assert.equal((await server.signed(user)).status, 403);
    assert.equal((await server.erase(user)).status, 403);
    assert.deepEqual(await driver.list(""), stored);

    replaceFile(user.fingerprint);
    seconds += 1;
    assert.equal((await server.erase(user)).status, 204);
    assert.match((await driver.list(""))[0]?.name ?? "", /\.erased\./);
  });
});
