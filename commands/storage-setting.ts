import * as v from "valibot";
import { InvalidConfig } from "../server/config.ts";
import { Settings } from "../server/settings.ts";

/** Reads the setting `STORAGE`, for commands that use no other. Throws as `readConfig`. */
export function readStorage(environment: Readonly<Record<string, string | undefined>>): string {
  const result = v.safeParse(v.pick(Settings, ["STORAGE"]), { STORAGE: environment.STORAGE });
  if (result.success) return result.output.STORAGE;
  throw new InvalidConfig(`STORAGE ${result.issues[0].message}`);
}
