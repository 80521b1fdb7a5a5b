/** The vectors of a snapshot, checked by the client and by a receiver that shares no code with it. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isSnapshot } from "../../client/envelope.ts";
import { identityOf } from "../../client/identity/identity.ts";
import type { VerifiedRun } from "../../client/operation.ts";
import type { Continues, Cursor } from "../../client/types.ts";
import { RunVerifier } from "../../client/verify.ts";
import { fromBase64url, toBase64url } from "../../protocol/base64.ts";
import { NOTHING, type Received, ReferenceReceiver } from "../support/reference-receiver.ts";
import envelope from "../vectors/envelope.json" with { type: "json" };
import vectors from "../vectors/envelope-snapshot.json" with { type: "json" };

const { client_id: client, operations, positions } = vectors;
const [before, snapshot, after] = operations.map(({ operation_index, payload }) => {
  return { operation_index, payload };
});
const continued = (continues: typeof vectors.continues) =>
  continues.map((one) => {
    return { client: one.client_id, index: one.operation_index, tags: one.tags };
  });
const expected = positions.map(({ client_id, operation_index: index, continues, ...one }) => {
  return { ...one, client: client_id, index, continues: continued(continues) };
});
const withTags = (continues: readonly Continues[] = []) =>
  continues.map(({ tags, ...one }) => ({ ...one, tags: tags === "" ? [] : [tags] }));

async function verifier(): Promise<RunVerifier> {
  const key = fromBase64url(envelope.private_key_pkcs8) ?? assert.fail();
  return new RunVerifier(await identityOf(key));
}

const receiver = new ReferenceReceiver(Buffer.from(envelope.private_key_pkcs8, "base64url"));

type VectorLine = { readonly operation_index: number; readonly payload: string };
const line = ({ operation_index: index, payload }: VectorLine) => ({ client, index, payload });

function assertInClient(run: VerifiedRun): Cursor {
  assert.equal(run.refusal, undefined);
  const { content } = run.operations.find(({ index }) => index === 1) ?? assert.fail();
  const found = content.snapshot ?? assert.fail();
  assert.equal(toBase64url(found.state), vectors.state);
  const cursors = found.cursors.map((one) => ({ ...one, continues: withTags(one.continues) }));
  assert.deepEqual(cursors, expected);
  assert.deepEqual(withTags(run.cursor?.continues), continued(vectors.continues));
  return run.cursor ?? assert.fail();
}

function assertInReference({ refusal, delivered, continues }: Received): void {
  assert.equal(refusal, undefined);
  const { positions: found, state } =
    delivered.find((one) => one.snapshot !== undefined)?.snapshot ?? assert.fail();
  assert.equal(state.toString("base64url"), vectors.state);
  const cursors = found.map(({ tag, previous, session, ...one }) => ({
    ...one,
    tag: tag.toString("base64url"),
    previous: previous.toString("base64url"),
    session: { first: session?.first, secret: session?.wrapped.toString("base64url") },
  }));
  assert.deepEqual(cursors, expected);
  assert.deepEqual(continues, continued(vectors.continues));
}

describe("the vectors of a snapshot", () => {
  assert.ok(before && snapshot && after);

  it("open in the client, in their place and where an answer begins with the snapshot", async () => {
    const opener = await verifier();
    const whole = await opener.verify(client, operations.map(line), undefined);
    assert.equal(whole.operations.length, 3);
    const end = assertInClient(whole);
    const first = await opener.verifySnapshot(line(snapshot));
    const rest = await opener.verify(client, [line(after)], assertInClient(first));
    assert.deepEqual(rest.cursor, end);
  });

  it("open in a receiver written from ENVELOPE.md", () => {
    const whole = receiver.receive(client, operations, NOTHING);
    assert.equal(whole.delivered.length, 3);
    assertInReference(whole);
    const first = receiver.receiveFirst(client, snapshot);
    assertInReference(first);
    const rest = receiver.receive(client, [after], first.position);
    assert.equal(rest.refusal, undefined);
    assert.deepEqual(rest.position, whole.position);
  });

  it("are known as snapshots by their first byte", () => {
    assert.deepEqual(
      operations.map(({ payload }) => isSnapshot(payload)),
      [false, true, false],
    );
  });

  for (const { name, kind, payload } of vectors.refusals) {
    it(`${name}: ${kind}`, async () => {
      const opener = await verifier();
      const lines = [before, { ...snapshot, payload }];
      const run = await opener.verify(client, lines.map(line), undefined);
      assert.deepEqual(run.refusal, { kind, client, index: 1 });
      assert.equal(receiver.receive(client, lines, NOTHING).refusal, kind);
      const first = await opener.verifySnapshot(line({ ...snapshot, payload }));
      assert.notEqual(first.refusal, undefined);
    });
  }

  it("stand in no other place than their own, also where an answer begins with them", async () => {
    const opener = await verifier();
    const elsewhere = [
      { ...line(snapshot), index: 2 },
      { ...line(snapshot), client: vectors.positions[0]?.client_id ?? "" },
    ];
    for (const one of elsewhere) {
      assert.equal((await opener.verifySnapshot(one)).refusal?.kind, "forged");
      const { index: operation_index, payload } = one;
      const refusal = receiver.receiveFirst(one.client, { operation_index, payload }).refusal;
      assert.equal(refusal, "forged");
    }
  });

  it("follow the operation that they say, for a receiver that has another one", async () => {
    const another = { ...snapshot, payload: vectors.after_another };
    const opener = await verifier();
    assertInClient(await opener.verifySnapshot(line(another)));
    assertInReference(receiver.receiveFirst(client, another));
    const run = await opener.verify(client, [line(before), line(another)], undefined);
    assert.equal(run.refusal?.kind, "forged");
    assert.equal(receiver.receive(client, [before, another], NOTHING).refusal, "forged");
  });

  for (const { name, payload } of vectors.malformed) {
    it(`Content ${name}: unreadable`, async () => {
      const lines = [before, { ...snapshot, payload }];
      const run = await (await verifier()).verify(client, lines.map(line), undefined);
      assert.deepEqual(run.unreadable, [{ kind: "unreadable", client, index: 1 }]);
      assert.deepEqual(receiver.receive(client, lines, NOTHING).unreadable, [1]);
    });
  }
});
