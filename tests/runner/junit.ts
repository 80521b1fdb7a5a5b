/** Reads the JUnit reports of Bun and Deno. */
import type { Skip } from "./result.ts";

export interface Report {
  readonly passed: number;
  /** Names, with those of the suites around them. */
  readonly failed: readonly string[];
  readonly skipped: readonly Skip[];
}

interface Case {
  readonly name: string;
  readonly body: string;
}

export function readReport(xml: string): Report {
  const cases: Case[] = [];
  // A value may have a > in it, so attributes are matched as such.
  for (const [, attributes = "", body = ""] of xml.matchAll(
    /<testcase((?:\s+[\w:-]+="[^"]*")*)\s*(?:\/>|>([\s\S]*?)<\/testcase>)/g,
  )) {
    cases.push({ name: nameIn(attributes), body });
  }
  const suites = suiteNames(cases);
  const skipped: Skip[] = [];
  const failed: string[] = [];
  let passed = 0;
  for (const { name, body } of cases) {
    const isSuite = suites.has(name);
    // Deno's suites are cases as well, and fail with each test in them.
    if (/<(failure|error)\b/.test(body)) {
      if (!isSuite || !/test steps? failed/.test(body)) failed.push(name);
    } else if (/<skipped\b/.test(body)) skipped.push({ test: lastPart(name), reason: undefined });
    else if (!isSuite) passed++;
  }
  return { passed, failed, skipped };
}

/** Deno gives a test's name with those of the suites around it, and the suites as tests. */
function suiteNames(cases: readonly Case[]): Set<string> {
  return new Set(
    cases.flatMap(({ name }) => {
      const parts = name.split(" > ");
      return parts.slice(1).map((_, index) => parts.slice(0, index + 1).join(" > "));
    }),
  );
}

function lastPart(name: string): string {
  return name.slice(name.lastIndexOf(" > ") === -1 ? 0 : name.lastIndexOf(" > ") + 3);
}

const ENTITIES: Readonly<Record<string, string>> = {
  "&lt;": "<",
  "&gt;": ">",
  "&quot;": '"',
  "&apos;": "'",
  "&amp;": "&",
};

function nameIn(attributes: string): string {
  const value = /\sname="([^"]*)"/.exec(attributes)?.[1] ?? "";
  return value.replace(/&(?:lt|gt|quot|apos|amp);/g, (entity) => ENTITIES[entity] ?? entity);
}
