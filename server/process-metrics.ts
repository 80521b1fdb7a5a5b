import { collectDefaultMetrics, Registry } from "prom-client";

/** Metrics of prom-client that end as counters do and are none. The same is in others, by type. */
const MISNAMED = ["handles", "requests", "resources"].map((what) => `nodejs_active_${what}_total`);

let registry: Registry | undefined;

/**
 * The metrics of the process itself, which all servers in it share: each registry would observe garbage
 * collection and the event loop for as long as the process runs, and takes 10 ms to make on Bun.
 */
export function processMetrics(): Registry {
  if (registry !== undefined) return registry;
  registry = new Registry();
  collectDefaultMetrics({ register: registry });
  for (const name of MISNAMED) registry.removeSingleMetric(name);
  return registry;
}
