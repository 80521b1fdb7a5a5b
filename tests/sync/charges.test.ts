/** What the requests of a user cost besides a token each. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MemoryDriver } from "../../storage/memory.ts";
import { fingerprintOf } from "../../sync/public-key.ts";
import { storeEach } from "../support/logs.ts";
import { inProcessServer } from "../support/signing.ts";
import { newClient, newUser } from "../support/users.ts";

/** As many pieces of 1 KiB as two tokens pay for. */
const TWO_MIB = 2048;

describe("the rate limit of a user", () => {
  it("charges 1 KiB for each operation brought, sent, or listed before an append is refused", async () => {
    const driver = new MemoryDriver();
    const settings = { RATE_LIMIT: "1", RATE_BURST: "1000" };
    const { send } = inProcessServer(settings, driver, { now: () => 0 });
    const user = newUser().base64;
    const [other, own, reader] = [newClient(), newClient(), newClient()];
    const payload = Array.from({ length: TWO_MIB }, () => "x");
    await storeEach(driver, fingerprintOf(user), other, payload);
    const known = { [other]: TWO_MIB, [own]: TWO_MIB };
    const ask = (members: object) =>
      send(JSON.stringify({ user, sync_status: known, ...members }), {
        "Content-Type": "application/json",
      });
    /** The whole tokens that are left after a poll that brings nothing. */
    const left = async () => {
      const { headers } = await ask({ client_id: reader });
      return Number(/;r=(\d+);/.exec(headers.get("ratelimit") ?? "")?.[1]);
    };

    let before = await left();
    for (const [what, members, status] of [
      ["brought", { client_id: own, operation_index: 0, payload }, 200],
      ["sent", { client_id: reader, sync_status: { [other]: TWO_MIB } }, 200],
      ["listed", { client_id: other, operation_index: TWO_MIB + 1, payload: "x" }, 409],
    ] as const) {
      assert.equal((await ask(members)).status, status, what);
      const after = await left();
      // A token for the request, two for its operations, and one for the poll.
      assert.equal(before - after, 4, what);
      before = after;
    }
  });
});
