/**
 * What an app embeds to sync end-to-end encrypted operations between a user's devices. It runs in
 * browsers, Node, Bun and Deno, and needs nothing but this folder. README.md here shows how.
 *
 * What only some of them have is imported from files of its own: `folder-store.ts` for Node, Bun
 * and Deno, `indexeddb-store.ts` for browsers.
 */
export { type Bytes, textOf, utf8 } from "../protocol/bytes.ts";
export { SyncClient } from "./client.ts";
export type { Clock } from "./clock.ts";
export { ServerRejected, ServerUnavailable } from "./failures.ts";
export {
  type CreateOptions,
  createIdentity,
  type Identity,
  importIdentity,
  type NewIdentity,
} from "./identity/identity.ts";
export { InvalidKey } from "./identity/key-text.ts";
export type { Receive } from "./inbox.ts";
export type { ClientChange, Created } from "./outbox.ts";
export { MemoryStore } from "./stores/memory.ts";
export {
  type Move,
  type OwnClient,
  type Store,
  StoreDamaged,
  type StoreState,
} from "./stores/store.ts";
export type { Status, SyncOptions } from "./types.ts";
export type { Cursor, Operation, Refusal, RefusalKind } from "./verify.ts";
