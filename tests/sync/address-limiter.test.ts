/** Limits by network address: in steps, so that one customer is one, whatever network it was given. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { AddressLimiter } from "../../sync/address-limiter.ts";

/** A limiter with two tokens an address, and how many it gives out over a list of addresses. */
function taken(addresses: readonly string[], now: () => number = () => 0): number {
  const limiter = new AddressLimiter({ rate: 1, burst: 2, now });
  return addresses.filter((address) => {
    const isFree = limiter.retryAfter(address) === 0;
    if (isFree) limiter.charge(address, 1);
    return isFree;
  }).length;
}

const numbers = (count: number) => Array.from({ length: count }, (_, i) => i);
const hex = (number: number) => number.toString(16);

describe("a limit by network address", () => {
  it("gives each address its tokens", () => {
    assert.equal(taken(numbers(10).map(() => "192.0.2.1")), 2);
    assert.equal(taken(numbers(10).map((i) => `192.0.2.${i}`)), 10);
    assert.equal(taken(numbers(10).map(() => "2001:db8:0:1::/64")), 2);
  });

  it("gives the networks of a /56 four times, and those of a /48 sixteen times as many", () => {
    assert.equal(taken(numbers(256).map((i) => `2001:db8:0:${hex(i)}::/64`)), 8);
    assert.equal(taken(numbers(65_536).map((i) => `2001:db8:0:${hex(i)}::/64`)), 32);
    assert.equal(taken(numbers(40).map((i) => `2001:db8:${hex(i)}:1::/64`)), 40);
  });

  it("gives tokens back with time, and says when", () => {
    let seconds = 0;
    const limiter = new AddressLimiter({ rate: 0.5, burst: 1, now: () => seconds * 1000 });
    limiter.charge("192.0.2.1", 3);
    assert.equal(limiter.retryAfter("192.0.2.1"), 6);
    seconds = 6;
    assert.equal(limiter.retryAfter("192.0.2.1"), 0);
    assert.equal(limiter.retryAfter("192.0.2.2"), 0);
  });
});
