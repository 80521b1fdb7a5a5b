/** Signatures that break a rule of PROTOCOL.md: each is refused by the check that it fails. */
import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import { assertRefused, atNow, NOW, replace, sendSigned } from "../support/signed-requests.ts";
import {
  COMPONENTS,
  type Deviations,
  newSigningUser,
  type SigningUser,
} from "../support/signing.ts";

let user: SigningUser;
before(async () => {
  user = await newSigningUser();
});

describe("a signed request", () => {
  const late: [string, Deviations][] = [
    ["a time five minutes and a second ago", { created: NOW - 301 }],
    ["a time in five minutes and a second", { created: NOW + 301 }],
    ["no time", { created: null }],
    ["an end that was a second ago", { expires: NOW - 1 }],
  ];
  for (const [what, deviations] of late) {
    it(`T-15 is refused by the clock check with ${what}`, async () => {
      assertRefused(user, await sendSigned(user, atNow(), deviations), "clock");
    });
  }

  for (const component of COMPONENTS) {
    it(`is refused when it does not cover ${component}`, async () => {
      const components = COMPONENTS.filter((name) => name !== component);
      const answer = await sendSigned(user, atNow(), { components });
      assertRefused(user, answer, "components");
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
      assertRefused(user, await sendSigned(user, server, {}, change), check);
      assert.deepEqual(await server.driver.list(""), []);
    });
  }

  it("is refused for a host that is longer than any name in DNS, although it is signed for that", async () => {
    for (const length of [260, 261]) {
      const host = "h".repeat(length);
      const sent = [{ authority: host }, undefined, undefined, `http://${host}/sync`] as const;
      const answer = await sendSigned(user, atNow(), ...sent);
      if (length === 260) assert.equal(answer.status, 200, answer.text);
      else assertRefused(user, answer, "authority");
    }
  });
});
