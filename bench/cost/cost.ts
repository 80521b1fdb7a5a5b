/** Prints what S3 storage costs in a month, in Markdown: `npm run cost`. docs/cost.md has its output. */
import {
  costOf,
  listsPerListing,
  objectsPerUser,
  operationsPerUser,
  PRICES,
  PROFILES,
  SETUPS,
  usageOf,
} from "./cost-model.ts";

const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const decimal = new Intl.NumberFormat("en-US", { maximumFractionDigits: 2 });
const cents = new Intl.NumberFormat("en-US", {
  minimumFractionDigits: 2,
  maximumFractionDigits: 2,
});

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  const rule = head.map((_, column) => (column === 0 ? "---" : "---:"));
  return [line(head), line(rule), ...rows.map(line)].join("\n");
}

/** A fact of each profile as a row. */
function row(name: string, fact: (profile: (typeof PROFILES)[number]) => string): string[] {
  return [name, ...PROFILES.map(fact)];
}

const names = PROFILES.map(({ name }) => name);

const assumptions = table(
  ["Assumed", ...names],
  [
    row("users", ({ users }) => whole.format(users)),
    row("devices of each user", ({ devicesPerUser }) => whole.format(devicesPerUser)),
    row("operations a day, of each user", ({ operationsPerDay }) => whole.format(operationsPerDay)),
    row("hours a day that a device is on", ({ hoursOnPerDay }) => whole.format(hoursOnPerDay)),
    row("polls in such an hour, of each device", ({ pollsPerHour }) => whole.format(pollsPerHour)),
    row("bytes of a payload", ({ payloadBytes }) => whole.format(payloadBytes)),
    row("months of operations stored", ({ monthsStored }) => whole.format(monthsStored)),
    row("new devices a year, of each user", (profile) => whole.format(profile.newDevicesPerYear)),
    row("so: operations stored of each user", (profile) =>
      whole.format(operationsPerUser(profile)),
    ),
    row("so: objects they are packed into", (profile) => whole.format(objectsPerUser(profile))),
    row("so: LISTs for one listing", (profile) => whole.format(listsPerListing(profile))),
    row("so: GB stored", (profile) =>
      decimal.format(usageOf(profile, "without caches").stored / 1e9),
    ),
    row("`LISTING_CACHE_RUNS`", ({ listingCacheRuns }) => whole.format(listingCacheRuns)),
    row("`OBJECT_CACHE_BYTES`", ({ objectCacheBytes }) => `${objectCacheBytes / 2 ** 20} MiB`),
  ],
);

const requests = table(
  ["Requests in a month", ...SETUPS.map(titleOf)],
  PROFILES.flatMap((profile) =>
    (["put", "get", "list", "delete"] as const).map((kind) => [
      `${profile.name}: ${kind.toUpperCase()}`,
      ...SETUPS.map((setup) => whole.format(usageOf(profile, setup)[kind])),
    ]),
  ),
);

const money = table(
  ["USD in a month", ...SETUPS.map(titleOf)],
  PROFILES.flatMap((profile) =>
    PRICES.map((prices) => [
      `${profile.name}: ${prices.service}`,
      ...SETUPS.map((setup) => cents.format(costOf(usageOf(profile, setup), prices))),
    ]),
  ),
);

console.log([assumptions, requests, money].join("\n\n"));

function titleOf(setup: string): string {
  return setup.includes("=") ? `\`${setup}\`` : setup;
}
