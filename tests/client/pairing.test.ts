/** Two devices pair through a real server. */
import assert from "node:assert/strict";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { identityOf } from "../../client/identity/identity.ts";
import { encryptKey } from "../../client/identity/key-text.ts";
import { InvalidKey, importIdentity } from "../../client/identity.ts";
import { ServerRejected, SyncClient } from "../../client/index.ts";
import { MemoryStore } from "../../client/memory.ts";
import {
  endPairing,
  isPairingLink,
  type KeyOffer,
  KeyRequest,
  MistypedCode,
  PairingFailed,
} from "../../client/pairing.ts";
import { MemoryDriver } from "../../storage/memory.ts";
import { temporaryFolder } from "../support/folder.ts";
import { type Serving, serveHere, withServer } from "../support/http.ts";
import { AheadClock, failsBy, madeKey, offerAt, PASSPHRASE } from "../support/pairing.ts";

const OWN = "of the new device";

/** Goes on with a pairing, up to its end. Returns what the new device gets. */
async function finish(offer: KeyOffer, request: KeyRequest) {
  await offer.answered();
  const confirmed = offer.confirm(await request.code());
  const got = await request.key(OWN);
  await request.taken();
  await confirmed;
  await Promise.all([offer.close(), request.close()]);
  return got;
}

describe("a device that pairs", () => {
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
    const got = await finish(offer, await KeyRequest.open(offer.link));
    assert.equal((await importIdentity(got.text, OWN)).fingerprint, identity.fingerprint);
    assert.ok(got.text.length > 1700, "the whole key, as it was");
  });

  it("is offered nothing with a wrong passphrase, or the key of another user", async () => {
    await assert.rejects(offerAt(server.url, { passphrase: "another passphrase" }), InvalidKey);
    const { identity } = await madeKey();
    const other = { ...identity, fingerprint: "A".repeat(43) };
    await assert.rejects(offerAt(server.url, { identity: other }), /key of another user/);
  });

  it("refuses a malformed link", async () => {
    const offer = await offerAt(server.url);
    const start = offer.link.indexOf("=") + 1;
    const wrong = [
      ...["", "pair", server.url, `${server.url}/#pair=`, `${offer.link}AAAA`],
      ...[offer.link.slice(0, -4), `${offer.link.slice(0, start)}Ag${offer.link.slice(start + 2)}`],
      `${offer.link.slice(0, start)}AQ${"A".repeat(offer.link.length - start - 2)}`,
    ];
    for (const link of wrong) await assert.rejects(KeyRequest.open(link), failsBy("link"), link);
    await offer.close();
  });

  it("sees that the other one has ended the pairing, whichever does", async () => {
    const offer = await offerAt(server.url);
    const request = await KeyRequest.open(offer.link);
    await request.code();
    await offer.answered();
    const refused = assert.rejects(request.key(OWN), failsBy("ended"));
    await offer.close();
    await refused;
    await assert.rejects(KeyRequest.open(offer.link), failsBy("ended"));

    const second = await offerAt(server.url);
    const leaving = await KeyRequest.open(second.link);
    const code = await leaving.code();
    await second.answered();
    await leaving.close();
    await assert.rejects(second.confirm(code), failsBy("ended"));
    await second.close();
  });

  it("ends it by a signal, with its reason", async () => {
    const stop = new AbortController();
    const offer = await offerAt(server.url, { signal: stop.signal });
    const answered = offer.answered();
    const reason = new Error("enough");
    stop.abort(reason);
    await assert.rejects(answered, reason);
    await offer.close();
    await assert.rejects(KeyRequest.open(offer.link), failsBy("ended"));
  });

  it("gives up after ten minutes, and then its link does not work", async () => {
    const clock = new AheadClock();
    const offer = await offerAt(server.url, { clock });
    const request = await KeyRequest.open(offer.link);
    const code = await request.code();
    await offer.answered();
    clock.pass(10 * 60_000 - 5000);
    await assert.rejects(offer.confirm("12345"), MistypedCode);
    clock.pass(5000);
    await assert.rejects(offer.confirm(code), failsBy("expired"));
    await assert.rejects(request.key(OWN), failsBy("ended"));
    await offer.close();
  });

  it("says that the new device may have a key that was sent and not acknowledged", async () => {
    const offer = await offerAt(server.url);
    const request = await KeyRequest.open(offer.link);
    const refused = assert.rejects(offer.confirm(await request.code()), (error: unknown) => {
      assert.ok(error instanceof PairingFailed && error.afterKey);
      assert.match(error.message, /The new device may have the key/);
      return true;
    });
    await request.key(OWN);
    await request.close();
    await refused;
    await offer.close();
  });

  it("leaves nothing on the server once an app that was killed has ended the pairing by its link", async () => {
    const stop = new AbortController();
    // The app is gone: nothing of it is sent any more.
    const cut = (request: Request, init?: RequestInit) =>
      stop.signal.aborted ? Promise.reject(new TypeError("gone")) : fetch(request, init);
    const offer = await offerAt(server.url, { fetch: cut });
    const request = await KeyRequest.open(offer.link);
    stop.abort();
    await endPairing(offer.link);
    await endPairing(offer.link);
    await assert.rejects(request.key(OWN), failsBy("ended"));
    await assert.rejects(offer.close());
  });
});

describe("a device that pairs on a server with a list of its users", () => {
  const folder = temporaryFolder();
  after(() => folder.remove());

  it("needs no one-time key on the list, and leaves none there", async () => {
    const { identity } = await madeKey();
    const file = join(folder.path, "users");
    writeFileSync(file, `${identity.fingerprint}\n`);
    await withServer({ USERS: file, SIGNATURES: "required" }, async ({ url }) => {
      const offer = await offerAt(url);
      const got = await finish(offer, await KeyRequest.open(offer.link));
      assert.equal(got.identity.fingerprint, identity.fingerprint);
      // As after the time of a guest, when the server deletes what there is.
      rmSync(`${file}.invites`, { recursive: true });
      await endPairing(offer.link);
    });
  });

  it("is offered nothing by a user who is not on it, who learns why", async () => {
    const file = join(folder.path, "nobody");
    writeFileSync(file, "");
    await withServer({ USERS: file }, async ({ url }) => {
      await assert.rejects(offerAt(url), (error: unknown) => {
        assert.ok(error instanceof ServerRejected);
        assert.equal(error.code, "user-not-allowed");
        return true;
      });
    });
  });
});
