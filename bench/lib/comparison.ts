/** Two versions of the server, measured in turns. */
import type { BenchContext } from "./context.ts";
import { interleave, ServerSubject } from "./interleave.ts";
import { cpu, type Metric, median, p50, p99, rate, ratios, type Sample } from "./sample.ts";
import type { Scenario } from "./scenario.ts";
import { formatNumber, table } from "./table.ts";

/** A smaller difference is noise, even where all rounds agree on its sign. */
const NOISE = 1.05;

/** Bodies of one kind differ by so much at most: in times, and in the digits of indexes. */
const SAME = 0.01;

/** The figure of one version divided by that of the other. */
export interface Ratio {
  /** Of the ratios by round. */
  readonly median: number;
  readonly least: number;
  readonly greatest: number;
  /** Whether the difference is for the worse, and more than noise. */
  readonly worse: boolean;
}

export interface Comparison {
  readonly scenario: string;
  readonly work: string;
  readonly cpu: Ratio;
  readonly rate: Ratio;
  readonly p50: Ratio;
  readonly p99: Ratio;
}

/** @param better which direction of the metric is an improvement */
export function compareSamples(
  metric: Metric,
  better: "less" | "more",
  samples: readonly Sample[],
  other: readonly Sample[],
): Ratio {
  const rounds = ratios(metric, samples, other);
  const [least, middle, greatest] = [Math.min(...rounds), median(rounds), Math.max(...rounds)];
  const worse =
    better === "less" ? least > 1 && middle > NOISE : greatest < 1 && middle < 1 / NOISE;
  return { median: middle, least, greatest, worse };
}

/** Measures a scenario on two versions, each with its own storage. */
export async function compareScenario(
  name: string,
  scenario: Scenario,
  [here, there]: readonly [BenchContext, BenchContext],
): Promise<Comparison[]> {
  const comparisons: Comparison[] = [];
  for (const prepare of scenario) {
    try {
      const [mine, theirs] = [await prepare(here), await prepare(there)].map(({ subjects }) =>
        subjects.filter((subject) => subject instanceof ServerSubject),
      );
      const pairs = (mine ?? []).flatMap((subject, index) => {
        const other = theirs?.[index];
        return other === undefined ? [] : [{ subject, other }];
      });
      await interleave(
        pairs.flatMap(({ subject, other }) => [subject, other]),
        here.rounds,
      );
      comparisons.push(...pairs.map(({ subject, other }) => compare(name, subject, other)));
    } finally {
      await here.stop();
      await there.stop();
    }
  }
  return comparisons;
}

function compare(scenario: string, subject: ServerSubject, other: ServerSubject): Comparison {
  requireSameAnswers(subject, other);
  const ratio = (metric: Metric, better: "less" | "more") =>
    compareSamples(metric, better, subject.samples, other.samples);
  return {
    scenario,
    work: subject.work,
    cpu: ratio(cpu, "less"),
    rate: ratio(rate, "more"),
    p50: ratio(p50, "less"),
    p99: ratio(p99, "less"),
  };
}

/**
 * Throws where two versions send bodies of different sizes for the same requests: one of them answers with an
 * error, cannot read what was stored in the format of the other, or lacks what the scenario is about, and its
 * figures mean nothing.
 */
export function requireSameAnswers(
  { work, samples }: Pick<ServerSubject, "work" | "samples">,
  other: Pick<ServerSubject, "samples">,
): void {
  const perRequest: Metric = ({ megabytes, requests }) => (megabytes * 1e6) / requests;
  const [here, there] = [samples, other.samples].map((all) => median(all.map(perRequest)));
  if (here === undefined || there === undefined || Math.abs(here - there) <= SAME * here) return;
  throw new Error(
    `${work}: this version sends ${here.toFixed(0)} bytes for a request, and the other ${there.toFixed(0)}. ` +
      "Compare with a version that does the same with this storage, or leave this scenario out by --scenarios",
  );
}

/** Whether a version does less work in the same time, or needs more CPU for it. */
export function isSlower({ cpu, rate }: Comparison): boolean {
  return cpu.worse || rate.worse;
}

const HEAD = ["Scenario", "Work", "CPU a request", "Requests/s", "p50", "p99"];

export function comparisonTable(comparisons: readonly Comparison[]): string {
  const lines = comparisons.map(({ scenario, work, ...ratios }) => [
    `\`${scenario}\``,
    work,
    ratioText(ratios.cpu),
    ratioText(ratios.rate),
    ratioText(ratios.p50),
    ratioText(ratios.p99),
  ]);
  return table(HEAD, lines, 2);
}

function ratioText({ median, least, greatest, worse }: Ratio): string {
  const text = `${formatNumber(median)} (${formatNumber(least)}–${formatNumber(greatest)})`;
  return worse ? `**${text}**` : text;
}
