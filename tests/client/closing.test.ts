/** The end of a client, and of single calls. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { nextTick } from "../support/simulated-network.ts";
import { type Fetch, useApps } from "../support/sync-app.ts";

const apps = useApps();

describe("a client", () => {
  it("that is closed rejects its calls and aborts its request", async () => {
    const aborted: unknown[] = [];
    const { client } = await apps.open(
      (request) =>
        new Promise((_, reject) => {
          request.signal.addEventListener("abort", () => {
            aborted.push(request.signal.reason);
            reject(request.signal.reason);
          });
        }),
    );
    const waiting = client.sync();
    const rejected = assert.rejects(waiting, { name: "AbortError" });
    await nextTick();
    await client.close();
    await rejected;
    await assert.rejects(client.append("too late"), { name: "AbortError" });
    await assert.rejects(client.sync(), { name: "AbortError" });
    assert.equal(aborted.length, 1);
  });

  it("is closed by its signal, and the signal of one call ends that call alone", async () => {
    const offline: Fetch = (request) =>
      new Promise((_, reject) => {
        request.signal.addEventListener("abort", () => reject(request.signal.reason));
      });
    const [all, one] = [new AbortController(), new AbortController()];
    const { client } = await apps.open(offline, { signal: all.signal });
    const waiting = assert.rejects(client.sync(one.signal), { message: "enough" });
    const other = assert.rejects(client.sync(), { message: "the end" });
    one.abort(new Error("enough"));
    await waiting;
    await assert.rejects(client.append("x", one.signal), { message: "enough" });
    all.abort(new Error("the end"));
    await other;
    await client.close();
  });
});
