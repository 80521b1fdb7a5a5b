/** For tests whose result does not depend on the runtime: how they are declared so that Node runs them. */
export interface NodeAlone {
  readonly skip: boolean;
  /** What a title adds where they are skipped, because Bun and Deno drop the reason. */
  readonly note: string;
}

export function nodeAlone(because: string): NodeAlone {
  const skip = (process.versions.bun ?? process.versions.deno) !== undefined;
  return { skip, note: skip ? ` (skipped: ${because})` : "" };
}
