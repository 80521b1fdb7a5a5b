/**
 * End-to-end encrypted sync of operations between a user's devices, for browsers, Node, Bun and
 * Deno. README.md shows how. `identity.ts` and `pem.ts` make identities, and `indexeddb.ts`,
 * `folder.ts` and `memory.ts` are stores: each app takes what it needs.
 */
export { type Bytes, textOf, utf8 } from "../protocol/bytes.ts";
export type { Line } from "../protocol/types.ts";
export { SyncClient } from "./client.ts";
export { type ErrorCode, ServerRejected, ServerUnavailable, StoreDamaged } from "./errors.ts";
export type { SyncOptions } from "./options.ts";
export type { SavedState, SnapshotHandler } from "./snapshot-handler.ts";
export type {
  Move,
  OwnClient,
  SharedStore,
  Store,
  StoredSnapshot,
  StoreState,
} from "./stores/store.ts";
export type { Tab, Tabs } from "./stores/tabs.ts";
export type {
  ClientChange,
  Clock,
  Created,
  Cursor,
  Entry,
  Expected,
  Fetch,
  Head,
  Identity,
  IdentityKeys,
  OperationName,
  OtherDevice,
  Reason,
  Receive,
  Refusal,
  RefusalKind,
  Status,
  StatusCode,
} from "./types.ts";
