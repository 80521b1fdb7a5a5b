/** Someone who has seen the code of a device that pairs, with the server on their side or without. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Malformed } from "../../client/binary.ts";
import { Agreement, newKeyPair } from "../../client/pairing/agreement.ts";
import { contentOfLink } from "../../client/pairing/link.ts";
import { KINDS, messageBytes, revealedIn } from "../../client/pairing/message.ts";
import { oneTimeIdentity } from "../../client/pairing/request.ts";
import { KeyRequest } from "../../client/pairing.ts";
import { type Serving, serveHere } from "../support/http.ts";
import {
  declareCheapKeys,
  failsBy,
  madeKey,
  Onlooker,
  offerAt,
  otherThan,
} from "../support/pairing.ts";

const OWN = "of the new device";

describe("someone who has seen the code of a pairing", () => {
  declareCheapKeys();
  let server: Serving;
  let other: Serving;
  before(async () => {
    [server, other] = await Promise.all([serveHere(), serveHere()]);
  });
  after(() => Promise.all([server.close(), other.close()]));

  /** What someone agrees on with the device that offers the key, who answers it in place of another one. */
  async function agreedBy(onlooker: Onlooker, link: string) {
    const keyPair = await newKeyPair();
    await onlooker.write(messageBytes({ kind: "answer", body: keyPair.point }));
    const shown = await onlooker.message(KINDS.reveal);
    const { commitment, primes } = contentOfLink(link);
    const identity = await oneTimeIdentity(primes);
    const revealed = revealedIn(shown.slice(1));
    const said = { identity, commitment, revealed, answer: keyPair.point };
    return { agreement: await Agreement.of(keyPair, revealed.point, said), shown };
  }

  it("T-63 reads all messages, and can neither compute the code nor open the key", async () => {
    const { identity } = await madeKey();
    const offer = await offerAt(server.url);
    const onlooker = await Onlooker.open(offer.link);
    const request = await KeyRequest.open(offer.link);
    const code = await request.code();
    const confirmed = offer.confirm(code);
    const got = await request.key(OWN);
    assert.equal(got.identity.fingerprint, identity.fingerprint);
    const sealed = await onlooker.message(KINDS.key);
    const answer = (await onlooker.message(KINDS.answer)).slice(1);
    const revealed = revealedIn((await onlooker.message(KINDS.reveal)).slice(1));
    const { commitment, primes } = contentOfLink(offer.link);
    const own = await newKeyPair();
    for (const point of [revealed.point, answer]) {
      const said = {
        identity: await oneTimeIdentity(primes.slice()),
        commitment,
        revealed,
        answer,
      };
      const agreement = await Agreement.of(own, point, said);
      assert.notEqual(await agreement.code(), code);
      await assert.rejects(agreement.open("key", sealed.slice(1)), Malformed);
    }
    await request.taken();
    await confirmed;
    await Promise.all([onlooker.close(), offer.close()]);
  });

  it("T-64 answers first: the new device shows no code, and no code that is typed sends the key", async () => {
    const offer = await offerAt(server.url);
    const onlooker = await Onlooker.open(offer.link);
    const { agreement } = await agreedBy(onlooker, offer.link);
    await offer.answered();
    await assert.rejects(KeyRequest.open(offer.link), failsBy("stranger"));
    await assert.rejects(offer.confirm(await agreement.code()), failsBy("ended", "stranger"));
    assert.ok(onlooker.seen.every(({ data }) => data[0] !== KINDS.key));
    await Promise.all([onlooker.close(), offer.close()]);
  });

  it("T-64 answers second: both devices end the pairing", async () => {
    const offer = await offerAt(server.url);
    const onlooker = await Onlooker.open(offer.link);
    const request = await KeyRequest.open(offer.link);
    const code = await request.code();
    await offer.answered();
    const { point } = await newKeyPair();
    await onlooker.write(messageBytes({ kind: "answer", body: point }));
    await assert.rejects(offer.confirm(code), failsBy("stranger", "ended"));
    await assert.rejects(request.key(OWN), failsBy("stranger", "ended"));
    assert.ok(onlooker.seen.every(({ data }) => data[0] !== KINDS.key));
    await Promise.all([onlooker.close(), offer.close()]);
  });

  it("T-64 writes anything else, or erases the log: the pairing ends", async () => {
    const { point } = await newKeyPair();
    const compressed = [2 + ((point.at(-1) ?? 0) & 1), ...point.subarray(1, 33)];
    const messages = [[9], [], [KINDS.reveal], [KINDS.key, 1, 2, 3], [KINDS.answer, 4, 5]];
    messages.push([KINDS.answer, ...compressed]);
    for (const message of messages) {
      const offer = await offerAt(server.url);
      const onlooker = await Onlooker.open(offer.link);
      const refused = assert.rejects(offer.answered(), failsBy("altered"));
      await onlooker.write(Uint8Array.from(message)).catch(() => undefined);
      await refused;
      await Promise.all([onlooker.close(), offer.close()]);
    }
    const offer = await offerAt(server.url);
    const onlooker = await Onlooker.open(offer.link);
    const refused = assert.rejects(offer.answered(), failsBy("ended"));
    await onlooker.erase();
    await refused;
    await Promise.all([onlooker.close(), offer.close()]);
  });

  it("T-64 stands between the devices, with the server: they show different codes, and the key is not sent", async () => {
    const offer = await offerAt(server.url);
    const onlooker = await Onlooker.open(offer.link);
    // The server shows each device a log of its own.
    const split = await Onlooker.open(offer.link, { url: other.url });
    const opening = KeyRequest.open(offer.link, { url: other.url });
    await split.message(KINDS.answer);
    const { agreement, shown } = await agreedBy(onlooker, offer.link);
    await split.write(shown);
    const request = await opening;
    const code = await request.code();
    assert.notEqual(code, await agreement.code(), "once in a million they are the same");
    await assert.rejects(offer.confirm(code), failsBy("code"));
    assert.ok(onlooker.seen.every(({ data }) => data[0] !== KINDS.key));
    await Promise.all([onlooker.close(), split.close(), offer.close(), request.close()]);
  });

  it("T-65 gives the new device their own key, with the server: it refuses what does not match the link", async () => {
    const offer = await offerAt(server.url);
    const split = await Onlooker.open(offer.link, { url: other.url });
    const request = await KeyRequest.open(offer.link, { url: other.url });
    await split.message(KINDS.answer);
    const keyPair = await newKeyPair();
    const random = crypto.getRandomValues(new Uint8Array(32));
    const body = Uint8Array.from([...keyPair.point, ...random]);
    const refused = assert.rejects(request.code(), failsBy("altered"));
    await split.write(messageBytes({ kind: "reveal", body })).catch(() => undefined);
    await refused;
    await Promise.all([split.close(), request.close(), offer.close()]);
  });

  it("T-66 tries codes: the first wrong one ends the offer, and the right one does not work then", async () => {
    const offer = await offerAt(server.url);
    const request = await KeyRequest.open(offer.link);
    const code = await request.code();
    await assert.rejects(offer.confirm(otherThan(code)), failsBy("code"));
    await assert.rejects(offer.confirm(code), failsBy("code"));
    await assert.rejects(request.key(OWN), failsBy("ended"));
    await offer.close();
  });

  it("T-67 replays messages of an earlier pairing: they do not open", async () => {
    const first = await offerAt(server.url);
    const onlooker = await Onlooker.open(first.link);
    const request = await KeyRequest.open(first.link);
    const confirmed = first.confirm(await request.code());
    await request.key(OWN);
    const said = {
      reveal: await onlooker.message(KINDS.reveal),
      key: await onlooker.message(KINDS.key),
    };
    await request.taken();
    await confirmed;
    await Promise.all([onlooker.close(), first.close()]);
    await assert.rejects(KeyRequest.open(first.link), failsBy("ended"));

    const second = await offerAt(server.url);
    const later = await Onlooker.open(second.link, { url: other.url });
    const victim = await KeyRequest.open(second.link, { url: other.url });
    await later.message(KINDS.answer);
    const refused = assert.rejects(victim.key(OWN), failsBy("altered"));
    for (const message of [said.reveal, said.key]) {
      await later.write(message).catch(() => undefined);
    }
    await refused;
    await Promise.all([later.close(), second.close(), victim.close()]);
  });
});
