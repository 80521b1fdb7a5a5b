/** The command that brings the key to another device through the server: run on both. */
import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { renderUnicodeCompact } from "uqr";
import type { Status } from "../../../client/index.ts";
import {
  endPairing,
  KeyOffer,
  KeyRequest,
  MistypedCode,
  PairingFailed,
} from "../../../client/pairing.ts";
import type { Arguments } from "./command.ts";
import { Device } from "./device.ts";
import { hasCode, isOfServer, UsageError } from "./errors.ts";
import { statusText } from "./format.ts";
import { Session } from "./session.ts";
import { ask, print, printable, readPassphrase } from "./terminal.ts";

/** The file of a device that has the link of a pairing, until the server has nothing of it any more. */
const FILE = "pairing";

export async function pair({ folder, words }: Arguments): Promise<void> {
  const stopping = new AbortController();
  const stop = () => stopping.abort(new UsageError("the pairing was stopped"));
  process.once("SIGINT", stop);
  process.once("SIGTERM", stop);
  const [link] = words;
  const { signal } = stopping;
  await (link === undefined ? give(folder, signal) : take(folder, link, signal));
}

async function give(folder: string, signal: AbortSignal): Promise<void> {
  const device = await Device.open(folder);
  const passphrase = await readPassphrase();
  const identity = await device.identity(passphrase);
  await endEarlier(folder);
  const session = await Session.open(device, identity);
  const file = join(folder, FILE);
  try {
    await session.sync();
    const heads = await session.heads();
    const { server: url, key: text } = device;
    const onStatus = showStatus();
    const offer = await KeyOffer.open({
      ...{ url, identity, text, passphrase, heads, signal, onStatus },
    });
    try {
      await writeFile(file, offer.link, { mode: 0o600 });
      if (process.stdout.isTTY) console.error(renderUnicodeCompact(offer.link, { ecc: "L" }));
      await print(`${offer.link}\n`);
      console.error(
        "Scan this code with the new device, or run `pair LINK` there. Nobody else should see it.",
      );
      await offer.answered();
      await confirm(offer);
      console.error("The new device has the key.");
    } finally {
      await offer.close();
    }
    await rm(file, { force: true });
  } finally {
    await session.close();
  }
}

/** Asks for the code until it has six digits. Rejects with what ends the pairing, also while it asks. */
async function confirm(offer: KeyOffer): Promise<void> {
  for (;;) {
    const typed = await ask("Code that the new device shows: ", offer.over);
    offer.over.throwIfAborted();
    if (typed === "") throw new UsageError("no code was entered");
    try {
      return await offer.confirm(typed);
    } catch (error) {
      if (!(error instanceof MistypedCode)) throw error;
      console.error(error.message);
    }
  }
}

/** Erases what an earlier pairing has left that was cut off. */
async function endEarlier(folder: string): Promise<void> {
  const file = join(folder, FILE);
  let link: string;
  try {
    link = await readFile(file, "utf8");
  } catch (error) {
    if (hasCode(error, "ENOENT")) return;
    throw error;
  }
  try {
    await endPairing(link);
  } catch (error) {
    if (!isOfServer(error)) throw error;
    console.error(printable(`Warning: an earlier pairing is not erased yet: ${error.message}`));
    return;
  }
  await rm(file, { force: true });
}

async function take(folder: string, link: string, signal: AbortSignal): Promise<void> {
  await Device.assertNone(folder);
  const passphrase = await readPassphrase({ confirm: true });
  const request = await KeyRequest.open(link, { signal, onStatus: showStatus() });
  try {
    await print(`Code: ${await request.code()}\n`);
    console.error("Type this code on the other device.");
    const { identity, text: key } = await request.key(passphrase);
    const server = request.server.href;
    await Device.create(folder, { server, key, imported: Date.now() });
    await print(
      `${folder} is a device of the notebook ${identity.fingerprint.slice(0, 8)}, at ${server}.\n`,
    );
    await tell(request);
  } finally {
    await request.close();
  }
}

/** This device has the key, whether the other one hears of it or not. */
async function tell(request: KeyRequest): Promise<void> {
  try {
    await request.taken();
  } catch (error) {
    if (!(error instanceof PairingFailed || isOfServer(error))) throw error;
    console.error(printable(`Warning: the other device was not informed: ${error.message}`));
  }
}

/** Says once why a person has to wait. */
function showStatus(): (status: Status) => void {
  let shown = "";
  return (status) => {
    const text = "why" in status && status.state !== "refused" ? statusText(status) : "";
    if (text !== "" && text !== shown) console.error(printable(`(${text})`));
    shown = text;
  };
}
