/**
 * `npm run demo`: two devices and a server on this machine, for less than a minute. The lines of
 * README.md go from one device to the other, and each is printed beside what the server stores of
 * it. Then the server hides a line, and is caught. Nothing is left behind.
 */
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { withTemporaryFolder } from "../bench/lib/folder.ts";
import { parseEnvelope } from "../client/envelope.ts";
import { createIdentity, importIdentity } from "../client/identity.ts";
import { SyncClient, textOf } from "../client/index.ts";
import { MemoryStore } from "../client/memory.ts";
import { isFingerprint } from "../oplog/names.ts";
import { toBase64url } from "../protocol/base64.ts";
import { readConfig } from "../server/config.ts";
import { listen, responseClass } from "../server/http/listen.ts";
import { createLogger } from "../server/logger.ts";
import { createHandler } from "../server.ts";
import type { Driver } from "../storage/driver.ts";
import { openStorage } from "../storage/open.ts";
import { UserObjects } from "./user-objects.ts";
import { showWithholding } from "./withholding-server.ts";

const README = fileURLToPath(new URL("../README.md", import.meta.url));
/** Widths of the columns of text. */
const CIPHERTEXT_WIDTH = 34;
const TEXT_WIDTH = 56;
/** How often the phone polls, in milliseconds. */
const POLL_MS = 100;

await withTemporaryFolder(tmpdir(), async (folder) => {
  // Compaction would replace the stored objects while they are shown.
  const config = readConfig({ STORAGE: join(folder, "data"), COMPACTION: "off", RATE_LIMIT: "0" });
  const driver = await openStorage(config.STORAGE);
  const logger = createLogger("error");
  const handler = createHandler({ config, driver, logger, Response: await responseClass() });
  const server = await listen(handler.fetch, {
    paths: handler.paths,
    hostname: "localhost",
    port: 0,
    headersTimeout: config.CLIENT_TIMEOUT,
    onError: (message) => logger.error(message),
    onLost: (error) => {
      throw error;
    },
  });
  console.log(`The server listens on ${server.url}, and stores in ${folder}.`);
  try {
    await syncReadme(server.url, driver);
  } finally {
    await Promise.all([handler.stop(), server.close(true)]);
    await driver.close();
  }
});

/** Sends the lines of README.md from laptop to phone. Throws unless all of them arrive unchanged. */
async function syncReadme(url: string, driver: Driver): Promise<void> {
  const passphrase = crypto.randomUUID();
  const { identity, text: keyText } = await createIdentity(passphrase);
  const { fingerprint, bits } = identity;
  if (!isFingerprint(fingerprint)) throw new TypeError("the client's fingerprint is invalid");
  console.log(
    `The laptop created an RSA key of ${bits} bits. The phone imported it as a text that a passphrase\n` +
      "protects. The server only receives the public key, and stores its fingerprint:\n" +
      `${fingerprint}\n`,
  );
  console.log(`index  ${"ciphertext on the server".padEnd(CIPHERTEXT_WIDTH)}  text on the phone`);
  const lines = (await readFile(README, "utf8")).split("\n");
  const startedAt = performance.now();
  const objects = new UserObjects(driver, fingerprint);
  const received: string[] = [];
  let lastObject = "";
  const laptop = await SyncClient.open({
    url,
    identity,
    store: new MemoryStore(),
    receive: (_entries, _cursor, isOwn) => {
      if (!isOwn) throw new Error("the laptop received an operation, but the phone sent none");
    },
  });
  const phoneIdentity = await importIdentity(keyText, passphrase);
  const phone = await SyncClient.open({
    url,
    identity: phoneIdentity,
    store: new MemoryStore(),
    pollInterval: POLL_MS,
    receive: async (entries) => {
      for (const { client, index, data } of entries) {
        const text = textOf(data);
        received.push(text);
        const { object, payload } = await objects.find(client, index);
        if (object !== lastObject) {
          // The fingerprint is shown above, and would fill half the line.
          console.log(`\nobject ${object.slice(0, 8)}…${object.slice(fingerprint.length)}`);
          lastObject = object;
        }
        const envelope = parseEnvelope(phoneIdentity, payload);
        const ciphertext = envelope === undefined ? payload : toBase64url(envelope.ciphertext);
        console.log(row(index, ciphertext, text));
      }
    },
  });
  try {
    for (const line of lines) {
      await laptop.append(line);
      // Without, what waits goes together, as one ciphertext.
      await laptop.sync();
    }
    await phone.sync();
  } finally {
    await Promise.all([laptop.close(), phone.close()]);
  }
  if (received.join("\n") !== lines.join("\n")) throw new Error("the phone has a different text");
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  const { count, bytes } = await objects.total();
  console.log(
    `\n${lines.length} lines went from the laptop to the phone in ${seconds} s and arrived unchanged.\n` +
      `The server stores ${bytes} bytes in ${count} objects, and cannot read any of it.`,
  );
  await showWithholding(url, identity);
}

function row(index: number, ciphertext: string, text: string): string {
  const columns = [
    String(index).padStart(5),
    truncate(ciphertext, CIPHERTEXT_WIDTH).padEnd(CIPHERTEXT_WIDTH),
    truncate(text, TEXT_WIDTH),
  ];
  return columns.join("  ").trimEnd();
}

function truncate(text: string, width: number): string {
  return text.length > width ? `${text.slice(0, width - 1)}…` : text;
}
