/**
 * Run by a test that makes its calls of the system fail: opens a folder, stores objects side by side,
 * half of them while it lists, and tries again whatever fails. Says at once what is done.
 */
import { writeSync } from "node:fs";
import { StorageUnavailable } from "../../storage/driver.ts";
import { FilesystemDriver } from "../../storage/filesystem.ts";

const TRIES = 200;

const [folder = "", user = "", count = ""] = process.argv.slice(2);
const names = Array.from({ length: Number(count) }, (_, i) => `${user}.${i}`);

const say = (text: string) => writeSync(1, `${text}\n`);

async function untilDone<Result>(work: () => Promise<Result>): Promise<Result> {
  for (let tries = 1; ; tries++) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof StorageUnavailable) || tries === TRIES) throw error;
    }
  }
}

const driver = await untilDone(() => FilesystemDriver.open(folder, () => undefined));
const put = async (name: string) => {
  await untilDone(() => driver.put(name, new Uint8Array(10)));
  say(`stored ${name}`);
};
const list = async () => {
  for (const { name } of await untilDone(() => driver.list(`${user}.`))) say(`listed ${name}`);
};
const half = names.length / 2;
await Promise.all(names.slice(0, half).map(put));
let isStoring = true;
const listing = async () => {
  while (isStoring) await list();
};
const storing = Promise.all(names.slice(half).map(put)).finally(() => {
  isStoring = false;
});
await Promise.all([storing, listing()]);
await list();
