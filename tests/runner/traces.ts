/** Where in the sources errors in bundles come from. */
import { existsSync, readFileSync } from "node:fs";
import { SourceMap } from "node:module";
import { dirname, resolve } from "node:path";

/** A place in a stack trace: path, line and column. */
const PLACE = /(?:file:\/\/)?(\/[^\s():]+\.js):(\d+):(\d+)/g;

/**
 * Replaces the places of bundles in a text by those of their sources. The processes of the tests
 * leave that to their runner, since each would read the source maps again.
 */
export function inSources(text: string): string {
  return text.replaceAll(PLACE, (place, path: string, line: string, column: string) => {
    const map = `${path}.map`;
    if (!existsSync(map)) return place;
    const entry = new SourceMap(JSON.parse(readFileSync(map, "utf8"))).findEntry(
      Number(line) - 1,
      Number(column) - 1,
    );
    if (!("originalSource" in entry)) return place;
    const source = resolve(dirname(path), entry.originalSource);
    return `${source}:${entry.originalLine + 1}:${entry.originalColumn + 1}`;
  });
}
