/** What each command does. */
import { readFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import {
  createIdentity,
  importIdentity,
  ServerRejected,
  ServerUnavailable,
  type Status,
  textOf,
} from "../../../client/index.ts";
import { compareNotes, type Note, noteData } from "../notes.ts";
import { Advice, Device } from "./device.ts";
import type { Command } from "./help.ts";
import { print, printable } from "./output.ts";
import { passphrase } from "./prompt.ts";
import { Session } from "./session.ts";

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
    await print((await Device.open(folder)).key);
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
  await print(
    `${folder} is a device of a new notebook, ${identity.fingerprint.slice(0, 8)}, at ${url}.\n` +
      "Keep what export prints, and the passphrase: they bring the notebook to other devices.\n",
  );
}

async function importKey({ folder, server, words }: Options): Promise<void> {
  await Device.mustBeFree(folder);
  const url = serverOf(server);
  const [file = "-"] = words;
  const key = file === "-" ? await text(process.stdin) : await readFile(file, "utf8");
  const { fingerprint } = await importIdentity(key, await passphrase());
  await Device.create(folder, url, key);
  await print(`${folder} is a device of the notebook ${fingerprint.slice(0, 8)}, at ${url}.\n`);
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
    const { pending } = session.status;
    const isOfServer = error instanceof ServerUnavailable || error instanceof ServerRejected;
    if (!isOfServer || pending === 0) throw error;
    throw new Advice(
      `${clause(error.message)}. Notes that are not sent (${pending}) are kept in ${folder}; ` +
        "the next send, log or watch sends them.",
    );
  } finally {
    await session.close();
  }
}

async function log({ folder, json }: Options): Promise<void> {
  const device = await Device.open(folder);
  const notes: Note[] = [];
  let own: Note[] = [];
  const session = await Session.open(device, await device.identity(await passphrase()), {
    onNotes: (some) => {
      notes.push(...some);
    },
  });
  try {
    await session.sync();
  } catch (error) {
    if (!(error instanceof ServerUnavailable)) throw error;
    console.error(
      printable(`Warning: ${clause(error.message)}. Notes of other devices are missing.`),
    );
    process.exitCode = 1;
  } finally {
    // Nothing more is added to the notes.
    own = await session.own();
    await session.close();
  }
  await printNotes([...notes, ...own], json);
}

async function watch({ folder, json }: Options): Promise<void> {
  const device = await Device.open(folder);
  const identity = await device.identity(await passphrase());
  let fail: (error: unknown) => void = () => undefined;
  const stopped = new Promise<void>((resolve, reject) => {
    process.once("SIGINT", resolve);
    process.once("SIGTERM", resolve);
    fail = reject;
  });
  let printing = Promise.resolve();
  const show = (notes: readonly Note[]) => {
    printing = printing.then(() => printNotes(notes, json));
    printing.catch(fail);
  };
  // What there is already is gathered, and printed in order.
  let gathered: Note[] | undefined = [];
  let shown = "";
  const session = await Session.open(device, identity, {
    pollInterval: WATCH_MS,
    onNotes: (notes) => {
      if (gathered === undefined) show(notes);
      else gathered.push(...notes);
    },
    onStatus: (status) => {
      const words = inWords(status);
      if (status.state !== "pending" && words !== shown) console.error(printable(`(${words})`));
      if (status.state !== "pending") shown = words;
    },
  });
  try {
    const begun = session.sync().catch((error: unknown) => {
      // The status tells, and it is tried again.
      if (!(error instanceof ServerUnavailable || error instanceof ServerRejected)) throw error;
    });
    await Promise.race([begun, stopped]);
    const own = await session.own();
    show([...gathered, ...own]);
    gathered = undefined;
    await stopped;
  } finally {
    await session.close();
  }
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
    if (!(error instanceof ServerUnavailable || error instanceof ServerRejected)) throw error;
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
  const lines = Object.entries(rows).map(([name, value]) => `${name.padEnd(15)}${value}\n`);
  await print(printable(lines.join("")));
}

function counted(notes: number): string {
  return notes === 1 ? "1 note" : `${notes} notes`;
}

/** A status, for a person. */
function inWords(status: Status): string {
  const waiting = status.pending === 0 ? "" : `; ${status.pending} to be sent`;
  if (status.state === "synced") return "synced";
  if (status.state === "pending") return `under way${waiting}`;
  return `${status.state}: ${clause(status.why)}${waiting}`;
}

/** A message as a part of a sentence. */
function clause(message: string): string {
  return message.replace(/[.?]$/, "");
}

function serverOf(address = process.env.SYNC_SERVER ?? DEFAULT_SERVER): string {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  const isHttp = url?.protocol === "http:" || url?.protocol === "https:";
  if (isHttp && url.username === "" && url.password === "") return url.href;
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
  // As it is sealed: some characters are longer in JSON.
  const size = Buffer.byteLength(noteData(note, Date.now()));
  if (size <= LARGEST_NOTE) return;
  throw new Advice(
    `a note may have ${LARGEST_NOTE / 2 ** 20} MiB: split this one of ${size} bytes`,
  );
}

/** Prints notes, the oldest first. */
async function printNotes(notes: readonly Note[], json = false): Promise<void> {
  for (const note of notes.toSorted(compareNotes)) await print(json ? inJson(note) : lineOf(note));
}

function inJson({ client, index, at, text }: Note): string {
  return `${JSON.stringify({ client, index, at, text })}\n`;
}

function lineOf({ client, at, text }: Note): string {
  const time = at === 0 ? "no time" : new Date(at).toISOString().slice(0, 16).replace("T", " ");
  return `${time.padEnd(16)}  ${client.slice(0, 8)}  ${printable(text)}\n`;
}
