/** `sync-server doctor`: why does it not work, and what is to be changed? */
import { checkRoom, checkStorage } from "../../server/checkup/storage-checks.ts";
import { isStorage, openStorage, openToRead } from "../../storage/open.ts";
import { type Command, type Context, WrongArgument } from "../command.ts";
import { isServerAddress, syncUrlOf } from "../server-address.ts";
import { changesFor, type Topic } from "./advice.ts";
import type { Check } from "./check.ts";
import { lookFromOutside } from "./outside.ts";

export const doctor: Command = {
  name: "doctor",
  summary: "looks at a server by its address, or at a storage, and says what to change",
  details:
    "With a URL it looks from outside, through all proxies, as devices do: TLS, HTTP versions, Host, " +
    "X-Forwarded-For, clock, buffering, the largest body, the longest wait. It stores nothing. With a " +
    "folder or a bucket it stores, lists, reads and deletes small objects, and measures how long that " +
    "takes. Run it on another machine than the proxy's, to be seen as a device is.",
  arguments: ["URL|STORAGE"],
  options: [{ name: "quick", meaning: "leaves out the largest body and the longest wait" }],
  exitCodes: [
    [0, "nothing has to change"],
    [1, "something has to change"],
    [2, "it could not look"],
  ],
  failure: 2,
  stopped: "Run it again for the whole report; with --quick it takes seconds.",
  run,
};

async function run({ positionals, options, output, progress }: Context): Promise<number> {
  const [place] = positionals;
  if (place === undefined) {
    throw new WrongArgument("doctor takes an address such as https://sync.example, or a storage.");
  }
  const url = isServerAddress(place) ? syncUrlOf(place) : undefined;
  if (url === undefined && (!isStorage(place) || place === "memory:")) {
    throw new WrongArgument(`${place} is no address and no storage.`);
  }
  const wrong = new Set<Topic>();
  const noted = new Set<Topic>();
  let last = "looking";
  progress.begin(() => `${last} …`);
  const report = async (check: Check) => {
    const { topic, level, what } = check;
    if (level === "wrong") wrong.add(topic);
    if (level === "note") noted.add(topic);
    last = `after ${topic}`;
    const changes = level === "ok" ? {} : { change: changesFor(topic) };
    await output.print({ ...check, ...changes }, `${level.padEnd(6)}${topic.padEnd(13)}${what}`);
  };
  if (url !== undefined) {
    const checks = lookFromOutside(url, { quick: options.has("quick") });
    for await (const check of checks) await report(check);
  } else await lookAt(place, report);
  for (const topic of new Set([...wrong, ...noted])) {
    for (const line of changesFor(topic))
      await output.text(line.startsWith(" ") ? line : `${topic}: ${line}`);
  }
  return wrong.size > 0 ? 1 : 0;
}

async function lookAt(place: string, report: (check: Check) => Promise<void>): Promise<void> {
  // It makes no storage where there is none.
  await (await openToRead(place, () => undefined)).close();
  const warnings: string[] = [];
  const storage = await openStorage(place, (message) => void warnings.push(message));
  try {
    for (const what of warnings) await report({ topic: "storage", level: "note", what });
    for await (const check of checkStorage(storage)) await report(check);
    for await (const check of checkRoom(storage)) await report(check);
  } finally {
    await storage.close();
  }
}
