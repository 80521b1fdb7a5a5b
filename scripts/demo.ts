/**
 * `npm run demo`: two devices and a server, on this machine and for less than a minute. The text of
 * README.md goes from one device to the other, line by line, and what the server holds of each line
 * stands next to it. Nothing is left behind.
 */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseEnvelope } from "../client/envelope.ts";
import {
  createIdentity,
  type Identity,
  importIdentity,
  MemoryStore,
  type Operation,
  SyncClient,
  textOf,
} from "../client/index.ts";
import { toBase64url } from "../protocol/base64.ts";
import { readConfig } from "../server/config.ts";
import { listen, responseClass } from "../server/http/listen.ts";
import { createLogger } from "../server/logger.ts";
import { createHandler } from "../server.ts";
import type { Driver } from "../storage/driver.ts";
import { openStorage } from "../storage/open.ts";
import { Holdings } from "./holdings.ts";

const README = fileURLToPath(new URL("../README.md", import.meta.url));
/** Columns of what the server holds, and of what the phone reads. */
const CIPHERTEXT_WIDTH = 34;
const TEXT_WIDTH = 56;
/** How often the phone asks for news, in milliseconds. */
const POLL_MS = 100;

/** The object whose name was printed last. */
let lastObject = "";

const folder = await mkdtemp(join(tmpdir(), "sync-server-demo-"));
try {
  // Compaction would pack the objects anew while they are shown.
  const config = readConfig({ STORAGE: join(folder, "data"), COMPACTION: "off", RATE_LIMIT: "0" });
  const driver = await openStorage(config.STORAGE);
  const logger = createLogger("error");
  const handler = createHandler({ config, driver, logger, Response: await responseClass() });
  const server = await listen(handler.fetch, {
    hostname: "localhost",
    port: 0,
    headersTimeout: config.CLIENT_TIMEOUT,
  });
  console.log(`A server listens on ${server.url} and stores in ${folder}.`);
  try {
    await show(server.url, driver);
  } finally {
    await Promise.all([handler.stop(), server.close(true)]);
    await driver.close();
  }
} finally {
  await rm(folder, { recursive: true, force: true, maxRetries: 10 });
}

/** Sends the lines from one device to the other. Throws unless all of them arrive as they were. */
async function show(url: string, driver: Driver): Promise<void> {
  const passphrase = crypto.randomUUID();
  const { identity, text: keyText } = await createIdentity(passphrase);
  console.log(
    `The laptop has made an RSA key of ${identity.bits} bits. The phone has a copy of it, brought over\n` +
      "as a text that a passphrase protects. The server is told the public key only, and stores\n" +
      `its fingerprint: ${identity.fingerprint}\n`,
  );
  console.log(`index  ${"ciphertext, at the server".padEnd(CIPHERTEXT_WIDTH)}  text, on the phone`);
  const lines = (await readFile(README, "utf8")).split("\n");
  const startedAt = performance.now();
  const holdings = new Holdings(driver, identity.fingerprint);
  const received: string[] = [];
  const phoneIdentity = await importIdentity(keyText, passphrase);
  const laptop = await SyncClient.open({
    url,
    identity,
    store: new MemoryStore(),
    receive: refuse,
  });
  const phone = await SyncClient.open({
    url,
    identity: phoneIdentity,
    store: new MemoryStore(),
    pollInterval: POLL_MS,
    receive: async (operations) => {
      for (const operation of operations) {
        received.push(textOf(operation.data));
        await print(operation, holdings, phoneIdentity);
      }
    },
  });
  try {
    for (const line of lines) await laptop.append(line);
    await laptop.sync();
    await phone.sync();
  } finally {
    await Promise.all([laptop.close(), phone.close()]);
  }
  if (received.join("\n") !== lines.join("\n")) throw new Error("the phone has another text");
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  const { objects, bytes } = await holdings.total();
  console.log(
    `\n${lines.length} lines went from the laptop to the phone in ${seconds} s, and the phone has them exactly as\n` +
      `they were. The server holds ${objects} objects with ${bytes} bytes, and cannot read a word of them.`,
  );
}

function refuse(): void {
  throw new Error("the phone has sent nothing");
}

/** Prints an operation: what the server holds of it, and what it is to the phone. */
async function print(
  { client, index, data }: Operation,
  holdings: Holdings,
  identity: Identity,
): Promise<void> {
  const { object, payload } = await holdings.find(client, index);
  if (object !== lastObject) {
    // The fingerprint stands above, and would fill half the line.
    console.log(`\nobject ${object.slice(0, 8)}…${object.slice(identity.fingerprint.length)}`);
    lastObject = object;
  }
  const held = fit(toBase64url(parseEnvelope(identity, payload).ciphertext), CIPHERTEXT_WIDTH);
  const number = String(index).padStart(5);
  console.log(
    `${number}  ${held.padEnd(CIPHERTEXT_WIDTH)}  ${fit(textOf(data), TEXT_WIDTH)}`.trimEnd(),
  );
}

/** The beginning of a text, where it is too wide for its column. */
function fit(text: string, width: number): string {
  return text.length > width ? `${text.slice(0, width - 1)}…` : text;
}
