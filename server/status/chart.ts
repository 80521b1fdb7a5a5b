import { escaped, timeText } from "../format.ts";

export interface ChartPoint {
  /** Milliseconds of Unix time. */
  readonly at: number;
  readonly value: number;
}

/** Narrow, so that its text can be read on a phone. */
const [WIDTH, HEIGHT] = [400, 150];
const [LEFT, RIGHT, TOP, BOTTOM] = [4, 4, 22, 22];

/**
 * A line over time as inline SVG, from 0 to the highest value. Its colours come from the style sheet of
 * the page. Returns "" where there is nothing to show.
 *
 * @param points from the oldest to the newest
 * @param show a value as text
 */
export function chart(
  title: string,
  points: readonly ChartPoint[],
  show: (value: number) => string,
): string {
  const [first, last] = [points[0], points.at(-1)];
  if (first === undefined || last === undefined) return "";
  const highest = points.reduce((most, { value }) => Math.max(most, value), 0);
  const span = Math.max(1, last.at - first.at);
  const x = (at: number) => LEFT + ((at - first.at) / span) * (WIDTH - LEFT - RIGHT);
  const y = (value: number) =>
    HEIGHT - BOTTOM - (value / Math.max(1, highest)) * (HEIGHT - TOP - BOTTOM);
  const place = ({ at, value }: ChartPoint) => `${x(at).toFixed(1)},${y(value).toFixed(1)}`;
  const said = `${title}: ${show(first.value)} at ${timeText(first.at)}, ${show(last.value)} at ${timeText(last.at)}`;
  const base = HEIGHT - BOTTOM;
  const [cx, cy] = place(last).split(",");
  return `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escaped(said)}">
<line class="axis" x1="${LEFT}" y1="${base}" x2="${WIDTH - RIGHT}" y2="${base}"/>
<line class="grid" x1="${LEFT}" y1="${TOP}" x2="${WIDTH - RIGHT}" y2="${TOP}"/>
<text x="${LEFT}" y="${TOP - 7}">${escaped(show(highest))}</text>
<text x="${LEFT}" y="${HEIGHT - 6}">${escaped(timeText(first.at))}</text>
<text class="end" x="${WIDTH - RIGHT}" y="${HEIGHT - 6}">${escaped(timeText(last.at))}</text>
<polyline points="${points.map(place).join(" ")}"/>
<circle cx="${cx}" cy="${cy}" r="3.5"/>
</svg>`;
}
