/** Signed requests: which are accepted, and how the others are answered. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { MemoryDriver } from "../../storage/memory.ts";
import { temporaryFolder } from "../support/folder.ts";
import { serveHere } from "../support/http.ts";
import { LARGE_KEYS, LARGE_KEYS_CLIENT, LARGE_KEYS_CREATED } from "../support/large-keys.ts";
import { startServer } from "../support/process.ts";
import { overSocket, parsed } from "../support/requests.ts";
import {
  COMPONENTS,
  type Deviations,
  digestOf,
  type FullAnswer,
  type InProcessServer,
  inProcessServer,
  newSigningUser,
  SERVER,
  type SigningUser,
  signedHeaders,
  signingUser,
  syncBody,
} from "../support/signing.ts";

const NOW = 1_800_000_000;

let user: SigningUser;
let other: SigningUser;
before(async () => {
  [user, other] = await Promise.all([newSigningUser(), newSigningUser()]);
});

/** A server whose clock stands still. */
function atNow(settings: Record<string, string> = {}): InProcessServer & { driver: MemoryDriver } {
  const driver = new MemoryDriver();
  return { driver, ...inProcessServer(settings, driver, { time: () => NOW * 1000 }) };
}

/** Checks what holds for every 401. */
function checkRefused(
  { status, headers, problem, text }: FullAnswer,
  check: string | undefined,
): void {
  assert.equal(status, 401, text);
  const type = check === undefined ? "signature-required" : "signature-invalid";
  assert.equal(problem.type, `urn:sync-server:${type}`);
  assert.equal(problem.check, check, text);
  assert.match(String(problem.detail), /Nothing was stored\. Sign .*as Accept-Signature says\.$/);
  assert.equal(headers.get("date"), new Date(NOW * 1000).toUTCString());
  assert.equal(headers.get("www-authenticate"), "Signature");
  assert.equal(
    headers.get("accept-signature"),
    `sig=("@method" "@authority" "@path" "content-type" "content-digest");created;keyid="${user.fingerprint}";alg="rsa-pss-sha512"`,
  );
}

/** A request with a valid signature but for some deviations. */
async function ask(
  server: InProcessServer,
  deviations: Deviations = {},
  change: (headers: Record<string, string>) => Record<string, string> = (headers) => headers,
  body = syncBody(user, { operation_index: 0, payload: "a payload" }),
  url = SERVER,
): Promise<FullAnswer> {
  const right = { created: NOW, ...deviations };
  const headers = await signedHeaders(user, { url: SERVER, body }, right);
  return server.send(body, change(headers), "POST", url);
}

describe("a signed request", () => {
  it("is accepted beside a field that no signature can cover", async () => {
    const { status, text } = await ask(atNow(), {}, (headers) => ({
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
      const { status, text } = await ask(atNow(), deviations);
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
      const { status, text } = await ask(atNow(), { contentDigest }, change, body);
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
      checkRefused(await ask(server, {}, change), check);
      assert.deepEqual(await server.driver.list(""), []);
    });
  }

  it("T-13 is refused when its body is altered", async () => {
    const server = atNow();
    const body = syncBody(user, { operation_index: 0, payload: "a payload" });
    const headers = await signedHeaders(user, { url: SERVER, body }, { created: NOW });
    checkRefused(await server.send(body.replace("a payload", "b payload"), headers), "digest");
    assert.deepEqual(await server.driver.list(""), []);
  });

  it("T-13 is refused when its method is altered", async () => {
    const server = atNow();
    const body = JSON.stringify({ user: user.base64 });
    const headers = await signedHeaders(user, { url: SERVER, body }, { created: NOW });
    checkRefused(await server.send(body, headers, "DELETE"), "signature");
    assert.deepEqual(await server.driver.list(""), []);
  });

  it("T-13 is refused when its path is altered", async () => {
    checkRefused(await ask(atNow(), { path: "/other" }), "signature");
  });

  it("is refused by another server with another name", async () => {
    const server = atNow();
    const answer = await ask(server, {}, undefined, undefined, "http://other.example/sync");
    checkRefused(answer, "signature");
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
    const answer = await ask(server);
    checkRefused(answer, "authority");
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
    const answer = await ask(server, deviations, undefined, undefined, "http://10.0.0.7:81/sync");
    assert.equal(answer.status, 200, answer.text);
    checkRefused(await ask(server, {}), "authority");
    checkRefused(await ask(server, { path: "/elsewhere/sync" }), "signature");
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
        assert.equal((await ask(server, {}, undefined, undefined, url)).status, 401);
      const lines = server.log.map((line) => JSON.parse(line)).filter(({ advice }) => advice);
      assert.equal(lines.length, 1);
      assert.match(lines[0].advice, advice);
    }
    // A key that is wrong where the address is right is the client's own fault.
    const server = atNow({ PUBLIC_URL: new URL(SERVER).origin });
    checkRefused(await ask(server, { path: "/other" }), "signature");
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
      checkRefused(await server.send(body, headers), checks[i]);
    }
    assert.deepEqual(await server.driver.list(""), []);
  });

  const late: [string, Deviations][] = [
    ["a time five minutes and a second ago", { created: NOW - 301 }],
    ["a time in five minutes and a second", { created: NOW + 301 }],
    ["no time", { created: null }],
    ["an end that was a second ago", { expires: NOW - 1 }],
  ];
  for (const [what, deviations] of late) {
    it(`T-15 is refused by the clock check with ${what}`, async () => {
      checkRefused(await ask(atNow(), deviations), "clock");
    });
  }

  for (const component of COMPONENTS) {
    it(`is refused when it does not cover ${component}`, async () => {
      const components = COMPONENTS.filter((name) => name !== component);
      const answer = await ask(atNow(), { components });
      checkRefused(answer, "components");
      assert.ok(String(answer.problem.detail).includes(`does not cover ${component}.`));
    });
  }

  const malformed: [string, string, (headers: Record<string, string>) => Record<string, string>][] =
    [
      ["a signature but no input", "format", ({ "Signature-Input": _, ...rest }) => rest],
      ["an input but no signature", "format", ({ Signature: _, ...rest }) => rest],
      ["an empty signature", "format", (h) => ({ ...h, Signature: "" })],
      ["a signature that is no byte sequence", "format", (h) => ({ ...h, Signature: "sig=AAAA" })],
      ["an input that is no list", "format", (h) => ({ ...h, "Signature-Input": "sig=1" })],
      [
        "an input that is cut off",
        "format",
        (h) => ({ ...h, "Signature-Input": (h["Signature-Input"] ?? "").slice(0, 40) }),
      ],
      ["two labels", "format", (h) => replace(h, "sig=", "other=")],
      [
        "two signatures",
        "format",
        (h) => ({
          ...h,
          Signature: `${h.Signature}, b=:AAAA:`,
          "Signature-Input": `${h["Signature-Input"]}, b=("@method")`,
        }),
      ],
      ["a time that is no number", "format", (h) => replace(h, `created=${NOW}`, 'created="now"')],
      ["a time with a fraction", "format", (h) => replace(h, `created=${NOW}`, `created=${NOW}.5`)],
      [
        "a parameter that is there twice",
        "format",
        (h) => replace(h, `created=${NOW}`, `created=1;created=${NOW}`),
      ],
      [
        "a field that is too long",
        "format",
        (h) => ({ ...h, Signature: `sig=:${"A".repeat(4096)}:` }),
      ],
      ["no digest", "components", ({ "Content-Digest": _, ...rest }) => rest],
      [
        "a component that is there twice",
        "components",
        (h) => replace(h, '("@method"', '("@method" "@method"'),
      ],
      [
        "a component that is unknown",
        "components",
        (h) => replace(h, '("@method"', '("@unknown" "@method"'),
      ],
      [
        "a component that answers have",
        "components",
        (h) => replace(h, '("@method"', '("@status" "@method"'),
      ],
      [
        "a field of it that is not there",
        "components",
        (h) => replace(h, '("@method"', '("x-field" "@method"'),
      ],
      [
        "a component of another request",
        "components",
        (h) => replace(h, '"@method"', '"@method";req'),
      ],
      ["no keyid", "key", (h) => replace(h, `;keyid="${user.fingerprint}"`, "")],
      ["a digest that is no dictionary", "digest", (h) => ({ ...h, "Content-Digest": "?" })],
      ["a digest that is a number", "digest", (h) => ({ ...h, "Content-Digest": "sha-256=1" })],
      [
        "a digest that is a list",
        "digest",
        (h) => ({ ...h, "Content-Digest": "sha-256=(:AAAA:)" }),
      ],
      [
        "a digest of an unknown kind alone",
        "digest",
        (h) => ({ ...h, "Content-Digest": "md5=:AAAA:" }),
      ],
      [
        "one of two digests wrong",
        "digest",
        (h) => ({ ...h, "Content-Digest": `${h["Content-Digest"]}, sha-512=:AAAA:` }),
      ],
    ];
  for (const [what, check, change] of malformed) {
    it(`is refused with ${what}`, async () => {
      const server = atNow();
      checkRefused(await ask(server, {}, change), check);
      assert.deepEqual(await server.driver.list(""), []);
    });
  }

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

describe("the key of a signed request", () => {
  const folder = temporaryFolder();
  after(() => folder.remove());

  /** A user whose signatures openssl makes: not every runtime supports every key. */
  function opensslUser(bits: number, exponent = 65537): SigningUser {
    const file = join(folder.path, `${bits}-${exponent}`);
    const options = [`rsa_keygen_bits:${bits}`, `rsa_keygen_pubexp:${exponent}`];
    const pkeyopts = options.flatMap((option) => ["-pkeyopt", option]);
    openssl("genpkey", "-algorithm", "RSA", ...pkeyopts, "-out", `${file}.pem`);
    openssl("pkey", "-in", `${file}.pem`, "-pubout", "-outform", "DER", "-out", `${file}.der`);
    return signingUser(readFileSync(`${file}.der`), async (data) => {
      writeFileSync(`${file}.data`, data);
      const pss = ["rsa_padding_mode:pss", "rsa_pss_saltlen:64"];
      const sigopts = pss.flatMap((option) => ["-sigopt", option]);
      openssl(
        "dgst",
        "-sha512",
        ...sigopts,
        "-sign",
        `${file}.pem`,
        "-out",
        `${file}.sig`,
        `${file}.data`,
      );
      return readFileSync(`${file}.sig`);
    });
  }

  /** Sends a signed request, and then again with invalid signatures. */
  async function checkKey(bits: number, body: string, headers: Record<string, string>) {
    const server = atNow();
    const answer = await server.send(body, headers);
    assert.equal(answer.status, 200, answer.text);
    const bytes = Math.ceil(bits / 8);
    const wrong = [
      flipped(headers.Signature ?? ""),
      signatureOf(Buffer.alloc(bytes, 0xff)),
      signatureOf(Buffer.alloc(bytes)),
      signatureOf(Buffer.alloc(bytes, 1)),
      signatureOf(Buffer.alloc(bytes - 1, 1)),
      signatureOf(Buffer.alloc(bytes + 1, 1)),
    ];
    for (const signature of wrong) {
      const { status, problem } = await server.send(body, { ...headers, Signature: signature });
      assert.deepEqual([status, problem.check], [401, "signature"]);
    }
  }

  const sizes: [number, number?][] = [[2048, 3], [2048, 4_294_967_295], [2049], [3072]];
  for (const [bits, exponent = 65537] of sizes) {
    it(`may have ${bits} bits and the exponent ${exponent}`, async () => {
      const signer = opensslUser(bits, exponent);
      const body = syncBody(signer);
      const headers = await signedHeaders(signer, { url: SERVER, body }, { created: NOW });
      await checkKey(bits, body, headers);
    });
  }

  for (const { bits, spki, signature } of LARGE_KEYS) {
    it(`may have ${bits} bits`, async () => {
      const made = Buffer.from(signature, "base64");
      const signer = signingUser(Buffer.from(spki, "base64"), async () => made);
      const body = syncBody(signer, { client_id: LARGE_KEYS_CLIENT });
      const deviations = { created: LARGE_KEYS_CREATED };
      const headers = await signedHeaders(signer, { url: SERVER, body }, deviations);
      assert.equal(LARGE_KEYS_CREATED, NOW);
      await checkKey(bits, body, headers);
    });
  }
});

describe("metrics and log", () => {
  it("T-23 count signatures by their check, and name no user", async () => {
    const server = atNow();
    await server.unsigned(other);
    for (const deviations of [{}, { created: 0 }, { path: "/" }]) await ask(server, deviations);
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
    const statuses = async (ask: () => Promise<FullAnswer>) => {
      const answers = [await ask(), await ask(), await ask()];
      return answers.map(({ status }) => status);
    };
    assert.deepEqual(await statuses(() => server.unsigned(user)), [200, 200, 429]);
    assert.deepEqual(await statuses(() => ask(server, { path: "/" })), [401, 401, 401]);
    assert.deepEqual(await statuses(() => server.signed(user)), [200, 200, 429]);
  });
});

describe("a server that requires signatures of everyone", () => {
  it("refuses an unsigned request before it asks storage", async () => {
    const server = atNow({ SIGNATURES: "required" });
    const answer = await server.unsigned(user, { operation_index: 0, payload: "a payload" });
    checkRefused(answer, undefined);
    const response = await server.handler.fetch(new Request("http://sync.example/metrics"));
    assert.match(await response.text(), /^sync_storage_requests_total{kind="list"} 0$/m);
    assert.equal((await server.signed(user)).status, 200);
  });
});

describe("a signed request over a real connection", () => {
  /** A request as bytes, with the Host as the client spells it. */
  async function bytesOf(authority: string, host = authority): Promise<string> {
    const body = syncBody(user);
    const headers = await signedHeaders(user, { url: `http://${authority}/sync`, body });
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    return `POST /sync HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n${lines.join("")}Content-Length: ${body.length}\r\n\r\n${body}`;
  }

  it("is verified for the Host in any case, and a refusal has one Date", async () => {
    const server = await serveHere({ SIGNATURES: "required" });
    try {
      for (const host of ["sync.example", "Sync.Example", "sync.example:80", "sync.example:443"]) {
        const answer = await overSocket(server.port, await bytesOf("sync.example", host));
        assert.equal(parsed(answer).status, 200, answer);
      }
      const refused = await overSocket(server.port, await bytesOf("a.example", "b.example"));
      const { status, headers, text } = parsed(refused);
      assert.equal(status, 401);
      assert.equal(JSON.parse(text).check, "signature");
      const dates = refused.split("\r\n").filter((line) => /^date:/i.test(line));
      assert.equal(dates.length, 1);
      assert.ok(Math.abs(Date.parse(headers.get("date") ?? "") - Date.now()) < 60_000);
    } finally {
      await server.close();
    }
  });

  it("is accepted by a server process, which then refuses unsigned ones", async () => {
    const folder = temporaryFolder();
    let server = await startServer({ STORAGE: folder.path });
    try {
      const post = async (signed: boolean) => {
        const url = new URL("/sync", server.url).href;
        const body = syncBody(user);
        const unsigned = { "Content-Type": "application/json" };
        const headers = signed ? await signedHeaders(user, { url, body }) : unsigned;
        return (await fetch(url, { method: "POST", headers, body })).status;
      };
      assert.deepEqual([await post(false), await post(true), await post(false)], [200, 200, 401]);
      await server.end("SIGKILL");
      server = await startServer({ STORAGE: folder.path });
      assert.deepEqual([await post(false), await post(true)], [401, 200]);
    } finally {
      await server.end("SIGKILL");
      folder.remove();
    }
  });
});

function replace(
  headers: Record<string, string>,
  from: string,
  to: string,
): Record<string, string> {
  const input = headers["Signature-Input"] ?? "";
  assert.ok(input.includes(from), from);
  return { ...headers, "Signature-Input": input.replace(from, to) };
}

/** A signature with one bit changed. */
function flipped(signature: string): string {
  const bytes = Buffer.from(signature.slice("sig=:".length, -1), "base64");
  bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
  return signatureOf(bytes);
}

function signatureOf(bytes: Buffer): string {
  return `sig=:${bytes.toString("base64")}:`;
}

function openssl(...args: string[]): void {
  execFileSync("openssl", args, { stdio: ["ignore", "ignore", "ignore"] });
}
