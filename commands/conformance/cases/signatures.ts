/** Section 14 of PROTOCOL.md: which signatures are taken, and how the others are refused. */
import { REQUEST_TYPE } from "../../../protocol/limits.ts";
import { type Account, newClient, type SendOptions } from "../account.ts";
import type { Answer } from "../answer.ts";
import type { Case } from "../case.ts";
import { CannotTry, holds, same } from "../checks.ts";
import { COMPONENTS, type Deviations, digestOf, signedHeaders } from "../signing.ts";

/** Seconds of Unix time. */
const now = () => Math.floor(Date.now() / 1000);

const poll = (user: Account, options: SendOptions) =>
  user.post({ client_id: newClient() }, options);

/** Throws `Broken` unless a signature is taken that is not as the client in `client/` makes it. */
async function takes(user: Account, what: string, options: SendOptions): Promise<void> {
  (await poll(user, options)).accepted(what);
}

async function refuses(
  user: Account,
  check: string,
  what: string,
  options: SendOptions,
): Promise<Answer> {
  const answer = await poll(user, options);
  answer.refused("signature-invalid", what, { check });
  return answer;
}

/** Throws `Broken` unless each of these is refused by the same check. */
async function refusesEach(
  user: Account,
  check: string,
  signatures: readonly [string, Deviations][],
): Promise<void> {
  for (const [what, deviations] of signatures) await refuses(user, check, what, { deviations });
}

/** Alters a header of a signed request. */
const altering =
  (name: string, change: (value: string) => string) => (headers: Record<string, string>) => ({
    ...headers,
    [name]: change(headers[name] ?? ""),
  });

export const SIGNATURES: readonly Case[] = [
  {
    rule: "R-11.16",
    says: "ignores an invite of a user who needs none, whether the signature covers it or not",
    async run(server) {
      const user = await server.sharedUser();
      for (const components of [COMPONENTS, [...COMPONENTS, "sync-invite"]]) {
        const answer = await poll(user, { invite: "an-invite", deviations: { components } });
        answer.accepted("a request with an invite");
      }
    },
  },
  {
    rule: "R-11.20",
    says: "ignores a guest that is on its list already, and any guest if it has no list of users",
    async run(server) {
      const user = await server.sharedUser();
      const body = JSON.stringify({ user: user.base64, client_id: newClient() });
      const request = { url: server.url.href, body };
      const components = [...COMPONENTS, "sync-guest"];
      const sendWith = async (guest: string, deviations: Deviations) => {
        const fields = { "sync-guest": guest };
        const headers = await signedHeaders(user, { ...request, fields }, deviations);
        (await user.send(body, { signed: false, headers })).accepted("a request with a guest");
      };
      await sendWith(user.fingerprint, { components });
      if (!server.hasList) await sendWith("no-fingerprint", {});
    },
  },
  {
    rule: "R-14.2",
    says: "is closed to unsigned requests of a user who has signed one",
    async run(server) {
      server.needUnsigned();
      const user = await server.newUser();
      await takes(user, "an unsigned request before", { signed: false });
      await takes(user, "a signed request", {});
      const answer = await poll(user, { signed: false });
      answer.refused("signature-required", "an unsigned request after a signed one");
    },
  },
  {
    rule: "R-14.4",
    says: "is closed by a signed append that it refuses, and not by a signature that is wrong",
    async run(server) {
      server.needUnsigned();
      const user = await server.newUser();
      const deviations = { created: now() - 1000 };
      await refuses(user, "clock", "a signature of long ago", { deviations });
      await takes(user, "an unsigned request after that", { signed: false });
      const append = { client_id: newClient(), operation_index: 1, payload: "x" };
      (await user.post(append)).refused("operation-gap", "an append with a gap");
      const answer = await poll(user, { signed: false });
      answer.refused("signature-required", "an unsigned request after that");
    },
  },
  {
    rule: "R-14.5",
    says: "refuses each unsigned request, whatever is stored of its user, if it requires signatures",
    async run(server) {
      if (server.hasList) throw new CannotTry("the server has a list of users");
      if (server.acceptsUnsigned) throw new CannotTry("the server takes unsigned requests");
      const [one, other] = [await server.newUser(), await server.newUser()];
      await one.append(newClient(), 0, "x");
      for (const user of [one, other]) {
        const answer = await poll(user, { signed: false });
        answer.refused("signature-required", "an unsigned request");
      }
    },
  },
  {
    rule: "R-14.6",
    says: "takes a digest by SHA-256 or SHA-512, and wants both to be right where there are two",
    async run(server) {
      const user = await server.sharedUser();
      const body = JSON.stringify({ user: user.base64, client_id: newClient() });
      const signedWith = (contentDigest: string) =>
        user.send(body, {
          deviations: { contentDigest },
          alter: altering("Content-Digest", () => contentDigest),
        });
      const [short, long] = [digestOf(body), digestOf(body, "sha-512")];
      for (const digest of [long, `${short}, ${long}`, `md5=:AAAA:, ${short}`]) {
        (await signedWith(digest)).accepted(`Content-Digest: ${digest}`);
      }
      for (const digest of [`${short}, ${digestOf("{}", "sha-512")}`, digestOf("{}")]) {
        const answer = await signedWith(digest);
        answer.refused("signature-invalid", "a wrong digest", { check: "digest" });
      }
    },
  },
  {
    rule: "R-14.6",
    says: "refuses two signatures, a field that is missing, and one of more than 4096 characters",
    async run(server) {
      const user = await server.sharedUser();
      const long = `;tag="${"t".repeat(4096)}"`;
      const altered: [string, (headers: Record<string, string>) => Record<string, string>][] = [
        ["no Signature", ({ Signature: _, ...others }) => others],
        ["no Signature-Input", ({ "Signature-Input": _, ...others }) => others],
        ["a Signature that is none", altering("Signature", () => "sig=:!:")],
        ["two signatures", altering("Signature-Input", (input) => `${input}, b${input}`)],
        ["a Signature-Input that is too long", altering("Signature-Input", (i) => i + long)],
      ];
      for (const [what, alter] of altered) await refuses(user, "format", what, { alter });
    },
  },
  {
    rule: "R-14.7",
    says: "takes the components in any order and more of them, and wants all of the five",
    async run(server) {
      const user = await server.sharedUser();
      await takes(user, "another order", { deviations: { components: COMPONENTS.toReversed() } });
      for (const missing of COMPONENTS) {
        const components = COMPONENTS.filter((name) => name !== missing);
        await refuses(user, "components", `a signature without ${missing}`, {
          deviations: { components },
        });
      }
    },
  },
  {
    rule: "R-14.8",
    says: "takes the parameters that may be left out or added",
    async run(server) {
      const user = await server.sharedUser();
      await takes(user, "no alg", { deviations: { alg: null } });
      await takes(user, "a nonce and a tag", { deviations: { more: 'nonce="n";tag="t"' } });
      await takes(user, "an end in a minute", { deviations: { expires: now() + 60 } });
      for (const off of [-240, 240]) {
        const deviations = { created: now() + off };
        await takes(user, `a clock that is off by ${off} seconds`, { deviations });
      }
    },
  },
  {
    rule: "R-14.8",
    says: "refuses parameters that are missing, wrong or out of time",
    async run(server) {
      const user = await server.sharedUser();
      await refusesEach(user, "clock", [
        ["no created", { created: null }],
        ["a time six minutes ago", { created: now() - 360 }],
        ["a time in six minutes", { created: now() + 360 }],
        ["an end that is past", { expires: now() - 60 }],
      ]);
      await refusesEach(user, "key", [
        ["no keyid", { keyid: null }],
        ["another keyid", { keyid: "A".repeat(43) }],
      ]);
      await refusesEach(user, "algorithm", [["another alg", { alg: "hmac-sha256" }]]);
    },
  },
  {
    rule: "R-14.9",
    says: "takes RSASSA-PSS with a salt of 64 bytes, and nothing else",
    async run(server) {
      const user = await server.sharedUser();
      for (const [what, salt] of [
        ["a salt of 32 bytes", 32],
        ["no salt", 0],
        ["RSASSA-PKCS1-v1_5", undefined],
      ] as const) {
        const body = JSON.stringify({ user: user.base64, client_id: newClient() });
        const signer = {
          fingerprint: user.fingerprint,
          sign: async (data: Uint8Array) => user.signWith(data, salt),
        };
        const headers = await signedHeaders(signer, { url: server.url.href, body });
        const answer = await user.send(body, { signed: false, headers });
        answer.refused("signature-invalid", what, { check: "signature" });
      }
    },
  },
  {
    rule: "R-14.10",
    says: "refuses what is signed for another address, another path or another method",
    async run(server) {
      const user = await server.sharedUser();
      const other: [string, Deviations][] = [
        ["another address", { authority: "other.example" }],
        ["another path", { path: "/other/sync" }],
        ["another method", { method: "DELETE" }],
      ];
      await refusesEach(user, "signature", other);
    },
  },
  {
    rule: "R-14.12",
    says: "refuses a request that was altered after it was signed, and never takes it for unsigned",
    async run(server) {
      const user = await server.newUser();
      const body = JSON.stringify({ user: user.base64, client_id: newClient() });
      const headers = await signedHeaders(user, { url: server.url.href, body });
      const other = JSON.stringify({ user: user.base64, client_id: newClient() });
      const altered = await user.send(other, { signed: false, headers });
      altered.refused("signature-invalid", "another body", { check: "digest" });
      const flip = (signature: string) =>
        signature.replace(/[A-Za-z]/g, (letter) => (letter === "A" ? "B" : "A"));
      const alter = altering("Signature", (value) => `sig=${flip(value.slice(4))}`);
      await refuses(user, "signature", "a signature of nobody", { alter });
      const type = altering("Content-Type", () => `${REQUEST_TYPE}; charset=utf-8`);
      await refuses(user, "signature", "another Content-Type", { alter: type });
      const created = altering("Signature-Input", (input) => input.replace(/created=\d+/, "$&0"));
      await refuses(user, "clock", "another time", { alter: created });
    },
  },
  {
    rule: "R-14.12",
    says: "says with a signature that is wrong for which address and path it was checked",
    async run(server) {
      const user = await server.sharedUser();
      const deviations = { authority: "other.example" };
      const { problem } = await refuses(user, "signature", "another address", { deviations });
      const { host, pathname } = server.url;
      same("authority and path", [problem.authority, problem.path], [host, pathname]);
    },
  },
  {
    rule: "R-14.13",
    says: "says with every 401 what to sign, and what time it is",
    async run(server) {
      const user = await server.sharedUser();
      const deviations = { created: now() - 1000 };
      for (const { status, headers } of [
        await user.erase({ signed: false }),
        await poll(user, { deviations }),
      ]) {
        same("the status", status, 401);
        same("WWW-Authenticate", headers.get("www-authenticate"), "Signature");
        const components = COMPONENTS.map((name) => `"${name}"`).join(" ");
        const accepted = `sig=(${components});created;keyid="${user.fingerprint}";alg="rsa-pss-sha512"`;
        same("Accept-Signature", headers.get("accept-signature"), accepted);
        const time = Date.parse(headers.get("date") ?? "");
        holds(!Number.isNaN(time), `Date is ${headers.get("date")}`);
      }
    },
  },
  {
    rule: "R-14.16",
    says: "takes byte sequences without padding, and no base64url",
    async run(server) {
      const user = await server.sharedUser();
      // Of 256 bytes, the base64 ends with two.
      const unpadded = altering("Signature", (value) => value.replace("==:", ":"));
      await takes(user, "a signature without padding", { alter: unpadded });
      for (let tries = 0; tries < 20; tries++) {
        let isOther = false;
        const alter = altering("Signature", (value) => {
          const other = value.replaceAll("+", "-").replaceAll("/", "_");
          isOther = other !== value;
          return other;
        });
        const answer = await poll(user, { alter });
        if (!isOther) continue;
        answer.refused("signature-invalid", "a signature in base64url", { check: "format" });
        return;
      }
      throw new CannotTry("no signature of 20 had a + or a /");
    },
  },
];
