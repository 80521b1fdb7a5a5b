/** Run by a test on each runtime: a task on standard input, its outcome on standard output. */
import { text } from "node:stream/consumers";
import { openAll, sealAll } from "./envelope-work.ts";

const task = JSON.parse(await text(process.stdin));
const outcome =
  task.lines === undefined
    ? await sealAll(task.key, task.client, task.texts)
    : await openAll(task.key, task.client, task.lines);
process.stdout.write(JSON.stringify(outcome));
