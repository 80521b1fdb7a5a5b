/** The plot of the report: rates over operations in flight, of server and baseline on each runtime. */
import * as Plot from "@observablehq/plot";
import { parseHTML } from "linkedom";
import { type Report, RUNTIME_TITLES } from "./report.ts";
import { medianOf, rate } from "./sample.ts";

/** By color and dash: colors that read on white and on black come from the style sheet below. */
const LINES = {
  server: { label: "━ server", stroke: "var(--server)", strokeDasharray: "none" },
  baseline: { label: "╍ bare HTTP, group commit", stroke: "var(--bare)", strokeDasharray: "6 4" },
} as const;

/** The same colors as in the drawings of docs/. */
const STYLE = `
  svg { --ink: #1f2328; --bare: #59636e; --server: #0969da; color: var(--ink); }
  @media (prefers-color-scheme: dark) {
    svg { --ink: #f0f6fc; --bare: #b1bac4; --server: #4493f8; }
  }
`;

export const TITLE = "Durable appends a second, by operations in flight";

/** An SVG; `undefined` where nothing was measured that it shows. */
export function plot({ runtimes }: Report): string | undefined {
  const points = runtimes.flatMap(({ runtime, results }) =>
    results.flatMap(({ inFlight, samples }) =>
      inFlight === undefined
        ? []
        : Object.entries(samples).map(([who, rounds]) => {
            return {
              runtime: RUNTIME_TITLES[runtime],
              who,
              inFlight,
              rate: medianOf(rate, rounds),
            };
          }),
    ),
  );
  const [first] = points;
  if (first === undefined) return undefined;
  const { document } = parseHTML("<html></html>");
  const svg = Plot.plot({
    document,
    width: 840,
    height: 340,
    marginTop: 40,
    marginLeft: 60,
    marginBottom: 40,
    fx: { domain: [...new Set(points.map(({ runtime }) => runtime))], label: null },
    inset: 10,
    x: { type: "log", base: 2, ticks: [1, 4, 16, 64], tickFormat: "d", label: "in flight" },
    y: { type: "log", grid: true, tickFormat: ",", label: "appends a second" },
    marks: [
      Plot.frame({ strokeOpacity: 0.2 }),
      ...Object.entries(LINES).flatMap(([name, { label, ...look }], line) => [
        Plot.line(points, {
          filter: ({ who }) => who === name,
          fx: "runtime",
          x: "inFlight",
          y: "rate",
          strokeWidth: 2.5,
          marker: "dot",
          ...look,
        }),
        Plot.text([label], {
          fx: [first.runtime],
          frameAnchor: "bottom-left",
          dx: 90 * line,
          dy: 34,
          fill: look.stroke,
        }),
      ]),
    ],
  });
  const attributes = {
    xmlns: "http://www.w3.org/2000/svg",
    role: "img",
    "aria-label": TITLE,
    "font-size": "13",
  };
  for (const [name, value] of Object.entries(attributes)) svg.setAttribute(name, value);
  const style = document.createElement("style");
  style.textContent = STYLE;
  svg.prepend(style);
  return `${svg.outerHTML}\n`;
}
