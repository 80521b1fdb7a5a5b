/** Every text from outside at its largest, with the characters that are worst for a pattern. */
import { describe, it } from "node:test";
import { importIdentity } from "../../client/identity/identity.ts";
import { identityFromPem } from "../../client/identity/pem.ts";
import { parseFloor, parseMarker, parseName, parseSnapshot } from "../../oplog/names.ts";
import { fromBase64url } from "../../protocol/base64.ts";
import { parseClientId } from "../../protocol/ids.ts";
import { parseLine } from "../../protocol/ndjson.ts";
import { readConfig } from "../../server/config.ts";
import { helpText } from "../../server/help.ts";
import { isProxy } from "../../server/http/client-address.ts";
import { createLogger } from "../../server/logger.ts";
import { parseAllowList } from "../../sync/allow-list.ts";
import { readPublicKey } from "../../sync/public-key.ts";
import { withServer } from "../support/http.ts";
import { overSocket } from "../support/requests.ts";
import {
  inProcessServer,
  newSigningUser,
  SERVER,
  signedHeaders,
  syncBody,
} from "../support/signing.ts";
import { newClient } from "../support/users.ts";
import { assertLinear } from "../support/work.ts";

/** As many characters as a field of a head may have on Node. */
const HEAD = 15_000;
const LONG = 8190;
const JSON_TYPE = { "Content-Type": "application/json" };

const skip = process.versions.deno !== undefined;
const note = skip ? " (skipped: Deno has the engine of Node)" : "";

describe(`T-51 the CPU that a text costs grows with its length, whatever it holds:${note}`, {
  skip,
}, () => {
  it("a public key", async () => {
    await assertLinear(LONG, (text) => readPublicKey(text));
    await assertLinear(LONG, (text) => readPublicKey(text), {
      around: ["-----BEGIN PUBLIC KEY-----", "-----END PUBLIC KEY----- x"],
    });
  });

  it("each member of a request", async () => {
    const { send } = inProcessServer();
    const user = await newSigningUser();
    const members = { client_id: newClient(), operation_index: 0, payload: "p", sync_status: {} };
    const variants: ((text: string) => Record<string, unknown>)[] = [
      (text) => ({ user: text }),
      (text) => ({ client_id: text }),
      (text) => ({ payload: text }),
      (text) => ({ sync_status: { [text]: 0 } }),
      (text) => ({ [text]: 0 }),
    ];
    for (const variant of variants) {
      await assertLinear(LONG, (text) =>
        send(JSON.stringify({ user: user.base64, ...members, ...variant(text) }), JSON_TYPE),
      );
    }
    await assertLinear(LONG, (text) => send(text, JSON_TYPE));
  });

  it("each field of a head, and the path", async () => {
    const settings = { TRUSTED_PROXIES: "127.0.0.1,::1", CORS_ORIGIN: "https://app.example" };
    await withServer(settings, async ({ port }) => {
      const user = await newSigningUser();
      // Refused in the end, whatever the field holds: only a problem ends an answer for the socket.
      const body = JSON.stringify({ user: user.base64, client_id: "none" });
      const signed = await signedHeaders(user, { url: SERVER, body: syncBody(user) });
      const send = (text: string, name: string, more: Record<string, string> = {}) => {
        const fields = { Host: "sync.example", ...more, [name]: text };
        const lines = Object.entries(fields).map(([field, value]) => `${field}: ${value}\r\n`);
        const sent = name.startsWith("Signature") || name in signed ? syncBody(user) : body;
        const head = `POST /sync HTTP/1.1\r\n${lines.join("")}Content-Length: ${sent.length}\r\n\r\n`;
        return overSocket(port, Buffer.from(head + sent, "latin1"));
      };
      const endings = ["!"];
      for (const name of [
        "Content-Type",
        "Content-Encoding",
        "Origin",
        "Forwarded",
        "X-Forwarded-For",
      ]) {
        await assertLinear(HEAD, (text) => send(text, name, JSON_TYPE), { endings });
      }
      for (const name of ["Content-Digest", "Host"]) {
        await assertLinear(HEAD, (text) => send(text, name, signed), { endings });
      }
      for (const name of ["Signature", "Signature-Input"]) {
        const around: [string, string] = ["sig=", ""];
        await assertLinear(4096, (text) => send(text, name, signed), { endings, around });
      }
      await assertLinear(
        HEAD,
        (text) => overSocket(port, `GET /x${encodeURI(text)} HTTP/1.1\r\nHost: a\r\n\r\n`),
        { endings },
      );
    });
  });

  it("settings, the list of users, object names and lines of the log", async () => {
    const settings = [...helpText().matchAll(/^ {2}([A-Z_]+) /gm)].map(([, name = ""]) => name);
    for (const name of settings) {
      if (name !== "USERS") await assertLinear(LONG, (text) => readConfig({ [name]: text }));
    }
    await assertLinear(LONG, isProxy);
    await assertLinear(LONG, parseAllowList);
    await assertLinear(LONG, (text) => parseAllowList(`invite=${text}`));
    await assertLinear(LONG, (text) => parseAllowList(`${text}\n`.repeat(4)));
    await assertLinear(LONG, parseName);
    await assertLinear(LONG, parseMarker);
    await assertLinear(LONG, parseSnapshot);
    await assertLinear(LONG, parseFloor);
    const logger = createLogger("info", () => undefined);
    await assertLinear(LONG, (text) => logger.info(text, { error: new Error(text) }));
  });

  it("a private key as text, and in PEM", async () => {
    const around = (label: string): [string, string] => [
      `-----BEGIN ${label}-----`,
      `-----END ${label}-----`,
    ];
    const passphrase = "correct horse";
    for (const options of [{}, { around: around("SYNC-SERVER KEY") }]) {
      await assertLinear(LONG, (text) => importIdentity(text, passphrase), options);
    }
    for (const options of [{}, { around: around("PRIVATE KEY") }]) {
      await assertLinear(LONG, (text) => identityFromPem(text, passphrase), options);
    }
  });

  it("a line of an answer, an id and base64url", async () => {
    await assertLinear(LONG, parseLine);
    await assertLinear(LONG, parseClientId);
    await assertLinear(LONG, fromBase64url);
  });
});
