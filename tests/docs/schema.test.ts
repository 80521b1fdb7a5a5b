/** The JSON Schema of a request agrees with the server. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Ajv2020 } from "ajv/dist/2020.js";
import fc from "fast-check";
import schema from "../../protocol/sync-request.schema.json" with { type: "json" };
import { fences, read, section } from "../support/documents.ts";
import { type Serving, serveHere, sync } from "../support/http.ts";
import { newClient, newUser } from "../support/users.ts";

const validate = new Ajv2020({ strict: true }).compile(schema);

/** Faults that JSON Schema cannot state: a key that is none, R-4.2, R-4.3, R-4.4 and. */
const BEYOND_SCHEMA =
  /public key|PEM, base64|named twice|lone surrogates|is too high|member twice|must name the sender/;

describe("protocol/sync-request.schema.json", () => {
  const user = newUser().base64;
  let server: Serving;
  before(async () => {
    server = await serveHere();
  });
  after(() => server.close());

  /** Checks that schema and server judge a body alike, and returns whether it is valid. */
  async function judge(body: string): Promise<boolean> {
    const valid = validate(JSON.parse(body));
    const { status, problem } = await sync(server.url, body);
    if (status !== 400) assert.ok(valid, `the server accepts ${body}`);
    else if (valid) assert.match(JSON.stringify(problem.errors), BEYOND_SCHEMA, body);
    return status !== 400;
  }

  it("accepts the requests of PROTOCOL.md, except those that break a rule", async () => {
    const bodies = fences(section(read("PROTOCOL.md"), "Examples"))
      .map(({ body }) => /^POST .*?\n\n(\{.*\})$/ms.exec(body)?.[1])
      .filter((body) => body !== undefined);
    const invalid = [];
    for (const body of bodies) if (!(await judge(body))) invalid.push(body);
    assert.ok(bodies.length > 8);
    assert.deepEqual(
      invalid.map((body) => Object.keys(JSON.parse(body)).length),
      [5, 0],
    );
  });

  it("agrees with the server on any request", async () => {
    const numbers = [0, 1, 7.0, Number.MAX_SAFE_INTEGER, -1, 0.5, 2 ** 53, "0"];
    const index = fc.constantFrom<unknown>(...numbers);
    const id = fc.oneof(
      fc.uuid(),
      fc.uuid().map((text) => text.toUpperCase()),
      fc.constantFrom("", "phone", ` ${newClient()}`, `${newClient()}\n`, "__proto__"),
    );
    const text = fc.constantFrom<unknown>("a payload", "é\u0000", "\ud83d\ude00", "\ud800", "", 5);
    const wrong = fc.constantFrom<unknown>(undefined, null, true, 5, "", [], {}, [null]);
    const change = fc.oneof(
      fc.tuple(fc.constantFrom("user", "client_id", "payload", "sync_status", "more"), wrong),
      fc.tuple(fc.constant("client_id"), id),
      fc.tuple(fc.constant("operation_index"), fc.oneof(index, wrong)),
      fc.tuple(fc.constant("sync_status"), fc.dictionary(id, index, { maxKeys: 3 })),
      fc.tuple(fc.constant("payload"), fc.oneof(text, fc.array(text, { maxLength: 3 }))),
      fc.tuple(fc.constant("snapshots"), fc.oneof(wrong, fc.boolean())),
      fc.tuple(
        fc.constant("snapshot"),
        fc.oneof(
          wrong,
          fc.record({ covers: fc.oneof(wrong, fc.dictionary(id, index, { maxKeys: 3 })) }),
          fc.record({ covers: fc.constant({ [newClient()]: 0 }), more: wrong }),
        ),
      ),
    );
    const counts = { accepted: 0, refused: 0 };
    await fc.assert(
      fc.asyncProperty(fc.array(change, { maxLength: 3 }), async (changes) => {
        const right = { user, client_id: newClient(), operation_index: 0, payload: "x" };
        const body = JSON.stringify({ ...right, ...Object.fromEntries(changes) });
        counts[(await judge(body)) ? "accepted" : "refused"]++;
      }),
      { numRuns: 200 },
    );
    assert.ok(counts.accepted > 20 && counts.refused > 20, JSON.stringify(counts));
  });

  it("accepts a batch of 10,000 operations, and no larger one", async () => {
    for (const length of [10_000, 10_001]) {
      const payload = Array.from({ length }, () => "x");
      const body = { user, client_id: newClient(), operation_index: 0, payload };
      assert.equal(await judge(JSON.stringify(body)), length === 10_000);
    }
  });
});
