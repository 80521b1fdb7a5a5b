/** `sync-server conformance`: does a server do what PROTOCOL.md says? */
import { readFileSync } from "node:fs";
import { type Command, type Context, WrongArgument } from "../command.ts";
import { countText } from "../output.ts";
import { syncUrlOf } from "../server-address.ts";
import type { Case } from "./case.ts";
import type { Result } from "./suite.ts";
import type { Erasure, TestedServerOptions } from "./tested-server.ts";

/** Where keys come from, and how requests are sent; absent for what the command does. */
type Means = Partial<Pick<TestedServerOptions, "newPrivateKey" | "fetch">>;

export function conformanceWith(means: Means): Command {
  return {
    name: "conformance",
    summary: "tries on a server, rule by rule, what PROTOCOL.md says",
    details:
      "It takes any server that speaks the protocol, by its address. It makes users of its own, and " +
      "erases them at the end: a tombstone of each stays, as of every user who was erased. It needs no " +
      "other access. What a setting keeps from being tried is skipped, and the report says why.",
    arguments: ["URL"],
    options: [
      { name: "rule", value: "RULE", meaning: "only this rule or section, as in R-5.1 or R-5" },
      {
        name: "invites",
        value: "FILE",
        meaning:
          "for a server with a list of users: a file with about 60 invite codes, one on each line; each user " +
          "of the suite uses one",
      },
    ],
    exitCodes: [
      [0, "the server follows all rules that could be tried"],
      [1, "the server breaks a rule"],
      [2, "nothing was tried, or not all"],
    ],
    failure: 2,
    stopped: "Its users are being erased; a second signal leaves them.",
    endsItself: true,
    run: (context) => run(context, means),
  };
}

export const conformance = conformanceWith({});

async function run(context: Context, means: Means): Promise<number> {
  const { positionals, options, output, progress, signal } = context;
  const [address] = positionals;
  if (address === undefined) {
    throw new WrongArgument("conformance takes an address such as https://sync.example.");
  }
  const url = syncUrlOf(address);
  // Loaded only here: no other command needs it.
  const { CASES, look, newPrivateKey, NothingToTry, TestedServer, tryEach } = await import(
    "./entry.ts"
  );
  const cases = casesOf(CASES, options.get("rule"));
  const invites = codesIn(options.get("invites"));
  const server = new TestedServer({ url, signal, newPrivateKey, invites, ...means });
  const results: Result[] = [];
  progress.begin(() => `${results.length} of ${countText(cases.length, "case")} …`);
  let nothing: string | undefined;
  try {
    await look(server);
    for await (const result of tryEach(cases, server)) {
      results.push(result);
      const { outcome, rule, case: says, why } = result;
      const reason = why === undefined ? "" : `: ${why}`;
      await output.print(result, `${outcome.padEnd(9)}${rule.padEnd(8)}${says}${reason}`);
    }
  } catch (error) {
    if (!(error instanceof NothingToTry)) throw error;
    nothing = error.message;
  } finally {
    const erasure = await server.eraseUsers();
    if (results.length > 0 || erasure.left.length > 0) await summarize(context, results, erasure);
  }
  if (nothing !== undefined) await output.print({ error: nothing }, nothing);
  const has = (wanted: Result["outcome"]) => results.some(({ outcome }) => outcome === wanted);
  if (nothing !== undefined || !(has("failed") || has("passed"))) return 2;
  return has("failed") ? 1 : 0;
}

function casesOf(all: readonly Case[], wanted: string | undefined): readonly Case[] {
  if (wanted === undefined) return all;
  const cases = all.filter(({ rule }) => rule === wanted || rule.startsWith(`${wanted}.`));
  if (cases.length > 0) return cases;
  throw new WrongArgument(`The suite tries nothing of ${wanted}: --rule takes R-5.1 or R-5.`);
}

/** The codes in a file. Throws `WrongArgument` where there are none. */
function codesIn(file: string | undefined): string[] | undefined {
  if (file === undefined) return undefined;
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    throw new WrongArgument(`The file of --invites could not be read: ${error.message}`);
  }
  const codes = text.split("\n").flatMap((line) => line.trim() || []);
  // The error does not show a code: it is a secret.
  const isCode = (code: string) => /^[!-~]{1,128}$/.test(code);
  if (codes.length > 0 && codes.every(isCode)) return codes;
  throw new WrongArgument("The file of --invites must have one invite code on each line.");
}

async function summarize(
  { output }: Context,
  results: readonly Result[],
  { erased, left }: Erasure,
): Promise<void> {
  const of = (outcome: Result["outcome"]) => results.filter((result) => result.outcome === outcome);
  const broken = [...new Set(of("failed").map(({ rule }) => rule))];
  const counts = {
    passed: of("passed").length,
    failed: of("failed").length,
    skipped: of("skipped").length,
  };
  const rules = countText(new Set(results.map(({ rule }) => rule)).size, "rule");
  const which = broken.length === 0 ? "" : ` (${broken.join(", ")})`;
  await output.print(
    { summary: counts, broken, erased, left },
    `${countText(results.length, "case")} of ${rules}: ${counts.passed} passed, ` +
      `${counts.failed} failed${which}, ${counts.skipped} skipped`,
  );
  await output.text(`${countText(erased, "user")} of the suite erased: a tombstone of each stays.`);
  if (left.length === 0) return;
  await output.text(
    `Of ${countText(left.length, "user")} something may be left: erase them where the server runs, as by ` +
      "sync-server users erase.",
  );
  for (const fingerprint of left) await output.text(fingerprint, true);
}
