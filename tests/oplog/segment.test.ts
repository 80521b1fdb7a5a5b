import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { OperationGap } from "../../oplog/append-plan.ts";
import { segmentChecksums } from "../../oplog/checksums.ts";
import { formatName, type ObjectName } from "../../oplog/names.ts";
import { ObjectDamaged } from "../../oplog/object-cache.ts";
import { encodeSegment, Segment, SegmentMalformed } from "../../oplog/segment.ts";
import { MemoryDriver } from "../../storage/memory.ts";
import { fingerprintOf } from "../../sync/public-key.ts";
import { type Operation, serveHere, sync } from "../support/http.ts";
import { listingsOn, logOver, objectsOn } from "../support/logs.ts";
import { operationsOf } from "../support/operations.ts";
import { share, sharedPositions } from "../support/share.ts";
import { postRaw } from "../support/socket.ts";
import { newClient, newUser, someFingerprint } from "../support/users.ts";

const user = someFingerprint();
const client = newClient();

/** Any payload: a text without lone surrogates. */
const payload = fc.oneof(
  fc.string({ unit: "binary", minLength: 1 }),
  fc.constantFrom(
    "\n",
    "\r\n",
    "\\n",
    '"',
    '","payload":"',
    "\ufeff",
    "\0",
    "\u2028",
    "🔒",
    "}\n{",
    "x".repeat(10_000),
  ),
);
const payloads = fc.array(payload, { minLength: 2, maxLength: 8 });
const first = fc.oneof(fc.nat(1000), fc.constant(Number.MAX_SAFE_INTEGER - 7));

function nameFor(first: number, count: number, body: Uint8Array, of = user): ObjectName {
  return { user: of, client, first, last: first + count - 1, ...segmentChecksums(body) };
}

/** The name that earlier versions stored a segment under. */
function withoutCrc32({ crc32: _, ...name }: ObjectName): ObjectName {
  return name;
}

describe("a segment", () => {
  it("returns every payload that it was made of", () => {
    fc.assert(
      fc.property(first, payloads, (first, some) => {
        const body = encodeSegment(client, first, some);
        const segment = new Segment(nameFor(first, some.length, body), body);
        some.forEach((payload, i) => {
          assert.equal(segment.payload(first + i), payload);
        });
      }),
      { numRuns: share(300) },
    );
  });

  it("is the lines of a response, and a part of it is the lines of its operations", () => {
    fc.assert(
      fc.property(first, payloads, (first, some) => {
        const body = encodeSegment(client, first, some);
        const segment = new Segment(nameFor(first, some.length, body), body);
        const line = (i: number) =>
          `${JSON.stringify({ client_id: client, operation_index: first + i, payload: some[i] })}\n`;
        for (let from = 0; from < some.length; from++) {
          for (let to = from; to < some.length; to++) {
            const expected = Array.from({ length: to - from + 1 }, (_, i) => line(from + i));
            const lines = segment.lines(first + from, first + to);
            assert.equal(Buffer.from(lines).toString(), expected.join(""));
          }
        }
      }),
    );
  });

  it("has no operation before its first or after its last", () => {
    const body = encodeSegment(client, 5, ["five", "six"]);
    const segment = new Segment(nameFor(5, 2, body), body);
    assert.throws(() => segment.payload(4), RangeError);
    assert.throws(() => segment.payload(7), RangeError);
    assert.throws(() => segment.lines(5, 7), RangeError);
  });

  const whole = encodeSegment(client, 0, ["zero", "one", "two"]);
  const malformed: [string, Uint8Array, number][] = [
    ["fewer lines than its name says", whole, 4],
    ["more lines than its name says", whole, 2],
    ["no line feed at its end", whole.subarray(0, -1), 3],
    ["something behind its last line", Buffer.concat([whole, Buffer.from("x")]), 3],
    ["an empty line", Buffer.concat([whole, Buffer.from("\n")]), 3],
    ["nothing in it", new Uint8Array(0), 2],
  ];
  for (const [what, body, count] of malformed) {
    it(`is refused with ${what}`, () => {
      assert.throws(() => new Segment(nameFor(0, count, body), body), SegmentMalformed);
    });
  }

  it("is refused where the line of an operation has no payload", () => {
    const body = Buffer.from('{"payload":1}\nnull\n');
    const segment = new Segment(nameFor(0, 2, body), body);
    assert.throws(() => segment.payload(0), SegmentMalformed);
    assert.throws(() => segment.payload(1), SegmentMalformed);
  });
});

describe("a damaged segment", () => {
  const some = ["zero", "one \n", "two"];
  const body = encodeSegment(client, 0, some);

  const names = {
    "with a CRC-32 in its name": nameFor(0, some.length, body),
    "without a CRC-32": withoutCrc32(nameFor(0, some.length, body)),
  };
  for (const [which, name] of Object.entries(names)) {
    it(`is detected whichever of its bytes has changed, and none of it is used: ${which}`, async () => {
      for (const at of sharedPositions(body.byteLength)) {
        const driver = new MemoryDriver();
        const damaged = body.slice();
        damaged[at] = (damaged[at] ?? 0) ^ (1 << (at % 8));
        await driver.put(formatName(name), damaged);
        const objects = objectsOn(driver, 1000);
        const log = logOver(listingsOn(driver), objects);
        await assert.rejects(objects.get(name), ObjectDamaged);
        // Read whole, in part, and compared with a retry.
        const others = [-1, 0, 1].map(
          (known) => [known, logOver(listingsOn(driver), objects)] as const,
        );
        for (const [known, log] of others) {
          const reading = await log.read(user, new Map([[client, known]]));
          await assert.rejects(operationsOf(reading), ObjectDamaged);
          assert.deepEqual(await operationsOf(await reading.again()), []);
        }
        // Nothing of it counts as stored: the operations are asked for again.
        await assert.rejects(log.append(user, client, 1, ["one \n"]), OperationGap);
      }
    });

    it(`is detected when it was truncated or has grown: ${which}`, async () => {
      for (const damaged of [
        ...[0, 1, body.byteLength - 1].map((end) => body.slice(0, end)),
        Buffer.concat([body, body]),
      ]) {
        const driver = new MemoryDriver();
        await driver.put(formatName(name), damaged);
        await assert.rejects(objectsOn(driver).get(name), ObjectDamaged);
      }
    });
  }

  it("breaks off a response before its lines", async () => {
    const key = newUser().base64;
    const of = fingerprintOf(key);
    const driver = new MemoryDriver();
    const before = Array.from({ length: 40 }, (_, i) => `${i}${"x".repeat(200_000)}`);
    const good = encodeSegment(client, 0, before);
    await driver.put(formatName(nameFor(0, before.length, good, of)), good);
    const lines = encodeSegment(client, before.length, ["sealed", "sealed too"]);
    const damaged = Buffer.from(Buffer.from(lines).toString().replace("sealed too", "SEALED too"));
    await driver.put(formatName(nameFor(before.length, 2, lines, of)), damaged);
    const server = await serveHere({ OBJECT_CACHE_BYTES: "0", COMPACTION: "off" }, driver);
    try {
      const response = postRaw(server.port, { user: key, client_id: newClient() });
      let text = "";
      response.socket.on("data", (data) => {
        text += data.toString("latin1");
      });
      assert.equal(await response.complete, false, "the response says that it is whole");
      assert.ok(!text.includes("sealed") && !text.includes("SEALED"));
      // The reader knows all operations before the damaged segment.
      const rest = postRaw(server.port, {
        user: key,
        client_id: newClient(),
        sync_status: { [client]: before.length - 1 },
      });
      let answer = "";
      rest.socket.on("data", (data) => {
        answer += data.toString("latin1");
      });
      const complete = await rest.complete;
      assert.ok(complete && answer.startsWith("HTTP/1.1 200 "), answer);
      assert.match(answer, /operation-count: 0\r\n/i);
      assert.ok(!answer.includes("ealed"), answer);
      // A retry does not count as stored: it is stored beside what is damaged.
      const retry = await sync(server.url, {
        user: key,
        client_id: client,
        operation_index: before.length,
        payload: "sealed",
      });
      assert.equal(retry.status, 200);
      assert.equal((await driver.list("")).length, 3);
      assert.ok(server.log.some((entry) => entry.includes("ObjectDamaged")));
    } finally {
      await server.close();
    }
  });
});

describe("a segment in a log", () => {
  it("is sent byte for byte as it is stored, from the line that the reader needs", async () => {
    await fc.assert(
      fc.asyncProperty(payloads, async (some) => {
        const driver = new MemoryDriver();
        const body = encodeSegment(client, 0, some);
        await driver.put(formatName(nameFor(0, some.length, body)), body);
        const log = logOver(listingsOn(driver), objectsOn(driver));
        const { lines } = await log.read(user, new Map());
        const chunks: Uint8Array[] = [];
        for await (const chunk of lines) chunks.push(chunk);
        assert.deepEqual(Buffer.concat(chunks), Buffer.from(body));
        for (let known = 0; known < some.length; known++) {
          const rest = await operationsOf(await log.read(user, new Map([[client, known]])));
          assert.deepEqual(
            rest,
            some
              .map(
                (payload, operation_index): Operation => ({
                  client_id: client,
                  operation_index,
                  payload,
                }),
              )
              .slice(known + 1),
          );
        }
      }),
    );
  });
});
