/** What needs a disk: a store in a folder, for Node, Bun and Deno. */
export { FolderStore } from "./stores/folder.ts";
