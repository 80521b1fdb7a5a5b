/** Every Markdown file leads to files, headings and settings that exist. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, it } from "node:test";
import { helpText } from "../../server/help.ts";
import { projectFolder } from "../support/process.ts";

/** Folders without documents of this repository. */
const SKIPPED = new Set([".git", "node_modules", "dist", "lib", "coverage", "data"]);

const DOCUMENTS = documentsIn("").sort();

/** Environment variables of the AWS SDK, of the tests, of the command line and of Node. */
const OTHERS = /^(AWS|TEST|SYNC|UV|NODE)_/;

/** Files that commands make, and files that a reader of the document writes. */
const MADE = /^bench\/results\.|^dist\/|^\/|NAME/;

const settings = [...helpText().matchAll(/^ {2}([A-Z_]+) /gm)].map(([, name]) => name);

for (const document of DOCUMENTS) {
  const text = readFileSync(join(projectFolder, document), "utf8");

  describe(document, () => {
    it("has links that lead to files and headings that are there", () => {
      const links = proseOf(text).matchAll(
        /(?:\]\(|(?:src|srcset|href)=")(?!https?:)([^)"]+)[)"]/g,
      );
      for (const [, link = ""] of links) {
        const [path = "", anchor] = link.split("#");
        const target = path === "" ? document : join(dirname(document), path);
        assert.ok(existsSync(join(projectFolder, target)), link);
        if (anchor !== undefined) assert.ok(anchorsOf(target).includes(anchor), link);
      }
    });

    it("names no file that is not there", () => {
      const named = [...proseOf(text).matchAll(/`([\w./-]+\/[\w.-]+\.(?:ts|json|sh|yaml|md))`/g)]
        .map(([, path = ""]) => path)
        .filter((path) => !MADE.test(path));
      const missing = named.filter(
        (path) => ![".", dirname(document)].some((at) => existsSync(join(projectFolder, at, path))),
      );
      assert.deepEqual(missing, []);
    });

    it("names no setting that the server does not have", () => {
      const named = [...text.matchAll(/`([A-Z]+(?:_[A-Z0-9]+)+)(?:=[^`]*)?`/g)];
      const unknown = named
        .map(([, name = ""]) => name)
        .filter((name) => !settings.includes(name) && !OTHERS.test(name));
      assert.deepEqual(unknown, []);
    });
  });
}

/** The paths of all Markdown files below a folder. */
function documentsIn(folder: string): string[] {
  const entries = readdirSync(join(projectFolder, folder), { withFileTypes: true });
  return entries.flatMap((entry) => {
    const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
    if (entry.isDirectory()) return SKIPPED.has(entry.name) ? [] : documentsIn(path);
    return path.endsWith(".md") ? [path] : [];
  });
}

/** A document without its blocks of code. */
function proseOf(text: string): string {
  return text.replace(/^```.*?^```/gms, "");
}

/** The anchors of a document's headings. */
function anchorsOf(document: string): string[] {
  const text = proseOf(readFileSync(join(projectFolder, document), "utf8"));
  return [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-"),
  );
}
