/** Reads the settings from environment variables, and checks all of them. */
import * as v from "valibot";
import manifest from "../package.json" with { type: "json" };
import { withRules } from "./config-rules.ts";
import { misspelt } from "./misspelt.ts";
import { type Config, Settings } from "./settings.ts";

/** As `package.json` has it. */
export const VERSION = manifest.version;

/** Settings break their rules. The message has a line for each. */
export class InvalidConfig extends Error {
  override name = "InvalidConfig";
}

/**
 * Reads the settings from environment variables. Throws `InvalidConfig` with every fault, and without
 * the values: one may be a password that was set under the wrong name.
 */
export function readConfig(environment: Readonly<Record<string, string | undefined>>): Config {
  const names = Object.keys(Settings.entries);
  const given = Object.fromEntries(
    names
      .map((name) => [name, environment[name]] as const)
      .filter(([, value]) => value !== undefined),
  );
  const faults = misspelt(Object.keys(environment), names).map(
    ([name, setting]) =>
      `${name} is not a setting: is it meant to be ${setting}? Otherwise unset it.`,
  );
  const result = v.safeParse(withRules(Settings), given);
  if (result.success && faults.length === 0) return result.output;
  for (const issue of result.issues ?? []) faults.push(`${v.getDotPath(issue)} ${issue.message}`);
  throw new InvalidConfig(faults.join("\n"));
}
