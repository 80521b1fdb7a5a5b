/**
 * The test vectors of ENVELOPE.md, checked twice: by the client, and by a receiver that shares no
 * code with it.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { identityOf } from "../../client/identity/identity.ts";
import type { Operation } from "../../client/operation.ts";
import type { Cursor } from "../../client/types.ts";
import { RunVerifier } from "../../client/verify.ts";
import { fromBase64url, toBase64url } from "../../protocol/base64.ts";
import {
  NOTHING,
  type ReceivedOperation,
  ReferenceReceiver,
} from "../support/reference-receiver.ts";
import small from "../vectors/envelope.json" with { type: "json" };
import large from "../vectors/envelope-3072.json" with { type: "json" };
import continuing from "../vectors/envelope-continues.json" with { type: "json" };
import vectors from "../vectors/refusals.json" with { type: "json" };

const buffer = (text: string) => Buffer.from(text, "base64url");
const identityIn = (pkcs8: string) =>
  identityOf(fromBase64url(pkcs8) ?? assert.fail("the key is not base64url"));

/** The entries and heads of an operation: those in the vectors, and what the receivers make of it. */
const inVectors = ({
  entries,
  heads,
}: Pick<(typeof small.operations)[number], "entries" | "heads">) => ({
  entries,
  heads: heads.map((head) => ({
    client: head.client_id,
    index: head.operation_index,
    tag: head.tag,
  })),
});
const inClient = ({ content: { entries, heads = [] } }: Operation) => ({
  entries: entries.map(toBase64url),
  heads,
});
const inReference = ({ entries, heads }: ReceivedOperation) => ({
  entries: entries.map((entry) => entry.toString("base64url")),
  heads,
});

/** A cursor of the vectors, or of the client, as the other receiver has it. */
function positionOf({
  tag,
  previous,
  session,
  ...rest
}: Pick<Cursor, "tag" | "previous" | "session"> & {
  readonly index?: number;
  readonly operation_index?: number;
}) {
  return {
    index: rest.index ?? rest.operation_index ?? -1,
    tag: buffer(tag),
    previous: buffer(previous),
    session: { first: session.first, wrapped: buffer(session.secret) },
  };
}

for (const [bits, { private_key_pkcs8, fingerprint, public_key, operations }] of [
  [2048, small],
  [3072, large],
] as const) {
  describe(`the vectors with a key of ${bits} bits`, () => {
    const client = operations[0]?.client_id ?? "";
    const expected = operations.map(inVectors);
    const tag = operations.at(-1)?.tag;

    it("open in the client", async () => {
      const identity = await identityIn(private_key_pkcs8);
      assert.equal(identity.bits, bits);
      assert.deepEqual([identity.fingerprint, identity.publicKey], [fingerprint, public_key]);
      const lines = operations.map(({ operation_index: index, payload }) => ({
        client,
        index,
        payload,
      }));
      const run = await new RunVerifier(identity).verify(client, lines, undefined);
      assert.equal(run.refusal, undefined);
      assert.deepEqual(run.operations.map(inClient), expected);
      assert.equal(run.cursor?.tag, tag);
    });

    it("open in a receiver written from ENVELOPE.md", () => {
      const receiver = new ReferenceReceiver(buffer(private_key_pkcs8));
      assert.equal(receiver.fingerprint.toString("base64url"), fingerprint);
      const { refusal, delivered, position } = receiver.receive(client, operations, NOTHING);
      assert.equal(refusal, undefined);
      assert.deepEqual(delivered.map(inReference), expected);
      assert.equal(position.tag.toString("base64url"), tag);
    });
  });
}

describe("the vectors of a client that continues others", () => {
  const { client_id: client, operations } = continuing;
  const expected = operations.map(inVectors);

  it("open in the client", async () => {
    const verifier = new RunVerifier(await identityIn(small.private_key_pkcs8));
    const lines = operations.map(({ operation_index: index, payload }) => {
      return { client, index, payload };
    });
    const run = await verifier.verify(client, lines, undefined);
    assert.equal(run.refusal, undefined);
    assert.deepEqual(run.operations.map(inClient), expected);
    const continues = continuing.continues.map((one) => {
      return { client: one.client_id, index: one.operation_index, tags: one.tags.join("") };
    });
    const [previous, tag] = operations.map((one) => one.tag);
    const session = run.cursor?.session;
    assert.deepEqual(run.cursor, { client, index: 1, tag, previous, session, continues });
  });

  it("open in a receiver written from ENVELOPE.md", () => {
    const receiver = new ReferenceReceiver(buffer(small.private_key_pkcs8));
    const run = receiver.receive(client, operations, NOTHING);
    assert.equal(run.refusal, undefined);
    assert.deepEqual(run.delivered.map(inReference), expected);
    const continues = continuing.continues.map((one) => {
      return { client: one.client_id, index: one.operation_index, tags: one.tags };
    });
    assert.deepEqual(run.continues, continues);
  });

  it("name operations of the other vectors", () => {
    const [{ client_id: old, operation_index: first, tags } = assert.fail()] = continuing.continues;
    for (const [i, tag] of tags.entries()) {
      const named = small.operations.find(
        (one) => one.client_id === old && one.operation_index === first + i,
      );
      assert.equal(named?.tag.slice(0, 20), tag);
    }
  });
});

describe("the vectors of refusals", () => {
  const payloads = new Map(Object.entries(vectors.payloads));
  const client = vectors.client_id;
  const receiver = new ReferenceReceiver(buffer(vectors.private_key_pkcs8));

  for (const { name, cursor, lines: named, delivered, unreadable, kind } of vectors.refusals) {
    const lines = named.map(({ operation_index, payload }) => ({
      operation_index,
      payload: payloads.get(payload) ?? assert.fail(`there is no payload ${payload}`),
    }));

    it(`${name}: ${kind ?? "unreadable"}`, async () => {
      const verifier = new RunVerifier(await identityIn(vectors.private_key_pkcs8));
      const run = await verifier.verify(
        client,
        lines.map(({ operation_index: index, payload }) => ({ client, index, payload })),
        cursor === null ? undefined : { ...cursor, client, index: cursor.operation_index },
      );
      assert.equal(run.operations.length, delivered);
      const index = lines[delivered + unreadable.length]?.operation_index;
      assert.deepEqual(run.refusal, kind === null ? undefined : { kind, client, index });
      assert.deepEqual(
        run.unreadable,
        unreadable.map((at) => ({ kind: "unreadable", client, index: at })),
      );

      const start = cursor === null ? NOTHING : positionOf(cursor);
      const reference = receiver.receive(client, lines, start);
      assert.equal(reference.delivered.length, delivered);
      assert.equal(reference.refusal, kind ?? undefined);
      assert.deepEqual(reference.unreadable, unreadable);
      assert.deepEqual(run.cursor === undefined ? NOTHING : positionOf(run.cursor), {
        ...reference.position,
        index: run.cursor?.index ?? -1,
      });
    });
  }

  it("have each kind, and thirty cases at least", () => {
    const kinds = new Set(vectors.refusals.map(({ kind }) => kind ?? "unreadable"));
    assert.deepEqual([...kinds].sort(), [
      "chain broken",
      "forged",
      "fork",
      "other version",
      "out of place",
      "unreadable",
    ]);
    assert.ok(vectors.refusals.length >= 30);
  });
});
