/** How many files the process has open, and may open. Only Linux says so. */
import { closeSync, openSync, readdirSync, readFileSync, statSync } from "node:fs";
import { devNull } from "node:os";

const FILES = "/proc/self/fd";

/** How many files the process may open; infinitely many where the system does not say. */
export function fileLimit(limits = limitsOfProcess()): number {
  const [, files] = /^Max open files +(\d+)/m.exec(limits) ?? [];
  return files === undefined ? Number.POSITIVE_INFINITY : Number(files);
}

/** How many files the process has open, on Linux. */
export function openFiles(): number {
  // Their number since Linux 6.2, and 0 before.
  const { size } = statSync(FILES);
  if (size > 0) return size;
  try {
    return readdirSync(FILES).length;
  } catch (error) {
    const none = error instanceof Error && "code" in error && error.code === "EMFILE";
    if (none) return Number.POSITIVE_INFINITY;
    throw error;
  }
}

/** Files that are held open, so that there are some once connections have taken all others. */
export class SpareFiles {
  readonly #files: number[] = [];
  readonly #count: number;

  constructor(count: number) {
    this.#count = count;
  }

  /** How many are not held. */
  get missing(): number {
    return this.#count - this.#files.length;
  }

  hold(): void {
    while (this.missing > 0) this.#files.push(openSync(devNull, "r"));
  }

  release(): void {
    for (const file of this.#files.splice(0)) closeSync(file);
  }
}

/** Empty where the system is not Linux. */
function limitsOfProcess(): string {
  return process.platform === "linux" ? readFileSync("/proc/self/limits", "utf8") : "";
}
