/** What is appended together. */
import type { Fingerprint } from "./names.ts";

/** What a snapshot covers: for each client, the last operation index that it stands for. */
export type Covers = ReadonlyMap<string, number>;

/** Consecutive operations of one client to append. */
export interface Batch {
  readonly user: Fingerprint;
  readonly client: string;
  /** The index of the first payload. */
  readonly first: number;
  readonly payloads: readonly string[];
  /** What the operation covers, if it is a snapshot: the only one of its batch. */
  readonly snapshot?: Covers | undefined;
}
