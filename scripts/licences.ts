/** The licences of the packages that a build contains. */
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import manifest from "../package.json" with { type: "json" };

const project = fileURLToPath(new URL("..", import.meta.url));

export interface Package {
  readonly name: string;
  readonly version: string;
  readonly license: string;
  /** The text of its licence; some packages leave it out. */
  readonly text: string;
}

/** The packages that files come from, by the files' paths. */
export function packagesOf(files: readonly string[]): Package[] {
  const folders = files.flatMap((file) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file) ?? []);
  return [...new Set(folders)].sort().map((folder): Package => {
    const { name, version, license } = JSON.parse(
      readFileSync(resolve(project, folder, "package.json"), "utf8"),
    );
    const file = readdirSync(resolve(project, folder)).find((entry) => /^licen[cs]e/i.test(entry));
    const text =
      file === undefined ? "" : readFileSync(resolve(project, folder, file), "utf8").trim();
    return { name, version, license, text };
  });
}

/** The packages by name, this one first, and each licence text once. */
export function licencesOf(packages: readonly Package[]): string {
  const own = {
    name: manifest.name,
    version: manifest.version,
    license: manifest.license,
    text: readFileSync(join(project, "LICENSE"), "utf8").trim(),
  };
  const byText = Map.groupBy([own, ...packages], ({ text }) => text);
  const parts = [...byText].map(([text, same]) => {
    const names = same.map(({ name, version, license }) => `${name} ${version} (${license})`);
    return `${names.join("\n")}\n\n${text}`;
  });
  return parts.join(`\n\n${"-".repeat(80)}\n\n`);
}
