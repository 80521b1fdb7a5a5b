/** The status page as HTML: one document, with nothing beside it and no script. */
import { createHash } from "node:crypto";
import { escaped } from "../format.ts";
import { type ChartPoint, chart } from "./chart.ts";

/** Something that the operator should change. */
export interface Warning {
  readonly what: string;
  /** What to do about it. */
  readonly change: string;
}

/** What the page shows. All texts are plain. */
export interface StatusReport {
  /** Version, runtime, time and the like, for the line under the title. */
  readonly about: readonly string[];
  readonly warnings: readonly Warning[];
  readonly sections: readonly {
    readonly title: string;
    readonly facts: readonly (readonly [name: string, text: string])[];
    /** Whether its texts are long, and it has a row of its own. */
    readonly isWide?: boolean;
  }[];
  readonly charts: readonly {
    readonly title: string;
    readonly points: readonly ChartPoint[];
    readonly show: (value: number) => string;
  }[];
  /** How the charts came about, or why there are none yet. */
  readonly counted: string;
}

const STYLE = `
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #57606a; --line: #d0d7de; --paper: #fff; --accent: #0b57d0; --warn: #9a3412; --warn-paper: #fff4ed; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --soft: #9da7b3; --line: #3d444d; --paper: #0f1419; --accent: #7cacf8; --warn: #ffb38a; --warn-paper: #2b1a12; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 64rem; background: var(--paper); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; }
header { display: flex; flex-wrap: wrap; align-items: baseline; gap: 0 1rem; }
h1 { margin: 0; font-size: 1.5rem; }
h2 { margin: 0 0 .5rem; font-size: 1.1rem; }
p { margin: 0 0 .5rem; }
a { color: var(--accent); }
a:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
.about, .note { color: var(--soft); font-size: .875rem; }
.about { width: 100%; margin: .25rem 0 .75rem; }
main { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 20rem), 1fr)); gap: 1rem; }
section { min-width: 0; padding: 1rem; border: 1px solid var(--line); border-radius: .5rem; }
.wide { grid-column: 1 / -1; }
.warn { border-color: var(--warn); background: var(--warn-paper); }
.warn h2, .warn strong { color: var(--warn); }
ul { margin: 0 0 .75rem; padding-left: 1.25rem; }
li { margin-bottom: .25rem; }
section > :last-child { margin-bottom: 0; }
dl { display: grid; grid-template-columns: minmax(0, 2fr) minmax(0, 3fr); gap: .25rem 1rem; margin: 0; }
dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
.wide dl { grid-template-columns: minmax(6.5rem, 1fr) minmax(0, 5fr); }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 20rem), 1fr)); gap: 1rem; }
figure { margin: 0; }
svg { display: block; width: 100%; height: auto; }
svg text { fill: var(--soft); font-size: 14px; }
.end { text-anchor: end; }
.axis { stroke: var(--soft); }
.grid { stroke: var(--line); stroke-dasharray: 4 4; }
polyline { fill: none; stroke: var(--accent); stroke-width: 2; stroke-linejoin: round; vector-effect: non-scaling-stroke; }
circle { fill: var(--accent); }
`;

const STYLE_HASH = createHash("sha256").update(STYLE).digest("base64");

/** Nothing but the style sheet in the page: no script, no image, no form, and no frame around it. */
export const STATUS_POLICY = [
  "default-src 'none'",
  `style-src 'sha256-${STYLE_HASH}'`,
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

export function statusPage({ about, warnings, sections, charts, counted }: StatusReport): string {
  const drawn = charts.map(({ title, points, show }) => ({
    title,
    svg: chart(title, points, show),
  }));
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>${warnings.length > 0 ? `(${warnings.length}) ` : ""}Sync-Server status</title>
<style>${STYLE}</style>
<header>
<h1>Sync-Server status</h1>
<a href="status">Look again</a>
<p class="about">${escaped(about.join(" · "))}</p>
</header>
<main>
${warningsSection(warnings)}
${sections.map(factsSection).join("\n")}
<section class="wide">
<h2>Users and bytes over time</h2>
<p class="note">${escaped(counted)}</p>
<div class="charts">
${drawn
  .filter(({ svg }) => svg !== "")
  .map(
    ({ title, svg }) => `<figure>\n<figcaption>${escaped(title)}</figcaption>\n${svg}\n</figure>`,
  )
  .join("\n")}
</div>
</section>
</main>
</html>
`;
}

function warningsSection(warnings: readonly Warning[]): string {
  const outside =
    "What this page cannot see, such as what a proxy does to requests: <code>sync-server doctor</code> with the address that devices use looks at it from outside.";
  if (warnings.length === 0) {
    return `<section class="wide">\n<h2>Warnings</h2>\n<p>None.</p>\n<p class="note">${outside}</p>\n</section>`;
  }
  const items = warnings.map(
    ({ what, change }) => `<li><strong>${escaped(what)}</strong> ${escaped(change)}</li>`,
  );
  return `<section class="wide warn">\n<h2>Warnings</h2>\n<ul>\n${items.join("\n")}\n</ul>\n<p class="note">${outside}</p>\n</section>`;
}

function factsSection({ title, facts, isWide }: StatusReport["sections"][number]): string {
  const rows = facts.map(([name, text]) => `<dt>${escaped(name)}</dt><dd>${escaped(text)}</dd>`);
  const open = isWide === true ? '<section class="wide">' : "<section>";
  return `${open}\n<h2>${escaped(title)}</h2>\n<dl>\n${rows.join("\n")}\n</dl>\n</section>`;
}
