import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { promisify } from "node:util";
import { type Report, RUNTIME_TITLES } from "../../bench/lib/report.ts";
import type { Result } from "../../bench/lib/result.ts";
import { ROWS } from "../../bench/scenarios.ts";
import { temporaryFolder } from "../support/folder.ts";
import { projectFolder } from "../support/process.ts";

/** The least that makes figures: what they are is of no matter here. */
const LEAST = ["--seconds", "0.05", "--warm-up", "0.05", "--rounds", "1", "--scale", "0.002"];

/** Runs the benchmark. It is a program for Node, whatever it measures. */
function bench(...args: string[]): Promise<{ stdout: string; stderr: string }> {
  const command = ["--import", "tsx", "bench/run.ts", ...args];
  return promisify(execFile)("node", command, { cwd: projectFolder });
}

function thisRuntime(): "node" | "bun" | "deno" {
  if (process.versions.bun !== undefined) return "bun";
  return process.versions.deno !== undefined ? "deno" : "node";
}

describe("npm run bench", { skip: process.platform !== "linux" }, () => {
  it("measures a server and its floors on this runtime, and writes it down", async () => {
    const folder = temporaryFolder();
    try {
      const runtime = thisRuntime();
      const rows = "poll,append,first-sync";
      const where = ["--folder", folder.path, "--out", folder.path];
      const { stdout } = await bench("--runtime", runtime, "--scenarios", rows, ...LEAST, ...where);
      const markdown = readFileSync(join(folder.path, "results.md"), "utf8");
      assert.equal(stdout, markdown);

      const report: Report = JSON.parse(readFileSync(join(folder.path, "results.json"), "utf8"));
      assert.ok(markdown.includes(report.machine.processor));
      assert.deepEqual(
        report.runtimes.map((measured) => measured.runtime),
        [runtime],
      );
      const results = report.runtimes.flatMap((measured) => measured.results);
      assert.deepEqual([...new Set(results.map(({ row }) => row))], rows.split(","));
      for (const result of results) {
        assertMeasured(result);
        assert.ok(markdown.includes(`| \`${result.row}\` | ${result.work} |`));
      }
      const stored = results.filter(({ storage }) => (storage?.put ?? 0) > 0);
      assert.deepEqual([...new Set(stored.map(({ row }) => row))], ["append"]);
    } finally {
      folder.remove();
    }
  });

  it("says what there is to measure when it is asked for anything else", async () => {
    await assert.rejects(bench("--scenarios", "nothing"), new RegExp(Object.keys(ROWS).join(", ")));
    const { stdout } = await bench("--help");
    for (const row of Object.keys(ROWS)) assert.ok(stdout.includes(row));
  });
});

describe("bench/README.md", () => {
  it("has a result of every scenario on every runtime", () => {
    const text = readFileSync(join(projectFolder, "bench", "README.md"), "utf8");
    const [, results = ""] = text.split("<!-- bench:begin -->");
    const [, ...tables] = results.split("<!-- bench:end -->")[0]?.split("\n**") ?? [];
    assert.deepEqual(
      tables.map((table) => table.split("**")[0]),
      Object.values(RUNTIME_TITLES),
    );
    for (const table of tables) {
      for (const row of Object.keys(ROWS)) assert.ok(table.includes(`| \`${row}\` |`), row);
    }
  });
});

/** Checks that every figure is there, and that nothing to reach was left unjudged. */
function assertMeasured({ work, figures, ratios, floor, checks, rounds }: Result): void {
  const numbers = [...Object.values(figures), ...Object.values(ratios)];
  assert.ok(numbers.length > 0, work);
  // JSON has null for what is no number.
  for (const number of numbers) assert.ok(Number.isFinite(number), `${work}: ${number}`);
  for (const slots of Object.values(rounds)) {
    assert.equal(slots.length, 1);
    for (const slot of slots)
      assert.ok(slot.requests > 0 && slot.seconds > 0 && slot.cpu > 0, work);
  }
  if (work.startsWith("for comparison")) return;
  assert.notEqual(floor, undefined);
  assert.ok(checks.length > 0, work);
  for (const { what, reached, met } of checks) {
    assert.match(what, / (≤|≥|=) [\d.]+$/);
    assert.ok(Number.isFinite(reached) && typeof met === "boolean", what);
  }
}
