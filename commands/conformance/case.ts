/** A case of the protocol suite. */
import type { TestedServer } from "./tested-server.ts";

/** The id of a rule of PROTOCOL.md, such as. */
export type Rule = `R-${number}.${number}`;

export interface Case {
  readonly rule: Rule;
  /** What a server does by the rule, in the words that follow "a server". */
  readonly says: string;
  /** Rejects with `Broken` where the server does otherwise, with `CannotTry` where none can tell (`checks.ts`). */
  readonly run: (server: TestedServer) => Promise<void>;
}
