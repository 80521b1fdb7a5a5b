/**
 * Run by the driver contract, in a process that it kills or watches: opens a driver and stores
 * objects, saying what it begins and what was acknowledged. See `Opening` for the arguments.
 */
import type { Driver } from "../../storage/driver.ts";

const [module = "", name = "", location = "", prefix = "", count = "", side = ""] =
  process.argv.slice(2);
const { [name]: exported }: Record<string, { open: (location: string) => Promise<Driver> }> =
  await import(module);
if (exported === undefined) throw new Error(`${module} has no ${name}`);
const driver = await exported.open(location);
const indexes = Array.from({ length: Number(count) }, (_, i) => i).values();

async function put(): Promise<void> {
  for (const index of indexes) {
    const object = `${prefix}.${index}`;
    console.log(`begins ${object}`);
    await driver.put(object, new TextEncoder().encode(object));
    console.log(`stored ${object}`);
  }
}
await Promise.all(Array.from({ length: Number(side) }, put));
await driver.close();
