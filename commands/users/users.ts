/** `sync-server users`: shows and changes the list of users, and erases one. */
import { existsSync, readFileSync } from "node:fs";
import { type Fingerprint, isFingerprint } from "../../oplog/names.ts";
import { openStorage, openToRead } from "../../storage/open.ts";
import { parseAllowList, type UserLimits, userOf } from "../../sync/allow-list.ts";
import { InvalidPublicKey } from "../../sync/public-key.ts";
import { type Command, type Context, WrongArgument } from "../command.ts";
import { readStorage } from "../storage-setting.ts";
import { eraseFrom } from "./erase.ts";
import { type Entry, ListFile, sizeOf } from "./list-file.ts";

export const users: Command = {
  name: "users",
  summary: "shows and changes the list of users",
  details:
    "ACTION is list, add, remove or erase. The list is the file of the setting USERS, which servers read " +
    "again within a second. USER is a fingerprint, a public key, or a file that has one. add changes a " +
    "user who is listed. remove leaves what the user has stored; erase deletes that from STORAGE, leaves " +
    "a tombstone, and takes the user off the list.",
  arguments: ["ACTION", "[USER]"],
  options: [
    { name: "file", value: "PATH", meaning: "the list, in place of the setting USERS" },
    { name: "quota", value: "SIZE", meaning: "for add: what the user may store, such as 5GiB" },
    { name: "clients", value: "N", meaning: "for add: how many clients the user may have" },
    { name: "note", value: "TEXT", meaning: "for add: a comment behind the user" },
    { name: "storage", value: "STORAGE", meaning: "for erase: in place of the setting STORAGE" },
    { name: "yes", meaning: "for erase: without it, nothing is erased" },
  ],
  exitCodes: [
    [0, "done"],
    [1, "the user is not listed, or nothing is stored of it, or the file could not be used"],
  ],
  failure: 1,
  stopped: "Run it again: what it had not done is done then.",
  run,
};

const ACTIONS = ["list", "add", "remove", "erase"] as const;
type Action = (typeof ACTIONS)[number];

async function run(context: Context): Promise<number> {
  const [word, name] = context.positionals;
  const action = ACTIONS.find((one) => one === word);
  if (action === undefined) throw new WrongArgument("users takes list, add, remove or erase.");
  refuseOthers(action, context.options);
  if (action === "list") {
    if (name !== undefined) throw new WrongArgument("users list takes no user.");
    return list(context, new ListFile(fileOf(context)));
  }
  const user = namedUser(name);
  if (action === "erase") return erase(context, user);
  const file = new ListFile(fileOf(context));
  return action === "add" ? add(context, file, user) : remove(context, file, user);
}

async function list({ output }: Context, file: ListFile): Promise<number> {
  for (const entry of file.entries) await output.print(jsonOf(entry), textOf(entry));
  return 0;
}

async function add(
  { options, output }: Context,
  file: ListFile,
  user: Fingerprint,
): Promise<number> {
  const before = file.entries.findLast((entry) => entry.user === user);
  const given = limitsIn(user, options);
  const entry = {
    user,
    limits: { ...before?.limits, ...given },
    note: noteOf(options.get("note")) ?? before?.note ?? "",
  };
  file.set(entry);
  file.save();
  const what = before === undefined ? "added" : "changed";
  await output.print({ [what]: jsonOf(entry) }, `${what}: ${textOf(entry)}`);
  return 0;
}

async function remove({ output }: Context, file: ListFile, user: Fingerprint): Promise<number> {
  const isListed = file.remove(user) !== undefined;
  if (isListed) file.save();
  const text = isListed ? "removed; what it has stored stays" : "is not listed";
  await output.print({ user, removed: isListed }, `${user} ${text}`);
  return isListed ? 0 : 1;
}

async function erase(context: Context, user: Fingerprint): Promise<number> {
  const { options, environment, output } = context;
  if (!options.has("yes")) {
    throw new WrongArgument(
      "This deletes all that the user has stored, for good: add --yes to do it.",
    );
  }
  const place = readStorage({ STORAGE: options.get("storage") ?? environment.STORAGE });
  const hasList = options.has("file") || (environment.USERS ?? "open") !== "open";
  const file = hasList ? new ListFile(fileOf(context)) : undefined;
  // It makes no storage where there is none.
  await (await openToRead(place, () => undefined)).close();
  const driver = await openStorage(place);
  let erased: boolean;
  try {
    erased = await eraseFrom(driver, user);
  } finally {
    await driver.close();
  }
  const removed = file?.remove(user) !== undefined;
  if (removed) file?.save();
  const text = erased ? "erased" : "has nothing stored";
  await output.print(
    { user, erased, removed },
    `${user} ${text}${removed ? ", and is off the list" : ""}`,
  );
  return erased ? 0 : 1;
}

function refuseOthers(action: Action, options: ReadonlyMap<string, string>): void {
  const own: Readonly<Record<string, Action>> = {
    ...{ quota: "add", clients: "add", note: "add" },
    ...{ storage: "erase", yes: "erase" },
  };
  for (const name of options.keys()) {
    const only = own[name];
    if (only !== undefined && only !== action) {
      throw new WrongArgument(`--${name} is an option of users ${only}.`);
    }
  }
}

function fileOf({ options, environment }: Context): string {
  const path = options.get("file") ?? environment.USERS ?? "open";
  if (path !== "open") return path;
  throw new WrongArgument("There is no list: set USERS to a file, or name it with --file.");
}

function namedUser(name: string | undefined): Fingerprint {
  if (name === undefined) throw new WrongArgument("Name the user: a fingerprint or a public key.");
  const text =
    !isFingerprint(name) && name.length < 1024 && existsSync(name)
      ? readFileSync(name, "utf8")
      : name;
  try {
    return userOf(text.trim());
  } catch (error) {
    if (!(error instanceof InvalidPublicKey)) throw error;
    throw new WrongArgument(`It is neither a fingerprint nor a public key: ${error.message}`);
  }
}

/** The limits that options give, by the rules of the list itself. */
function limitsIn(user: Fingerprint, options: ReadonlyMap<string, string>): UserLimits {
  const words = ["quota", "clients"].flatMap((name) => {
    const value = options.get(name);
    return value === undefined ? [] : [`${name}=${value}`];
  });
  for (const word of words) {
    try {
      parseAllowList(`${user} ${word}`);
    } catch {
      throw new WrongArgument(
        `--${word.replace("=", " ")} is wrong: --quota takes a size such as 5GiB, --clients a number from 1 to 5000.`,
      );
    }
  }
  return parseAllowList([user, ...words].join(" ")).get(user) ?? {};
}

function noteOf(note: string | undefined): string | undefined {
  if (note === undefined || !/[\n\r]/.test(note)) return note?.trim();
  throw new WrongArgument("--note takes one line.");
}

function jsonOf({ user, limits, note }: Entry): object {
  return { user, quota: limits.bytes ?? null, clients: limits.clients ?? null, note };
}

function textOf({ user, limits: { bytes, clients }, note }: Entry): string {
  return [
    user,
    ...(bytes === undefined ? [] : [`quota=${sizeOf(bytes)}`]),
    ...(clients === undefined ? [] : [`clients=${clients}`]),
    ...(note === "" ? [] : [`# ${note}`]),
  ].join(" ");
}
