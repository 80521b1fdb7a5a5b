/** Makes the test vectors of section 8 of ENVELOPE.md: a pairing, with all that either device knows. */
import { generateKey } from "../../client/identity/identity.ts";
import { primesOf } from "../../client/identity/primes.ts";
import { Agreement, commitmentTo, newRandom } from "../../client/pairing/agreement.ts";
import { linkOf, ONE_TIME_BITS } from "../../client/pairing/link.ts";
import { givenBytes, type Kind, messageBytes, revealBody } from "../../client/pairing/message.ts";
import type { Head } from "../../client/types.ts";
import { toBase64url } from "../../protocol/base64.ts";
import { type Bytes, concat, sha256, utf8 } from "../../protocol/bytes.ts";
import { bytes, CLIENT, OTHER, write } from "./files.ts";

const SERVER = "https://sync.example/";
const NOTE =
  "A pairing (ENVELOPE.md, section 8). The keys were made for these vectors alone. All bytes are base64url, and key pairs of P-256 JWK.";

/** @param pkcs8 the key that is given, in base64url */
export async function makePairing(pkcs8: string): Promise<void> {
  const { identity, primes } = await generateKey(ONE_TIME_BITS);
  const [old, young] = [await newPair(), await newPair()];
  const revealed = { point: old.point, random: newRandom() };
  const commitment = await commitmentTo(identity, revealed);
  const said = { identity, commitment, revealed, answer: young.point };
  const agreement = await Agreement.of(old, young.point, said);
  const heads: Head[] = [
    { client: CLIENT, index: 4, tag: "aF3gABnhiVmSYfA9WvKEXQ" },
    { client: OTHER, index: 0, tag: "AAECAwQFBgcICQoLDA0ODw" },
  ];
  const content = givenBytes({ key: { form: "primes", bytes: await primesIn(pkcs8) }, heads });
  const message = (kind: Kind, body: Bytes) => toBase64url(messageBytes({ kind, body }));
  write("pairing.json", {
    note: NOTE,
    server: SERVER,
    one_time_key: { primes: toBase64url(primes), fingerprint: identity.fingerprint },
    old: { key_pair: old.jwk, point: toBase64url(old.point), random: toBase64url(revealed.random) },
    new: { key_pair: young.jwk, point: toBase64url(young.point) },
    commitment: toBase64url(commitment),
    link: linkOf(new URL(SERVER), { commitment, primes }),
    transcript: toBase64url(
      await sha256(
        concat(
          ...[utf8("sync-server pairing 1 transcript\n"), bytes(identity.fingerprint), commitment],
          ...[revealed.point, revealed.random, young.point],
        ),
      ),
    ),
    code: await agreement.code(),
    given: {
      content: toBase64url(content),
      private_key_pkcs8: pkcs8,
      heads: heads.map(({ client, index, tag }) => {
        return { client_id: client, operation_index: index, tag };
      }),
    },
    messages: {
      answer: message("answer", young.point),
      reveal: message("reveal", revealBody(revealed)),
      key: message("key", await agreement.seal("key", content)),
      taken: message("taken", await agreement.seal("taken", new Uint8Array())),
    },
  });
}

async function newPair() {
  const { subtle } = crypto;
  const algorithm = { name: "ECDH", namedCurve: "P-256" };
  const { privateKey, publicKey } = await subtle.generateKey(algorithm, true, ["deriveBits"]);
  const { kty, crv, x, y, d } = await subtle.exportKey("jwk", privateKey);
  const point = new Uint8Array(await subtle.exportKey("raw", publicKey));
  return { privateKey, point, jwk: { kty, crv, x, y, d } };
}

async function primesIn(pkcs8: string): Promise<Bytes> {
  const algorithm = { name: "RSA-PSS", hash: "SHA-256" };
  return primesOf(await crypto.subtle.importKey("pkcs8", bytes(pkcs8), algorithm, true, ["sign"]));
}
