/** In which session an operation is sealed. */
import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import {
  beginSession,
  MAX_DISTANCE,
  NO_PREVIOUS,
  originOf,
  parseEnvelope,
  type Session,
} from "../../client/envelope.ts";
import type { Identity } from "../../client/index.ts";
import { MemoryStore } from "../../client/memory.ts";
import { Outbox } from "../../client/outbox.ts";
import { Sealer } from "../../client/sealer.ts";
import { utf8 } from "../../protocol/bytes.ts";
import { newIdentity } from "../support/private-keys.ts";
import { newClient } from "../support/users.ts";

describe("the session of an operation", () => {
  const client = newClient();
  const content = { entries: [utf8("a note")] };
  let identity: Identity;
  let session: Session;
  before(async () => {
    identity = await newIdentity();
    const origin = originOf(identity, client);
    session = await beginSession(identity, { origin, index: 3, previous: NO_PREVIOUS });
  });

  const distanceOf = (payload = "") => parseEnvelope(identity, payload)?.distance;
  const sealAt = async (index: number, stored: Session | undefined) => {
    const sealer = new Sealer(identity, async () => stored);
    return (await sealer.seal(client, index, NO_PREVIOUS, [content, content])).payloads;
  };

  it("is that of the operation before it, if there is one", async () => {
    assert.deepEqual((await sealAt(5, session)).map(distanceOf), [2, 3]);
    assert.deepEqual((await sealAt(5, undefined)).map(distanceOf), [0, 1]);
  });

  it("is a new one after as many as two bytes can count", async () => {
    const last = 3 + MAX_DISTANCE;
    assert.deepEqual((await sealAt(last, session)).map(distanceOf), [MAX_DISTANCE, 0]);
  });

  it("is a new one in front of a session that a failed append began", async () => {
    assert.deepEqual((await sealAt(2, session)).map(distanceOf), [0, 1]);
  });

  it("is a new one in the place of a draft with which one began, which was stored by another tab", async () => {
    const sealer = new Sealer(identity, async () => ({ ...session, header: undefined }));
    await sealer.seal(client, 4, NO_PREVIOUS, [content]);
    const { payloads } = await sealer.seal(client, 3, NO_PREVIOUS, [content]);
    assert.ok(payloads.every((payload) => parseEnvelope(identity, payload)?.header !== undefined));
  });

  it("is a new one under another client id", async () => {
    const sealer = new Sealer(identity, async () => undefined);
    await sealer.seal(client, 0, NO_PREVIOUS, [content]);
    const { payloads } = await sealer.seal(newClient(), 0, NO_PREVIOUS, [content]);
    assert.deepEqual(payloads.map(distanceOf), [0]);
  });

  it("goes on after a restart of the device", async () => {
    const store = new MemoryStore();
    for (const text of ["one", "two", "three"]) {
      const outbox = await Outbox.open(store, identity, await store.load());
      await outbox.append([utf8(text)], 1000);
      await outbox.sealWaiting();
    }
    const [own] = (await store.load()).own;
    const payloads = await store.read(own?.client ?? "", 0, 9, Number.POSITIVE_INFINITY);
    assert.deepEqual(payloads.map(distanceOf), [0, 1, 2]);
  });
});
