/** Signed requests: which are accepted, and how the others are answered. */
import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import {
  assertRefused,
  atNow,
  flipped,
  NOW,
  replace,
  sendSigned,
} from "../support/signed-requests.ts";
import {
  COMPONENTS,
  type Deviations,
  digestOf,
  type FullAnswer,
  type InProcessServer,
  inProcessServer,
  SERVER,
  type SigningUser,
  signedHeaders,
  syncBody,
  twoSigningUsers,
} from "../support/signing.ts";

let user: SigningUser;
let other: SigningUser;
before(async () => {
  [user, other] = await twoSigningUsers();
});

describe("a signed request", () => {
  it("is accepted beside a field that no signature can cover", async () => {
    const { status, text } = await sendSigned(user, atNow(), {}, (headers) => ({
      ...headers,
      "X-Name": "\xe9",
    }));
    assert.equal(status, 200, text);
  });

  const accepted: [string, Deviations][] = [
    ["as PROTOCOL.md says", {}],
    ["its components in another order", { components: COMPONENTS.toReversed() }],
    ["no alg", { alg: null }],
    ["parameters of its own", { more: 'nonce="n";tag="t"' }],
    ["a time five minutes ago", { created: NOW - 300 }],
    ["a time in five minutes", { created: NOW + 300 }],
    ["an end that is just now", { expires: NOW }],
    ["an end long after its five minutes", { expires: NOW + 1_000_000 }],
  ];
  for (const [what, deviations] of accepted) {
    it(`is accepted with ${what}`, async () => {
      const { status, text } = await sendSigned(user, atNow(), deviations);
      assert.equal(status, 200, text);
    });
  }

  it("is accepted with a sha-512 of its body, with both digests, and with unknown ones beside them", async () => {
    const body = syncBody(user);
    const fields = [
      digestOf(body, "sha-512"),
      `${digestOf(body)}, ${digestOf(body, "sha-512")}`,
      `md5=:AAAA:, ${digestOf(body)}`,
    ];
    for (const contentDigest of fields) {
      const change = (headers: Record<string, string>) => ({
        ...headers,
        "Content-Digest": contentDigest,
      });
      const { status, text } = await sendSigned(user, atNow(), { contentDigest }, change, body);
      assert.equal(status, 200, text);
    }
  });

  const altered: [string, string, (headers: Record<string, string>) => Record<string, string>][] = [
    [
      "its content type",
      "signature",
      (headers) => ({ ...headers, "Content-Type": "application/json; charset=utf-8" }),
    ],
    [
      "its digest, by one of the same body",
      "signature",
      (headers) => ({
        ...headers,
        "Content-Digest": `${headers["Content-Digest"]}, unknown=:AAAA:`,
      }),
    ],
    [
      "its digest, by one of another body",
      "digest",
      (h) => ({ ...h, "Content-Digest": digestOf("{}") }),
    ],
    ["its time", "signature", (h) => replace(h, `created=${NOW}`, `created=${NOW + 1}`)],
    ["its algorithm, by none", "signature", (h) => replace(h, ';alg="rsa-pss-sha512"', "")],
    ["its algorithm, by another", "algorithm", (h) => replace(h, "rsa-pss-sha512", "hmac-sha256")],
    ["its keyid", "key", (h) => replace(h, user.fingerprint, other.fingerprint)],
    [
      "the order of its components",
      "signature",
      (h) => replace(h, '"@method" "@authority"', '"@authority" "@method"'),
    ],
    [
      "its parameters, by one more",
      "signature",
      (h) => replace(h, `created=${NOW}`, `created=${NOW};tag="t"`),
    ],
    [
      "its parameters, by an end that is near",
      "signature",
      (h) => replace(h, `created=${NOW}`, `created=${NOW};expires=${NOW}`),
    ],
    [
      "its signature, by one bit",
      "signature",
      (h) => ({ ...h, Signature: flipped(h.Signature ?? "") }),
    ],
  ];
  for (const [what, check, change] of altered) {
    it(`is refused when ${what} is altered`, async () => {
      const server = atNow();
      assertRefused(user, await sendSigned(user, server, {}, change), check);
      assert.deepEqual(await server.driver.list(""), []);
    });
  }

  it("T-13 is refused when its body is altered", async () => {
    const server = atNow();
    const body = syncBody(user, { operation_index: 0, payload: "a payload" });
    const headers = await signedHeaders(user, { url: SERVER, body }, { created: NOW });
    assertRefused(
      user,
      await server.send(body.replace("a payload", "b payload"), headers),
      "digest",
    );
    assert.deepEqual(await server.driver.list(""), []);
  });

  it("T-13 is refused when its method is altered", async () => {
    const server = atNow();
    const body = JSON.stringify({ user: user.base64 });
    const headers = await signedHeaders(user, { url: SERVER, body }, { created: NOW });
    assertRefused(user, await server.send(body, headers, "DELETE"), "signature");
    assert.deepEqual(await server.driver.list(""), []);
  });

  it("T-13 is refused when its path is altered", async () => {
    assertRefused(user, await sendSigned(user, atNow(), { path: "/other" }), "signature");
  });

  it("is refused by another server with another name", async () => {
    const server = atNow();
    const answer = await sendSigned(
      user,
      server,
      {},
      undefined,
      undefined,
      "http://other.example/sync",
    );
    assertRefused(user, answer, "signature");
    assert.match(
      String(answer.problem.detail),
      /over POST \/sync at other\.example\. If you use another address, have the server's PUBLIC_URL set to it\./,
    );
    const { authority, path } = answer.problem;
    assert.deepEqual({ authority, path }, { authority: "other.example", path: "/sync" });
    assert.deepEqual(await server.driver.list(""), []);
  });

  it("T-17 is refused by another server with a PUBLIC_URL, whatever Host says", async () => {
    const server = atNow({ PUBLIC_URL: "https://other.example" });
    const answer = await sendSigned(user, server);
    assertRefused(user, answer, "authority");
    assert.match(
      String(answer.problem.detail),
      /is for sync\.example\/sync, and this is other\.example\/sync\. Use that address, or have the server's PUBLIC_URL corrected\./,
    );
    const { authority, path } = answer.problem;
    assert.deepEqual({ authority, path }, { authority: "other.example", path: "/sync" });
    assert.deepEqual(await server.driver.list(""), []);
  });

  it("is accepted for the PUBLIC_URL with its path, whatever Host says", async () => {
    const server = atNow({ PUBLIC_URL: "https://sync.example/behind/a/" });
    const deviations = { path: "/behind/a/sync" };
    const answer = await sendSigned(
      user,
      server,
      deviations,
      undefined,
      undefined,
      "http://10.0.0.7:81/sync",
    );
    assert.equal(answer.status, 200, answer.text);
    assertRefused(user, await sendSigned(user, server, {}), "authority");
    assertRefused(user, await sendSigned(user, server, { path: "/elsewhere/sync" }), "signature");
  });

  it("leads to one line of the log that says what to change, where the address may be wrong", async () => {
    const elsewhere = "http://10.0.0.7:81/sync";
    const servers: [InProcessServer, RegExp][] = [
      [atNow(), /if clients use another address, set PUBLIC_URL/],
      [atNow({ PUBLIC_URL: "https://other.example" }), /than PUBLIC_URL: correct one of them/],
    ];
    for (const [server, advice] of servers) {
      const url = advice.source.startsWith("if") ? elsewhere : SERVER;
      for (let i = 0; i < 3; i++)
        assert.equal((await sendSigned(user, server, {}, undefined, undefined, url)).status, 401);
      const lines = server.log.map((line) => JSON.parse(line)).filter(({ advice }) => advice);
      assert.equal(lines.length, 1);
      assert.match(lines[0].advice, advice);
    }
    // A key that is wrong where the address is right is the client's own fault.
    const server = atNow({ PUBLIC_URL: new URL(SERVER).origin });
    assertRefused(user, await sendSigned(user, server, { path: "/other" }), "signature");
    assert.ok(!server.log.some((line) => line.includes("advice")));
  });

  it("T-07 is refused for any user but the one who signed", async () => {
    const server = atNow();
    const body = syncBody(user);
    const claims = [{}, { keyid: user.fingerprint }];
    const checks = ["key", "signature"];
    for (const [i, deviations] of claims.entries()) {
      const headers = await signedHeaders(
        other,
        { url: SERVER, body },
        { created: NOW, ...deviations },
      );
      assertRefused(user, await server.send(body, headers), checks[i]);
    }
    assert.deepEqual(await server.driver.list(""), []);
  });

  it("T-14 may be replayed: what it appends is stored once", async () => {
    const server = atNow();
    const body = syncBody(user, { operation_index: 0, payload: "a payload" });
    const headers = await signedHeaders(user, { url: SERVER, body }, { created: NOW });
    const first = await server.send(body, headers);
    const objects = await server.driver.list("");
    const second = await server.send(body, headers);
    assert.deepEqual([first.status, second.status], [200, 200]);
    assert.deepEqual(await server.driver.list(""), objects);
  });
});

describe("metrics and log", () => {
  it("T-23 count signatures by their check, and name no user", async () => {
    const server = atNow();
    await server.unsigned(other);
    for (const deviations of [{}, { created: 0 }, { path: "/" }])
      await sendSigned(user, server, deviations);
    const response = await server.handler.fetch(new Request("http://sync.example/metrics"));
    const text = await response.text();
    for (const result of ["valid", "none", "clock", "signature"]) {
      assert.match(text, new RegExp(`^sync_signatures_total{result="${result}"} 1$`, "m"));
    }
    assert.match(text, /^sync_signatures_total{result="digest"} 0$/m);
    assert.match(text, /^sync_users_total{event="locked"} 1$/m);
    const all = text + server.log.join("");
    for (const { base64, fingerprint } of [user, other]) {
      assert.ok(!all.includes(base64.slice(0, 64)) && !all.includes(base64.slice(-64)));
      assert.ok(!text.includes(fingerprint.slice(0, 8)) && !all.includes(fingerprint));
    }
  });
});

describe("the rate limit of a user who signs", () => {
  it("T-08 is not used up by senders with only the public key", async () => {
    const server = inProcessServer({ RATE_LIMIT: "0.001", RATE_BURST: "3" }, undefined, {
      time: () => NOW * 1000,
      now: () => 0,
    });
    const statuses = async (send: () => Promise<FullAnswer>) => {
      const answers = [await send(), await send(), await send()];
      return answers.map(({ status }) => status);
    };
    assert.deepEqual(await statuses(() => server.unsigned(user)), [200, 200, 429]);
    assert.deepEqual(
      await statuses(() => sendSigned(user, server, { path: "/" })),
      [401, 401, 401],
    );
    assert.deepEqual(await statuses(() => server.signed(user)), [200, 200, 429]);
  });
});

describe("a server that requires signatures of everyone", () => {
  it("refuses an unsigned request before it asks storage", async () => {
    const server = atNow({ SIGNATURES: "required" });
    const answer = await server.unsigned(user, { operation_index: 0, payload: "a payload" });
    assertRefused(user, answer, undefined);
    const response = await server.handler.fetch(new Request("http://sync.example/metrics"));
    assert.match(await response.text(), /^sync_storage_requests_total{kind="list"} 0$/m);
    assert.equal((await server.signed(user)).status, 200);
  });
});
