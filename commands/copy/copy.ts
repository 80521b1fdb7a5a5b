/** `sync-server copy`: makes a copy of a storage while servers use it. */
import * as v from "valibot";
import { bytes } from "../../server/config-values.ts";
import { isStorage, openStorage, openToRead, overlap, STORAGE_FORMS } from "../../storage/open.ts";
import { type Command, type Context, WrongArgument } from "../command.ts";
import { confirmed, type JournalDamage } from "../journal-damage.ts";
import { countText, sizeText } from "../output.ts";
import { USER_OPTION, userOf } from "../parts.ts";
import { Report } from "../report.ts";
import { Copier } from "./copier.ts";
import { ADVICE, KINDS } from "./findings.ts";
import { Pace } from "./pace.ts";

const PARALLEL = 16;
const MOST_PARALLEL = 256;

export const copy: Command = {
  name: "copy",
  summary: "copies a storage to another, while servers use it: a backup, or a move",
  details:
    "FROM and TO are folders or buckets. What TO has already is not copied again, so running it again " +
    "goes on where it was stopped, and adds what is new. The copy has every operation that was " +
    "acknowledged before it began. Each object is compared with its MD5, stored durably, and has to be " +
    "listed after that. Nothing in FROM is changed; of users who were erased in FROM, TO keeps the " +
    "tombstone alone. No server may run on TO meanwhile.",
  arguments: ["FROM", "TO"],
  options: [
    {
      name: "since",
      value: "STORAGE",
      meaning:
        "copies only what this earlier copy does not have, so that TO becomes an increment to it",
    },
    { name: "rate", value: "BYTES", meaning: "no more than so many bytes a second, such as 10MiB" },
    {
      name: "parallel",
      value: "N",
      meaning: `so many objects at once, ${PARALLEL} by default, at most ${MOST_PARALLEL}`,
    },
    { name: "read-back", meaning: "reads each object again that it has stored, and compares it" },
    USER_OPTION,
  ],
  exitCodes: [
    [0, "TO has all that FROM has"],
    [1, "some objects could not be copied, and all others were"],
    [2, "it ended early: run it again to go on"],
  ],
  failure: 2,
  stopped: "What was copied stays: run it again to go on.",
  run,
};

async function run({ positionals, options, output, progress }: Context): Promise<number> {
  const [from, to] = placesOf(positionals);
  const since = sinceOf(options.get("since"), to);
  const user = userOf(options);
  const parallel = parallelOf(options.get("parallel"));
  const pace = new Pace({ rate: rateOf(options.get("rate")) });
  const report = new Report(output, KINDS, ADVICE);
  const damage: JournalDamage[] = [];
  const source = await openToRead(from, (journal, some) => damage.push({ journal, ...some }));
  const past = since === undefined ? undefined : await openToRead(since, () => undefined);
  const target = await openStorage(
    to,
    (message) => {
      progress.clear();
      console.error(message);
    },
    // A copy is made of files, which any tool can read.
    { journal: false },
  );
  const copier = new Copier({
    ...{ from: source, to: target, since: past, user, parallel, pace },
    readBack: options.has("read-back"),
    onFinding: (finding) => report.add(finding),
  });
  const { counts } = copier;
  progress.begin(() => {
    const copied = `${countText(counts.objects, "object")}, ${sizeText(counts.bytes)} copied`;
    return `${Math.floor(copier.done * 100)}%, ${copied}, ${report.found ?? "nothing wrong so far"}`;
  });
  await copier.run();
  await Promise.all([source.close(), past?.close(), target.close()]);
  if (user !== "" && counts.users === 0) {
    throw new WrongArgument("FROM has nothing of the user that --user names.");
  }
  for (const finding of await confirmed(from, damage)) await report.add(finding);
  await report.advise();
  const found = Object.fromEntries(report.counts);
  await output.print({ copied: counts, found }, summaryOf(counts, report.found));
  return report.found === undefined ? 0 : 1;
}

function summaryOf(counts: Copier["counts"], found: string | undefined): string {
  const { users, objects, bytes, present, erased, deleted, leftOut, unnamed } = counts;
  const parts = [
    `${countText(users, "user")}, ${countText(objects, "object")} copied (${sizeText(bytes)})`,
    `${present} there already`,
    ...(erased > 0 ? [`${countText(erased, "erased user")} (${deleted} deleted)`] : []),
    ...(leftOut > 0 ? [`${countText(leftOut, "user")} left out, erased in TO`] : []),
    ...(unnamed > 0 ? [`${unnamed} left out whose names no storage takes`] : []),
  ];
  return `${parts.join(", ")}: ${found ?? "the copy is whole"}`;
}

function placesOf([from, to]: readonly string[]): [from: string, to: string] {
  if (from === undefined || to === undefined) {
    throw new WrongArgument("copy takes two storages, as in copy ./data s3://bucket/prefix.");
  }
  for (const place of [from, to]) checkPlace(place);
  if (overlap(from, to)) {
    throw new WrongArgument("FROM and TO have to lie apart: one of them is in the other.");
  }
  return [from, to];
}

function sinceOf(since: string | undefined, to: string): string | undefined {
  if (since === undefined) return undefined;
  checkPlace(since);
  if (!overlap(since, to)) return since;
  throw new WrongArgument("--since takes another storage than TO, which is compared in any case.");
}

function checkPlace(place: string): void {
  if (!isStorage(place)) throw new WrongArgument(`${place} is not ${STORAGE_FORMS}.`);
  if (place === "memory:") throw new WrongArgument("memory: keeps nothing once this ends.");
}

function parallelOf(text = String(PARALLEL)): number {
  if (/^[1-9]\d{0,2}$/.test(text) && Number(text) <= MOST_PARALLEL) return Number(text);
  throw new WrongArgument(`--parallel takes a whole number from 1 to ${MOST_PARALLEL}.`);
}

function rateOf(text: string | undefined): number {
  if (text === undefined) return Number.POSITIVE_INFINITY;
  const result = v.safeParse(bytes(1024), text);
  if (result.success) return result.output;
  throw new WrongArgument("--rate takes at least 1024 bytes a second, such as 500KiB or 10MiB.");
}
