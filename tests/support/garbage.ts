import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

declare const Bun: { readonly gc: (force: boolean) => void } | undefined;

/** Collects all garbage, now. */
export const collectGarbage: () => void =
  typeof Bun === "undefined" ? collector() : () => Bun.gc(true);

function collector(): () => void {
  setFlagsFromString("--expose-gc");
  const collect: unknown = runInNewContext("gc");
  if (typeof collect !== "function") throw new Error("this runtime has no way to collect garbage");
  return () => collect();
}
