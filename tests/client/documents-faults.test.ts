/** Documents of an app with faults, on a device with faults: clients at the real handler. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { DocumentsOptions } from "../../client/documents.ts";
import { type Clock, type Store, utf8 } from "../../client/index.ts";
import { MemoryStore } from "../../client/memory.ts";
import { declareDevices, storeOn, Texts } from "../support/simulated-documents.ts";
import { SimulatedServer } from "../support/simulated-network.ts";
import { until } from "../support/socket.ts";
import { StoppedClock } from "../support/stopped-clock.ts";

describe("documents on a device with faults", () => {
  const devices = declareDevices();

  const open = (options?: Partial<DocumentsOptions>) => devices().open(options);

  it("store at once what is pushed while an update of another one is too large", async () => {
    const server = new SimulatedServer({ LISTING_TTL: "0", MAX_BODY: "64KiB" });
    const store = new MemoryStore();
    // No time passes: what is tried again later is not tried.
    const options = { store, batch: 200, clock: new StoppedClock(), onError: () => undefined };
    const documents = await devices().open(options, (request) => server.fetch(request));
    await documents.store("note", utf8("the server says what it takes"));
    await documents.client.sync();
    documents.open("large", new Texts()).push(new Uint8Array(64 * 1024));
    await until(() => documents.status.code === "too-large", "it is tried");
    documents.open("note", new Texts()).push(utf8("small"));
    await until(async () => (await store.load()).drafts.length === 1, "it is stored");
  });

  it("wait to try again before they report what could not be stored", async () => {
    const disk = { isFull: true };
    const stopped = new StoppedClock();
    let retries = 0;
    const clock: Clock = {
      now: () => stopped.now(),
      sleep: (milliseconds, signal) => {
        if (milliseconds === 5000) retries++;
        return stopped.sleep(milliseconds, signal);
      },
    };
    const reported: number[] = [];
    const onError = () => reported.push(retries);
    const documents = await open({ store: storeOn(disk), clock, onError });
    documents.open("note", new Texts()).push(utf8("kept"));
    await until(() => reported.length > 0, "it is reported");
    assert.deepEqual(reported, [1]);
  });

  it("store what is pushed while others are being stored, before a flush ends", async () => {
    const store: Store = new MemoryStore();
    const documents = await open({ store });
    const document = documents.open("note", new Texts());
    const append = store.append.bind(store);
    store.append = async (...of) => {
      store.append = append;
      await append(...of);
      document.push(utf8("two"));
    };
    document.push(utf8("one"));
    await documents.flush();
    const pending = (await store.load()).drafts.length;
    assert.equal(pending + (await store.load()).own.reduce((sum, own) => sum + own.length, 0), 2);
  });

  it("tell all listeners, store, and close, whatever one of them throws", async () => {
    const store = new MemoryStore();
    const errors: string[] = [];
    const documents = await open({ store, onError: (error) => errors.push(String(error)) });
    await documents.client.sync();
    documents.subscribe(() => {
      throw new Error("a fault of the app");
    });
    let told = 0;
    documents.subscribe(() => told++);
    documents.open("note", new Texts()).push(utf8("kept"));
    assert.equal(told, 1);
    assert.deepEqual(errors, ["Error: a fault of the app"]);
    await documents.close();
    assert.equal((await store.load()).own[0]?.length, 1);
  });
});
