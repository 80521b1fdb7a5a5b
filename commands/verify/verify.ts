/** `sync-server verify`: reads what is stored, and says what is not as it should be. */
import { Listing } from "../../oplog/listing.ts";
import type { Fingerprint } from "../../oplog/names.ts";
import type { StorageReader, StoredObject } from "../../storage/driver.ts";
import { openToRead } from "../../storage/open.ts";
import { type Command, type Context, WrongArgument } from "../command.ts";
import { confirmed, type JournalDamage } from "../journal-damage.ts";
import { countText, sizeText } from "../output.ts";
import { type Part, partsOf, USER_OPTION, userOf } from "../parts.ts";
import { Report } from "../report.ts";
import { ADVICE, exitCodeOf, type Finding, KINDS } from "./findings.ts";
import { LogVerifier } from "./log-verifier.ts";
import { checkEach, type Wanted, wantedOf } from "./object-check.ts";

export const verify: Command = {
  name: "verify",
  summary: "reads what is stored, and names what is damaged or missing, while servers run",
  details:
    "It reads each object and compares it with the MD5 in its name. It finds damaged objects, holes " +
    "(operations that are missing before others), forks (two payloads under one index), foreign " +
    "objects and damaged journals, looks at each again before it says so, and changes nothing.",
  options: [
    {
      name: "sample",
      value: "PERCENT",
      meaning: "reads as much of the objects, at random, such as 1%; names are all looked at",
    },
    USER_OPTION,
  ],
  exitCodes: [
    [0, "all that was read is whole"],
    [1, "something is damaged or missing, or should not be there"],
    [2, "not everything could be checked"],
  ],
  failure: 2,
  run,
};

/** What was looked at. */
interface Looked {
  users: number;
  objects: number;
  read: number;
  bytes: number;
  /** Objects that hold what others hold as well. */
  overlapping: number;
  /** Objects of erased users. */
  leftovers: number;
}

async function run({ storage: location, options, output, progress }: Context): Promise<number> {
  const user = userOf(options);
  const sample = sampleOf(options.get("sample"));
  const isChosen = () => sample === 1 || Math.random() < sample;
  const report = new Report(output, KINDS, ADVICE);
  const looked = { users: 0, objects: 0, read: 0, bytes: 0, overlapping: 0, leftovers: 0 };
  let done = 0;
  progress.begin(() => {
    const read = `${countText(looked.read, "object")}, ${sizeText(looked.bytes)}`;
    return `${Math.floor(done * 100)}%, ${read} read, ${report.found ?? "nothing found so far"}`;
  });
  const damage: JournalDamage[] = [];
  const storage = await openToRead(location, (journal, some) => damage.push({ journal, ...some }));
  const verifier = new LogVerifier(storage, isChosen);
  for await (const part of partsOf(storage, user)) {
    for await (const finding of findingsIn(part, { storage, verifier, looked, isChosen })) {
      await report.add(finding);
    }
    done = part.before + part.share;
  }
  await storage.close();
  for (const finding of await confirmed(location, damage)) await report.add(finding);
  await report.advise();
  const { found, counts } = report;
  await output.print(
    { looked, found: Object.fromEntries(counts) },
    `${summaryOf(looked)}: ${found ?? "all is whole"}`,
  );
  return user !== "" && looked.users === 0 ? 2 : exitCodeOf(report);
}

interface Tools {
  readonly storage: StorageReader;
  readonly verifier: LogVerifier;
  readonly looked: Looked;
  readonly isChosen: () => boolean;
}

async function* findingsIn(
  { users, foreign }: Part,
  { storage, verifier, looked, isChosen }: Tools,
): AsyncGenerator<Finding, void, void> {
  /** The logs to look at again, each with the names of objects that are not whole. */
  const suspects = new Map<Fingerprint, string[]>();
  const logs: (readonly StoredObject[])[] = [];
  for (const [user, objects] of users) {
    looked.users++;
    const listing = await Listing.inSlices(objects);
    looked.objects += objects.length;
    looked.leftovers += listing.leftovers;
    if (listing.erasedAt !== undefined) continue;
    for (const sequence of listing.clients.values()) {
      for (const { runs } of sequence.overlaps()) looked.overlapping += runs.length - 1;
    }
    logs.push(objects);
    if (await verifier.isSuspicious(user, listing)) suspects.set(user, []);
  }
  for await (const { wanted, fault } of checkEach(storage, chosenOf(logs, isChosen))) {
    looked.read++;
    looked.bytes += wanted.size;
    if (fault === undefined) continue;
    suspects.set(wanted.user, [...(suspects.get(wanted.user) ?? []), wanted.text]);
  }
  for (const [user, faulty] of suspects) {
    yield* await verifier.lookAgain(user, users.get(user) ?? [], faulty);
  }
  looked.objects += foreign.length;
  for (const { name } of foreign) {
    yield { kind: "foreign", what: `the object ${name} is none of this server`, object: name };
  }
}

function* chosenOf(
  logs: readonly (readonly StoredObject[])[],
  isChosen: () => boolean,
): Generator<Wanted, void, void> {
  for (const objects of logs) {
    for (const wanted of wantedOf(objects)) if (isChosen()) yield wanted;
  }
}

function summaryOf({ users, objects, read, bytes, overlapping, leftovers }: Looked): string {
  return [
    `${countText(users, "user")}, ${countText(objects, "object")}, ${read} read (${sizeText(bytes)})`,
    ...(overlapping > 0 ? [`${overlapping} packed and not deleted yet`] : []),
    ...(leftovers > 0 ? [`${leftovers} of erased users and not deleted yet`] : []),
  ].join(", ");
}

function sampleOf(text = "100%"): number {
  const percent = Number(/^(\d{1,3}(?:\.\d{1,6})?)%$/.exec(text)?.[1]);
  if (percent > 0 && percent <= 100) return percent / 100;
  throw new WrongArgument("--sample takes a part above 0% and up to 100%, such as --sample 1%.");
}
