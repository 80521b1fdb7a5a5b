/** What a client shows and says by itself: progress, a code for its state, and a sign of life. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, it } from "node:test";
import type { Head } from "../../client/index.ts";
import { MemoryStore } from "../../client/memory.ts";
import { Outbox } from "../../client/outbox.ts";
import { stateCode } from "../../client/state-code.ts";
import { utf8 } from "../../protocol/bytes.ts";
import { SimulatedServer } from "../support/simulated-network.ts";
import { StoppedClock } from "../support/stopped-clock.ts";
import { type Fetch, useApps } from "../support/sync-app.ts";

const DAY_MS = 24 * 3600_000;

describe("a client", () => {
  const apps = useApps();

  it("says of a long answer how many operations have come, until it has ended", async () => {
    const server = new SimulatedServer();
    const fetch: Fetch = (request) => server.fetch(request);
    const store = new MemoryStore();
    const outbox = await Outbox.open(store, apps.identity, await store.load());
    const count = 1200;
    for (let i = 0; i < count; i++) {
      await outbox.append([utf8(`entry ${i}`)], 0);
      await outbox.sealWaiting();
    }
    const writer = await apps.open(fetch, { store });
    await writer.client.sync();
    const reader = await apps.open(fetch);
    await reader.client.sync();
    const shown = reader.statuses.filter(({ of }) => of !== undefined);
    assert.deepEqual(new Set(shown.map(({ of }) => of)), new Set([count]));
    const steps = shown.map(({ received = 0 }) => received);
    assert.deepEqual(
      steps,
      [...steps].sort((a, b) => a - b),
    );
    assert.equal(steps.at(-1), count);
    assert.equal(reader.client.status.of, undefined);
    assert.equal(reader.received.length, count);
  });

  it("appends an operation without entries once a day, if it has appended before", async () => {
    const server = new SimulatedServer();
    const fetch: Fetch = (request) => server.fetch(request);
    const clock = new StoppedClock();
    const store = new MemoryStore();
    const writer = await apps.open(fetch, { store, clock });
    const length = async () => (await store.load()).own[0]?.length;
    clock.pass(DAY_MS);
    await writer.client.sync();
    assert.equal(await length(), 0, "nobody knows of it");
    await writer.client.append("one");
    await writer.client.sync();
    clock.pass(DAY_MS - 1);
    await writer.client.sync();
    assert.equal(await length(), 1);
    clock.pass(1);
    await writer.client.sync();
    await writer.client.sync();
    assert.equal(await length(), 2);
    const reader = await apps.open(fetch);
    await reader.client.sync();
    assert.deepEqual(reader.received, ["one"]);
    assert.deepEqual(reader.client.refusals, []);
  });
});

describe("a state code", () => {
  const heads: readonly Head[] = [
    { client: "8e1d0c5a-3f0b-4b8e-9d3e-2f6f1f7b9c22", index: 7, tag: "47DEQpj8HBSa-_TImW-5JA" },
    { client: "5f0c1a52-7f7e-4d35-a9a5-0d8b8c1d8b11", index: 0, tag: "AAAAAAAAAAAAAAAAAAAAAA" },
  ];

  it("is as ENVELOPE.md says, in whatever order the clients come", async () => {
    const lines = heads.map(({ client, index, tag }) => `${client} ${index} ${tag}\n`).sort();
    const hash = createHash("sha256").update(lines.join("")).digest();
    const bits = [...hash.subarray(0, 5)].map((byte) => byte.toString(2).padStart(8, "0")).join("");
    const digits = (bits.match(/.{5}/g) ?? []).map(
      (five) => "0123456789ABCDEFGHJKMNPQRSTVWXYZ"[Number.parseInt(five, 2)],
    );
    const expected = `${digits.slice(0, 4).join("")}-${digits.slice(4).join("")}`;
    assert.equal(await stateCode(heads), expected);
    assert.equal(await stateCode(heads.toReversed()), expected);
  });

  it("differs with each head, index and tag", async () => {
    const [one, other] = heads;
    assert.ok(one !== undefined && other !== undefined);
    const states = [
      heads,
      [one],
      [{ ...one, index: 8 }, other],
      [{ ...one, tag: other.tag }, other],
    ];
    const codes = await Promise.all(states.map(stateCode));
    assert.equal(new Set(codes).size, states.length);
  });
});
