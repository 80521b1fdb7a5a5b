/** The commands that change what is there: notes, and the name of this device. */
import { buffer } from "node:stream/consumers";
import { tidied } from "../device-names.ts";
import { type Note, shortId } from "../notes.ts";
import type { Arguments } from "./command.ts";
import { Device } from "./device.ts";
import { InvalidArguments, isOfServer, UsageError } from "./errors.ts";
import { sending } from "./exchange.ts";
import { noteCount } from "./format.ts";
import { checked, decode, givenText } from "./note-text.ts";
import { Session } from "./session.ts";
import { print, printable, readPassphrase } from "./terminal.ts";

/** Characters of a note that say which one it is. */
const MOST_SHOWN = 60;

export async function edit({ folder, file, words }: Arguments): Promise<void> {
  const [id, ...rest] = words;
  if (id === undefined) throw new InvalidArguments("edit needs the id of a note, which log prints");
  const device = await Device.open(folder);
  const given = await givenText(rest, file);
  const passphrase = await readPassphrase();
  const text = given ?? checked(withoutEnd(decode(await buffer(process.stdin), "standard input")));
  if (text.trim() === "") throw new UsageError("the text is empty: delete removes a note");
  const session = await Session.open(device, await device.identity(passphrase));
  await sending(session, folder, async () => {
    await receive(session);
    const note = find(session, id);
    if (!note.isText)
      throw new UsageError(`note ${shortId(note)} is not text, and cannot be edited`);
    await session.change(note, (name) => session.notebook.edit(name, text));
  });
  console.error(`edited ${noteCount(1)}`);
}

export async function remove({ folder, words }: Arguments): Promise<void> {
  if (words.length === 0) {
    throw new InvalidArguments("delete needs the ids of notes, which log prints");
  }
  const device = await Device.open(folder);
  const session = await Session.open(device, await device.identity(await readPassphrase()));
  const deleted = new Set<Note>();
  await sending(session, folder, async () => {
    await receive(session);
    for (const id of words) deleted.add(find(session, id));
    for (const note of deleted) await session.change(note, (name) => session.notebook.delete(name));
  });
  for (const note of deleted) await print(`deleted ${shortId(note)}  ${beginning(note)}\n`);
}

export async function rename({ folder, words }: Arguments): Promise<void> {
  const name = tidied(words.join(" "));
  if (name === "") throw new InvalidArguments("rename needs a name for this device");
  const device = await Device.open(folder);
  const session = await Session.open(device, await device.identity(await readPassphrase()));
  await sending(session, folder, () => session.notebook.rename(name));
  await print(printable(`${folder} is called ${name} on all devices\n`));
}

/** Notes that came meanwhile can be meant. What is here is enough otherwise. */
async function receive(session: Session): Promise<void> {
  await session.sync().catch((error: unknown) => {
    if (!isOfServer(error)) throw error;
  });
}

/** The note whose id begins with a text. Throws a `UsageError` where there is none, or several. */
function find(session: Session, id: string): Note {
  const all = [...session.notebook.oldestFirst()];
  const [found, ...more] = all.filter((note) => note.id.startsWith(id.toLowerCase()));
  if (found === undefined || id === "") {
    throw new UsageError(`there is no note ${id}: log prints the id of each after its time`);
  }
  if (more.length > 0) {
    throw new UsageError(
      `${more.length + 1} notes have an id that begins with ${id}: ${[found, ...more].map((note) => note.id).join(", ")}`,
    );
  }
  return found;
}

/** Without the line feed with which a text from a program ends. */
function withoutEnd(text: string): string {
  return text.endsWith("\n") ? text.slice(0, text.endsWith("\r\n") ? -2 : -1) : text;
}

function beginning({ text }: Note): string {
  const [line = ""] = printable(text).split("\n");
  return line.length > MOST_SHOWN ? `${line.slice(0, MOST_SHOWN)}…` : line;
}
