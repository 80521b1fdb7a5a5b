/** The names of the documents of notes: they say in which order notes are shown. */

const PREFIX = "note";
const TIME_DIGITS = 16;
const INDEX_DIGITS = 16;
const POSITION_DIGITS = 6;
const ID_DIGITS = 16;

/** The prefix, the time, a place where the note was made of an entry, and the id. */
const NAME = /^note:(\d{16}):(?:.*:)?([0-9a-f]{16})$/s;

/** The place of an entry in the log. */
export interface Place {
  readonly client: string;
  readonly index: number;
  readonly position: number;
}

/** What a name says. */
export interface NoteName {
  /** When the note was written, in milliseconds since 1970; 0 if that is not known. */
  readonly at: number;
  /** 16 hexadecimal digits: the note, for people. */
  readonly id: string;
}

/** The name of a new note, written at a time in milliseconds since 1970. */
export function newNoteName(at: number): string {
  const digits = crypto.getRandomValues(new Uint32Array(2));
  return [PREFIX, padded(at, TIME_DIGITS), hex(digits)].join(":");
}

/** The name of a note that was made of an entry of an earlier form, with its data. */
export function adoptedNoteName({ client, index, position }: Place, at: number, data: Uint8Array) {
  const place = [client, padded(index, INDEX_DIGITS), padded(position, POSITION_DIGITS)];
  const id = hex(hashOf(`${place.join(":")}:`, data));
  return [PREFIX, padded(at, TIME_DIGITS), ...place, id].join(":");
}

/** What the name of a document says; `undefined` if it is not the name of a note. */
export function noteNameOf(name: string): NoteName | undefined {
  const [, at, id] = NAME.exec(name) ?? [];
  return at === undefined || id === undefined ? undefined : { at: Number(at), id };
}

/** Orders names by the time of writing, as far as the clocks of the devices agree. */
export function compareNames(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

function padded(value: number, digits: number): string {
  return String(Math.floor(value)).padStart(digits, "0");
}

function hex(digits: Iterable<number>): string {
  return [...digits].map((one) => one.toString(16).padStart(ID_DIGITS / 2, "0")).join("");
}

/** FNV-1a, twice: against two entries that have one name by accident. Nothing is secured by it. */
function hashOf(place: string, data: Uint8Array): [number, number] {
  let [a, b] = [0x811c9dc5, 0x01000193];
  const add = (byte: number) => {
    a = Math.imul(a ^ byte, 0x01000193) >>> 0;
    b = Math.imul(b ^ byte, 0x85ebca6b) >>> 0;
  };
  for (let at = 0; at < place.length; at++) add(place.charCodeAt(at));
  for (const byte of data) add(byte);
  return [a, b];
}
