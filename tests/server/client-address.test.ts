import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { ClientAddresses } from "../../server/http/client-address.ts";

/** What a request from an address, with some headers, counts under. */
function addressOf(
  ip: string | undefined,
  headers: Record<string, string> = {},
  proxies: readonly string[] = [],
): string {
  const request = Object.assign(new Request("http://localhost/sync", { headers }), { ip });
  return new ClientAddresses(proxies).of(request);
}

describe("the network address of a request", () => {
  const plain: [string | undefined, string][] = [
    ["192.0.2.1", "192.0.2.1"],
    ["::ffff:192.0.2.1", "192.0.2.1"],
    ["::ffff:c000:201", "192.0.2.1"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
    ["2001:DB8:1:2::6", "2001:db8:1:2::/64"],
    ["2001:0db8:0001:0002::6", "2001:db8:1:2::/64"],
    ["2001:db8::1", "2001:db8:0:0::/64"],
    ["2001:db8:1::2:3:4:5", "2001:db8:1:0::/64"],
    ["1:2:3::4:192.0.2.1", "1:2:3:0::/64"],
    ["::1", "0:0:0:0::/64"],
    ["::", "0:0:0:0::/64"],
    ["1::", "1:0:0:0::/64"],
    ["fe80::1%eth0", "fe80:0:0:0::/64"],
    [undefined, "unknown"],
  ];
  for (const [ip, expected] of plain) {
    it(`is ${expected} for ${ip}`, () => assert.equal(addressOf(ip), expected));
  }

  it("is that of the connection, whatever the headers say, unless it is a trusted proxy's", () => {
    const headers = { "X-Forwarded-For": "192.0.2.9", Forwarded: "for=192.0.2.9" };
    assert.equal(addressOf("192.0.2.1", headers), "192.0.2.1");
    assert.equal(addressOf("192.0.2.1", headers, ["192.0.2.2", "10.0.0.0/8"]), "192.0.2.1");
  });

  const PROXIES = ["127.0.0.1", "10.0.0.0/8", "fd00::/8"];
  const behindProxy: [string, Record<string, string>, string][] = [
    ["says nothing", {}, "127.0.0.1"],
    ["names one", { "X-Forwarded-For": "192.0.2.9" }, "192.0.2.9"],
    ["names one with a port", { "X-Forwarded-For": "192.0.2.9:4711" }, "192.0.2.9"],
    ["names an IPv6 one", { "X-Forwarded-For": "2001:db8::9" }, "2001:db8:0:0::/64"],
    ["names one in brackets", { "X-Forwarded-For": "[2001:db8::9]:80" }, "2001:db8:0:0::/64"],
    ["has a list, of which the last counts", { "X-Forwarded-For": "1.1.1.1, 2.2.2.2" }, "2.2.2.2"],
    [
      "stands behind others",
      { "X-Forwarded-For": "1.1.1.1,2.2.2.2 , 10.0.0.7,fd00::1" },
      "2.2.2.2",
    ],
    ["has only proxies in its list", { "X-Forwarded-For": "10.0.0.8,10.0.0.7" }, "10.0.0.8"],
    ["names an address in short form", { "X-Forwarded-For": "127.1" }, "127.0.0.1"],
    ["names no address", { "X-Forwarded-For": "unknown" }, "127.0.0.1"],
    [
      "names no address before a proxy",
      { "X-Forwarded-For": "1.1.1.1,nobody,10.0.0.7" },
      "10.0.0.7",
    ],
    ["says nothing in its header", { "X-Forwarded-For": " ,, " }, "127.0.0.1"],
    ["uses Forwarded", { Forwarded: "for=192.0.2.9;proto=https;by=10.0.0.1" }, "192.0.2.9"],
    ["quotes", { Forwarded: 'proto=https; For="[2001:db8::9]:47"' }, "2001:db8:0:0::/64"],
    ["uses Forwarded with a list", { Forwarded: "for=1.1.1.1, for=2.2.2.2;by=x" }, "2.2.2.2"],
    ["has commas in quotes", { Forwarded: 'for=2.2.2.2;by="a,for=3.3.3.3"' }, "2.2.2.2"],
    ["has quotes in quotes", { Forwarded: 'for=2.2.2.2;by="a\\",for=3.3.3.3"' }, "2.2.2.2"],
    [
      "follows an open quote of the client",
      { Forwarded: 'for="1.1.1.1, for="[2001:db8::9]:47"' },
      "2001:db8:0:0::/64",
    ],
    ["uses Forwarded with proxies", { Forwarded: "for=1.1.1.1,for=10.1.1.1" }, "1.1.1.1"],
    ["hides the client", { Forwarded: "for=1.1.1.1, for=_hidden" }, "127.0.0.1"],
    ["leaves the client out", { Forwarded: "for=1.1.1.1, proto=https" }, "127.0.0.1"],
    [
      "sets both alike",
      { Forwarded: "for=192.0.2.9", "X-Forwarded-For": "192.0.2.9" },
      "192.0.2.9",
    ],
    [
      "passes on a Forwarded that the client made up",
      { Forwarded: "for=6.6.6.6", "X-Forwarded-For": "192.0.2.9" },
      "127.0.0.1",
    ],
  ];
  for (const [what, headers, expected] of behindProxy) {
    it(`is ${expected} when the trusted proxy ${what}`, () => {
      assert.equal(addressOf("127.0.0.1", headers, PROXIES), expected);
      assert.equal(addressOf("::ffff:127.0.0.1", headers, PROXIES), expected);
    });
  }

  it("is behind a proxy that is trusted as a mapped IPv4 address or network", () => {
    const headers = { "X-Forwarded-For": "192.0.2.9" };
    for (const proxy of ["::ffff:10.0.0.1", "::ffff:10.0.0.0/104"]) {
      assert.equal(addressOf("10.0.0.1", headers, [proxy]), "192.0.2.9");
      assert.equal(addressOf("11.0.0.1", headers, [proxy]), "11.0.0.1");
    }
  });

  it("is a short text for any headers", () => {
    const value = fc.string({ unit: fc.constantFrom(...'0123456789abf.:,;="[]%/ for_') });
    fc.assert(
      fc.property(fc.ipV6(), value, value, (ip, forwarded, forwardedFor) => {
        const headers = { Forwarded: forwarded, "X-Forwarded-For": forwardedFor };
        assert.match(addressOf(ip, headers, ["0.0.0.0/0", "::/0"]), /^[0-9a-f.:]{2,24}(\/64)?$/);
      }),
    );
  });

  it("is the same for all addresses of one IPv6 /64", () => {
    const group = fc.nat(0xffff).map((value) => value.toString(16));
    const four = fc.tuple(group, group, group, group);
    fc.assert(
      fc.property(four, four, four, (network, one, other) => {
        const at = (host: string[]) => addressOf([...network, ...host].join(":"));
        const canonical = new URL(`http://[${[...network, ...one].join(":")}]`).hostname;
        assert.equal(at(one), at(other));
        assert.equal(at(one), addressOf(canonical.slice(1, -1)));
      }),
    );
  });
});
