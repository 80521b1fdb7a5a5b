/** Malformed signature fields: each is refused with a reason, and none is answered with a 500. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import fc from "fast-check";
import { SIGNATURE_CHECKS } from "../../server/http/signature-invalid.ts";
import { type ServerProcess, startServer } from "../support/process.ts";
import { overSocket, parsed } from "../support/requests.ts";
import { share } from "../support/share.ts";
import { newSigningUser, type SigningUser, signedHeaders, syncBody } from "../support/signing.ts";

const CHECKS: ReadonlySet<unknown> = new Set(SIGNATURE_CHECKS);

const FIELDS = ["Signature", "Signature-Input", "Content-Digest", "Content-Type", "Host"];

/** Pieces of structured fields, valid and invalid. */
const pieces = fc.constantFrom(
  "sig",
  "sig=",
  "=",
  "(",
  ")",
  '"',
  '"@method"',
  '"@authority"',
  '"@path"',
  '"@query-param"',
  '"content-type"',
  '"content-digest"',
  '"x"',
  ";",
  ";created=",
  ";expires=",
  ";keyid=",
  ";alg=",
  ";req",
  ";key=",
  ";sf",
  ";bs",
  ";tr",
  ";name=",
  "1",
  "-1",
  "0.5",
  "999999999999999",
  "1e9",
  ":",
  ":AAAA:",
  "sha-256=",
  "sha-512=",
  ",",
  " ",
  "\t",
  "*",
  "?1",
  "?",
  "@1",
  '%"a"',
  "\\",
  "~",
  "__proto__",
  "constructor",
  "toString",
  "\xe9",
  "\xff",
  "%",
  "a".repeat(300),
);
const field = fc.oneof(
  fc.array(pieces, { maxLength: 24 }).map((parts) => parts.join("")),
  fc.string({ unit: "binary-ascii", maxLength: 64 }).map(printable),
);

/** One change to a valid field: a part of it is replaced. */
const change = fc.record({
  field: fc.constantFrom(...FIELDS),
  from: fc.nat({ max: 400 }),
  length: fc.nat({ max: 40 }),
  into: fc.oneof(pieces, field),
});

describe("a request with strange signature fields", () => {
  let user: SigningUser;
  let server: ServerProcess;
  before(async () => {
    user = await newSigningUser();
    server = await startServer({ STORAGE: "memory:", LOG: "error" });
  });
  after(() => server.end("SIGKILL"));

  /** Sends bytes, so that no client changes the header. */
  async function statusOf(method: string, headers: Record<string, string>, body: string) {
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    const head = `${method} /sync HTTP/1.1\r\nConnection: close\r\n${lines.join("")}`;
    const length = `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n`;
    const bytes = Buffer.from(head + length + body, "latin1");
    const { status, text } = parsed(await overSocket(server.port, bytes));
    // Requests that the runtime itself refuses have no problem document.
    const { check } = text === "" ? { check: undefined } : JSON.parse(text);
    return { status, check };
  }

  async function rightHeaders(body: string, method = "POST") {
    const url = `http://localhost:${server.port}/sync`;
    return {
      Host: `localhost:${server.port}`,
      ...(await signedHeaders(user, { url, method, body })),
    };
  }

  function isRefusal({ status, check }: { status: number; check: unknown }): boolean {
    if (status === 401) return check === undefined || CHECKS.has(check);
    return status === 400 || status === 415 || status === 431;
  }

  it("T-39 is refused for any content of the fields", async () => {
    const body = syncBody(user);
    const right = await rightHeaders(body);
    await fc.assert(
      fc.asyncProperty(field, field, field, async (signature, input, digest) => {
        const strange = {
          Signature: signature,
          "Signature-Input": input,
          "Content-Digest": digest,
        };
        const answer = await statusOf("POST", { ...right, ...strange }, body);
        // Two empty fields count as none.
        assert.ok(isRefusal(answer) || answer.status === 200, JSON.stringify(answer));
        if (answer.status === 200) assert.equal((signature + input).trim(), "");
      }),
      { numRuns: share(300) },
    );
  });

  it("T-39 is refused when any part of a valid signature is changed", async () => {
    const body = syncBody(user);
    const right: Record<string, string> = await rightHeaders(body);
    await fc.assert(
      fc.asyncProperty(change, async ({ field: name, from, length, into }) => {
        const old = right[name] ?? "";
        const at = from % (old.length + 1);
        const changed = old.slice(0, at) + into + old.slice(at + length);
        const answer = await statusOf("POST", { ...right, [name]: changed }, body);
        assert.ok(isRefusal(answer) || answer.status === 200, JSON.stringify(answer));
        if (answer.status === 200) assert.ok(isSame(name, changed, old), `${name}: ${changed}`);
      }),
      { numRuns: share(300) },
    );
  });

  it("is refused for an erasure as well, and the user is not erased", async () => {
    const body = JSON.stringify({ user: user.base64 });
    const right: Record<string, string> = await rightHeaders(body, "DELETE");
    await fc.assert(
      fc.asyncProperty(field, fc.constantFrom(...FIELDS.slice(0, 3)), async (strange, name) => {
        fc.pre(!isSame(name, strange, right[name] ?? ""));
        assert.ok(isRefusal(await statusOf("DELETE", { ...right, [name]: strange }, body)));
      }),
      { numRuns: share(100) },
    );
    const sync = syncBody(user);
    assert.equal((await statusOf("POST", await rightHeaders(sync), sync)).status, 200);
    assert.equal(server.output().match(/"level":"error"/g), null, server.output());
  });
});

/**
 * True when a field still means the same: white space around it, spaces between the items of a list, the case
 * of a host, and unused bits of base64 do not matter.
 */
function isSame(name: string, changed: string, old: string): boolean {
  const plain = (text: string) => {
    const trimmed = text.replace(/^[\t ]+|[\t ]+$/g, "");
    if (name === "Signature") return Buffer.from(trimmed.slice("sig=:".length), "base64").join();
    if (name === "Signature-Input") return withoutSpaces(trimmed);
    return name === "Host" ? trimmed.toLowerCase() : trimmed;
  };
  return plain(changed) === plain(old);
}

/** A list without the spaces that may stand in it (RFC 8941, sections 4.2.1.2 and 4.2.3.2). */
function withoutSpaces(list: string): string {
  const words = list.split(" ").filter((word) => word !== "");
  return words.join(" ").replaceAll("( ", "(").replaceAll(" )", ")").replaceAll("; ", ";");
}

/** Without characters that would end the header. */
function printable(text: string): string {
  return text.replace(/[\0\r\n]/g, "");
}
