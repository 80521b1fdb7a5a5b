/** Many named documents in one log: clients at the real handler, with stores in memory. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Deferred } from "../../client/deferred.ts";
import { Echo } from "../../client/documents/echo.ts";
import { entryOf, nameBytes, updateOf } from "../../client/documents/entry.ts";
import {
  DocumentError,
  type DocumentsOptions,
  type SyncDocuments,
} from "../../client/documents.ts";
import { type Entry, textOf, utf8 } from "../../client/index.ts";
import { MemoryStore } from "../../client/memory.ts";
import { declareDevices, JoinedTexts, storeOn, Texts } from "../support/simulated-documents.ts";
import { SimulatedServer } from "../support/simulated-network.ts";
import { until } from "../support/socket.ts";

describe("documents in one log", () => {
  const devices = declareDevices();

  const open = (options?: Partial<DocumentsOptions>) => devices().open(options);

  /** What the log of a device holds. */
  async function entriesOf(documents: SyncDocuments): Promise<Entry[]> {
    const all: Entry[] = [];
    for await (const entries of documents.client.entries()) all.push(...entries);
    return all;
  }

  it("come to another device each under its name, also where nobody has it open", async () => {
    const [laptop, phone] = [await open(), await open()];
    const seen = new Texts();
    phone.open("shopping", seen);
    const shopping = laptop.open("shopping", new Texts());
    const diary = laptop.open("diary", new Texts());
    shopping.push(utf8("milk"));
    diary.push(utf8("rain"));
    shopping.push(utf8("bread"));
    await laptop.flush();
    await laptop.client.sync();
    await phone.client.sync();
    assert.deepEqual(seen.texts, ["milk", "bread"]);
    assert.deepEqual(phone.names.sort(), ["diary", "shopping"]);
    const later = new Texts();
    phone.open("diary", later);
    assert.deepEqual(later.calls, [["rain"]]);
  });

  it("do not give an app its own updates, but the other handlers of the document", async () => {
    const documents = await open();
    const [mine, other] = [new Texts(), new Texts()];
    const document = documents.open("note", mine);
    documents.open("note", other);
    for (const text of ["one", "two"]) {
      document.push(utf8(text));
      await documents.flush();
    }
    await documents.client.sync();
    assert.deepEqual([mine.texts, other.texts], [[], ["one", "two"]]);
    const late = new Texts();
    documents.open("note", late);
    assert.deepEqual(late.texts, ["one", "two"]);
  });

  it("are there again after a restart, without the server, own ones and others' once", async () => {
    const store = new MemoryStore();
    const [laptop, phone] = [await open({ store }), await open()];
    laptop.open("note", new Texts()).push(utf8("by the laptop"));
    phone.open("note", new Texts()).push(utf8("by the phone"));
    for (const one of [phone, laptop, phone]) {
      await one.flush();
      await one.client.sync();
    }
    await laptop.close();
    devices().isOffline = true;
    const again = await open({ store });
    const seen = new Texts();
    again.open("note", seen);
    await again.whenLoaded;
    assert.ok(again.isLoaded);
    assert.deepEqual(seen.texts.sort(), ["by the laptop", "by the phone"]);
    await until(() => again.status.state === "offline", "the server is away");
  });

  it("store the updates of a moment as one entry, where the handler joins them", async () => {
    const documents = await open({ batch: 3600_000 });
    const joined = documents.open("joined", new JoinedTexts());
    const plain = documents.open("plain", new Texts());
    for (const text of ["a", "b", "c"]) {
      joined.push(utf8(text));
      plain.push(utf8(text));
    }
    assert.equal(documents.status.pending, 2);
    await documents.flush();
    const texts = (await entriesOf(documents)).map(({ data }) => {
      const { name, update } = updateOf(data) ?? assert.fail();
      return `${name}: ${textOf(update)}`;
    });
    assert.deepEqual(texts, ["joined: a+b+c", "plain: a", "plain: b", "plain: c"]);
  });

  it("store what was pushed at once, and send what comes within a batch in one operation", async () => {
    const store = new MemoryStore();
    const documents = await open({ batch: 3600_000, store });
    await documents.store("note", utf8("first"));
    await documents.client.sync();
    const document = documents.open("note", new Texts());
    for (const [count, text] of ["a", "b", "c"].entries()) {
      document.push(utf8(text));
      await until(async () => (await store.load()).drafts.length === count + 1, "it is stored");
    }
    assert.deepEqual([documents.status.state, documents.status.pending], ["pending", 3]);
    await documents.client.sync();
    const entries = await entriesOf(documents);
    assert.deepEqual(
      entries.map(({ index, position }) => `${index} ${position}`),
      ["0 0", "1 0", "1 1", "1 2"],
    );
  });

  it("store what was pushed when they are closed", async () => {
    const store = new MemoryStore();
    const first = await open({ batch: 3600_000, store });
    const document = first.open("note", new Texts());
    document.push(utf8("last words"));
    document.close();
    await first.close();
    const seen = new Texts();
    const second = await open({ store });
    second.open("note", seen);
    await second.whenLoaded;
    assert.deepEqual(seen.texts, ["last words"]);
  });

  it("keep what cannot be stored, say so once, and try again", async () => {
    const disk = { isFull: true };
    const store = storeOn(disk);
    const errors: unknown[] = [];
    const documents = await open({ store, onError: (error) => errors.push(error) });
    const document = documents.open("note", new Texts());
    document.push(utf8("kept"));
    await until(() => errors.length > 0, "it is reported");
    assert.ok(errors[0] instanceof DocumentError);
    assert.match(errors[0].message, /"note".*not stored.*the disk is full/);
    assert.deepEqual(errors[0].documents, ["note"]);
    await assert.rejects(documents.flush(), /the disk is full/);
    await until(() => documents.status.state === "refused", "it is not synced");
    assert.equal(documents.status.pending, 1);
    disk.isFull = false;
    document.push(utf8("and more"));
    await documents.flush();
    await documents.client.sync();
    assert.deepEqual(
      (await entriesOf(documents)).map(({ data }) => textOf(updateOf(data)?.update ?? data)),
      ["kept", "and more"],
    );
    assert.equal(documents.status.state, "synced");
    assert.equal(errors.length, 1);
  });

  it("show in the status what is not stored, and why it could not be", async () => {
    const disk = { isFull: true };
    const shown: string[] = [];
    const documents = await open({
      store: storeOn(disk),
      onError: () => undefined,
      onStatus: ({ state, pending, why = "" }) => shown.push(`${state} ${pending} ${why}`),
    });
    await documents.client.sync();
    await until(() => shown.at(-1) === "synced 0 ", "it is synced");
    const document = documents.open("note", new Texts());
    document.push(utf8("kept"));
    assert.equal(shown.at(-1), "pending 1 ");
    await until(() => documents.status.state === "refused", "it is tried");
    assert.match(
      shown.at(-1) ?? "",
      /^refused 1 changes of "note" are not stored.*the disk is full/,
    );
    assert.equal(documents.status.code, "device");
    await documents.client.sync();
    assert.match(shown.at(-1) ?? "", /^refused 1 /, "whatever the client says");
    disk.isFull = false;
    await documents.flush();
    await documents.client.sync();
    await until(() => shown.at(-1) === "synced 0 ", "it is stored and sent");
  });

  it("store an update at once with what was pushed, and keep nothing of one that fails", async () => {
    const disk = { isFull: true };
    const store = storeOn(disk);
    const errors: unknown[] = [];
    const onError = (error: unknown) => errors.push(error);
    const documents = await open({ store, batch: 3600_000, onError });
    const [seen, others] = [new Texts(), new Texts()];
    documents.open("note", seen);
    documents.open("other", others).push(utf8("pushed"));
    await assert.rejects(documents.store("note", utf8("lost")), /^Error: the disk is full$/);
    assert.deepEqual([seen.texts, documents.status.pending], [[], 1]);
    await until(() => errors.length > 0, "what was pushed is tried too");
    disk.isFull = false;
    await documents.store("note", utf8("stored"));
    await documents.client.sync();
    assert.deepEqual([seen.texts, others.texts], [["stored"], []], "each comes once");
    const entries = await entriesOf(documents);
    const text = ({ data }: Entry) => textOf(updateOf(data)?.update ?? data);
    assert.deepEqual(entries.map(text), ["pushed", "stored"]);
    assert.deepEqual(
      entries.map(({ index }) => index),
      [0, 0],
    );
  });

  it("store an update where what was pushed is too large", async () => {
    const server = new SimulatedServer({ MAX_BODY: "64KiB" });
    const options = { batch: 3600_000, onError: () => undefined };
    const documents = await devices().open(options, (request) => server.fetch(request));
    await documents.store("note", utf8("the server says what it takes"));
    await documents.client.sync();
    documents.open("large", new Texts()).push(new Uint8Array(64 * 1024));
    await documents.store("note", utf8("small"));
    await assert.rejects(documents.store("note", new Uint8Array(64 * 1024)), RangeError);
    const names = (await entriesOf(documents)).map(({ data }) => updateOf(data)?.name);
    assert.deepEqual(names, ["note", "note"]);
  });

  it("store the other documents where an update of one is too large", async () => {
    const server = new SimulatedServer({ MAX_BODY: "64KiB" });
    const fetch = (request: Request) => server.fetch(request);
    const documents = await devices().open({ batch: 3600_000, onError: () => undefined }, fetch);
    const other = documents.open("other", new Texts());
    other.push(utf8("the server says what it takes"));
    await documents.flush();
    await documents.client.sync();
    documents.open("large", new Texts()).push(new Uint8Array(64 * 1024));
    other.push(utf8("small"));
    await assert.rejects(
      documents.flush(),
      /DocumentError: changes of "large" are not stored.*too large/,
    );
    const names = (await entriesOf(documents)).map(({ data }) => updateOf(data)?.name);
    assert.deepEqual(names, ["other", "other"]);
  });

  it("report an update that a handler does not take, and hand on what follows", async () => {
    const errors: unknown[] = [];
    const [laptop, phone] = [await open(), await open({ onError: (error) => errors.push(error) })];
    const seen = new Texts();
    phone.open("broken", {
      apply() {
        throw new Error("no such thing");
      },
    });
    phone.open("whole", seen);
    laptop.open("broken", new Texts()).push(utf8("one"));
    laptop.open("whole", new Texts()).push(utf8("two"));
    await laptop.flush();
    await laptop.client.sync();
    await phone.client.sync();
    assert.deepEqual(seen.texts, ["two"]);
    assert.match(
      String(errors),
      /failed on updates of "broken", which stay stored: .*no such thing/,
    );
  });

  it("leave other entries of the log to the app, and say so where it does not take them", async () => {
    const others: string[] = [];
    const errors: unknown[] = [];
    const laptop = await open({
      receive: (entries) => {
        others.push(...entries.map(({ data }) => textOf(data)));
      },
    });
    const phone = await open({ onError: (error) => errors.push(error) });
    await laptop.client.appendAll(["of another kind", "of that kind as well"]);
    await laptop.client.sync();
    await phone.client.sync();
    assert.deepEqual(others, ["of another kind", "of that kind as well"]);
    assert.equal(errors.length, 1);
    assert.match(String(errors), /newer version of the app/);
    assert.deepEqual(phone.names, []);
  });

  it("take entries of an earlier form of the app as updates, where the app makes them of it", async () => {
    const { laptop, phone } = await withEarlierEntries();
    const seen = new Texts();
    phone.open("earlier milk", seen);
    assert.deepEqual(seen.texts, ["milk"]);
    assert.deepEqual(phone.names.sort(), ["earlier bread", "earlier milk"]);
    assert.deepEqual(laptop.names.sort(), ["earlier bread", "earlier milk"]);
  });

  /** Two devices that adopt texts. */
  async function withEarlierEntries() {
    const adopt: DocumentsOptions["adopt"] = ({ data }) => ({
      name: `earlier ${textOf(data)}`,
      update: data,
    });
    const [laptop, phone] = [await open({ adopt }), await open({ adopt })];
    await laptop.client.appendAll(["milk", "bread"]);
    await laptop.client.sync();
    await phone.client.sync();
    return { laptop, phone };
  }

  it("tell an app which ones have changed, with the place of each entry, own ones once they are stored", async () => {
    const told: string[] = [];
    const onUpdates: DocumentsOptions["onUpdates"] = (updates, isOwn) => {
      for (const { name, entry } of updates) {
        told.push(`${isOwn ? "own" : "other"} ${name} ${entry?.index} ${entry?.position}`);
      }
    };
    const [laptop, phone] = [await open({ onUpdates }), await open()];
    const [diary, list] = ["diary", "list"].map((name) => laptop.open(name, new Texts()));
    diary?.push(utf8("rain"));
    assert.deepEqual(told, []);
    list?.push(utf8("milk"));
    await laptop.flush();
    await laptop.client.sync();
    phone.open("diary", new Texts()).push(utf8("sun"));
    await phone.flush();
    await phone.client.sync();
    await laptop.client.sync();
    assert.deepEqual(told, ["own diary 0 0", "own list 0 1", "other diary 0 0"]);
  });

  it("report a change that comes after they are closed", async () => {
    const errors: unknown[] = [];
    const documents = await open({ onError: (error) => errors.push(error) });
    const document = documents.open("note", new Texts());
    await documents.close();
    document.push(utf8("too late"));
    assert.match(String(errors), /"note" are not stored.*closed/);
  });

  it("refuse a name that no entry can have", async () => {
    const documents = await open();
    for (const name of ["", "x".repeat(256), "\ud800"]) {
      assert.throws(() => documents.open(name, new Texts()), /the name of a document/);
    }
    documents.open("é".repeat(127), new Texts());
    const untyped: { open(name: unknown, handler: Texts): unknown } = documents;
    const message = "the name of a document is no well-formed text";
    assert.throws(() => untyped.open(undefined, new Texts()), { name: "TypeError", message });
  });

  it("keep an update that comes while a handler that lacks it is closed", async () => {
    const [laptop, phone] = [await open(), await open()];
    let close: () => void = () => undefined;
    laptop.open("note", { apply: () => close() });
    const seen: string[] = [];
    const second = laptop.open("note", {
      apply: (updates) => seen.push(...updates.map((update) => textOf(update))),
      state: () => utf8(seen.join()),
    });
    for (const text of ["one", "two"]) await laptop.store("note", utf8(text));
    close = () => second.close();
    await phone.store("note", utf8("three"));
    await phone.client.sync();
    await laptop.client.sync();
    const later = new Texts();
    laptop.open("note", later);
    assert.match(later.texts.join(), /one,two.*three/);
  });

  it("keep what a handler pushes in answer to an update behind that update", async () => {
    const documents = await open();
    const first = documents.open("note", new Texts());
    const answering = documents.open("note", {
      apply: (updates) => {
        if (updates.some((update) => textOf(update) === "one")) answering.push(utf8("two"));
      },
    });
    first.push(utf8("one"));
    const later = new Texts();
    documents.open("note", later);
    assert.deepEqual(later.texts, ["one", "two"]);
  });

  it("hand an update once to a handler that is opened while it comes", async () => {
    const documents = await open();
    const later = new Texts();
    let opens = 0;
    documents.open("note", {
      apply: () => {
        if (opens++ === 0) documents.open("note", later);
      },
    });
    await documents.store("note", utf8("one"));
    assert.deepEqual(later.texts, ["one"]);
  });

  it("keep the state of a document that is closed in the place of its updates", async () => {
    const documents = await open();
    const document = documents.open("note", {
      apply: () => undefined,
      state: () => utf8("all of it"),
    });
    for (const text of ["one", "two"]) document.push(utf8(text));
    document.close();
    const seen = new Texts();
    documents.open("note", seen);
    assert.deepEqual(seen.texts, ["all of it"]);
  });
});

describe("the entry of an update", () => {
  it("is the format, the length of the name, the name and the update", () => {
    const entry = entryOf(nameBytes("né"), Uint8Array.of(7, 8));
    assert.deepEqual([...entry], [0xf8, 3, 0x6e, 0xc3, 0xa9, 7, 8]);
    assert.deepEqual(updateOf(entry), { name: "né", update: Uint8Array.of(7, 8) });
  });

  it("is not what has another format, or is cut", () => {
    const others = [[], [0xf8], [0xf8, 0, 1], [0xf8, 2, 0x61], [0xf8, 1, 0xff], [0xf9, 1, 0x61]];
    for (const bytes of [...others, [...utf8("Buy milk.")]]) {
      assert.equal(updateOf(Uint8Array.from(bytes)), undefined);
    }
  });
});

describe("the echo of what an app appended", () => {
  const data = new Uint8Array();
  const place = (client: string, index: number) => ({ client, index, position: 0 });
  /** An append of one entry that returns once `end` is called. */
  const beginAppend = (echo: Echo) => {
    const stored = new Deferred();
    const appending = echo.append(async () => {
      await stored.promise;
      return [place("a", 1)];
    });
    return { appending, end: stored.resolve };
  };

  it("is told from other entries, once, also before the append has returned", async () => {
    const echo = new Echo();
    const { appending, end } = beginAppend(echo);
    const entry = { ...place("a", 1), data };
    const left = echo.without([entry, { ...place("b", 1), data }]);
    end();
    await appending;
    assert.deepEqual(await left, [{ ...place("b", 1), data }]);
    assert.deepEqual(await echo.without([entry]), [entry]);
  });

  it("is told from other entries also where a later append fails at once", async () => {
    const echo = new Echo();
    const { appending, end } = beginAppend(echo);
    const failed = new RangeError("too large");
    await assert.rejects(
      echo.append(() => Promise.reject(failed)),
      failed,
    );
    const left = echo.without([{ ...place("a", 1), data }]);
    await new Promise((resolve) => setImmediate(resolve));
    end();
    await appending;
    assert.deepEqual(await left, []);
  });

  it("has its new name where it was moved, before or after the append returned", async () => {
    const echo = new Echo();
    await echo.append(async () => [place("a", 4), place("a", 5)]);
    echo.change({ from: "a", to: "b", first: 5, count: 2 });
    await echo.append(async () => [place("a", 6)]);
    const entries = [place("a", 4), place("b", 0), place("b", 1), place("a", 6)];
    const left = await echo.without(entries.map((one) => ({ ...one, data })));
    assert.deepEqual(left, [{ ...place("a", 6), data }]);
  });
});
