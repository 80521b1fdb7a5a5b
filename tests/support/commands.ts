/** Runs the commands of the operator in this process, on each kind of storage. */
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { after, describe } from "node:test";
import type { Command } from "../../commands/command.ts";
import { Output } from "../../commands/output.ts";
import { Progress } from "../../commands/progress.ts";
import type { Driver } from "../../storage/driver.ts";
import { openStorage } from "../../storage/open.ts";
import { temporaryFolder } from "./folder.ts";
import { newPlace, removePlace, s3 } from "./s3.ts";

/** Runs a command to its end. */
export async function runCommand(
  command: Command,
  storage: string,
  given: Readonly<Record<string, string>> = {},
  positionals: readonly string[] = [],
  environment: Readonly<Record<string, string>> = {},
): Promise<{ code: number; lines: string[] }> {
  const lines: string[] = [];
  const progress = new Progress();
  const output = new Output({
    progress,
    isJson: "json" in given,
    isFull: "full" in given,
    write: async (line) => void lines.push(line),
  });
  const options = new Map(Object.entries(given));
  try {
    return {
      code: await command.run({
        ...{ storage, options, positionals, environment, output, progress },
        signal: new AbortController().signal,
      }),
      lines,
    };
  } finally {
    progress.end();
  }
}

/** The objects that a command prints with `--json`. */
export async function jsonOf(
  command: Command,
  storage: string,
  given: Readonly<Record<string, string>> = {},
  positionals: readonly string[] = [],
): Promise<{ code: number; objects: Record<string, unknown>[] }> {
  const { code, lines } = await runCommand(command, storage, { ...given, json: "" }, positionals);
  return { code, objects: lines.map((line): Record<string, unknown> => JSON.parse(line)) };
}

/** A kind of storage, and new places of it. */
export interface Kind {
  readonly newPlace: () => string;
  readonly open: (place: string) => Promise<Driver>;
}

/** Declares tests for each kind of storage that there is on this machine. */
export function onEachStorage(what: string, declare: (kind: Kind) => void): void {
  for (const journal of [true, false]) {
    describe(`${what}, on a folder ${journal ? "with" : "without"} a journal`, () => {
      const folder = temporaryFolder();
      after(() => folder.remove());
      declare({
        newPlace: () => join(folder.path, randomUUID()),
        open: (place) => openStorage(place, undefined, { journal }),
      });
    });
  }
  describe(`${what}, on S3`, { skip: s3 === undefined && "there is no S3 server" }, () => {
    const places: string[] = [];
    after(async () => {
      for (const place of places) await removePlace(place);
    });
    const next = () => {
      const place = newPlace();
      places.push(place);
      return place;
    };
    declare({ newPlace: next, open: openStorage });
  });
}
