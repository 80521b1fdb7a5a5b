/** How the notebook keeps what it received: on a device's disk, whatever becomes of the file. */
import assert from "node:assert/strict";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, beforeEach, describe, it } from "node:test";
import type { Cursor, Identity, Operation, OwnClient } from "../../client/index.ts";
import { ReceivedFile } from "../../examples/notebook/cli/received-file.ts";
import { Received } from "../../examples/notebook/received.ts";
import { textOf, utf8 } from "../../protocol/bytes.ts";
import { someCursor } from "../support/cursors.ts";
import { temporaryFolder } from "../support/folder.ts";
import { newIdentity } from "../support/private-keys.ts";

const [A, B] = [crypto.randomUUID(), crypto.randomUUID()];

describe("what the notebook received", () => {
  const folder = temporaryFolder();
  const path = join(folder.path, "received.log");
  let identity: Identity;
  let other: Identity;
  let failures: string[] = [];
  before(async () => {
    identity = await newIdentity();
    other = await newIdentity();
  });
  beforeEach(() => {
    rmSync(path, { recursive: true, force: true });
    failures = [];
  });
  after(() => folder.remove());

  function open(user = identity, own: readonly OwnClient[] = []): Promise<Received> {
    const onFailure = (message: string) => failures.push(message);
    return Received.open(new ReceivedFile(folder.path), { identity: user, own, onFailure });
  }

  /** Delivers the operations of a client from one index to another. */
  function deliver(received: Received, client: string, first: number, last: number): Promise<void> {
    const operations = Array.from({ length: last - first + 1 }, (_, i): Operation => {
      return { client, index: first + i, data: utf8(`${client} ${first + i}`) };
    });
    return received.add(operations, cursorOf(client, last));
  }

  function cursorOf(client: string, index: number): Cursor {
    return someCursor(client, index);
  }

  /** Checks that all operations of each client up to an index are there, with its cursor. */
  function has(received: Received, last: Readonly<Record<string, number>>): void {
    const ends = Object.entries(last);
    assert.deepEqual(
      received.cursors,
      ends.map(([client, index]) => cursorOf(client, index)),
    );
    const expected = ends.flatMap(([client, index]) =>
      Array.from({ length: index + 1 }, (_, i) => `${client} ${i}`),
    );
    const texts = received.operations.map(({ client, index, data }) => {
      assert.equal(textOf(data), `${client} ${index}`);
      return textOf(data);
    });
    assert.deepEqual(texts.sort(), expected.sort());
  }

  /** A key and four rows, of one process. */
  async function fill(): Promise<void> {
    const received = await open();
    await deliver(received, A, 0, 1);
    await deliver(received, B, 0, 0);
    await deliver(received, A, 2, 4);
    await deliver(received, B, 1, 1);
  }

  it("is there for the next process, with the cursors", async () => {
    await fill();
    has(await open(), { [A]: 4, [B]: 1 });
    assert.deepEqual(readdirSync(folder.path), ["received.log"]);
    assert.deepEqual(failures, []);
  });

  /** What is done to the five lines, and what is left of the operations of A and B. */
  const damages: readonly (readonly [
    what: string,
    damage: (lines: string[]) => string,
    a: number,
    b: number,
  ])[] = [
    ["a flipped bit in the last row", (lines) => joined(lines, 4, flipped), 4, 0],
    ["a flipped bit in a row in the middle", (lines) => joined(lines, 2, flipped), 1, -1],
    ["a flipped bit in the key", (lines) => joined(lines, 0, flipped), -1, -1],
    ["a flipped bit in the signature of the key", (lines) => joined(lines, 0, flippedLast), -1, -1],
    ["a torn row at the end", (lines) => lines.join("\n").slice(0, -9), 4, 0],
    ["a torn row before others", (lines) => joined(lines, 3, (row) => row.slice(9)), 1, 0],
    ["a row missing, before others", (lines) => text(lines.toSpliced(1, 1)), -1, 0],
    ["a row twice", (lines) => text(lines.toSpliced(2, 0, lines[1] ?? "")), 4, 1],
    ["a row of something else", (lines) => text([...lines, "\u00ff{}", "x", ""]), 4, 1],
    ["no key", (lines) => text(lines.slice(1)), -1, -1],
    ["nothing in it", () => "", -1, -1],
    ["zeros at the end", (lines) => `${text(lines)}\0\0\0`, 4, 1],
  ];
  for (const [what, damage, a, b] of damages) {
    it(`is a cache that a file with ${what} takes rows from, and nothing else`, async () => {
      await fill();
      const lines = readFileSync(path, "latin1").trimEnd().split("\n");
      assert.equal(lines.length, 5);
      writeFileSync(path, damage(lines), "latin1");
      const received = await open();
      const left = Object.entries({ [A]: a, [B]: b }).filter(([, last]) => last >= 0);
      has(received, Object.fromEntries(left));
      if (a < 4) await deliver(received, A, a + 1, 4);
      if (b < 1) await deliver(received, B, b + 1, 1);
      has(
        await open(),
        received.cursors[0]?.client === B ? { [B]: 1, [A]: 4 } : { [A]: 4, [B]: 1 },
      );
      assert.deepEqual(failures, []);
    });
  }

  it("is begun anew for another user, who reads nothing of it", async () => {
    await fill();
    const received = await open(other);
    has(received, {});
    await deliver(received, A, 0, 0);
    has(await open(other), { [A]: 0 });
    has(await open(), {});
  });

  it("is taken from two processes that write the same at once", async () => {
    const [first, second] = await Promise.all([open(), open()]);
    await Promise.all([deliver(first, A, 0, 3), deliver(second, A, 0, 5)]);
    await deliver(first, A, 4, 7);
    await deliver(second, B, 0, 0);
    has(await open(), { [A]: 7, [B]: 0 });
  });

  it("leaves out operations before which some are missing, to be delivered again", async () => {
    const received = await open();
    await deliver(received, A, 1, 2);
    await deliver(received, B, 0, 0);
    await deliver(received, B, 2, 2);
    const [first, third] = [0, 2].map((index) => ({
      client: A,
      index,
      data: utf8(`${A} ${index}`),
    }));
    assert.ok(first !== undefined && third !== undefined);
    await received.add([first, third], cursorOf(A, 2));
    await received.add([first], cursorOf(A, 1));
    has(await open(), { [B]: 0 });
  });

  it("leaves the client ids of this installation to its store", async () => {
    await fill();
    const own = [{ client: A, length: 2, acknowledged: 2, highWater: 2 }];
    has(await open(identity, own), { [B]: 1 });
    has(await open(), { [A]: 4, [B]: 1 });
  });

  it("reports once that it cannot be written, keeps what there is, and goes on", async () => {
    await fill();
    const received = await open();
    const whole = readFileSync(path);
    rmSync(path);
    mkdirSync(path);
    await deliver(received, A, 5, 5);
    await deliver(received, A, 6, 6);
    has(received, { [A]: 4, [B]: 1 });
    has(await open(), {});
    assert.equal(failures.length, 2, "one of each process");
    for (const failure of failures) assert.match(failure, /are not kept here, .* again.*EISDIR/);
    rmSync(path, { recursive: true });
    writeFileSync(path, whole);
    has(await open(), { [A]: 4, [B]: 1 });
  });

  it("is deleted, and nothing more is kept", async () => {
    await fill();
    const received = await open();
    await received.clear();
    await deliver(received, A, 5, 5);
    assert.deepEqual(readdirSync(folder.path), []);
  });
});

function text(lines: readonly string[]): string {
  return `${lines.join("\n")}\n`;
}

/** The lines with one changed. */
function joined(lines: readonly string[], at: number, change: (line: string) => string): string {
  return text(lines.map((line, i) => (i === at ? change(line) : line)));
}

function flipped(row: string): string {
  return `${row.slice(0, 20)}${row[20] === "A" ? "B" : "A"}${row.slice(21)}`;
}

function flippedLast(row: string): string {
  return `${row.slice(0, -20)}${row.at(-20) === "A" ? "B" : "A"}${row.slice(-19)}`;
}
