/** Two devices pair through a real server. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { identityOf } from "../../client/identity/identity.ts";
import { encryptKey } from "../../client/identity/key-text.ts";
import { InvalidKey, importIdentity } from "../../client/identity.ts";
import { SyncClient } from "../../client/index.ts";
import { MemoryStore } from "../../client/memory.ts";
import { isPairingLink, KeyRequest, MistypedCode } from "../../client/pairing.ts";
import { MemoryDriver } from "../../storage/memory.ts";
import { type Serving, serveHere } from "../support/http.ts";
import {
  declareFewRounds,
  finishPairing,
  madeKey,
  offerAt,
  PASSPHRASE,
} from "../support/pairing.ts";

const OWN = "of the new device";

describe("a device that pairs", () => {
  declareFewRounds();
  let server: Serving;
  const driver = new MemoryDriver();
  before(async () => {
    server = await serveHere({}, driver);
  });
  after(() => server.close());

  it("gets the key with what the other one has, and keeps it under a passphrase of its own", async () => {
    const { url } = server;
    const { identity, text } = await madeKey();
    const store = new MemoryStore();
    const laptop = await SyncClient.open({ url, identity, store, receive: () => undefined });
    await laptop.append("Buy milk.");
    await laptop.sync();
    const heads = await laptop.heads();
    assert.equal(heads.length, 1);
    const offer = await offerAt(url, { identity, text, heads });
    assert.ok(isPairingLink(offer.link));
    assert.ok(offer.link.startsWith(`${new URL(url).href}#pair=`), offer.link);
    const request = await KeyRequest.open(offer.link);
    assert.equal(request.server.href, new URL(url).href);
    const code = await request.code();
    assert.match(code, /^\d{6}$/);
    await offer.answered();
    for (const typed of ["", "12345", "1234567", "abcdef"]) {
      await assert.rejects(offer.confirm(typed), MistypedCode);
    }
    const confirmed = offer.confirm(` ${code.slice(0, 3)}-${code.slice(3)} `);
    await assert.rejects(request.key("short"), InvalidKey);
    const got = await request.key(OWN);
    await request.taken();
    await confirmed;
    await Promise.all([offer.close(), request.close()]);
    assert.equal(got.identity.fingerprint, identity.fingerprint);
    assert.deepEqual(got.identity.expected?.heads, heads);
    const again = await importIdentity(got.text, OWN);
    assert.equal(again.fingerprint, identity.fingerprint);
    assert.deepEqual(again.expected?.heads, heads);
    await assert.rejects(importIdentity(got.text, PASSPHRASE), /the passphrase is wrong/);
    await laptop.close();
    // Of the one-time key, its tombstone is left.
    const left = (await driver.list("")).filter(
      ({ name }) => !name.startsWith(identity.fingerprint),
    );
    assert.equal(left.length, 1);
    assert.match(left[0]?.name ?? "", /\.erased\.\d+$/);
  });

  it("gets the key of another program whole", async () => {
    const { privateKey } = await crypto.subtle.generateKey(
      {
        name: "RSA-PSS",
        modulusLength: 2048,
        publicExponent: Uint8Array.of(1, 0, 1),
        hash: "SHA-256",
      },
      true,
      ["sign", "verify"],
    );
    const pkcs8 = new Uint8Array(await crypto.subtle.exportKey("pkcs8", privateKey));
    const identity = await identityOf(pkcs8);
    const text = await encryptKey(pkcs8, PASSPHRASE);
    const offer = await offerAt(server.url, { identity, text });
    const got = await finishPairing(offer, await KeyRequest.open(offer.link), OWN);
    assert.equal((await importIdentity(got.text, OWN)).fingerprint, identity.fingerprint);
    assert.ok(got.text.length > 1700, "the whole key, as it was");
  });
});
