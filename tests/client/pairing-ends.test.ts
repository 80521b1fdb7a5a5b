/** Pairings that end before they have begun, or half way: what each device learns, and what is left. */
import assert from "node:assert/strict";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { InvalidKey } from "../../client/identity.ts";
import { ServerRejected } from "../../client/index.ts";
import { endPairing, KeyRequest, MistypedCode, PairingFailed } from "../../client/pairing.ts";
import { temporaryFolder } from "../support/folder.ts";
import { type Serving, serveHere, withServer } from "../support/http.ts";
import {
  AheadClock,
  declareCheapKeys,
  failsBy,
  finishPairing,
  madeKey,
  offerAt,
} from "../support/pairing.ts";

const OWN = "of the new device";

describe("a device that pairs", () => {
  declareCheapKeys();
  let server: Serving;
  before(async () => {
    server = await serveHere();
  });
  after(() => server.close());

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
  declareCheapKeys();
  const folder = temporaryFolder();
  after(() => folder.remove());

  it("needs no one-time key on the list, and leaves none there", async () => {
    const { identity } = await madeKey();
    const file = join(folder.path, "users");
    writeFileSync(file, `${identity.fingerprint}\n`);
    await withServer({ USERS: file, SIGNATURES: "required" }, async ({ url }) => {
      const offer = await offerAt(url);
      const got = await finishPairing(offer, await KeyRequest.open(offer.link), OWN);
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
