/** The provider for Yjs: devices at the real handler, with stores in memory. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";
import { Doc, encodeStateAsUpdate, UndoManager } from "yjs";
import type { DocumentsOptions, SyncDocuments } from "../../client/documents.ts";
import { MemoryStore } from "../../client/memory.ts";
import { YjsProvider } from "../../client/yjs.ts";
import { serveHere } from "../support/http.ts";
import { commandFor, projectFolder, runToEnd } from "../support/process.ts";
import { DocumentDevices, declareDevices } from "../support/simulated-documents.ts";
import { until } from "../support/socket.ts";

describe("a provider for Yjs", () => {
  const devices = declareDevices();

  const open = (options?: Partial<DocumentsOptions>) => devices().open(options);

  /** Stores and syncs on each device, in turn. */
  async function syncAll(...all: readonly SyncDocuments[]): Promise<void> {
    for (const documents of all) {
      await documents.flush();
      await documents.client.sync();
    }
  }

  const textIn = ({ doc }: YjsProvider) => doc.getText("text");
  const read = (provider: YjsProvider) => textIn(provider).toString();

  it("merges what two devices write at the same time, in each of several documents", async () => {
    const [laptop, phone] = [await open(), await open()];
    const names = ["one", "two"];
    const onLaptop = names.map((name) => new YjsProvider(laptop, name));
    const onPhone = names.map((name) => new YjsProvider(phone, name));
    for (const provider of onLaptop) textIn(provider).insert(0, `laptop ${provider.name} `);
    for (const provider of onPhone) textIn(provider).insert(0, `phone ${provider.name} `);
    await syncAll(laptop, phone, laptop);
    for (const [i, provider] of onLaptop.entries()) {
      const other = onPhone[i] ?? assert.fail();
      assert.equal(read(provider), read(other));
      assert.equal(read(provider).length, `laptop ${names[i]} phone ${names[i]} `.length);
    }
  });

  it("has what is on the device without the server, in a document that Yjs calls loaded", async () => {
    const store = new MemoryStore();
    const first = await open({ store });
    textIn(new YjsProvider(first, "note")).insert(0, "kept");
    await first.close();
    devices().isOffline = true;
    const again = new YjsProvider(await open({ store }), "note");
    assert.equal(await again.whenLoaded, again);
    assert.equal(read(again), "kept");
    assert.ok(again.doc.isLoaded && !again.synced);
    await again.doc.whenLoaded;
  });

  it("stores what a document had before, also where it is closed before it is loaded", async () => {
    const store = new MemoryStore();
    const first = await open({ store });
    textIn(new YjsProvider(first, "note")).insert(0, "kept");
    await first.close();
    const second = await open({ store });
    const doc = new Doc();
    doc.getText("text").insert(0, "brought along ");
    new YjsProvider(second, "note", doc);
    assert.ok(!second.isLoaded);
    await second.close();
    const again = new YjsProvider(await open({ store }), "note");
    await again.whenLoaded;
    assert.match(read(again), /brought along /);
    assert.match(read(again), /kept/);
  });

  it("stores what a document had before, also where it ends before that is loaded", async () => {
    const store = new MemoryStore();
    const first = await open({ store });
    const doc = new Doc();
    doc.getText("text").insert(0, "brought along");
    new YjsProvider(first, "note", doc).destroy();
    assert.ok(!first.isLoaded);
    await first.close();
    const again = new YjsProvider(await open({ store }), "note");
    await again.whenLoaded;
    assert.equal(read(again), "brought along");
  });

  it("tells the status and that it is synced, as other providers do", async () => {
    devices().isOffline = true;
    const documents = await open();
    const provider = new YjsProvider(documents, "note");
    const events: unknown[] = [];
    provider.on("status", ({ status }) => events.push(status));
    provider.on("synced", (isSynced) => events.push(isSynced));
    provider.once("synced", () => events.push("once"));
    provider.on("sync", (isSynced) => events.push(`sync ${isSynced}`));
    assert.equal(provider.status, "connecting");
    await until(() => provider.status === "disconnected", "the server is away");
    devices().isOffline = false;
    await documents.client.sync();
    assert.equal(await provider.whenSynced, provider);
    await provider.doc.whenSynced;
    textIn(provider).insert(0, "pending, and connected all the same");
    assert.ok(provider.synced);
    devices().isOffline = true;
    await until(() => provider.status === "disconnected", "the server is away again");
    assert.deepEqual(events, [
      ...["disconnected", "connected", true, "once", "sync true"],
      ...["disconnected", false, "sync false"],
    ]);
  });

  it("tells all listeners that it is synced, whatever one of them throws", async () => {
    const server = await serveHere();
    try {
      const command = commandFor(join("tests", "support", "faulty-listener.ts"));
      const program = { command, folder: projectFolder };
      const { code, stdout, stderr } = await runToEnd([server.url], {}, program);
      assert.equal(code, 0, stderr);
      assert.deepEqual(JSON.parse(stdout), {
        events: ["connected", true],
        uncaught: ["a fault of the app"],
      });
    } finally {
      await server.close();
    }
  });

  it("names the events that it has to who listens to another one", async () => {
    const provider: { on(name: string, listener: () => void): void } = new YjsProvider(
      await open(),
      "note",
    );
    const message = 'a YjsProvider has no event "reload", only status, synced, sync';
    assert.throws(() => provider.on("reload", assert.fail), { name: "TypeError", message });
  });

  it("is not synced while an edit could not be stored", async () => {
    const documents = await open({ onError: () => undefined });
    const provider = new YjsProvider(documents, "note");
    await documents.client.sync();
    await provider.whenSynced;
    const events: boolean[] = [];
    provider.on("synced", (isSynced) => events.push(isSynced));
    textIn(provider).insert(0, "x".repeat(13_000_000));
    await until(() => !provider.synced, "it is too large");
    assert.deepEqual(events, [false]);
    assert.equal(documents.status.code, "too-large");
    assert.match(documents.status.why ?? "", /"note" are not stored.*too large/);
  });

  it("stores what was edited around a text that is too large, once that is deleted", async () => {
    const store = new MemoryStore();
    const errors: string[] = [];
    const options = { batch: 3600_000, onError: (error: unknown) => errors.push(String(error)) };
    const [laptop, phone] = [await open({ ...options, store }), await open()];
    const provider = new YjsProvider(laptop, "note");
    const text = textIn(provider);
    const undo = new UndoManager(text);
    text.insert(0, "before ");
    // It learns what the server takes.
    await syncAll(laptop);
    undo.stopCapturing();
    text.insert(7, "x".repeat(13_000_000));
    await assert.rejects(laptop.flush(), /"note" are not stored.*too large.*delete what is large/);
    text.insert(text.length, "after");
    await assert.rejects(laptop.flush(), /too large/);
    text.delete(7, 13_000_000);
    text.insert(0, "right ");
    await laptop.flush();
    assert.equal(laptop.status.pending, laptop.client.status.pending);
    assert.equal(errors.length, 1, String(errors));
    assert.match(errors[0] ?? "", /"note" are not stored.*too large/);
    const other = new YjsProvider(phone, "note");
    await syncAll(laptop, phone);
    assert.equal(read(other), "right before after");
    assert.equal(other.doc.store.pendingStructs, null);
    await laptop.close();
    const again = new YjsProvider(await open({ store }), "note");
    await again.whenLoaded;
    assert.equal(read(again), "right before after");
  });

  it("stores what takes the place of an operation that the server does not take", async () => {
    const small = await DocumentDevices.create({ MAX_BODY: "64KiB" });
    small.isOffline = true;
    const store = new MemoryStore();
    const laptop = await small.open({ store, batch: 3600_000 });
    const text = textIn(new YjsProvider(laptop, "note"));
    for (const part of ["before ", "x".repeat(200_000), "after"]) {
      text.insert(text.length, part);
      await laptop.flush();
    }
    small.isOffline = false;
    await assert.rejects(laptop.client.sync(), { code: "body-too-large" });
    const phone = await small.open();
    const other = new YjsProvider(phone, "note");
    await phone.client.sync();
    assert.equal(read(other), "before ");
    const [tooLarge = assert.fail("nothing was too large")] = laptop.client.tooLarge;
    await assert.rejects(laptop.drop(tooLarge), /RangeError: \d+ bytes are too large/);
    assert.deepEqual(laptop.client.tooLarge, [tooLarge], "nothing is lost");
    text.delete(7, 200_000);
    await laptop.drop(tooLarge);
    await assert.rejects(laptop.drop(tooLarge), /not too large/);
    await syncAll(laptop, phone);
    assert.equal(read(other), "before after");
    assert.equal(other.doc.store.pendingStructs, null);
    await laptop.close();
    const again = new YjsProvider(await small.open({ store }), "note");
    await again.whenLoaded;
    assert.equal(read(again), "before after");
    await small.close();
  });

  it("adds what a document had before, and what was edited while disconnected, once", async () => {
    const [laptop, phone] = [await open({ batch: 3600_000 }), await open()];
    const doc = new Doc();
    doc.getText("text").insert(0, "before ");
    const provider = new YjsProvider(laptop, "note", doc);
    const other = new YjsProvider(phone, "note");
    await syncAll(laptop, phone);
    assert.equal(read(other), "before ");
    provider.disconnect();
    assert.equal(provider.status, "disconnected");
    textIn(provider).insert(7, "meanwhile ");
    textIn(other).insert(7, "elsewhere ");
    await syncAll(laptop, phone, laptop);
    assert.equal(read(other), "before elsewhere ");
    assert.equal(read(provider), "before meanwhile ");
    provider.connect();
    await syncAll(laptop, phone, laptop);
    assert.equal(read(provider), read(other));
    const size = laptop.client.status.pending;
    provider.disconnect();
    provider.connect();
    await laptop.flush();
    assert.equal(laptop.client.status.pending, size, "nothing is stored twice");
  });

  it("stores one entry for many edits, and none for those of others", async () => {
    const [laptop, phone] = [await open({ batch: 3600_000 }), await open()];
    const provider = new YjsProvider(laptop, "note");
    const other = new YjsProvider(phone, "note");
    for (let i = 0; i < 50; i++) textIn(provider).insert(i, "x");
    await syncAll(laptop, phone);
    let count = 0;
    for await (const entries of phone.client.entries()) count += entries.length;
    assert.equal(count, 1);
    assert.equal(phone.client.status.pending, 0);
    assert.equal(read(other), "x".repeat(50));
  });

  it("stores what a listener adds to what it brings into the document", async () => {
    const [laptop, phone] = [await open(), await open()];
    textIn(new YjsProvider(laptop, "note")).insert(0, "before");
    const doc = new Doc();
    const title = doc.getText("title");
    doc.getText("text").observe(() => title.length === 0 && title.insert(0, "by a listener"));
    const provider = new YjsProvider(laptop, "note", doc);
    assert.equal(title.toString(), "by a listener");
    title.insert(title.length, ", and more");
    const other = new YjsProvider(phone, "note");
    await syncAll(laptop, phone);
    assert.equal(other.doc.getText("title").toString(), "by a listener, and more");
    assert.deepEqual(other.doc.store.pendingStructs, provider.doc.store.pendingStructs);
  });

  it("ends where that is called for by what it brings into the document", async () => {
    const documents = await open();
    const writer = new YjsProvider(documents, "note");
    textIn(writer).insert(0, "before");
    const doc = new Doc();
    doc.getText("text").observe(() => doc.destroy());
    const provider = new YjsProvider(documents, "note", doc);
    assert.equal(read(provider), "before");
    textIn(writer).insert(0, "not ");
    assert.equal(read(provider), "before");
    await assert.rejects(provider.whenLoaded, /was destroyed/);
    assert.throws(() => provider.connect(), /was destroyed/);
    const last = new YjsProvider(documents, "note", undefined, { connect: false });
    last.doc.getText("text").observe(() => last.disconnect());
    last.connect();
    textIn(writer).insert(0, "still ");
    assert.equal(read(last), "not before");
  });

  it("ends with its document, which stays stored and can be opened again", async () => {
    const documents = await open();
    const first = new YjsProvider(documents, "note");
    const second = new YjsProvider(documents, "note");
    textIn(first).insert(0, "shared at once");
    assert.equal(read(second), "shared at once");
    first.doc.destroy();
    textIn(second).insert(0, "still ");
    assert.equal(read(first), "shared at once");
    second.destroy();
    textIn(second).insert(0, "gone ");
    const third = new YjsProvider(documents, "note");
    assert.equal(read(third), "still shared at once");
  });

  it("is disconnected once the documents are closed, and does not come back after its end", async () => {
    const documents = await open();
    const provider = new YjsProvider(documents, "note");
    await documents.client.sync();
    await provider.whenSynced;
    const events: unknown[] = [];
    provider.on("status", ({ status }) => events.push(status));
    provider.on("synced", (isSynced) => events.push(isSynced));
    await documents.close();
    assert.deepEqual(events, ["disconnected", false]);
    provider.destroy();
    assert.throws(() => provider.connect(), /was destroyed/);
  });

  it("takes a thousand updates in one transaction", async () => {
    const documents = await open();
    const provider = new YjsProvider(documents, "note");
    for (let i = 0; i < 1000; i++) textIn(provider).insert(0, "x");
    const again = new Doc();
    let transactions = 0;
    again.on("afterTransaction", () => transactions++);
    new YjsProvider(documents, "note", again);
    assert.deepEqual(encodeStateAsUpdate(again), encodeStateAsUpdate(provider.doc));
    assert.ok(transactions < 5, `${transactions} transactions`);
  });
});
