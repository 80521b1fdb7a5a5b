/** The commands that make a device or carry its key. */
import { readFile } from "node:fs/promises";
import { text } from "node:stream/consumers";
import { createIdentity, importIdentity, withHeads } from "../../../client/identity.ts";
import type { Identity } from "../../../client/index.ts";
import { identityFromPem } from "../../../client/pem.ts";
import { withoutWords } from "../key-text.ts";
import type { Arguments } from "./command.ts";
import { Device } from "./device.ts";
import { isOfServer, UsageError } from "./errors.ts";
import { clause } from "./format.ts";
import { Session } from "./session.ts";
import { print, printable, readPassphrase } from "./terminal.ts";

const DEFAULT_SERVER = "http://localhost:8080";

export async function init({ folder, server, bits = "3072", invite }: Arguments): Promise<void> {
  await Device.assertNone(folder);
  const url = serverUrl(server);
  const passphrase = await readPassphrase({ confirm: true });
  const { identity, text: key } = await createIdentity(passphrase, { bits: Number(bits) });
  const device = await Device.create(folder, { server: url, key });
  await print(
    `${folder} is a device of a new notebook, ${identity.fingerprint.slice(0, 8)}, at ${url}.\n` +
      "To add a device, run pair. Keep a copy of what export prints, and the passphrase.\n",
  );
  await enter(device, identity, invite);
}

/** Has the server put the key on its list of users, where there is an invite. */
async function enter(device: Device, identity: Identity, invite?: string): Promise<void> {
  if (invite === undefined) return;
  const session = await Session.open(device, identity, { invite });
  try {
    await session.sync();
    console.error(printable(`${device.server} has accepted the key`));
  } catch (error) {
    if (!isOfServer(error)) throw error;
    throw new UsageError(
      `the device is made, and the invite is not used: ${clause(error.message)}. Try again with status --invite`,
    );
  } finally {
    await session.close();
  }
}

export async function exportKey({ folder }: Arguments): Promise<void> {
  const device = await Device.open(folder);
  const identity = await device.identity(await readPassphrase());
  await print(await textWithHeads(device, identity));
}

/** The key, with what the device has of the notebook. It may be the last copy: nothing keeps it back. */
async function textWithHeads(device: Device, identity: Identity): Promise<string> {
  try {
    const session = await Session.open(device, identity);
    try {
      await session.sync().catch(ignoreServer);
      return await withHeads(device.key, identity, await session.heads());
    } finally {
      await session.close();
    }
  } catch (error) {
    console.error(
      printable(`Warning: ${reasonOf(error)}. The key does not say what the notebook has.`),
    );
    process.exitCode = 1;
    return device.key;
  }
}

/** What this device has is enough. */
function ignoreServer(error: unknown): void {
  if (!isOfServer(error)) throw error;
}

function reasonOf(error: unknown): string {
  return clause(error instanceof Error ? error.message : String(error));
}

export async function importKey({ folder, server, words, invite }: Arguments): Promise<void> {
  await Device.assertNone(folder);
  const url = serverUrl(server);
  const [file = "-"] = words;
  const given = file === "-" ? await text(process.stdin) : await readFile(file, "utf8");
  const isPem = given.includes("-----BEGIN ") && !given.includes("-----BEGIN SYNC-SERVER KEY");
  const passphrase = await readPassphrase({ confirm: isPem });
  const { identity, text: key } = isPem
    ? await identityFromPem(given, passphrase)
    : { identity: await importIdentity(given, passphrase), text: withoutWords(given) };
  const device = await Device.create(folder, { server: url, key, imported: Date.now() });
  await print(
    `${folder} is a device of the notebook ${identity.fingerprint.slice(0, 8)}, at ${url}.\n` +
      (identity.expected === undefined
        ? "The key does not say what the notebook has: compare the state codes that status shows on this\n" +
          "device and on another one.\n"
        : ""),
  );
  await enter(device, identity, invite);
}

function serverUrl(address = process.env.SYNC_SERVER ?? DEFAULT_SERVER): string {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  const isHttp = url?.protocol === "http:" || url?.protocol === "https:";
  if (isHttp && url.username === "" && url.password === "") return url.href;
  throw new UsageError(`${address} is not a server: give an address such as https://sync.example`);
}
