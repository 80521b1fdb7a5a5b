/** The commands that write and show notes. */
import { createInterface } from "node:readline";
import { deviceText } from "../device-text.ts";
import { matcher, type Note } from "../notes.ts";
import type { Arguments } from "./command.ts";
import { Device } from "./device.ts";
import { InvalidArguments, isOfServer } from "./errors.ts";
import { placesText, printNotes, receiving, sending } from "./exchange.ts";
import { noteCount, statusText } from "./format.ts";
import { checked, givenText } from "./note-text.ts";
import { Session } from "./session.ts";
import { print, printable, readPassphrase } from "./terminal.ts";

export async function send({ folder, file, words }: Arguments): Promise<void> {
  const device = await Device.open(folder);
  const single = await givenText(words, file);
  const session = await Session.open(device, await device.identity(await readPassphrase()));
  let written = 0;
  const write = async (note: string) => {
    await session.write(note);
    written++;
  };
  await sending(session, folder, async () => {
    if (single !== undefined) return write(single);
    for await (const line of createInterface({ input: process.stdin })) {
      if (line.trim() !== "") await write(checked(line));
    }
  });
  console.error(`sent ${noteCount(written)}`);
}

export async function log({ folder, json }: Arguments): Promise<void> {
  await show(folder, json, () => true);
}

export async function search({ folder, json, words }: Arguments): Promise<void> {
  if (words.length === 0) throw new InvalidArguments("search needs a word to look for");
  await show(folder, json, matcher(words.join(" ")));
}

/** Prints notes, oldest first. */
async function show(
  folder: string,
  json: boolean | undefined,
  isShown: (note: Note) => boolean,
): Promise<void> {
  const device = await Device.open(folder);
  const session = await Session.open(device, await device.identity(await readPassphrase()));
  try {
    const notes = await receiving(session, folder);
    await printNotes(session, notes.filter(isShown), json);
  } finally {
    await session.close();
  }
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
  /** What was printed of each note. */
  const printed = new Map<string, string>();
  const show = (notes: readonly Note[]) => {
    const changed = notes.filter((note) => {
      const before = printed.get(note.name);
      const now = JSON.stringify([note.text, note.isDeleted]);
      printed.set(note.name, now);
      return before !== now && !(note.isDeleted && before === undefined);
    });
    printing = printing.then(() => printNotes(session, changed, json));
    printing.catch(fail);
  };
  // Those of the first sync are printed in order.
  let hasSynced = false;
  let shown = "";
  const session = await Session.open(device, identity, {
    isLive: true,
    onNotes: (names) => {
      if (hasSynced) show(names.toSorted().map((name) => session.notebook.note(name)));
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
    show(await session.notes());
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
  const { client, notebook } = session;
  const notes = await session.notes();
  const others = notes.filter((note) => !notebook.isOwn(note));
  const devices = new Set(others.map((note) => note.client));
  const name = notebook.devices.find(client);
  const rows = {
    status: statusText(session.status),
    server: device.server,
    folder,
    notebook: `${identity.fingerprint.slice(0, 8)}, RSA key of ${identity.bits} bits`,
    fingerprint: identity.fingerprint,
    "this device": `${name === undefined ? "" : `${name}, `}${client}, ${noteCount(notes.length - others.length)}`,
    "state code": await session.stateCode(),
    "other devices": `${devices.size}, ${noteCount(others.length)}`,
    ...Object.fromEntries(deviceRows(session)),
    ...(session.tooLarge.length === 0 ? {} : { "too large": placesText(session.tooLarge) }),
  };
  await session.close();
  const lines = Object.entries(rows).map(([name, value]) => `${name.padEnd(15)}${value}\n`);
  await print(printable(lines.join("")));
}

/** A row for each other device. */
function deviceRows({ notebook, devices }: Session): [string, string][] {
  const now = Date.now();
  return devices.map((one) => {
    const id = one.client.slice(0, 8);
    const name = notebook.devices.find(one.client);
    const text = deviceText(one, notebook.newestOwn, now);
    return [`  ${id}`, name === undefined ? text : `${name}, ${text}`];
  });
}
