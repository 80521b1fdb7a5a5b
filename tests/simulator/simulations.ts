/** What `npm run simulate` runs. Each throws where an invariant is broken. */
import { simulate as simulateJournals } from "../storage/journal/simulation.ts";
import { killAgainAndAgain } from "../support/killed-store.ts";
import { simulate as simulateLog } from "../support/simulation/world.ts";
import { simulateSnapshots } from "../support/snapshot-simulation.ts";
import { simulateSnapshotTabs } from "../support/snapshot-tabs-simulation.ts";
import { simulateTabs } from "../support/tabs-simulation.ts";

export interface Simulation {
  readonly run: (seed: number) => Promise<unknown>;
  /** The share of the seeds that it runs; all of them by default. */
  readonly share?: number;
}

export const simulations: ReadonlyMap<string, Simulation> = new Map<string, Simulation>([
  ["log", { run: simulateLog }],
  ["journals", { run: simulateJournals }],
  ["snapshots", { run: (seed) => simulateSnapshots(seed) }],
  ["copies", { run: (seed) => simulateSnapshots(seed, true) }],
  ["tabs", { run: simulateTabs }],
  ["snapshot-tabs", { run: simulateSnapshotTabs }],
  // Each starts ten processes.
  ["kills", { run: (seed) => killAgainAndAgain(seed, 10), share: 0.01 }],
]);
