/** Prints the monthly cost of storage on S3, in Markdown: `npm run cost`. docs/cost.md has its output. */
import { table } from "../lib/table.ts";
import { costOf, PRICES } from "./prices.ts";
import { PROFILES, type Profile, SETUPS, type Setup } from "./profiles.ts";
import { UsageModel } from "./usage.ts";

const integer = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const decimal = new Intl.NumberFormat("en-US", { maximumFractionDigits: 2 });
const dollars = new Intl.NumberFormat("en-US", {
  minimumFractionDigits: 2,
  maximumFractionDigits: 2,
});

const models = PROFILES.map((profile) => ({ profile, model: new UsageModel(profile) }));

/** A line with a value of each profile. */
function line(name: string, value: (profile: Profile, model: UsageModel) => string): string[] {
  return [name, ...models.map(({ profile, model }) => value(profile, model))];
}

function titleOf(setup: Setup): string {
  return setup.includes("=") ? `\`${setup}\`` : setup;
}

const assumptions = table(
  ["Assumed", ...PROFILES.map(({ name }) => name)],
  [
    line("users", ({ users }) => integer.format(users)),
    line("devices of each user", ({ devicesPerUser }) => integer.format(devicesPerUser)),
    line("operations a day, of each user", (profile) => integer.format(profile.operationsPerDay)),
    line("hours a day that a device is on", ({ hoursOnPerDay }) => integer.format(hoursOnPerDay)),
    line("polls in such an hour, of each device", (profile) =>
      integer.format(profile.pollsPerHour),
    ),
    line("bytes of a payload", ({ payloadBytes }) => integer.format(payloadBytes)),
    line("months of operations stored", ({ monthsStored }) => integer.format(monthsStored)),
    line("new devices a year, of each user", (profile) =>
      integer.format(profile.newDevicesPerYear),
    ),
    line("so: operations stored of each user", (_, model) =>
      integer.format(model.operationsPerUser),
    ),
    line("so: objects they are packed into", (_, model) => integer.format(model.objectsPerUser)),
    line("so: LISTs for one listing", (_, model) => integer.format(model.listsPerListing)),
    line("so: GB stored", (_, model) => decimal.format(model.usage("without caches").stored / 1e9)),
    line("`LISTING_CACHE_RUNS`", ({ listingCacheRuns }) => integer.format(listingCacheRuns)),
    line("`OBJECT_CACHE_BYTES`", ({ objectCacheBytes }) => `${objectCacheBytes / 2 ** 20} MiB`),
  ],
  1,
);

const requests = table(
  ["Requests in a month", ...SETUPS.map(titleOf)],
  models.flatMap(({ profile, model }) =>
    (["put", "get", "list", "delete"] as const).map((kind) => [
      `${profile.name}: ${kind.toUpperCase()}`,
      ...SETUPS.map((setup) => integer.format(model.usage(setup)[kind])),
    ]),
  ),
  1,
);

const money = table(
  ["USD in a month", ...SETUPS.map(titleOf)],
  models.flatMap(({ profile, model }) =>
    PRICES.map((prices) => [
      `${profile.name}: ${prices.service}`,
      ...SETUPS.map((setup) => dollars.format(costOf(model.usage(setup), prices))),
    ]),
  ),
  1,
);

console.log([assumptions, requests, money].join("\n\n"));
