import { type FolderRead, READY_FOR_FOLDERS } from "./folder-read.ts";
import { type Launched, launch, MeasuredProcess } from "./process.ts";
import type { Runtime } from "./runtimes.ts";
import type { Sample } from "./sample.ts";

export async function startFileBaseline(runtime: Runtime): Promise<FileBaseline> {
  const file = "bench/baselines/files.ts";
  return new FileBaseline(await launch({ runtime, file, ready: new RegExp(READY_FOR_FOLDERS) }));
}

/** The file system without a server. */
export class FileBaseline extends MeasuredProcess {
  readonly #launched: Launched;

  constructor(launched: Launched) {
    super(launched);
    this.#launched = launched;
  }

  /** Reads all files of a folder; one folder at a time. */
  async read(folder: string): Promise<Sample> {
    const before = this.cpu();
    const line = this.#launched.nextLine();
    this.#launched.child.stdin?.write(`${folder}\n`);
    const { files, bytes, milliseconds }: FolderRead = JSON.parse(await line);
    return {
      requests: files,
      seconds: milliseconds / 1000,
      cpu: this.cpu() - before,
      megabytes: bytes / 1e6,
      p50: milliseconds,
      p99: milliseconds,
      firstByte: Number.NaN,
    };
  }
}
