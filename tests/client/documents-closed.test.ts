/** The end of documents, and of providers: clients at the real handler. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { DocumentsOptions, SyncDocuments } from "../../client/documents.ts";
import { type Clock, utf8 } from "../../client/index.ts";
import { TinyBaseProvider } from "../../client/tinybase.ts";
import type { Status } from "../../client/types.ts";
import { YjsProvider } from "../../client/yjs.ts";
import { DocumentDevices, declareDevices, storeOn, Texts } from "../support/simulated-documents.ts";
import { until } from "../support/socket.ts";
import { StoppedClock } from "../support/stopped-clock.ts";

describe("documents that are closed", () => {
  const devices = declareDevices();

  const open = (options?: Partial<DocumentsOptions>) => devices().open(options);
  const bindings = [
    (documents: SyncDocuments) => new YjsProvider(documents, "note"),
    (documents: SyncDocuments) => new TinyBaseProvider(documents, "note"),
  ];

  it("are offline, and say so", async () => {
    const shown: Status[] = [];
    const documents = await open({ onStatus: (status) => shown.push(status) });
    await documents.client.sync();
    await documents.close();
    const { state, code, why, live, pending } = documents.status;
    assert.deepEqual([state, code, live, pending], ["offline", "offline", false, 0]);
    assert.equal(why, "the documents are closed");
    assert.equal(shown.at(-1), documents.status);
  });

  it("still say what was not stored", async () => {
    const documents = await open({ store: storeOn({ isFull: true }), onError: () => undefined });
    documents.open("note", new Texts()).push(utf8("lost"));
    await assert.rejects(documents.close(), /"note" are not stored/);
    assert.equal(documents.status.state, "refused");
    assert.match(documents.status.why ?? "", /"note" are not stored.*the disk is full/);
  });

  it("open no document, whatever opens it", async () => {
    const documents = await open();
    await documents.close();
    const message = "the documents are closed";
    assert.throws(() => documents.open("note", new Texts()), { message });
    for (const bind of bindings) assert.throws(() => bind(documents), { message });
  });

  it("end the wait for what they have not loaded", async () => {
    devices().isOffline = true;
    const documents = await open();
    assert.ok(!documents.isLoaded);
    const providers = bindings.map((bind) => bind(documents));
    const closing = documents.close();
    for (const { whenLoaded, whenSynced } of [documents, ...providers]) {
      await assert.rejects(whenSynced, /the documents are closed/);
      await whenLoaded.catch(({ message }) => assert.equal(message, "the documents are closed"));
    }
    await closing;
  });

  it("are so from the beginning where their signal was aborted before", async () => {
    const documents = await open({ signal: AbortSignal.abort() });
    assert.equal(documents.status.state, "offline");
    await assert.rejects(documents.whenSynced, /the documents are closed/);
    assert.throws(() => documents.open("note", new Texts()), /the documents are closed/);
  });

  it("try nothing again once their signal is aborted", async () => {
    const stopped = new StoppedClock();
    let retries = 0;
    const clock: Clock = {
      now: () => stopped.now(),
      sleep: (milliseconds, signal) => {
        if (milliseconds === 5000) retries++;
        return stopped.sleep(milliseconds, signal);
      },
    };
    const app = new AbortController();
    const errors: string[] = [];
    const onError = (error: unknown) => errors.push(String(error));
    const store = storeOn({ isFull: true });
    const documents = await open({ store, clock, onError, signal: app.signal });
    const document = documents.open("note", new Texts());
    document.push(utf8("lost"));
    await until(() => errors.length === 1, "it is reported");
    app.abort(new Error("the app ends"));
    assert.match(documents.status.why ?? "", /"note" are not stored/);
    document.push(utf8("too late"));
    assert.match(errors[1] ?? "", /"note" are not stored.*the documents are closed/);
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual([retries, errors.length], [1, 2]);
  });
});

describe("a provider for Yjs that ends", () => {
  it("ends the wait for what it has not loaded, also where it was never connected", async () => {
    const devices = await DocumentDevices.create();
    devices.isOffline = true;
    const documents = await devices.open();
    for (const connect of [false, true]) {
      const provider = new YjsProvider(documents, "note", undefined, { connect });
      provider.destroy();
      await assert.rejects(provider.whenLoaded, /the provider was destroyed/);
      await assert.rejects(provider.whenSynced, /the provider was destroyed/);
    }
    await devices.close();
  });
});
