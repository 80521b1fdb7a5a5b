/** Section 3 of PROTOCOL.md: which keys are taken, and which texts are one key. */
import { randomBytes } from "node:crypto";
import { newClient } from "../account.ts";
import { payloadsOf } from "../answer.ts";
import type { Case } from "../case.ts";
import { same } from "../checks.ts";
import type { TestedServer } from "../tested-server.ts";

/** Throws `Broken` unless a text is refused as a public key. It only polls: nobody could erase it. */
async function refuses(server: TestedServer, user: string, what: string): Promise<void> {
  const body = JSON.stringify({ user, client_id: newClient() });
  (await server.send({ body })).refused("invalid-request", what);
}

/** An element of DER. */
function der(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  const long = length < 256 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Uint8Array.of(tag, ...(length < 128 ? [length] : long)), content]);
}

const EXPONENT = der(0x02, Uint8Array.of(1, 0, 1));
/** `rsaEncryption`, with NULL as its parameters. */
const ALGORITHM = Buffer.from("300d06092a864886f70d0101010500", "hex");

/** A public key of which nobody has the private key, in PKCS #1. */
function pkcs1(bits: number): Buffer {
  const modulus = randomBytes(bits / 8);
  modulus.writeUInt8(0x80 | modulus.readUInt8(0), 0);
  modulus.writeUInt8(1 | modulus.readUInt8(modulus.length - 1), modulus.length - 1);
  return der(0x30, der(0x02, Uint8Array.of(0), modulus), EXPONENT);
}

/** The same as SPKI. It ends with the modulus and the exponent, 02 03 01 00 01. */
function spkiOf(bits: number): Buffer {
  return der(0x30, ALGORITHM, der(0x03, Uint8Array.of(0), pkcs1(bits)));
}

/** PEM as `openssl` writes it. */
function pemOf(label: string, base64: string): string {
  const lines = base64.match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join("\n")}\n-----END ${label}-----\n`;
}

export const USER_KEY: readonly Case[] = [
  {
    rule: "R-3.3",
    says: "refuses a private key",
    async run(server) {
      const { privateKey } = await server.sharedUser();
      const base64 = Buffer.from(privateKey).toString("base64");
      await refuses(server, base64, "a private key");
      await refuses(server, pemOf("PRIVATE KEY", base64), "a private key in PEM");
    },
  },
  {
    rule: "R-3.4",
    says: "takes RSA keys of 2048 to 8192 bits, and no shorter ones",
    async run(server) {
      server.needUnsigned();
      for (const bits of [2048, 3072, 8192]) {
        const body = JSON.stringify({
          user: spkiOf(bits).toString("base64"),
          client_id: newClient(),
        });
        (await server.send({ body })).accepted(`a key of ${bits} bits`);
      }
      await refuses(server, spkiOf(1024).toString("base64"), "a key of 1024 bits");
    },
  },
  {
    rule: "R-3.5",
    says: "takes all spellings of a key for one user",
    async run(server) {
      const user = await server.newUser();
      const client = newClient();
      const { base64 } = user;
      const pem = pemOf("PUBLIC KEY", base64);
      const spellings = [
        pem,
        `\n\n${pem.replaceAll("\n", "\r\n")} \t`,
        base64,
        base64.replaceAll("=", ""),
        Buffer.from(user.spki).toString("base64url"),
        `${base64.slice(0, 100)} \n\t${base64.slice(100)}`,
      ];
      for (const [index, spelling] of spellings.entries()) {
        const members = { client_id: client, operation_index: index, payload: `${index}` };
        (await user.post({ ...members, user: spelling })).accepted(`spelling ${index} of a key`);
      }
      same("what all of them have stored", payloadsOf(await user.read(), client), [
        ...spellings.map((_, index) => `${index}`),
      ]);
    },
  },
  {
    rule: "R-3.5",
    says: "refuses a key of more than 8192 characters",
    async run(server) {
      const { base64 } = await server.sharedUser();
      await refuses(server, base64 + " ".repeat(8193 - base64.length), "a key of 8193 characters");
    },
  },
  {
    rule: "R-3.6",
    says: "takes a key in one encoding only, and with an odd modulus and exponent",
    async run(server) {
      const spki = spkiOf(2048);
      const changed = (at: number, change: (byte: number) => number) => {
        const bytes = Buffer.from(spki);
        const place = bytes.length + at;
        bytes.writeUInt8(change(bytes.readUInt8(place)), place);
        return bytes.toString("base64");
      };
      const even = (byte: number) => byte & 0xfe;
      await refuses(server, changed(-6, even), "an even modulus");
      await refuses(server, changed(-1, even), "an even exponent");
      await refuses(
        server,
        changed(-3, () => 0),
        "an exponent that is not in its shortest form",
      );
      const longer = Buffer.concat([spki, Uint8Array.of(0)]).toString("base64");
      await refuses(server, longer, "a key that something follows");
    },
  },
  {
    rule: "R-3.7",
    says: "refuses keys in other formats",
    async run(server) {
      const base64 = pkcs1(2048).toString("base64");
      await refuses(server, base64, "a key in PKCS #1");
      await refuses(server, pemOf("RSA PUBLIC KEY", base64), "a key in PKCS #1 as PEM");
      const jwk = { kty: "RSA", n: randomBytes(256).toString("base64url"), e: "AQAB" };
      await refuses(server, JSON.stringify(jwk), "a key as JWK");
      const ssh = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQC7 name@host";
      await refuses(server, ssh, "a key of OpenSSH");
      await refuses(server, "", "no key");
    },
  },
];
