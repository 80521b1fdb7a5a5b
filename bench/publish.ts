/**
 * Puts the results of the last `npm run bench` into the documents: the tables and the plot beside
 * bench/README.md, and the figures of Node into README.md.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { plot, TITLE } from "./lib/plot.ts";
import { projectFolder } from "./lib/process.ts";
import { markdown, type Report } from "./lib/report.ts";
import { summary } from "./lib/summary.ts";

const PLOT = "append.svg";

/** Replaces what stands between the comments `NAME:begin` and `NAME:end`. */
function replace(path: string, name: string, text: string): void {
  const document = readFileSync(join(projectFolder, path), "utf8");
  const [begin, end] = [`<!-- ${name}:begin -->\n`, `\n<!-- ${name}:end -->`];
  const [before, ...after] = document.split(begin);
  const [, rest] = after.join(begin).split(end);
  if (rest === undefined) throw new Error(`${path} has no comments ${name}:begin and ${name}:end`);
  writeFileSync(join(projectFolder, path), `${before}${begin}${text}${end}${rest}`);
}

const report: Report = JSON.parse(
  readFileSync(join(projectFolder, "bench", "results.json"), "utf8"),
);
const node = report.runtimes.find(({ runtime }) => runtime === "node");
const svg = plot(report);
if (node === undefined || svg === undefined) throw new Error("append is to be measured on Node");
writeFileSync(join(projectFolder, "bench", PLOT), svg);
replace("bench/README.md", "bench", `![${TITLE}](${PLOT})\n\n${markdown(report)}`);
replace("README.md", "speed", summary(node.results));
