/** The commands that write and read notes. */
import { readFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { type OperationName, textOf } from "../../../client/index.ts";
import { deviceText } from "../device-text.ts";
import { compareNotes, type Note, noteData } from "../notes.ts";
import { SortedNotes } from "../sorted-notes.ts";
import type { Arguments } from "./command.ts";
import { Device } from "./device.ts";
import { isOfServer, UsageError } from "./errors.ts";
import { clause, noteCount, noteJson, noteLine, statusText } from "./format.ts";
import { Session } from "./session.ts";
import { print, printable, readPassphrase } from "./terminal.ts";

/** By default the server takes requests of 16 MiB, and encryption in base64url adds a third. */
const MAX_NOTE_BYTES = 8 * 2 ** 20;

export async function send({ folder, file, words }: Arguments): Promise<void> {
  if (file !== undefined && words.length > 0) {
    throw new UsageError("give a text or --file, not both");
  }
  const device = await Device.open(folder);
  const single = file === undefined ? words.join(" ") : decode(await readFile(file), file);
  checkSize(single);
  const session = await Session.open(device, await device.identity(await readPassphrase()));
  let written = 0;
  const write = async (note: string) => {
    checkSize(note);
    await session.write(note);
    written++;
  };
  try {
    if (file !== undefined || words.length > 0) await write(single);
    else {
      for await (const line of createInterface({ input: process.stdin })) {
        if (line.trim() !== "") await write(line);
      }
    }
    await session.sync({ isPatient: true });
    console.error(`sent ${noteCount(written)}`);
  } catch (error) {
    const { status, tooLarge } = session;
    if (!isOfServer(error) || status.pending === 0) throw error;
    const others = status.pending - tooLarge.length;
    const isFinal = status.state === "refused" && status.final;
    const ending = isFinal ? "log prints them." : "the next send, log or watch sends them.";
    const sentences = [
      `${clause(error.message)}.`,
      ...(tooLarge.length === 0 ? [] : [tooLargeText(tooLarge, folder)]),
      ...(others === 0
        ? []
        : [`Notes that are not sent (${others}) are kept in ${folder}; ${ending}`]),
    ];
    if (others === 0) sentences.push("All others are sent.");
    throw new UsageError(sentences.join(" "));
  } finally {
    await session.close();
  }
}

export async function log({ folder, json }: Arguments): Promise<void> {
  const device = await Device.open(folder);
  let notes: Note[] = [];
  const session = await Session.open(device, await device.identity(await readPassphrase()));
  try {
    await session.sync();
  } catch (error) {
    if (!isOfServer(error)) throw error;
    const { status, tooLarge } = session;
    // A round that failed is in the status; one that left only what is too large has read everything.
    const isRead = tooLarge.length > 0 && "why" in status && status.why !== error.message;
    const sentences = [
      ...(isRead ? [] : [`${clause(error.message)}. Notes of other devices may be missing.`]),
      ...(tooLarge.length === 0 ? [] : [tooLargeText(tooLarge, folder)]),
    ];
    console.error(printable(`Warning: ${sentences.join(" ")}`));
    process.exitCode = 1;
  } finally {
    const { own, others } = await session.notes();
    notes = [...own, ...others];
    await session.close();
  }
  await printNotes(notes, json);
}

export async function watch({ folder, json }: Arguments): Promise<void> {
  const device = await Device.open(folder);
  const identity = await device.identity(await readPassphrase());
  let fail: (error: unknown) => void = () => undefined;
  const stopped = new Promise<void>((resolve, reject) => {
    process.once("SIGINT", resolve);
    process.once("SIGTERM", resolve);
    fail = reject;
  });
  let printing = Promise.resolve();
  const printed = new SortedNotes();
  const show = (notes: readonly Note[]) => {
    const unknown = printed.add(notes);
    printing = printing.then(() => printNotes(unknown, json));
    printing.catch(fail);
  };
  // Those of the first sync are printed in order.
  let hasSynced = false;
  let shown = "";
  const session = await Session.open(device, identity, {
    isLive: true,
    onNotes: (notes) => {
      if (hasSynced) show(notes);
    },
    onStatus: (status) => {
      const text = statusText(status);
      if (status.state === "pending" || text === shown) return;
      console.error(printable(`(${text})`));
      shown = text;
    },
  });
  try {
    const firstSync = session.sync().catch((error: unknown) => {
      // `onStatus` has shown it, and the client retries.
      if (!isOfServer(error)) throw error;
    });
    await Promise.race([firstSync, stopped]);
    hasSynced = true;
    const { own, others } = await session.notes();
    show([...own, ...others]);
    await stopped;
  } finally {
    await session.close();
  }
}

export async function status({ folder, invite }: Arguments): Promise<void> {
  const device = await Device.open(folder);
  const identity = await device.identity(await readPassphrase());
  const session = await Session.open(device, identity, { invite });
  try {
    await session.sync();
  } catch (error) {
    // The row `status` shows it.
    if (!isOfServer(error)) throw error;
    process.exitCode = 1;
  }
  const { own, others } = await session.notes();
  const devices = new Set(others.map(({ client }) => client));
  const rows = {
    status: statusText(session.status),
    server: device.server,
    folder,
    notebook: `${identity.fingerprint.slice(0, 8)}, RSA key of ${identity.bits} bits`,
    fingerprint: identity.fingerprint,
    "this device": `${session.client}, ${noteCount(own.length)}`,
    "state code": await session.stateCode(),
    "other devices": `${devices.size}, ${noteCount(others.length)}`,
    ...Object.fromEntries(deviceRows(session, own)),
    ...(session.tooLarge.length === 0 ? {} : { "too large": placesText(session.tooLarge) }),
  };
  await session.close();
  const lines = Object.entries(rows).map(([name, value]) => `${name.padEnd(15)}${value}\n`);
  await print(printable(lines.join("")));
}

/** A row for each other device. */
function deviceRows({ client, devices }: Session, own: readonly Note[]): [string, string][] {
  const newest = own.findLast((note) => note.client === client)?.index;
  const now = Date.now();
  return devices.map((one) => [`  ${one.client.slice(0, 8)}`, deviceText(one, newest, now)]);
}

/** What becomes of notes that are too large for the server. */
function tooLargeText(tooLarge: readonly OperationName[], folder: string): string {
  return (
    `Too large for the server: ${placesText(tooLarge)}. They are kept in ${folder}, log prints them, ` +
    "and each send, log, watch or status tries to send them again."
  );
}

function placesText(notes: readonly OperationName[]): string {
  return notes.map(({ client, index }) => `note ${index} of ${client}`).join(", ");
}

function decode(bytes: Uint8Array, file: string): string {
  try {
    return textOf(bytes);
  } catch (error) {
    throw new UsageError(`${file} is not text in UTF-8`, { cause: error });
  }
}

function checkSize(note: string): void {
  // Of the JSON that is encrypted, in which some characters take more bytes.
  const size = Buffer.byteLength(noteData(note, Date.now()));
  if (size <= MAX_NOTE_BYTES) return;
  throw new UsageError(
    `a note can have at most ${MAX_NOTE_BYTES / 2 ** 20} MiB: split this one of ${size} bytes`,
  );
}

/** Prints notes, oldest first. */
async function printNotes(notes: readonly Note[], json = false): Promise<void> {
  for (const note of notes.toSorted(compareNotes)) {
    await print(json ? noteJson(note) : noteLine(note));
  }
}
