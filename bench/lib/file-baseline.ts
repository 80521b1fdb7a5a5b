import { type FileTask, type FileTaskResult, READY_FOR_TASKS } from "./file-task.ts";
import { type Launched, launch, MeasuredProcess } from "./process.ts";
import type { Runtime } from "./runtimes.ts";
import type { Sample } from "./sample.ts";

export async function startFileBaseline(runtime: Runtime): Promise<FileBaseline> {
  const file = "bench/baselines/files.ts";
  return new FileBaseline(await launch({ runtime, file, ready: new RegExp(READY_FOR_TASKS) }));
}

/** The file system without a server. */
export class FileBaseline extends MeasuredProcess {
  readonly #launched: Launched;

  constructor(launched: Launched) {
    super(launched);
    this.#launched = launched;
  }

  /** Does one task; one at a time. */
  async run(task: FileTask): Promise<Sample> {
    const before = this.cpu();
    const line = this.#launched.nextLine();
    this.#launched.child.stdin?.write(`${JSON.stringify(task)}\n`);
    const result: FileTaskResult = JSON.parse(await line);
    return {
      ...result,
      cpu: this.cpu() - before,
      megabytes: result.bytes / 1e6,
      firstByte: Number.NaN,
    };
  }
}
