/** The client in a browser: its stores, its keys, and its envelope against the other runtimes. */
import assert from "node:assert/strict";
import { readdirSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { textOf } from "../../protocol/bytes.ts";
import type { Line } from "../../protocol/types.ts";
import { storeCases } from "../client/store-contract.ts";
import { chromium, runInChromium } from "../support/chromium.ts";
import { openOn, RUNTIMES, STARTS_ALL } from "../support/envelope-runtimes.ts";
import { onlyOn } from "../support/one-runtime.ts";
import vectors from "../vectors/envelope.json" with { type: "json" };

interface Report {
  readonly failed?: string;
  readonly outcomes: Record<string, string>;
  readonly repairs: Record<string, string>;
  readonly shared: Record<string, string>;
  readonly opened: string[];
  readonly sealed: Line[];
}

const { skip, note } = onlyOn("Node", STARTS_ALL);
describe(`the client in Chromium${note}`, { skip }, () => {
  if (chromium === undefined) {
    it("is not tested: install Debian's chromium-headless-shell, or set TEST_CHROMIUM", {
      skip: true,
    });
    return;
  }

  it("fulfils the contract of stores with IndexedDB, shares logs between tabs, repairs damaged slots, and shares envelopes with other runtimes", async () => {
    const report: Report = JSON.parse(
      JSON.stringify(await runInChromium("browser-page.ts", null, damageValues)),
    );
    assert.equal(report.failed, undefined);
    const names = [
      ...storeCases.map(({ name }) => name),
      "keeps an identity that can be used and not exported",
    ];
    assert.deepEqual(report.outcomes, Object.fromEntries(names.map((name) => [name, "passed"])));
    for (const cases of [report.repairs, report.shared]) {
      const outcomes = Object.entries(cases);
      assert.ok(outcomes.length > 0);
      assert.deepEqual(
        outcomes.filter(([, outcome]) => outcome !== "passed"),
        [],
      );
    }
    assert.deepEqual(
      report.opened,
      vectors.operations.flatMap(({ entries }) =>
        entries.map((entry) => textOf(Buffer.from(entry, "base64url"))),
      ),
    );
    const [first] = report.sealed;
    const sealed = { client: first?.client ?? "", lines: report.sealed };
    for (const runtime of RUNTIMES) {
      const opened = await openOn(runtime, { key: vectors.private_key_pkcs8, runs: [sealed] });
      assert.deepEqual(opened, [["sealed", "in", "Chromium"]], runtime);
    }
  });
});

/** Damages the files in which Chromium keeps large values of IndexedDB. Returns how many there are. */
function damageValues(path: string, folder: string): number {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter(
    (file) => file.isFile() && file.parentPath.includes(".indexeddb.blob"),
  );
  for (const { parentPath, name } of files) {
    const file = join(parentPath, name);
    if (path === "/cut") truncateSync(file, 4096);
    else if (path === "/removed") rmSync(file);
    else writeFileSync(file, new Uint8Array(statSync(file).size));
  }
  return files.length;
}
