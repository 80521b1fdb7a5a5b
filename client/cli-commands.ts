/** What each command does. */
import { readFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { Advice, Device } from "./cli-device.ts";
import type { Command } from "./cli-help.ts";
import { passphrase } from "./cli-prompt.ts";
import { Session } from "./cli-session.ts";
import {
  createIdentity,
  importIdentity,
  Refused,
  type Status,
  textOf,
  Unavailable,
} from "./index.ts";
import { compareNotes, type Note } from "./notes.ts";

export interface Options {
  readonly folder: string;
  readonly words: readonly string[];
  readonly bits?: string;
  readonly file?: string;
  readonly json?: boolean;
  readonly server?: string;
}

const DEFAULT_SERVER = "http://localhost:8080";
/** How often `watch` asks for news, in milliseconds. */
const WATCH_MS = 1000;
/** The server takes requests of 16 MiB unless told otherwise, and sealing adds a third. */
const LARGEST_NOTE = 8 * 2 ** 20;

export const commands: Readonly<Record<Command, (options: Options) => Promise<void>>> = {
  init,
  export: async ({ folder }) => {
    process.stdout.write((await Device.open(folder)).key);
  },
  import: importKey,
  send,
  log,
  watch,
  status,
};

async function init({ folder, server, bits = "3072" }: Options): Promise<void> {
  await Device.mustBeFree(folder);
  const url = serverOf(server);
  const { identity, text: key } = await createIdentity(await passphrase(true), {
    bits: Number(bits),
  });
  await Device.create(folder, url, key);
  console.log(
    `${folder} is a device of a new notebook, ${identity.fingerprint.slice(0, 8)}, at ${url}.\n` +
      "Keep what export prints, and the passphrase: they bring the notebook to other devices.",
  );
}

async function importKey({ folder, server, words }: Options): Promise<void> {
  await Device.mustBeFree(folder);
  const url = serverOf(server);
  const [file = "-"] = words;
  const key = file === "-" ? await text(process.stdin) : await readFile(file, "utf8");
  const { fingerprint } = await importIdentity(key, await passphrase());
  await Device.create(folder, url, key);
  console.log(`${folder} is a device of the notebook ${fingerprint.slice(0, 8)}, at ${url}.`);
}

async function send({ folder, file, words }: Options): Promise<void> {
  if (file !== undefined && words.length > 0) throw new Advice("give a text or --file, not both");
  const device = await Device.open(folder);
  const single = file === undefined ? words.join(" ") : textIn(await readFile(file), file);
  checkSize(single);
  const identity = await device.identity(await passphrase());
  const session = await Session.open(device, identity);
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
    await session.sync();
    console.error(`sent ${counted(written)}`);
  } catch (error) {
    if (!(error instanceof Unavailable)) throw error;
    const { pending } = session.status;
    throw new Advice(
      `${error.message}. Notes that are not sent (${pending}) are kept in ${folder}; ` +
        "the next send, log or watch sends them.",
    );
  } finally {
    await session.close();
  }
}

async function log({ folder, json }: Options): Promise<void> {
  const device = await Device.open(folder);
  const notes: Note[] = [];
  const session = await Session.open(device, await device.identity(await passphrase()), {
    onNotes: (some) => notes.push(...some),
  });
  try {
    await session.sync();
  } catch (error) {
    if (!(error instanceof Unavailable)) throw error;
    console.error(`Warning: ${error.message}. Notes of other devices are missing.`);
    process.exitCode = 1;
  } finally {
    notes.push(...(await session.own()));
    await session.close();
  }
  for (const note of notes.sort(compareNotes)) print(note, json);
}

async function watch({ folder, json }: Options): Promise<void> {
  const device = await Device.open(folder);
  const identity = await device.identity(await passphrase());
  // What there is already is gathered, and printed in order.
  let gathered: Note[] | undefined = [];
  let shown = "";
  const session = await Session.open(device, identity, {
    pollInterval: WATCH_MS,
    onNotes: (notes) => {
      if (gathered === undefined) for (const note of notes) print(note, json);
      else gathered.push(...notes);
    },
    onStatus: (status) => {
      const words = inWords(status);
      if (status.state !== "pending" && words !== shown) console.error(`(${words})`);
      if (status.state !== "pending") shown = words;
    },
  });
  const stopped = new Promise<void>((resolve) => {
    process.once("SIGINT", resolve);
    process.once("SIGTERM", resolve);
  });
  const begun = session.sync().catch((error: unknown) => {
    // The status tells, and it is tried again.
    if (!(error instanceof Unavailable || error instanceof Refused)) throw error;
  });
  await Promise.race([begun, stopped]);
  const notes = [...gathered, ...(await session.own())];
  gathered = undefined;
  for (const note of notes.sort(compareNotes)) print(note, json);
  await stopped;
  await session.close();
}

async function status({ folder }: Options): Promise<void> {
  const device = await Device.open(folder);
  const identity = await device.identity(await passphrase());
  const others = new Map<string, number>();
  const session = await Session.open(device, identity, {
    onNotes: (notes) => {
      for (const { client } of notes) others.set(client, (others.get(client) ?? 0) + 1);
    },
  });
  try {
    await session.sync();
  } catch (error) {
    // The status tells what it is.
    if (!(error instanceof Unavailable || error instanceof Refused)) throw error;
    process.exitCode = 1;
  }
  const received = [...others.values()].reduce((sum, count) => sum + count, 0);
  const rows = {
    status: inWords(session.status),
    server: device.server,
    folder,
    notebook: `${identity.fingerprint.slice(0, 8)}, RSA key of ${identity.bits} bits`,
    "this device": `${session.client}, ${counted((await session.own()).length)}`,
    "other devices": `${others.size}, ${counted(received)}`,
  };
  await session.close();
  for (const [name, value] of Object.entries(rows)) console.log(`${name.padEnd(15)}${value}`);
}

function counted(notes: number): string {
  return notes === 1 ? "1 note" : `${notes} notes`;
}

/** A status, for a person. */
function inWords(status: Status): string {
  const waiting = status.pending === 0 ? "" : `; ${status.pending} to be sent`;
  if (status.state === "synced") return "synced";
  if (status.state === "pending") return `under way${waiting}`;
  return `${status.state}: ${status.why}${waiting}`;
}

function serverOf(address = process.env.SYNC_SERVER ?? DEFAULT_SERVER): string {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (url?.protocol === "http:" || url?.protocol === "https:") return url.href;
  throw new Advice(`${address} is no server: an address such as https://sync.example is needed`);
}

function textIn(bytes: Uint8Array, file: string): string {
  try {
    return textOf(bytes);
  } catch (error) {
    throw new Advice(`${file} is no text in UTF-8`, { cause: error });
  }
}

function checkSize(note: string): void {
  const size = Buffer.byteLength(note);
  if (size <= LARGEST_NOTE) return;
  throw new Advice(
    `a note may have ${LARGEST_NOTE / 2 ** 20} MiB: split this one of ${size} bytes`,
  );
}

function print({ client, at, index, text }: Note, json = false): void {
  if (json) console.log(JSON.stringify({ client, index, at, text }));
  else {
    const time = at === 0 ? "no time" : new Date(at).toISOString().slice(0, 16).replace("T", " ");
    // A terminal obeys other control characters.
    const shown = text.replace(/[^\P{Cc}\n\t]/gu, "\u{fffd}");
    console.log(`${time.padEnd(16)}  ${client.slice(0, 8)}  ${shown}`);
  }
}
