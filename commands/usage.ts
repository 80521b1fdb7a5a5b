/** `sync-server usage`: what each user stores. */
import { Listing } from "../oplog/listing.ts";
import type { Fingerprint } from "../oplog/names.ts";
import { lengthOf } from "../oplog/sequence.ts";
import type { StoredObject } from "../storage/driver.ts";
import { openToRead } from "../storage/open.ts";
import { type Command, type Context, WrongArgument } from "./command.ts";
import {
  type LastWrite,
  lastWriteJson,
  lastWriteOf,
  lastWriteText,
  laterOf,
} from "./last-write.ts";
import { countText, type Output, sizeText } from "./output.ts";
import { partsOf, USER_OPTION, userOf } from "./parts.ts";

/** What is stored, of one user or of several. */
interface Amounts {
  /** Of all objects, also of those that are about to be deleted. */
  bytes: number;
  objects: number;
  operations: number;
  clients: number;
  lastWrite: LastWrite;
}

interface Usage extends Amounts {
  readonly user: Fingerprint;
  /** Whether unsigned requests are refused. */
  readonly signed: boolean;
  /** When the user was erased; `null` for one who was not. */
  readonly erased: string | null;
}

const ALL = { first: 0, last: Number.MAX_SAFE_INTEGER };

export const usage: Command = {
  name: "usage",
  summary: "shows what each user stores, while servers run",
  details:
    "It reads names only: on S3, 64 lists, and one for each further 1000 objects. BYTES and OBJECTS " +
    "are what is stored, with packed objects that are about to be deleted. OPERATIONS are those that " +
    "a new device gets. LAST WRITE is when the newest one was stored, by the clock of the storage.",
  options: [
    { name: "top", value: "N", meaning: "only the N users who store most, the largest first" },
    USER_OPTION,
  ],
  exitCodes: [
    [0, "done"],
    [1, "the storage could not be read, or no user has the fingerprint of --user"],
  ],
  failure: 1,
  run,
};

async function run({ storage: location, options, output, progress }: Context): Promise<number> {
  const user = userOf(options);
  const top = topOf(options.get("top"));
  const total: Amounts & Record<"users" | "erased" | "foreign", number> = {
    users: 0,
    erased: 0,
    foreign: 0,
    bytes: 0,
    objects: 0,
    operations: 0,
    clients: 0,
    lastWrite: undefined,
  };
  let done = 0;
  progress.begin(() => `${Math.floor(done * 100)}%, ${countText(total.users, "user")}`);
  const storage = await openToRead(location, () => undefined);
  const columns = ["BYTES", "OBJECTS", "OPERATIONS", "CLIENTS", "LAST WRITE (UTC)"];
  await output.text(row(output, "USER", columns).trimEnd());
  let largest: Usage[] = [];
  for await (const part of partsOf(storage, user)) {
    let count = 0;
    for (const [fingerprint, objects] of part.users) {
      const one = await usageOf(fingerprint, objects);
      if (one.erased === null) total.users++;
      else total.erased++;
      add(total, one);
      if (top === undefined) await printUsage(output, one);
      else largest.push(one);
      if (top !== undefined && largest.length > 1000 + 2 * top) largest = largestOf(largest, top);
      done = part.before + (part.share * ++count) / part.users.size;
    }
    total.foreign += part.foreign.length;
    total.bytes += sizeOf(part.foreign);
    total.objects += part.foreign.length;
  }
  if (top !== undefined) {
    for (const one of largestOf(largest, top)) await printUsage(output, one);
  }
  await storage.close();
  const notes = [
    countText(total.users, "user"),
    ...(total.erased > 0 ? [`${total.erased} erased`] : []),
    ...(total.foreign > 0 ? [`${countText(total.foreign, "foreign object")} (see verify)`] : []),
  ];
  await output.print(
    { total: jsonOf(total) },
    row(output, "total", amountsText(total), notes.join(", ")),
  );
  return user !== "" && total.users + total.erased === 0 ? 1 : 0;
}

async function usageOf(user: Fingerprint, objects: readonly StoredObject[]): Promise<Usage> {
  const { clients, signed, erasedAt } = await Listing.inSlices(objects);
  let operations = 0;
  for (const sequence of clients.values()) {
    for (const piece of sequence.within(ALL)) operations += lengthOf(piece);
  }
  return {
    user,
    bytes: sizeOf(objects),
    objects: objects.length,
    operations,
    clients: clients.size,
    lastWrite: lastWriteOf(user, clients, objects),
    signed,
    erased: erasedAt === undefined ? null : new Date(erasedAt * 1000).toISOString(),
  };
}

function printUsage(output: Output, one: Usage): Promise<void> {
  const { user, signed, erased } = one;
  const note = erased === null ? (signed ? "signed" : "") : `erased ${erased}`;
  return output.print(jsonOf(one), row(output, user, amountsText(one), note).trimEnd());
}

function jsonOf<Some extends Amounts>({ lastWrite, ...others }: Some): object {
  return { ...others, lastWrite: lastWriteJson(lastWrite) };
}

/** A fingerprint that is shortened afterwards has 9 characters. */
function row({ isFull }: Output, name: string, amounts: readonly string[], note = ""): string {
  const [bytes = "", objects = "", operations = "", clients = "", lastWrite = ""] = amounts;
  return [
    name.padEnd(isFull ? 43 : 9),
    bytes.padStart(11),
    objects.padStart(10),
    operations.padStart(11),
    clients.padStart(8),
    lastWrite.padStart(20),
    ` ${note}`,
  ].join(" ");
}

function amountsText({ bytes, objects, operations, clients, lastWrite }: Amounts): string[] {
  const counts = [objects, operations, clients].map(String);
  return [sizeText(bytes), ...counts, lastWriteText(lastWrite)];
}

function add(total: Amounts, one: Amounts): void {
  total.bytes += one.bytes;
  total.objects += one.objects;
  total.operations += one.operations;
  total.clients += one.clients;
  total.lastWrite = laterOf(total.lastWrite, one.lastWrite);
}

function sizeOf(objects: readonly StoredObject[]): number {
  return objects.reduce((sum, { size }) => sum + size, 0);
}

function largestOf(users: readonly Usage[], top: number): Usage[] {
  return users.toSorted((a, b) => b.bytes - a.bytes || (a.user < b.user ? -1 : 1)).slice(0, top);
}

function topOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new WrongArgument("--top takes a whole number of at least 1, such as --top 10.");
}
