/**
 * Whether a server on a folder keeps its pace: rate, CPU, memory and disk under constant appends, and
 * what of the CPU compaction takes, on the runtime that runs this:
 *
 *     node --import tsx bench/constant-load.ts [MINUTES] [USERS]
 *
 * Clients append payloads of 512 bytes without a pause: one of each user, or 64 of one. The last line
 * stands for as long a time as each of the others, in a new folder and without compaction.
 */
import { readdirSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AppendingClient, appendersOf, runAppends } from "./lib/appender.ts";
import { withTemporaryFolder } from "./lib/folder.ts";
import { memoryOf } from "./lib/memory.ts";
import { currentRuntime, findRuntime } from "./lib/runtimes.ts";
import { NO_LIMITS, startServer } from "./lib/server-process.ts";
import { formatNumber } from "./lib/table.ts";
import { clientOf, userOf } from "./lib/users.ts";

const CLIENTS_OF_ONE = 64;
const PERIODS = 10;
const HEAD = [
  "Minute",
  "Appends a second",
  "µs of CPU each",
  "Memory, MB",
  "Files",
  "Journals, MB",
  "p99, ms",
];

const [minutes = "10", users = "200"] = process.argv.slice(2);
const seconds = (Number(minutes) * 60) / PERIODS;
console.log(`| ${HEAD.join(" | ")} |\n|${"---:|".repeat(HEAD.length)}`);
await load({}, PERIODS);
await load({ COMPACTION: "off" }, 1);

/** Prints a line for each period. */
async function load(settings: { readonly COMPACTION?: string }, periods: number): Promise<void> {
  await withTemporaryFolder(tmpdir(), async (folder) => {
    const storage = join(folder, "data");
    const server = await startServer(findRuntime(currentRuntime()), {
      STORAGE: storage,
      LOG: "silent",
      ...NO_LIMITS,
      ...settings,
    });
    const clients = clientsOf(Number(users));
    for (let period = 1; period <= periods; period++) {
      const { requests, seconds: took, cpu, p99 } = await runAppends(server, clients, seconds);
      const { files, journals } = diskUse(storage);
      const figures = [requests / took, cpu / requests, memoryOf(server.pid).now / 1e6];
      const shown = [...figures, files, journals / 1e6, p99].map(formatNumber);
      const minute =
        settings.COMPACTION === undefined ? formatNumber((period * seconds) / 60) : "without";
      console.log(`| ${[minute, ...shown].join(" | ")} |`);
    }
    await server.stop();
  });
}

function clientsOf(users: number): AppendingClient[] {
  if (users === 1) return appendersOf(userOf("constant", 0), CLIENTS_OF_ONE);
  const each = Array.from({ length: users }, (_, i) => userOf("constant", i));
  return each.map((user) => new AppendingClient(user, clientOf(1)));
}

/** How many objects are files, and how many bytes the journals have. */
function diskUse(storage: string): { files: number; journals: number } {
  let [files, journals] = [0, 0];
  for (const entry of readdirSync(storage, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue;
    if (!entry.name.endsWith(".journal")) files++;
    else journals += statSync(join(entry.parentPath, entry.name)).size;
  }
  return { files, journals };
}
