/** The vectors of lines that a receiver refuses. */
import assert from "node:assert/strict";
import {
  beginSession,
  NO_PREVIOUS,
  originOf,
  type Place,
  seal,
  sealBytes,
} from "../../client/envelope.ts";
import type { Identity } from "../../client/types.ts";
import { toBase64url } from "../../protocol/base64.ts";
import { type Bytes, concat, randomBytes, utf8 } from "../../protocol/bytes.ts";
import { newIdentity } from "../support/private-keys.ts";
import { bytes, CLIENT, OTHER, read, write } from "./files.ts";
import { MALFORMED } from "./malformed.ts";

/** Lines that a receiver refuses, of each kind and by each check of E-4.5. */
export async function makeRefusals(identity: Identity, pkcs8: string) {
  const stranger = await newIdentity();
  const payloads: Record<string, string> = {};
  const refusals: unknown[] = [];
  const at = (index: number, previous: Bytes, client = CLIENT, user = identity): Place => {
    return { origin: originOf(user, client), index, previous };
  };
  const add = (name: string, payload: string) => {
    payloads[name] = payload;
    return name;
  };
  const refuse = (
    name: string,
    kind: string | null,
    lines: readonly (readonly [number, string])[],
    options: { cursor?: unknown; delivered?: number; unreadable?: readonly number[] } = {},
  ) => {
    const { cursor = null, delivered = 0, unreadable = [] } = options;
    const named = lines.map(([operation_index, payload]) => ({ operation_index, payload }));
    refusals.push({ name, cursor, lines: named, delivered, unreadable, kind });
  };
  const altered = (payload: string, offset: number) => {
    const copy = bytes(payload);
    const place = offset < 0 ? copy.length + offset : offset;
    return toBase64url(copy.with(place, (copy[place] ?? 0) ^ 1));
  };
  const text = (words: string) => ({ entries: [utf8(words)] });

  const session = await beginSession(identity, at(0, NO_PREVIOUS));
  const zero = await seal(session, at(0, NO_PREVIOUS), text("zero"));
  const one = await seal(session, at(1, zero.tag), text("one"));
  const two = await seal(session, at(2, one.tag), text("two"));
  const three = await seal(session, at(3, two.tag), text("three"));
  for (const [name, { payload }] of Object.entries({ zero, one, two, three })) add(name, payload);
  const start = { first: 0, secret: toBase64url(session.header?.wrapped ?? assert.fail()) };
  const cursorAt = (index: number, tag: Bytes, previous: Bytes, of: unknown = start) => ({
    operation_index: index,
    tag: toBase64url(tag),
    previous: toBase64url(previous),
    session: of,
  });
  const afterZero = cursorAt(0, zero.tag, NO_PREVIOUS);
  const afterOne = cursorAt(1, one.tag, zero.tag);
  const afterTwo = cursorAt(2, two.tag, one.tag);

  // Form.
  add("zero, padded", `${zero.payload}${"=".repeat(-zero.payload.length & 3) || "="}`);
  refuse("A payload that is padded", "forged", [[0, "zero, padded"]]);
  add("zero, with unused bits set", await untilUneven());
  refuse("A payload whose last character has unused bits that are not zero", "forged", [
    [0, "zero, with unused bits set"],
  ]);
  add("zero, in the alphabet of base64", Buffer.from(bytes(zero.payload)).toString("base64"));
  refuse("A payload in base64 and not base64url", "forged", [
    [0, "zero, in the alphabet of base64"],
  ]);
  add("one, cut", toBase64url(bytes(one.payload).slice(0, 30)));
  refuse("A payload that is too short for its parts", "forged", [[1, "one, cut"]], {
    cursor: afterZero,
  });
  add("zero, cut", toBase64url(bytes(zero.payload).slice(0, 31 + 2 * 256 - 1)));
  refuse("A first payload that is too short for its header", "forged", [[0, "zero, cut"]]);
  // Versions.
  const other = bytes(one.payload);
  other[0] = 3;
  add("one, of version 3", toBase64url(other));
  refuse("A byte that says another version", "other version", [[1, "one, of version 3"]], {
    cursor: afterZero,
  });
  add("version 1, of any bytes", toBase64url(concat(Uint8Array.of(1), randomBytes(99))));
  refuse("Bytes that say another version", "other version", [[0, "version 1, of any bytes"]]);
  // Places.
  refuse("The operation at the cursor once more", "out of place", [[1, "one"]], {
    cursor: afterOne,
  });
  refuse("An operation below the cursor", "out of place", [[1, "one"]], { cursor: afterTwo });
  refuse("Any other bytes below the cursor", "out of place", [[0, "one"]], { cursor: afterTwo });
  refuse("An index that is missing", "chain broken", [[2, "two"]], { cursor: afterZero });
  refuse("A first operation with an index above 0", "chain broken", [[1, "one"]]);
  refuse("Any other bytes behind an index that is missing", "chain broken", [[3, "one"]], {
    cursor: afterOne,
  });
  refuse(
    "Operations in another order",
    "chain broken",
    [
      [0, "zero"],
      [2, "two"],
      [1, "one"],
    ],
    { delivered: 1 },
  );
  refuse(
    "Operations in another order, numbered anew",
    "forged",
    [
      [0, "zero"],
      [1, "two"],
      [2, "one"],
    ],
    { delivered: 1 },
  );
  // Headers.
  add("zero, with another signature", altered(zero.payload, 3 + 256 + 7));
  refuse("A signature that was altered", "forged", [[0, "zero, with another signature"]]);
  add("zero, with another secret", altered(zero.payload, 3 + 7));
  refuse("A wrapped secret that was altered", "forged", [[0, "zero, with another secret"]]);
  const forger: Identity = { ...identity, keys: { ...identity.keys, sign: stranger.keys.sign } };
  add("in the name of the user", await first(forger));
  refuse("A session for the user that another key has signed", "forged", [
    [0, "in the name of the user"],
  ]);
  add("of another user", await first(stranger));
  refuse("A whole envelope of another user", "forged", [[0, "of another user"]]);
  const renamed: Identity = { ...identity, fingerprint: stranger.fingerprint };
  add("with another fingerprint", await first(renamed));
  refuse("Another fingerprint, signed by the user", "forged", [[0, "with another fingerprint"]]);
  add("zero of another client", await first(identity, OTHER));
  refuse("A first operation of another client of the user", "forged", [
    [0, "zero of another client"],
  ]);
  const grafted = await beginSession(identity, at(1, zero.tag, OTHER));
  const graft = await seal(grafted, at(1, zero.tag, OTHER), text("grafted"));
  add("a session of another client", graft.payload);
  refuse(
    "A session of another client of the user",
    "forged",
    [[1, "a session of another client"]],
    { cursor: afterZero },
  );
  const late = await beginSession(identity, at(2, one.tag));
  const lateTwo = await seal(late, at(2, one.tag), text("two"));
  const lateThree = await seal(late, at(3, lateTwo.tag), text("three"));
  add("two, of another session", lateTwo.payload);
  add("three, of another session", lateThree.payload);
  refuse(
    "An operation of another session than the one before it",
    "forged",
    [[3, "three, of another session"]],
    { cursor: afterTwo },
  );
  refuse(
    "A session that begins after another operation",
    "forged",
    [[1, "two, of another session"]],
    { cursor: afterZero },
  );
  refuse("An operation without a session", "forged", [[0, "one"]]);
  // Tags.
  add("one, with another ciphertext", altered(one.payload, -17));
  refuse("A ciphertext that was altered", "forged", [[1, "one, with another ciphertext"]], {
    cursor: afterZero,
  });
  add("one, with another distance", altered(one.payload, 2));
  add("two, with another ciphertext", altered(two.payload, -20));
  refuse("An operation under a higher index than its own", "forged", [[2, "one"]], {
    cursor: afterOne,
  });
  refuse("An operation under a lower index than its own", "forged", [[1, "two"]], {
    cursor: afterZero,
  });
  const otherZero = await seal(session, at(0, NO_PREVIOUS), text("another zero"));
  const afterOther = await seal(session, at(1, otherZero.tag), text("one"));
  add("one, after another zero", afterOther.payload);
  refuse("An operation that follows another one", "forged", [[1, "one, after another zero"]], {
    cursor: afterZero,
  });
  // Forks.
  const otherOne = await seal(session, at(1, zero.tag), text("another one"));
  add("another one", otherOne.payload);
  refuse("Another operation at the cursor", "fork", [[1, "another one"]], { cursor: afterOne });
  refuse(
    "Two operations with one index in an answer",
    "fork",
    [
      [0, "zero"],
      [1, "one"],
      [1, "another one"],
    ],
    { delivered: 2 },
  );
  refuse("Other bytes at the cursor", "forged", [[1, "one, with another ciphertext"]], {
    cursor: cursorAt(1, otherOne.tag, zero.tag),
  });
  const rival = await beginSession(identity, at(1, zero.tag));
  const rivalOne = await seal(rival, at(1, zero.tag), text("of a rival"));
  add("another one, in another session", rivalOne.payload);
  refuse(
    "Another operation at the cursor, in another session",
    "fork",
    [[1, "another one, in another session"]],
    { cursor: afterOne },
  );
  // What the user made wrong.
  const wrapper: Identity = { ...identity, keys: { ...identity.keys, wrap: stranger.keys.wrap } };
  add("zero, with a secret for another user", await first(wrapper));
  refuse("A secret that is wrapped for another key", "unreadable", [
    [0, "zero, with a secret for another user"],
  ]);
  for (const [what, content] of MALFORMED) {
    const broken = await sealBytes(session, at(0, NO_PREVIOUS), content);
    const name = add(`zero, with content ${what}`, broken.payload);
    refuse(`Content ${what}`, null, [[0, name]], { unreadable: [0] });
  }
  const badOne = await sealBytes(session, at(1, zero.tag), new Uint8Array(0));
  const next = await seal(session, at(2, badOne.tag), text("two"));
  add("one, without content", badOne.payload);
  add("two, after the one without content", next.payload);
  refuse(
    "An operation after one without content",
    null,
    [
      [0, "zero"],
      [1, "one, without content"],
      [2, "two, after the one without content"],
    ],
    { delivered: 2, unreadable: [1] },
  );
  refuse(
    "A fault after one without content",
    "forged",
    [
      [0, "zero"],
      [1, "one, without content"],
      [2, "two"],
    ],
    { delivered: 1, unreadable: [1] },
  );
  // Runs.
  refuse(
    "A fault in the last line: those before it are delivered",
    "forged",
    [
      [0, "zero"],
      [1, "one"],
      [2, "two, with another ciphertext"],
    ],
    { delivered: 2 },
  );
  refuse(
    "A fault in the middle: those after it are refused",
    "forged",
    [
      [0, "zero"],
      [1, "one, with another ciphertext"],
      [2, "two"],
    ],
    { delivered: 1 },
  );
  refuse(
    "A number of operations before this one that is wrong",
    "forged",
    [[1, "one, with another distance"]],
    { cursor: afterZero },
  );

  write("refusals.json", {
    note: read("refusals.json").note,
    private_key_pkcs8: pkcs8,
    fingerprint: identity.fingerprint,
    client_id: CLIENT,
    refusals,
    payloads,
  });

  /** The payload of an operation with the index 0. */
  async function first(maker: Identity, client = CLIENT): Promise<string> {
    const place = at(0, NO_PREVIOUS, client, maker);
    return (await seal(await beginSession(maker, place), place, text("zero"))).payload;
  }

  /** A payload whose last character has unused bits, and one of them set. */
  async function untilUneven(): Promise<string> {
    for (let words = "zero"; ; words += "!") {
      const { payload } = await seal(session, at(0, NO_PREVIOUS), text(words));
      if (payload.length % 4 === 0) continue;
      const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
      const last = digits.indexOf(payload.at(-1) ?? "");
      return `${payload.slice(0, -1)}${digits[last + 1]}`;
    }
  }
}
