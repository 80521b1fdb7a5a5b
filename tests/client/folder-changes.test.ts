/** What the folder of a device records between two saved states, and what a crash leaves of that. */
import assert from "node:assert/strict";
import {
  appendFileSync,
  cpSync,
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
import { FolderStore } from "../../client/folder.ts";
import type { Cursor, Store } from "../../client/index.ts";
import { someCursor } from "../support/cursors.ts";
import { temporaryFolder } from "../support/folder.ts";
import { sharedPositions } from "../support/share.ts";
import { newClient, someFingerprint } from "../support/users.ts";

const user = { fingerprint: someFingerprint() };
const CLIENT = "5f0c1a52-7f7e-4d35-a9a5-0d8b8c1d8b11";
const B = "8e1d0c5a-3f0b-4b8e-9d3e-2f6f1f7b9c22";
const C = "3b241101-e2bb-4255-8caf-4136c566a962";

/** What is in a store. */
async function contentsOf(store: Store) {
  const { own, cursors, starts } = await store.load();
  const received: Record<string, unknown> = {};
  for (const { client } of cursors)
    received[client] = await store.readReceived(client, 0, Infinity);
  const inOrder = [...cursors].sort((one, other) => (one.client < other.client ? -1 : 1));
  return { own, cursors: inOrder, starts, received };
}

/** The steps of a device: each is a change that is recorded. */
const STEPS: readonly ((store: Store) => Promise<void>)[] = [
  (store) => store.receive(someCursor(B, 1), ["b-zero", "b-one"]),
  (store) => store.receive(someCursor(C, 0), ["c-zero"]),
  (store) => store.acknowledge(CLIENT, 2),
  (store) => store.receive(someCursor(B, 2), ["b-two-which-is-longer"]),
  (store) => store.forget(B, undefined),
  (store) => store.receive(someCursor(B, 0), ["b-anew"]),
  (store) => store.acknowledge(CLIENT, 1),
  (store) => store.forget(C, someCursor(C, 4)),
  (store) => store.receive(someCursor(C, 5), ["c-five"]),
  (store) => store.receive({ ...someCursor(C, 5), heads: [] }, []),
];

/** So much is durable in its own file, and not recorded a second time. */
const LARGE = "x".repeat(300_000);

/** Small and large ones of a client id, by turns. */
const LARGE_STEPS: typeof STEPS = [
  (store) => store.receive(someCursor(B, 0), ["b-zero"]),
  (store) => store.receive(someCursor(B, 2), ["b-one", LARGE]),
  (store) => store.receive(someCursor(B, 3), ["b-three"]),
  (store) => store.receive(someCursor(B, 4), [LARGE]),
  (store) => store.receive(someCursor(B, 5), ["b-five"]),
  (store) => store.forget(B, someCursor(B, 1)),
  (store) => store.receive(someCursor(B, 2), ["b-two-anew"]),
  (store) => store.receive(someCursor(B, 3), [LARGE]),
];

/** A folder in which each step has left a copy, as a crash would. */
async function inCopies(
  work: (copies: readonly { path: string; slot: string; contents: unknown }[]) => Promise<void>,
  steps = STEPS,
): Promise<void> {
  const { path, remove } = temporaryFolder();
  try {
    const origin = join(path, "origin");
    const store = await FolderStore.open(origin, user);
    await store.begin(CLIENT);
    await store.append(CLIENT, 0, ["zero", "one"]);
    const copies = [];
    for (const [i, step] of steps.entries()) {
      await step(store);
      const copy = join(path, `${i}`);
      copyCrashed(origin, copy);
      const slot = join(copy, user.fingerprint, "0");
      copies.push({ path: copy, slot, contents: await contentsOf(store) });
    }
    await store.close();
    await work(copies);
  } finally {
    remove();
  }
}

/** Copies a folder as a crash leaves it: without a process that has it locked. */
function copyCrashed(from: string, to: string): void {
  cpSync(from, to, { recursive: true, filter: (name) => !/claim\./.test(name) });
}

/** Opens a store, in which nothing is damaged. */
function open(path: string): Promise<FolderStore> {
  return FolderStore.open(path, user, { onDamaged: ({ reason }) => assert.fail(reason) });
}

/** The file that has the changes of a slot. */
function changesIn(slot: string): string {
  const [name = assert.fail(), ...more] = readdirSync(slot).filter((one) => /\.changes$/.test(one));
  assert.deepEqual(more, []);
  return join(slot, name);
}

describe("the changes in the folder of a device", () => {
  for (const [what, steps] of [
    ["", STEPS],
    [" where some of them are large", LARGE_STEPS],
  ] as const) {
    it(`are all there after a crash, and after the next start${what}`, () =>
      inCopies(async (copies) => {
        for (const { path, slot, contents } of copies) {
          const store = await open(path);
          assert.deepEqual(await contentsOf(store), contents);
          await store.receive(someCursor(newClient(), 0), ["next"]);
          const now = await contentsOf(store);
          await store.close();
          const again = await open(path);
          assert.deepEqual(await contentsOf(again), now);
          await again.close();
          const left = readdirSync(slot).filter((name) => name.endsWith(".changes"));
          assert.deepEqual(left, [], "a client that is closed leaves its state alone");
        }
      }, steps));
  }

  it("are those before a large one that a crash has cut", () =>
    inCopies(async (copies) => {
      for (const [i, { path, slot }] of copies.entries()) {
        const whole = readFileSync(changesIn(slot));
        const start = whole.lastIndexOf("\n", -2) + 1;
        for (const length of [start, start + 1, whole.length - 1]) {
          const cut = `${path}-${length}`;
          copyCrashed(path, cut);
          truncateSync(changesIn(join(cut, user.fingerprint, "0")), length);
          const store = await open(cut);
          if (i > 0) assert.deepEqual(await contentsOf(store), copies[i - 1]?.contents);
          await store.receive(someCursor(C, 0), [LARGE]);
          const now = await contentsOf(store);
          await store.close();
          const again = await open(cut);
          assert.deepEqual(await contentsOf(again), now);
          await again.close();
        }
      }
    }, LARGE_STEPS));

  it("bring back what a crash has kept from a file behind what was large", () =>
    inCopies(async (copies) => {
      const { path, slot, contents } = copies[4] ?? assert.fail();
      const file = join(slot, `${B}.received`);
      const size = statSync(file).size;
      for (const missing of [1, "b-five\n".length]) {
        const lost = `${path}-${missing}`;
        copyCrashed(path, lost);
        truncateSync(join(lost, user.fingerprint, "0", `${B}.received`), size - missing);
        const store = await open(lost);
        assert.deepEqual(await contentsOf(store), contents);
        await store.close();
      }
      // What was durable before is not written a second time: without it, the slot is damaged.
      truncateSync(file, size - "b-five\n".length - 1);
      const reasons: string[] = [];
      const onDamaged = ({ reason }: { reason: string }) => reasons.push(reason);
      await (await FolderStore.open(path, user, { onDamaged })).close();
      assert.match(reasons.join(), /has lost operations/);
    }, LARGE_STEPS));

  it("are those before the one that a crash has cut, at any byte", () =>
    inCopies(async (copies) => {
      const { path, slot } = copies.at(-1) ?? assert.fail();
      const whole = readFileSync(changesIn(slot));
      const ends = [...whole.entries()].flatMap(([at, byte]) => (byte === 0x0a ? [at + 1] : []));
      assert.equal(ends.length, STEPS.length);
      const begin = ends[0] ?? 0;
      for (const at of sharedPositions(Math.ceil((whole.length - begin) / 97))) {
        const length = begin + at * 97;
        const cut = `${path}-${length}`;
        copyCrashed(path, cut);
        truncateSync(changesIn(join(cut, user.fingerprint, "0")), length);
        const store = await open(cut);
        const steps = ends.filter((end) => end <= length).length;
        assert.deepEqual(await contentsOf(store), copies[steps - 1]?.contents, `${length}`);
        await store.close();
      }
    }));

  for (const [what, left] of [
    ["zeros", "\0".repeat(100)],
    ["zeros with an end", `${"\0".repeat(100)}\n`],
    ["a change of which a part is missing", 'AAAAAAAAAAAAAAAAAAAAAA {"kind":"forgotten"}\n'],
  ] as const) {
    it(`are followed by the next one where a crash left ${what} behind them`, () =>
      inCopies(async (copies) => {
        const { path, slot, contents } = copies.at(-1) ?? assert.fail();
        appendFileSync(changesIn(slot), left);
        const store = await open(path);
        assert.deepEqual(await contentsOf(store), contents);
        await store.acknowledge(CLIENT, 2);
        const crashed = `${path}-crashed`;
        copyCrashed(path, crashed);
        await store.close();
        const again = await open(crashed);
        assert.equal((await again.load()).own[0]?.acknowledged, 2);
        await again.close();
      }));
  }

  it("bring back what a crash has kept from the file of what was received", () =>
    inCopies(async (copies) => {
      const { path, contents } = copies[3] ?? assert.fail();
      const files = (folder: string) => join(folder, user.fingerprint, "0", `${B}.received`);
      for (const [i, lose] of [
        (file: string) => rmSync(file),
        (file: string) => truncateSync(file, 0),
        (file: string) => truncateSync(file, 9),
        (file: string) => writeFileSync(file, "\0".repeat(statSync(file).size)),
      ].entries()) {
        const lost = `${path}-${i}`;
        copyCrashed(path, lost);
        lose(files(lost));
        const store = await open(lost);
        assert.deepEqual(await contentsOf(store), contents);
        await store.close();
        const again = await open(lost);
        assert.deepEqual(await contentsOf(again), contents);
        await again.close();
      }
    }));

  it("are set aside with their slot where one of them is damaged, and others follow", () =>
    inCopies(async (copies) => {
      const { path, slot } = copies.at(-1) ?? assert.fail();
      const file = changesIn(slot);
      const text = readFileSync(file, "utf8");
      writeFileSync(file, text.replace('"count":2', '"count":1'));
      const reasons: string[] = [];
      const onDamaged = ({ reason, folder }: { reason: string; folder: string }) => {
        reasons.push(reason);
        assert.equal(readFileSync(changesIn(folder), "utf8").length, text.length);
      };
      const store = await FolderStore.open(path, user, { onDamaged });
      assert.match(reasons.join(), /change/);
      const { own, cursors } = await store.load();
      assert.deepEqual(
        [own.map(({ length, acknowledged }) => [length, acknowledged]), cursors],
        [
          [
            [2, 0],
            [0, 0],
          ],
          [],
        ],
      );
      await store.close();
      await (await open(path)).close();
    }));

  it("cost the same with any number of client ids: the state is not written for them", async () => {
    const { path, remove } = temporaryFolder();
    try {
      const store = await FolderStore.open(path, user);
      await store.begin(CLIENT);
      await store.append(CLIENT, 0, ["zero", "one"]);
      const slot = join(path, user.fingerprint, "0");
      await store.receive(someCursor(newClient(), 0), ["first"]);
      const state = () => statSync(join(slot, "state.json")).ino;
      const [before, first] = [state(), statSync(changesIn(slot)).size];
      for (let i = 0; i < 100; i++) await store.receive(someCursor(newClient(), 0), ["first"]);
      await store.acknowledge(CLIENT, 1);
      const size = statSync(changesIn(slot)).size;
      assert.equal(state(), before);
      assert.ok(size < first * 102, `${size} bytes, and ${first} for the first`);
      await store.close();
    } finally {
      remove();
    }
  });

  it("end where they are long, and nothing is lost then", async () => {
    const { path, remove } = temporaryFolder();
    try {
      const store = await FolderStore.open(path, user);
      const slot = join(path, user.fingerprint, "0");
      const large = "x".repeat(1024 * 1024);
      for (let index = 0; index < 12; index++) {
        await store.receive(someCursor(B, index), [large]);
        assert.ok(statSync(changesIn(slot)).size < 6 * 1024 * 1024);
      }
      const crashed = join(path, "crashed");
      mkdirSync(crashed);
      copyCrashed(join(path, user.fingerprint), join(crashed, user.fingerprint));
      await store.close();
      const again = await open(crashed);
      for (let index = 0; index < 12; index++) {
        assert.deepEqual((await again.readReceived(B, index, 0)).payloads, [large]);
      }
      await again.close();
    } finally {
      remove();
    }
  });
});

describe("the folder of a device that an earlier version has written", () => {
  /** A slot of version 2, as it was written before there were changes. */
  function writeOld(path: string, cursors: readonly Cursor[]): string {
    const slot = join(path, user.fingerprint, "0");
    mkdirSync(slot, { recursive: true });
    writeFileSync(join(slot, `${CLIENT}.log`), "zero\none\n");
    writeFileSync(join(slot, `${CLIENT}.drafts`), "2\ntwo\n");
    writeFileSync(join(slot, `${B}.received`), "b-zero\nb-one\nnever-ended");
    const received = cursors.map((cursor) => ({ cursor, bytes: 13 }));
    const own = [{ client: CLIENT, acknowledged: 1, highWater: 2 }];
    writeFileSync(join(slot, "state.json"), JSON.stringify({ version: 2, own, received }));
    return slot;
  }

  it("is read, and left alone until something changes", async () => {
    const { path, remove } = temporaryFolder();
    try {
      const slot = writeOld(path, [someCursor(B, 1)]);
      const before = readFileSync(join(slot, "state.json"), "utf8");
      const store = await open(path);
      assert.deepEqual(await store.load(), {
        own: [{ client: CLIENT, length: 2, acknowledged: 1, highWater: 2 }],
        drafts: ["two"],
        cursors: [someCursor(B, 1)],
        starts: [],
      });
      const { payloads } = await store.readReceived(B, 0, 1000);
      assert.deepEqual(payloads, ["b-zero", "b-one"]);
      await store.close();
      assert.equal(readFileSync(join(slot, "state.json"), "utf8"), before);
    } finally {
      remove();
    }
  });

  it("goes on as one of this version, which the earlier one refuses", async () => {
    const { path, remove } = temporaryFolder();
    try {
      const slot = writeOld(path, [someCursor(B, 1)]);
      const store = await open(path);
      await store.receive(someCursor(B, 2), ["b-two"]);
      const { version } = JSON.parse(readFileSync(join(slot, "state.json"), "utf8"));
      assert.equal(version, 3, "before the first change is recorded");
      const crashed = join(path, "crashed");
      mkdirSync(crashed);
      copyCrashed(join(path, user.fingerprint), join(crashed, user.fingerprint));
      await store.close();
      const again = await open(crashed);
      const { payloads } = await again.readReceived(B, 0, 1000);
      assert.deepEqual(payloads, ["b-zero", "b-one", "b-two"]);
      assert.deepEqual((await again.load()).drafts, ["two"]);
      await again.close();
    } finally {
      remove();
    }
  });
});
