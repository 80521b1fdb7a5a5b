/** For tests whose result does not depend on the runtime: how they are declared so that one runs them. */
export interface OneRuntime {
  readonly skip: boolean;
  /** What a title adds where they are skipped, because Bun and Deno drop the reason. */
  readonly note: string;
}

const { bun, deno } = process.versions;
const RUNTIME = bun !== undefined ? "Bun" : deno !== undefined ? "Deno" : "Node";

export function onlyOn(runtime: "Node" | "Bun" | "Deno", because: string): OneRuntime {
  const skip = runtime !== RUNTIME;
  return { skip, note: skip ? ` (skipped: ${because})` : "" };
}
