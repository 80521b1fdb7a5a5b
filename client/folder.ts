/** What needs a disk: a store in a folder, for Node, Bun and Deno. */
export { type FolderOptions, FolderStore } from "./stores/folder.ts";
export type { HeldFolder } from "./stores/folder-lock.ts";
export type { FolderDamage } from "./stores/folder-repair.ts";
