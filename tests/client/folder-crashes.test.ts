/** What a crash or a fault leaves of drafts, and of what was received, in the folder of a device. */
import assert from "node:assert/strict";
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { type FolderDamage, FolderStore } from "../../client/folder.ts";
import { someCursor } from "../support/cursors.ts";
import { temporaryFolder } from "../support/folder.ts";
import { commandFor, projectFolder, runToEnd } from "../support/process.ts";
import { someFingerprint } from "../support/users.ts";

const user = { fingerprint: someFingerprint() };
const CLIENT = "5f0c1a52-7f7e-4d35-a9a5-0d8b8c1d8b11";
const NEXT = "8e1d0c5a-3f0b-4b8e-9d3e-2f6f1f7b9c22";
const OTHER = "3b241101-e2bb-4255-8caf-4136c566a962";

/** A slot with an operation, which is acknowledged, two drafts, and two operations of another client. */
async function makeSlot(path: string): Promise<string> {
  const store = await FolderStore.open(path, user);
  await store.begin(CLIENT);
  await store.append(CLIENT, 0, ["zero"]);
  await store.acknowledge(CLIENT, 1);
  await store.appendDraft(CLIENT, 1, "one");
  await store.appendDraft(CLIENT, 2, "two");
  await store.receive(someCursor(OTHER, 1), ["their-zero", "their-one"]);
  await store.close();
  return join(path, user.fingerprint, "0");
}

/** Opens a store, in which nothing is damaged. */
function open(path: string): Promise<FolderStore> {
  return FolderStore.open(path, user, { onDamaged: ({ reason }) => assert.fail(reason) });
}

/** Opens a store in which something is damaged. */
async function openDamaged(path: string): Promise<{ store: FolderStore; damage: FolderDamage }> {
  const found: FolderDamage[] = [];
  const store = await FolderStore.open(path, user, { onDamaged: (one) => found.push(one) });
  const [damage = assert.fail("it was not reported")] = found;
  assert.equal(found.length, 1);
  return { store, damage };
}

async function inSlot(work: (path: string, slot: string) => Promise<void>): Promise<void> {
  const { path, remove } = temporaryFolder();
  try {
    await work(path, await makeSlot(path));
  } finally {
    remove();
  }
}

describe("the drafts in the folder of a device", () => {
  const torn: readonly [string, string, readonly string[]][] = [
    ["half a draft", "1\none\ntwo\nthr", ["one", "two"]],
    ["zeros", `1\none\ntwo\n${"\0".repeat(64)}\n`, ["one", "two"]],
    ["a first draft that is half", "1\non", []],
    ["a first draft of zeros", `1\n${"\0".repeat(64)}`, []],
    ["no draft", "1\n", []],
    ["a half index", "1", []],
    ["nothing", "", []],
    ["zeros alone", "\0".repeat(64), []],
    ["what became an operation before", "0\ndraft\n", []],
    ["what became an operation before, and half a draft", "0\ndraft\ndra", []],
  ];
  for (const [what, text, drafts] of torn) {
    it(`are those that were whole where a crash left ${what}, and go on`, () =>
      inSlot(async (path, slot) => {
        writeFileSync(join(slot, `${CLIENT}.drafts`), text);
        const store = await open(path);
        assert.deepEqual((await store.load()).drafts, drafts);
        await store.appendDraft(CLIENT, 1 + drafts.length, "next");
        await store.close();
        const again = await open(path);
        assert.deepEqual((await again.load()).drafts, [...drafts, "next"]);
        await again.close();
        assert.equal(
          readFileSync(join(slot, `${CLIENT}.drafts`), "utf8"),
          `${["1", ...drafts, "next"].join("\n")}\n`,
        );
      }));
  }

  it("are gone with their client id, and only its owner can read them", () =>
    inSlot(async (path, slot) => {
      const file = join(slot, `${CLIENT}.drafts`);
      assert.equal(statSync(file).mode & 0o077, 0);
      const store = await open(path);
      await store.move({ from: CLIENT, length: 1, to: NEXT, payloads: ["one-anew"] });
      await store.close();
      const again = await open(path);
      assert.deepEqual((await again.load()).drafts, []);
      await again.close();
      assert.equal(existsSync(file), false);
    }));

  it("are not sent where the operation made of them was acknowledged, and is damaged", () =>
    inSlot(async (path, slot) => {
      const store = await open(path);
      await store.append(CLIENT, 1, ["one-and-two"]);
      await store.acknowledge(CLIENT, 2);
      await store.close();
      writeFileSync(join(slot, `${CLIENT}.log`), "zero\none and two\n");
      const { store: repaired, damage } = await openDamaged(path);
      assert.equal(damage.operations, 1);
      assert.deepEqual(await repaired.read(CLIENT, 0, 10, 1000), ["zero"]);
      await repaired.close();
    }));

  it("go on where a move could not be ended, once it can be", () =>
    inSlot(async (path, slot) => {
      const store = await open(path);
      const taken = join(slot, `${NEXT}.log`);
      mkdirSync(taken);
      // It has happened when the state says so.
      await store.move({ from: CLIENT, length: 1, to: NEXT, payloads: ["one-anew"] });
      await assert.rejects(store.appendDraft(NEXT, 1, "three"));
      await assert.rejects(store.append(CLIENT, 1, ["lost"]));
      rmSync(taken, { recursive: true });
      await store.appendDraft(NEXT, 1, "three");
      await store.close();
      const again = await open(path);
      const { own, drafts } = await again.load();
      assert.deepEqual(
        own.map(({ client, length }) => [client, length]),
        [
          [CLIENT, 1],
          [NEXT, 1],
        ],
      );
      assert.deepEqual(drafts, ["three"]);
      await again.close();
    }));

  const damages: readonly [string, (slot: string) => void, readonly string[]][] = [
    ["the state", (slot) => writeFileSync(join(slot, "state.json"), ""), ["zero", "one", "two"]],
    [
      "a draft",
      (slot) => writeFileSync(join(slot, `${CLIENT}.drafts`), "1\none\nt wo\nthree\n"),
      ["zero", "one"],
    ],
    [
      "the index of the drafts",
      (slot) => writeFileSync(join(slot, `${CLIENT}.drafts`), "x\none\ntwo\n"),
      ["zero"],
    ],
    [
      "the operation before the drafts",
      (slot) => writeFileSync(join(slot, `${CLIENT}.log`), "z ro\n"),
      [],
    ],
  ];
  for (const [what, damage, readable] of damages) {
    it(`become operations, as far as they can be read, where ${what} is damaged`, () =>
      inSlot(async (path, slot) => {
        damage(slot);
        const names = readdirSync(slot).filter((name) => !name.endsWith(".received"));
        const before = names.map((name) => readFileSync(join(slot, name)));
        const { store, damage: reported } = await openDamaged(path);
        assert.equal(reported.operations, readable.length);
        const { own, drafts } = await store.load();
        assert.deepEqual(
          own.map(({ length, acknowledged }) => [length, acknowledged]),
          [
            [readable.length, 0],
            [0, 0],
          ],
        );
        assert.deepEqual(drafts, []);
        assert.deepEqual(await store.read(CLIENT, 0, 10, 1000), readable);
        await store.appendDraft(own[1]?.client ?? "", 0, "next");
        await store.close();
        const again = await open(path);
        assert.deepEqual((await again.load()).drafts, ["next"]);
        await again.close();
        assert.deepEqual(
          names.map((name) => readFileSync(join(reported.folder, name))),
          before,
        );
      }));
  }

  it("become operations once where the repair was cut short after that", () =>
    inSlot(async (path, slot) => {
      writeFileSync(join(slot, "state.json"), "");
      const onDamaged = () => assert.fail("crash");
      await assert.rejects(FolderStore.open(path, user, { onDamaged }), /crash/);
      assert.equal(readFileSync(join(slot, `${CLIENT}.log`), "utf8"), "zero\none\ntwo\n");
      const { store, damage } = await openDamaged(path);
      assert.equal(damage.operations, 3);
      assert.deepEqual(await store.read(CLIENT, 0, 10, 1000), ["zero", "one", "two"]);
      await store.close();
    }));
});

describe("what the folder of a device has of other devices", () => {
  const file = (slot: string) => join(slot, `${OTHER}.received`);
  /** What a store returns of it. */
  const received = async (store: FolderStore) => {
    return (await store.readReceived(OTHER, 0, 1000)).payloads;
  };

  for (const [what, left] of [
    ["a part of a payload", "their-t"],
    ["zeros", "\0".repeat(64)],
    ["payloads that are longer than the next one", `${"x".repeat(40)}\n${"x".repeat(40)}\n`],
  ] as const) {
    it(`does not count ${what} of a write that never ended`, () =>
      inSlot(async (path, slot) => {
        assert.equal(statSync(file(slot)).mode & 0o077, 0);
        appendFileSync(file(slot), left);
        const store = await open(path);
        assert.deepEqual(await received(store), ["their-zero", "their-one"]);
        await store.receive(someCursor(OTHER, 2), ["their-two"]);
        assert.deepEqual(await received(store), ["their-zero", "their-one", "their-two"]);
        await store.close();
        const again = await open(path);
        await again.receive(someCursor(OTHER, 3), ["their-three"]);
        assert.deepEqual((await received(again)).slice(1), [
          "their-one",
          "their-two",
          "their-three",
        ]);
        await again.close();
      }));
  }

  it("is removed where the state does not name it", () =>
    inSlot(async (path, slot) => {
      const store = await open(path);
      await store.forget(OTHER, undefined);
      await store.close();
      assert.ok(existsSync(file(slot)));
      await (await open(path)).close();
      assert.equal(existsSync(file(slot)), false);
    }));

  for (const [what, lose] of [
    ["has lost its end", (slot: string) => truncateSync(file(slot), 12)],
    ["is missing", (slot: string) => rmSync(file(slot))],
  ] as const) {
    it(`is received again where its file ${what}, and what was created here is sent again`, () =>
      inSlot(async (path, slot) => {
        lose(slot);
        const { store, damage } = await openDamaged(path);
        assert.equal(damage.operations, 3);
        const { cursors, own } = await store.load();
        assert.deepEqual([cursors, own[0]?.length, own[0]?.acknowledged], [[], 3, 0]);
        assert.deepEqual(await received(store), []);
        await store.receive(someCursor(OTHER, 0), ["their-zero"]);
        await store.close();
        const again = await open(path);
        assert.deepEqual(await received(again), ["their-zero"]);
        await again.close();
      }));
  }

  it("that has lost its end while it is open is not read as something else", () =>
    inSlot(async (path, slot) => {
      const store = await open(path);
      for (const length of [20, 12, 3, 0]) {
        truncateSync(file(slot), length);
        await assert.rejects(received(store), { name: "StoreDamaged" });
      }
      await store.close();
    }));

  it("does not count where the disk takes a part of it", async () => {
    const { path, remove } = temporaryFolder();
    try {
      const file = join("tests", "support", "receive-process.ts");
      // 64 KiB; a write that begins below is cut there.
      const limited = 'trap "" XFSZ; ulimit -f 64; exec "$@"';
      const program = {
        command: ["bash", "-c", limited, "bash", ...commandFor(file)],
        folder: projectFolder,
      } as const;
      const args = [path, user.fingerprint, OTHER, "100000"];
      const { code, stdout, stderr } = await runToEnd(args, {}, program);
      assert.equal(code, 0, stderr);
      const payloads = ["c2VhbGVk", "c2VhbGVkLXRvbw"];
      assert.deepEqual(JSON.parse(stdout), { failed: true, payloads });
    } finally {
      remove();
    }
  });
});

describe("the snapshot in the folder of a device", () => {
  const files = (slot: string) => readdirSync(slot).filter((name) => name.endsWith(".snapshot"));
  const snapshot = (index: number) => ({ client: OTHER, index, payload: `state-${index}` });

  it("is one file, whatever a crash has left of others", async () => {
    await inSlot(async (path, slot) => {
      const store = await open(path);
      await store.keepSnapshot(snapshot(1), true);
      await store.keepSnapshot(snapshot(2), false);
      assert.equal(files(slot).length, 1);
      await store.close();
      writeFileSync(join(slot, `${CLIENT}.snapshot`), "never recorded");
      const again = await open(path);
      assert.equal(files(slot).length, 1);
      assert.equal(await again.readSnapshot(), "state-2");
      await again.keepSnapshot(undefined, true);
      assert.deepEqual(files(slot), []);
      await again.close();
    });
  });

  it("is damaged where its file is gone, and another one takes its place", async () => {
    await inSlot(async (path, slot) => {
      const store = await open(path);
      await store.keepSnapshot(snapshot(1), true);
      await store.close();
      for (const name of files(slot)) rmSync(join(slot, name));
      const again = await open(path);
      await assert.rejects(again.readSnapshot(), { name: "StoreDamaged" });
      await again.keepSnapshot(snapshot(2), true);
      assert.equal(await again.readSnapshot(), "state-2");
      await again.close();
    });
  });
});
