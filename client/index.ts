/**
 * End-to-end encrypted sync of operations between a user's devices, for browsers, Node, Bun and
 * Deno. README.md shows how. `indexeddb.ts` and `folder.ts` hold what needs a browser or a disk,
 * and `pem.ts` what only some apps need.
 */
export { type Bytes, textOf, utf8 } from "../protocol/bytes.ts";
export type { Line } from "../protocol/types.ts";
export { SyncClient } from "./client.ts";
export {
  type ErrorCode,
  InvalidKey,
  ServerRejected,
  ServerUnavailable,
  StoreDamaged,
} from "./errors.ts";
export {
  type CreateOptions,
  createIdentity,
  importIdentity,
  type NewIdentity,
} from "./identity/identity.ts";
export type { SyncOptions } from "./options.ts";
export { MemoryStore } from "./stores/memory.ts";
export type { Move, OwnClient, Store, StoreState } from "./stores/store.ts";
export type {
  ClientChange,
  Clock,
  Created,
  Cursor,
  Fetch,
  Identity,
  IdentityKeys,
  Operation,
  Receive,
  Refusal,
  RefusalKind,
  Status,
} from "./types.ts";
