/** Client ids that an installation gave up: what is theirs is neither missing nor read twice. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MemoryStore } from "../../client/memory.ts";
import { Outbox } from "../../client/outbox.ts";
import { utf8 } from "../../protocol/bytes.ts";
import { JumpingClock, SimulatedServer } from "../support/simulated-network.ts";
import {
  type App,
  entriesOn,
  type Fetch,
  intercepted,
  NEVER,
  problem,
  sendEach,
  textsOf,
  useApps,
} from "../support/sync-app.ts";

const apps = useApps();

const HOURS = 2 * 3600_000;

/** Two installations with one client id, of which one has given it up. */
async function copied(clock = new JumpingClock()) {
  const server = new SimulatedServer();
  const fetch: Fetch = (request) => server.fetch(request);
  const store = new MemoryStore();
  const original = await apps.open(fetch, { store, clock });
  await sendEach(original.client, ["zero", "one"]);
  const id = original.client.client;
  const copy = new MemoryStore();
  await copy.begin(id);
  await copy.append(id, 0, await store.read(id, 0, 2, NEVER));
  await copy.acknowledge(id, 2);
  await sendEach(original.client, ["two of the original"]);
  const cloned = await apps.open(fetch, { store: copy, clock });
  await sendEach(cloned.client, ["of the copy"]);
  assert.equal(cloned.changes.length, 1);
  return { server, fetch, original, cloned, copy, id, clock };
}

/** An installation that has given up a client id, whose last operation is too large for the server. */
async function tooLargeOne(clock = new JumpingClock()) {
  const server = new SimulatedServer();
  const fetch = intercepted(server, ({ payload = [] }) =>
    payload.some(({ length }) => length > 8000) ? problem(413, "body-too-large") : undefined,
  );
  const writer = await apps.open(fetch, { clock });
  await sendEach(writer.client, ["zero"]);
  await writer.client.append("x".repeat(9000));
  await writer.client.append("after it");
  await syncAnyway(writer);
  const [tooLarge = assert.fail("nothing was too large")] = writer.client.tooLarge;
  assert.deepEqual(writer.changes.length, 1);
  return { fetch, writer, tooLarge };
}

/** Sends what the server accepts. */
async function syncAnyway({ client }: App): Promise<void> {
  await client.sync().catch(() => undefined);
}

/** Lets hours pass, with a sync now and then. */
async function pass(clock: JumpingClock, ...all: readonly App[]): Promise<void> {
  for (let i = 0; i < 8; i++) {
    await clock.sleep(HOURS / 4, AbortSignal.abort());
    for (const { client } of all) await client.sync();
  }
}

describe("a client id that was given up", () => {
  it("is not withheld by a server that does not send it to its own installation", async () => {
    const { original, cloned, clock } = await copied();
    await pass(clock, original, cloned);
    assert.deepEqual(cloned.client.refusals, []);
    assert.deepEqual(original.client.refusals, []);
  });

  for (const isDropped of [false, true]) {
    const what = isDropped ? "was dropped" : "is kept";
    it(`is not withheld where its last operation is too large, and ${what}`, async () => {
      const clock = new JumpingClock();
      const { fetch, writer, tooLarge } = await tooLargeOne(clock);
      if (isDropped) await writer.client.drop(tooLarge);
      const reader = await apps.open(fetch, { clock });
      await reader.client.sync();
      assert.deepEqual(reader.received, ["zero", "after it"]);
      for (let i = 0; i < 8; i++) {
        await clock.sleep(HOURS / 4, AbortSignal.abort());
        await writer.client.append(`more ${i}`);
        await syncAnyway(writer);
        await reader.client.sync();
      }
      assert.deepEqual(writer.client.refusals, []);
      assert.deepEqual(reader.client.refusals, [], "nobody misses what was never sent");
      if (isDropped) assert.equal(await reader.client.stateCode(), await writer.client.stateCode());
    });
  }

  it("has no more acknowledged than it has, where the server takes what is being dropped", async () => {
    const server = new SimulatedServer();
    const clock = new JumpingClock();
    let dropping: (() => Promise<void>) | undefined;
    const fetch = intercepted(server, async ({ payload = [] }) => {
      if (!payload.some(({ length }) => length > 8000)) return undefined;
      if (dropping === undefined) return problem(413, "body-too-large");
      await dropping();
      return undefined;
    });
    const store = new MemoryStore();
    const writer = await apps.open(fetch, { clock, store });
    await sendEach(writer.client, ["zero"]);
    await writer.client.appendAll(["x".repeat(9000)]);
    await writer.client.append("after it");
    await syncAnyway(writer);
    const [tooLarge = assert.fail("nothing was too large")] = writer.client.tooLarge;
    dropping = () => writer.client.drop(tooLarge);
    await clock.sleep(HOURS, AbortSignal.abort());
    await writer.client.sync();
    const { own } = await store.load();
    assert.deepEqual(
      own.map(({ length, acknowledged }) => [length, acknowledged]),
      [
        [1, 1],
        [1, 1],
      ],
    );
  });

  it("can be named as one of which entries were read", async () => {
    const { cloned, id } = await copied();
    const to = cloned.client.client;
    const after = [{ client: id, index: 1, position: 0 }];
    assert.deepEqual(textsOf(await entriesOn(cloned.client, after)), [
      "of the copy",
      "two of the original",
    ]);
    assert.deepEqual(
      textsOf(await entriesOn(cloned.client, [...after, { client: to, index: 0, position: 0 }])),
      ["two of the original"],
    );
    assert.deepEqual(
      textsOf(
        await entriesOn(cloned.client, [
          { client: id, index: 2, position: 0 },
          { client: to, index: 0, position: 0 },
        ]),
      ),
      [],
    );
  });

  it("can be named so where nothing was received under it", async () => {
    const { writer, tooLarge } = await tooLargeOne();
    const entries = await entriesOn(writer.client, [{ ...tooLarge, position: 0 }]);
    assert.deepEqual(textsOf(entries), ["after it"]);
  });

  it("is delivered anew to an app that has lost everything", async () => {
    const { fetch, cloned, copy } = await copied();
    assert.deepEqual(cloned.received, ["two of the original"]);
    await cloned.client.close();
    const again = await apps.open(fetch, { store: copy, cursors: [] });
    await again.client.sync();
    assert.deepEqual(again.received, ["two of the original"]);
    assert.equal(again.client.status.state, "synced");
  });

  it("are those in use as well, once the last operation is dropped: nothing takes its place", async () => {
    const store = new MemoryStore();
    const outbox = await Outbox.open(store, apps.identity, await store.load());
    const { client } = outbox;
    for (const text of ["zero", "one"]) {
      await outbox.append([utf8(text)], 0);
      await outbox.sealWaiting();
    }
    await outbox.drop(client, 1);
    assert.notEqual(outbox.client, client);
    const { own } = await store.load();
    assert.deepEqual(
      own.map(({ length }) => length),
      [1, 0],
    );
    assert.equal(outbox.pending, 1);
  });
});
