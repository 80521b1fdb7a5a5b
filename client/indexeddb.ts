/** What needs a browser: a store and a place for the identity in IndexedDB. */
export { forgetIdentity, loadIdentity, saveIdentity } from "./identity/indexeddb.ts";
export { type IndexedDbOptions, IndexedDbStore } from "./stores/indexeddb.ts";
export type { IndexedDbDamage } from "./stores/indexeddb-repair.ts";
