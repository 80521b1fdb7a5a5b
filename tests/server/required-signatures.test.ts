/** What a server that requires signatures of everyone tells a stranger who knows a public key. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MemoryDriver } from "../../storage/memory.ts";
import { HookedDriver } from "../support/drivers.ts";
import { NOW } from "../support/signed-requests.ts";
import { inProcessServer, newSigningUser, SERVER, signedHeaders } from "../support/signing.ts";
import { newClient } from "../support/users.ts";

const clocks = { time: () => NOW * 1000, now: () => 0 };
const append = { operation_index: 0, payload: "a payload" };

describe("a server that requires signatures of everyone", () => {
  it("T-55 gives a stranger one answer, whether a key is new, has data, has signed or has left", async () => {
    const driver = new HookedDriver(new MemoryDriver());
    const before = inProcessServer({}, driver, clocks);
    const [fresh, data, signed, erased, stranger] = await Promise.all([
      newSigningUser(),
      newSigningUser(),
      newSigningUser(),
      newSigningUser(),
      newSigningUser(),
    ]);
    assert.equal((await before.unsigned(data, append)).status, 200);
    assert.equal((await before.signed(signed, append)).status, 200);
    assert.equal((await before.erase(erased)).status, 204);

    // All of them are full here.
    const settings = { SIGNATURES: "required", QUOTA_BYTES: "1", RATE_LIMIT: "20" };
    const server = inProcessServer(settings, driver, clocks);
    driver.calls.length = 0;
    const client_id = newClient();
    const requests: [string, Record<string, unknown>][] = [
      ["POST", { client_id }],
      ["POST", { client_id, ...append }],
      ["DELETE", {}],
    ];
    for (const [method, members] of requests) {
      for (const isSigned of [false, true]) {
        const answers = new Set<string>();
        for (const { base64, fingerprint } of [fresh, data, signed, erased]) {
          const body = JSON.stringify({ ...members, user: base64 });
          const deviations = { created: NOW, keyid: fingerprint };
          const headers = isSigned
            ? await signedHeaders(stranger, { url: SERVER, method, body }, deviations)
            : { "Content-Type": "application/json" };
          const answer = await server.send(body, headers, method);
          assert.equal(answer.status, 401, answer.text);
          // It is random.
          answer.headers.delete("request-id");
          const all = JSON.stringify([[...answer.headers].sort(), answer.text]);
          answers.add(all.replaceAll(fingerprint, "FINGERPRINT"));
        }
        assert.equal(answers.size, 1, [...answers].join("\n"));
      }
    }
    assert.equal(driver.calls.length, 0);
  });
});
