/** Keys of every size and exponent that PROTOCOL.md allows sign requests. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { temporaryFolder } from "../support/folder.ts";
import { LARGE_KEYS, LARGE_KEYS_CLIENT, LARGE_KEYS_CREATED } from "../support/large-keys.ts";
import { atNow, flipped, NOW, signatureOf } from "../support/signed-requests.ts";
import {
  SERVER,
  type SigningUser,
  signedHeaders,
  signingUser,
  syncBody,
} from "../support/signing.ts";

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

function openssl(...args: string[]): void {
  execFileSync("openssl", args, { stdio: ["ignore", "ignore", "ignore"] });
}
