/** The notes of a notebook on several devices, at a simulated server. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import fc from "fast-check";
import { Doc } from "yjs";
import { entryOf, nameBytes } from "../../client/documents/entry.ts";
import { type Identity, type Store, SyncClient } from "../../client/index.ts";
import { MemoryStore } from "../../client/memory.ts";
import { ADOPTING, adoptedUpdate } from "../../examples/notebook/adopted-update.ts";
import { newDoc } from "../../examples/notebook/note-doc.ts";
import { NoteEdit } from "../../examples/notebook/note-edit.ts";
import { Notebook, type NotebookOptions } from "../../examples/notebook/notebook.ts";
import { shortId } from "../../examples/notebook/notes.ts";
import { fieldChange, textChange } from "../../examples/notebook/text-change.ts";
import { newIdentity } from "../support/private-keys.ts";
import { SimulatedServer, URL_OF_SERVER } from "../support/simulated-network.ts";

/** The devices of a user. */
class Devices {
  readonly identity: Identity;
  readonly #server = new SimulatedServer({ LISTING_TTL: "0" });
  readonly #open: { close(): Promise<void> }[] = [];

  constructor(identity: Identity) {
    this.identity = identity;
  }

  get #options() {
    return {
      url: URL_OF_SERVER,
      identity: this.identity,
      fetch: (request: Request) => this.#server.fetch(request),
      sign: false,
      pollInterval: Number.POSITIVE_INFINITY,
      idleTimeout: Number.POSITIVE_INFINITY,
    };
  }

  /** @param isOnline whether it reaches the server at that time */
  async open(
    device: string,
    options: Partial<NotebookOptions> = {},
    isOnline = () => true,
  ): Promise<Notebook> {
    const { store = new MemoryStore() } = options;
    const fetch = async (request: Request) => {
      if (!isOnline()) throw new TypeError("the connection broke");
      return this.#server.fetch(request);
    };
    const notebook = await Notebook.open({ ...this.#options, fetch, device, ...options, store });
    this.#open.push(notebook);
    return notebook;
  }

  /** A client that writes entries as they are. */
  async client(store: Store = new MemoryStore()): Promise<SyncClient> {
    const client = await SyncClient.open({ ...this.#options, store, receive: () => undefined });
    this.#open.push(client);
    return client;
  }

  async close(): Promise<void> {
    for (const one of this.#open) await one.close();
  }
}

const sync = (notebook: Notebook) => notebook.client.sync();
const texts = (notebook: Notebook) => [...notebook.oldestFirst()].map(({ text }) => text);

describe("the notes of a notebook", () => {
  let identity: Identity;
  let opened: Devices[];
  before(async () => {
    identity = await newIdentity();
    opened = [];
  });
  after(async () => {
    for (const devices of opened) await devices.close();
  });
  const newDevices = () => {
    const devices = new Devices(identity);
    opened.push(devices);
    return devices;
  };

  /** Two devices that have a note. */
  async function two(text: string) {
    const devices = newDevices();
    const [laptop, phone] = [await devices.open("laptop"), await devices.open("phone")];
    const { name } = await laptop.write(text);
    for (const one of [laptop, phone]) await sync(one);
    const meet = async () => {
      for (const one of [laptop, phone, laptop]) await sync(one);
      assert.deepEqual(texts(laptop), texts(phone));
      return texts(laptop);
    };
    return { devices, laptop, phone, name, meet };
  }

  it("have the words of both devices that edit one at the same time", async () => {
    const { laptop, phone, name, meet } = await two("Buy milk.");
    await laptop.edit(name, "Buy milk and bread.");
    await phone.edit(name, "Please: Buy milk.");
    assert.deepEqual(await meet(), ["Please: Buy milk and bread."]);
    assert.equal(typeof laptop.note(name).edited, "number");
  });

  it("are deleted on all devices, and come back where a deletion is taken back", async () => {
    const { laptop, phone, name, meet } = await two("Buy milk.");
    await laptop.delete(name);
    assert.deepEqual(await meet(), []);
    await phone.restore(name);
    assert.deepEqual(await meet(), ["Buy milk."]);
  });

  it("stay with all words where one device edits and another deletes at the same time", async () => {
    const { laptop, phone, name, meet } = await two("Buy milk.");
    await laptop.delete(name);
    await phone.edit(name, "Buy milk and bread.");
    assert.deepEqual(texts(laptop), []);
    assert.deepEqual(await meet(), ["Buy milk and bread."]);
    await laptop.delete(name);
    assert.deepEqual(await meet(), [], "who knows of the edit deletes it");
  });

  it("are found by words in any order and in any case", async () => {
    const { laptop } = await two("Buy milk, and  bread\ntomorrow.");
    await laptop.write("Feed the cat. ＡＢＣ");
    const found = (query: string) => [...laptop.search(query)].map(({ text }) => text.slice(0, 4));
    assert.deepEqual(found("BREAD buy"), ["Buy "]);
    assert.deepEqual(found("abc"), ["Feed"]);
    assert.deepEqual(found("and  bread"), ["Buy "]);
    assert.deepEqual(found("dog"), []);
    assert.deepEqual(found(""), ["Feed", "Buy "]);
  });

  it("stay in the order in which one device writes them, however fast", async () => {
    const { laptop, phone, meet } = await two("0");
    await Promise.all(Array.from({ length: 50 }, (_, i) => laptop.write(String(i + 1))));
    assert.deepEqual(
      await meet(),
      Array.from({ length: 51 }, (_, i) => String(i)),
    );
    assert.deepEqual([laptop.isOwn(laptop.note(phoneNote(phone))), phone.unsent.size], [true, 0]);
  });
  const phoneNote = (phone: Notebook) => [...phone.newestFirst()][0]?.name ?? "";

  it("say which are not sent yet, and count as pending each once", async () => {
    const { laptop, name } = await two("sent");
    const other = await laptop.write("not sent");
    await laptop.edit(name, "sent, and edited");
    assert.deepEqual([...laptop.unsent].sort(), [name, other.name].sort());
    assert.equal(laptop.status.pending, 2);
    await laptop.edit(name, "sent, and edited twice");
    assert.equal(laptop.status.pending, 2);
    await sync(laptop);
    assert.deepEqual([laptop.unsent.size, laptop.status.pending], [0, 0]);
  });

  it("show device names that all devices know, and that can be changed", async () => {
    const { laptop, phone, name, meet } = await two("by the laptop");
    assert.equal(phone.devices.of(phone.note(name).client), "laptop");
    const id = phone.client.client;
    assert.equal(laptop.devices.of(id), id.slice(0, 8), "it has written nothing");
    await phone.rename("  my old\nphone ");
    await meet();
    assert.equal(laptop.devices.of(id), "my old phone");
    await phone.write("by the phone");
    await meet();
    assert.equal(laptop.devices.of(id), "my old phone");
  });

  it("are made of entries of the earlier form, of text, and of bytes, which can be edited and deleted", async () => {
    const devices = newDevices();
    const old = await devices.client();
    const earlier = (text: string, at: unknown) => JSON.stringify({ at, text, more: 1 });
    await old.appendAll([earlier("second", 2000), "plain text", earlier("first", 1000)]);
    await old.appendAll([JSON.stringify({ no: "text" }), earlier("no time", "x")]);
    await old.appendAll([Uint8Array.of(0xc0, 1, 2), "plain text"]);
    await old.sync();
    const [laptop, phone] = [await devices.open("laptop"), await devices.open("phone")];
    for (const one of [laptop, phone]) await sync(one);
    const bytes = "(3 bytes that are not text)";
    const none = ["plain text", '{"no":"text"}', "no time", bytes, "plain text"];
    assert.deepEqual(texts(phone), [...none, "first", "second"]);
    const [plain, , , binary, again, first] = [...phone.oldestFirst()];
    assert.ok(plain && binary && again && first);
    assert.deepEqual([plain.at, first.at, binary.isText, plain.isText], [0, 1000, false, true]);
    assert.notEqual(shortId(plain), shortId(again));
    await phone.edit(first.name, "the first");
    await laptop.edit(first.name, "first of all");
    await laptop.delete(binary.name);
    await phone.delete(again.name);
    for (const one of [laptop, phone, laptop]) await sync(one);
    const left = [...none.slice(0, 3), "the first of all", "second"];
    assert.deepEqual(texts(laptop), left);
    assert.deepEqual(texts(phone), left);
  });

  it("keep what was edited of an entry of the earlier form where that has got another name", async () => {
    const devices = newDevices();
    const store = new MemoryStore();
    const old = await devices.client(store);
    await old.append(JSON.stringify({ at: 1000, text: "written before" }));
    await old.sync();
    const laptop = await devices.open("laptop");
    await sync(laptop);
    const [note] = laptop.oldestFirst();
    assert.ok(note);
    // What the edit brings is all that another log has.
    const [edited] = [NoteEdit.of(laptop.updates(note.name))];
    edited.change("written before, and after");
    const elsewhere = newDevices();
    const writer = await elsewhere.client();
    await writer.append(entryOf(nameBytes(note.name), edited.update(2000)));
    await writer.sync();
    const phone = await elsewhere.open("phone");
    await sync(phone);
    assert.deepEqual(texts(phone), ["written before, and after"]);
  });

  it("have what was edited apart, and kept meanwhile, beside what others have changed", async () => {
    const { laptop, phone, name, meet } = await two("Buy milk.");
    const edit = NoteEdit.of(laptop.updates(name));
    edit.change("Buy milk and bread.");
    await phone.edit(name, "Now buy milk.");
    await meet();
    const again = NoteEdit.from(edit.kept());
    assert.equal(again.text, "Buy milk and bread.");
    again.change("Buy milk and bread, please.");
    await phone.delete(name);
    await laptop.save(name, again);
    assert.deepEqual(await meet(), ["Now buy milk and bread, please."]);
  });

  it("have the words of both where lines end in CRLF, and a field gives line feeds back", async () => {
    const { laptop, phone, name, meet } = await two("one\r\ntwo\r\nthree\r\nfour");
    const typed = [
      [laptop, "one, first\ntwo\nthree\nfour, last"],
      [phone, "one\ntwo\nthree, third\nfour"],
    ] as const;
    for (const [notebook, text] of typed) {
      const edit = NoteEdit.of(notebook.updates(name));
      // A change for each place, as a person types.
      const [first = "", ...rest] = text.split("\n");
      edit.type([first, "two", "three", "four"].join("\n"));
      edit.type([first, ...rest].join("\n"));
      await notebook.save(name, edit);
    }
    assert.deepEqual(await meet(), ["one, first\r\ntwo\r\nthree, third\r\nfour, last"]);
  });

  it("are not there where they could not be stored, and once when that is tried again", async () => {
    const devices = newDevices();
    const memory = new MemoryStore();
    let isFull = false;
    const guarded =
      <Given extends unknown[]>(work: (...given: Given) => Promise<void>) =>
      async (...given: Given) => {
        if (isFull) throw new Error("the disk is full");
        return work.apply(memory, given);
      };
    const store: Store = Object.assign(memory, {
      append: guarded(memory.append),
      appendDraft: guarded(memory.appendDraft),
    });
    const laptop = await devices.open("laptop", { store });
    const { name } = await laptop.write("Buy milk.");
    isFull = true;
    await assert.rejects(laptop.write("Feed the cat."), /^Error: the disk is full$/);
    await assert.rejects(laptop.edit(name, "Buy bread."), /^Error: the disk is full$/);
    await assert.rejects(laptop.delete(name), /^Error: the disk is full$/);
    assert.deepEqual(texts(laptop), ["Buy milk."]);
    isFull = false;
    await laptop.write("Feed the cat.");
    await laptop.edit(name, "Buy bread.");
    await sync(laptop);
    assert.deepEqual(texts(laptop), ["Buy bread.", "Feed the cat."]);
    const phone = await devices.open("phone");
    await sync(phone);
    assert.deepEqual(texts(phone), ["Buy bread.", "Feed the cat."]);
  });

  it("leave entries alone that a later version of documents has written, and say so", async () => {
    const devices = newDevices();
    const old = await devices.client();
    await old.append(Uint8Array.of(0xf9, 1, 2));
    await old.append("a note");
    await old.sync();
    const errors: unknown[] = [];
    const laptop = await devices.open("laptop", { onError: (error) => errors.push(error) });
    await sync(laptop);
    assert.deepEqual(texts(laptop), ["a note"]);
    assert.match(String(errors), /newer version of the app/);
  });

  it("come to a new device from a snapshot, also those of the earlier form", async () => {
    const devices = newDevices();
    const old = await devices.client();
    await old.append(JSON.stringify({ at: 1000, text: "of the earlier form" }));
    await old.sync();
    const options = { snapshotEvery: 2000, sign: true, random: () => 0 };
    const laptop = await devices.open("laptop", options);
    for (let i = 0; i < 80; i++) {
      await laptop.write(`note ${i}`);
      await sync(laptop);
    }
    const operations: number[] = [];
    const phone = await devices.open("phone", {
      ...options,
      onLines: (lines) => operations.push(lines.length),
    });
    await sync(phone);
    const received = operations.reduce((sum, count) => sum + count, 0);
    assert.ok(received < 60, `${received} operations`);
    assert.deepEqual(texts(phone), texts(laptop));
    assert.equal(texts(phone).length, 81);
    const [first] = phone.oldestFirst();
    await phone.edit(first?.name ?? "", "of the earlier form, edited");
    for (const one of [phone, laptop]) await sync(one);
    assert.equal(texts(laptop)[0], "of the earlier form, edited");
  });

  it("come to the same on all devices, with each word that one of them has added", async () => {
    const step = fc.record({
      device: fc.nat(2),
      kind: fc.constantFrom("add", "add", "add", "remove", "delete", "restore", "sync", "sync"),
      note: fc.nat(1),
      at: fc.nat(20),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const devices = newDevices();
        // An append brings news as well: so a device reaches the server only while it is to.
        const online = new Set<string>(["a", "b", "c"]);
        const all = await Promise.all(
          ["a", "b", "c"].map((name) => devices.open(name, {}, () => online.has(name))),
        );
        const [first] = all;
        assert.ok(first);
        const names = [await first.write("tea the ten"), await first.write("net ate")].map(
          ({ name }) => name,
        );
        for (const one of all) await sync(one);
        online.clear();
        const world = new World(names, all.length);
        for (const [i, { device, kind, note, at }] of steps.entries()) {
          const notebook = all[device];
          const name = names[note];
          assert.ok(notebook && name);
          const { isDeleted, text } = notebook.note(name);
          const words = text.split(" ");
          if (kind === "sync") {
            online.add("abc".charAt(device));
            await sync(notebook);
            online.clear();
            world.sync(device);
          } else if (kind === "restore") {
            if (!isDeleted) continue;
            await notebook.restore(name);
            world.change(device, name, `restored ${i}`);
          } else if (isDeleted) {
            // It is not shown, and so nobody changes it.
          } else if (kind === "delete") {
            await notebook.delete(name);
            world.delete(device, name);
          } else {
            // With the letters of the others.
            const word = `te${i}t`;
            if (kind === "add") words.splice(at % (words.length + 1), 0, word);
            else words.splice(at % words.length, 1);
            const removed = text.split(" ").find((one) => !words.includes(one));
            await notebook.edit(name, words.join(" "));
            world.change(device, name, word, kind === "add", removed);
          }
        }
        for (const name of "abc") online.add(name);
        for (const one of [...all, ...all]) await sync(one);
        for (const name of names) {
          const [note, ...others] = all.map((one) => one.note(name));
          assert.ok(note);
          for (const other of others) assert.deepEqual(other, note);
          assert.equal(note.isDeleted, world.isDeleted(name), note.text);
          for (const word of world.added(name)) {
            assert.ok(note.text.includes(word), `“${word}” is in “${note.text}”`);
          }
        }
        await devices.close();
        opened.pop();
      }),
      { numRuns: 40 },
    );
  });
});

/** What the devices know of each other: what has to come of it. */
class World {
  /** Of each device, then of the server: the changes of a note that it knows. */
  readonly #known: Map<string, Set<string>>[];
  /** Of each note, the changes that a device knew which has deleted it. */
  readonly #deleted: Map<string, Set<string>>;
  readonly #changes: Map<string, Set<string>>;
  readonly #added = new Map<string, Set<string>>();
  readonly #removed = new Set<string>();

  constructor(names: readonly string[], devices: number) {
    const sets = (first?: string) =>
      new Map(names.map((name) => [name, new Set(first === undefined ? [] : [first])]));
    this.#known = Array.from({ length: devices + 1 }, () => sets("written"));
    this.#deleted = sets();
    this.#changes = sets("written");
    this.#added = sets();
  }

  change(device: number, name: string, change: string, adds = false, removed?: string): void {
    this.#known[device]?.get(name)?.add(change);
    this.#changes.get(name)?.add(change);
    if (adds) this.#added.get(name)?.add(change);
    if (removed !== undefined) this.#removed.add(removed);
  }

  delete(device: number, name: string): void {
    for (const change of this.#known[device]?.get(name) ?? []) this.#deleted.get(name)?.add(change);
  }

  sync(device: number): void {
    const [mine, server] = [this.#known[device], this.#known.at(-1)];
    for (const [name, changes] of server ?? []) {
      const own = mine?.get(name) ?? new Set();
      for (const change of own) changes.add(change);
      for (const change of changes) own.add(change);
    }
  }

  isDeleted(name: string): boolean {
    const deleted = this.#deleted.get(name);
    return [...(this.#changes.get(name) ?? [])].every((change) => deleted?.has(change));
  }

  /** The words that were added and not removed. */
  added(name: string): string[] {
    return [...(this.#added.get(name) ?? [])].filter((word) => !this.#removed.has(word));
  }
}

describe("the update of a note that is made of an entry of the earlier form", () => {
  it("is byte for byte what Yjs makes of it", () => {
    const long = fc.nat(40_000).map((length) => "é".repeat(length));
    const text = fc.oneof(fc.string({ unit: "binary" }), fc.constant("\ud83d cut"), long);
    const bytes = fc.option(fc.uint8Array({ maxLength: 300 }), { nil: undefined });
    fc.assert(
      fc.property(fc.uuid(), text, bytes, (client, text, bytes) => {
        const written = { client, text, ...(bytes && { bytes: bytes.slice() }) };
        const doc = new Doc();
        doc.clientID = ADOPTING;
        assert.deepEqual(adoptedUpdate(written), newDoc(written, doc));
      }),
    );
  });
});

describe("the change between two texts", () => {
  const text = fc.string({ unit: fc.constantFrom("a", "b", " ", "é", "🐈", "🐕", "\ud83d") });

  it("makes the one of the other, and is no longer than what differs", () => {
    fc.assert(
      fc.property(text, text, text, text, (start, before, after, end) => {
        const [from, to] = [start + before + end, start + after + end];
        const { at, removed, inserted } = textChange(from, to);
        assert.equal(from.slice(0, at) + inserted + from.slice(at + removed), to);
        // A cut character is taken whole at either end.
        assert.ok(removed <= before.length + 2, "no more is removed");
        assert.ok(inserted.length <= after.length + 2, "no more is inserted");
      }),
    );
  });

  it("cuts no character in two", () => {
    const whole = fc.string({ unit: fc.constantFrom("a", "🐈", "🐕", " ") });
    fc.assert(
      fc.property(whole, whole, (from, to) => {
        const { at, removed, inserted } = textChange(from, to);
        for (const part of [from.slice(0, at), inserted, from.slice(at + removed)]) {
          assert.ok(part.isWellFormed(), part);
        }
      }),
    );
  });

  it("leaves the ends of lines in a text as they are, whatever a field makes of them", () => {
    const line = fc.string({ unit: fc.constantFrom("a", "b", "\r\n", "\n", "\r", "🐈") });
    const inField = (text: string) => text.replace(/\r\n?/g, "\n");
    fc.assert(
      fc.property(line, line, line, line, (start, before, after, end) => {
        const [from, typed] = [start + before + end, inField(start + after + end)];
        const { at, removed, inserted } = fieldChange(from, typed);
        const to = from.slice(0, at) + inserted + from.slice(at + removed);
        assert.equal(inField(to), typed);
        assert.ok(removed <= 2 * before.length + start.length + 4, "no more is removed");
      }),
    );
    const { at, removed, inserted } = fieldChange("a\r\nb\r\nc", "a\nbb\nc");
    assert.deepEqual([at, removed, inserted], [3, 0, "b"]);
  });

  it("takes whole words where it can", () => {
    for (const [from, to, expected] of [
      ["the cat", "then the cat", { at: 0, removed: 0, inserted: "then " }],
      ["tea the ten", "tea test the ten", { at: 4, removed: 0, inserted: "test " }],
      ["tea test the", "tea the", { at: 4, removed: 5, inserted: "" }],
      ["cat", "cart", { at: 2, removed: 0, inserted: "r" }],
      ["same", "same", { at: 4, removed: 0, inserted: "" }],
    ] as const) {
      assert.deepEqual(textChange(from, to), expected);
    }
  });
});
