import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { promisify } from "node:util";
import { compareSamples, requireSameAnswers } from "../../bench/lib/comparison.ts";
import { HELP, InvalidArguments, readOptions } from "../../bench/lib/options.ts";
import { type Report, RUNTIME_TITLES } from "../../bench/lib/report.ts";
import type { Result } from "../../bench/lib/result.ts";
import { cpu, rate, type Sample } from "../../bench/lib/sample.ts";
import { summary } from "../../bench/lib/summary.ts";
import { SCENARIOS } from "../../bench/scenarios.ts";
import { generated, read } from "../support/documents.ts";
import { temporaryFolder } from "../support/folder.ts";
import { onlyOn } from "../support/one-runtime.ts";
import { commandFor, projectFolder } from "../support/process.ts";

/** As little as possible: the values of the figures do not matter here. */
const LEAST = ["--seconds", "0.05", "--warm-up", "0.05", "--rounds", "1", "--scale", "0.002"];

/** Runs the benchmark, which is a program for Node. */
function bench(...args: string[]): Promise<{ stdout: string; stderr: string }> {
  const [command, ...rest] = commandFor(join("bench", "run.ts"));
  return promisify(execFile)(command, [...rest, ...args], { cwd: projectFolder });
}

const { skip, note } = onlyOn("Node", "it is a program for Node, and measures all runtimes");

describe(`npm run bench${note}`, { skip: skip || process.platform !== "linux" }, () => {
  it("measures a server and its baselines, writes a report, and adds other runtimes to it", async () => {
    const folder = temporaryFolder();
    try {
      const scenarios = "poll,append,first-sync,bulk-upload";
      const where = ["--folder", folder.path, "--out", folder.path];
      const { stdout } = await bench(
        ...["--runtime", "bun", "--scenarios", scenarios],
        ...LEAST,
        ...where,
      );
      const markdown = readFileSync(join(folder.path, "results.md"), "utf8");
      assert.equal(stdout, markdown);

      const report: Report = JSON.parse(readFileSync(join(folder.path, "results.json"), "utf8"));
      assert.ok(markdown.includes(report.machine.processor));
      assert.deepEqual(
        report.runtimes.map((measured) => measured.runtime),
        ["bun"],
      );
      const results = report.runtimes.flatMap((measured) => measured.results);
      const measured = new Set(results.map(({ scenario }) => scenario));
      assert.deepEqual([...measured], scenarios.split(","));
      for (const result of results) {
        assertMeasured(result);
        const isListed = markdown.includes(`| \`${result.scenario}\` | ${result.work} |`);
        assert.equal(isListed, result.isUnlisted !== true, result.work);
      }
      const stored = results.filter(({ storage }) => (storage?.put ?? 0) > 0);
      const storing = new Set(stored.map(({ scenario }) => scenario));
      assert.deepEqual([...storing], ["append", "bulk-upload"]);

      const svg = readFileSync(join(folder.path, "results.svg"), "utf8");
      assert.match(svg, /^<svg [^>]*xmlns=.*<\/svg>\n$/s);
      assert.equal(svg.match(/<g aria-label="line"/g)?.length, 2, "the server and its baseline");
      const figures = summary(results);
      for (const text of [svg, figures]) assert.doesNotMatch(text, /NaN|undefined/);
      assert.deepEqual(firstCells(generated(read("README.md"), "speed")), firstCells(figures));

      await bench("--add", "--runtime", "node,deno", "--scenarios", "poll", ...LEAST, ...where);
      const all: Report = JSON.parse(readFileSync(join(folder.path, "results.json"), "utf8"));
      const counts = all.runtimes.map(({ runtime, results }) => [runtime, results.length > 0]);
      assert.deepEqual(Object.fromEntries(counts), { node: true, bun: true, deno: true });
      for (const { results } of all.runtimes) for (const result of results) assertMeasured(result);
    } finally {
      folder.remove();
    }
  });

  it("compares the server with that of another checkout", async () => {
    const args = ["--runtime", "bun", "--scenarios", "poll", ...LEAST];
    // One round of a twentieth of a second agrees with itself: by chance one of them is slower.
    const { stdout } = await bench(...args, "--compare", projectFolder).catch((error) => {
      assert.equal(error.code, 1, error.stderr);
      return error;
    });
    const lines = stdout.split("\n").filter((line: string) => line.startsWith("| `"));
    assert.equal(lines.length, 1);
    for (const line of lines) assert.ok(!line.includes("NaN"), line);
  });
});

describe("the arguments of npm run bench", () => {
  it("list the scenarios in their help, and when one is asked for that is none of them", () => {
    const names = Object.keys(SCENARIOS).join(", ");
    assert.ok(HELP.includes(names));
    assert.throws(
      () => readOptions(["--scenarios", "nothing"]),
      (error) => error instanceof InvalidArguments && error.message.includes(names),
    );
  });
});

describe("a comparison", () => {
  const samples = (...values: number[]): Sample[] =>
    values.map((cpu) => {
      return { requests: 1, seconds: cpu, cpu, megabytes: 1, p50: cpu, p99: cpu, firstByte: cpu };
    });

  it("shows the median, the least and the greatest ratio of the rounds", () => {
    const ratio = compareSamples(cpu, "less", samples(1, 30, 200), samples(2, 10, 100));
    assert.deepEqual(ratio, { median: 2, least: 0.5, greatest: 3, worse: false });
  });

  it("calls worse only a difference that every round shows, and that is more than noise", () => {
    const worse = (...values: number[]) => [
      compareSamples(cpu, "less", samples(...values), samples(100, 100, 100)).worse,
      compareSamples(rate, "more", samples(...values), samples(100, 100, 100)).worse,
    ];
    assert.deepEqual(worse(101, 110, 120), [true, true]);
    assert.deepEqual(worse(99, 110, 120), [false, false]);
    assert.deepEqual(worse(101, 102, 120), [false, false]);
    assert.deepEqual(worse(80, 90, 95), [false, false]);
  });

  it("fails where the other version answers with something else, whose figures mean nothing", () => {
    const some = samples(1, 2, 3);
    requireSameAnswers({ work: "a poll", samples: some }, { samples: samples(3, 4, 5) });
    const other = some.map((sample) => ({ ...sample, megabytes: 0.0002 }));
    assert.throws(
      () => requireSameAnswers({ work: "a poll", samples: some }, { samples: other }),
      /^Error: a poll: this version sends 1000000 bytes for a request, and the other 200\. /,
    );
  });
});

/** The first cell of each line of a table. */
function firstCells(table: string): (string | undefined)[] {
  return table.split("\n").map((line) => line.split(" | ")[0]);
}

describe("bench/README.md", () => {
  it("has a result of every scenario on every runtime", () => {
    const [, ...tables] = generated(read("bench/README.md"), "bench").split("\n**");
    assert.deepEqual(
      tables.map((table) => table.split("**")[0]),
      Object.values(RUNTIME_TITLES),
    );
    for (const table of tables) {
      assert.ok(table.split("\n| `").length - 1 <= 25, "a table that can be read");
      for (const name of Object.keys(SCENARIOS)) {
        assert.ok(table.includes(`| \`${name}\` |`), name);
      }
    }
  });
});

/** Checks that every figure is a number, and that every target was checked. */
function assertMeasured({ work, figures, ratios, baseline, targets, samples }: Result): void {
  const numbers = [...Object.values(figures), ...Object.values(ratios)];
  assert.ok(numbers.length > 0, work);
  // JSON has null for NaN and infinity.
  for (const number of numbers) assert.ok(Number.isFinite(number), `${work}: ${number}`);
  for (const rounds of Object.values(samples)) {
    assert.equal(rounds.length, 1);
    for (const sample of rounds)
      assert.ok(sample.requests > 0 && sample.seconds > 0 && sample.cpu > 0, work);
  }
  if (work.startsWith("for comparison")) return;
  assert.notEqual(baseline, undefined);
  assert.ok(targets.length > 0, work);
  for (const { description, measured, met } of targets) {
    assert.match(description, / (≤|≥|=) [\d.]+$/);
    assert.ok(Number.isFinite(measured) && typeof met === "boolean", description);
  }
}
