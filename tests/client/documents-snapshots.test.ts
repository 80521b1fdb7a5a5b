/** Snapshots of all documents: what a new device begins with, and what is not in them. */
import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import * as fc from "fast-check";
import { entryOf, nameBytes, updateOf } from "../../client/documents/entry.ts";
import { stateOf, updatesIn } from "../../client/documents/state.ts";
import type { DocumentsOptions, SyncDocuments } from "../../client/documents.ts";
import { textOf, utf8 } from "../../client/index.ts";
import { MemoryStore } from "../../client/memory.ts";
import type { Bytes } from "../../protocol/bytes.ts";
import { declareDevices, JoinedTexts, Texts } from "../support/simulated-documents.ts";

/** Joins texts, as `JoinedTexts` does. */
const merge = (updates: readonly Uint8Array[]) => utf8(updates.map((one) => textOf(one)).join("+"));

describe("snapshots of documents", () => {
  const devices = declareDevices();
  let payloads: number;
  beforeEach(() => {
    payloads = 0;
  });

  const open = (options: Partial<DocumentsOptions> = {}) =>
    devices().open({ sign: true, snapshotEvery: 1000, merge, ...options }, async (request) => {
      const response = await devices().fetch(request);
      payloads += Number(response.headers.get("operation-count") ?? 0);
      return response;
    });

  /** Writes updates, each in an operation of its own. */
  async function write(documents: SyncDocuments, name: string, texts: readonly string[]) {
    const document = documents.open(name, new Texts());
    for (const text of texts) {
      document.push(utf8(text));
      await documents.flush();
      await documents.client.sync();
    }
    document.close();
  }

  const texts = Array.from({ length: 80 }, (_, i) => `text ${i}`);

  it("bring a new device all documents, also those that are not open, in few operations", async () => {
    const laptop = await open();
    await write(laptop, "diary", texts);
    await write(laptop, "list", ["milk"]);
    payloads = 0;
    const phone = await open();
    await phone.client.sync();
    assert.ok(payloads < texts.length / 2, `${payloads} operations`);
    assert.deepEqual(phone.names.sort(), ["diary", "list"]);
    const [diary, list] = [new Texts(), new Texts()];
    phone.open("diary", diary);
    phone.open("list", list);
    assert.deepEqual(diary.texts.join("+").split("+").sort(), [...texts].sort());
    assert.deepEqual(list.texts, ["milk"]);
  });

  it("give a device that starts again what it had, offline", async () => {
    const store = new MemoryStore();
    const laptop = await open({ store });
    await write(laptop, "diary", texts);
    await laptop.close();
    devices().isOffline = true;
    const again = await open({ store });
    await again.whenLoaded;
    const diary = new Texts();
    again.open("diary", diary);
    assert.deepEqual(new Set(diary.texts.join("+").split("+")), new Set(texts));
    assert.ok(diary.texts.length < texts.length, "most of them are joined");
  });

  it("keep the updates of a document apart where nothing can join them", async () => {
    const laptop = await open({ merge: undefined });
    await write(laptop, "diary", texts);
    const phone = await open({ merge: undefined });
    await phone.client.sync();
    const diary = new Texts();
    phone.open("diary", diary);
    assert.deepEqual(new Set(diary.texts), new Set(texts));
  });

  it("have the updates of a document apart that the app does not join, by its name", async () => {
    const names: string[] = [];
    const merge: DocumentsOptions["merge"] = (updates, name) => {
      names.push(name);
      return name === "diary" ? utf8(updates.map((update) => textOf(update)).join("+")) : undefined;
    };
    const laptop = await open({ merge });
    for (const name of ["list", "diary"]) await write(laptop, name, texts);
    const phone = await open({ merge });
    await phone.client.sync();
    const [diary, list] = [new Texts(), new Texts()];
    phone.open("diary", diary);
    phone.open("list", list);
    assert.deepEqual(new Set(names), new Set(["list", "diary"]));
    assert.ok(diary.texts.length < texts.length);
    assert.deepEqual(new Set(diary.texts.join("+").split("+")), new Set(texts));
    assert.deepEqual(new Set(list.texts), new Set(texts));
  });

  it("hold as many updates as there are", () => {
    const count = 150_000;
    const entry = entryOf(nameBytes("diary"), utf8("a"));
    assert.equal(updatesIn(stateOf(Array(count).fill(entry))).length, count);
  });

  it("have the state of a document that is open from its handler", async () => {
    const laptop = await open({ merge: undefined });
    class Whole extends JoinedTexts {
      state(): Uint8Array {
        return utf8("the whole diary");
      }
    }
    const document = laptop.open("diary", new Whole());
    for (const text of texts) {
      document.push(utf8(text));
      await laptop.flush();
      await laptop.client.sync();
    }
    const phone = await open();
    const diary = new Texts();
    phone.open("diary", diary);
    await phone.client.sync();
    assert.equal(diary.texts[0], "the whole diary");
  });

  it("are not made where the app has entries of its own in the log", async () => {
    const received: string[] = [];
    const receive: DocumentsOptions["receive"] = (entries) => {
      for (const { data } of entries) received.push(textOf(data));
    };
    const laptop = await open({ receive });
    await laptop.client.append("of the app");
    await write(laptop, "diary", texts);
    payloads = 0;
    await (await open({ receive })).client.sync();
    assert.ok(payloads > texts.length, `${payloads} operations`);
    assert.ok(received.includes("of the app"));
  });

  it("have nothing that is in memory alone, and are made once that is stored", async () => {
    const laptop = await open({ onError: () => undefined });
    let isFull = true;
    const appendAll = laptop.client.appendAll.bind(laptop.client);
    const isUnstored = (data: string | Bytes) => {
      const named = typeof data === "string" ? undefined : updateOf(data);
      return isFull && named !== undefined && textOf(named.update) === "not stored";
    };
    laptop.client.appendAll = async (data, signal) => {
      if (data.some(isUnstored)) throw new RangeError("it is too large");
      return appendAll(data, signal);
    };
    const diary = laptop.open("diary", new Texts());
    const last = laptop.open("list", new Texts());
    last.push(utf8("eggs"));
    await laptop.flush();
    for (const text of texts) {
      diary.push(utf8(text));
      await laptop.flush().catch(() => undefined);
      // It is there whenever a snapshot may be made.
      last.push(utf8("not stored"));
      await laptop.client.sync();
    }
    payloads = 0;
    const phone = await open();
    await phone.client.sync();
    assert.ok(payloads > texts.length, `${payloads} operations`);
    isFull = false;
    await laptop.flush();
    await laptop.client.sync();
    payloads = 0;
    await (await open()).client.sync();
    assert.ok(payloads < texts.length / 2, `${payloads} operations`);
  });

  it("keep the updates apart that `merge` throws for, which is reported", async () => {
    const errors: unknown[] = [];
    const fails = () => {
      throw new Error("it cannot be joined");
    };
    const laptop = await open({ merge: fails, onError: (error) => errors.push(error) });
    await write(laptop, "diary", texts);
    assert.match(String(errors[0]), /"diary".*cannot be joined/);
    const phone = await open();
    await phone.client.sync();
    const diary = new Texts();
    phone.open("diary", diary);
    assert.deepEqual(diary.texts.join("+").split("+").toSorted(), texts.toSorted());
  });

  it("have what the app has made of its entries of an earlier form, and tell which documents they bring", async () => {
    const adopt: DocumentsOptions["adopt"] = ({ data }) => ({ name: "earlier", update: data });
    const laptop = await open({ adopt });
    await laptop.client.append("of the app");
    await write(laptop, "diary", texts);
    payloads = 0;
    const told: string[] = [];
    const phone = await open({
      adopt: () => undefined,
      onUpdates: (updates) => {
        for (const { name, entry } of updates) if (entry === undefined) told.push(name);
      },
    });
    await phone.client.sync();
    assert.ok(payloads < texts.length / 2, `${payloads} operations`);
    assert.deepEqual(told.sort(), ["diary", "earlier"]);
    const earlier = new Texts();
    phone.open("earlier", earlier);
    assert.deepEqual(earlier.texts, ["of the app"]);
  });

  it("hold any updates of any names", async () => {
    const name = fc.string({ minLength: 1, maxLength: 20, unit: "grapheme" });
    const update = fc.uint8Array({ maxLength: 50 });
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(name, update)), async (updates) => {
        const entries = updates.map(([name, update]): Bytes => entryOf(nameBytes(name), update));
        assert.deepEqual(
          updatesIn(stateOf(entries)).map(({ name, update }) => [name, [...update]]),
          updates.map(([name, update]) => [name, [...update]]),
        );
      }),
    );
  });

  it("are refused where they are cut, longer, or of another format", () => {
    const state = stateOf([
      entryOf(nameBytes("a"), utf8("one")),
      entryOf(nameBytes("b"), utf8("")),
    ]);
    for (let length = 0; length < state.length; length++) {
      const isWhole = length === 1 || length === 1 + 4 + 6;
      if (!isWhole) assert.throws(() => updatesIn(state.slice(0, length)), /newer version/);
    }
    assert.throws(() => updatesIn(Uint8Array.of(...state, 0)), /newer version/);
    assert.throws(() => updatesIn(Uint8Array.of(0xf9, ...state.slice(1))), /newer version/);
  });
});
