/** `sync-server users`: shows and changes the list of users, and erases one. */
import { existsSync, readFileSync } from "node:fs";
import { type Fingerprint, isFingerprint } from "../../oplog/names.ts";
import { InviteFolder } from "../../server/invite-folder.ts";
import { openStorage, openToRead } from "../../storage/open.ts";
import { userOf } from "../../sync/allow-list.ts";
import { INVITE } from "../../sync/invites.ts";
import { InvalidPublicKey } from "../../sync/public-key.ts";
import { InvalidAllowList, limitOf, type UserLimits } from "../../sync/user-limits.ts";
import { type Command, type Context, WrongArgument } from "../command.ts";
import { countText } from "../output.ts";
import { readStorage } from "../storage-setting.ts";
import { eraseFrom } from "./erase.ts";
import {
  type InviteState,
  inviteJson,
  inviteName,
  inviteText,
  newInvite,
  statesOf,
} from "./invites.ts";
import { type Entry, ListFile, limitWords, noteWords, timeText } from "./list-file.ts";

export const users: Command = {
  name: "users",
  summary: "shows and changes the list of users",
  details:
    "ACTION is list, add, invite, remove or erase. The list is the file of the setting USERS, which " +
    "servers read again within a second. USER is a fingerprint, a public key, or a file that has one. " +
    "add changes a user who is listed. invite prints a code with which one new key can enter the list by " +
    "itself. remove leaves what the user has stored, and takes invite=… as list shows it as well; erase " +
    "deletes what is stored from STORAGE, leaves a tombstone, and takes the user off the list.",
  arguments: ["ACTION", "[USER]"],
  options: [
    { name: "file", value: "PATH", meaning: "the list, in place of the setting USERS" },
    { name: "quota", value: "SIZE", meaning: "for add and invite: what may be stored, as 5GiB" },
    {
      name: "clients",
      value: "N",
      meaning: "for add and invite: how many clients the user may have",
    },
    { name: "note", value: "TEXT", meaning: "for add and invite: a comment behind the user" },
    { name: "expires", value: "TIME", meaning: "for invite: how long it may be used; default 7d" },
    {
      name: "count",
      value: "N",
      meaning: "for invite: prints N codes, one on each line, and nothing else",
    },
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

const ACTIONS = ["list", "add", "invite", "remove", "erase"] as const;
type Action = (typeof ACTIONS)[number];

async function run(context: Context): Promise<number> {
  const [word, name] = context.positionals;
  const action = ACTIONS.find((one) => one === word);
  if (action === undefined) {
    throw new WrongArgument("users takes list, add, invite, remove or erase.");
  }
  refuseOthers(action, context.options);
  if (action === "list" || action === "invite") {
    if (name !== undefined) throw new WrongArgument(`users ${action} takes no user.`);
    const file = new ListFile(fileOf(context));
    return action === "list" ? list(context, file) : invite(context, file);
  }
  if (action === "remove" && name?.startsWith(INVITE)) {
    return removeInvite(context, new ListFile(fileOf(context)), name.slice(INVITE.length));
  }
  const user = namedUser(name);
  if (action === "erase") return erase(context, user);
  const file = new ListFile(fileOf(context));
  return action === "add" ? add(context, file, user) : remove(context, file, user);
}

async function list(context: Context, file: ListFile): Promise<number> {
  const { output } = context;
  for (const entry of file.entries) await output.print(jsonOf(entry), textOf(entry));
  for (const one of await invitesIn(context, file)) {
    await output.print(inviteJson(one), inviteText(one));
  }
  return 0;
}

async function add(context: Context, file: ListFile, user: Fingerprint): Promise<number> {
  const { options, output } = context;
  const used = (await invitesIn(context, file)).find((one) => one.user === user);
  const before =
    file.entries.findLast((entry) => entry.user === user) ??
    (used && { limits: used.invite.limits, note: used.note });
  const entry = {
    user,
    limits: { ...before?.limits, ...limitsIn(options) },
    note: noteOf(options.get("note")) ?? before?.note ?? "",
  };
  file.set(entry);
  file.save();
  const what = before === undefined ? "added" : "changed";
  await output.print({ [what]: jsonOf(entry) }, `${what}: ${textOf(entry)}`);
  return 0;
}

async function invite({ options, output }: Context, file: ListFile): Promise<number> {
  const note = noteOf(options.get("note")) ?? "";
  const age = options.get("expires") ?? "7d";
  const now = Date.now();
  const made = Array.from({ length: countIn(options.get("count")) }, () =>
    newInvite(age, limitsIn(options), note, now),
  );
  for (const { entry } of made) file.add(entry);
  file.save();
  for (const { code, entry } of made) {
    const [state] = statesOf([entry], new Map(), now);
    await output.print({ code, ...(state && inviteJson(state)) }, code);
    if (options.has("count")) continue;
    await output.text(
      `This is the code of ${inviteName(entry.invite.hash)}, and is shown only here. The first key that ` +
        `sends it by ${timeText(entry.invite.expires)} enters the list.`,
    );
  }
  return 0;
}

function countIn(text = "1"): number {
  if (/^[1-9]\d{0,2}$/.test(text)) return Number(text);
  throw new WrongArgument("--count takes a whole number from 1 to 999.");
}

async function remove(context: Context, file: ListFile, user: Fingerprint): Promise<number> {
  const taken = await takeOff(context, file, user);
  const isListed = taken !== undefined;
  const text = isListed ? `removed${taken}; what it has stored stays` : "is not listed";
  await context.output.print({ user, removed: isListed }, `${user} ${text}`);
  return isListed ? 0 : 1;
}

async function removeInvite(context: Context, file: ListFile, start: string): Promise<number> {
  const named = (await invitesIn(context, file)).filter(({ invite: { hash } }) =>
    hash.startsWith(start),
  );
  const [found] = named;
  if (named.length > 1 || start === "") {
    throw new WrongArgument(`Several invites begin with ${INVITE}${start}: name more of it.`);
  }
  if (found === undefined) {
    const json = { invite: start, removed: false };
    await context.output.print(json, `${INVITE}${start} is not listed`);
    return 1;
  }
  const { invite, user } = found;
  file.removeInvites(new Set([invite.hash]));
  file.save();
  const isIn = file.entries.some((entry) => entry.user === user);
  const what =
    user === undefined
      ? "its code is worth nothing now"
      : `${user}, the key that used it, ${isIn ? "is listed itself, and stays" : "is off the list; what it has stored stays"}`;
  await context.output.print(
    { invite: invite.hash, user: user ?? null, removed: true },
    `${inviteName(invite.hash)} removed: ${what}`,
  );
  return 0;
}

/**
 * Takes a user off the list, with the invites that it has used, and stores the list. What to say of
 * the invites; `undefined` where the user was not listed.
 */
async function takeOff(
  context: Context,
  file: ListFile,
  user: Fingerprint,
): Promise<string | undefined> {
  const used = (await invitesIn(context, file)).filter((one) => one.user === user);
  const isListed = file.remove(user) !== undefined;
  if (!isListed && used.length === 0) return undefined;
  file.removeInvites(new Set(used.map(({ invite }) => invite.hash)));
  file.save();
  const names = used.map(({ invite }) => inviteName(invite.hash));
  return names.length === 0 ? "" : `, with ${names.join(" and ")}, which it has used`;
}

/** The invites of the list, and what has become of each. Throws `InvalidAllowList`. */
async function invitesIn(context: Context, file: ListFile): Promise<InviteState[]> {
  const folder = new InviteFolder(fileOf(context));
  try {
    await folder.read();
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    throw new InvalidAllowList(`could not read which keys have used invites: ${error.message}`, {
      cause: error,
    });
  }
  return statesOf(file.invites, folder.users, Date.now());
}

async function erase(context: Context, user: Fingerprint): Promise<number> {
  const { options, environment, output, progress } = context;
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
  let deleted = 0;
  progress.begin(() => `${countText(deleted, "object")} deleted …`);
  let erased: boolean;
  try {
    erased = await eraseFrom(driver, user, () => deleted++);
  } finally {
    await driver.close();
  }
  const removed = file !== undefined && (await takeOff(context, file, user)) !== undefined;
  const text = erased ? "erased" : "has nothing stored";
  await output.print(
    { user, erased, removed },
    `${user} ${text}${removed ? ", and is off the list" : ""}`,
  );
  return erased ? 0 : 1;
}

/** Which actions take an option. */
const TAKEN_BY: Readonly<Record<string, readonly Action[]>> = {
  ...{ quota: ["add", "invite"], clients: ["add", "invite"], note: ["add", "invite"] },
  ...{ expires: ["invite"], count: ["invite"], storage: ["erase"], yes: ["erase"] },
};

function refuseOthers(action: Action, options: ReadonlyMap<string, string>): void {
  for (const name of options.keys()) {
    const takers = TAKEN_BY[name] ?? [action];
    if (takers.includes(action)) continue;
    throw new WrongArgument(`--${name} is an option of users ${takers.join(" and users ")}.`);
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
function limitsIn(options: ReadonlyMap<string, string>): UserLimits {
  let limits: UserLimits = {};
  for (const name of ["quota", "clients"]) {
    const value = options.get(name);
    if (value === undefined) continue;
    try {
      limits = { ...limits, ...limitOf(`${name}=${value}`) };
    } catch (error) {
      if (!(error instanceof InvalidAllowList)) throw error;
      throw new WrongArgument(
        `--${name} ${value} is wrong: --quota takes a size such as 5GiB, --clients a number from 1 to 5000.`,
      );
    }
  }
  return limits;
}

function noteOf(note: string | undefined): string | undefined {
  if (note === undefined || !/[\n\r]/.test(note)) return note?.trim();
  throw new WrongArgument("--note takes one line.");
}

function jsonOf({ user, limits, note }: Entry): object {
  return { user, quota: limits.bytes ?? null, clients: limits.clients ?? null, note };
}

function textOf({ user, limits, note }: Entry): string {
  return [user, ...limitWords(limits), ...noteWords(note)].join(" ");
}
