/** What a runtime said of the tests. */
export interface Result {
  /** Name and version. */
  readonly runtime: string;
  readonly passed: number;
  /** The name of each test that failed, or the file that did not load. */
  readonly failed: readonly string[];
  readonly skipped: readonly Skip[];
  readonly seconds: number;
}

export interface Skip {
  /** The test's own name, without those of the suites around it. */
  readonly test: string;
  /** Only Node passes it on. */
  readonly reason: string | undefined;
}

/** The results as a table, and below it why tests were skipped, and which failed. */
export function tableOf(results: readonly Result[]): string {
  const rows = [
    ["runtime", "passed", "failed", "skipped", "seconds"],
    ...results.map(({ runtime, passed, failed, skipped, seconds }) =>
      [runtime, passed, failed.length, skipped.length, Math.round(seconds)].map(String),
    ),
  ];
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => width(row[column]))));
  const lines = rows.map((row) =>
    row
      .map((cell, column) => {
        const size = widths?.[column] ?? 0;
        return column === 0 ? cell.padEnd(size) : cell.padStart(size);
      })
      .join("  "),
  );
  return [...lines, ...skipLines(results), ...failLines(results)].join("\n");
}

function width(cell: string | undefined): number {
  return cell?.length ?? 0;
}

/** A line for each reason. A reason that one runtime gives for a test holds on the others, too. */
function skipLines(results: readonly Result[]): string[] {
  const given = new Map<string, string>();
  for (const { test, reason } of results.flatMap(({ skipped }) => skipped)) {
    if (reason !== undefined) given.set(test, reason);
  }
  const counts = new Map<string, Map<string, number>>();
  for (const { runtime, skipped } of results) {
    for (const { test } of skipped) {
      const reason = given.get(test) ?? test;
      const runtimes = counts.get(reason) ?? new Map<string, number>();
      counts.set(reason, runtimes.set(runtime, (runtimes.get(runtime) ?? 0) + 1));
    }
  }
  return [...counts].map(([reason, runtimes]) => {
    const places = [...runtimes].map(([runtime, count]) => {
      return count > 1 ? `${runtime} (${count} tests)` : runtime;
    });
    return `skipped on ${places.join(", ")}: ${reason}`;
  });
}

/** At the end, where they are found even if only the end of a long output was kept. */
function failLines(results: readonly Result[]): string[] {
  return results.flatMap(({ runtime, failed }) =>
    failed.map((test) => `failed on ${runtime}: ${test}`),
  );
}
