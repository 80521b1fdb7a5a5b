import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { inTime } from "../support/deadline.ts";
import { onlyOn } from "../support/one-runtime.ts";
import { commandFor, projectFolder } from "../support/process.ts";
import type { Outcome } from "./process.ts";
import { runSeeds } from "./seeds.ts";

const program = fileURLToPath(new URL("faulty-process.ts", import.meta.url));
const onBun = onlyOn("Bun", "npm run simulate runs there");

describe(`the seeds of a simulation${onBun.note}`, { skip: onBun.skip }, () => {
  /** Runs the seeds from 1 in two processes, until a last one or until they are stopped. */
  const run = async (last: number, isOver: (outcomes: readonly Outcome[]) => boolean) => {
    const outcomes: Outcome[] = [];
    const stopping = new AbortController();
    const running = runSeeds({
      ...{ name: "log", first: 1, end: last + 1, processes: 2, program },
      signal: stopping.signal,
      onOutcome: (outcome) => {
        outcomes.push(outcome);
        if (isOver(outcomes)) stopping.abort();
      },
    });
    const next = await inTime(
      running,
      () => `the seeds up to ${last}: ${outcomes.length} were run`,
    );
    return { next, outcomes: outcomes.sort((a, b) => a.seed - b.seed) };
  };

  it("are each run once, also after one that ends its process", async () => {
    const { next, outcomes } = await run(7, () => false);
    assert.deepEqual(
      outcomes.map(({ seed, failure }) => [seed, failure?.line]),
      [
        [1, undefined],
        [2, undefined],
        [3, "it is broken"],
        [4, undefined],
        [5, "its process has ended by itself (exit code 7)"],
        [6, undefined],
        [7, undefined],
      ],
    );
    assert.equal(next, 8);
  });

  it("are stopped at any time, and go on with the first that was not run", async () => {
    const { next, outcomes } = await run(20, (those) =>
      [6, 9].every((seed) => those.some((one) => one.seed === seed)),
    );
    // One process is at 8, which does not end; the other one is at 11, or has been.
    assert.equal(next, 8);
    assert.deepEqual(
      outcomes.slice(0, 8).map(({ seed }) => seed),
      [1, 2, 3, 4, 5, 6, 7, 9],
    );
  });

  it("are chosen by arguments, of which wrong ones are refused", async () => {
    const [command, ...rest] = commandFor("tests/simulate.ts");
    const simulate = (...args: readonly string[]) =>
      promisify(execFile)(command, [...rest, ...args], { cwd: projectFolder });
    const { stdout } = await simulate("3", "5", "--only", "log", "--processes", "2");
    assert.equal(stdout, "log: 3 seeds from 5, 0 failed\n");
    await assert.rejects(simulate("1", "1", "--only", "logs"), /--only takes one of these: log, /);
    await assert.rejects(simulate("0"), /a whole number from 1, not "0"/);
  });
});
