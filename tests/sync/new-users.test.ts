import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MemoryHub } from "../../cluster/memory.ts";
import { AddressLimiter } from "../../sync/address-limiter.ts";
import { NewUsers } from "../../sync/new-users.ts";
import { NewUsersLimited } from "../../sync/rate-limiter.ts";

describe("new users of a network address", () => {
  it("count on a server that has lost the others from where they were together", async () => {
    const hub = new MemoryHub(() => 0);
    const limiter = new AddressLimiter({ rate: 1 / 3600, burst: 2, now: () => 0 });
    const newUsers = new NewUsers(limiter, hub.join());
    assert.equal(await newUsers.countShared("192.0.2.1"), undefined);
    hub.reachable = false;
    assert.equal(await newUsers.countShared("192.0.2.1"), undefined);
    assert.ok((await newUsers.countShared("192.0.2.1")) instanceof NewUsersLimited);
  });
});
