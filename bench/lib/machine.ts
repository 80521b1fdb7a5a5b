/** The machine, without which the figures mean nothing. */
import { execFileSync } from "node:child_process";
import { cpus, release, totalmem } from "node:os";

export interface Machine {
  readonly processor: string;
  readonly cores: number;
  readonly memoryGB: number;
  readonly kernel: string;
  /** Of the temporary folders. */
  readonly fileSystem: string;
}

/** @param folder where the temporary folders are made */
export function machineOf(folder: string): Machine {
  const processors = cpus();
  const args = ["--output=fstype", folder];
  const [, fileSystem = "unknown"] = execFileSync("df", args, { encoding: "utf8" }).split("\n");
  return {
    processor: processors[0]?.model.trim() ?? "unknown",
    cores: processors.length,
    memoryGB: Math.round(totalmem() / 2 ** 30),
    kernel: `Linux ${release()}`,
    fileSystem: fileSystem.trim(),
  };
}
