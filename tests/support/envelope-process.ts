/** Run by a test on each runtime: a task on standard input, its outcome on standard output. */
import { text } from "node:stream/consumers";
import type { Line } from "../../protocol/types.ts";
import { openAll, sealAll } from "./envelope-work.ts";

interface Run {
  readonly client: string;
  readonly lines: readonly Line[];
}

const task = JSON.parse(await text(process.stdin));
const outcome =
  task.runs === undefined
    ? await sealAll(task.key, task.client, task.texts)
    : await Promise.all(
        task.runs.map(({ client, lines }: Run) => openAll(task.key, client, lines)),
      );
process.stdout.write(JSON.stringify(outcome));
